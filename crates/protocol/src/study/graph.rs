//! How many neighbours a site needs where not every site is every other's: the graph of Bell et al. 2020.
//!
//! Each of `n` sites picks `k` others at random; with the site itself they hold the shares of its secrets, of which `t`
//! give a secret. Two sites share a mask if either picked the other. No sum is opened unless, for each site in it, at
//! least `t` of the holders of its shares are in it too. `T` sites have to agree on who is in the sum, and at most `c` of
//! all sites are dishonest.
//!
//! What can go wrong in a round, and how likely it is at most:
//!
//! - **Exposed**: a set `S` of `s` honest sites, at most half of them, shares masks with no other honest site in the sum.
//!   Then each site of `S` has at least `t - 1` picks among `S` and the dishonest sites, whoever drops out. Picks of honest
//!   sites are independent and hypergeometric, so the chance is at most
//!   `Σ_s C(n - c, s) · P[Hyp(n - 1, c + s - 1, k) ≥ t - 1]^s`. It covers a secret of which dishonest sites alone hold `t`
//!   shares (`s = 1`).
//! - **Stuck**: of some site that dropped out, fewer than `t` picks are left, since more than `k - t` are among the `n - T`
//!   that may drop out: at most `n · P[Hyp(n - 1, n - T, k) ≥ k - t + 1]`. The round is abandoned then.
//!
//! Both are to be at most 2^-40. Bell, Bonawitz, Gascón, Lepoint and Raykova, "Secure Single-Server Aggregation with
//! (Poly)Logarithmic Overhead", CCS 2020, sections 3.2 and 4, have the same conditions; the bound over all `S` at once is
//! ours, since here an aggregator may choose who drops out after it saw the graph.

use serde::{Deserialize, Serialize};

/// The `aggregation.graph` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Graph {
    /// Other sites that each site picks: `k`.
    pub neighbours: u16,
    /// Of the holders of a site's shares, itself included: how many give a secret, and how many must be in a sum that the
    /// site is in: `t`.
    pub threshold: u16,
}

/// The sites of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// All that take part: `n`.
    pub sites: u16,
    /// Those that have to agree: `T`.
    pub agreeing: u16,
    /// Those that may be dishonest: `c`.
    pub dishonest: u16,
}

/// log2 of what may go wrong in a round, at most.
pub(super) const TARGET: f64 = -40.0;

/// Up to so many sites every site is every other's neighbour: the graph would not be much smaller.
pub const COMPLETE: u16 = 32;

/// Sites that can hold shares of one secret: GF(256) has so many places beside 0.
pub(crate) const MOST_HOLDERS: u16 = 255;

impl Crowd {
    /// The most dishonest sites with which only one list of survivors can be agreed on: `2T > n + c`. `None` where that
    /// does not hold even without one.
    #[must_use]
    pub fn most_dishonest(self) -> Option<u16> {
        let beyond = 2 * u32::from(self.agreeing);
        let most = beyond.checked_sub(u32::from(self.sites) + 1)?;
        u16::try_from(most).ok()
    }

    /// How many of the round's sites may be dishonest and work together with a lying aggregator: `min(T − h, 2T − n − 1)`.
    #[must_use]
    pub fn tolerates(self) -> u16 {
        self.dishonest.min(self.most_dishonest().unwrap_or(0))
    }

    /// log2 of the chance that some sites are exposed, at most.
    #[must_use]
    pub fn exposed(self, graph: Graph) -> f64 {
        let chances = Chances::new(self.sites);
        let honest = self.sites - self.dishonest;
        let picks = u32::from(graph.threshold) - 1;
        let sets = (1..=honest / 2).map(|size| {
            let bad = u32::from(self.dishonest) + u32::from(size) - 1;
            let one = chances.at_least(picks, bad, u32::from(graph.neighbours));
            chances.choose(u32::from(honest), u32::from(size)) + f64::from(size) * one
        });
        log_sum(sets) / std::f64::consts::LN_2
    }

    /// log2 of the chance that a round is abandoned though no more sites drop out than may, at most.
    #[must_use]
    pub fn stuck(self, graph: Graph) -> f64 {
        let chances = Chances::new(self.sites);
        let (picks, needed) = (u32::from(graph.neighbours), u32::from(graph.threshold));
        let gone = u32::from(self.sites - self.agreeing);
        let one = chances.at_least((picks + 1).saturating_sub(needed), gone, picks);
        (one + f64::from(self.sites).ln()) / std::f64::consts::LN_2
    }

