//! The studies that are lied in: small ones, of each kind that a lie needs.

/// A kind of study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Three steps and an evaluation, at ε = 1.
    Plain,
    /// The same at ε = ∞.
    Infinite,
    /// The same with a clip norm that follows the gradients.
    Adaptive,
    /// The same with a normalisation that the sites find together.
    Shared,
    /// One step, an evaluation, and clusters.
    Clustered,
    /// Steps at the sites, with control variates.
    Scaffold,
    /// Three of five sites, drawn for each step.
    Lottery,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Plain,
        Self::Infinite,
        Self::Adaptive,
        Self::Shared,
        Self::Clustered,
        Self::Scaffold,
        Self::Lottery,
    ];

    /// The sites of its roster.
    pub(crate) fn sites(self) -> u16 {
        match self {
            Self::Lottery => 5,
            _ => 3,
        }
    }

    /// The settings in which it differs from [`DRAFT`], each as `name=value`.
    pub(crate) fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Infinite => &["privacy.epsilon=inf"],
            Self::Adaptive => {
                &["privacy.adaptive-clip={ quantile = 0.5, rate = 0.2, share = 0.1 }"]
            }
            Self::Shared => &[
                "cohort.normalisation=\"shared\"",
                "privacy.moments-share=0.1",
            ],
            Self::Clustered => &[
                "training.rounds=1",
                "clustering={ clusters = 2, rounds = 1, dimensions = 2, radius = 10.0, share = 0.3 }",
            ],
            Self::Scaffold => &[
                "training.algorithm={ averaging = { steps = 2, batch = \"all\", weighting = \"patients\", \
                 change-norm = 4.0, control-variates = \"scaffold\", \
                 optimizer.momentum = { rate = 0.3, momentum = 0.0 } } }",
            ],
            Self::Lottery => &["training.participants={ random = { sites = 3, threshold = 2 } }"],
        }
    }
}

/// What all of them have in common.
pub(crate) const DRAFT: &str = r#"
title = "A study of an aggregator that lies"
purpose = "To be computed in a test."

[cohort]
history-days = 28
classes = ["low", "medium", "high"]
normalisation = "reference"
split = { train = 0.8, tuning = 0.0 }

[[cohort.modality]]
name = "labs"
shape.series = { bin-days = 7, bins-per-token = 1 }
feature = [
  { code = "sodium", name = "sodium", unit = "mmol/L", low = 100, high = 180, mean = 139, sd = 3 },
]

[[cohort.modality]]
name = "history"
shape = "static"
feature = [
  { code = "age", name = "age", unit = "a", low = 18, high = 110, mean = 65, sd = 14 },
]

[model]
architecture.linear.summary = "mean"
head = "ordinal"
initial-seed = 1

[training]
rounds = 3
algorithm.gradient = { batch = "all" }
optimizer.momentum = { rate = 0.5, momentum = 0.0 }

[aggregation]
patients-per-site = 60
fraction-bits = 18

[privacy]
epsilon = 1.0
delta = 1e-5
clip-norm = 1.0
metrics-share = 0.1
weight-share = 0.1
"#;

/// What a site holds the aggregator to, where studies say it: seconds until an advert leaves, how often a place may be
/// begun, how many rounds may be begun and never charged, and from how many opened states again.
pub(crate) const LIMITS: [&str; 4] = [
    "rounds.floor-seconds=0.25",
    "rounds.tries=4",
    "rounds.uncharged=6",
    "rounds.repeats=1",
];

/// Of [`LIMITS`].
pub(crate) const FLOOR_SECONDS: f64 = 0.25;
/// Of [`LIMITS`].
pub(crate) const TRIES: usize = 4;
/// Of [`LIMITS`].
pub(crate) const UNCHARGED: usize = 6;
/// Of [`LIMITS`].
pub(crate) const REPEATS: usize = 1;
