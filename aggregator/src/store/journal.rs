//! The rounds of one study: what was decided, and what sites sent since.
//!
//! ```text
//! course       where the study stands between rounds: weights, optimizer, plan       one
//! stage        the open round as it was when its stage began                         one, or none
//! message      each message that was accepted in that stage                          stage + messages = the round now
//! chunk        each chunk of the masked vectors that stage mask's messages announce
//! withdrawals  the sites that take no further part, until they send something              one, or none
//! record       each round that is over, for people
//! announced    what each site announced at stage mask, with the round's header                for the study's life
//! ```
//!
//! Announcements are kept, though no round needs them once it is over: a site that lost its ledger's last lines learns
//! from its own signatures what it has charged.
//!
//! A [`Commit`] takes effect as a whole and is on the disk when [`Commit::finish`] returns, so a kill at any moment
//! leaves the study before it or after it. To restore is to take the stage and to accept its messages again, and to add
//! the vectors whose chunks are all there: the same code, the same result, and no second form of a half-full stage that
//! could differ from the first. So chunks are kept until their stage is over, also of a vector that is in the sum.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use minicbor::{Decode, Encode};
use protocol::api::{Announcement, Announcements, RoundRecord, Stage};
use protocol::codec;
use protocol::id::SiteId;
use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction,
};

use super::{StoreError, sync_folder_of};

const VALUES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("values");
const MESSAGES: TableDefinition<'_, (u8, u16), &[u8]> = TableDefinition::new("messages");
/// By site, then by number.
const CHUNKS: TableDefinition<'_, (u16, u32), &[u8]> = TableDefinition::new("chunks");
const RECORDS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("records");
/// By site, then by the round's number.
const ANNOUNCED: TableDefinition<'_, (u16, u32), &[u8]> = TableDefinition::new("announced");

const COURSE: &str = "course";
const STAGE: &str = "stage";
const WITHDRAWALS: &str = "withdrawals";

/// The database of one study.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// None after it could not be opened again.
    database: Option<Database>,
}

