//! A CSV file on its way to MEDS files.
//!
//! ```text
//! first piece ─▶ columns ─▶ look at all rows, where the map needs it ─▶ take the rows ─▶ events, row group by row group
//!                                                                        ▲                   │
//!                                                                        └── patients left ──┘─▶ labels, splits, counts
//! ```

use std::collections::VecDeque;

use protocol::door::{Import, Imported, Part, Role};

use super::batch::{Batch, events_in};
use super::id::{self, Ids};
use super::map::{IdKind, Map, Subject};
use super::records::Goes;
use super::scan::{Read, Scan};
use super::table::{Filters, Table};
use super::take::Take;
use super::wide::{Look, Looked};
use super::{ImportError, Output, Turn};
use crate::bad_row::Triage;
use crate::meds::{EventsFile, Rest};

/// Makes MEDS files of a CSV file that comes in pieces: events, and where the map has them labels and splits.
///
/// Missing values make no event. Beside the events of a batch of patients, memory holds what tells patients and rows apart.
pub struct Importing {
    request: Import,
    map: Map,
    /// Events in memory, at most.
    most: usize,
    stage: Stage,
    /// Parts that are made.
    parts: VecDeque<Part>,
}

impl std::fmt::Debug for Importing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Importing").finish_non_exhaustive()
    }
}

/// What an import makes, or wants.
#[derive(Debug)]
pub enum Makes {
    /// The piece with this number is wanted.
    Wants(u64),
    /// A part of a file: to be kept behind its parts before.
    Part(Part),
    /// All is made.
    Imported(Box<Imported>),
}

enum Stage {
    Begun,
    Looking(Box<Looking>),
    Taking(Box<Taking>),
    Writing(Box<Taking>),
    Made(Box<Imported>),
    Over,
}

/// The rows of a table while they are looked at.
struct Looking {
    table: Table,
    look: Look,
    scan: Scan,
}

/// The rows of a table while they are read for good.
struct Taking {
    table: Table,
    looked: Looked,
    take: Take,
    /// None before the first reading is over.
    first: Option<First>,
}

/// What the first reading of all rows gave.
struct First {
    hash: blake3::Hash,
    file: EventsFile,
    imported: Imported,
    /// Files that follow the events.
    small: Vec<Part>,
}

impl Importing {
    /// Begins an import.
    ///
    /// # Errors
    ///
    /// A map that is malformed.
    pub fn new(request: Import) -> Result<Self, ImportError> {
        Ok(Self {
            map: Map::parse(&request.map)?,
            most: events_in(request.memory_mib),
            request,
            stage: Stage::Begun,
            parts: VecDeque::new(),
        })
    }

    /// As [`Importing::new`], with fewer events in memory.
    #[cfg(test)]
    fn with_events(request: Import, most: usize) -> Result<Self, ImportError> {
        Ok(Self {
            most,
            ..Self::new(request)?
        })
    }

    /// Goes on with the piece that was wanted; without one at first, and once a part is kept.
    ///
    /// # Errors
    ///
    /// A map that does not fit the file; a file whose rows cannot be told apart, without a usable row, or that changes while it
    /// is read; ids or times that cannot be compared; with `Stop` for bad rows, the first row that cannot be used, named by
    /// file, row and column. Nothing more is to be asked of the import then.
    pub fn next(&mut self, given: Option<&[u8]>) -> Result<Makes, ImportError> {
        let mut given = given;
        loop {
            if let Some(part) = self.parts.pop_front() {
                return Ok(Makes::Part(part));
            }
            self.stage = match (std::mem::replace(&mut self.stage, Stage::Over), given) {
                (Stage::Begun, None) => {
                    self.stage = Stage::Begun;
                    return Ok(Makes::Wants(0));
                }
                (Stage::Begun, Some(piece)) => self.open(piece)?,
                (stage @ (Stage::Looking(_) | Stage::Taking(_)), None) => {
                    let number = stage.pieces();
                    self.stage = stage;
                    return Ok(Makes::Wants(number));
                }
                (Stage::Looking(looking), Some(piece)) => {
                    given = None;
                    self.look(looking, piece)?
                }
                (Stage::Taking(taking), Some(piece)) => {
                    given = None;
                    self.take(taking, piece)?
                }
                (Stage::Writing(taking), _) => self.write(taking)?,
                (Stage::Made(imported), _) => return Ok(Makes::Imported(imported)),
                (Stage::Over, _) => return Err(ImportError::Over),
            };
        }
    }

    /// Reads the header; the first piece is then read again for its rows.
    fn open(&self, piece: &[u8]) -> Result<Stage, ImportError> {
        let (name, layout) = (&self.request.name, &self.map.csv);
        let table = Table::open(name, piece, Scan::goes(piece), layout)?;
        let look = match self.map.event {
            Some(_) => None,
            None => Look::new(&self.map, &table)?,
        };
        match look {
            Some(look) => {
                let scan = Scan::new(&table);
                Ok(Stage::Looking(Box::new(Looking { table, look, scan })))
            }
            None => self.begin(table, Looked::default()),
        }
    }