    /// The smallest graph that keeps both chances at most 2^-41: a bit below 2^-40, so that whoever checks it with
    /// another logarithm comes to the same conclusion. `None` where only the complete graph would do.
    #[must_use]
    pub fn least(self) -> Option<Graph> {
        let good = |chance: f64| chance <= TARGET - 1.0;
        (2..(self.sites - 1).min(MOST_HOLDERS)).find_map(|neighbours| {
            let graph = |threshold| Graph {
                neighbours,
                threshold,
            };
            // The more shares are needed, the safer, and the sooner stuck.
            let most = (2..=neighbours + 1)
                .rev()
                .find(|threshold| good(self.stuck(graph(*threshold))))?;
            good(self.exposed(graph(most))).then(|| graph(most))
        })
    }
}

/// Natural logarithms of counts and chances.
pub(super) struct Chances {
    /// ln of the factorials.
    factorials: Vec<f64>,
    /// Sites that one picks among.
    others: u32,
}

impl Chances {
    pub(super) fn new(sites: u16) -> Self {
        let mut sum = 0.0;
        let logarithms = (1..=sites).map(|number| {
            sum += f64::from(number).ln();
            sum
        });
        Self {
            factorials: std::iter::once(0.0).chain(logarithms).collect(),
            others: u32::from(sites) - 1,
        }
    }

    /// Of the ways to choose `some` of `all`.
    fn choose(&self, all: u32, some: u32) -> f64 {
        let factorial = |number: u32| self.factorials[number as usize];
        factorial(all) - factorial(some) - factorial(all - some)
    }

    /// That at least `least` of `picks` different others are among `bad` of them.
    pub(super) fn at_least(&self, least: u32, bad: u32, picks: u32) -> f64 {
        let fewest = picks.saturating_sub(self.others - bad);
        if least <= fewest {
            return 0.0;
        }
        let all = self.choose(self.others, picks);
        log_sum((least..=picks.min(bad)).map(|hits| {
            self.choose(bad, hits) + self.choose(self.others - bad, picks - hits) - all
        }))
    }
}

/// ln of the sum of what these are the logarithms of.
fn log_sum(logarithms: impl Iterator<Item = f64>) -> f64 {
    logarithms.fold(f64::NEG_INFINITY, |sum, next| {
        let (high, low) = (sum.max(next), sum.min(next));
        if low == f64::NEG_INFINITY {
            high
        } else {
            high + (low - high).exp().ln_1p()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THOUSAND: Crowd = Crowd {
        sites: 1_000,
        agreeing: 900,
        dishonest: 100,
    };

    /// All picks of five of twelve others, counted.
    #[test]
    fn chances_are_those_of_counting() {
        let chances = Chances::new(13);
        for (bad, least) in [(4, 1), (4, 3), (7, 5), (11, 5), (11, 4), (3, 4)] {
            let hits = (0_u32..1 << 12)
                .filter(|picks| picks.count_ones() == 5)
                .filter(|picks| (picks & ((1 << bad) - 1)).count_ones() >= least)
                .count();
            let want = f64::from(u32::try_from(hits).unwrap()) / 792.0;
            let got = chances.at_least(least, bad, 5).exp();
            assert!((got - want).abs() < 1e-12, "{bad} {least}: {got} {want}");
        }
    }

    #[test]
    fn one_list_is_agreed_on_with_so_many_dishonest_sites_and_no_more() {
        for (sites, agreeing, most) in [
            (3, 2, Some(0)),
            (5, 4, Some(2)),
            (5, 5, Some(4)),
            (6, 3, None),
        ] {
            let crowd = Crowd {
                sites,
                agreeing,
                dishonest: 0,
            };
            assert_eq!(crowd.most_dishonest(), most, "{crowd:?}");
        }
        assert_eq!(THOUSAND.most_dishonest(), Some(799));
    }

    #[test]
    fn the_least_graph_reaches_its_targets_and_no_smaller_one_does() {
        for crowd in [
            THOUSAND,
            Crowd {
                sites: 100,
                agreeing: 90,
                dishonest: 5,
            },
        ] {
            let graph = crowd.least().unwrap();
            assert!(graph.neighbours < crowd.sites / 2 + 20, "{graph:?}");
            assert!(crowd.exposed(graph) <= TARGET - 1.0);
            assert!(crowd.stuck(graph) <= TARGET - 1.0);
            let neighbours = graph.neighbours - 1;
            for threshold in 2..=neighbours + 1 {
                let smaller = Graph {
                    neighbours,
                    threshold,
                };
                let worst = crowd.exposed(smaller).max(crowd.stuck(smaller));
                assert!(worst > TARGET - 1.0, "{smaller:?} would do: {worst}");
            }
        }
    }

    #[test]
    fn a_crowd_of_which_too_many_may_leave_has_no_graph() {
        let crowd = Crowd {
            sites: 40,
            agreeing: 21,
            dishonest: 1,
        };
        assert_eq!(crowd.least(), None);
    }
}
