//! The privacy unit is the patient: each subject has one row of labels, and one of splits.

use std::collections::HashMap;

use crate::bad_row::Problem;

/// Where each subject stood first.
#[derive(Default)]
pub(crate) struct FirstRows {
    rows: HashMap<i64, (usize, u64)>,
    files: Vec<String>,
}

impl FirstRows {
    /// Takes note of a subject's row; a second one is refused.
    pub(crate) fn note(&mut self, subject: i64, file: &str, row: u64) -> Result<(), Problem> {
        if self.files.last().is_none_or(|last| last != file) {
            self.files.push(file.to_owned());
        }
        let here = (self.files.len() - 1, row);
        match self.rows.insert(subject, here) {
            None => Ok(()),
            Some((file, row)) => {
                self.rows.insert(subject, (file, row));
                Err(Problem::SecondRow {
                    file: self.files[file].clone(),
                    row,
                })
            }
        }
    }
}
