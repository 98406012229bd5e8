//! How many hospitals of a whole roster may be dishonest, where the sites of a training round are drawn by lot.
//!
//! `c` ([`super::Manifest::tolerates`]) is of the sites of one round. Where `m` of `n` sites are drawn, a round can by chance have
//! more of the roster's `d` dishonest ones among them. That is hypergeometric, and the chance that it happens in any of `R`
//! planned rounds is at most `R · P[Hyp(n, d, m) ≥ c + 1]`, if nobody can steer who is drawn.

use super::graph::{Chances, TARGET};
use super::{Manifest, Participants};
use crate::id::Purpose;

impl Manifest {
    /// The most dishonest hospitals of the whole roster with which the chance that any planned round has more of them than
    /// `tolerates` is below 2^-40. Where all sites are in all rounds, that number itself.
    #[must_use]
    pub fn tolerates_in_roster(&self) -> u16 {
        let of_round = self.crowd(Purpose::Train).tolerates();
        // Rounds of all sites have all of the dishonest ones.
        let of_all = self.crowd(Purpose::Evaluate).tolerates();
        let Participants::Random { sites, .. } = self.training.participants else {
            return of_round.min(of_all);
        };
        let Ok(roster) = u16::try_from(self.roster.len()) else {
            return 0;
        };
        let draws = Draws {
            chances: Chances::new(roster + 1),
            sites,
            roster,
            rounds: self.planned(Purpose::Train),
        };
        draws.most(of_round).min(of_all)
    }
}

/// The draws of all rounds.
struct Draws {
    /// Among the sites of the roster.
    chances: Chances,
    /// So many.
    roster: u16,
    /// How many are drawn for a round.
    sites: u16,
    rounds: u32,
}

impl Draws {
    /// The most dishonest sites of the roster of which more than `tolerated` are drawn with a chance below 2^-40.
    fn most(&self, tolerated: u16) -> u16 {
        let fits = |dishonest: &u16| self.beyond(tolerated, *dishonest) < TARGET;
        (0..=self.roster).take_while(fits).last().unwrap_or(0)
    }

    /// log2 of the chance that more than `most` of `dishonest` sites are drawn for one of the rounds, at most.
    fn beyond(&self, most: u16, dishonest: u16) -> f64 {
        let one = self.chances.at_least(
            u32::from(most) + 1,
            u32::from(dishonest),
            u32::from(self.sites),
        );
        (one + f64::from(self.rounds).ln()) / std::f64::consts::LN_2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All draws of five of twelve, counted.
    #[test]
    fn the_chance_of_a_draw_is_that_of_counting() {
        let draws = Draws {
            chances: Chances::new(13),
            roster: 12,
            sites: 5,
            rounds: 3,
        };
        for (most, dishonest) in [(0, 1), (1, 3), (2, 4), (3, 9)] {
            let hits = (0_u32..1 << 12)
                .filter(|drawn| drawn.count_ones() == 5)
                .filter(|drawn| (drawn & ((1 << dishonest) - 1)).count_ones() > u32::from(most))
                .count();
            let want = 3.0 * f64::from(u32::try_from(hits).unwrap()) / 792.0;
            let got = draws.beyond(most, dishonest).exp2();
            assert!(
                (got / want - 1.0).abs() < 1e-12,
                "{most} {dishonest}: {got} {want}"
            );
        }
        assert!(
            draws.beyond(3, 3).is_infinite(),
            "no draw has more than all"
        );
    }

    /// Where the border is, by exact fractions (Python): 60 P[Hyp(1000, d, 100) > 40] is 2^-40.4 at d = 125, and 2^-39.9 at 126.
    #[test]
    fn a_large_roster_may_hold_more_than_a_round_tolerates_up_to_the_exact_border() {
        let draws = Draws {
            chances: Chances::new(1_001),
            roster: 1_000,
            sites: 100,
            rounds: 60,
        };
        assert_eq!(draws.most(40), 125);
    }
}
