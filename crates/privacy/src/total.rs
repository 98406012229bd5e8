//! What many releases together can tell of one patient.

use crate::composition::Composition;
use crate::ledger::Loss;
use crate::step::Step;
use crate::{Delta, Epsilon, Mu, Sampled};

/// The loss of many releases together, in any order and however one depended on those before.
///
/// Releases without sampling are counted exactly, as one [`Mu`]. With samples among them, all are
/// counted by the distributions of their losses: never below the truth, and above it by some 3e-4 of
/// δ, which is 3e-5 of ε or less where ε is above 0.01.
#[derive(Clone, Debug, PartialEq)]
pub struct Total {
    /// `None` when a release had no noise.
    noised: Option<Noised>,
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
    };

    /// The loss of all of them together; one without noise makes the whole unprotected.
    #[must_use]
    pub fn of(losses: impl IntoIterator<Item = Loss>) -> Self {
        let (mut gaussian, mut sampled) = (Vec::new(), Vec::new());
        for loss in losses {
            match loss {
                Loss::Gaussian(mu) => gaussian.push(mu),
                Loss::Sampled {
                    noise_multiplier,
                    rate,
                    gaussian: beside,
                } => {
                    gaussian.push(beside);
                    let kind = Sampled {
                        noise_multiplier,
                        rate,
                    };
                    insert(&mut sampled, kind, 1);
                }
                Loss::Unprotected => return Self { noised: None },
            }
        }
        Self {
            noised: Some(Noised {
                gaussian: Mu::compose(gaussian),
                sampled,
            }),
        }
    }

    /// This and one more release.
    #[must_use]
    pub fn and(self, loss: Loss) -> Self {
        self.and_total(Self::of([loss]))
    }

    /// This and `count` more releases of one kind.
    #[must_use]
    pub fn and_sampled(mut self, kind: Sampled, count: u64) -> Self {
        if let Some(noised) = &mut self.noised {
            insert(&mut noised.sampled, kind, count);
        }
        self
    }

    fn and_total(self, other: Self) -> Self {
        let (Some(mut one), Some(other)) = (self.noised, other.noised) else {
            return Self { noised: None };
        };
        one.gaussian = Mu::compose([one.gaussian, other.gaussian]);
        for (kind, count) in other.sampled {
            insert(&mut one.sampled, kind, count);
        }
        Self { noised: Some(one) }
    }

    /// The least ε proved at this δ, rounded up; infinite without noise.
    #[must_use]
    pub fn epsilon(&self, delta: Delta) -> f64 {
        match self.account() {
            Account::Exact(mu) => mu.epsilon(delta),
            Account::Composed(composition) => composition.epsilon(delta.get()),
            Account::Unprotected => f64::INFINITY,
        }
    }

    /// The least δ proved at this ε, rounded up; 1 without noise.
    #[must_use]
    pub fn delta(&self, epsilon: Epsilon) -> f64 {
        match self.account() {
            Account::Exact(mu) => mu.delta(epsilon),
            Account::Composed(composition) => composition.delta(epsilon.get()),
            Account::Unprotected => 1.0,
        }
    }

    /// The least ε that Rényi divergences prove at this δ: above [`Total::epsilon`] by a tenth or so,
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
        match self.account() {
            Account::Exact(mu) => mu.delta(epsilon) <= delta.get(),
            Account::Composed(composition) => {
                // A margin for its roundings, which are not directed.
                composition.log_delta_by_renyi(epsilon.get()) <= libm::log(delta.get()) - 1e-6
                    || composition.delta(epsilon.get()) <= delta.get()
            }
            Account::Unprotected => false,
        }
    }

    fn account(&self) -> Account {
        let Some(noised) = &self.noised else {
            return Account::Unprotected;
        };
        let (mut gaussian, mut parts) = (vec![noised.gaussian], Vec::new());
        for (kind, count) in &noised.sampled {
            let step = kind.unsampled();
            if kind.rate.get() >= 1.0 || step.get() > MOST_SAMPLED {
                gaussian.push(step.repeated(*count));
            } else {
                // Below, not a number of the table is affected; a rate is rounded up with it.
                parts.push((
                    Step::new(step.get().max(LEAST_SAMPLED), kind.rate.get()),
                    *count,
                ));
            }
        }
        let gaussian = Mu::compose(gaussian);
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

/// A sampled release whose noise is a thousandth of the sensitivity hides nothing; it is counted as
/// if everybody were in it, which saves the grid from losses of millions.
const MOST_SAMPLED: f64 = 1e3;

/// A smaller loss is counted as this, so that its square is a number.
const LEAST_SAMPLED: f64 = 1e-100;
