//! Who holds shares of whose secrets, and who shares masks with whom.
//!
//! On the complete graph everyone with everyone. On the graph of Bell et al. 2020 each site picks its holders at random: by
//! its own advert, so that everybody who has the adverts draws the same graph, and nobody can steer the picks of an honest
//! site, whose keys are fresh. It picks among all that take part in the round, not among those whose adverts the aggregator
//! chose to relay. [`crate::study::Graph`] says how many picks are enough.

use std::collections::{BTreeMap, BTreeSet};

use chacha20::ChaCha20Rng;
use rand_core::Rng;

use crate::codec::{self, DecodeError};
use crate::door::Messages;
use crate::id::{Header, SiteId};
use crate::message::{Advert, Signed};
use crate::seed::{Seed, expand};
use crate::study::{Graph, Study};

/// The holders of all sites' shares in one round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holders {
    /// By the site whose secrets they are; in ascending order, the site itself among them.
    of: BTreeMap<SiteId, Vec<SiteId>>,
    /// The other way round: by the holder, whose secrets it holds shares of, in ascending order.
    held: BTreeMap<SiteId, Vec<SiteId>>,
    threshold: usize,
}

impl Holders {
    /// Draws the graph of a round.
    pub(crate) fn draw(study: &Study, header: &Header, adverts: &BTreeMap<SiteId, Advert>) -> Self {
        let Some(graph) = study.graph(header.purpose) else {
            let all: Vec<SiteId> = adverts.keys().copied().collect();
            let of = all.iter().map(|site| (*site, all.clone())).collect();
            return Self::new(of, study.threshold(header.purpose));
        };
        let everyone = study.participants(header);
        let of = adverts.iter().map(|(site, advert)| {
            let mut holders = picks(graph, header, &everyone, *site, advert);
            holders.retain(|holder| adverts.contains_key(holder));
            (*site, holders)
        });
        Self::new(of.collect(), usize::from(graph.threshold))
    }

    fn new(of: BTreeMap<SiteId, Vec<SiteId>>, threshold: usize) -> Self {
        let mut held: BTreeMap<SiteId, Vec<SiteId>> = BTreeMap::new();
        for (dealer, holders) in &of {
            for holder in holders {
                held.entry(*holder).or_default().push(*dealer);
            }
        }
        Self {
            of,
            held,
            threshold,
        }
    }

    /// The holders that the relayed adverts of a round make; signatures and keys are not checked.
    ///
    /// # Errors
    ///
    /// What is no advert.
    pub fn of_adverts(
        study: &Study,
        header: &Header,
        adverts: &Messages,
    ) -> Result<Self, DecodeError> {
        let mut roll = BTreeMap::new();
        for bytes in &adverts.messages {
            let signed: Signed = codec::decode(bytes)?;
            roll.insert(signed.site, codec::decode(&signed.body)?);
        }
        Ok(Self::draw(study, header, &roll))
    }

    /// Shares that give a secret; and the holders of a site's shares, itself included, that must be in a sum with it.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The sites that hold shares of `dealer`'s secrets, itself included, in ascending order; none of a site that did not
    /// advertise.
    #[must_use]
    pub fn of(&self, dealer: SiteId) -> &[SiteId] {
        self.of.get(&dealer).map_or(&[], Vec::as_slice)
    }

    /// The sites of whose secrets `holder` holds shares, itself included, in ascending order; none of a site that did not
    /// advertise.
    #[must_use]
    pub fn held_by(&self, holder: SiteId) -> &[SiteId] {
        self.held.get(&holder).map_or(&[], Vec::as_slice)
    }

    /// Whether `holder` holds shares of `dealer`'s secrets.
    #[must_use]
    pub fn holds(&self, holder: SiteId, dealer: SiteId) -> bool {
        self.of(dealer).binary_search(&holder).is_ok()
    }

    /// Whether two sites share a mask: whether either holds shares of the other's secrets.
    #[must_use]
    pub fn neighbours(&self, one: SiteId, other: SiteId) -> bool {
        one != other && (self.holds(one, other) || self.holds(other, one))
    }

    /// The first of `sites` of whose holders too few are among them.
    pub(crate) fn lonely(&self, sites: &BTreeSet<SiteId>) -> Option<SiteId> {
        let among = |site: SiteId| {
            self.of(site)
                .iter()
                .filter(|holder| sites.contains(holder))
                .count()
        };
        sites
            .iter()
            .copied()
            .find(|site| among(*site) < self.threshold)
    }
}

/// The sites that `site` picks, and itself, in ascending order: the first places of a shuffled list (Fisher and Yates).
fn picks(
    graph: Graph,
    header: &Header,
    everyone: &[SiteId],
    site: SiteId,
    advert: &Advert,
) -> Vec<SiteId> {
    let keys = [advert.cipher_key.0, advert.mask_key.0].concat();
    let info = [header.digest().0.as_slice(), &site.0.to_be_bytes()].concat();
    let mut rng = Seed::new(expand(PICKS_SALT, &keys, &[&info])).rng();
    let mut others: Vec<SiteId> = everyone
        .iter()
        .copied()
        .filter(|other| *other != site)
        .collect();
    let count = usize::from(graph.neighbours).min(others.len());
    for place in 0..count {
        let rest = u32::try_from(others.len() - place).expect("a study has at most 4096 sites");
        others.swap(place, place + below(&mut rng, rest));
    }
    others.truncate(count);
    others.push(site);
    others.sort_unstable();
    others
}

/// A uniform number below `bound`: numbers that would favour some are thrown away.
fn below(rng: &mut ChaCha20Rng, bound: u32) -> usize {
    let fair = u32::MAX - u32::MAX % bound;
    loop {
        let number = rng.next_u32();
        if number < fair {
            return (number % bound) as usize;
        }
    }
}

const PICKS_SALT: &str = "wardround/1 picks";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_below_a_bound_are_uniform() {
        let mut rng = Seed::new([3; 32]).rng();
        let mut counts = [0_i32; 7];
        for _ in 0..70_000 {
            counts[below(&mut rng, 7)] += 1;
        }
        // Five standard deviations of a binomial.
        assert!(
            counts.iter().all(|count| (count - 10_000).abs() < 470),
            "{counts:?}"
        );
    }
}
