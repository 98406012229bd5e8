//! The hospital's patients, read in pieces and prepared by the module once.
//!
//! ```text
//! files ─pieces─▶ digest of study, module, files ──kept?──▶ the cohort that was prepared of them
//!                                                  └─ no ─▶ files ─pieces─▶ module: Prepare ─▶ kept
//! ```
//!
//! Files are read and judged before a round: by people when the study is approved, and here once more at the start. After that
//! whether the site answers does not depend on them.

use minicbor::bytes::ByteVec;
use protocol::codec;
use protocol::door::{BadRows, File, Outcomes, Prepare, Prepared, Report, Request, Response, Role};
use protocol::id::Digest;
use ring::digest::{Context, SHA256};

use crate::step::{Event, Failure, Step};
use crate::writes::{Key, Tickets, Write};

/// A file of the hospital.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientFile {
    /// Its name, for messages.
    pub name: String,
    /// What it holds.
    pub role: Role,
}

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The file's place in the list that the participant was given.
    pub file: usize,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its bytes, at most; fewer at the file's end alone.
    pub length: usize,
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
    Named(Digest, Vec<Digest>),
    Kept(Digest, Digest, Vec<Digest>),
    Collecting(Collecting),
    Preparing(Digest),
    Storing(Box<Cohort>, u64),
    Over,
}

/// The first pass: which files these are.
struct Hashing {
    offset: u64,
    context: Context,
    done: Vec<Digest>,
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing")
            .field("done", &self.done.len())
            .finish_non_exhaustive()
    }
}

/// The second pass, where nothing is kept.
#[derive(Debug)]
struct Collecting {
    key: Digest,
    digests: Vec<Digest>,
    done: Vec<Vec<u8>>,
    bytes: Vec<u8>,
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

    /// The digest of the files, with their names, kinds and order, and of what is done with rows that cannot be used; there
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
        self.task = Task::Hashing(Hashing {
            offset: 0,
            context: Context::new(&SHA256),
            done: Vec::new(),
        });
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
            (Task::Named(key, digests), Event::Loaded(name)) => {
                Ok(Next::Step(self.named(key, digests, name.as_deref())))
            }
            (Task::Kept(key, name, digests), Event::Loaded(kept)) => {
                let cohort = kept.and_then(|bytes| Cohort::kept(&bytes, name));
                Ok(match cohort {
                    Some(cohort) => Next::Done(Box::new(cohort)),
                    None => Next::Step(self.collect(key, digests)),
                })
            }
            (Task::Collecting(collecting), Event::Read(bytes)) => {
                self.collected(collecting, bytes).map(Next::Step)
            }
            (Task::Preparing(key), Event::Answered(response)) => {
                self.prepared(key, *response).map(Next::Step)
            }
            (Task::Storing(cohort, ticket), Event::Stored(receipt)) if receipt.is_of(ticket) => {
                Ok(Next::Done(cohort))
            }
            _ => Err(ReadingError::OutOfOrder),
        }
    }

    fn hashed(&mut self, mut hashing: Hashing, bytes: &[u8]) -> Result<Step, ReadingError> {
        hashing.context.update(bytes);
        hashing.offset += bytes.len() as u64;
        if bytes.len() < PIECE {
            let context = std::mem::replace(&mut hashing.context, Context::new(&SHA256));
            let digest = context.finish();
            hashing.done.push(Digest(
                digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"),
            ));
            hashing.offset = 0;
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
        let offset = hashing.offset;
        self.task = Task::Hashing(hashing);
        Ok(Step::Read(piece(file, offset)))
    }

    fn named(&mut self, key: Digest, digests: Vec<Digest>, name: Option<&[u8]>) -> Step {
        let name = name
            .and_then(|name| std::str::from_utf8(name).ok())
            .and_then(|name| name.parse().ok());
        match name {
            Some(name) => {
                self.task = Task::Kept(key, name, digests);
                Step::Load(Key::Cohort(name))
            }
            None => self.collect(key, digests),
        }
    }

    fn collect(&mut self, key: Digest, digests: Vec<Digest>) -> Step {
        self.task = Task::Collecting(Collecting {
            key,
            digests,
            done: Vec::new(),
            bytes: Vec::new(),
        });
        Step::Read(piece(0, 0))
    }

    fn collected(
        &mut self,
        mut collecting: Collecting,
        bytes: Vec<u8>,
    ) -> Result<Step, ReadingError> {
        let is_last = bytes.len() < PIECE;
        collecting.bytes.extend(bytes);
        if is_last {
            let file = collecting.done.len();
            if Digest::of(&collecting.bytes) != collecting.digests[file] {
                return Err(ReadingError::Changed(self.files[file].name.clone()));
            }
            collecting.done.push(std::mem::take(&mut collecting.bytes));
        }
        let file = collecting.done.len();
        if file < self.files.len() {
            let offset = collecting.bytes.len() as u64;
            self.task = Task::Collecting(collecting);
            return Ok(Step::Read(piece(file, offset)));
        }
        self.task = Task::Preparing(collecting.key);
        let files = self.files.iter().zip(collecting.done);
        let files = files.map(|(file, bytes)| File {
            name: file.name.clone(),
            role: file.role,
            bytes: bytes.into(),
        });
        Ok(Step::Open(Box::new(Request::Prepare(Prepare {
            study: self.study.clone().into(),
            files: files.collect(),
            bad_rows: self.bad_rows,
            outcomes: Outcomes::Known,
        }))))
    }

    fn prepared(&mut self, key: Digest, response: Response) -> Result<Step, ReadingError> {
        let Response::Prepared(prepared) = response else {
            return Err(ReadingError::OutOfOrder);
        };
        let bytes = codec::encode(&prepared);
        let cohort = Cohort::of(prepared);
        let name = cohort.digest;
        let writes = self.tickets.writes(vec![
            Write::Put(Key::Cohort(name), bytes),
            Write::Put(Key::Prepared(key), name.to_string().into_bytes()),
        ]);
        self.task = Task::Storing(Box::new(cohort), writes.ticket());
        Ok(Step::Store(writes))
    }

    /// What a cohort follows from.
    fn key(&self, data: Digest) -> Digest {
        Digest::of(&[self.module.0, Digest::of(&self.study).0, data.0].concat())
    }

    /// [`Reading::data`], of the digests of the files.
    fn digest(&self, digests: &[Digest]) -> Digest {
        let mut text = vec![u8::from(self.bad_rows == BadRows::Drop)];
        for (file, digest) in self.files.iter().zip(digests) {
            text.extend(codec::encode(&file.role));
            text.extend(Digest::of(file.name.as_bytes()).0);
            text.extend(digest.0);
        }
        Digest::of(&text)
    }
}

