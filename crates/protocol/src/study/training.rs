//! How the model of a study is trained.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// The `[training]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Training {
    /// Steps of training, one round each.
    pub rounds: u32,
    /// What a site computes in a step.
    pub algorithm: Algorithm,
    /// How the aggregator moves the weights by the sum.
    pub optimizer: Optimizer,
    /// L2 penalty on the weights, applied by the aggregator: it needs no data.
    #[serde(default)]
    pub weight_decay: f64,
    /// Share of the last steps whose weights are averaged into the published model; 0 keeps the last.
    #[serde(default)]
    pub average_tail: f64,
    /// Steps between evaluations on held-out patients; 0 evaluates at the end alone.
    #[serde(default)]
    pub evaluate_every: u32,
    /// Which sites take part in a round of training; in all other rounds, all do.
    #[serde(default)]
    pub participants: Participants,
    /// When training ends before its last round; without it, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<Stopping>,
}

/// The `[personalisation]` table: steps that a site may take for itself from the published model, on its own training
/// patients. What comes of them stays at the site, so nothing is noised.
///
/// With a proximal term this is Ditto's personal model (Li et al. 2021, [algorithm 1]); where the study trains a head
/// alone, a personal head.
///
/// [algorithm 1]: https://arxiv.org/abs/2012.04221
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Personalisation {
    /// How many, at least 1.
    pub steps: u32,
    /// The training patients of a step.
    pub batch: Batch,
    /// How a step moves the weights.
    pub optimizer: Optimizer,
    /// Draws the personal weights to the published ones; 0 for not at all.
    #[serde(default)]
    pub proximal: f64,
}

/// Which sites take part in a round of training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Participants {
    /// All.
    #[default]
    All,
    /// Some, other ones at each place of the plan: whom the lottery of the roster's lots names
    /// ([`super::Study::participants`]), so that nobody chooses.
    Random {
        /// How many, at least 3.
        sites: u16,
        /// Of these, how many must agree before masks are opened: above half.
        threshold: u16,
    },
}

/// Early stopping by securely summed metrics of the tuning patients; the best model is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stopping {
    /// Steps between looks at the tuning patients, at least 1.
    pub every: u32,
    /// Looks in a row without a better macro AUC after which training ends, at least 1.
    pub patience: u32,
}

/// What a site computes in a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Algorithm {
    /// The sum of clipped per-patient gradients: a step of the pooled training (`FedSGD`, `McMahan` et al. 2017).
    #[serde(rename_all = "kebab-case")]
    Gradient {
        /// The training patients of a step.
        batch: Batch,
    },
    /// Some steps at each site, then the mean of what they changed (`FedAvg`, `McMahan` et al. 2017, algorithm 1).
    Averaging(Averaging),
}

impl Algorithm {
    /// The training patients of a step.
    #[must_use]
    pub fn batch(&self) -> Batch {
        match self {
            Self::Gradient { batch } | Self::Averaging(Averaging { batch, .. }) => *batch,
        }
    }

    /// Whether sites and aggregator keep control variates from round to round.
    #[must_use]
    pub fn has_control_variates(&self) -> bool {
        matches!(self, Self::Averaging(averaging) if averaging.control_variates == ControlVariates::Scaffold)
    }
}

/// Of [`Algorithm::Averaging`].
///
/// With a finite ε each local step is a noised one (DP-SGD, [ACG+16]): its clipped sum carries noise of the site's
/// own, so all that follows from it, the change of the weights and control variates included, is covered.
///
/// [ACG+16]: https://arxiv.org/abs/1607.00133
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Averaging {
    /// Steps of each site in a round.
    pub steps: u32,
    /// The training patients of a local step.
    pub batch: Batch,
    /// How a site moves its weights in a local step.
    pub optimizer: Optimizer,
    /// The proximal term's μ, which draws local weights towards the round's (`FedProx`, Li et al. 2020, equation 2);
    /// 0 for none.
    #[serde(default)]
    pub proximal: f64,
    /// Whether local steps are corrected for what sites differ in.
    #[serde(default)]
    pub control_variates: ControlVariates,
    /// What a site counts in the mean.
    pub weighting: Weighting,
    /// L2 norm to which the change of a site's weights is clipped: it bounds the range of the sum, not privacy.
    pub change_norm: f64,
}

impl Averaging {
    /// Local steps times learning rate: what turns a mean gradient into a change of the weights.
    #[must_use]
    pub fn steps_times_rate(&self) -> f64 {
        let rate = match self.optimizer {
            Optimizer::Momentum { rate, .. }
            | Optimizer::Adam { rate, .. }
            | Optimizer::Yogi { rate, .. }
            | Optimizer::Adagrad { rate, .. } => rate,
        };
        f64::from(self.steps) * rate
    }
}

/// Whether local steps are corrected for what sites differ in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlVariates {
    /// They are not.
    #[default]
    None,
    /// `SCAFFOLD` (Karimireddy et al. 2020, algorithm 1, option II), the sum of control variates masked like the
    /// weights.
    Scaffold,
}

/// What a site counts in the mean of the sites' changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// As many times as its training patients have labels; with a finite ε, the number with noise.
    Patients,
    /// Once.
    Sites,
}

/// The training patients of a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Batch {
    /// All.
    All,
    /// Each with this probability, independently (Poisson sampling).
    Sampled {
        /// The probability, above 0 and below 1.
        rate: f64,
    },
    /// This many, without replacement until all had their turn; only where ε is infinite.
    Shuffled {
        /// Patients of a step.
        patients: u32,
    },
}

/// How weights are moved by the mean gradient `g`, or by minus the mean change (Reddi et al. 2021, algorithm 2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Optimizer {
    /// `m = momentum·m + g; w = w − rate·m`. With a momentum of 0: gradient descent.
    #[n(0)]
    Momentum {
        /// Learning rate, above 0.
        #[n(0)]
        rate: f64,
        /// Share of the former direction that is kept, from 0 to below 1.
        #[n(1)]
        momentum: f64,
    },
    /// Adam with bias correction (Kingma & Ba 2015).
    #[n(1)]
    Adam {
        /// Learning rate, above 0.
        #[n(0)]
        rate: f64,
        /// Decay of the mean.
        #[n(1)]
        beta1: f64,
        /// Decay of the mean of squares.
        #[n(2)]
        beta2: f64,
        /// Added to the root of the mean of squares, above 0.
        #[n(3)]
        tau: f64,
    },
    /// `m = beta1·m + (1 − beta1)·g; v = v − (1 − beta2)·g²·sign(v − g²); w = w − rate·m / (√v + tau)`, from
    /// `v = tau²` (Reddi et al. 2021).
    #[n(2)]
    Yogi {
        /// Learning rate, above 0.
        #[n(0)]
        rate: f64,
        /// Decay of the mean.
        #[n(1)]
        beta1: f64,
        /// Decay of the mean of squares.
        #[n(2)]
        beta2: f64,
        /// Added to the root of the mean of squares, above 0.
        #[n(3)]
        tau: f64,
    },
    /// `m = beta1·m + (1 − beta1)·g; v = v + g²; w = w − rate·m / (√v + tau)`, from `v = tau²` (Reddi et al. 2021).
    #[n(3)]
    Adagrad {
        /// Learning rate, above 0.
        #[n(0)]
        rate: f64,
        /// Decay of the mean.
        #[n(1)]
        beta1: f64,
        /// Added to the root of the sum of squares, above 0.
        #[n(2)]
        tau: f64,
    },
}
