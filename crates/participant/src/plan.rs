//! What the aggregator may ask: the study's plan, which the site keeps for itself.
//!
//! - Numbers of rounds only rise, by any step.
//! - A round computes what the plan has at its place. Places never go back; some may be left out, where the site was away or
//!   training ended early.
//! - A place that was charged is never asked again; one that was not, [`protocol::study::Rounds::tries`] times at most. So a
//!   study is charged as often as it has places, and no more, however many rounds are abandoned.
//! - Rounds that are begun and never charged are at most [`protocol::study::Rounds::uncharged`].
//! - Two sums from one state over different hospitals differ by one hospital's vector. Without noise none is answered from a
//!   state that this site has sent a masked vector from, for the same purpose. With noise, patients are covered by what each
//!   round is charged; a hospital's total is hidden in each sum alone, so a state from which this site helped to open a sum
//!   may come again as often as the study says ([`protocol::study::Rounds::repeats`]): a round that was abandoned in its last
//!   stage.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{Digest, Header, Purpose};
use protocol::study::{Rounds, Study};

use crate::ledger::Ledger;
use crate::register::{Begun, Line};

/// What was asked so far, and what may be asked next.
#[derive(Clone, Debug)]
pub struct Plan {
    study: Digest,
    purposes: Vec<Purpose>,
    limits: Rounds,
    noise: Noise,
    /// By number.
    begun: BTreeMap<u32, Begun>,
    /// Numbers of rounds whose sums this site helped to open.
    opened: BTreeSet<u32>,
    /// Numbers of rounds that were charged.
    charged: BTreeSet<u32>,
}

/// Whether sums have noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noise {
    None,
    Some,
}

impl Plan {
    /// The plan of a study of which the register has these lines, and the ledger its charges.
    ///
    /// # Errors
    ///
    /// A charge of which the register knows nothing, and a sum that was opened without a charge: one of the two comes from a
    /// backup.
    pub fn new(study: &Study, register: &[Line], ledger: &Ledger) -> Result<Self, Lost> {
        let mut plan = Self {
            study: study.digest(),
            purposes: study.plan(),
            limits: study.manifest().rounds,
            noise: if study.manifest().privacy.epsilon.is_infinite() {
                Noise::None
            } else {
                Noise::Some
            },
            begun: BTreeMap::new(),
            opened: BTreeSet::new(),
            charged: BTreeSet::new(),
        };
        for line in register {
            match line {
                Line::Begun(begun) => plan.insert(*begun),
                Line::Opened(number) => plan.open(*number),
            }
        }
        for line in ledger.lines_of(study.digest()) {
            if !plan.begun.contains_key(&line.number) {
                return Err(Lost::Begun(line.number));
            }
            plan.charge(line.number);
        }
        match plan.opened.difference(&plan.charged).next() {
            None => Ok(plan),
            Some(number) => Err(Lost::Charge(*number)),
        }
    }

