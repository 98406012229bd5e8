//! The journal of a round: what the module was asked, and what it answered, before anything leaves.
//!
//! ```text
//! rounds/00007/journal    record, record, …      record = length (4, LE) ‖ SHA-256 of entry (first 8) ‖ entry (CBOR)
//! rounds/00007/state      the state that the round starts from
//! rounds/00007/chunks/    the masked vector on its way: see [`crate::chunks`]
//! rounds/00007/memory     what the site keeps of it for its next round, where the study keeps anything
//! ```
//!
//! After `kill -9` the same seed and the same requests go to a fresh instance, which gives the same answers, and what
//! was sent is sent again, bit for bit. An answer is never computed twice from different inputs: the inputs of every
//! message are on disk before the message leaves. A record whose writing was cut short never left, and is dropped.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use protocol::api::Stage;
use protocol::codec;
use protocol::door::Request;
use protocol::id::{Digest, Header, SiteId};

use crate::durable::{self, FileError};

/// What a record holds.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Entry {
    /// The round was started.
    #[n(0)]
    Opened(#[n(0)] Opened),
    /// The module was asked.
    #[n(1)]
    Asked(#[n(0)] Request),
    /// The module's answer to the request before; from here on it may have left.
    #[n(2)]
    Sending(#[n(0)] Sending),
}

/// All that decides what a round's instance computes.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Opened {
    /// The round.
    #[n(0)]
    pub header: Header,
    /// This site.
    #[n(1)]
    pub site: SiteId,
    /// The digest of the module.
    #[n(2)]
    pub module: Digest,
    /// The digest of the prepared cohort.
    #[n(3)]
    pub cohort: Digest,
    /// The seed of the instance's randomness: secret, for it makes noise and masks.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub seed: [u8; 32],
    /// What the site kept of the round before; empty where that was nothing.
    #[n(5)]
    pub memory: ByteVec,
}

/// A message that leaves the building.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sending {
    /// The stage that it belongs to.
    #[n(0)]
    pub stage: Stage,
    /// The digest of what the module answered.
    #[n(1)]
    pub body: Digest,
    /// The signed message, as it is sent.
    #[n(2)]
    pub message: ByteVec,
}

/// A question to the module and, once it was answered, the message that came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// What was asked.
    pub request: Request,
    /// What was about to be sent.
    pub sending: Option<Sending>,
}

/// A round's journal, open for appending.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    opened: Opened,
    exchanges: Vec<Exchange>,
}

impl Journal {
    /// Starts the journal of a round; `state` is kept beside it.
    ///
    /// # Errors
    ///
    /// A folder that cannot be written, and one that holds the journal of a started round.
    pub fn create(folder: &Path, opened: Opened, state: &[u8]) -> Result<Self, JournalError> {
        durable::create_folder(folder)?;
        durable::replace(&folder.join(STATE), state)?;
        let path = folder.join(JOURNAL);
        let mut file = durable::open_log(&path)?;
        if !read_entries(&mut file, &path)?.is_empty() {
            return Err(JournalError::Started(path));
        }
        append(&mut file, &path, &[Entry::Opened(opened.clone())])?;
        Ok(Self {
            file,
            path,
            opened,
            exchanges: Vec::new(),
        })
    }

    /// Opens the journal of a round, where the round was started.
    ///
    /// # Errors
    ///
    /// A journal that cannot be read, and one that this program did not write.
    pub fn open(folder: &Path) -> Result<Option<Self>, JournalError> {
        let path = folder.join(JOURNAL);
        if !path.exists() {
            return Ok(None);
        }
        let mut file = durable::open_log(&path)?;
        let mut entries = read_entries(&mut file, &path)?.into_iter();
        let opened = match entries.next() {
            None => return Ok(None),
            Some(Entry::Opened(opened)) => opened,
            Some(Entry::Asked(_) | Entry::Sending(_)) => return Err(JournalError::Corrupt(path)),
        };
        let exchanges = pair(entries).ok_or_else(|| JournalError::Corrupt(path.clone()))?;
        Ok(Some(Self {
            file,
            path,
            opened,
            exchanges,
        }))
    }

    /// What there is to say where a message in it is none.
    pub(crate) fn corrupt(&self) -> JournalError {
        JournalError::Corrupt(self.path.clone())
    }

    /// How the round was started.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// What was asked and answered, in order.
    #[must_use]
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// The message of a stage, if it was made.
    #[must_use]
    pub fn sending(&self, stage: Stage) -> Option<&Sending> {
        self.exchanges
            .iter()
            .filter_map(|exchange| exchange.sending.as_ref())
            .find(|sent| sent.stage == stage)
    }

    /// The question of a stage whose answer was not yet written down, if there is one.
    #[must_use]
    pub fn unanswered(&self) -> Option<&Request> {
        self.exchanges
            .last()
            .filter(|exchange| exchange.sending.is_none())
            .map(|exchange| &exchange.request)
    }

