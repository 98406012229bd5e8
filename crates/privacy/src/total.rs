//! What many releases together can tell of one patient.

use crate::composition::Composition;
use crate::cost::{Cost, Loss};
use crate::discreteness::Discreteness;
use crate::step::Step;
use crate::{Delta, Epsilon, Mu, Sampled};

/// The loss of many releases together, in any order and however one depended on those before.
///
/// Releases without sampling are counted exactly, as one [`Mu`]. With samples among them, all are
/// counted by the distributions of their losses: never below the truth, and above it by some 1e-5 to
/// 1e-4 of ε; by up to 4e-3 where few releases of a low rate have little noise, and there by up to 6e-5 of an ε of
/// some 1e-3 beside: what is absolutely tiny is relatively less exact. One answer takes tens of
/// milliseconds.
///
/// What discrete noise costs beside ([`crate::discreteness`]) is in every answer, in ε and in δ.
#[derive(Clone, Debug, PartialEq)]
pub struct Total {
    /// `None` when a release had no noise.
    noised: Option<Noised>,
    /// How far all of the noise together is from continuous noise.
    discreteness: Discreteness,
}

#[derive(Clone, Debug, PartialEq)]
struct Noised {
    /// All full-batch releases.
    gaussian: Mu,
    /// All others, each kind once, in the order of [`Sampled::order`].
    sampled: Vec<(Sampled, u64)>,
}

impl Total {
    /// The loss of no release.
    pub const ZERO: Self = Self {
        noised: Some(Noised {
            gaussian: Mu::ZERO,
            sampled: Vec::new(),
        }),
        discreteness: Discreteness::NONE,
    };

    /// What releases without any noise can tell.
    const UNPROTECTED: Self = Self {
        noised: None,
        discreteness: Discreteness::NONE,
    };

    /// The loss of all of them together; one without noise makes the whole unprotected.
    #[must_use]
    pub fn of(costs: impl IntoIterator<Item = Cost>) -> Self {
        let (mut gaussian, mut sampled) = (Vec::new(), Vec::new());
        let mut discreteness = Discreteness::NONE;
        for cost in costs {
            discreteness = discreteness.and(cost.discreteness);
            match cost.loss {
                Loss::Gaussian(mu) => gaussian.push(mu),
                Loss::Sampled {
                    noise_multiplier,
                    rate,
                    steps,
                    gaussian: beside,
                } => {
                    gaussian.push(beside);
                    let kind = Sampled {
                        noise_multiplier,
                        rate,
                    };
                    insert(&mut sampled, kind, steps.get().into());
                }
                Loss::Unprotected => return Self::UNPROTECTED,
            }
        }
        Self {
            noised: Some(Noised {
                gaussian: Mu::compose(gaussian),
                sampled,
            }),
            discreteness,
        }
    }

    /// This and one more release.
    #[must_use]
    pub fn and(self, cost: Cost) -> Self {
        self.and_total(Self::of([cost]))
    }

    /// This and `count` more releases of one kind, with continuous noise.
    #[must_use]
    pub fn and_sampled(mut self, kind: Sampled, count: u64) -> Self {
        if let Some(noised) = &mut self.noised {
            insert(&mut noised.sampled, kind, count);
        }
        self
    }

    /// This and all of another.
    #[must_use]
    pub fn and_total(self, other: Self) -> Self {
        let (Some(mut one), Some(another)) = (self.noised, other.noised) else {
            return Self::UNPROTECTED;
        };
        one.gaussian = Mu::compose([one.gaussian, another.gaussian]);
        for (kind, count) in another.sampled {
            insert(&mut one.sampled, kind, count);
        }
        Self {
            noised: Some(one),
            discreteness: self.discreteness.and(other.discreteness),
        }
    }

