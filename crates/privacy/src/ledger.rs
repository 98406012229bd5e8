//! What a site wrote down that it released about its patients.
//!
//! One ledger holds the releases of all studies that a hospital takes part in: the same patients
//! are in all of them, so their losses compose. An entry is written before the release leaves, and
//! never removed. The host stores entries as JSON lines; this file only adds and refuses.

use serde::{Deserialize, Serialize};

use crate::cost::{Cost, Loss, UnknownDiscreteness};
use crate::discreteness::Discreteness;
use crate::{Delta, Epsilon, Total};

/// One released vector: the contribution of a site to one round of one study.
///
/// As JSON: `{"study":"<64 hex digits>","round":0,"purpose":"training","loss":{"gaussian":0.05},"discreteness":{…}}`,
/// where `loss` can be `"unprotected"`, or `{"sampled":{"noise_multiplier":2.5,"rate":0.01}}`, the latter with a
/// `"gaussian":0.05` of its own. `discreteness` ([`Discreteness`]) is left out where the noise is continuous, and may be
/// missing only where the loss is 0 or unprotected: other lines without it are of a version that did not count it, and what
/// they cost cannot be told from them, so they are refused ([`UnknownDiscreteness`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Release {
    /// SHA-256 of the study's manifest.
    pub study: [u8; 32],
    /// The round within the study, from 0.
    pub round: u32,
    /// What the round was for.
    pub purpose: Purpose,
    /// What the round's whole vector, all its sections together, can tell of one patient.
    pub cost: Cost,
}

/// A release as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(with = "hex")]
    study: [u8; 32],
    round: u32,
    purpose: Purpose,
    loss: Loss,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discreteness: Option<Discreteness>,
}

impl From<Release> for Written {
    fn from(release: Release) -> Self {
        let (loss, discreteness) = release.cost.parts();
        Self {
            study: release.study,
            round: release.round,
            purpose: release.purpose,
            loss,
            discreteness,
        }
    }
}

impl TryFrom<Written> for Release {
    type Error = UnknownDiscreteness;

    fn try_from(written: Written) -> Result<Self, UnknownDiscreteness> {
        Ok(Self {
            study: written.study,
            round: written.round,
            purpose: written.purpose,
            cost: Cost::of_parts(written.loss, written.discreteness)?,
        })
    }
}

/// What a round's vector was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Moments of the features, to agree on how inputs are scaled.
    Normalisation,
    /// A model update, with the metrics that travel beside it.
    Training,
    /// Metrics alone.
    Evaluation,
    /// Counts and sums of patients' embeddings, to find clusters by.
    Clustering,
}

/// The most that a hospital lets be learned of one of its patients, over all studies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The limit of ε at `delta`.
    pub epsilon: Epsilon,
    /// The δ at which ε is counted.
    pub delta: Delta,
}

impl Budget {
    /// Whether releases with this loss together are within the budget.
    #[must_use]
    pub fn covers(&self, total: &Total) -> bool {
        total.is_within(self.epsilon, self.delta)
    }

    /// What is left for the curve of continuous noise where a thousandth of ε is kept back for the noise's being discrete
    /// ([`Discreteness`]), and of δ the factor that goes with it. Releases that cost no more than this, and whose discreteness
    /// raises ε by no more than that thousandth, are covered.
    #[must_use]
    pub fn for_continuous_noise(self) -> Self {
        let epsilon = self.epsilon.get();
        // ε rises by at least 3κ, and δ by exp(κ); a millionth of δ is for entries that end.
        let factor = libm::exp(-KEPT_BACK * epsilon / 3.0) * (1.0 - 1e-6);
        Self {
            epsilon: self.epsilon.scaled_down(1.0 - KEPT_BACK),
            delta: self.delta.scaled_down(factor),
        }
    }

    /// By how much discreteness raises ε, where it is more than what [`Budget::for_continuous_noise`] keeps back.
    #[must_use]
    pub fn raise_beyond(self, discreteness: Discreteness) -> Option<f64> {
        let continuous = self.epsilon.get() * (1.0 - KEPT_BACK);
        let raise = discreteness.raised(continuous) - continuous;
        (raise > self.epsilon.get() * KEPT_BACK).then_some(raise)
    }
}

/// What part of ε is kept back for the difference between discrete and continuous noise.
const KEPT_BACK: f64 = 1e-3;

/// All releases of a site, in the order in which they were charged; no (study, round) twice.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    releases: Vec<Release>,
}

