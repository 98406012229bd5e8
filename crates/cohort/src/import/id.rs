//! The numbers of subjects, from the ids that a table writes.
//!
//! A whole number is its own number. An id of text becomes 63 bits of its BLAKE3 hash under a key of the site's own: the
//! same in all tables that are imported with this key, and nothing to anyone without it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use protocol::seed::Seed;

use super::ImportError;
use super::cell::Digits;
use super::map::IdKind;
use crate::bad_row::{Problem, Quoted};

const DOMAIN: &[u8] = b"wardround subject 1";

/// Turns ids into numbers, and sees that no two ids give one.
#[derive(Debug)]
pub(super) struct Ids {
    kind: IdKind,
    digits: Digits,
    /// The hash with its key in it, for ids of text.
    hash: Option<blake3::Hasher>,
    /// The id that a number was made of, and its row. Of plain numbers, only their row.
    first: HashMap<i64, (Box<str>, u64)>,
}

impl Ids {
    pub(super) fn new(
        kind: IdKind,
        key: Option<&Seed>,
        digits: Digits,
    ) -> Result<Self, ImportError> {
        let hash = match (kind, key) {
            (IdKind::Number, _) => None,
            (IdKind::Text, None) => return Err(ImportError::NoIdKey),
            (IdKind::Text, Some(key)) => {
                let mut hash = blake3::Hasher::new_keyed(key.expose());
                hash.update(DOMAIN);
                Some(hash)
            }
        };
        Ok(Self {
            kind,
            digits,
            hash,
            first: HashMap::new(),
        })
    }

    /// The number of an id.
    pub(super) fn number(&self, cell: &str) -> Result<i64, Problem> {
        let quoted = || Quoted::new(cell.as_bytes());
        if is_rounded(cell) {
            return Err(Problem::RoundedId(quoted()));
        }
        let key = self.digits.key(cell);
        let Some(hash) = &self.hash else {
            let whole = self.digits.whole(cell);
            let whole = whole.ok_or_else(|| Problem::NotId(quoted()))?;
            return whole.parse().map_err(|_| Problem::LongId(quoted()));
        };
        let digest = hash.clone().update(key.as_bytes()).finalize();
        let bits = digest.as_bytes().iter().take(8);
        let bits = bits.fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        Ok((bits >> 1).cast_signed())
    }

    /// Takes note of the id that gave a number.
    ///
    /// # Errors
    ///
    /// Another id that gave the same one.
    pub(super) fn note(
        &mut self,
        file: &str,
        number: i64,
        cell: &str,
        row: u64,
    ) -> Result<(), ImportError> {
        let key = self.digits.key(cell);
        // The text of a plain number is told by the number.
        let plain = self.kind == IdKind::Number && !padded(&key);
        let text = if plain { "" } else { key.as_ref() };
        match self.first.entry(number) {
            Entry::Vacant(vacant) => {
                vacant.insert((text.into(), row));
                Ok(())
            }
            Entry::Occupied(first) if *first.get().0 == *text => Ok(()),
            Entry::Occupied(first) => {
                let (one, at) = first.get();
                let one = if one.is_empty() {
                    number.to_string()
                } else {
                    one.to_string()
                };
                Err(ImportError::OneNumber {
                    file: file.to_owned(),
                    one: Quoted::new(one.as_bytes()),
                    at: *at,
                    other: Quoted::new(key.as_bytes()),
                    row,
                })
            }
        }
    }

    /// Takes out the ids of text with their numbers, by number: the way back.
    pub(super) fn take_texts(&mut self) -> Vec<(i64, String)> {
        if self.kind == IdKind::Number {
            return Vec::new();
        }
        let texts = std::mem::take(&mut self.first).into_iter();
        let mut texts: Vec<_> = texts
            .map(|(number, (text, _))| (number, text.into_string()))
            .collect();
        texts.sort_unstable();
        texts
    }
}

/// A CSV file of numbers and their ids.
pub(super) fn table(texts: &[(i64, String)]) -> Vec<u8> {
    let mut table = String::from("subject_id,id\n");
    for (number, id) in texts {
        let id = id.replace('"', "\"\"");
        table.push_str(&format!("{number},\"{id}\"\n"));
    }
    table.into_bytes()
}

/// Whether a cell is `1.23457E+11`, as spreadsheets write what has more digits than they show.
fn is_rounded(cell: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    cell.to_ascii_uppercase()
        .split_once("E+")
        .is_some_and(|(mantissa, exponent)| {
            let (whole, decimals) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
            whole.len() == 1 && digits(whole) && digits(decimals) && digits(exponent)
        })
}

/// Whether a whole number has zeros before it.
fn padded(whole: &str) -> bool {
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    digits.len() > 1 && digits.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::super::cell::PLAIN;
    use super::*;

    #[test]
    fn texts_get_numbers_of_63_bits_that_follow_from_the_key() {
        let ids = |byte| Ids::new(IdKind::Text, Some(&Seed::new([byte; 32])), PLAIN).unwrap();
        let uuid = "f4db39b1-693d-e301-0a1f-41d26d3ced36";
        let number = ids(1).number(uuid).unwrap();
        assert!(number >= 0);
        assert_eq!(ids(1).number(uuid), Ok(number));
        assert_ne!(ids(2).number(uuid), Ok(number));
        assert_eq!(ids(1).number("12.0"), ids(1).number("12"));
        assert_ne!(ids(1).number("0012"), ids(1).number("12"));
        assert!(Ids::new(IdKind::Text, None, PLAIN).is_err());
    }

    #[test]
    fn ids_that_are_no_numbers_say_why() {
        let numbers = Ids::new(IdKind::Number, None, PLAIN).unwrap();
        let texts = Ids::new(IdKind::Text, Some(&Seed::new([7; 32])), PLAIN).unwrap();
        for (cell, hint) in [
            ("9223372036854775808", "beyond 64 bits"),
            ("P-1", "not a whole number; for ids of text"),
            ("1.5", "not a whole number"),
            ("1.23457E+11", "a rounded number"),
            ("1,2e+20", "a rounded number"),
        ] {
            let error = numbers.number(cell).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
        assert!(
            texts.number("1.23457E+11").is_err(),
            "two patients may share it"
        );
        for cell in ["9223372036854775808", "P-1", "1E5", "E+1", "AE+12"] {
            assert!(texts.number(cell).is_ok(), "{cell}");
        }
    }

    #[test]
    fn two_ids_of_one_number_are_refused() {
        let mut ids = Ids::new(IdKind::Number, None, PLAIN).unwrap();
        let mut note = |cell: &str, row| {
            let number = ids.number(cell).unwrap();
            ids.note("t.csv", number, cell, row)
        };
        assert_eq!(note("12", 1), Ok(()));
        assert_eq!(note("12.0", 2), Ok(()));
        assert_eq!(note("007", 3), Ok(()));
        for (cell, row) in [("0012", 4), ("7", 5), ("07", 6)] {
            let error = note(cell, row).unwrap_err().to_string();
            assert!(error.contains(&format!("`{cell}` (row {row})")), "{error}");
        }
        let mut ids = Ids::new(IdKind::Text, Some(&Seed::new([7; 32])), PLAIN).unwrap();
        assert_eq!(ids.note("t.csv", 5, "a", 1), Ok(()));
        assert!(ids.note("t.csv", 5, "b", 2).is_err(), "a collision");
    }
}
