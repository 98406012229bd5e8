//! Studies and patients for the tests.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a module of several tests, each of which uses some of it"
)]

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use learning::model::{Batch, Network};
use protocol::study::{
    Architecture, Cohort, Encoding, Feature, Head, Missingness, Modality, Model, Normalisation,
    Shape, Span, Split, Summary, Trained,
};

/// A modality with this many features.
pub fn modality(name: &str, shape: Shape, features: usize) -> Modality {
    let feature = |number: usize| Feature {
        code: format!("{name}//{number}"),
        name: format!("{name} {number}"),
        unit: "1".to_owned(),
        encoding: Encoding::Value,
        low: -10.0,
        high: 10.0,
        mean: 0.0,
        sd: 1.0,
    };
    Modality {
        name: name.to_owned(),
        shape,
        features: (0..features).map(feature).collect(),
    }
}

/// A cohort with three classes.
pub fn cohort(history_days: u32, modalities: Vec<Modality>) -> Cohort {
    Cohort {
        history: Span::days(history_days),
        classes: ["low", "medium", "high"].map(str::to_owned).to_vec(),
        normalisation: Normalisation::Reference,
        labels_per_patient: 1,
        split: Split {
            train: 0.8,
            tuning: 0.0,
        },
        modalities,
    }
}

/// The inputs of the reference model: 81 tokens.
pub fn reference_cohort() -> Cohort {
    let weekly = Shape::Series {
        bin: Span::days(7),
        bins_per_token: 1,
    };
    cohort(
        182,
        vec![
            modality(
                "vitals",
                Shape::Series {
                    bin: Span::days(1),
                    bins_per_token: 7,
                },
                5,
            ),
            modality("labs", weekly, 12),
            modality("markers", weekly, 3),
            modality("omics", Shape::Static, 64),
            modality("demographics", Shape::Static, 12),
        ],
    )
}

/// The reference model: 22,467 weights.
pub fn reference_model() -> Model {
    let architecture = Architecture::Transformer {
        width: 32,
        heads: 4,
        layers: 2,
        feed_forward: 64,
        missingness: Missingness::Omit,
    };
    Model {
        architecture,
        head: Head::Softmax,
        initial_seed: 0,
        initial_weights: None,
        trained: Trained::All,
        parameters: 22_467,
    }
}

/// Two series of different lengths, and a static modality.
pub fn small_cohort() -> Cohort {
    cohort(
        12,
        vec![
            modality(
                "daily",
                Shape::Series {
                    bin: Span::days(1),
                    bins_per_token: 4,
                },
                2,
            ),
            modality("fixed", Shape::Static, 3),
            modality(
                "weekly",
                Shape::Series {
                    bin: Span::days(6),
                    bins_per_token: 1,
                },
                2,
            ),
        ],
    )
}

/// Every architecture with both heads, over [`small_cohort`].
pub fn small_models() -> Vec<Model> {
    let transformer = |missingness| Architecture::Transformer {
        width: 8,
        heads: 2,
        layers: 2,
        feed_forward: 12,
        missingness,
    };
    let mut models = Vec::new();
    for head in [Head::Softmax, Head::Ordinal] {
        for architecture in [
            transformer(Missingness::Include),
            transformer(Missingness::Omit),
            Architecture::Mlp {
                summary: Summary::MeanAndTrend,
                hidden: 5,
            },
            Architecture::Linear {
                summary: Summary::Mean,
            },
            Architecture::Linear {
                summary: Summary::MeanAndTrend,
            },
        ] {
            models.push(Model {
                architecture,
                head,
                initial_seed: 0,
                initial_weights: None,
                trained: Trained::All,
                parameters: 0,
            });
        }
    }
    models
}

/// Patients with normal values, of which some are missing.
pub struct Patients {
    pub values: Vec<f32>,
    pub missing: Vec<f32>,
    pub labels: Vec<u32>,
    slots: usize,
}

impl Patients {
    pub fn random(network: &Network, count: usize, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let slots = network.slots();
        Self {
            values: (0..count * slots).map(|_| normal(&mut rng)).collect(),
            missing: (0..count * slots)
                .map(|_| f32::from(u8::from(rng.next_u32() % 4 == 0)))
                .collect(),
            labels: (0..count).map(|_| rng.next_u32() % 3).collect(),
            slots,
        }
    }

    pub fn batch(&self) -> Batch<'_> {
        Batch {
            values: &self.values,
            missing: &self.missing,
        }
    }

    /// The patients from `first` to before `end`.
    pub fn part(&self, first: usize, end: usize) -> (Batch<'_>, &[u32]) {
        let slots = first * self.slots..end * self.slots;
        let batch = Batch {
            values: &self.values[slots.clone()],
            missing: &self.missing[slots],
        };
        (batch, &self.labels[first..end])
    }
}

/// Weights in general position: nothing at 0 or 1.
pub fn weights(network: &Network, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    network
        .initial(0)
        .into_iter()
        .map(|weight| weight + 0.2 * normal(&mut rng))
        .collect()
}

/// Nearly standard normal: the sum of twelve uniform numbers.
pub fn normal(rng: &mut ChaCha20Rng) -> f32 {
    (0..12)
        .map(|_| (rng.next_u32() >> 8) as f32 / (1 << 24) as f32)
        .sum::<f32>()
        - 6.0
}