impl Ledger {
    /// The ledger of the releases read back from a journal. They have happened, so no budget is
    /// asked.
    ///
    /// # Errors
    ///
    /// [`AlreadyCharged`] when a (study, round) is in it twice: the journal is not one that a
    /// ledger wrote.
    pub fn restore(releases: impl IntoIterator<Item = Release>) -> Result<Self, AlreadyCharged> {
        let mut ledger = Self::default();
        for release in releases {
            ledger.refuse_charged(&release)?;
            ledger.releases.push(release);
        }
        Ok(ledger)
    }

    /// Appends a release that is about to leave. With a budget, only if all releases together stay
    /// within it.
    ///
    /// # Errors
    ///
    /// [`ChargeError`], and the ledger is as it was.
    pub fn charge(&mut self, release: Release, budget: Option<Budget>) -> Result<(), ChargeError> {
        self.refuse_charged(&release)?;
        if let Some(budget) = budget {
            let total = self.total().and(release.cost);
            if !budget.covers(&total) {
                return Err(BudgetSpent {
                    would_spend: total.epsilon(budget.delta),
                    spent: self.spent(budget.delta),
                    budget,
                }
                .into());
            }
        }
        self.releases.push(release);
        Ok(())
    }

    /// The release charged for this round of this study, if any: after a restart, whether to charge
    /// again.
    #[must_use]
    pub fn find(&self, study: &[u8; 32], round: u32) -> Option<&Release> {
        self.releases
            .iter()
            .find(|release| release.study == *study && release.round == round)
    }

    /// What all releases together can tell of one patient.
    #[must_use]
    pub fn total(&self) -> Total {
        Total::of(self.releases.iter().map(|release| release.cost))
    }

    /// The least ε proved for all releases together at this δ, rounded up; infinite if one had no
    /// noise.
    #[must_use]
    pub fn spent(&self, delta: Delta) -> f64 {
        self.total().epsilon(delta)
    }

    /// The releases, oldest first.
    #[must_use]
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    fn refuse_charged(&self, release: &Release) -> Result<(), AlreadyCharged> {
        match self.find(&release.study, release.round) {
            Some(_) => Err(AlreadyCharged {
                study: release.study,
                round: release.round,
            }),
            None => Ok(()),
        }
    }
}

/// Why a release was not charged, and so must not leave.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChargeError {
    /// The hospital's budget does not cover it.
    #[error(transparent)]
    BudgetSpent(#[from] BudgetSpent),
    /// The round was charged before.
    #[error(transparent)]
    AlreadyCharged(#[from] AlreadyCharged),
}

/// The release would take the site over its budget.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "ε would go from {spent} to {would_spend} at δ = {}, above the budget of {}",
    budget.delta, budget.epsilon
)]
pub struct BudgetSpent {
    /// ε with this release, at the budget's δ; infinite for one without noise.
    pub would_spend: f64,
    /// ε without it.
    pub spent: f64,
    /// The limit.
    pub budget: Budget,
}

/// A round is charged once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("round {round} of study {} is already charged", hex::encode(study))]
pub struct AlreadyCharged {
    /// SHA-256 of the study's manifest.
    pub study: [u8; 32],
    /// The round.
    pub round: u32,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use std::num::NonZeroU32;

    use super::*;
    use crate::Mu;
    use crate::allocation::per_step;

    fn release(study: u8, round: u32, loss: Loss) -> Release {
        Release {
            study: [study; 32],
            round,
            purpose: Purpose::Training,
            cost: Cost::continuous(loss),
        }
    }

    fn gaussian(mu: f64) -> Loss {
        Loss::Gaussian(Mu::try_from(mu).unwrap())
    }

    fn budget(epsilon: f64, delta: f64) -> Budget {
        Budget {
            epsilon: epsilon.try_into().unwrap(),
            delta: delta.try_into().unwrap(),
        }
    }

    #[test]
    fn a_budget_pays_for_exactly_the_rounds_it_was_split_into() {
        let budget = budget(1.0, 1e-6);
        let steps = NonZeroU32::new(100).unwrap();
        let step = per_step(Mu::calibrate(budget.epsilon, budget.delta), steps);
        let mut ledger = Ledger::default();
        for round in 0..100 {
            ledger
                .charge(release(1, round, Loss::Gaussian(step)), Some(budget))
                .unwrap();
        }
        assert!((0.999_999..=1.0).contains(&ledger.spent(budget.delta)));

        let refused = ledger
            .charge(release(2, 0, Loss::Gaussian(step)), Some(budget))
            .unwrap_err();
        let ChargeError::BudgetSpent(refused) = refused else {
            panic!("{refused}")
        };
        assert!(refused.would_spend > 1.0 && refused.spent <= 1.0);
        assert_eq!(ledger.releases().len(), 100);
        // Nothing of a patient is in it, so it costs nothing.
        ledger
            .charge(release(2, 0, gaussian(0.0)), Some(budget))
            .unwrap();
    }