fn piece(file: usize, offset: u64) -> Piece {
    Piece {
        file,
        offset,
        length: PIECE,
    }
}

/// Bytes of a piece: little beside a computer's memory, much beside the cost of a step.
const PIECE: usize = 4 << 20;

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

        fn answer(&mut self, step: Step) -> Event {
            match step {
                Step::Read(piece) => {
                    self.pieces += 1;
                    let bytes = &self.files[piece.file];
                    let start = usize::try_from(piece.offset).unwrap().min(bytes.len());
                    let end = (start + piece.length).min(bytes.len());
                    Event::Read(bytes[start..end].to_vec())
                }
                Step::Load(key) => Event::Loaded(self.kept.get(&key).cloned()),
                Step::Open(request) => {
                    let Request::Prepare(prepare) = *request else {
                        panic!("{request:?}");
                    };
                    self.prepared += 1;
                    let files = prepare.files.iter().map(|file| file.bytes.to_vec());
                    Event::Answered(Box::new(Response::Prepared(Prepared {
                        cohort: files.collect::<Vec<_>>().concat().into(),
                        report: Report::default(),
                    })))
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
        // Two whole pieces, one of nothing that says it is the end, and the other file; twice.
        assert_eq!((site.prepared, site.pieces), (1, 8));
        assert_eq!(site.run().unwrap(), cohort);
        assert_eq!((site.prepared, site.pieces), (1, 12));
        // Damage is not taken for what was kept.
        site.kept.insert(Key::Cohort(cohort.digest), vec![0; 9]);
        assert_eq!(site.run().unwrap(), cohort);
        assert_eq!(site.prepared, 2);
        site.files[1][0] = 9;
        assert_ne!(site.run().unwrap().digest, cohort.digest);
        assert_eq!(site.prepared, 3);
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