    fn look(&self, mut looking: Box<Looking>, piece: &[u8]) -> Result<Stage, ImportError> {
        let Looking { table, look, scan } = looking.as_mut();
        let filters = Filters::of(&self.map, table)?;
        let ids = self.ids(table)?;
        let mut triage = Triage::new(protocol::door::BadRows::Drop);
        scan.piece(table, piece, &mut triage, |row, _| {
            look.row(row, &filters, &ids);
            Ok(())
        })?;
        if Scan::goes(piece) == Goes::On {
            return Ok(Stage::Looking(looking));
        }
        let Looking { table, look, .. } = *looking;
        self.begin(table, look.finish())
    }

    /// Begins to read rows for good.
    fn begin(&self, table: Table, looked: Looked) -> Result<Stage, ImportError> {
        let mut output = Output::new(Batch::new(self.most), Turn::First);
        output.notes.extend(looked.notes.iter().cloned());
        let take = self.reading(&table, &looked, output)?;
        Ok(Stage::Taking(Box::new(Taking {
            table,
            looked,
            take,
            first: None,
        })))
    }

    fn take(&self, mut taking: Box<Taking>, piece: &[u8]) -> Result<Stage, ImportError> {
        let Taking {
            table,
            looked,
            take,
            ..
        } = taking.as_mut();
        take.piece(table, looked, piece)?;
        if Scan::goes(piece) == Goes::On {
            return Ok(Stage::Taking(taking));
        }
        let hash = take.scan.hash();
        match &taking.first {
            None => taking.first = Some(self.account(&mut taking)?),
            Some(first) if first.hash != hash => {
                return Err(ImportError::Changed(self.request.name.clone()));
            }
            Some(_) => {}
        }
        taking.take.hands.output.events.events.sort();
        Ok(Stage::Writing(taking))
    }

    /// Accounts for all rows after they were first read.
    fn account(&self, taking: &mut Taking) -> Result<First, ImportError> {
        let take = &mut taking.take;
        let columns = take.columns();
        let (hands, triage) = (&mut take.hands, &take.triage);
        let output = &mut hands.output;
        let clock = output.finish(&taking.table, &hands.filters, columns, &hands.clock)?;
        let read: Read = take.scan.read;
        output.account(&self.request.name, read, triage)?;
        output.notes.extend(take.scan.note());
        let mut small = Vec::new();
        let mut part = |role, bytes: Vec<u8>| {
            small.push(Part {
                role,
                bytes: bytes.into(),
            });
        };
        if self.map.label.is_some() {
            part(
                Role::Labels,
                std::mem::take(&mut output.labels).into_parquet_on(clock),
            );
        }
        if self.map.split.is_some() {
            part(
                Role::Splits,
                std::mem::take(&mut output.splits).into_parquet(),
            );
        }
        let texts = hands.ids.take_texts();
        Ok(First {
            hash: take.scan.hash(),
            file: EventsFile::new(clock),
            imported: Imported {
                rows: read.rows,
                kept: output.kept,
                passed: std::mem::take(&mut output.passed),
                later: output.later,
                dropped: triage.dropped,
                dropped_by: triage.dropped_by(),
                reasons: triage.reasons.clone(),
                unused: std::mem::take(&mut output.unused),
                notes: std::mem::take(&mut output.notes),
                ids: (!texts.is_empty()).then(|| id::table(&texts).into()),
            },
            small,
        })
    }

    /// Writes a row group of events; after the last one goes on to the patients that were put off, or ends.
    fn write(&mut self, mut taking: Box<Taking>) -> Result<Stage, ImportError> {
        let Some(first) = &mut taking.first else {
            return Ok(Stage::Over);
        };
        let batch = &mut taking.take.hands.output.events;
        let rest = match batch.up_to {
            Some(_) => Rest::Kept,
            None => Rest::Written,
        };
        if let Some(bytes) = first.file.group(&mut batch.events, rest) {
            self.parts.push_back(Part {
                role: Role::Events,
                bytes: bytes.into(),
            });
            return Ok(Stage::Writing(taking));
        }
        let Taking {
            table,
            looked,
            take,
            first,
        } = *taking;
        if let Some(batch) = take.hands.output.events.next() {
            let take = self.reading(&table, &looked, Output::new(batch, Turn::Later))?;
            return Ok(Stage::Taking(Box::new(Taking {
                table,
                looked,
                take,
                first,
            })));
        }
        let Some(first) = first else {
            return Ok(Stage::Over);
        };
        if self.map.event.is_some() || !self.map.columns.is_empty() {
            self.parts.push_back(Part {
                role: Role::Events,
                bytes: first.file.end().into(),
            });
        }
        self.parts.extend(first.small);
        Ok(Stage::Made(Box::new(first.imported)))
    }

    fn reading(&self, table: &Table, looked: &Looked, output: Output) -> Result<Take, ImportError> {
        let triage = Triage::new(self.request.bad_rows);
        Take::new(&self.map, table, looked, (self.ids(table)?, triage, output))
    }