impl Journal {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut journal = Self {
            path: path.to_owned(),
            database: None,
        };
        journal.reopen()?;
        sync_folder_of(path)?;
        Ok(journal)
    }

    /// Opens the file anew: after a failure (a full disk, say) what is on the disk counts, and the database takes
    /// nothing more until then.
    ///
    /// # Errors
    ///
    /// A file that cannot be opened; the next try may succeed.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        // The file is locked while it is open.
        self.database = None;
        self.database = Some(open(&self.path)?);
        Ok(())
    }

    /// Starts a change. What it holds is nothing until [`Commit::finish`].
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn begin(&self) -> Result<Commit, StoreError> {
        Ok(Commit {
            transaction: self.database()?.begin_write().map_err(redb::Error::from)?,
        })
    }

    /// Where the study stands between rounds, once it began.
    ///
    /// # Errors
    ///
    /// A database that fails, and a value that another version of the program wrote.
    pub fn course<T: Encode<()> + for<'b> Decode<'b, ()>>(&self) -> Result<Option<T>, StoreError> {
        self.value(COURSE)
    }

    /// The sites that take no further part, once there was one.
    ///
    /// # Errors
    ///
    /// A database that fails, and a value that another version of the program wrote.
    pub fn withdrawals<T: Encode<()> + for<'b> Decode<'b, ()>>(
        &self,
    ) -> Result<Option<T>, StoreError> {
        self.value(WITHDRAWALS)
    }

    /// The open round as it was when its stage began.
    ///
    /// # Errors
    ///
    /// A database that fails, and a value that another version of the program wrote.
    pub fn stage<T: Encode<()> + for<'b> Decode<'b, ()>>(&self) -> Result<Option<T>, StoreError> {
        self.value(STAGE)
    }

    /// The messages that were accepted in the stage, by site.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn messages(&self, stage: Stage) -> Result<Vec<Vec<u8>>, StoreError> {
        let database = self.database()?;
        let read = || -> Result<Vec<Vec<u8>>, redb::Error> {
            let table = database.begin_read()?.open_table(MESSAGES)?;
            let code = code(stage);
            table
                .range((code, 0)..=(code, u16::MAX))?
                .map(|entry| Ok(entry?.1.value().to_vec()))
                .collect()
        };
        Ok(read()?)
    }

    /// The numbers of the chunks that are there, of each site.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn chunk_numbers(&self) -> Result<BTreeMap<SiteId, BTreeSet<u32>>, StoreError> {
        let database = self.database()?;
        let read = || -> Result<BTreeMap<SiteId, BTreeSet<u32>>, redb::Error> {
            let table = database.begin_read()?.open_table(CHUNKS)?;
            let mut numbers: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
            for entry in table.iter()? {
                let (site, number) = entry?.0.value();
                numbers.entry(SiteId(site)).or_default().insert(number);
            }
            Ok(numbers)
        };
        Ok(read()?)
    }

    /// A chunk of a site's masked vector.
    ///
    /// # Errors
    ///
    /// A database that fails, and a chunk that is not there.
    pub fn chunk(&self, site: SiteId, number: u32) -> Result<Vec<u8>, StoreError> {
        let database = self.database()?;
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = database.begin_read()?.open_table(CHUNKS)?;
            let bytes = table.get((site.0, number))?;
            Ok(bytes.map(|bytes| bytes.value().to_vec()))
        };
        read()?.ok_or(StoreError::NoChunk { site, number })
    }

    /// The rounds that are over, in order.
    ///
    /// # Errors
    ///
    /// A database that fails, and a record that another version of the program wrote.
    pub fn records(&self) -> Result<Vec<RoundRecord>, StoreError> {
        let database = self.database()?;
        let read = || -> Result<Vec<Vec<u8>>, redb::Error> {
            let table = database.begin_read()?.open_table(RECORDS)?;
            table
                .iter()?
                .map(|entry| Ok(entry?.1.value().to_vec()))
                .collect()
        };
        read()?
            .iter()
            .map(|bytes| Ok(serde_json::from_slice(bytes)?))
            .collect()
    }

    /// What a site announced in the rounds from number `from` on, by number: as many as fit into `most_bytes`, and one at
    /// least where there is one.
    ///
    /// # Errors
    ///
    /// A database that fails, and a value that another version of the program wrote.
    pub fn announcements(
        &self,
        site: SiteId,
        from: u32,
        most_bytes: usize,
    ) -> Result<Announcements, StoreError> {
        let database = self.database()?;
        let read = || -> Result<Vec<Vec<u8>>, redb::Error> {
            let table = database.begin_read()?.open_table(ANNOUNCED)?;
            let mut found: Vec<Vec<u8>> = Vec::new();
            let mut left = most_bytes;
            for entry in table.range((site.0, from)..=(site.0, u32::MAX))? {
                let bytes = entry?.1.value().to_vec();
                if bytes.len() > left && !found.is_empty() {
                    break;
                }
                left = left.saturating_sub(bytes.len());
                found.push(bytes);
            }
            Ok(found)
        };
        let decode = |bytes: &Vec<u8>| {
            let what = "announcement";
            codec::decode(bytes).map_err(|source| StoreError::Unreadable { what, source })
        };
        let announcements = read()?.iter().map(decode).collect::<Result<_, _>>()?;
        Ok(Announcements { announcements })
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or(StoreError::Closed)
    }

    fn value<T: Encode<()> + for<'b> Decode<'b, ()>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let database = self.database()?;
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = database.begin_read()?.open_table(VALUES)?;
            Ok(table.get(name)?.map(|bytes| bytes.value().to_vec()))
        };
        let Some(bytes) = read()? else {
            return Ok(None);
        };
        codec::decode(&bytes)
            .map(Some)
            .map_err(|source| StoreError::Unreadable { what: name, source })
    }
}

fn open(path: &Path) -> Result<Database, redb::Error> {
    let database = Database::create(path)?;
    // Every table exists from here on, so that reading needs no case for a missing one.
    let transaction = database.begin_write()?;
    transaction.open_table(VALUES)?;
    transaction.open_table(MESSAGES)?;
    transaction.open_table(CHUNKS)?;
    transaction.open_table(RECORDS)?;
    transaction.open_table(ANNOUNCED)?;
    transaction.commit()?;
    Ok(database)
}

/// A change of several things that happens as a whole.
#[must_use = "nothing is kept until it is finished"]
pub struct Commit {
    transaction: WriteTransaction,
}

