//! The records of a CSV file, strictly: RFC 4180, section 2, with any delimiter and any of its three line ends.
//!
//! Readers that are kept elsewhere take a file that ends inside quotes, and text after a closing quote, as it comes: rows
//! vanish in the cell where a stray quote opened. Here a file whose records cannot be known for sure is refused, and
//! the row where the quote opens is named. A quote inside a cell that does not begin with one is text (`5" nodule`).

use super::swallowed;

/// How cells are separated and quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Between cells.
    pub(super) delimiter: u8,
    /// Around cells; without one, no cell is quoted.
    pub(super) quote: Option<u8>,
    /// Whether a quoted cell may hold lines that look like rows of the table.
    pub(super) lines: Lines,
}

/// What a quoted cell may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lines {
    /// Line breaks, but no lines that look like rows.
    #[default]
    OfText,
    /// Anything.
    Any,
}

/// The cells of one record.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Line breaks inside its cells.
    pub(super) breaks: u64,
}

impl Record {
    /// Cells.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A cell, without its quotes; nothing where the record has no such cell.
    pub(super) fn get(&self, place: usize) -> Option<&[u8]> {
        let end = *self.ends.get(place)?;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..end])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    /// The first cell that holds a NUL byte.
    pub(super) fn nul(&self) -> Option<usize> {
        let at = self.bytes.iter().position(|byte| *byte == 0)?;
        Some(self.ends.partition_point(|end| *end <= at))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.breaks = 0;
    }

    fn close(&mut self) {
        self.ends.push(self.bytes.len());
    }
}

/// Why the records cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The last cell's closing quote is not there.
    #[error(
        "a quote opens and never closes. Close it in the file; or, where quotes are part of the text, set csv.quote = \"\" in the map"
    )]
    Open,
    /// After the closing quote stands something else than the delimiter or the end of the line.
    #[error(
        "text follows the closing quote of a cell (its lines: {lines}). Quotes inside a quoted cell are written twice; where quotes are part of the text, set csv.quote = \"\" in the map"
    )]
    TextAfterQuote {
        /// How many lines the cell spans.
        lines: u64,
    },
    /// Spaces stand before an opening quote: the quotes may be text or not.
    #[error(
        "spaces stand before the opening quote of a cell, so whether it is quoted cannot be known. Take the spaces out; or, where quotes are part of the text, set csv.quote = \"\" in the map"
    )]
    SpaceBeforeQuote,
    /// No end is found of a row.
    #[error(
        "the row has no end within {mib} MiB: a quote may open in it and never close. Close it in the file; or, where quotes are part of the text, set csv.quote = \"\" in the map"
    )]
    TooLong {
        /// How long a row may be.
        mib: usize,
    },
    /// A quoted cell holds what looks like rows.
    #[error(
        "a quoted cell spans {lines} lines that look like rows of the table. Where its quote is a stray one, mend it or set csv.quote = \"\" in the map; where the cell is right, set csv.lines-in-cells = \"any\""
    )]
    LooksLikeRows {
        /// How many lines the cell spans.
        lines: u64,
    },
}

impl Broken {
    /// A row without an end.
    pub(super) fn too_long() -> Self {
        Self::TooLong {
            mib: LONGEST_ROW >> 20,
        }
    }
}

/// The most bytes of a row.
pub(super) const LONGEST_ROW: usize = 4 << 20;

/// What was found of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it.
    Record,
    /// Not its end: the rest is in a later piece of the file.
    Part,
    /// No record: the file's end.
    End,
}

/// Whether a file goes on behind its bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    On,
    NoFurther,
}

/// Why a record is not read.
enum Halt {
    /// Its end is not at hand.
    Part,
    Broken(Broken),
}

impl From<Broken> for Halt {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// Reads records from the beginning of `rest` on.
#[derive(Clone, Debug)]
pub(super) struct Records<'a> {
    /// What follows the records that were read.
    pub(super) rest: &'a [u8],
    goes: Goes,
    dialect: Dialect,
    /// Cells of a row, where they are known: by the header, or by the map.
    columns: usize,
    /// Lines that hold nothing, so far.
    pub(super) blank: u64,
}

impl<'a> Records<'a> {
    pub(super) fn new(bytes: &'a [u8], goes: Goes, dialect: Dialect, columns: usize) -> Self {
        Self {
            rest: bytes,
            goes,
            dialect,
            columns,
            blank: 0,
        }
    }

    /// The next record. Empty lines are counted and are no records.
    pub(super) fn read(&mut self, record: &mut Record) -> Result<Found, Broken> {
        let before = (self.rest, self.blank);
        match self.record(record) {
            Ok(found) => Ok(found),
            Err(Halt::Broken(broken)) => Err(broken),
            Err(Halt::Part) => {
                (self.rest, self.blank) = before;
                Ok(Found::Part)
            }
        }
    }