    fn ids(&self, table: &Table) -> Result<Ids, ImportError> {
        let kind = match &self.map.subject {
            Subject::Column(column) => column.kind,
            Subject::RowNumber => IdKind::Number,
        };
        Ids::new(kind, self.request.id_key.as_ref(), table.digits)
    }
}

impl Stage {
    /// Pieces that were read.
    fn pieces(&self) -> u64 {
        match self {
            Self::Looking(looking) => looking.scan.pieces,
            Self::Taking(taking) => taking.take.scan.pieces,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::door::{BadRows, PIECE, piece};
    use protocol::seed::Seed;

    use super::*;

    /// The bytes of each file, by role.
    type Files = Vec<(Role, Vec<u8>)>;

    /// The bytes of each file that is made, by role, and the pieces that were wanted.
    fn made(
        mut importing: Importing,
        csv: &[u8],
    ) -> Result<(Files, Imported, Vec<u64>), ImportError> {
        let (mut files, mut wanted, mut given) = (Files::new(), vec![], None);
        loop {
            match importing.next(given.take())? {
                Makes::Wants(number) => {
                    wanted.push(number);
                    given = Some(piece(csv, number));
                }
                Makes::Part(part) => {
                    let bytes = Vec::from(part.bytes);
                    match files.iter_mut().find(|(role, _)| *role == part.role) {
                        Some((_, file)) => file.extend(bytes),
                        None => files.push((part.role, bytes)),
                    }
                }
                Makes::Imported(imported) => return Ok((files, *imported, wanted)),
            }
        }
    }

    fn request(map: &str) -> Import {
        Import {
            map: map.as_bytes().to_vec().into(),
            name: "t.csv".to_owned(),
            bad_rows: BadRows::Drop,
            id_key: Some(Seed::new([7; 32])),
            memory_mib: 1_024,
        }
    }

    const LONG: &str = r#"
        subject = { column = "patient", as = "text" }
        event = { time = "when", code = "what", value = "result" }
    "#;

    const WIDE: &str = r#"
        subject = { column = "patient" }
        first-by = "stay"
        prediction = { column = "when" }
        label = { column = "class", class = "integer" }
        column = [{ name = "result", code = "HR" }, { name = "what", as = "level" }]
    "#;

    /// Some rows, not in the order of patients, some of them bad, as long as asked for.
    fn table(bytes: usize) -> String {
        let mut table = String::from("patient,when,what,result,stay,class\n");
        let mut row = 0_u64;
        while table.len() < bytes {
            row += 1;
            let patient = row * 7_919 % 5_003;
            let result = if row.is_multiple_of(97) { "bad" } else { "1.5" };
            table.push_str(&format!(
                "{patient},2020-01-{:02} 10:00,\"c{}\",{result},{},1\n",
                1 + row % 28,
                row % 13,
                row % 5
            ));
        }
        table
    }

    #[test]
    fn a_table_with_more_events_than_memory_gives_the_same_bytes() {
        let table = table(200_000);
        for map in [LONG, WIDE] {
            let whole = made(Importing::new(request(map)).unwrap(), table.as_bytes()).unwrap();
            let few = Importing::with_events(request(map), 400).unwrap();
            let (files, told, wanted) = made(few, table.as_bytes()).unwrap();
            assert!(wanted.len() > 5, "it is read several times: {wanted:?}");
            assert_eq!((files, told), (whole.0, whole.1));
        }
    }

    #[test]
    fn a_table_of_several_pieces_is_read_whole() {
        let table = table(PIECE + 1_000_000);
        let (_, told, wanted) =
            made(Importing::new(request(LONG)).unwrap(), table.as_bytes()).unwrap();
        assert_eq!(told.rows, table.lines().count() as u64 - 1);
        assert_eq!(wanted, [0, 1]);
        // A file that ends with a piece has an empty piece behind it.
        let table = &table[..PIECE];
        let (_, told, wanted) =
            made(Importing::new(request(LONG)).unwrap(), table.as_bytes()).unwrap();
        assert_eq!(told.rows, table.lines().count() as u64 - 1);
        assert_eq!(wanted, [0, 1]);
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_refused() {
        let table = table(100_000);
        let mut importing = Importing::with_events(request(LONG), 400).unwrap();
        let other = table.replace("1.5", "2.5");
        let mut given = None;
        let mut readings = 0;
        let error = loop {
            match importing.next(given.take()) {
                Ok(Makes::Wants(number)) => {
                    readings += 1;
                    let csv = if readings < 3 { &table } else { &other };
                    given = Some(piece(csv.as_bytes(), number));
                }
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error, ImportError::Changed("t.csv".to_owned()));
    }

    #[test]
    fn a_row_without_an_end_is_refused_before_memory_is_full() {
        let table = format!(
            "patient,when,what,result,stay,class\n1,\"{}",
            "x".repeat(3 * PIECE)
        );
        let error = made(Importing::new(request(LONG)).unwrap(), table.as_bytes()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("row 1: the row has no end within 4 MiB"),
            "{error}"
        );
    }
}