    /// Releases whose noise costs by its being discrete as much as a study may keep back, and no more.
    fn coarse(budget: Budget, rounds: u32) -> Cost {
        let whole = budget.for_continuous_noise();
        let mu = per_step(
            Mu::calibrate(whole.epsilon, whole.delta),
            NonZeroU32::new(rounds).unwrap(),
        );
        let most = |coordinates: u64| Discreteness::of(coordinates, 1 << 30).times(rounds.into());
        let fits = |coordinates: &u64| budget.raise_beyond(most(*coordinates)).is_none();
        let coordinates = (1..10_000_u64).map(|some| some * 1_000).take_while(fits);
        Cost {
            loss: Loss::Gaussian(mu),
            discreteness: Discreteness::of(coordinates.last().unwrap(), 1 << 30),
        }
    }

    #[test]
    fn what_is_kept_back_for_discrete_noise_cannot_be_spent_on_one_more_round() {
        let budget = budget(1.0, 1e-6);
        let cost = coarse(budget, 1_000);
        let charge = |cost: Cost| {
            let mut ledger = Ledger::default();
            let mut rounds = 0;
            while rounds < 1_010 {
                let release = Release {
                    cost,
                    ..release(1, rounds, Loss::Unprotected)
                };
                if ledger.charge(release, Some(budget)).is_err() {
                    break;
                }
                rounds += 1;
            }
            rounds
        };
        assert_eq!(charge(cost), 1_000);
        // This is what was wrong: by the loss alone, more of them fit.
        assert!(charge(Cost::continuous(cost.loss)) > 1_000);
    }

    #[test]
    fn delta_is_counted_with_the_factor_of_discrete_noise() {
        let loss = Loss::Gaussian(Mu::try_from(0.2).unwrap());
        let cost = Cost {
            loss,
            discreteness: Discreteness::of(24 * (1 << 30), 1 << 34).cut_at(1 << 20, 8.0, 0.1),
        };
        let kappa = 1.0 / 16.0;
        assert!((cost.discreteness.kappa() - kappa).abs() < 1e-12);
        let (epsilon, delta) = (1.0, 1e-6.try_into().unwrap());
        let continuous = loss_at(loss, epsilon - 3.0 * kappa);
        let want = continuous * kappa.exp() + cost.discreteness.cut();
        let got = cost.delta(epsilon.try_into().unwrap());
        assert!(
            got >= want && got <= want * (1.0 + 1e-6),
            "{got:e} {want:e}"
        );
        assert!(
            cost.discreteness.cut() > 1e-9,
            "the entries' ends are seen here"
        );
        // ε and δ are each other's inverse, and a budget asks for both.
        let spent = cost.epsilon(delta);
        let at = |epsilon: f64| Budget {
            epsilon: epsilon.try_into().unwrap(),
            delta,
        };
        assert!(at(spent * (1.0 + 1e-9)).covers(&Total::of([cost])));
        assert!(!at(spent * (1.0 - 1e-6)).covers(&Total::of([cost])));
        let without = Cost::continuous(loss).epsilon(delta);
        assert!(spent > without + 3.0 * kappa, "{spent} {without}");
    }

    fn loss_at(loss: Loss, epsilon: f64) -> f64 {
        Cost::continuous(loss).delta(epsilon.try_into().unwrap())
    }