    /// So many times all of this.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        let Some(mut noised) = self.noised else {
            return if count == 0 {
                Self::ZERO
            } else {
                Self::UNPROTECTED
            };
        };
        let count = u64::from(count);
        if count == 0 {
            return Self::ZERO;
        }
        noised.gaussian = noised.gaussian.repeated(count);
        for (_, steps) in &mut noised.sampled {
            *steps = steps.saturating_mul(count);
        }
        Self {
            noised: Some(noised),
            discreteness: self.discreteness.times(count),
        }
    }

    /// The least ε proved at this δ, rounded up; infinite without noise.
    #[must_use]
    pub fn epsilon(&self, delta: Delta) -> f64 {
        let delta = self.discreteness.lowered_delta(delta.get());
        if delta < f64::MIN_POSITIVE {
            return f64::INFINITY;
        }
        let epsilon = match self.account() {
            Account::Exact(mu) => mu.epsilon_at(delta),
            Account::Composed(composition) => composition.epsilon(delta),
            Account::Unprotected => f64::INFINITY,
        };
        self.discreteness.raised(epsilon)
    }

    /// The least δ proved at this ε, rounded up; 1 without noise.
    #[must_use]
    pub fn delta(&self, epsilon: Epsilon) -> f64 {
        let epsilon = self.discreteness.lowered(epsilon.get());
        if epsilon < 0.0 {
            return 1.0;
        }
        let delta = match self.account() {
            Account::Exact(mu) => mu.delta_at(epsilon),
            Account::Composed(composition) => composition.delta(epsilon),
            Account::Unprotected => return 1.0,
        };
        self.discreteness.raised_delta(delta)
    }

    /// How far the noise of all releases together is from continuous noise.
    #[must_use]
    pub fn discreteness(&self) -> Discreteness {
        self.discreteness
    }

    /// The least ε that Rényi divergences prove at this δ for continuous noise: above [`Total::epsilon`] by a tenth or so,
    /// and computed on another way, so each is a check of the other.
    #[must_use]
    pub fn epsilon_by_renyi(&self, delta: Delta) -> f64 {
        match self.account() {
            Account::Exact(mu) if mu <= Mu::ZERO => 0.0,
            Account::Exact(mu) => {
                Composition::new(vec![(Step::new(mu.get(), 1.0), 1)]).epsilon_by_renyi(delta.get())
            }
            Account::Composed(composition) => composition.epsilon_by_renyi(delta.get()),
            Account::Unprotected => f64::INFINITY,
        }
    }

    /// Whether (ε, δ) is proved; as good as comparing [`Total::delta`], and quicker where it is clear.
    pub(crate) fn is_within(&self, epsilon: Epsilon, delta: Delta) -> bool {
        let epsilon = self.discreteness.lowered(epsilon.get());
        let delta = self.discreteness.lowered_delta(delta.get());
        if epsilon < 0.0 || delta < f64::MIN_POSITIVE {
            return false;
        }
        match self.account() {
            Account::Exact(mu) => mu.delta_at(epsilon) <= delta,
            Account::Composed(composition) => {
                // A margin for its roundings, which are not directed.
                composition.log_delta_by_renyi(epsilon) <= libm::log(delta) - 1e-6
                    || composition.delta(epsilon) <= delta
            }
            Account::Unprotected => false,
        }
    }

    fn account(&self) -> Account {
        let Some(noised) = &self.noised else {
            return Account::Unprotected;
        };
        let (mut gaussian, mut parts) = (noised.gaussian, Vec::new());
        for (kind, count) in &noised.sampled {
            let step = kind.unsampled();
            if kind.rate.get() >= 1.0 || step.get() > MOST_SAMPLED {
                gaussian = Mu::compose([gaussian, step.repeated(*count)]);
            } else {
                let mu = step.get().max(LEAST_SAMPLED);
                parts.push((Step::new(mu, kind.rate.get()), *count));
            }
        }
        if parts.is_empty() {
            return Account::Exact(gaussian);
        }
        if gaussian > Mu::ZERO {
            parts.push((Step::new(gaussian.get().max(LEAST_SAMPLED), 1.0), 1));
        }
        Account::Composed(Composition::new(parts))
    }
}

/// How a total is counted.
enum Account {
    Exact(Mu),
    Composed(Composition),
    Unprotected,
}

fn insert(sampled: &mut Vec<(Sampled, u64)>, kind: Sampled, count: u64) {
    match sampled.binary_search_by(|(other, _)| other.order(&kind)) {
        Ok(place) => sampled[place].1 = sampled[place].1.saturating_add(count),
        Err(place) => sampled.insert(place, (kind, count)),
    }
}

/// A sampled release whose noise is below a twentieth of the sensitivity hides nothing of who is in
/// the sample; it is counted as if everybody were, which is an upper bound and saves the grid from
/// losses of thousands.
const MOST_SAMPLED: f64 = 20.0;

