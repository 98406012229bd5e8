//! The one rule by which cells are compared, and how numbers are written in them.
//!
//! Whether a cell is a number, a code or an id is what the map says, not how the cell looks. Wherever a map lists cells
//! (`missing`, `numbers`, `levels`, classes, splits, filters) two cells are the same where their texts are, without the
//! space around them, or where both are the same whole number: `-9`, `-9.0`, `-9.00`; `1`, `+1`, `1.`. Leading zeros
//! count: `012` is not `12`, for both may be codes.

use std::borrow::Cow;
use std::collections::HashMap;

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

    /// What is compared of a cell: a whole number without sign and decimals that say nothing, any other text as it is.
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

/// The cells that a map lists, with what each stands for.
#[derive(Clone, Debug)]
pub(super) struct Listed<T> {
    digits: Digits,
    entries: HashMap<String, T>,
}

impl<T> Listed<T> {
    /// The cells of a setting.
    ///
    /// # Errors
    ///
    /// Two that are the same cell.
    pub(super) fn of<'a>(
        setting: &'static str,
        entries: impl IntoIterator<Item = (&'a str, T)>,
        digits: Digits,
    ) -> Result<Self, ImportError> {
        let mut listed = HashMap::new();
        for (cell, value) in entries {
            let cell = cell.trim();
            // A map may write numbers as programs do, whatever the table's way.
            let key = digits.whole(cell).or_else(|| PLAIN.whole(cell));
            let key = key.unwrap_or(Cow::Borrowed(cell)).into_owned();
            if listed.insert(key, value).is_some() {
                return Err(ImportError::Twice {
                    setting,
                    cell: cell.to_owned(),
                });
            }
        }
        Ok(Self {
            digits,
            entries: listed,
        })
    }

    /// What a cell stands for, where it is listed.
    pub(super) fn get(&self, cell: &str) -> Option<&T> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.get(self.digits.key(cell).as_ref())
    }

    pub(super) fn contains(&self, cell: &str) -> bool {
        self.get(cell).is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Listed<()> {
    /// Cells without a value; one may be listed in two ways.
    pub(super) fn cells<'a>(cells: impl IntoIterator<Item = &'a String>, digits: Digits) -> Self {
        let keys = cells.into_iter().map(|cell| {
            let cell = cell.trim();
            let key = digits.whole(cell).or_else(|| PLAIN.whole(cell));
            (key.unwrap_or(Cow::Borrowed(cell)).into_owned(), ())
        });
        Self {
            digits,
            entries: keys.collect(),
        }
    }
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
    fn a_cell_that_is_listed_twice_is_refused() {
        let twice = Listed::of("numbers", [("1", 2.0), ("1.0", 3.0)], PLAIN);
        assert!(matches!(twice, Err(ImportError::Twice { .. })));
        let listed = Listed::of("numbers", [("-9.0", 2.0), (" NA ", 3.0)], GERMAN).unwrap();
        assert_eq!(listed.get("-9,00"), Some(&2.0));
        assert_eq!((listed.get("NA"), listed.get("9")), (Some(&3.0), None));
    }
}
