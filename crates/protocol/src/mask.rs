//! Masks: ChaCha20 keystream (RFC 8439) as entries uniform modulo 2^b, added or taken away.
//!
//! The generator `PRG` of Bonawitz et al. 2017, section 3.4. Low bits of uniform words are uniform modulo a power of
//! two, so nothing is rejected and site and aggregator need the same number of words.
//!
//! All masks of a vector are applied to one block of it before the next, so a block is in the first-level cache for all
//! of them, and memory is read and written once however many neighbours a site has.

use std::fmt;

use zeroize::ZeroizeOnDrop;

use crate::chunk::ENTRIES;
use crate::cores;
use crate::keystream::{Combine, GROUP, Keystream};
use crate::pack::low_bits;

/// The key of one mask: it makes one vector and is used for nothing else. Never printed, wiped when dropped.
#[derive(Clone, ZeroizeOnDrop)]
pub struct MaskKey([u8; 32]);

impl MaskKey {
    /// The key with these bytes, which must be uniform and used nowhere else.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
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

/// The masks of one vector.
///
/// Every 256 entries of a mask are the low bits of the words of 16 blocks of its keystream, from block 0 on under a nonce
/// of zero: first the first word of each block, then the second of each, and so on.
#[derive(Clone, Default)]
pub struct Masks(Vec<(Keystream, Combine)>);

impl Masks {
    /// One more mask.
    pub fn push(&mut self, key: &MaskKey, sign: MaskSign) {
        let combine = match sign {
            MaskSign::Add => Combine::Add,
            MaskSign::Subtract => Combine::Subtract,
        };
        self.0.push((Keystream::new(key.0), combine));
    }

    /// Applies all masks, modulo 2 to the power of `bits` (1 to 32), to the entries of the vector from place `first` on.
    ///
    /// # Panics
    ///
    /// If `first` is not a multiple of 256, or from 2^36 on, where keystreams end.
    pub fn apply(&self, first: usize, bits: u32, entries: &mut [u32]) {
        assert!(
            first.is_multiple_of(GROUP),
            "entries from {first} on do not start a group of the keystream"
        );
        let low = low_bits(bits);
        let groups = (first / GROUP..).step_by(AT_ONCE / GROUP);
        for (group, entries) in groups.zip(entries.chunks_mut(AT_ONCE)) {
            for (keystream, how) in &self.0 {
                keystream.combine(group, *how, entries);
            }
            // Once for all: 2^b divides the 2^32 that the masks were added modulo.
            entries.iter_mut().for_each(|entry| *entry &= low);
        }
    }

    /// As [`Masks::apply`] to the whole vector, on as many threads as there are processors.
    pub(crate) fn apply_on_all_cores(&self, bits: u32, entries: &mut [u32]) {
        let parts = (0..).step_by(ENTRIES).zip(entries.chunks_mut(ENTRIES));
        cores::map(parts.collect(), |(first, entries)| {
            self.apply(first, bits, entries);
        });
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masks")
            .field("count", &self.0.len())
            .finish_non_exhaustive()
    }
}

/// Entries that all masks are applied to before the next: 16 KiB, half of a small first-level cache.
const AT_ONCE: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masks(keys: &[([u8; 32], MaskSign)]) -> Masks {
        let mut masks = Masks::default();
        for (key, sign) in keys {
            masks.push(&MaskKey::new(*key), *sign);
        }
        masks
    }

    /// RFC 8439, appendix A.1, test vectors 1 and 2 (the second is block 1).
    #[test]
    fn the_mask_is_the_keystream_of_rfc_8439() {
        let mut entries = [0; GROUP];
        masks(&[([0; 32], MaskSign::Add)]).apply(0, 32, &mut entries);
        let block = |block| {
            let words = entries.iter().skip(block).step_by(16);
            let bytes: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
            hex::encode(bytes)
        };
        assert_eq!(
            block(0),
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7\
             da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
        );
        assert!(block(1).starts_with("9f07e7be5551387a98ba977c732d080d"));
    }

    proptest! {
        #[test]
        fn masks_come_off_as_they_went_on(
            keys in prop::collection::vec((any::<[u8; 32]>(), prop_oneof![Just(MaskSign::Add), Just(MaskSign::Subtract)]), 0..4),
            bits in 1..=32_u32,
            entries in prop::collection::vec(any::<u32>(), 0..9000),
            cut in 0..9000_usize,
        ) {
            let entries: Vec<u32> = entries.iter().map(|entry| entry & low_bits(bits)).collect();
            let all = masks(&keys);
            let mut masked = entries.clone();
            all.apply(0, bits, &mut masked);
            prop_assert!(masked.iter().all(|entry| *entry <= low_bits(bits)));
            // In two parts it is the same.
            let cut = cut.min(entries.len()) / GROUP * GROUP;
            let mut parts = entries.clone();
            let (start, end) = parts.split_at_mut(cut);
            all.apply(0, bits, start);
            all.apply(cut, bits, end);
            prop_assert_eq!(&parts, &masked);
            // Taken off one by one, in another order.
            for (key, sign) in keys.iter().rev() {
                masks(&[(*key, sign.opposite())]).apply(0, bits, &mut masked);
            }
            prop_assert_eq!(masked, entries);
        }
    }
}
