//! The hospital's patients, read in pieces and prepared by the module once.
//!
//! ```text
//! files ─pieces─▶ digest of study, module, files ──kept?──▶ the cohort that was prepared of them
//!                                                  └─ no ─▶ module: Prepare ◀─the pieces that it wants─ files ─▶ kept
//! ```
//!
//! The module is given the same bytes that were hashed, piece by piece; no more of a file than one piece is in memory here.
//!
//! Files are read and judged before a round: by people when the study is approved, and here once more at the start. After that
//! whether the site answers does not depend on them.

use minicbor::bytes::ByteVec;
use protocol::codec;
use protocol::door::{
    BadRows, Outcomes, PIECE, Piece, Prepare, Prepared, Report, Request, Response, Role, Source,
};
use protocol::id::Digest;

use crate::step::{Event, Failure, Step};
use crate::writes::{Key, Tickets, Write};

/// A file of the hospital.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientFile {
    /// Its name, for messages.
    pub name: String,
    /// What it holds.
    pub role: Role,
    /// The zone of the hospital's clocks, where the site states it ([`Source::zone`]).
    pub zone: Option<String>,
}

/// The model's inputs of a hospital's patients: patient data, which stays at the site.
#[derive(Clone, Debug, PartialEq)]
pub struct Cohort {
    /// The digest of the prepared bytes.
    pub digest: Digest,
    /// The prepared bytes.
    pub bytes: Vec<u8>,
    /// What was read.
    pub report: Report,
}

impl Cohort {
    /// What the module prepared.
    #[must_use]
    pub fn of(prepared: Prepared) -> Self {
        let bytes = Vec::from(prepared.cohort);
        Self {
            digest: Digest::of(&bytes),
            bytes,
            report: prepared.report,
        }
    }

    /// What is kept under [`Key::Cohort`], if it is the cohort with this digest.
    #[must_use]
    pub fn kept(bytes: &[u8], digest: Digest) -> Option<Self> {
        let prepared: Prepared = codec::decode(bytes).ok()?;
        Some(Self::of(prepared)).filter(|cohort| cohort.digest == digest)
    }
}

/// Files on their way to a cohort.
#[derive(Debug)]
pub struct Reading {
    study: Vec<u8>,
    module: Digest,
    files: Vec<PatientFile>,
    bad_rows: BadRows,
    approved: Option<Digest>,
    data: Option<Digest>,
    tickets: Tickets,
    task: Task,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// This is to be done, and [`Reading::next`] told of it.
    Step(Step),
    /// The patients are ready.
    Done(Box<Cohort>),
}

#[derive(Debug)]
enum Task {
    Hashing(Hashing),
    Named(Digest, Vec<Hashed>),
    Kept(Digest, Digest, Vec<Hashed>),
    /// The module was asked.
    Preparing(Digest, Vec<Hashed>),
    /// The module wants a piece.
    Fetching(Digest, Vec<Hashed>, Piece),
    Storing(Box<Cohort>, u64),
    Over,
}

/// The first pass: which files these are.
#[derive(Debug, Default)]
struct Hashing {
    done: Vec<Hashed>,
    /// The file that is read.
    file: Hashed,
}

/// A file that was hashed.
#[derive(Debug, Default)]
struct Hashed {
    bytes: u64,
    /// The digest of each piece, the last one shorter than [`PIECE`], perhaps empty.
    pieces: Vec<Digest>,
}

impl Hashed {
    fn digest(&self) -> Digest {
        let pieces: Vec<[u8; 32]> = self.pieces.iter().map(|piece| piece.0).collect();
        Digest::of(&pieces.concat())
    }
}

impl Reading {
    /// The patients in these files, for a study with these bytes and the module with this digest.
    #[must_use]
    pub fn new(study: &[u8], module: Digest, files: Vec<PatientFile>, bad_rows: BadRows) -> Self {
        Self {
            study: study.to_vec(),
            module,
            files,
            bad_rows,
            approved: None,
            data: None,
            tickets: Tickets::default(),
            task: Task::Over,
        }
    }

    /// Refuses files other than those with this digest ([`Reading::data`]): the ones that people looked at.
    #[must_use]
    pub fn of_approved(mut self, data: Digest) -> Self {
        self.approved = Some(data);
        self
    }

    /// The digest of the files, with their names, kinds, zones and order, and of what is done with rows that cannot be used; there
    /// once all files have been read. It follows from the files' bytes, not from what is in them.
    #[must_use]
    pub fn data(&self) -> Option<Digest> {
        self.data
    }

