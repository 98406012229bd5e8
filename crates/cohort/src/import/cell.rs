//! The one rule by which cells are compared, and how numbers are written in them.
//!
//! Whether a cell is a number, a code or an id is what the map says, not how the cell looks. Wherever a map lists cells
//! (`missing`, `numbers`, `levels`, classes, splits, filters) two cells are the same where their texts are, without the
//! space around them, or where both are the same number: `-9.5`, `-9.50`, `-95e-1`; `1`, `+1`, `1.`. Zeros in front make a
//! code of it, for `012` and `12` may be two, but in a column that the map reads as numbers: there `0999` is 999. In a
//! column of codes (`verbatim = true`) only texts count.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::ImportError;

/// How a table writes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digits {
    /// Before the decimals.
    pub(super) decimal: char,
    /// Between groups of three digits, where they are grouped.
    pub(super) thousands: Option<char>,
}

/// As programs write them.
pub(super) const PLAIN: Digits = Digits {
    decimal: '.',
    thousands: None,
};

impl Digits {
    /// The number in a cell, if it holds one. `inf` and `nan` are not numbers.
    pub(super) fn number(self, cell: &str) -> Option<f64> {
        let plain = self.plain(cell)?;
        let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
        let begins = unsigned.starts_with(|first: char| first == '.' || first.is_ascii_digit());
        let number = plain.parse::<f64>().ok();
        number.filter(|number| begins && number.is_finite())
    }

    /// What is compared of an id: a whole number without sign and decimals that say nothing, any other text as it is.
    pub(super) fn key(self, cell: &str) -> Cow<'_, str> {
        self.whole(cell).unwrap_or(Cow::Borrowed(cell))
    }

    /// A whole number without `+`, decimals and grouping, if the cell holds one.
    pub(super) fn whole(self, cell: &str) -> Option<Cow<'_, str>> {
        if !cell.starts_with(|first: char| first.is_ascii_digit() || first == '+' || first == '-') {
            return None;
        }
        let plain = self.plain(cell)?;
        let (whole, decimals) = plain.split_once('.').unwrap_or((&plain, ""));
        let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
        let is_whole = !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && decimals.bytes().all(|byte| byte == b'0');
        if !is_whole {
            return None;
        }
        let zero = digits.bytes().all(|byte| byte == b'0');
        let length = if zero || whole.starts_with('+') {
            digits.len()
        } else {
            whole.len()
        };
        let start = whole.len() - length;
        Some(match plain {
            Cow::Borrowed(plain) => Cow::Borrowed(&plain[start..start + length]),
            Cow::Owned(ref plain) => Cow::Owned(plain[start..start + length].to_owned()),
        })
    }

    /// The number in a cell, exactly, if it holds one that is compared as such.
    fn figure(self, cell: &str, alike: Alike) -> Option<Figure> {
        self.number(cell)?;
        let plain = self.plain(cell)?;
        let (mantissa, exponent) = match plain.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
            None => (plain.as_ref(), 0_i64),
        };
        let negative = mantissa.starts_with('-');
        let unsigned = mantissa.strip_prefix(['+', '-']).unwrap_or(mantissa);
        let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        if alike == Alike::Code && whole.len() > 1 && whole.starts_with('0') {
            return None;
        }
        let all = [whole, decimals].concat();
        let digits = all.trim_start_matches('0').trim_end_matches('0');
        if digits.is_empty() {
            return Some(Figure::default());
        }
        let zeros = all.len() - all.trim_end_matches('0').len();
        let places = i64::try_from(zeros).ok()? - i64::try_from(decimals.len()).ok()?;
        Some(Figure {
            negative,
            digits: digits.to_owned(),
            exponent: exponent.checked_add(places)?,
        })
    }

    /// The cell with a decimal point and without grouping, if its grouping is valid.
    fn plain(self, cell: &str) -> Option<Cow<'_, str>> {
        if self == PLAIN {
            return Some(Cow::Borrowed(cell));
        }
        if self.decimal != '.' && self.thousands != Some('.') && cell.contains('.') {
            return None;
        }
        let (whole, decimals) = match cell.split_once(self.decimal) {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (cell, None),
        };
        let mut plain = match self.thousands {
            Some(separator) if whole.contains(separator) => ungrouped(whole, separator)?,
            _ => whole.to_owned(),
        };
        if let Some(decimals) = decimals {
            plain.push('.');
            plain.push_str(decimals);
        }
        Some(Cow::Owned(plain))
    }
}

