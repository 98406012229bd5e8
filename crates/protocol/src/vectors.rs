//! The steps of a round and its primitives as numbers, so that another implementation of `docs/PROTOCOL.md` can be checked
//! step by step. Whole rounds are in `tests/vectors.rs`.
//!
//! ```text
//! tests/vectors/round.json ──▶ keys.json         each secret, key and vector of that round
//!     round-on-a-graph.json ─▶ holders.json      who holds whose shares in that round
//!                              lottery.json      who is drawn to take part, from nonces to sites
//!                              primitives.json   each primitive by itself, with what is refused
//! ```

mod holders;
mod keys;
mod lottery;
mod played;
mod primitives;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::mask::{MaskKey, MaskSign, Masks};
use crate::seed::expand;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name)
}

fn read(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap()
}

fn compare(name: &str, vectors: &Value) {
    testkit::vectors::compare(&path(name), &format!("{vectors:#}\n"));
}

/// `expand(salt, secret, info)` as the page writes it (section 2).
fn key(salt: &str, secret: &[u8], info: &[&[u8]]) -> [u8; 32] {
    expand(&format!("wardround/1 {salt}"), secret, info)
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn bytes_32(value: &Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}

/// A mask's entries from place `first` on.
fn mask(key: &[u8; 32], first: usize, bits: u32, count: usize) -> Vec<u32> {
    let mut masks = Masks::default();
    masks.push(&MaskKey::new(*key), MaskSign::Add);
    let mut entries = vec![0; count];
    masks.apply(first, bits, &mut entries);
    entries
}
