//! One reading of a table, from its first piece to its last.

use protocol::door::PIECE;

use super::ImportError;
use super::records::{Broken, Found, Goes, LONGEST_ROW, Record, Records};
use super::table::{Row, Table};
use super::text::Text;
use crate::bad_row::{Problem, Triage};

/// A table that is read.
pub(super) struct Scan {
    /// None before the first piece.
    text: Option<Text>,
    /// Pieces that were read.
    pub(super) pieces: u64,
    /// Text that is not read yet.
    ahead: Vec<u8>,
    /// Bytes of the text before the first row that are still to come.
    before: usize,
    record: Record,
    pub(super) read: Read,
    /// Of the file's bytes so far.
    hash: blake3::Hasher,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Read {
    /// Rows, bad ones included.
    pub(super) rows: u64,
    /// Lines that hold nothing.
    pub(super) blank: u64,
    /// Rows with line breaks in their cells, and the first of them.
    pub(super) broken: (u64, u64),
}

impl Scan {
    /// A reading of a table from the beginning of its text.
    pub(super) fn new(table: &Table) -> Self {
        Self {
            text: None,
            pieces: 0,
            ahead: Vec::new(),
            before: table.start,
            record: Record::default(),
            read: Read::default(),
            hash: blake3::Hasher::new(),
        }
    }

    /// Whether the file goes on behind a piece.
    pub(super) fn goes(piece: &[u8]) -> Goes {
        if piece.len() < PIECE {
            Goes::NoFurther
        } else {
            Goes::On
        }
    }

    /// What a person should know of the file's encoding.
    pub(super) fn note(&self) -> Option<String> {
        self.text.as_ref()?.note()
    }

    /// The hash of the bytes that were read.
    pub(super) fn hash(&self) -> blake3::Hash {
        self.hash.finalize()
    }

    /// Gives every row of the next piece with as many cells as there are columns to `each`; others are bad.
    pub(super) fn piece(
        &mut self,
        table: &Table,
        piece: &[u8],
        triage: &mut Triage,
        mut each: impl FnMut(&Row<'_>, &mut Triage) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let goes = Self::goes(piece);
        self.hash.update(piece);
        self.pieces += 1;
        let text = match &mut self.text {
            Some(text) => text,
            None => self.text.insert(table.text(piece)?),
        };
        text.push(piece, goes, &mut self.ahead)?;
        let skipped = self.before.min(self.ahead.len());
        self.before -= skipped;
        let ahead = std::mem::take(&mut self.ahead);
        let mut records = Records::new(&ahead[skipped..], goes, table.dialect, table.columns.len());
        loop {
            let number = self.read.rows + 1;
            let found = records.read(&mut self.record);
            match found.map_err(|broken| table.broken(number, broken))? {
                Found::Record => {}
                Found::Part if records.rest.len() > LONGEST_ROW => {
                    return Err(table.broken(number, Broken::too_long()));
                }
                Found::Part | Found::End => break,
            }
            self.read.rows = number;
            self.row(table, triage, &mut each)?;
        }
        self.read.blank += records.blank;
        self.ahead = records.rest.to_owned();
        Ok(())
    }

    fn row(
        &mut self,
        table: &Table,
        triage: &mut Triage,
        each: &mut impl FnMut(&Row<'_>, &mut Triage) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let (record, number) = (&self.record, self.read.rows);
        if record.breaks > 0 {
            let (broken, first) = &mut self.read.broken;
            *broken += 1;
            if *broken == 1 {
                *first = number;
            }
        }
        let (cells, want) = (record.len(), table.columns.len());
        let name = |place: usize| table.columns.get(place).map_or("(none)", String::as_str);
        if cells != want {
            let problem = Problem::Cells { found: cells, want };
            return Ok(triage.refuse(&table.name, number, name(cells), problem)?);
        }
        if let Some(place) = record.nul() {
            return Ok(triage.refuse(&table.name, number, name(place), Problem::Nul)?);
        }
        let row = Row {
            number,
            record,
            missing: &table.missing,
            digits: table.digits,
        };
        each(&row, triage)
    }
}