/// The digits of `1.234.567` without what stands between them; nothing where the groups are not of three.
fn ungrouped(whole: &str, separator: char) -> Option<String> {
    let mut groups = whole.split(separator);
    let first = groups.next()?;
    let digits = first.strip_prefix(['+', '-']).unwrap_or(first);
    let fits = |group: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut plain = fits(digits, 1..=3).then(|| first.to_owned())?;
    for group in groups {
        if !fits(group, 3..=3) {
            return None;
        }
        plain.push_str(group);
    }
    Some(plain)
}

/// When two cells are the same, besides those of one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alike {
    /// Both are one number.
    Number,
    /// Both are one number without zeros in front.
    Code,
    /// Never.
    Text,
}

/// A number as it is written: its digits, without zeros at either end, times a power of ten. Zero has no digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Figure {
    negative: bool,
    digits: String,
    exponent: i64,
}

/// The cells that a map lists, with what each stands for.
#[derive(Clone, Debug)]
pub(super) struct Listed<T> {
    digits: Digits,
    alike: Alike,
    texts: HashMap<String, T>,
    numbers: HashMap<Figure, T>,
    /// The doubles nearest to `numbers`: most cells are none of them, and need not be taken apart.
    near: HashSet<u64>,
}

impl<T: Clone> Listed<T> {
    /// The cells of a setting.
    ///
    /// # Errors
    ///
    /// Two that are the same cell.
    pub(super) fn of<'a>(
        setting: &'static str,
        entries: impl IntoIterator<Item = (&'a str, T)>,
        digits: Digits,
        alike: Alike,
    ) -> Result<Self, ImportError> {
        let mut listed = Self::empty(digits, alike);
        for (cell, value) in entries {
            if listed.insert(cell.trim(), value).is_some() {
                return Err(ImportError::Twice {
                    setting,
                    cell: cell.trim().to_owned(),
                });
            }
        }
        Ok(listed)
    }

    fn empty(digits: Digits, alike: Alike) -> Self {
        Self {
            digits,
            alike,
            texts: HashMap::new(),
            numbers: HashMap::new(),
            near: HashSet::new(),
        }
    }

    /// Adds a cell, and gives back what it stood for before.
    fn insert(&mut self, cell: &str, value: T) -> Option<T> {
        // A map may write numbers as programs do, whatever the table's way.
        let ways = [self.digits, PLAIN];
        let mut figures = ways.iter().filter_map(|way| {
            let figure = way.figure(cell, self.alike)?;
            Some((figure, way.number(cell)?))
        });
        let before = match figures.next() {
            Some((figure, number)) if self.alike != Alike::Text => {
                self.near.insert(bits(number));
                self.numbers.insert(figure, value.clone())
            }
            _ => None,
        };
        self.texts.insert(cell.to_owned(), value).or(before)
    }

    /// What a cell stands for, where it is listed.
    pub(super) fn get(&self, cell: &str) -> Option<&T> {
        let is_near = |number| self.near.contains(&bits(number));
        if !self.near.is_empty()
            && self.digits.number(cell).is_some_and(is_near)
            && let Some(figure) = self.digits.figure(cell, self.alike)
        {
            return self.numbers.get(&figure);
        }
        // A cell may be no number of the table's way, but be listed as it is written.
        self.texts.get(cell)
    }

    pub(super) fn contains(&self, cell: &str) -> bool {
        self.get(cell).is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.numbers.is_empty()
    }
}

impl Listed<()> {
    /// Cells without a value; one may be listed in two ways.
    pub(super) fn cells<'a>(
        cells: impl IntoIterator<Item = &'a String>,
        digits: Digits,
        alike: Alike,
    ) -> Self {
        let mut listed = Self::empty(digits, alike);
        for cell in cells {
            listed.insert(cell.trim(), ());
        }
        listed
    }
}

