//! The register of a study: each round that this site began, so that it knows for good what it was asked.
//!
//! ```text
//! {"begun":{"number":7,"place":5,"purpose":"train","state":"…"}}       before anything of the round leaves
//! {"opened":7}                                                         before its shares of the masks leave
//! ```
//!
//! Journals may be forgotten; the register stays.

use protocol::id::{Digest, Header, Purpose};
use serde::{Deserialize, Serialize};

use crate::jsonl;

/// A line of the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Line {
    /// A round began.
    Begun(Begun),
    /// This site helps to open the sum of the round with this number.
    Opened(u32),
}

/// A round that this site began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    /// Its number.
    pub number: u32,
    /// Its place in the plan.
    pub place: u32,
    /// What it computes.
    pub purpose: Purpose,
    /// The digest of the state that it starts from.
    pub state: Digest,
}

impl Begun {
    /// The round with this header.
    #[must_use]
    pub fn of(header: &Header) -> Self {
        Self {
            number: header.number,
            place: header.place,
            purpose: header.purpose,
            state: header.state,
        }
    }
}

impl Line {
    /// The line as it is written, with its end.
    ///
    /// # Panics
    ///
    /// Never: a line has no key that JSON lacks.
    #[must_use]
    pub fn text(&self) -> String {
        jsonl::line(self)
    }
}

/// Reads a register; gives the bytes at its start that are whole.
///
/// # Errors
///
/// A line that no register has.
pub fn decode(bytes: &[u8]) -> Result<(Vec<Line>, usize), Damaged> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n');
    let whole = whole.map_or(0, |end| end + 1);
    let text = std::str::from_utf8(&bytes[..whole]).map_err(|_| Damaged(1))?;
    let parse = |(place, text)| serde_json::from_str(text).map_err(|_| Damaged(place));
    let lines: Result<Vec<Line>, Damaged> = (1..).zip(text.lines()).map(parse).collect();
    Ok((lines?, whole))
}

/// The register is not what this program wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {0} of the study's register of rounds is damaged: restore it from a backup; without it, nothing leaves this site"
)]
pub struct Damaged(pub usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_is_read_back_and_a_line_cut_short_is_dropped() {
        let begun = Begun {
            number: 7,
            place: 5,
            purpose: Purpose::Train,
            state: Digest::of(b"state"),
        };
        let lines = [Line::Begun(begun), Line::Opened(7)];
        let text: String = lines.iter().map(Line::text).collect();
        assert!(text.starts_with(r#"{"begun":{"number":7,"place":5,"purpose":"train","state":""#));
        assert_eq!(decode(text.as_bytes()), Ok((lines.to_vec(), text.len())));
        let first = lines[0].text().len();
        for cut in 0..text.len() {
            let (read, whole) = decode(&text.as_bytes()[..cut]).unwrap();
            assert_eq!(whole, if cut < first { 0 } else { first });
            assert_eq!(read[..], lines[..read.len()]);
        }
        assert_eq!(decode(b"{}\n"), Err(Damaged(1)));
    }
}
