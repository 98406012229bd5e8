//! The noise that sampled releases need.

use std::num::NonZeroU32;

use crate::sampled::{NoiseMultiplier, Rate, Sampled};
use crate::{Cost, Delta, Epsilon, Loss, Mu, Total};

/// Releases of one kind that a study plans, beside everything else that it releases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned {
    /// How many.
    pub steps: NonZeroU32,
    /// The probability with which each patient is in the sample of one.
    pub rate: Rate,
    /// What all releases without sampling can tell together, those in the same vectors included.
    pub rest: Mu,
}

impl Planned {
    /// The least noise multiplier with which all of it keeps (ε, δ), rounded up by at most 1e-4 of
    /// it beside what the accountant itself is above the truth.
    ///
    /// The accountant's bounds are not monotone to the last digit, so a thousandth of δ is kept back:
    /// a ledger that charges the releases one by one, in any order, never refuses one before the end.
    ///
    /// # Errors
    ///
    /// [`NothingLeft`] when the rest has spent it all, or so much that no noise is enough.
    pub fn noise_multiplier(
        self,
        epsilon: Epsilon,
        delta: Delta,
    ) -> Result<NoiseMultiplier, NothingLeft> {
        let refused = NothingLeft {
            epsilon,
            delta,
            rest: self.rest,
        };
        let goal = delta.get() * (1.0 - KEPT_BACK);
        if self.rest.delta(epsilon) >= goal {
            return Err(refused);
        }
        let goal = libm::log(goal);
        let above =
            |multiplier: f64| Some(libm::log(self.total(multiplier)?.delta(epsilon)) - goal);
        let mut bracket = Bracket::around(self.guess(epsilon, delta), above).ok_or(refused)?;
        for turn in 0..MOST_TURNS {
            if bracket.holds.0 <= bracket.fails.0 * (1.0 + TOLERANCE) {
                break;
            }
            let next = bracket.next(turn);
            bracket.narrow(next, above(next).ok_or(refused)?);
        }
        NoiseMultiplier::try_from(bracket.holds.0).map_err(|_| refused)
    }

    fn total(self, multiplier: f64) -> Option<Total> {
        let kind = Sampled {
            noise_multiplier: NoiseMultiplier::try_from(multiplier).ok()?,
            rate: self.rate,
        };
        let rest = Total::of([Cost::continuous(Loss::Gaussian(self.rest))]);
        Some(rest.and_sampled(kind, self.steps.get().into()))
    }

    /// What the central limit theorem says, where a loss is μ = q √(T (exp(1/σ²) − 1)) (Bu, Dong, Long
    /// & Su 2020); too little where there are few steps.
    fn guess(self, epsilon: Epsilon, delta: Delta) -> f64 {
        let whole = Mu::calibrate(epsilon, delta).get();
        let left = whole * whole - self.rest.get() * self.rest.get();
        let rate = self.rate.get();
        let part = left.max(1e-6 * whole * whole) / (rate * rate * f64::from(self.steps.get()));
        1.0 / libm::log1p(part).sqrt()
    }
}

/// Two noise multipliers, each with ln δ above the goal: one too small, one large enough.
struct Bracket {
    fails: (f64, f64),
    holds: (f64, f64),
}

impl Bracket {
    fn around(guess: f64, above: impl Fn(f64) -> Option<f64>) -> Option<Self> {
        let mut here = (guess, above(guess)?);
        let factor = if here.1 <= 0.0 { 1.0 / STRIDE } else { STRIDE };
        for _ in 0..MOST_STRIDES {
            let next = here.0 * factor;
            let there = (next, above(next)?);
            match (here.1 <= 0.0, there.1 <= 0.0) {
                (true, false) => {
                    return Some(Self {
                        fails: there,
                        holds: here,
                    });
                }
                (false, true) => {
                    return Some(Self {
                        fails: here,
                        holds: there,
                    });
                }
                _ => here = there,
            }
        }
        None
    }