    /// The highest number of a round that was begun.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.begun.last_key_value().map(|(number, _)| *number)
    }

    /// The number of rounds that were begun and not charged.
    #[must_use]
    pub fn uncharged(&self) -> usize {
        self.begun.len() - self.charged.len()
    }

    /// Refuses a new round that the study does not explain.
    ///
    /// # Errors
    ///
    /// See [`Refusal`].
    pub fn admit(&self, header: &Header) -> Result<(), Refusal> {
        self.check_place(header)?;
        self.check_order(header)?;
        self.check_tries(header)?;
        self.check_state(header)
    }

    /// Refuses a round of another study, and one that the plan does not have at its place.
    ///
    /// # Errors
    ///
    /// [`Refusal::OtherStudy`] and [`Refusal::NotPlanned`].
    pub fn check_place(&self, header: &Header) -> Result<(), Refusal> {
        if header.study != self.study {
            return Err(Refusal::OtherStudy {
                got: header.study,
                approved: self.study,
            });
        }
        let place = usize::try_from(header.place).ok();
        let planned = place.and_then(|place| self.purposes.get(place)).copied();
        if planned == Some(header.purpose) {
            Ok(())
        } else {
            Err(Refusal::NotPlanned {
                number: header.number,
                place: header.place,
                purpose: header.purpose,
            })
        }
    }

    fn check_order(&self, header: &Header) -> Result<(), Refusal> {
        let Some((last, begun)) = self.begun.last_key_value() else {
            return Ok(());
        };
        if header.number <= *last {
            return Err(Refusal::Backwards {
                number: header.number,
                last: *last,
            });
        }
        if header.place < begun.place {
            return Err(Refusal::PlaceBack {
                number: header.number,
                place: header.place,
                last: begun.place,
            });
        }
        Ok(())
    }

    fn check_tries(&self, header: &Header) -> Result<(), Refusal> {
        let of_place = self
            .begun
            .iter()
            .filter(|(_, begun)| begun.place == header.place);
        let mut tries = 0;
        for (number, _) in of_place {
            if self.charged.contains(number) {
                return Err(Refusal::ChargedPlace {
                    number: header.number,
                    place: header.place,
                    before: *number,
                });
            }
            tries += 1;
        }
        if tries >= self.limits.tries {
            return Err(Refusal::TooManyTries {
                place: header.place,
                tries,
            });
        }
        if self.uncharged() >= usize::try_from(self.limits.uncharged).unwrap_or(usize::MAX) {
            return Err(Refusal::TooManyUncharged {
                rounds: self.limits.uncharged,
            });
        }
        Ok(())
    }

    fn check_state(&self, header: &Header) -> Result<(), Refusal> {
        let asked = (header.purpose, header.state);
        let before = self.sums().find(|(_, sum)| of(sum) == asked);
        let Some((number, _)) = before else {
            return Ok(());
        };
        let refusal = Refusal::SameState {
            number: header.number,
            before: number,
            repeats: match self.noise {
                Noise::None => 0,
                Noise::Some => self.limits.repeats,
            },
        };
        match self.noise {
            Noise::None => Err(refusal),
            Noise::Some if self.repeats(asked) > self.limits.repeats => Err(refusal),
            Noise::Some => Ok(()),
        }
    }

    /// The rounds that were charged, by number.
    fn sums(&self) -> impl Iterator<Item = (u32, &Begun)> {
        let charged = self.charged.iter();
        charged.filter_map(|number| Some((*number, self.begun.get(number)?)))
    }

    /// Rounds that start from what a sum was opened from before, were one like `asked` added.
    fn repeats(&self, asked: (Purpose, Digest)) -> u32 {
        let mut open = Vec::new();
        let mut repeats = 0;
        for (number, sum) in self.sums() {
            repeats += u32::from(open.contains(&of(sum)));
            if self.opened.contains(&number) {
                open.push(of(sum));
            }
        }
        repeats + u32::from(open.contains(&asked))
    }

    /// A round begins; its line is in the register.
    pub fn begin(&mut self, header: &Header) {
        self.insert(Begun::of(header));
    }

    /// This site helps to open a round's sum; the line is in the register.
    pub fn open(&mut self, number: u32) {
        self.opened.insert(number);
    }

    /// A round is charged; the line is in the ledger.
    pub fn charge(&mut self, number: u32) {
        self.charged.insert(number);
    }

    fn insert(&mut self, begun: Begun) {
        self.begun.insert(begun.number, begun);
    }
}

fn of(begun: &Begun) -> (Purpose, Digest) {
    (begun.purpose, begun.state)
}

/// Ledger and register of a study are not those that stood next to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// The ledger has a round of which the register knows nothing.
    #[error(
        "round {0} of this study is charged in the ledger, and the study's register of rounds does not have it: it was removed, comes \
         from a backup, or an older version took part in the study; run `host ledger reconcile`, which adds what the ledger knows"
    )]
    Begun(u32),
    /// The register says that a sum was opened, and the ledger does not have its charge.
    #[error(
        "this site helped to open the sum of round {0} of this study, and the ledger does not have the charge: the ledger comes from a \
         backup; restore a newer one, or run `host ledger reconcile`, which takes it from the round's journal or from the aggregator"
    )]
    Charge(u32),
}