    fn record(&mut self, record: &mut Record) -> Result<Found, Halt> {
        record.clear();
        while let [b'\r' | b'\n', ..] = self.rest {
            self.end_of_line()?;
            self.blank += 1;
        }
        if self.rest.is_empty() {
            self.no_further()?;
            return Ok(Found::End);
        }
        loop {
            self.cell(record)?;
            record.close();
            match self.rest {
                [] => {
                    self.no_further()?;
                    break;
                }
                [b'\r' | b'\n', ..] => {
                    self.end_of_line()?;
                    break;
                }
                // The delimiter: a cell ends nowhere else.
                [_, tail @ ..] => self.rest = tail,
            }
        }
        self.judge(record)?;
        Ok(Found::Record)
    }

    /// Halts at the end of what is at hand, unless the file ends there.
    fn no_further(&self) -> Result<(), Halt> {
        match self.goes {
            Goes::On => Err(Halt::Part),
            Goes::NoFurther => Ok(()),
        }
    }

    /// Takes a cell up to what ends it.
    fn cell(&mut self, record: &mut Record) -> Result<(), Halt> {
        if let (Some(quote), Some(first)) = (self.dialect.quote, self.rest.first())
            && *first == quote
        {
            return self.quoted(record, quote);
        }
        let ends = |byte: &u8| matches!(byte, b'\r' | b'\n') || *byte == self.dialect.delimiter;
        let length = self.rest.iter().position(ends);
        if length.is_none() {
            self.no_further()?;
        }
        let (cell, rest) = self.rest.split_at(length.unwrap_or(self.rest.len()));
        let begins = cell.trim_ascii_start().first().copied();
        if begins.is_some() && begins == self.dialect.quote {
            return Err(Broken::SpaceBeforeQuote.into());
        }
        record.bytes.extend_from_slice(cell);
        self.rest = rest;
        Ok(())
    }

    /// Takes a quoted cell, and the spaces after it.
    fn quoted(&mut self, record: &mut Record, quote: u8) -> Result<(), Halt> {
        let begin = record.bytes.len();
        let raw = &self.rest[1..];
        self.rest = raw;
        loop {
            let end = self.rest.iter().position(|byte| *byte == quote);
            if end.is_none() {
                self.no_further()?;
            }
            let (part, tail) = self.rest.split_at(end.ok_or(Broken::Open)?);
            record.bytes.extend_from_slice(part);
            self.rest = &tail[1..];
            if self.rest.first() != Some(&quote) {
                break;
            }
            record.bytes.push(quote);
            self.rest = &self.rest[1..];
        }
        let cell = &record.bytes[begin..];
        let breaks = swallowed::breaks(cell);
        record.breaks += breaks;
        let spaces = |byte: &u8| matches!(byte, b' ' | b'\t') && *byte != self.dialect.delimiter;
        let after = self.rest.iter().take_while(|byte| spaces(byte)).count();
        match self.rest.get(after) {
            None => self.no_further()?,
            Some(b'\r' | b'\n') => {}
            Some(byte) if *byte == self.dialect.delimiter => {}
            Some(_) => return Err(Broken::TextAfterQuote { lines: breaks + 1 }.into()),
        }
        self.rest = &self.rest[after..];
        Ok(())
    }

    /// Refuses a record of which a quoted cell may have swallowed rows.
    fn judge(&self, record: &Record) -> Result<(), Broken> {
        if record.breaks == 0 || self.dialect.lines == Lines::Any {
            return Ok(());
        }
        match swallowed::lines(record, self.columns, self.dialect.delimiter) {
            None => Ok(()),
            Some(lines) => Err(Broken::LooksLikeRows { lines }),
        }
    }

