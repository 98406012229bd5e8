//! The parts of a file that are at hand, as the Parquet reader asks for them.

use std::io::{ErrorKind, Read};
use std::ops::Range;

use bytes::{Buf as _, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use protocol::door::PIECE;

/// Parts of a file, by where they begin. What is not at hand is an error, as the file's end is.
///
/// The reader of page headers passes over what it does not know without a look at how much there was: at the end of the
/// file it would pass over a list of two billion numbers one by one, none of which is there.
#[derive(Clone, Debug, Default)]
pub(super) struct FileBytes {
    parts: Vec<(u64, Bytes)>,
}

impl FileBytes {
    /// The bytes from `start` on, as far as they are at hand.
    fn from(&self, start: u64) -> Result<Bytes> {
        let mut parts = self.parts.iter();
        let found = parts.find_map(|(begin, bytes)| {
            let skipped = usize::try_from(start.checked_sub(*begin)?).ok()?;
            (skipped < bytes.len()).then(|| bytes.slice(skipped..))
        });
        found.ok_or_else(|| ParquetError::EOF("a page lies outside of its column".to_owned()))
    }
}

impl Length for FileBytes {
    fn len(&self) -> u64 {
        let ends = self.parts.iter();
        let ends = ends.map(|(begin, bytes)| begin.saturating_add(bytes.len() as u64));
        ends.max().unwrap_or(0)
    }
}

impl ChunkReader for FileBytes {
    type T = Rest;

    fn get_read(&self, start: u64) -> Result<Rest> {
        let rest = self.from(start);
        // Behind the last page there is nothing to read, and the reader asks.
        Ok(Rest(rest.unwrap_or_default().reader()))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let rest = self.from(start)?;
        if length > rest.len() {
            return Err(ParquetError::EOF(
                "a page is longer than its column".to_owned(),
            ));
        }
        Ok(rest.slice(..length))
    }
}

/// The bytes from some place on.
pub(super) struct Rest(bytes::buf::Reader<Bytes>);

impl Read for Rest {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if into.is_empty() || self.0.get_ref().has_remaining() {
            self.0.read(into)
        } else {
            Err(ErrorKind::UnexpectedEof.into())
        }
    }
}

/// Ranges of a file's bytes that are wanted, while its pieces come in, in order.
#[derive(Debug)]
pub(super) struct Gathering {
    ranges: Vec<(Range<u64>, Vec<u8>)>,
    /// Pieces that are still to come, the next one last.
    missing: Vec<u64>,
}

impl Gathering {
    pub(super) fn new(ranges: Vec<Range<u64>>) -> Self {
        let piece = PIECE as u64;
        let filled = ranges.iter().filter(|range| !range.is_empty());
        let mut missing: Vec<u64> = filled
            .flat_map(|range| range.start / piece..=(range.end - 1) / piece)
            .collect();
        missing.sort_unstable_by(|one, other| other.cmp(one));
        missing.dedup();
        let ranges = ranges.into_iter().map(|range| (range, Vec::new()));
        Self {
            ranges: ranges.collect(),
            missing,
        }
    }

    /// The piece that is wanted next.
    pub(super) fn wants(&self) -> Option<u64> {
        self.missing.last().copied()
    }

    /// Takes the piece that was wanted next.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let Some(number) = self.missing.pop() else {
            return;
        };
        let begin = number * PIECE as u64;
        let end = begin + bytes.len() as u64;
        for (range, gathered) in &mut self.ranges {
            let from = range.start.clamp(begin, end) - begin;
            let to = range.end.clamp(begin, end) - begin;
            // Both are at most the length of a piece.
            let (from, to) = (usize::try_from(from), usize::try_from(to));
            if let (Ok(from), Ok(to)) = (from, to) {
                gathered.extend_from_slice(&bytes[from..to]);
            }
        }
    }

    /// The ranges, in their order, once nothing is missing.
    pub(super) fn into_ranges(self) -> impl Iterator<Item = (Range<u64>, Bytes)> {
        let ranges = self.ranges.into_iter();
        ranges.map(|(range, bytes)| (range, Bytes::from(bytes)))
    }

    pub(super) fn into_bytes(self) -> FileBytes {
        let parts = self.into_ranges();
        FileBytes {
            parts: parts.map(|(range, bytes)| (range.start, bytes)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_gathered_from_the_pieces_that_they_lie_in() {
        let piece = PIECE as u64;
        let byte = |place: u64| (place % 251) as u8;
        let ranges = vec![
            3..7,
            piece - 2..2 * piece + 3,
            5 * piece..5 * piece + 1,
            9..9,
        ];
        let mut gathering = Gathering::new(ranges.clone());
        let mut asked = Vec::new();
        while let Some(number) = gathering.wants() {
            asked.push(number);
            let bytes: Vec<u8> = (number * piece..(number + 1) * piece).map(byte).collect();
            gathering.take(&bytes);
        }
        assert_eq!(asked, [0, 1, 2, 5]);
        let bytes = gathering.into_bytes();
        for range in &ranges {
            let length = usize::try_from(range.end - range.start).unwrap();
            let want: Vec<u8> = range.clone().map(byte).collect();
            assert_eq!(bytes.get_bytes(range.start, length).unwrap(), want);
        }
        assert!(bytes.get_bytes(3, 5).is_err(), "beyond what is at hand");
        assert!(bytes.get_bytes(8, 1).is_err());
    }
}