/// Why a round is not taken part in: the study does not explain it. Nothing was computed for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The aggregator runs another study.
    #[error(
        "the aggregator runs study {got}, approved is {approved}: look which one is right, and approve that one"
    )]
    OtherStudy {
        /// The study that the round is of.
        got: Digest,
        /// The study that was approved.
        approved: Digest,
    },
    /// The study's plan has no such round.
    #[error(
        "the aggregator opened round {number} for {purpose} at place {place} of the plan, and the study plans no such round \
         there; ask its operator why"
    )]
    NotPlanned {
        /// The round.
        number: u32,
        /// Its place.
        place: u32,
        /// What it would compute.
        purpose: Purpose,
    },
    /// The aggregator went back to an earlier number.
    #[error(
        "the aggregator is at round {number}, and this site has taken part in round {last}: it lost its store, or it is another \
         one; its operator has to restore the store, or start a new study"
    )]
    Backwards {
        /// The aggregator's round.
        number: u32,
        /// This site's.
        last: u32,
    },
    /// The aggregator went back in the plan.
    #[error(
        "the aggregator opened round {number} at place {place} of the study's plan, and this site was at place {last} before: the \
         plan does not go back; ask its operator why"
    )]
    PlaceBack {
        /// The round.
        number: u32,
        /// Its place.
        place: u32,
        /// The place of the round before.
        last: u32,
    },
    /// The place was charged.
    #[error(
        "the aggregator opened round {number} for place {place} of the study's plan, which was charged in round {before}: it would be \
         charged twice; ask its operator why"
    )]
    ChargedPlace {
        /// The round.
        number: u32,
        /// Its place.
        place: u32,
        /// The round that was charged.
        before: u32,
    },
    /// The place was tried too often.
    #[error(
        "the aggregator has begun place {place} of the study's plan {tries} times, and the study allows no more (rounds.tries): look \
         why its rounds are abandoned, then start a new study"
    )]
    TooManyTries {
        /// The place.
        place: u32,
        /// How often it was begun.
        tries: u32,
    },
    /// Too many rounds were begun for nothing.
    #[error(
        "the aggregator has begun {rounds} rounds that came to nothing, and the study allows no more (rounds.uncharged): look why its \
         rounds are abandoned, then start a new study"
    )]
    TooManyUncharged {
        /// How many.
        rounds: u32,
    },
    /// The difference of two sums would be one hospital's vector.
    #[error(
        "round {number} starts from the same state as round {before}, from which this site has sent a vector: the difference of two \
         such sums shows a single hospital, and the study allows {repeats} of them (rounds.repeats; none where nothing is noised); \
         start a new study"
    )]
    SameState {
        /// The round.
        number: u32,
        /// The round before.
        before: u32,
        /// How many the study allows.
        repeats: u32,
    },
}

#[cfg(test)]
mod tests {
    use testkit::{Draft, TestStudy};

    use super::*;
    use crate::ledger::LedgerId;

    fn kit(epsilon: f64) -> TestStudy {
        Draft {
            epsilon,
            ..Draft::default()
        }
        .make()
    }

    fn plan(kit: &TestStudy) -> Plan {
        Plan::new(&kit.study, &[], &ledger()).unwrap()
    }

    fn ledger() -> Ledger {
        let bytes = Ledger::begin(LedgerId::new([1; 16]));
        Ledger::decode(&bytes, None).unwrap().0
    }

    fn header(kit: &TestStudy, number: u32, place: u32, state: &str) -> Header {
        Header {
            place,
            state: Digest::of(state.as_bytes()),
            ..kit.header(number, Purpose::Train)
        }
    }

    fn charged(plan: &mut Plan, header: &Header) {
        plan.admit(header).unwrap();
        plan.begin(header);
        plan.charge(header.number);
    }

