//! What is fuzzed: one row a decoder.

use std::path::{Path, PathBuf};

use crate::memory::most_held;
use crate::targets::{cohort, door, message, round, study, vector};

/// A decoder that takes bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line and in `fuzz/regressions`.
    pub name: &'static str,
    /// Gives it the bytes; panics where it does what it must not.
    decode: fn(&[u8]),
    /// The memory that it may hold at once.
    bound: Bound,
    /// Inputs that honest parties write.
    seeds: fn() -> Vec<Vec<u8>>,
}

/// Bytes that may be held at once: `base + factor · the input's length`.
#[derive(Clone, Copy, Debug)]
struct Bound {
    base: usize,
    factor: usize,
}

/// Of CBOR: a byte can stand for a value of 24 (an empty text, say), in a vector that is growing.
const MESSAGE: Bound = Bound {
    base: 64 << 10,
    factor: 128,
};

/// Of what is parsed into much more than its bytes.
const DOCUMENT: Bound = Bound {
    base: 64 << 20,
    factor: 16,
};

/// Of packed pages, of which each of a row's columns holds one: 128 MiB at most, and as much while it grows.
const PACKED: Bound = Bound {
    base: 1_280 << 20,
    factor: 16,
};

impl Target {
    /// Every target.
    pub const ALL: &'static [Self] = &[
        Self::new("advert", message::advert, MESSAGE, message::adverts),
        Self::new("shares", message::shares, MESSAGE, message::all_shares),
        Self::new(
            "masked-input",
            message::masked_input,
            MESSAGE,
            message::masked_inputs,
        ),
        Self::new(
            "agreement",
            message::agreement,
            MESSAGE,
            message::agreements,
        ),
        Self::new("opening", message::opening, MESSAGE, message::openings),
        Self::new("signed", message::signed, MESSAGE, message::all_signed),
        Self::new("relayed", message::relayed, MESSAGE, message::all_relayed),
        Self::new("request", message::request, MESSAGE, door::requests),
        Self::new("response", message::response, MESSAGE, door::responses),
        Self::new("state", message::state, MESSAGE, message::states),
        Self::new("service", message::service, MESSAGE, message::services),
        Self::new("weights", study::weights, DOCUMENT, study::weight_files),
        Self::new("study", study::parse, DOCUMENT, study::files),
        Self::new("stored-round", round::restore, DOCUMENT, round::stored),
        Self::new("accept", round::accept, DOCUMENT, round::signed_bodies),
        Self::new("chunk", vector::chunk, DOCUMENT, vector::chunks),
        Self::new("packed", vector::packed, MESSAGE, vector::packed_vectors),
        Self::new("sealed", vector::sealed, MESSAGE, vector::sealed_messages),
        Self::new("parquet", cohort::parquet, PACKED, cohort::parquet_files),
        Self::new(
            "patients",
            cohort::patients,
            DOCUMENT,
            cohort::encoded_patients,
        ),
        Self::new("csv", cohort::csv, DOCUMENT, cohort::tables),
        Self::new("map", cohort::map, DOCUMENT, cohort::maps),
        Self::new("door", door::requests_in_turn, DOCUMENT, door::sequences),
    ];

    const fn new(
        name: &'static str,
        decode: fn(&[u8]),
        bound: Bound,
        seeds: fn() -> Vec<Vec<u8>>,
    ) -> Self {
        Self {
            name,
            decode,
            bound,
            seeds,
        }
    }

    /// The target with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|target| target.name == name)
    }

    /// Gives the decoder these bytes.
    ///
    /// # Panics
    ///
    /// Where the decoder panics, holds more memory than its bound, or changes what a refusal must leave as it was.
    pub fn run(&self, input: &[u8]) {
        let Bound { base, factor } = self.bound;
        let bound = base + factor * input.len();
        let ((), held) = most_held(|| (self.decode)(input));
        assert!(
            held <= bound,
            "{} held {held} bytes at once for an input of {}; its bound is {bound}",
            self.name,
            input.len()
        );
    }

    /// What honest parties write; also whatever a target makes once is made by this.
    #[must_use]
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        (self.seeds)()
    }

    /// The folder of the inputs that once went wrong.
    #[must_use]
    pub fn regressions(&self) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
        folder.join(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Counting;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    /// One test, since memory is counted for the whole process.
    #[test]
    fn a_decoder_may_hold_its_bound_and_not_more() {
        const HELD: usize = 4 << 20;
        let decode = |input: &[u8]| {
            let held: Vec<u8> = Vec::with_capacity(HELD * input.len());
            std::hint::black_box(held);
        };
        let bound = Bound {
            base: 0,
            factor: HELD + 1_024,
        };
        let fits = Target::new("fits", decode, bound, Vec::new);
        fits.run(&[0; 3]);
        let bound = Bound {
            base: 0,
            factor: HELD - 1_024,
        };
        let exceeds = Target::new("exceeds", decode, bound, Vec::new);
        let refused = std::panic::catch_unwind(|| exceeds.run(&[0; 3]));
        assert!(refused.is_err());
    }
}