    /// Writes a question and its answer down; on return both are on disk, and the message may leave.
    ///
    /// # Errors
    ///
    /// A disk that does not take them: the message must not leave.
    pub fn record(&mut self, request: Request, sending: Sending) -> Result<(), JournalError> {
        let mut entries = Vec::new();
        if self.unanswered().is_some() {
            // The question is on disk since before a crash, and is the same one.
            self.exchanges.pop();
        } else {
            entries.push(Entry::Asked(request.clone()));
        }
        entries.push(Entry::Sending(sending.clone()));
        append(&mut self.file, &self.path, &entries)?;
        self.exchanges.push(Exchange {
            request,
            sending: Some(sending),
        });
        Ok(())
    }

    /// The state that the round started from.
    ///
    /// # Errors
    ///
    /// A state that is missing, or is not the one that the round's header names.
    pub fn state(folder: &Path, header: &Header) -> Result<Vec<u8>, JournalError> {
        let path = folder.join(STATE);
        let state = durable::read(&path)?;
        if Digest::of(&state) == header.state {
            Ok(state)
        } else {
            Err(JournalError::Corrupt(path))
        }
    }
}

/// Keeps what a site is to remember of the round in this folder.
///
/// # Errors
///
/// A disk that does not take it.
pub fn remember(folder: &Path, memory: &[u8]) -> Result<(), FileError> {
    durable::replace(&folder.join(MEMORY), memory)
}

/// What was remembered of the round in this folder, if anything was.
///
/// # Errors
///
/// A file that cannot be read.
pub fn remembered(folder: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let path = folder.join(MEMORY);
    path.exists().then(|| durable::read(&path)).transpose()
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The round was started before.
    #[error("{} holds a started round", .0.display())]
    Started(PathBuf),
    /// The file is not what this program wrote.
    #[error("{} is damaged: what this site sent in the round cannot be known, so the round is left alone", .0.display())]
    Corrupt(PathBuf),
}

/// Pairs questions with answers; `None` where they do not alternate.
fn pair(entries: impl Iterator<Item = Entry>) -> Option<Vec<Exchange>> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for entry in entries {
        let open = exchanges.last_mut().filter(|last| last.sending.is_none());
        match (entry, open) {
            (Entry::Asked(request), None) => exchanges.push(Exchange {
                request,
                sending: None,
            }),
            (Entry::Sending(sending), Some(open)) => open.sending = Some(sending),
            _ => return None,
        }
    }
    Some(exchanges)
}

fn append(file: &mut File, path: &Path, entries: &[Entry]) -> Result<(), FileError> {
    let bytes: Vec<u8> = entries.iter().flat_map(record).collect();
    file.write_all(&bytes)
        .and_then(|()| file.sync_data())
        .map_err(FileError::at("writing", path))
}

fn record(entry: &Entry) -> Vec<u8> {
    let entry = codec::encode(entry);
    let length = u32::try_from(entry.len()).expect("a message is far shorter than 4 GiB");
    [&length.to_le_bytes(), checksum(&entry).as_slice(), &entry].concat()
}

/// Reads all records, and cuts off one whose writing was cut short.
fn read_entries(file: &mut File, path: &Path) -> Result<Vec<Entry>, JournalError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .map_err(FileError::at("reading", path))?;
    let (entries, whole) = parse(&bytes).ok_or_else(|| JournalError::Corrupt(path.to_owned()))?;
    if whole < bytes.len() {
        durable::cut(file, path, whole)?;
    }
    Ok(entries)
}

/// The entries, and the bytes that they take; `None` where something other than the last record is damaged.
fn parse(bytes: &[u8]) -> Option<(Vec<Entry>, usize)> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while let Some((head, tail)) = rest.split_first_chunk::<HEAD>() {
        let (length, sum) = head.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let Some((entry, tail)) = tail.split_at_checked(length) else {
            break;
        };
        if checksum(entry) != sum {
            // The last one may have been cut short by a crash; before others, it is damage.
            if tail.is_empty() { break } else { return None }
        }
        entries.push(codec::decode(entry).ok()?);
        rest = tail;
    }
    Some((entries, bytes.len() - rest.len()))
}

fn checksum(entry: &[u8]) -> [u8; 8] {
    let digest = Digest::of(entry).0;
    *digest.first_chunk().expect("a digest has 32 bytes")
}

