//! Rows that a stray pair of quotes has swallowed.
//!
//! ```text
//! 17,2024-01-02,"pain,A       row 17, as far as its stray quote in column 2, and the rest of it
//! 18,2024-01-03,sore",B       row 18, up to the second quote, and the rest of it
//! ```
//!
//! is one record with a cell of two lines. The quotes are right where the lines are prose, and wrong where the first line
//! ends as a row of the table does and the last one begins as one does. Both have the same number of delimiters, so the
//! parts between these are looked at. Parts of prose hold letters and follow a space (`and, since Monday, fever`), which
//! the cells of the table do not; and a sentence does not begin as an id with digits does. Whatever cannot be told apart
//! is refused: `csv.lines-in-cells = "any"` is for those who know.

use super::records::Record;

/// The lines of the first cell that may hold rows of a table of `columns` columns; 0 where the number is not known yet.
pub(super) fn lines(record: &Record, columns: usize, delimiter: u8) -> Option<u64> {
    let columns = if columns == 0 { record.len() } else { columns };
    if columns < 2 {
        return None;
    }
    (0..record.len()).find_map(|place| {
        let cell = record.get(place)?;
        let lines: Vec<&[u8]> = broken(cell);
        let suspect = Suspect {
            record,
            place,
            columns,
            delimiter,
        };
        let swallows = lines.len() > 1 && suspect.holds_rows(&lines);
        swallows.then_some(lines.len() as u64)
    })
}

/// The line breaks in a cell: \n, \r\n, or, in old files, \r.
pub(super) fn breaks(cell: &[u8]) -> u64 {
    let feeds = cell.iter().filter(|byte| **byte == b'\n').count();
    let returns = cell.iter().filter(|byte| **byte == b'\r').count();
    let pairs = if returns == 0 {
        0
    } else {
        cell.windows(2).filter(|pair| pair == b"\r\n").count()
    };
    (feeds + returns - pairs) as u64
}

/// The lines of a cell, whatever ends them.
fn broken(cell: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = cell;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        lines.push(&rest[..end]);
        let pair = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(pair)..];
    }
    lines.push(rest);
    lines
}

/// A quoted cell of several lines.
struct Suspect<'a> {
    record: &'a Record,
    /// Its column in the record.
    place: usize,
    columns: usize,
    delimiter: u8,
}

impl Suspect<'_> {
    fn holds_rows(&self, lines: &[&[u8]]) -> bool {
        let [first, middle @ .., last] = lines else {
            return false;
        };
        if middle.iter().any(|line| self.is_row(line)) {
            return true;
        }
        // Of a row that ends here, and of one that begins here: the cells that they would have.
        let ends = self.place + self.parts(first).count() == self.columns;
        let begun = (self.columns + self.place + 1).checked_sub(self.record.len());
        let begins = begun == Some(self.parts(last).count());
        if self.record.len() != self.columns {
            // Two rows in one, and cut at different columns.
            return ends && begins;
        }
        let is_prose = !ends || self.ends_as_prose(first);
        if self.place == 0 {
            !is_prose && begins
        } else {
            begins && !(is_prose && self.begins_as_prose(last))
        }
    }

    /// Whether a whole line is a row.
    fn is_row(&self, line: &[u8]) -> bool {
        self.parts(line).count() == self.columns && !self.begins_as_prose(line)
    }

    /// Whether the parts of a line after the first are those of a sentence, and none of the cells that would stand there.
    fn ends_as_prose(&self, line: &[u8]) -> bool {
        let mut parts = self.parts(line).zip(self.place..).skip(1);
        parts.all(|(part, place)| self.goes_on(part, place))
    }

    /// Whether a line begins as a sentence does, and not as a row.
    fn begins_as_prose(&self, line: &[u8]) -> bool {
        let mut parts = self.parts(line).zip(0..);
        let first = parts.next().map_or(&[][..], |(part, _)| part);
        let digits = |cell: &[u8]| cell.iter().any(u8::is_ascii_digit);
        // Of the first column nothing is known where the cell itself is in it.
        let id = (self.place > 0)
            .then(|| self.record.get(0))
            .flatten()
            .is_none_or(digits);
        has_letters(first)
            && !digits(first)
            && id
            && parts.all(|(part, place)| self.goes_on(part, place))
    }

    /// Whether a part goes on with a sentence, where the column `place` of the record does not look so.
    fn goes_on(&self, part: &[u8], place: usize) -> bool {
        let cell = self.record.get(place).unwrap_or_default();
        let known = place != self.place && begins_with_space(cell);
        begins_with_space(part) && has_letters(part) && !known
    }

    fn parts<'line>(&self, line: &'line [u8]) -> impl Iterator<Item = &'line [u8]> {
        let delimiter = self.delimiter;
        line.split(move |byte| *byte == delimiter)
    }
}

fn begins_with_space(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_whitespace)
}