impl Commit {
    /// Where the study stands.
    ///
    /// # Errors
    ///
    /// A database that fails; so for all that follow.
    pub fn course(&mut self, course: &impl Encode<()>) -> Result<&mut Self, StoreError> {
        self.value(COURSE, course)
    }

    /// The sites that take no further part.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn withdrawals(&mut self, sites: &impl Encode<()>) -> Result<&mut Self, StoreError> {
        self.value(WITHDRAWALS, sites)
    }

    /// The open round as its stage begins: messages and chunks of the stage before are part of it and go.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn stage(&mut self, stage: &impl Encode<()>) -> Result<&mut Self, StoreError> {
        self.clear_stage()?;
        self.value(STAGE, stage)
    }

    /// A message that was accepted.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn message(
        &mut self,
        stage: Stage,
        site: SiteId,
        bytes: &[u8],
    ) -> Result<&mut Self, StoreError> {
        self.with(|transaction| {
            transaction
                .open_table(MESSAGES)?
                .insert((code(stage), site.0), bytes)?;
            Ok(())
        })
    }

    /// What a site announced at stage mask; it is kept for the life of the study.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn announcement(
        &mut self,
        site: SiteId,
        announcement: &Announcement,
    ) -> Result<&mut Self, StoreError> {
        let (number, bytes) = (announcement.header.number, codec::encode(announcement));
        self.with(|transaction| {
            transaction
                .open_table(ANNOUNCED)?
                .insert((site.0, number), bytes.as_slice())?;
            Ok(())
        })
    }

    /// A chunk of a site's masked vector.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn chunk(
        &mut self,
        site: SiteId,
        number: u32,
        bytes: &[u8],
    ) -> Result<&mut Self, StoreError> {
        self.with(|transaction| {
            transaction
                .open_table(CHUNKS)?
                .insert((site.0, number), bytes)?;
            Ok(())
        })
    }

    /// The round is over: all that was kept of it goes.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn forget_round(&mut self) -> Result<&mut Self, StoreError> {
        self.clear_stage()?.with(|transaction| {
            transaction.open_table(VALUES)?.remove(STAGE)?;
            Ok(())
        })
    }

    /// What people are told of a round that is over.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn record(&mut self, record: &RoundRecord) -> Result<&mut Self, StoreError> {
        let bytes = serde_json::to_vec(record)?;
        self.with(|transaction| {
            transaction
                .open_table(RECORDS)?
                .insert(record.number, bytes.as_slice())?;
            Ok(())
        })
    }

    /// Makes the change, durably.
    ///
    /// # Errors
    ///
    /// A database that fails: nothing was changed.
    pub fn finish(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().map_err(redb::Error::from)?)
    }

    fn clear_stage(&mut self) -> Result<&mut Self, StoreError> {
        self.with(|transaction| {
            transaction.open_table(MESSAGES)?.retain(|_, _| false)?;
            // As a whole: no chunk is read for it.
            transaction.delete_table(CHUNKS)?;
            transaction.open_table(CHUNKS)?;
            Ok(())
        })
    }

    fn value(&mut self, name: &str, value: &impl Encode<()>) -> Result<&mut Self, StoreError> {
        let bytes = codec::encode(value);
        self.with(|transaction| {
            transaction
                .open_table(VALUES)?
                .insert(name, bytes.as_slice())?;
            Ok(())
        })
    }

    fn with(
        &mut self,
        change: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<&mut Self, StoreError> {
        change(&self.transaction)?;
        Ok(self)
    }
}

impl std::fmt::Debug for Commit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commit").finish_non_exhaustive()
    }
}

