//! A study's model: from flat weights and patients to probabilities and clipped gradients.

use protocol::study::{Architecture, Cohort, Model};

use super::batch::Batch;
use super::clip::{GradientReport, Gradients};
use super::head::Head;
use super::input::{Input, size};
use super::parameter::{Parameter, Parameters};
use super::summary::Summarizer;
use super::transformer::{self, Transformer};
use super::{Backend, ModelError};

/// Patients that are computed together.
///
/// A batch is cut into chunks of this many from its first patient on; so results are the same, to the bit, however
/// the caller cuts its patients, as long as it cuts at multiples of this number.
pub const CHUNK: usize = 32;

/// A study's model without its weights, which are a flat vector: the blocks of [`Network::blocks`] one after the
/// other.
#[derive(Clone, Debug)]
pub struct Network {
    backend: Backend,
    slots: usize,
    encoder: Encoder,
    head: Head,
    parameters: Parameters,
}

/// What makes features of slots.
#[derive(Clone, Debug)]
enum Encoder {
    Summary(Summarizer),
    Transformer(Box<Transformer>),
}

impl Network {
    /// The model that a study describes, on the default backend.
    ///
    /// [`Model::parameters`] is not looked at: whoever trains compares it with [`Network::parameters`].
    ///
    /// # Errors
    ///
    /// Settings that make no model, and more weights than [`ModelError::MOST_WEIGHTS`].
    pub fn new(cohort: &Cohort, model: &Model) -> Result<Self, ModelError> {
        let inputs = Input::of(cohort)?;
        let slots = Input::slots(&inputs);
        let mut parameters = Parameters::default();
        let (encoder, width) = match model.architecture {
            Architecture::Linear { summary } => {
                let summarizer = Summarizer::new(inputs, summary);
                let width = summarizer.width();
                (Encoder::Summary(summarizer), width)
            }
            Architecture::Transformer {
                width,
                heads,
                layers,
                feed_forward,
                missingness,
            } => {
                let sizes = transformer::Sizes::new(width, heads, layers, feed_forward)?;
                let transformer = Transformer::new(&mut parameters, inputs, sizes, missingness)?;
                (Encoder::Transformer(Box::new(transformer)), size(width))
            }
        };
        let head = Head::new(&mut parameters, model.head, width, cohort.classes.len())?;
        Ok(Self {
            backend: Backend::default(),
            slots,
            encoder,
            head,
            parameters,
        })
    }

    /// The same model on another backend.
    #[must_use]
    pub fn with_backend(self, backend: Backend) -> Self {
        Self { backend, ..self }
    }

