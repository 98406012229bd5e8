//! The model of a study.

use serde::{Deserialize, Serialize};

use crate::id::Digest;

/// The `[model]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Model {
    /// The layers between inputs and head.
    pub architecture: Architecture,
    /// The last layer.
    pub head: Head,
    /// Seeds the initial weights, which each site's module makes for itself.
    pub initial_seed: u32,
    /// The digest of a file of public weights ([`crate::weights::Weights`]) to start from, as far as it
    /// goes: a warm start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_weights: Option<Digest>,
    /// Which weights are trained; the others stay as they start.
    #[serde(default)]
    pub trained: Trained,
    /// The number of trained weights: the length of the update. Stated, so that the aggregator needs to know
    /// nothing else of the model; the module refuses a study where it is not the model's own number.
    pub parameters: u32,
}

/// Which weights are trained. Noise grows with the root of their number, so few are better where ε is small.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trained {
    /// All of them.
    #[default]
    All,
    /// The blocks with these names, or whose names begin with one of them and a dot: `head` stands for `head.weight`,
    /// `head.threshold` and so on.
    Blocks(Vec<String>),
}

/// The layers between inputs and head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Architecture {
    /// Each series is summed up by its mean (and trend), then a linear layer: logistic regression.
    #[serde(rename_all = "kebab-case")]
    Linear {
        /// What is kept of a series.
        summary: Summary,
    },
    /// A hidden layer of `tanh` units between the summary and the last layer: a multilayer perceptron.
    #[serde(rename_all = "kebab-case")]
    Mlp {
        /// What is kept of a series.
        summary: Summary,
        /// Units of the hidden layer.
        hidden: u32,
    },
    /// The multimodal Transformer: time bins and static groups are tokens, pre-norm encoder layers, class token.
    #[serde(rename_all = "kebab-case")]
    Transformer {
        /// Length of a token.
        width: u32,
        /// Attention heads, which divide the width exactly.
        heads: u32,
        /// Encoder layers.
        layers: u32,
        /// Width of the hidden layer of each feed-forward part.
        feed_forward: u32,
        /// Whether the model is told which values are missing.
        missingness: Missingness,
    },
}

/// What a linear model keeps of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Summary {
    /// The mean of the bins that hold a value.
    Mean,
    /// The mean, and the slope of a least-squares line over the bins that hold a value.
    MeanAndTrend,
    /// The value of the last bin that holds one.
    Last,
}

/// Whether the model is told which values are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missingness {
    /// Each value is followed by an indicator: 1 where it is missing.
    Include,
    /// Values alone; a missing one is 0, the mean.
    Omit,
}

/// The last layer of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// One score a class.
    Softmax,
    /// One score and a threshold between each two classes: cumulative logits ([Mcc80]).
    ///
    /// [Mcc80]: https://doi.org/10.1111/j.2517-6161.1980.tb01109.x
    Ordinal,
}