/// A smaller loss is counted as this, so that its square is a number.
const LEAST_SAMPLED: f64 = 1e-100;

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(noise_multiplier: f64, rate: f64) -> Sampled {
        Sampled {
            noise_multiplier: noise_multiplier.try_into().unwrap(),
            rate: rate.try_into().unwrap(),
        }
    }

    fn sampled(noise_multiplier: f64, rate: f64, gaussian: f64) -> Cost {
        let Sampled {
            noise_multiplier,
            rate,
        } = kind(noise_multiplier, rate);
        Cost::continuous(Loss::Sampled {
            noise_multiplier,
            rate,
            steps: std::num::NonZeroU32::MIN,
            gaussian: gaussian.try_into().unwrap(),
        })
    }

    fn gaussian(mu: Mu) -> Cost {
        Cost::continuous(Loss::Gaussian(mu))
    }

    fn delta(value: f64) -> Delta {
        value.try_into().unwrap()
    }

    #[test]
    fn a_total_does_not_depend_on_the_order_of_its_releases() {
        let losses = [
            sampled(1.0, 0.1, 0.05),
            sampled(2.0, 0.1, 0.0),
            Cost::continuous(Loss::Gaussian(Mu::try_from(0.1).unwrap())),
            sampled(1.0, 0.1, 0.05),
        ];
        let forward = Total::of(losses);
        let backward = losses.into_iter().rev().fold(Total::ZERO, Total::and);
        let [one, other] = [&forward, &backward].map(|total| total.epsilon(delta(1e-6)));
        assert!((one / other - 1.0).abs() < 1e-9, "{one} {other}");
        assert_eq!(
            forward.noised.unwrap().sampled,
            [(kind(1.0, 0.1), 2), (kind(2.0, 0.1), 1)]
        );
    }

    #[test]
    fn gaussian_totals_stay_exact_and_a_rate_of_one_is_one() {
        let mu = Mu::try_from(0.5).unwrap();
        assert_eq!(
            Total::of([gaussian(mu)]).epsilon(delta(1e-6)).to_bits(),
            Mu::compose([mu]).epsilon(delta(1e-6)).to_bits()
        );
        let everybody = Total::ZERO
            .and_sampled(kind(2.0, 1.0), 1)
            .epsilon(delta(1e-6));
        assert!((everybody / mu.epsilon(delta(1e-6)) - 1.0).abs() < 1e-12);
    }

    /// The exact loss of a Gaussian, told through the grid: nearly all of it is beside a release that
    /// tells next to nothing.
    #[test]
    fn a_gaussian_part_on_the_grid_is_just_above_its_exact_curve() {
        for mu in [0.01, 0.3, 1.0, 4.0, 30.0] {
            let mu = Mu::try_from(mu).unwrap();
            for at in [0.1, 1e-6, 1e-30, 1e-200] {
                let total = Total::of([gaussian(mu)]).and_sampled(kind(1e9, 1e-6), 1);
                let Account::Composed(composition) = total.account() else {
                    panic!("a sampled release is composed")
                };
                let (got, want) = (composition.epsilon(at), mu.epsilon_at(at));
                assert!(
                    got >= want * (1.0 - 1e-9) && got <= want * (1.0 + 1e-3) + 1e-9,
                    "μ {}, δ {at:e}: {got} {want}",
                    mu.get()
                );
            }
        }
    }

    /// Two releases by summing their definition on a fine mesh, with midpoints for integrals.
    #[test]
    fn two_different_releases_have_the_delta_of_their_definition() {
        let (one, other) = ((1.0, 0.2), (0.8, 0.05));
        let total = [one, other]
            .into_iter()
            .fold(Total::ZERO, |total, (noise, rate)| {
                total.and_sampled(kind(noise, rate), 1)
            });
        let mesh = |(noise, rate): (f64, f64)| -> Vec<(f64, f64)> {
            let width = 0.01;
            (-900..1200)
                .map(|k| {
                    let z = (f64::from(k) + 0.5) * width;
                    let without = libm::exp(-0.5 * z * z) * width / 2.506_628_274_631_000_5;
                    (
                        without * libm::exp(Step::new(1.0 / noise, rate).log_ratio(z)),
                        without,
                    )
                })
                .collect()
        };
        let (first, second) = (mesh(one), mesh(other));
        for epsilon in [0.1, 0.5, 1.5, 3.0] {
            let factor = libm::exp(epsilon);
            let mut exact = [0.0_f64; 2];
            for (p, q) in &first {
                for (r, s) in &second {
                    exact[0] += (p * r - factor * q * s).max(0.0);
                    exact[1] += (q * s - factor * p * r).max(0.0);
                }
            }
            let want = exact[0].max(exact[1]);
            let got = total.delta(epsilon.try_into().unwrap());
            assert!(
                (want * 0.999_99..want * 1.002).contains(&got),
                "ε {epsilon}: {got:e} {want:e}"
            );
        }
    }

    #[test]
    fn no_argument_makes_it_panic_or_leave_the_safe_side() {
        for noise in [1e-300, 0.06, 5.0, 1e300] {
            for rate in [f64::MIN_POSITIVE, 0.3, 1.0] {
                for count in [1, 3000] {
                    let total = Total::ZERO.and_sampled(kind(noise, rate), count);
                    let epsilon = total.epsilon(delta(1e-6));
                    let whole = Mu::try_from(up_to_max(count, noise)).unwrap();
                    assert!(
                        epsilon >= 0.0 && epsilon <= whole.epsilon(delta(1e-6)) * 1.001 + 1e-9,
                        "σ {noise}, q {rate}, T {count}: {epsilon}"
                    );
                }
            }
        }
    }

    fn up_to_max(count: u64, noise: f64) -> f64 {
        ((count as f64).sqrt() / noise).min(f64::MAX)
    }
}