/// Letters of other alphabets are bytes beyond ASCII.
fn has_letters(text: &[u8]) -> bool {
    text.iter()
        .any(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::records::{Broken, Dialect, Found, Goes, Lines, Records};
    use super::*;

    /// The records of a table, its header included; or why they cannot be told apart.
    fn read(text: &str, delimiter: u8, columns: usize) -> Result<usize, Broken> {
        let dialect = Dialect {
            delimiter,
            quote: Some(b'"'),
            lines: Lines::OfText,
        };
        let mut records = Records::new(text.as_bytes(), Goes::NoFurther, dialect, columns);
        let mut record = Record::default();
        let mut count = 0;
        while records.read(&mut record)? == Found::Record {
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn rows_in_cells_are_seen_in_every_column_and_prose_is_not_taken_for_them() {
        for (text, columns) in [
            // One row swallowed, in each column.
            ("\"1,x,a\n2\",y,b\n", 3),
            ("1,\"x,a\n2,y\",b\n", 3),
            ("1,x,\"a\n2,y,b\"\n", 3),
            ("\"1,x\r\n2\",y\r\n", 2),
            ("1,\"x\r2,y\"\r", 2),
            ("A1,\"x\nA2,y\"\n", 2),
            ("Smith,\"x\nJones,y\"\n", 2),
            // Its id and its text hold spaces.
            ("1,\"no pain\n2, sore\"\n", 2),
            ("P 1,\"no pain\nP 2,sore throat\"\n", 2),
            // Cut at another column than it began: more or fewer cells than the table has columns.
            ("1,x,\"a\n2\",y,b\n", 3),
            ("\"1,x,a\n2,y,b\"\n", 3),
            // All cells begin with a space.
            ("1, a,\"x\n2, b, y\"\n", 3),
            // Two rows, the first with a delimiter more than it should have.
            ("1,\"x\n2,y,more\n3,z\"\n", 2),
            ("1,2,3,\"\n2,3,4,\"\n", 4),
        ] {
            let refused = read(text, b',', columns);
            assert!(
                matches!(refused, Err(Broken::LooksLikeRows { .. })),
                "{text:?}"
            );
        }
        // The header tells how many columns there are, and is read before they are known.
        assert!(read("pid,\"note\nA1,ok\"\n", b',', 0).is_err());
        for (text, columns) in [
            ("1,\"pain\nfever, nausea\"\n", 2),
            ("1,\"pain\n\nfever, nausea\nno more\"\n", 2),
            ("AB-12,\"pain\nfever, nausea\"\n", 2),
            ("\"pain, fever\nnausea\",1\n", 2),
            ("1,\"pain, fever\nnausea, too\",2\n", 3),
            ("1,2,3,\"pain\nand, since Monday, fever, too\"\n", 4),
            ("1,2,3,\"pain\nfièvre, maux, de, tête\"\n", 4),
            ("1,\"Straße 1\n12345 Ort\"\n", 2),
            ("1,\"pain\n\"\n", 2),
            ("\"a\nb\"\n", 1),
        ] {
            assert_eq!(read(text, b',', columns), Ok(1), "{text:?}");
        }
    }

    /// What stands in the columns of a table.
    fn cell(kind: usize) -> BoxedStrategy<String> {
        match kind {
            0 => "[1-9][0-9]{0,6}".boxed(),
            1 => "20[0-2][0-9]-0[1-9]-[12][0-9]".boxed(),
            2 => "|NA|-?[0-9]{1,3}\\.[0-9]{1,2}".boxed(),
            3 => "[A-Z][0-9]{2}(\\.[0-9])?".boxed(),
            4 => "[A-Z][a-z]{1,6}".boxed(),
            _ => "|[a-zé]{1,5}( [a-z]{1,5}){0,3}".boxed(),
        }
    }

    /// A table, row by row: columns of any kinds, the ids first or not.
    fn tables() -> impl Strategy<Value = Vec<Vec<String>>> {
        prop::collection::vec(0..6_usize, 2..7).prop_flat_map(|kinds| {
            let row: Vec<_> = kinds.iter().map(|kind| cell(*kind)).collect();
            prop::collection::vec(row, 2..7)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(
            // `PROPTEST_CASES=100000` for a long one.
            ProptestConfig::default().cases.max(1_000)
        ))]

        /// A stray pair of quotes, wherever it opens and closes, takes no row with it in silence.
        #[test]
        fn a_swallowed_row_is_never_silent(
            table in tables(),
            delimiter in prop::sample::select(vec![b',', b';', b'\t', b'|']),
            end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
            places in any::<[prop::sample::Index; 4]>(),
        ) {
            let columns = table[0].len();
            let opens = places[0].index(table.len() - 1);
            let closes = opens + 1 + places[1].index(table.len() - 1 - opens);
            let mut table = table;
            let before = places[2].index(columns);
            table[opens][before].insert(0, '"');
            table[closes][places[3].index(columns)].push('"');
            let separator = char::from(delimiter).to_string();
            let text: String = table.iter().map(|row| row.join(&separator) + end).collect();
            let refused = read(&text, delimiter, columns);
            prop_assert!(refused.is_err(), "{text:?}");
        }

        /// Prose in any column is read, if its commas are followed by spaces and an id has digits.
        #[test]
        fn prose_of_several_lines_is_read(
            lines in prop::collection::vec("[a-z]{1,6}(,? [a-zé]{1,6}){0,7}", 2..5),
            columns in 2..7_usize,
            place in any::<prop::sample::Index>(),
        ) {
            let place = place.index(columns);
            let mut row: Vec<String> = (0..columns).map(|column| format!("{column}7")).collect();
            row[place] = format!("\"{}\"", lines.join("\n"));
            prop_assert_eq!(read(&row.join(","), b',', columns), Ok(1));
        }
    }
}