/// The bits of a number, those of 0 for both zeros.
fn bits(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GERMAN: Digits = Digits {
        decimal: ',',
        thousands: Some('.'),
    };

    #[test]
    fn whole_numbers_are_the_same_with_and_without_sign_and_decimals() {
        for (cell, key) in [
            ("4", "4"),
            ("4.0", "4"),
            ("4.", "4"),
            ("+4.00", "4"),
            ("-9.00", "-9"),
            ("-9", "-9"),
            ("-0.0", "0"),
            ("012.0", "012"),
            ("4.5", "4.5"),
            ("250.00x", "250.00x"),
            (".0", ".0"),
            ("A.0", "A.0"),
            ("-", "-"),
            ("", ""),
            ("1e3", "1e3"),
        ] {
            assert_eq!(PLAIN.key(cell), key, "{cell}");
        }
        for (cell, key) in [("-9,00", "-9"), ("1.000", "1000"), ("1.00", "1.00")] {
            assert_eq!(GERMAN.key(cell), key, "{cell}");
        }
    }

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (cell, number) in [
            ("7.4", Some(7.4)),
            ("-.5", Some(-0.5)),
            ("1e3", Some(1000.0)),
            ("+2.", Some(2.0)),
            ("inf", None),
            ("-Infinity", None),
            ("NaN", None),
            ("1e999", None),
            ("7,4", None),
            ("", None),
            ("0x10", None),
            ("1_000", None),
        ] {
            assert_eq!(PLAIN.number(cell), number, "{cell}");
        }
        for (cell, number) in [
            ("7,4", Some(7.4)),
            ("1.234,5", Some(1234.5)),
            ("-12.345.678", Some(-12_345_678.0)),
            ("12.34,5", None),
            ("1.2345", None),
            ("7.4", None),
            (".500", None),
            ("7,4,1", None),
        ] {
            assert_eq!(GERMAN.number(cell), number, "{cell}");
        }
        let comma = Digits {
            thousands: None,
            ..GERMAN
        };
        assert_eq!(
            (comma.number("7.4"), comma.number("7,4")),
            (None, Some(7.4))
        );
        let spaces = Digits {
            thousands: Some(' '),
            ..GERMAN
        };
        assert_eq!(spaces.number("1 234,5"), Some(1234.5));
    }

    #[test]
    fn cells_of_one_number_are_the_same_as_the_map_reads_them() {
        let same = |one: &str, other: &str, digits, alike| {
            let list = [one.to_owned()];
            Listed::cells(&list, digits, alike).contains(other)
        };
        for (one, other, number, code) in [
            ("-9.5", "-9.50", true, true),
            ("999", "999.0", true, true),
            ("999", "9.99e2", true, true),
            ("999", "+999.", true, true),
            ("0.5", ".50", true, true),
            ("0", "-0.0", true, true),
            ("1000000", "1E6", true, true),
            ("999", "0999", true, false),
            ("0999", "999", true, false),
            ("0999", "0999", true, true),
            ("-9", "9", false, false),
            ("-9.5", "-9.51", false, false),
            ("0.1", "0.10000000000000000001", false, false),
            ("9007199254740993", "9007199254740992", false, false),
            ("250", "250.00", true, true),
            ("V10", "V10.0", false, false),
            ("1e400", "1e401", false, false),
            ("NA", "NA", true, true),
            ("", "0", false, false),
        ] {
            assert_eq!(
                same(one, other, PLAIN, Alike::Number),
                number,
                "{one} {other}"
            );
            assert_eq!(same(one, other, PLAIN, Alike::Code), code, "{one} {other}");
            assert_eq!(
                same(one, other, PLAIN, Alike::Text),
                one == other,
                "{one} {other}"
            );
        }
        for (one, other) in [("-9.5", "-9,50"), ("-9,5", "-9,50"), ("1.234,5", "1234,50")] {
            assert!(same(one, other, GERMAN, Alike::Code), "{one} {other}");
        }
    }

    #[test]
    fn a_cell_that_is_listed_twice_is_refused() {
        let of = |cells: [(&'static str, f64); 2], digits, alike| {
            Listed::of("numbers", cells, digits, alike)
        };
        let twice = |alike| of([("1", 2.0), ("1.0", 3.0)], PLAIN, alike);
        assert!(matches!(twice(Alike::Code), Err(ImportError::Twice { .. })));
        assert!(twice(Alike::Text).is_ok());
        let listed = of([("-9.0", 2.0), (" NA ", 3.0)], GERMAN, Alike::Number).unwrap();
        assert_eq!(listed.get("-9,00"), Some(&2.0));
        assert_eq!((listed.get("NA"), listed.get("9")), (Some(&3.0), None));
        assert_eq!(listed.get("-9.0"), Some(&2.0), "as it is written");
    }
}