/// The stage's place, which is also its place in the order of keys.
fn code(stage: Stage) -> u8 {
    match stage {
        Stage::Advertise => 0,
        Stage::Share => 1,
        Stage::Mask => 2,
        Stage::Agree => 3,
        Stage::Unmask => 4,
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::{Digest, Header, Purpose};

    use super::*;

    fn folder_and_journal() -> (tempfile::TempDir, Journal) {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("study.redb")).unwrap();
        (folder, journal)
    }

    #[test]
    fn a_commit_that_is_not_finished_leaves_nothing() {
        let (_folder, journal) = folder_and_journal();
        let mut commit = journal.begin().unwrap();
        commit
            .course(&7_u32)
            .unwrap()
            .message(Stage::Mask, SiteId(2), b"vector")
            .unwrap();
        drop(commit);
        assert_eq!(journal.course::<u32>().unwrap(), None);
        assert!(journal.messages(Stage::Mask).unwrap().is_empty());
    }

    #[test]
    fn what_is_finished_is_there_after_the_file_is_opened_again() {
        let (folder, journal) = folder_and_journal();
        let mut commit = journal.begin().unwrap();
        commit
            .course(&7_u32)
            .unwrap()
            .message(Stage::Mask, SiteId(2), b"vector")
            .unwrap();
        commit.finish().unwrap();
        drop(journal);
        let journal = Journal::open(&folder.path().join("study.redb")).unwrap();
        assert_eq!(journal.course::<u32>().unwrap(), Some(7));
        assert_eq!(journal.messages(Stage::Mask).unwrap(), [b"vector".to_vec()]);
        assert!(journal.messages(Stage::Share).unwrap().is_empty());
    }

    #[test]
    fn a_new_stage_takes_the_messages_and_the_end_takes_the_stage() {
        let (_folder, journal) = folder_and_journal();
        let mut commit = journal.begin().unwrap();
        commit
            .message(Stage::Share, SiteId(0), b"shares")
            .unwrap()
            .stage(&1_u8)
            .unwrap();
        commit.finish().unwrap();
        assert!(journal.messages(Stage::Share).unwrap().is_empty());
        assert_eq!(journal.stage::<u8>().unwrap(), Some(1));
        let mut commit = journal.begin().unwrap();
        commit.forget_round().unwrap();
        commit.finish().unwrap();
        assert_eq!(journal.stage::<u8>().unwrap(), None);
    }

    fn announcement(number: u32, length: usize) -> Announcement {
        Announcement {
            header: Header {
                study: Digest([1; 32]),
                number,
                place: number,
                purpose: Purpose::Train,
                state: Digest([2; 32]),
            },
            message: vec![7; length].into(),
        }
    }

    #[test]
    fn announcements_are_there_for_good_by_site_and_number_in_pages() {
        let (folder, journal) = folder_and_journal();
        for number in [0, 3, 300, 70_000, u32::MAX] {
            let mut commit = journal.begin().unwrap();
            commit
                .announcement(SiteId(1), &announcement(number, 1_000))
                .unwrap()
                .stage(&1_u8)
                .unwrap()
                .forget_round()
                .unwrap();
            commit.finish().unwrap();
        }
        drop(journal);
        let journal = Journal::open(&folder.path().join("study.redb")).unwrap();
        let numbers = |site, from, most| {
            let page = journal.announcements(SiteId(site), from, most).unwrap();
            let numbers = page.announcements.iter();
            numbers
                .map(|announcement| announcement.header.number)
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(1, 0, usize::MAX), [0, 3, 300, 70_000, u32::MAX]);
        assert_eq!(numbers(1, 0, 2_500), [0, 3]);
        assert_eq!(numbers(1, 4, 1), [300]);
        assert_eq!(numbers(1, u32::MAX, 1), [u32::MAX]);
        assert!(numbers(0, 0, usize::MAX).is_empty());
        assert!(numbers(2, 0, usize::MAX).is_empty());
    }

    #[test]
    fn chunks_are_there_until_their_stage_is_over() {
        let (folder, journal) = folder_and_journal();
        let mut commit = journal.begin().unwrap();
        commit
            .chunk(SiteId(1), 2, b"third")
            .unwrap()
            .chunk(SiteId(1), 0, b"first")
            .unwrap()
            .chunk(SiteId(0), 0, b"other")
            .unwrap();
        commit.finish().unwrap();
        drop(journal);
        let journal = Journal::open(&folder.path().join("study.redb")).unwrap();
        let numbers = journal.chunk_numbers().unwrap();
        assert_eq!(numbers[&SiteId(1)], BTreeSet::from([0, 2]));
        assert_eq!(numbers[&SiteId(0)], BTreeSet::from([0]));
        assert_eq!(journal.chunk(SiteId(1), 2).unwrap(), b"third");
        assert!(matches!(
            journal.chunk(SiteId(1), 1),
            Err(StoreError::NoChunk { .. })
        ));
        let mut commit = journal.begin().unwrap();
        commit.stage(&1_u8).unwrap();
        commit.finish().unwrap();
        assert!(journal.chunk_numbers().unwrap().is_empty());
    }
}