    /// Where a straight line through both ends says, a little aside in turn, so that the ends close in
    /// from both sides; every third time the middle.
    fn next(&self, turn: u32) -> f64 {
        let (fails, holds) = (self.fails, self.holds);
        let part = if turn % 3 == 2 {
            0.5
        } else {
            fails.1 / (fails.1 - holds.1)
        };
        let aside = if turn.is_multiple_of(2) {
            1.0 + 0.4 * TOLERANCE
        } else {
            1.0 - 0.4 * TOLERANCE
        };
        let next = (fails.0 + part * (holds.0 - fails.0)) * aside;
        let margin = 0.1 * (holds.0 - fails.0);
        if next.is_finite() && margin > 0.0 {
            next.clamp(
                fails.0 + margin.min(0.25 * TOLERANCE * fails.0),
                holds.0 - margin.min(0.25 * TOLERANCE * fails.0),
            )
        } else {
            0.5 * (fails.0 + holds.0)
        }
    }

    fn narrow(&mut self, multiplier: f64, above: f64) {
        if above <= 0.0 {
            self.holds = (multiplier, above);
        } else {
            self.fails = (multiplier, above);
        }
    }
}

/// What part of δ is kept back; three times what the grid may add to it.
const KEPT_BACK: f64 = 1e-3;

/// How near to the least multiplier the answer is, relative.
const TOLERANCE: f64 = 1e-4;

const STRIDE: f64 = 1.25;

/// 1.25²⁰⁰ is 2e19: with so much noise, a release tells nothing.
const MOST_STRIDES: usize = 200;

/// Two of three halve the bracket at least, so they are not all needed.
const MOST_TURNS: u32 = 80;

/// There is no budget for sampled releases.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "releases without sampling (a Gaussian loss of {} in all) leave nothing of ε = {epsilon} at δ = {delta} for \
     sampled ones: give them a smaller share, or raise ε",
    rest.get()
)]
pub struct NothingLeft {
    /// What everything together was to keep.
    pub epsilon: Epsilon,
    /// What everything together was to keep.
    pub delta: Delta,
    /// What the rest loses.
    pub rest: Mu,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Budget, Ledger, Purpose, Release};

    fn planned(steps: u32, rate: f64, rest: f64) -> Planned {
        Planned {
            steps: NonZeroU32::new(steps).unwrap(),
            rate: rate.try_into().unwrap(),
            rest: rest.try_into().unwrap(),
        }
    }

    #[test]
    fn a_rest_that_has_spent_everything_leaves_nothing() {
        let (epsilon, delta) = (1.0.try_into().unwrap(), 1e-6.try_into().unwrap());
        for rest in [0.3, Mu::calibrate(epsilon, delta).get()] {
            let refused = planned(10, 0.1, rest).noise_multiplier(epsilon, delta);
            assert!(refused.unwrap_err().to_string().contains("leave nothing"));
        }
    }

    #[test]
    fn a_rate_of_one_needs_the_noise_of_full_batches() {
        let (epsilon, delta) = (1.0.try_into().unwrap(), 1e-6.try_into().unwrap());
        let steps = NonZeroU32::new(50).unwrap();
        let want = Mu::calibrate(epsilon, delta).noise_multiplier(steps);
        let got = planned(50, 1.0, 0.0)
            .noise_multiplier(epsilon, delta)
            .unwrap()
            .get();
        assert!((want..want * 1.001).contains(&got), "{got} {want}");
    }

    #[test]
    fn a_ledger_takes_every_planned_release_and_not_one_more() {
        let budget = Budget {
            epsilon: 1.0.try_into().unwrap(),
            delta: 1e-6.try_into().unwrap(),
        };
        let rest = 0.05;
        let planned = planned(40, 0.1, rest);
        let noise_multiplier = planned
            .noise_multiplier(budget.epsilon, budget.delta)
            .unwrap();
        let release = |round, loss| Release {
            study: [1; 32],
            round,
            purpose: Purpose::Training,
            cost: Cost::continuous(loss),
        };
        let sampled = |gaussian: f64| Loss::Sampled {
            noise_multiplier,
            rate: planned.rate,
            steps: NonZeroU32::MIN,
            gaussian: gaussian.try_into().unwrap(),
        };
        let mut ledger = Ledger::default();
        for round in 0..40 {
            let loss = sampled(rest / 40.0_f64.sqrt() * (1.0 - 1e-12));
            ledger.charge(release(round, loss), Some(budget)).unwrap();
        }
        let spent = ledger.spent(budget.delta);
        assert!((0.999..=1.0).contains(&spent), "{spent}");
        assert!(
            ledger
                .charge(release(40, sampled(0.0)), Some(budget))
                .is_err()
        );
    }
}
