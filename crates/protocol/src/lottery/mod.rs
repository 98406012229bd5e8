//! Who takes part in a round of which the study draws some sites: a lottery that nobody can steer.
//!
//! ```text
//! host enrol          draws a nonce, sends its commitment                      nobody knows another site's nonce
//! roster --close      names, keys, commitments in one order: the RollCall      the list can no longer be changed
//! host reveal         is on the list ──▶ Lot { nonce, signature of the list }  once, for one list
//! study.toml          every member with its lot                                Study::parse checks all signatures
//! each round          least SHA-256(nonces, place, site)                       every party draws for itself
//! ```
//!
//! A draw depends on the nonces, the round's place in the plan and the site's number, and on nothing else. Whoever chose
//! the list did so when no honest site's nonce was known; whoever writes the study can no longer leave out, add, rename or
//! reorder a site, since each site signed the whole list; and the place is what the plan says, whatever number a round has.
//! What is left: the last site to reveal knows the draws before it does, and can refuse. Everyone then sees who refused,
//! and the roster is closed again with new nonces of all sites.

mod lot;
mod roll_call;

pub use lot::{Lot, LotSignature, NotHex64, SecretNonce};
pub use roll_call::{Entry, RollCall, RollCallError};

use crate::id::{Digest, Nonce, SiteId};

/// All nonces of a roster: every draw of its studies follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lottery(Digest);

impl Lottery {
    /// The lottery of sites with these nonces, in the roster's order: `SHA-256("wardround/1 lottery" ‖ nonces)`.
    #[must_use]
    pub fn of(nonces: impl IntoIterator<Item = Nonce>) -> Self {
        let mut bytes = LOTTERY.to_vec();
        for nonce in nonces {
            bytes.extend_from_slice(&nonce.0);
        }
        Self(Digest::of(&bytes))
    }

    /// The `some` of `sites` that take part at this place of the plan, in ascending order; all where there are no more.
    ///
    /// They are those with the least tickets.
    #[must_use]
    pub fn draw(
        &self,
        place: u32,
        sites: impl IntoIterator<Item = SiteId>,
        some: u16,
    ) -> Vec<SiteId> {
        let mut sites: Vec<SiteId> = sites.into_iter().collect();
        sites.sort_by_cached_key(|site| self.ticket(place, *site));
        sites.truncate(usize::from(some));
        sites.sort_unstable();
        sites
    }

    /// `SHA-256("wardround/1 participants" ‖ lottery ‖ u32(place) ‖ u16(site))`.
    fn ticket(&self, place: u32, site: SiteId) -> Digest {
        let (place, site) = (place.to_be_bytes(), site.0.to_be_bytes());
        Digest::of(&[TICKET, &self.0.0, &place, &site].concat())
    }
}

const LOTTERY: &[u8] = b"wardround/1 lottery";
const TICKET: &[u8] = b"wardround/1 participants";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sites(count: u16) -> impl Iterator<Item = SiteId> {
        (0..count).map(SiteId)
    }

    proptest! {
        /// Of the draws at 400 places, each site is in as many as its share says, within eight standard deviations.
        #[test]
        fn every_site_is_drawn_as_often_as_any_other(
            seed in any::<[u8; 32]>(),
            count in 3_u16..40,
            first in 0_u32..1_000_000,
            chosen in any::<prop::sample::Index>(),
        ) {
            let lottery = Lottery::of(sites(count).map(|site| {
                Nonce(Digest::of(&[&seed[..], &site.0.to_be_bytes()].concat()).0)
            }));
            let some = u16::try_from(1 + chosen.index(usize::from(count))).unwrap_or(count);
            let mut times = vec![0_u32; usize::from(count)];
            for place in first..first + 400 {
                let drawn = lottery.draw(place, sites(count), some);
                prop_assert_eq!(drawn.len(), usize::from(some));
                prop_assert!(drawn.is_sorted());
                for site in drawn {
                    times[usize::from(site.0)] += 1;
                }
            }
            let chance = f64::from(some) / f64::from(count);
            let deviation = (400.0 * chance * (1.0 - chance)).sqrt();
            for times in times {
                let off = (f64::from(times) - 400.0 * chance).abs();
                prop_assert!(off <= 8.0 * deviation + 1e-9, "{} of 400, {}", times, chance);
            }
        }

        /// Nobody but the last to reveal knows a draw: one nonce more or another one, and it is another draw.
        #[test]
        fn every_nonce_changes_the_lottery(
            nonces in prop::collection::vec(any::<[u8; 32]>(), 1..20),
            place in any::<prop::sample::Index>(),
            byte in 0_usize..32,
        ) {
            let lottery = |nonces: &[[u8; 32]]| Lottery::of(nonces.iter().copied().map(Nonce));
            let mut changed = nonces.clone();
            changed[place.index(nonces.len())][byte] ^= 1;
            prop_assert_ne!(lottery(&nonces), lottery(&changed));
            changed.push([0; 32]);
            prop_assert_ne!(lottery(&nonces), lottery(&changed));
        }
    }

    #[test]
    fn who_is_drawn_of_more_is_drawn_of_all() {
        let lottery = Lottery::of([Nonce([7; 32])]);
        for place in 0..50 {
            let few = lottery.draw(place, sites(20), 5);
            let more = lottery.draw(place, sites(20), 9);
            assert!(few.iter().all(|site| more.contains(site)));
            assert_eq!(lottery.draw(place, sites(20), 30).len(), 20);
        }
    }
}