    #[test]
    fn numbers_rise_by_any_step_and_places_never_go_back() {
        let kit = kit(1.0);
        let mut plan = plan(&kit);
        charged(&mut plan, &header(&kit, 0, 0, "a"));
        charged(&mut plan, &header(&kit, 4_000_000_000, 2, "b"));
        for number in [0, 7, 4_000_000_000] {
            let refused = plan.admit(&header(&kit, number, 3, "c"));
            assert!(matches!(refused, Err(Refusal::Backwards { .. })));
        }
        let refused = plan.admit(&header(&kit, 4_000_000_001, 1, "c"));
        assert!(matches!(refused, Err(Refusal::PlaceBack { last: 2, .. })));
        let refused = plan.admit(&header(&kit, 4_000_000_001, 2, "c"));
        assert!(matches!(refused, Err(Refusal::ChargedPlace { .. })));
        let at_the_end = plan.admit(&header(&kit, 4_000_000_001, 4, "c"));
        assert!(matches!(at_the_end, Err(Refusal::NotPlanned { .. })));
        let beyond = plan.admit(&header(&kit, 4_000_000_001, u32::MAX, "c"));
        assert!(matches!(beyond, Err(Refusal::NotPlanned { .. })));
        plan.admit(&header(&kit, u32::MAX, 3, "c")).unwrap();
    }

    #[test]
    fn a_place_that_was_not_charged_may_be_asked_again_so_often_and_no_more() {
        let kit = kit(1.0);
        let mut plan = plan(&kit);
        let limits = kit.study.manifest().rounds;
        for number in 0..limits.tries {
            let header = header(&kit, number, 0, "a");
            plan.admit(&header).unwrap();
            plan.begin(&header);
        }
        let refused = plan.admit(&header(&kit, u32::MAX, 0, "a"));
        assert!(matches!(refused, Err(Refusal::TooManyTries { .. })));
        plan.limits.uncharged = limits.tries;
        let refused = plan.admit(&header(&kit, u32::MAX, 1, "a"));
        assert!(matches!(refused, Err(Refusal::TooManyUncharged { .. })));
    }

    #[test]
    fn without_noise_no_second_vector_is_sent_from_a_state() {
        let kit = kit(f64::INFINITY);
        let mut plan = plan(&kit);
        charged(&mut plan, &header(&kit, 0, 0, "a"));
        let refused = plan.admit(&header(&kit, 1, 1, "a"));
        assert!(matches!(
            refused,
            Err(Refusal::SameState { repeats: 0, .. })
        ));
        charged(&mut plan, &header(&kit, 1, 1, "b"));
        // Nor later.
        let refused = plan.admit(&header(&kit, 2, 2, "a"));
        assert!(matches!(refused, Err(Refusal::SameState { before: 0, .. })));
    }

    #[test]
    fn with_noise_a_state_from_which_a_sum_was_opened_comes_again_so_often_and_no_more() {
        let kit = kit(1.0);
        let mut plan = plan(&kit);
        plan.limits.repeats = 1;
        charged(&mut plan, &header(&kit, 0, 0, "a"));
        // Its sum was not opened with this site's help.
        charged(&mut plan, &header(&kit, 1, 1, "a"));
        plan.open(1);
        charged(&mut plan, &header(&kit, 2, 2, "a"));
        plan.open(2);
        let refused = plan.admit(&header(&kit, 3, 3, "a"));
        assert!(matches!(
            refused,
            Err(Refusal::SameState { repeats: 1, .. })
        ));
        plan.admit(&header(&kit, 3, 3, "b")).unwrap();
    }

    #[test]
    fn a_charge_that_the_register_does_not_know_is_told() {
        let kit = kit(1.0);
        let header = header(&kit, 3, 0, "a");
        let mut bytes = Ledger::begin(LedgerId::new([1; 16]));
        let line = ledger().line(&kit.study, &header, header.state, 7).unwrap();
        bytes.extend(line.text().into_bytes());
        let (ledger, _) = Ledger::decode(&bytes, None).unwrap();
        let lost = Plan::new(&kit.study, &[], &ledger).unwrap_err();
        assert_eq!(lost, Lost::Begun(3));
        let register = [Line::Begun(Begun::of(&header)), Line::Opened(3)];
        let lost = Plan::new(&kit.study, &register, &self::ledger()).unwrap_err();
        assert_eq!(
            lost,
            Lost::Charge(3),
            "a ledger that is older than the register"
        );
        let plan = Plan::new(&kit.study, &register, &ledger).unwrap();
        assert_eq!((plan.last(), plan.uncharged()), (Some(3), 0));
    }
}