    /// The first step.
    ///
    /// # Errors
    ///
    /// No file at all.
    pub fn begin(&mut self) -> Result<Step, ReadingError> {
        if self.files.is_empty() {
            return Err(ReadingError::NoFiles);
        }
        self.task = Task::Hashing(Hashing::default());
        Ok(Step::Read(piece(0, 0)))
    }

    /// What comes after a step that had this outcome.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, that change while they are, or that the module refuses; a disk that fails.
    pub fn next(&mut self, event: Event) -> Result<Next, ReadingError> {
        let task = std::mem::replace(&mut self.task, Task::Over);
        match (task, event) {
            (_, Event::Failed(failure)) => Err(ReadingError::of(failure)),
            (Task::Hashing(hashing), Event::Read(bytes)) => {
                self.hashed(hashing, &bytes).map(Next::Step)
            }
            (Task::Named(key, files), Event::Loaded(name)) => {
                Ok(Next::Step(self.named(key, files, name.as_deref())))
            }
            (Task::Kept(key, name, files), Event::Loaded(kept)) => {
                let cohort = kept.and_then(|bytes| Cohort::kept(&bytes, name));
                Ok(match cohort {
                    Some(cohort) => Next::Done(Box::new(cohort)),
                    None => Next::Step(self.prepare(key, files)),
                })
            }
            (Task::Preparing(key, files), Event::Answered(response)) => {
                self.answered(key, files, *response).map(Next::Step)
            }
            (Task::Fetching(key, files, piece), Event::Read(bytes)) => {
                self.fetched(key, files, piece, bytes).map(Next::Step)
            }
            (Task::Storing(cohort, ticket), Event::Stored(receipt)) if receipt.is_of(ticket) => {
                Ok(Next::Done(cohort))
            }
            _ => Err(ReadingError::OutOfOrder),
        }
    }

    fn hashed(&mut self, mut hashing: Hashing, bytes: &[u8]) -> Result<Step, ReadingError> {
        hashing.file.bytes += bytes.len() as u64;
        hashing.file.pieces.push(Digest::of(bytes));
        if bytes.len() < PIECE {
            hashing.done.push(std::mem::take(&mut hashing.file));
        }
        let file = hashing.done.len();
        if file == self.files.len() {
            let data = self.digest(&hashing.done);
            self.data = Some(data);
            if self.approved.is_some_and(|approved| approved != data) {
                return Err(ReadingError::NotApproved);
            }
            let key = self.key(data);
            self.task = Task::Named(key, hashing.done);
            return Ok(Step::Load(Key::Prepared(key)));
        }
        let number = hashing.file.pieces.len();
        self.task = Task::Hashing(hashing);
        Ok(Step::Read(piece(file, number)))
    }

    fn named(&mut self, key: Digest, files: Vec<Hashed>, name: Option<&[u8]>) -> Step {
        let name = name
            .and_then(|name| std::str::from_utf8(name).ok())
            .and_then(|name| name.parse().ok());
        match name {
            Some(name) => {
                self.task = Task::Kept(key, name, files);
                Step::Load(Key::Cohort(name))
            }
            None => self.prepare(key, files),
        }
    }

    fn prepare(&mut self, key: Digest, files: Vec<Hashed>) -> Step {
        let sources = self.files.iter().zip(&files);
        let sources = sources.map(|(file, hashed)| Source {
            name: file.name.clone(),
            role: file.role,
            bytes: hashed.bytes,
            zone: file.zone.clone(),
        });
        let request = Request::Prepare(Prepare {
            study: self.study.clone().into(),
            files: sources.collect(),
            bad_rows: self.bad_rows,
            outcomes: Outcomes::Known,
        });
        self.task = Task::Preparing(key, files);
        Step::Open(Box::new(request))
    }

    fn answered(
        &mut self,
        key: Digest,
        files: Vec<Hashed>,
        response: Response,
    ) -> Result<Step, ReadingError> {
        match response {
            Response::Read(piece) => {
                self.task = Task::Fetching(key, files, piece);
                Ok(Step::Read(piece))
            }
            Response::Prepared(prepared) => Ok(self.prepared(key, prepared)),
            _ => Err(ReadingError::OutOfOrder),
        }
    }

