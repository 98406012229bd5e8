//! The noise that goes off the sum again where more sites survive than the threshold.
//!
//! Each site's noise is sized for the worst round that a study opens: `t` survivors, of which `c = t − h` leave their own
//! noise out and `h` do not. With `s` survivors at least `s − c` are honest, and a site needs no more than
//! `v(s) = σ² / (s − c)`, where it has added `v(t) = σ² / h`. So it adds its noise in parts, of which the sum keeps what
//! `v(s)` asks (after `XNoise`: Jiang, Wang and Chen 2024, *Dordis*, [arXiv 2209.12528]):
//!
//! ```text
//! v(t) = base + part 1 + part 2 + … + part m        survivors: t ≤ s₁ < s₂ < … < s_m = n
//!               └ goes off the sum where s ≥ s₁
//!                        └ where s ≥ s₂, and so on
//! ```
//!
//! Every part that is added is at least [`LEAST_SITE_VARIANCE`], as the base is, so a sum of them is a discrete Gaussian
//! but for what [`privacy`] bounds. Variances are whole numbers, and what stays is never below `v(s)`.
//!
//! [arXiv 2209.12528]: https://arxiv.org/abs/2209.12528

use std::num::NonZeroU16;

use privacy::allocation::{self, LEAST_SITE_VARIANCE};

use super::layout::{Section, tail};
use super::{Crowd, ExcessNoise, Manifest};
use crate::id::Purpose;

/// A part of a site's noise in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// It goes off the sum where at least this many sites survive.
    pub survivors: u16,
    /// Variance of its discrete Gaussian, in steps²; 0 where the section's noise is too narrow for one more part.
    pub variance: u128,
}

/// The most parts: each is drawn by the site, and again by the aggregator for each survivor, 0.1 to 0.2 µs an entry.
///
/// With four, what stays of the excess where sites drop out is small: of 24 sites with a threshold of 16, 3 % of the
/// standard deviation at the most, where all of it is 22 %. Where nobody drops out none stays, whatever their number.
const MOST_PARTS: u16 = 4;

/// Cuts the noise of the sections of a round with this purpose into parts, where the study wants so.
pub(super) fn cut(manifest: &Manifest, purpose: Purpose, sections: &mut [Section]) {
    if manifest.privacy.excess_noise == ExcessNoise::Kept {
        return;
    }
    let crowd = manifest.crowd(purpose);
    for section in sections.iter_mut() {
        section.cut(crowd);
    }
    let is_cut = sections
        .iter()
        .any(|section| section.parts.iter().any(|part| part.variance > 0));
    if !is_cut {
        // Nobody has to share keys of parts that are never added.
        sections
            .iter_mut()
            .for_each(|section| section.parts.clear());
    }
}

impl Crowd {
    /// The numbers of survivors at which one more part goes, in ascending order, up to all sites: each number above the
    /// threshold or, where those are too many, some, evenly spread.
    fn levels(self) -> impl Iterator<Item = u16> {
        let above = self.sites.saturating_sub(self.agreeing);
        let parts = above.min(MOST_PARTS);
        (0..parts)
            .rev()
            .map(move |left| self.sites - left * above / parts)
    }

    /// Of `survivors`, how many keep their noise at the least.
    fn honest_of(self, survivors: u16) -> Option<NonZeroU16> {
        NonZeroU16::new(survivors.checked_sub(self.dishonest)?)
    }
}

impl Section {
    /// Variance, in steps², of the noise of one site that stays in a sum of `survivors` sites; `None` without noise.
    #[must_use]
    pub fn site_variance(&self, survivors: usize) -> Option<u128> {
        let stays = |part: &&Part| usize::from(part.survivors) > survivors;
        let parts: u128 = self
            .parts
            .iter()
            .filter(stays)
            .map(|part| part.variance)
            .sum();
        self.variance.map(|base| base + parts)
    }

    /// Variance, in steps², of all noise that one site adds; `None` without noise.
    #[must_use]
    pub fn added_variance(&self) -> Option<u128> {
        self.site_variance(0)
    }

    /// The most that one survivor's entry can be in the sum, in steps either way: beyond its bound there is what of its
    /// parts may stay, which is further out with a probability below 2^-100.
    #[must_use]
    pub fn reach(&self) -> u64 {
        let parts: u128 = self.parts.iter().map(|part| part.variance).sum();
        self.bound + if parts > 0 { tail(parts) } else { 0 }
    }

    fn cut(&mut self, crowd: Crowd) {
        let Some(whole) = self.variance else { return };
        let mut base = whole;
        for survivors in crowd.levels() {
            let next = self.least(crowd, survivors);
            let variance = next.map_or(0, |next| base.saturating_sub(next));
            let variance = if variance < LEAST_SITE_VARIANCE {
                0
            } else {
                variance
            };
            base -= variance;
            self.parts.push(Part {
                survivors,
                variance,
            });
        }
        self.bound = self.bound - tail(whole) + tail(base);
        self.variance = Some(base);
    }

    /// `v(survivors)`, if noise so narrow can be added.
    fn least(&self, crowd: Crowd, survivors: u16) -> Option<u128> {
        let honest = crowd.honest_of(survivors)?;
        allocation::site_variance(self.sensitivity, self.mu?, self.grid, honest).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(sites: u16, agreeing: u16) -> Vec<u16> {
        let crowd = Crowd {
            sites,
            agreeing,
            dishonest: 0,
        };
        crowd.levels().collect()
    }

    #[test]
    fn a_part_goes_with_each_survivor_above_the_threshold_while_they_are_few() {
        assert!(levels(3, 3).is_empty());
        assert_eq!(levels(5, 3), [4, 5]);
        assert_eq!(levels(10, 6), [7, 8, 9, 10]);
        assert_eq!(levels(20, 11), [14, 16, 18, 20]);
        assert_eq!(levels(24, 16), [18, 20, 22, 24]);
        assert_eq!(levels(255, 128), [160, 192, 224, 255]);
    }
}
