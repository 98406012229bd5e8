//! What a site keeps, in memory: it outlives the participant, as a disk outlives `kill -9`.

use std::collections::BTreeMap;

use participant::ledger::{Ledger, LedgerId};
use participant::{Key, Write};
use privacy::Budget;

/// A disk.
#[derive(Clone, Debug)]
pub struct Disk {
    kept: BTreeMap<Key, Vec<u8>>,
}

impl Disk {
    /// The disk of a new site: a ledger without a charge.
    #[must_use]
    pub fn new(ledger: LedgerId) -> Self {
        Self {
            kept: BTreeMap::from([(Key::Ledger, Ledger::begin(ledger))]),
        }
    }

    /// Makes a change.
    pub fn write(&mut self, write: &Write) {
        match write {
            Write::Append(key, bytes) => self.kept.entry(*key).or_default().extend(bytes),
            Write::Put(key, bytes) => {
                self.kept.insert(*key, bytes.clone());
            }
            Write::Seal(key, secret) => {
                self.kept.insert(*key, secret.to_vec());
            }
            Write::ForgetChunks(round) => self
                .kept
                .retain(|key, _| !matches!(key, Key::Chunk(of, _) if of == round)),
        }
    }

    /// Makes a change of which a crash leaves only the first `length` bytes, if it adds to what was there; else none.
    pub fn write_cut_short(&mut self, write: &Write, length: usize) {
        if let Write::Append(key, bytes) = write {
            let bytes = bytes[..length.min(bytes.len())].to_vec();
            self.write(&Write::Append(*key, bytes));
        }
    }

    /// What is kept.
    #[must_use]
    pub fn load(&self, key: Key) -> Option<Vec<u8>> {
        self.kept.get(&key).cloned()
    }

    /// Removes what is kept, as somebody who has access to the disk.
    pub fn remove(&mut self, key: Key) {
        self.kept.remove(&key);
    }

    /// The ledger.
    ///
    /// # Panics
    ///
    /// Where it is damaged.
    #[must_use]
    pub fn ledger(&self, budget: Option<Budget>) -> Ledger {
        let bytes = self.load(Key::Ledger).unwrap_or_default();
        Ledger::decode(&bytes, budget)
            .expect("it was not damaged")
            .0
    }
}