    fn fetched(
        &mut self,
        key: Digest,
        files: Vec<Hashed>,
        piece: Piece,
        bytes: Vec<u8>,
    ) -> Result<Step, ReadingError> {
        let place = usize::try_from(piece.file).map_err(|_| ReadingError::OutOfOrder)?;
        let file = files.get(place).ok_or(ReadingError::OutOfOrder)?;
        let number = usize::try_from(piece.number).map_err(|_| ReadingError::OutOfOrder)?;
        let hashed = file.pieces.get(number).ok_or(ReadingError::OutOfOrder)?;
        if Digest::of(&bytes) != *hashed {
            return Err(ReadingError::Changed(self.files[place].name.clone()));
        }
        self.task = Task::Preparing(key, files);
        Ok(Step::Ask(Box::new(Request::Piece(bytes.into()))))
    }

    fn prepared(&mut self, key: Digest, prepared: Prepared) -> Step {
        let bytes = codec::encode(&prepared);
        let cohort = Cohort::of(prepared);
        let name = cohort.digest;
        let writes = self.tickets.writes(vec![
            Write::Put(Key::Cohort(name), bytes),
            Write::Put(Key::Prepared(key), name.to_string().into_bytes()),
        ]);
        self.task = Task::Storing(Box::new(cohort), writes.ticket());
        Step::Store(writes)
    }

    /// What a cohort follows from.
    fn key(&self, data: Digest) -> Digest {
        Digest::of(&[self.module.0, Digest::of(&self.study).0, data.0].concat())
    }

    /// [`Reading::data`], of the files' digests.
    fn digest(&self, hashed: &[Hashed]) -> Digest {
        let mut text = vec![u8::from(self.bad_rows == BadRows::Drop)];
        for (file, hashed) in self.files.iter().zip(hashed) {
            text.extend(codec::encode(&file.role));
            text.extend(Digest::of(file.name.as_bytes()).0);
            text.extend(codec::encode(&file.zone));
            text.extend(hashed.digest().0);
        }
        Digest::of(&text)
    }
}

fn piece(file: usize, number: usize) -> Piece {
    Piece {
        file: u32::try_from(file).unwrap_or(u32::MAX),
        number: number as u64,
    }
}

/// Why there are no patients.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadingError {
    /// There is nothing to read.
    #[error("there is no file of patients: [data] in host.toml says where they are")]
    NoFiles,
    /// A file is another one than a moment ago.
    #[error(
        "{0} changed while it was read: wait until whatever writes it is done, then start again"
    )]
    Changed(String),
    /// They are not the files that people looked at when they approved the study.
    #[error(
        "the files of patients, their names or on-bad-rows are not those that were approved: run `host approve` again, which shows what \
         they hold now"
    )]
    NotApproved,
    /// The module does not take them, or a disk fails.
    #[error("{0}")]
    Failed(String),
    /// Something else was answered than was asked for.
    #[error(
        "the program that runs this site answered something else than it was asked while patients were read: report this"
    )]
    OutOfOrder,
}

impl ReadingError {
    fn of(failure: Failure) -> Self {
        match failure {
            Failure::Module(failure) => Self::Failed(failure.reason().to_owned()),
            Failure::Unreachable(reason)
            | Failure::TooLate(reason)
            | Failure::Conflict(reason)
            | Failure::Refused(reason)
            | Failure::Site(reason) => Self::Failed(reason),
        }
    }
}

/// What the module is given of a cohort.
pub(crate) fn bytes(cohort: &Cohort) -> ByteVec {
    cohort.bytes.clone().into()
}

#[cfg(test)]
mod tests {
    use protocol::door::Report;

    use super::*;

    /// A site's files and disk, and a module that joins the files' bytes.
    #[derive(Default)]
    struct Site {
        /// Files that the module still wants to the end, with the pieces that it was given.
        wanted: Vec<Piece>,
        given: Vec<u8>,
        files: Vec<Vec<u8>>,
        kept: std::collections::BTreeMap<Key, Vec<u8>>,
        prepared: usize,
        pieces: usize,
    }

    impl Site {
        fn run(&mut self) -> Result<Cohort, ReadingError> {
            self.read(&mut Self::reading())
        }

        fn reading() -> Reading {
            let file = |name: &str, role| PatientFile {
                name: name.to_owned(),
                role,
                zone: None,
            };
            let files = vec![file("events", Role::Events), file("labels", Role::Labels)];
            Reading::new(b"study", Digest::of(b"module"), files, BadRows::Stop)
        }

        fn read(&mut self, reading: &mut Reading) -> Result<Cohort, ReadingError> {
            let mut step = reading.begin()?;
            loop {
                let event = self.answer(step);
                match reading.next(event)? {
                    Next::Step(next) => step = next,
                    Next::Done(cohort) => return Ok(*cohort),
                }
            }
        }

