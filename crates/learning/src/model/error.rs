//! Why a model cannot be built or run.

/// Why a model cannot be built or run. Whatever the input, no value that is not finite leaves a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The study's numbers make no model.
    #[error("{what} is {got}, which must be {want}")]
    Setting {
        /// The setting.
        what: String,
        /// What it is.
        got: u32,
        /// What it must be.
        want: &'static str,
    },
    /// A study or a person names a block that the model does not have.
    #[error("no block of the model's weights is {name:?} or begins with it")]
    Block {
        /// The name.
        name: String,
    },
    /// Public weights are of another model.
    #[error(
        "the public weights are of another model: they have {given} of {block:?}, and this model has {wanted}"
    )]
    Start {
        /// The block.
        block: String,
        /// Its weights in the file.
        given: usize,
        /// Its weights in the model; 0 where the model has no such block.
        wanted: usize,
    },
    /// The model has more weights than [`ModelError::MOST_WEIGHTS`].
    #[error("the model has more than {} weights", ModelError::MOST_WEIGHTS)]
    TooLarge,
    /// An argument's length does not fit.
    #[error("got {got} {what}, want a multiple of {unit}")]
    Length {
        /// Which argument.
        what: &'static str,
        /// Its length.
        got: usize,
        /// What the length must be, or be a multiple of.
        unit: usize,
    },
    /// A weight is not finite.
    #[error("weight {weight} is not finite")]
    Weight {
        /// The first such weight.
        weight: usize,
    },
    /// It is not said of a patient's value whether it is missing.
    #[error("slot {slot} of patient {patient} in the batch is neither missing nor there")]
    Input {
        /// The patient's place in the batch.
        patient: usize,
        /// The slot.
        slot: usize,
    },
    /// A label is no class.
    #[error("label {label} is none of the {classes} classes")]
    Label {
        /// The label.
        label: u32,
        /// The number of classes.
        classes: usize,
    },
    /// A patient has no label, or more than are computed together.
    #[error(
        "patient {patient} in the batch has {labels} labels, want 1 to {}",
        super::CHUNK
    )]
    Labels {
        /// The patient's place in the batch.
        patient: usize,
        /// Its labels.
        labels: usize,
    },
    /// The clip norm is not positive.
    #[error("the clip norm must be above 0")]
    Clip,
    /// An input or a result of a patient is not finite, where all are asked for.
    #[error(
        "the result of patient {patient} in the batch is not finite: the weights are too large"
    )]
    Diverged {
        /// The patient's place in the batch.
        patient: usize,
    },
}

impl ModelError {
    /// The most weights that a model may have: 64 MiB of them.
    pub const MOST_WEIGHTS: usize = 1 << 24;
}