    #[test]
    fn a_line_with_noise_and_without_what_discrete_noise_costs_is_refused() {
        let cost = Cost {
            discreteness: Discreteness::of(6, 1 << 20),
            ..Cost::continuous(gaussian(0.25))
        };
        let whole = Release {
            cost,
            ..release(1, 3, Loss::Unprotected)
        };
        let line = serde_json::to_string(&whole).unwrap();
        assert_eq!(serde_json::from_str::<Release>(&line).unwrap(), whole);
        let old = serde_json::to_string(&release(1, 3, gaussian(0.25))).unwrap();
        let error = serde_json::from_str::<Release>(&old).unwrap_err();
        assert!(error.to_string().contains("no `discreteness`"), "{error}");
        for free in [gaussian(0.0), Loss::Unprotected] {
            let line = serde_json::to_string(&release(1, 3, free)).unwrap();
            assert!(serde_json::from_str::<Release>(&line).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_round_is_charged_once() {
        let mut ledger = Ledger::default();
        ledger.charge(release(1, 7, gaussian(0.1)), None).unwrap();
        let refused = ledger
            .charge(release(1, 7, gaussian(0.1)), None)
            .unwrap_err();
        assert_eq!(
            refused,
            AlreadyCharged {
                study: [1; 32],
                round: 7
            }
            .into()
        );
        assert!(
            refused.to_string().starts_with("round 7 of study 0101"),
            "{refused}"
        );
        ledger.charge(release(1, 8, gaussian(0.1)), None).unwrap();
        ledger.charge(release(2, 7, gaussian(0.1)), None).unwrap();
        assert!(ledger.find(&[2; 32], 7).is_some() && ledger.find(&[2; 32], 8).is_none());

        let twice = [ledger.releases(), ledger.releases()].concat();
        assert!(Ledger::restore(twice).is_err());
    }

    #[test]
    fn a_release_without_noise_makes_epsilon_infinite() {
        let budget = budget(100.0, 0.999);
        let mut ledger = Ledger::default();
        ledger
            .charge(release(1, 0, gaussian(0.1)), Some(budget))
            .unwrap();
        let refused = ledger
            .charge(release(1, 1, Loss::Unprotected), Some(budget))
            .unwrap_err();
        assert!(
            refused.to_string().contains("to inf at δ = 0.999"),
            "{refused}"
        );
        assert_eq!(ledger.releases().len(), 1);

        ledger
            .charge(release(1, 1, Loss::Unprotected), None)
            .unwrap();
        assert!(ledger.spent(budget.delta).is_infinite());
        assert!(
            ledger
                .charge(release(1, 2, gaussian(0.0)), Some(budget))
                .is_err()
        );
    }

    #[test]
    fn a_release_is_one_readable_line_of_json() {
        let written = Discreteness::of(6, 1 << 20);
        let of = |loss| Release {
            cost: Cost {
                loss,
                discreteness: written,
            },
            ..release(0xab, 3, loss)
        };
        let line = serde_json::to_string(&of(gaussian(0.25))).unwrap();
        let (study, discreteness) = ("ab".repeat(32), serde_json::to_string(&written).unwrap());
        assert_eq!(
            line,
            format!(
                r#"{{"study":"{study}","round":3,"purpose":"training","loss":{{"gaussian":0.25}},"discreteness":{discreteness}}}"#
            )
        );
        assert!(
            discreteness.starts_with(r#"{"kappa":2.384"#),
            "{discreteness}"
        );
        let unprotected = line.replace(r#"{"gaussian":0.25}"#, r#""unprotected""#);
        assert_eq!(
            serde_json::from_str::<Release>(&unprotected)
                .unwrap()
                .cost
                .loss,
            Loss::Unprotected
        );
        for (loss, gaussian) in [
            (r#"{"sampled":{"noise_multiplier":2.5,"rate":0.01}}"#, 0.0),
            (
                r#"{"sampled":{"noise_multiplier":2.5,"rate":0.01,"gaussian":0.05}}"#,
                0.05,
            ),
        ] {
            let sampled = line.replace(r#"{"gaussian":0.25}"#, loss);
            let read: Release = serde_json::from_str(&sampled).unwrap();
            assert_eq!(
                read.cost.loss,
                Loss::Sampled {
                    noise_multiplier: 2.5.try_into().unwrap(),
                    rate: 0.01.try_into().unwrap(),
                    steps: NonZeroU32::MIN,
                    gaussian: gaussian.try_into().unwrap(),
                }
            );
            assert_eq!(serde_json::to_string(&read).unwrap(), sampled);
            assert!(serde_json::from_str::<Release>(&sampled.replace("0.01", "1.01")).is_err());
            assert!(serde_json::from_str::<Release>(&sampled.replace("rate", "note")).is_err());
        }
        for bad in [
            line.replace("0.25", "-0.25"),
            line.replace("ab", ""),
            line.replace("training", "marketing"),
            line.replace(r#""round":3"#, r#""round":3,"note":"""#),
            line.replace("kappa", "cappa"),
        ] {
            assert!(serde_json::from_str::<Release>(&bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_ledger_never_exceeds_its_budget(
            losses in proptest::collection::vec((0.0..0.5_f64, any::<bool>()), 0..30),
            epsilon in 0.1..10.0_f64,
        ) {
            let budget = budget(epsilon, 1e-6);
            let mut ledger = Ledger::default();
            for (round, (mu, noised)) in (0..).zip(losses) {
                let loss = if noised { gaussian(mu) } else { Loss::Unprotected };
                let before = ledger.releases().len();
                let charged = ledger.charge(release(0, round, loss), Some(budget)).is_ok();
                prop_assert_eq!(ledger.releases().len(), before + usize::from(charged));
                prop_assert!(budget.covers(&ledger.total()));
                prop_assert!(ledger.spent(budget.delta) <= epsilon * (1.0 + 1e-9));
            }
            let restored = Ledger::restore(ledger.releases().to_vec()).unwrap();
            prop_assert_eq!(restored.total(), ledger.total());
        }
    }
}