        /// The module wants the next piece, or is done.
        fn go_on(&mut self) -> Event {
            if self.wanted.is_empty() {
                return Event::Answered(Box::new(Response::Prepared(Prepared {
                    cohort: self.given.clone().into(),
                    report: Report::default(),
                })));
            }
            Event::Answered(Box::new(Response::Read(self.wanted.remove(0))))
        }

        fn answer(&mut self, step: Step) -> Event {
            match step {
                Step::Read(piece) => {
                    self.pieces += 1;
                    let bytes = &self.files[piece.file as usize];
                    let mut pieces = bytes.chunks(PIECE).chain([&[][..]]);
                    let number = usize::try_from(piece.number).unwrap();
                    Event::Read(pieces.nth(number).unwrap().to_vec())
                }
                Step::Load(key) => Event::Loaded(self.kept.get(&key).cloned()),
                Step::Open(request) => {
                    let Request::Prepare(prepare) = *request else {
                        panic!("{request:?}");
                    };
                    self.prepared += 1;
                    self.given.clear();
                    let files = (0..).zip(&prepare.files);
                    let pieces = files.flat_map(|(file, source)| {
                        let pieces = 0..source.bytes.div_ceil(PIECE as u64);
                        pieces.map(move |number| Piece { file, number })
                    });
                    self.wanted = pieces.collect();
                    self.go_on()
                }
                Step::Ask(request) => {
                    let Request::Piece(bytes) = *request else {
                        panic!("{request:?}");
                    };
                    self.given.extend_from_slice(&bytes);
                    self.go_on()
                }
                Step::Store(writes) => {
                    for write in writes.list() {
                        let Write::Put(key, bytes) = write else {
                            panic!("{write:?}");
                        };
                        self.kept.insert(*key, bytes.clone());
                    }
                    Event::Stored(writes.written())
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn files_are_read_in_bounded_pieces_and_prepared_once() {
        let mut site = Site {
            files: vec![vec![1; 2 * PIECE], vec![2; 10]],
            ..Site::default()
        };
        let cohort = site.run().unwrap();
        assert_eq!(cohort.bytes.len(), 2 * PIECE + 10);
        // Two whole pieces, one of nothing that says it is the end, and the other file; then those that the module wants.
        assert_eq!((site.prepared, site.pieces), (1, 4 + 3));
        assert_eq!(site.run().unwrap(), cohort);
        assert_eq!((site.prepared, site.pieces), (1, 11));
        // Damage is not taken for what was kept.
        site.kept.insert(Key::Cohort(cohort.digest), vec![0; 9]);
        assert_eq!(site.run().unwrap(), cohort);
        assert_eq!(site.prepared, 2);
        site.files[1][0] = 9;
        assert_ne!(site.run().unwrap().digest, cohort.digest);
        assert_eq!(site.prepared, 3);
    }

    #[test]
    fn the_module_is_given_no_other_bytes_than_were_hashed() {
        let mut site = Site {
            files: vec![vec![1; PIECE + 9], vec![2; 10]],
            ..Site::default()
        };
        let mut reading = Site::reading();
        let mut step = reading.begin().unwrap();
        let error = loop {
            if let Step::Ask(_) = &step {
                site.files[0][PIECE + 1] = 7;
            }
            let event = site.answer(step);
            match reading.next(event) {
                Ok(Next::Step(next)) => step = next,
                Ok(Next::Done(cohort)) => panic!("{cohort:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error, ReadingError::Changed("events".to_owned()));
    }

    #[test]
    fn files_that_were_not_approved_are_not_prepared() {
        let site = |events: &[u8]| Site {
            files: vec![events.to_vec(), vec![2; 10]],
            ..Site::default()
        };
        let mut reading = Site::reading();
        site(b"events").read(&mut reading).unwrap();
        let approved = reading.data().unwrap();
        let mut reading = Site::reading().of_approved(approved);
        site(b"events").read(&mut reading).unwrap();
        let mut other = site(b"Events");
        let mut reading = Site::reading().of_approved(approved);
        assert_eq!(other.read(&mut reading), Err(ReadingError::NotApproved));
        assert_eq!(other.prepared, 0, "nothing was asked of the module");
    }

    #[test]
    fn without_files_there_is_nothing_to_read() {
        let mut reading = Reading::new(b"study", Digest::of(b""), Vec::new(), BadRows::Stop);
        assert_eq!(reading.begin().unwrap_err(), ReadingError::NoFiles);
    }
}