    /// The number of weights.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters.length()
    }

    /// The blocks of the flat vector of weights, in order.
    #[must_use]
    pub fn blocks(&self) -> &[Parameter] {
        self.parameters.blocks()
    }

    /// Slots of a patient: the length of a row of [`Batch`].
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.head.classes()
    }

    /// The weights before training, the same everywhere for the same seed ([`Model::initial_seed`]).
    ///
    /// Heads start where no feature counts, so a linear model starts at 0 but for ordinal thresholds; the layers of a
    /// Transformer start at random.
    #[must_use]
    pub fn initial(&self, seed: u32) -> Vec<f32> {
        self.parameters.initial(seed)
    }

    /// The logits of patients: `[patients, classes]` of a softmax head; `[patients, classes - 1]` of an ordinal one,
    /// `logit P(class ≤ k)`, rising with k.
    ///
    /// # Errors
    ///
    /// Lengths that do not fit, weights or inputs that are not finite, and results that are not.
    pub fn logits(&self, weights: &[f32], batch: Batch<'_>) -> Result<Vec<f32>, ModelError> {
        self.each_patient(weights, batch, |features| {
            self.head.logits(weights, features)
        })
    }

    /// The probabilities of the classes, `[patients, classes]`, which add to 1 for each patient.
    ///
    /// # Errors
    ///
    /// Lengths that do not fit, weights or inputs that are not finite, and results that are not.
    pub fn probabilities(&self, weights: &[f32], batch: Batch<'_>) -> Result<Vec<f32>, ModelError> {
        self.each_patient(weights, batch, |features| {
            self.head
                .probabilities(&self.head.logits(weights, features))
        })
    }

    /// Adds to `sum` the gradient of each patient's loss, clipped to an L2 norm of `clip` over all weights together
    /// ([ACG+16], algorithm 1): `gradient · min(1, clip / norm)`. An infinite `clip` clips nothing.
    ///
    /// Claim: with one patient more or less, `sum` changes by at most `clip` in L2 norm; rounding in `f32` and `f64`
    /// is included (the factor is lower by 10⁻⁸ where it is below 1), the rounding of the sum itself is not.
    ///
    /// # Shapes
    ///
    /// - `weights`, `sum`: `[parameters]`
    /// - `labels`: `[patients]`, the index of each patient's class
    ///
    /// # Errors
    ///
    /// Lengths that do not fit, a label that is no class, a `clip` that is not above 0, weights or inputs that are not
    /// finite, and gradients that are not. `sum` then holds an unknown part of the patients.
    ///
    /// [ACG+16]: https://arxiv.org/abs/1607.00133
    pub fn clipped_sum(
        &self,
        weights: &[f32],
        batch: Batch<'_>,
        labels: &[u32],
        clip: f64,
        sum: &mut [f64],
    ) -> Result<GradientReport, ModelError> {
        let patients = batch.patients(self.slots)?;
        self.check_weights(weights)?;
        let labels = self.check_labels(labels, patients)?;
        self.check_sum(sum)?;
        if clip.is_nan() || clip <= 0.0 {
            return Err(ModelError::Clip);
        }
        let mut report = GradientReport::default();
        report.losses = self.each_gradient(weights, batch, &labels, |gradients| {
            gradients.clip_into(clip, sum, &mut report.norms)
        })?;
        Ok(report)
    }

    /// Adds to `sum` the gradient of each patient's loss as it is: what training without privacy needs, and what the
    /// cost of privacy is measured against.
    ///
    /// # Errors
    ///
    /// Those of [`Network::clipped_sum`], but that a gradient that is not finite is not looked for.
    pub fn gradient_sum(
        &self,
        weights: &[f32],
        batch: Batch<'_>,
        labels: &[u32],
        sum: &mut [f64],
    ) -> Result<Vec<f64>, ModelError> {
        let patients = batch.patients(self.slots)?;
        self.check_weights(weights)?;
        let labels = self.check_labels(labels, patients)?;
        self.check_sum(sum)?;
        self.each_gradient(weights, batch, &labels, |gradients| {
            gradients.add_into(sum);
            Ok(())
        })
    }

    /// Gives `add` the gradients of the patients in their order, some at a time; returns the losses.
    fn each_gradient(
        &self,
        weights: &[f32],
        batch: Batch<'_>,
        labels: &[usize],
        mut add: impl FnMut(&Gradients) -> Result<(), ModelError>,
    ) -> Result<Vec<f64>, ModelError> {
        let encoder = self.load(weights);
        let mut losses = Vec::with_capacity(labels.len());
        let together = encoder.together();
        for (chunk, labels) in (batch.chunks(self.slots, together)).zip(labels.chunks(together)) {
            let mut gradients = Gradients::new(labels.len(), self.parameters());
            let Pass { features, backward } = encoder.forward(chunk);
            let mut features_gradient = vec![0.0; features.len()];
            let width = features.len() / labels.len();
            let rows = features
                .chunks_exact(width)
                .zip(features_gradient.chunks_exact_mut(width));
            for (((features, features_gradient), label), gradient) in
                rows.zip(labels).zip(gradients.patients_mut())
            {
                let loss =
                    self.head
                        .backward(weights, features, *label, gradient, features_gradient);
                losses.push(loss);
            }
            if let Some(encoder) = backward {
                encoder.backward(features_gradient, &mut gradients);
            }
            add(&gradients)?;
        }
        match losses.iter().position(|loss| !loss.is_finite()) {
            Some(patient) => Err(ModelError::Diverged { patient }),
            None => Ok(losses),
        }
    }

    fn each_patient(
        &self,
        weights: &[f32],
        batch: Batch<'_>,
        head: impl Fn(&[f32]) -> Vec<f64>,
    ) -> Result<Vec<f32>, ModelError> {
        let patients = batch.patients(self.slots)?;
        self.check_weights(weights)?;
        let encoder = self.load(weights);
        let mut results = Vec::new();
        for chunk in batch.chunks(self.slots, encoder.together()) {
            let features = encoder.forward(chunk).features;
            let width = features.len() * self.slots / chunk.values.len();
            results.extend(features.chunks_exact(width).flat_map(&head).map(narrow));
        }
        match results.iter().position(|value| !value.is_finite()) {
            Some(place) => Err(ModelError::Diverged {
                patient: place * patients / results.len(),
            }),
            None => Ok(results),
        }
    }

    fn load(&self, weights: &[f32]) -> Loaded<'_> {
        match &self.encoder {
            Encoder::Summary(summarizer) => Loaded::Summary(summarizer),
            Encoder::Transformer(transformer) => {
                Loaded::Transformer(Box::new(transformer.load(weights, self.backend)))
            }
        }
    }

    fn check_weights(&self, weights: &[f32]) -> Result<(), ModelError> {
        if weights.len() != self.parameters() {
            return Err(ModelError::Length {
                what: "weights",
                got: weights.len(),
                unit: self.parameters(),
            });
        }
        match weights.iter().position(|weight| !weight.is_finite()) {
            Some(weight) => Err(ModelError::Weight { weight }),
            None => Ok(()),
        }
    }

    fn check_sum(&self, sum: &[f64]) -> Result<(), ModelError> {
        if sum.len() == self.parameters() {
            Ok(())
        } else {
            Err(ModelError::Length {
                what: "sums",
                got: sum.len(),
                unit: self.parameters(),
            })
        }
    }

    fn check_labels(&self, labels: &[u32], patients: usize) -> Result<Vec<usize>, ModelError> {
        if labels.len() != patients {
            return Err(ModelError::Length {
                what: "labels",
                got: labels.len(),
                unit: patients,
            });
        }
        let classes = self.classes();
        let check = |label: &u32| match size(*label) {
            place if place < classes => Ok(place),
            _ => Err(ModelError::Label {
                label: *label,
                classes,
            }),
        };
        labels.iter().map(check).collect()
    }
}

/// An encoder with its weights.
enum Loaded<'a> {
    Summary(&'a Summarizer),
    Transformer(Box<transformer::Loaded<'a>>),
}

/// A forward pass over some patients.
struct Pass<'a> {
    /// `[patients, width]`.
    features: Vec<f32>,
    /// What gives the gradient of the encoder's weights; a summary has none.
    backward: Option<transformer::Pass<'a>>,
}

impl Loaded<'_> {
    /// The most patients that one pass takes: whole chunks are a multiple of it.
    fn together(&self) -> usize {
        match self {
            Self::Summary(_) => CHUNK,
            Self::Transformer(transformer) => transformer.together(),
        }
    }

    fn forward(&self, patients: Batch<'_>) -> Pass<'_> {
        match self {
            Self::Summary(summarizer) => Pass {
                features: summarizer.features(patients),
                backward: None,
            },
            Self::Transformer(transformer) => {
                let (features, pass) = transformer.forward(patients);
                Pass {
                    features,
                    backward: Some(pass),
                }
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a result that is beyond f32 is refused"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}
