//! What may stand once: a subject's label at a time, a subject's split.

use std::collections::HashMap;
use std::hash::Hash;

/// Where each key stood first.
pub(crate) struct FirstRows<K> {
    rows: HashMap<K, (usize, u64)>,
    files: Vec<String>,
}

/// Where a key stood before.
pub(crate) struct FirstRow {
    pub(crate) file: String,
    /// From 1.
    pub(crate) row: u64,
}

impl<K> Default for FirstRows<K> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            files: Vec::new(),
        }
    }
}

impl<K: Eq + Hash + Copy> FirstRows<K> {
    /// Takes note of a key's row; gives the first one where this is a second.
    pub(crate) fn note(&mut self, key: K, file: &str, row: u64) -> Result<(), FirstRow> {
        if self.files.last().is_none_or(|last| last != file) {
            self.files.push(file.to_owned());
        }
        let here = (self.files.len() - 1, row);
        match self.rows.insert(key, here) {
            None => Ok(()),
            Some((file, row)) => {
                self.rows.insert(key, (file, row));
                Err(FirstRow {
                    file: self.files[file].clone(),
                    row,
                })
            }
        }
    }
}
