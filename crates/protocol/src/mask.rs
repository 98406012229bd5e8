//! Masks: ChaCha20 keystream (RFC 8439) as entries uniform modulo 2^b, added or taken away.
//!
//! The generator `PRG` of Bonawitz et al. 2017, section 3.4. Low bits of uniform words are uniform modulo a power of
//! two, so nothing is rejected and site and aggregator need the same number of words.

use std::fmt;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::pack::low_bits;

/// The key of one mask: it makes one vector and is used for nothing else. Never printed, wiped when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub struct MaskKey([u8; 32]);

impl MaskKey {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskKey").finish_non_exhaustive()
    }
}

/// Whether a mask is put on or taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskSign {
    /// The mask is added.
    Add,
    /// The mask is subtracted.
    Subtract,
}

impl MaskSign {
    /// The sign that undoes this one.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Add => Self::Subtract,
            Self::Subtract => Self::Add,
        }
    }
}

/// Adds the mask to `entries`, or subtracts it, modulo 2 to the power of `bits` (1 to 32).
///
/// Entry `i` of the mask is the low bits of the keystream's word `i`, least significant byte first, from block 0
/// under a nonce of zero.
///
/// # Panics
///
/// Never below 2^36 entries, where the keystream ends.
pub fn apply(key: &MaskKey, sign: MaskSign, bits: u32, entries: &mut [u32]) {
    let mut stream = ChaCha20::new((&key.0).into(), &NONCE.into());
    let mut words = [0; CHUNK];
    for chunk in entries.chunks_mut(CHUNK / 4) {
        let words = &mut words[..chunk.len() * 4];
        words.fill(0);
        stream.apply_keystream(words);
        add(chunk, words, sign, low_bits(bits));
    }
    words.zeroize();
}

fn add(entries: &mut [u32], words: &[u8], sign: MaskSign, mask: u32) {
    let words = words
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| u32::from_le_bytes(*word));
    match sign {
        MaskSign::Add => {
            entries
                .iter_mut()
                .zip(words)
                .for_each(|(entry, word)| *entry = entry.wrapping_add(word) & mask);
        }
        MaskSign::Subtract => {
            entries
                .iter_mut()
                .zip(words)
                .for_each(|(entry, word)| *entry = entry.wrapping_sub(word) & mask);
        }
    }
}

const NONCE: [u8; 12] = [0; 12];
/// Bytes of keystream made at once: they stay in the first-level cache together with the entries they mask.
const CHUNK: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 8439, appendix A.1, test vectors 1 and 2 (the second is block 1).
    #[test]
    fn the_mask_is_the_keystream_of_rfc_8439() {
        let mut entries = [0; 32];
        apply(&MaskKey::new([0; 32]), MaskSign::Add, 32, &mut entries);
        let bytes: Vec<u8> = entries
            .iter()
            .flat_map(|entry| entry.to_le_bytes())
            .collect();
        assert_eq!(
            hex::encode(&bytes[..64]),
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7\
             da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
        );
        assert_eq!(hex::encode(&bytes[64..68]), "9f07e7be");
    }

    proptest! {
        #[test]
        fn a_mask_comes_off_as_it_went_on(
            key in any::<[u8; 32]>(),
            bits in 1..=32_u32,
            entries in prop::collection::vec(any::<u32>(), 0..2500),
        ) {
            let key = MaskKey::new(key);
            let entries: Vec<u32> = entries.iter().map(|entry| entry & low_bits(bits)).collect();
            let mut masked = entries.clone();
            apply(&key, MaskSign::Add, bits, &mut masked);
            prop_assert!(masked.iter().all(|entry| *entry <= low_bits(bits)));
            // What is masked starts the same, however long the vector is.
            let mut start = entries[..entries.len() / 2].to_vec();
            apply(&key, MaskSign::Add, bits, &mut start);
            prop_assert_eq!(&masked[..start.len()], &start);
            apply(&key, MaskSign::Add.opposite(), bits, &mut masked);
            prop_assert_eq!(masked, entries);
        }
    }
}