const JOURNAL: &str = "journal";
const STATE: &str = "state";
const MEMORY: &str = "memory";
/// Bytes of a record before its entry.
const HEAD: usize = 12;

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};
    use protocol::door::{Messages, Survivors};
    use protocol::id::Purpose;

    use super::*;

    fn opened(number: u32) -> Opened {
        let zero = Digest([0; 32]);
        let header = Header {
            study: zero,
            number,
            place: number,
            purpose: Purpose::Train,
            state: Digest::of(b"state"),
        };
        Opened {
            header,
            site: SiteId(1),
            module: zero,
            cohort: zero,
            seed: [9; 32],
            memory: ByteVec::from(vec![]),
        }
    }

    fn sending(stage: Stage, message: &[u8]) -> Sending {
        Sending {
            stage,
            body: Digest::of(message),
            message: message.to_vec().into(),
        }
    }

    fn any_request() -> impl Strategy<Value = Request> {
        let bytes = prop::collection::vec(any::<u8>(), 0..60);
        prop_oneof![
            Just(Request::Advertise),
            bytes.prop_map(|bytes| Request::Share(Messages {
                messages: vec![bytes.into()]
            })),
            prop::collection::vec(0_u16..9, 0..5).prop_map(|sites| Request::Agree(Survivors {
                inputs: vec![vec![7; sites.len()].into()],
                sites: sites.into_iter().map(SiteId).collect()
            })),
        ]
    }

    proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

        #[test]
        fn a_journal_cut_at_any_byte_gives_the_records_before(
            exchanges in prop::collection::vec((any_request(), prop::collection::vec(any::<u8>(), 0..80)), 0..5),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut journal = Journal::create(folder.path(), opened(7), b"state").unwrap();
            for ((request, message), stage) in exchanges.into_iter().zip(Stage::ALL) {
                journal.record(request, sending(stage, &message)).unwrap();
            }
            let path = folder.path().join(JOURNAL);
            let whole = std::fs::read(&path).unwrap();
            let (all, length) = parse(&whole).unwrap();
            assert_eq!(length, whole.len());
            for cut in 0..whole.len() {
                let (entries, kept) = parse(&whole[..cut]).unwrap();
                assert!(kept <= cut);
                assert_eq!(entries[..], all[..entries.len()]);
                // Zeros where the file had grown but its data had not been written.
                let mut torn = whole[..cut].to_vec();
                torn.resize(whole.len(), 0);
                if let Some((entries, _)) = parse(&torn) {
                    assert_eq!(entries[..], all[..entries.len()]);
                }
                // On disk, what is left can be continued.
                if cut % 29 == 0 {
                    std::fs::write(&path, &whole[..cut]).unwrap();
                    if let Some(reopened) = Journal::open(folder.path()).unwrap() {
                        assert_eq!(std::fs::metadata(&path).unwrap().len(), u64::try_from(kept).unwrap());
                        assert_eq!(reopened.exchanges().len(), entries.len() / 2);
                    } else {
                        assert_eq!(kept, 0);
                    }
                }
            }
        }
    }

    #[test]
    fn a_journal_is_continued_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Journal::open(folder.path()).unwrap().is_none());
        let mut journal = Journal::create(folder.path(), opened(7), b"state").unwrap();
        journal
            .record(Request::Advertise, sending(Stage::Advertise, b"keys"))
            .unwrap();
        drop(journal);

        let mut journal = Journal::open(folder.path()).unwrap().unwrap();
        assert_eq!(*journal.opened(), opened(7));
        assert_eq!(
            journal.sending(Stage::Advertise),
            Some(&sending(Stage::Advertise, b"keys"))
        );
        assert_eq!(journal.sending(Stage::Share), None);
        let share = Request::Share(Messages {
            messages: Vec::new(),
        });
        journal
            .record(share.clone(), sending(Stage::Share, b"shares"))
            .unwrap();
        drop(journal);

        let journal = Journal::open(folder.path()).unwrap().unwrap();
        assert_eq!(journal.exchanges().len(), 2);
        assert_eq!(journal.exchanges()[1].request, share);
        assert!(matches!(
            Journal::create(folder.path(), opened(7), b"state"),
            Err(JournalError::Started(_))
        ));
        assert_eq!(
            Journal::state(folder.path(), &opened(7).header).unwrap(),
            b"state"
        );
    }

    #[test]
    fn a_question_without_its_answer_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path(), opened(7), b"state").unwrap();
        journal
            .record(Request::Advertise, sending(Stage::Advertise, b"keys"))
            .unwrap();
        let path = folder.path().join(JOURNAL);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();

        let mut journal = Journal::open(folder.path()).unwrap().unwrap();
        assert_eq!(journal.unanswered(), Some(&Request::Advertise));
        journal
            .record(Request::Advertise, sending(Stage::Advertise, b"keys"))
            .unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn damage_before_the_end_is_not_taken_for_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path(), opened(7), b"state").unwrap();
        journal
            .record(Request::Advertise, sending(Stage::Advertise, b"keys"))
            .unwrap();
        let path = folder.path().join(JOURNAL);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEAD + 3] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(
            Journal::open(folder.path()),
            Err(JournalError::Corrupt(_))
        ));
    }
}
