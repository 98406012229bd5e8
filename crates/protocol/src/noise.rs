//! The parts of a site's noise that go off the sum again, each from a key of its own.
//!
//! ```text
//! session seed ──▶ K_m ──▶ K_{m−1} ──▶ … ──▶ K_1      HKDF-SHA256: one way
//!                   │          │              │
//!                part m     part m−1        part 1    ChaCha20, discrete Gaussian
//! ```
//!
//! Part 1 goes first, with one survivor more than the threshold, and part `m` where all sites survive
//! ([`crate::study::Part`]). So whoever is given `K_i` can make parts 1 to `i`, which are those to take off, and none of
//! those that stay. Site and aggregator draw with the same function: what is taken off is what was added.
//!
//! Parts are added modulo 2^b, as masks are, and are not clipped. Reducing a sum is a function of it, so no privacy is
//! lost, and adding and taking off cancel exactly whatever was drawn.

use privacy::DiscreteGaussian;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::cores;
use crate::mask::MaskSign;
use crate::pack::low_bits;
use crate::seed::Seed;
use crate::study::Layout;

/// The keys of the first parts of one site's noise: all of them at the site, those to take off at the aggregator.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// `K_parts`, from which the others follow.
    last: Seed,
    parts: usize,
}

impl Chain {
    /// The keys of parts 1 to `parts`, of which the last is given.
    pub(crate) fn new(last: Seed, parts: usize) -> Self {
        Self { last, parts }
    }

    /// The keys `K_1`, `K_2`, …, in this order.
    pub(crate) fn keys(&self) -> Vec<Seed> {
        let below = |key: &Seed| Some(key.derive("key of the part below"));
        let mut keys: Vec<Seed> = std::iter::successors(Some(self.last.clone()), below)
            .take(self.parts)
            .collect();
        keys.reverse();
        keys
    }

    /// The sum of these parts, an entry each of the layout's sections; none where there are no parts.
    pub(crate) fn drawn(&self, layout: &Layout) -> Zeroizing<Vec<u32>> {
        let length = if self.parts > 0 { layout.length() } else { 0 };
        let mut noise = Zeroizing::new(vec![0; length]);
        self.apply(MaskSign::Add, layout, &mut noise);
        noise
    }

    /// Adds these parts to `entries`, of the layout's sections, or takes them off, modulo 2 to the power of the layout's
    /// bits.
    ///
    /// # Panics
    ///
    /// Never with a layout of a study.
    pub(crate) fn apply(&self, sign: MaskSign, layout: &Layout, entries: &mut [u32]) {
        for (place, key) in self.keys().iter().enumerate() {
            let mut rng = key.derive("part of noise").rng();
            let mut rest = &mut *entries;
            for section in &layout.sections {
                let (own, after) = rest.split_at_mut(section.length.min(rest.len()));
                rest = after;
                let variance = section.parts.get(place).map_or(0, |part| part.variance);
                if variance > 0 {
                    let gaussian = DiscreteGaussian::new(variance)
                        .expect("a part is less than noise that the study was checked for");
                    add(
                        own,
                        &gaussian,
                        sign,
                        low_bits(layout.modulus_bits),
                        &mut rng,
                    );
                }
            }
        }
    }
}

/// Takes the parts of several sites' noise off `total`, modulo 2 to the power of the layout's bits; on as many threads as
/// there are processors, since drawing noise is the longest that a round's end takes.
pub(crate) fn take_off(chains: &[Chain], layout: &Layout, total: &mut [u32]) {
    let (length, mask) = (total.len(), low_bits(layout.modulus_bits));
    let of_sites = |chains: &[Chain]| {
        let mut noise = vec![0; length];
        for chain in chains {
            chain.apply(MaskSign::Subtract, layout, &mut noise);
        }
        noise
    };
    let portion = chains.len().div_ceil(cores::processors()).max(1);
    for noise in cores::map(chains.chunks(portion).collect(), of_sites) {
        for (entry, noise) in total.iter_mut().zip(noise) {
            *entry = entry.wrapping_add(noise) & mask;
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "modulo 2^32, of which 2^b is a divisor"
)]
fn add(
    entries: &mut [u32],
    gaussian: &DiscreteGaussian,
    sign: MaskSign,
    mask: u32,
    rng: &mut impl CryptoRng,
) {
    for entry in entries {
        let sample = gaussian.sample(rng) as u32;
        *entry = mask
            & match sign {
                MaskSign::Add => entry.wrapping_add(sample),
                MaskSign::Subtract => entry.wrapping_sub(sample),
            };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{Part, Section, SectionName};

    /// Two sections with three parts, of which the first section has two.
    fn layout() -> Layout {
        let section = |length, variances: [u128; 3]| Section {
            name: SectionName::Update,
            length,
            grid: 1.0,
            sensitivity: 1.0,
            variance: Some(100),
            parts: (4..)
                .zip(variances)
                .map(|(survivors, variance)| Part {
                    survivors,
                    variance,
                })
                .collect(),
            bound: 1_000,
            mu: None,
        };
        Layout {
            sections: vec![section(50, [900, 0, 400]), section(3, [64, 36, 16])],
            modulus_bits: 14,
            local: None,
            loss: privacy::Loss::Unprotected,
        }
    }

    fn whole() -> Chain {
        Chain::new(Seed::new([7; 32]), 3)
    }

    fn applied(chain: &Chain, sign: MaskSign, entries: &[u32]) -> Vec<u32> {
        let mut entries = entries.to_vec();
        chain.apply(sign, &layout(), &mut entries);
        entries
    }

    #[test]
    fn a_key_gives_the_keys_below_it_and_not_those_above() {
        let keys = whole().keys();
        for (place, key) in keys.iter().enumerate() {
            let below = Chain::new(key.clone(), place + 1).keys();
            assert_eq!(below.len(), place + 1);
            for (one, other) in below.iter().zip(&keys) {
                assert_eq!(one.bytes(), other.bytes());
            }
        }
    }

    #[test]
    fn what_was_added_comes_off_part_by_part() {
        let start: Vec<u32> = (0..53).map(|entry| (entry * 977) & 0x3fff).collect();
        let noised = applied(&whole(), MaskSign::Add, &start);
        assert!(noised.iter().all(|entry| *entry < 1 << 14));
        assert_eq!(applied(&whole(), MaskSign::Subtract, &noised), start);

        let keys = whole().keys();
        let first = Chain::new(keys[0].clone(), 1);
        let rest = applied(&first, MaskSign::Subtract, &noised);
        assert_ne!(rest, noised);
        assert_ne!(rest, start);
        // Part 2 alone is of the second section only.
        let two = Chain::new(keys[1].clone(), 2);
        let third = applied(&two, MaskSign::Subtract, &noised);
        assert_eq!(third[..50], rest[..50]);
        assert_ne!(third[50..], rest[50..]);
    }

    #[test]
    fn noise_of_several_sites_comes_off_at_once() {
        let start: Vec<u32> = (0..53).collect();
        for sites in 0..6_u8 {
            let chains: Vec<Chain> = (0..sites)
                .map(|site| Chain::new(Seed::new([site; 32]), 3))
                .collect();
            let mut total = start.clone();
            for chain in &chains {
                chain.apply(MaskSign::Add, &layout(), &mut total);
            }
            take_off(&chains, &layout(), &mut total);
            assert_eq!(total, start);
        }
    }

    #[test]
    fn no_parts_are_no_noise() {
        let none = Chain::new(Seed::new([7; 32]), 0);
        assert!(none.keys().is_empty());
        assert_eq!(applied(&none, MaskSign::Add, &[5; 53]), [5; 53]);
    }
}
