//! Codes of events that no feature uses.

use std::cmp::Reverse;
use std::collections::HashMap;

use protocol::door::CodeCount;

/// Codes that are told.
const SHOWN: usize = 10;

/// The most memory for codes, in bytes: of further ones the events are counted alone.
const MOST_BYTES: usize = 16 << 20;

/// What an entry of the table takes beside the code itself, in bytes.
const ENTRY: usize = 64;

/// The most of a code that is kept, in bytes.
pub(crate) const LONGEST: usize = 100;

/// How often codes occur.
#[derive(Default)]
pub(crate) struct Codes {
    counts: HashMap<Vec<u8>, u64>,
    bytes: usize,
    events: u64,
}

impl Codes {
    pub(crate) fn add(&mut self, code: &[u8]) {
        self.events += 1;
        let code = &code[..code.len().min(LONGEST)];
        if let Some(count) = self.counts.get_mut(code) {
            *count += 1;
            return;
        }
        let bytes = self.bytes + code.len() + ENTRY;
        if bytes <= MOST_BYTES {
            self.bytes = bytes;
            self.counts.insert(code.to_vec(), 1);
        }
    }

    /// Events of all codes.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// All codes that are kept, the most frequent first.
    pub(crate) fn by_frequency(&self) -> Vec<(&[u8], u64)> {
        let counts = self.counts.iter();
        let mut codes: Vec<(&[u8], u64)> = counts
            .map(|(code, events)| (code.as_slice(), *events))
            .collect();
        codes.sort_unstable_by_key(|(code, events)| (Reverse(*events), *code));
        codes
    }
}

/// Those of [`Codes::by_frequency`] that are told.
pub(crate) fn told(codes: &[(&[u8], u64)]) -> Vec<CodeCount> {
    let count = |(code, events): &(&[u8], u64)| CodeCount {
        code: shown(code),
        events: *events,
    };
    codes.iter().take(SHOWN).map(count).collect()
}

/// A code as text, or the beginning of a long one.
pub(crate) fn shown(code: &[u8]) -> String {
    String::from_utf8_lossy(&code[..code.len().min(LONGEST)]).into_owned()
}