    fn end_of_line(&mut self) -> Result<(), Halt> {
        if self.rest == b"\r" {
            // Its \n may follow.
            self.no_further()?;
        }
        self.rest = match self.rest {
            [b'\r', b'\n', tail @ ..] | [_, tail @ ..] => tail,
            [] => &[],
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMA: Dialect = Dialect {
        delimiter: b',',
        quote: Some(b'"'),
        lines: Lines::OfText,
    };

    fn read(text: &str, dialect: Dialect, columns: usize) -> Result<Vec<Vec<String>>, Broken> {
        let mut records = Records::new(text.as_bytes(), Goes::NoFurther, dialect, columns);
        let mut record = Record::default();
        let mut found = Vec::new();
        while records.read(&mut record)? == Found::Record {
            let cells = record.iter().map(|cell| String::from_utf8_lossy(cell));
            found.push(cells.map(std::borrow::Cow::into_owned).collect());
        }
        Ok(found)
    }

    #[test]
    fn records_end_where_their_quotes_allow() {
        for (text, records) in [
            ("a,b\n1,2", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("a,b\r\n1,2\r\n", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("a\r1\r", vec![vec!["a"], vec!["1"]]),
            ("\n\na,\n,\n\n", vec![vec!["a", ""], vec!["", ""]]),
            ("\"a,\"\"b\n\",2,3", vec![vec!["a,\"b\n", "2", "3"]]),
            ("\"\",\"a\"  ,\"b\" \n", vec![vec!["", "a", "b"]]),
            ("5\" nodule,a\"\"b", vec![vec!["5\" nodule", "a\"\"b"]]),
        ] {
            assert_eq!(read(text, COMMA, 0).unwrap(), records, "{text:?}");
        }
        let plain = Dialect {
            delimiter: b';',
            quote: None,
            ..COMMA
        };
        assert_eq!(read("\"a;b,\n", plain, 2).unwrap(), [["\"a", "b,"]]);
    }

    #[test]
    fn records_that_cannot_be_known_are_refused() {
        for (text, broken) in [
            ("1,\"a\n2,b\n", Broken::Open),
            ("\"", Broken::Open),
            ("\"a\"\"", Broken::Open),
            ("1,\"a\" b\n", Broken::TextAfterQuote { lines: 1 }),
            ("\"say \\\"hi\\\"\"", Broken::TextAfterQuote { lines: 1 }),
            ("1,\"a\n2,\"b\n", Broken::TextAfterQuote { lines: 2 }),
            ("1, \"a,b\"\n", Broken::SpaceBeforeQuote),
            (
                "1,x,\"a\n2,y,b\n3,z,c\"\n",
                Broken::LooksLikeRows { lines: 3 },
            ),
            ("1,x,y,\"a\n2,x,y,\"\n", Broken::LooksLikeRows { lines: 2 }),
            // Ends of lines of the old kind, and a swallowed row with a comma more, hide nothing.
            (
                "1,x,\"a\r2,y,b\r3,z,c\"\r",
                Broken::LooksLikeRows { lines: 3 },
            ),
            (
                "1,x,\"a\n2,y,b\n3,z,free, text\n4,w,d\"\n",
                Broken::LooksLikeRows { lines: 4 },
            ),
        ] {
            let columns = if text.contains("x,y") { 4 } else { 3 };
            assert_eq!(read(text, COMMA, columns), Err(broken), "{text:?}");
        }
        let any = Dialect {
            lines: Lines::Any,
            ..COMMA
        };
        assert!(read("1,x,\"a\n2,y,b\n3,z,c\"\n", any, 3).is_ok());
        let prose = "1,x,\"pain, nausea\nand, since Monday, fever\nno more\",y\n";
        assert_eq!(read(prose, COMMA, 4).unwrap()[0].len(), 4);
    }

    /// As [`read`], with the text cut into two pieces.
    fn read_in_two(text: &str, cut: usize) -> Result<(Vec<Vec<u8>>, u64), Broken> {
        let (mut record, mut found, mut blank) = (Record::default(), Vec::new(), 0);
        let mut begin = 0;
        for (end, goes) in [(cut, Goes::On), (text.len(), Goes::NoFurther)] {
            let mut records = Records::new(&text.as_bytes()[begin..end], goes, COMMA, 3);
            while records.read(&mut record)? == Found::Record {
                found.push(record.iter().collect::<Vec<_>>().join(&b'|'));
            }
            begin = end - records.rest.len();
            blank += records.blank;
        }
        Ok((found, blank))
    }

    proptest! {
        /// It does not matter where a file is cut into pieces.
        #[test]
        fn pieces_are_read_as_the_whole(text in "[ab,\"\r\n ]{0,40}", cut in 0_usize..40) {
            let cut = cut.min(text.len());
            prop_assert_eq!(read_in_two(&text, cut), read_in_two(&text, 0));
        }

        /// What the `csv` crate writes is read as it was meant, by any delimiter, and as that crate reads it.
        #[test]
        fn what_another_writes_is_read_alike(
            rows in prop::collection::vec(prop::collection::vec("[a-c0-9 ,;\"\r\n\u{e9}]{0,6}", 2..5), 1..6),
            delimiter in prop::sample::select(vec![b',', b';', b'\t', b'|']),
        ) {
            let mut writer = csv::WriterBuilder::new()
                .delimiter(delimiter)
                .flexible(true)
                .quote_style(csv::QuoteStyle::Always)
                .from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let dialect = Dialect { delimiter, lines: Lines::Any, ..COMMA };
            prop_assert_eq!(read(&text, dialect, 0).unwrap(), rows);
        }

        /// Any text is read, or refused, without a panic and without losing a byte of it to another record than the lenient
        /// reader does.
        #[test]
        fn what_is_not_refused_is_what_a_lenient_reader_reads(text in "[ab,\"\r\n ]{0,40}") {
            if let Ok(records) = read(&text, COMMA, 0) {
                let mut reader = csv::ReaderBuilder::new()
                    .has_headers(false)
                    .flexible(true)
                    .from_reader(text.as_bytes());
                let theirs: Vec<Vec<String>> = reader
                    .records()
                    .map(|record| record.unwrap().iter().map(|cell| cell.trim().to_owned()).collect())
                    .collect();
                let ours: Vec<Vec<String>> = records
                    .iter()
                    .map(|record| record.iter().map(|cell| cell.trim().to_owned()).collect())
                    .collect();
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
