//! A study's model: from flat weights and patients to probabilities and clipped gradients.

use protocol::study::{Architecture, Cohort, Model};
use protocol::weights::{Block, Weights};

use super::batch::Batch;
use super::clip::{self, GradientReport, Gradients, Group, PatientGradients};
use super::factors::{Factors, Layer};
use super::head::Head;
use super::hidden::Hidden;
use super::input::{Input, size};
use super::parameter::{Parameter, Parameters};
use super::rows::Rows;
use super::selection::{self, Selection};
use super::summary::Summarizer;
use super::transformer::{self, Transformer};
use super::{Backend, ModelError};

/// The most labels that are computed together: one a patient, or as many as each patient has.
///
/// A batch is cut into chunks from its first patient on, of as many whole patients as have at most this many labels
/// ([`whole_patients`]); so results are the same, to the bit, however the caller cuts its patients, as long as it cuts
/// between such chunks.
pub const CHUNK: usize = 32;

const _: () = assert!(
    CHUNK >= Cohort::MOST_LABELS as usize,
    "a patient's labels fit into a chunk"
);

/// How many of the first patients are computed together, where each has as many labels as `labels` says: at least one,
/// and only one where that one has more than [`CHUNK`].
#[must_use]
pub fn whole_patients(labels: impl IntoIterator<Item = usize>) -> usize {
    whole_patients_within(CHUNK, labels)
}

/// As [`whole_patients`], with at most `most` labels.
fn whole_patients_within(most: usize, labels: impl IntoIterator<Item = usize>) -> usize {
    let mut rows = 0_usize;
    let fit = labels.into_iter().take_while(|labels| {
        rows = rows.saturating_add(*labels);
        rows <= most
    });
    fit.count().max(1)
}

/// A study's model without its weights, which are a flat vector: the blocks of [`Network::blocks`] one after the
/// other.
#[derive(Clone, Debug)]
pub struct Network {
    backend: Backend,
    slots: usize,
    encoder: Encoder,
    /// Features that the encoder makes.
    width: usize,
    head: Head,
    /// The head's first weight; those before are the encoder's.
    head_start: usize,
    parameters: Parameters,
    trained: Selection,
}

/// What makes features of slots.
#[derive(Clone, Debug)]
enum Encoder {
    /// A summary and, of a multilayer perceptron, a hidden layer.
    Linear(Summarizer, Option<Hidden>),
    Transformer(Box<Transformer>),
}

impl Network {
    /// The model that a study describes, on the default backend.
    ///
    /// [`Model::parameters`] is not looked at: whoever trains compares it with [`Network::trained`].
    ///
    /// # Errors
    ///
    /// Settings that make no model, trained blocks that it does not have, and more weights than
    /// [`ModelError::MOST_WEIGHTS`].
    pub fn new(cohort: &Cohort, model: &Model) -> Result<Self, ModelError> {
        let inputs = Input::of(cohort)?;
        let slots = Input::slots(&inputs);
        let mut parameters = Parameters::default();
        let (encoder, width) = match model.architecture {
            Architecture::Linear { summary } => {
                let summarizer = Summarizer::new(inputs, summary);
                let width = summarizer.width();
                (Encoder::Linear(summarizer, None), width)
            }
            Architecture::Mlp { summary, hidden } => {
                let summarizer = Summarizer::new(inputs, summary);
                let units = size(hidden);
                let hidden = Hidden::new(&mut parameters, summarizer.width(), units)?;
                (Encoder::Linear(summarizer, Some(hidden)), units)
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
        let head_start = parameters.length();
        let head = Head::new(&mut parameters, model.head, width, cohort.classes.len())?;
        let trained = Selection::new(parameters.blocks(), &model.trained)?;
        Ok(Self {
            backend: Backend::default(),
            slots,
            encoder,
            width,
            head,
            head_start,
            parameters,
            trained,
        })
    }

    /// The same model on another backend.
    #[must_use]
    pub fn with_backend(self, backend: Backend) -> Self {
        Self { backend, ..self }
    }

    /// The number of trained weights: the length of a gradient and of an offset.
    #[must_use]
    pub fn trained(&self) -> usize {
        self.trained.length()
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

    /// The length of an embedding: the features that the head is given.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
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

    /// The weights before training where a file gives some of them: blocks that it leaves out start as `seed` says.
    ///
    /// # Errors
    ///
    /// Blocks that are none of the model's or have other lengths, and weights that are not finite.
    pub fn start(&self, file: &Weights, seed: u32) -> Result<Vec<f32>, ModelError> {
        let mut weights = self.initial(seed);
        for given in &file.blocks {
            let place = self.blocks().iter().find(|block| block.name == given.name);
            let fits = place.filter(|block| block.range.len() == given.values.len());
            let block = fits.ok_or_else(|| ModelError::Start {
                block: given.name.clone(),
                given: given.values.len(),
                wanted: place.map_or(0, |block| block.range.len()),
            })?;
            weights[block.range.clone()].copy_from_slice(&given.values);
        }
        self.check_weights(&weights)?;
        Ok(weights)
    }

    /// Weights as a file of public ones; `without` names blocks to leave out, as [`protocol::study::Trained::Blocks`] names them.
    ///
    /// # Errors
    ///
    /// A number of weights that is not the model's, weights that are not finite, and names that are no block's.
    pub fn file(&self, weights: &[f32], without: &[String]) -> Result<Weights, ModelError> {
        self.check_weights(weights)?;
        selection::check_names(self.blocks(), without)?;
        let block = |block: &Parameter| Block {
            name: block.name.clone(),
            values: weights[block.range.clone()].to_vec(),
        };
        let kept = |block: &&Parameter| !selection::is_named(without, block);
        Ok(Weights {
            blocks: self.blocks().iter().filter(kept).map(block).collect(),
        })
    }

    /// Adds `offset`, `[trained]`, to the trained ones of `weights`, `[parameters]`.
    ///
    /// # Errors
    ///
    /// Lengths that do not fit, and weights that are not finite afterwards.
    pub fn add(&self, weights: &mut [f32], offset: &[f32]) -> Result<(), ModelError> {
        if offset.len() != self.trained() {
            return Err(ModelError::Length {
                what: "offsets",
                got: offset.len(),
                unit: self.trained(),
            });
        }
        self.check_weights(weights)?;
        for (weight, offset) in self.trained.of_mut(weights).zip(offset) {
            *weight += offset;
        }
        self.check_weights(weights)
    }

    /// The logits of patients: `[patients, classes]` of a softmax head; `[patients, classes - 1]` of an ordinal one,
    /// `logit P(class ≤ k)`, rising with k.
    ///
    /// # Errors
    ///
    /// Lengths that do not fit, weights or inputs that are not finite, and results that are not.
    pub fn logits(&self, weights: &[f32], batch: Batch<'_>) -> Result<Vec<f32>, ModelError> {
        self.each_patient(weights, batch, CHUNK, |features| {
            self.head.logits(weights, features)
        })?
        .all()
    }

    /// The probabilities of the classes, `[patients, classes]`, which add to 1 for each patient.
    ///
    /// # Errors
    ///
    /// Lengths that do not fit, weights or inputs that are not finite, and results that are not.
    pub fn probabilities(&self, weights: &[f32], batch: Batch<'_>) -> Result<Vec<f32>, ModelError> {
        self.usable_probabilities(weights, batch)?.all()
    }

    /// The probabilities of the classes for each patient, `[classes]`, but for patients of whom an input or a result is not
    /// finite: one such patient changes nothing for the others.
    ///
    /// # Errors
    ///
    /// Lengths that do not fit, and weights that are not finite.
    pub fn usable_probabilities(
        &self,
        weights: &[f32],
        batch: Batch<'_>,
    ) -> Result<Rows, ModelError> {
        self.each_patient(weights, batch, CHUNK, |features| {
            self.head
                .probabilities(&self.head.logits(weights, features))
        })
    }

    /// The features that the head is given, `[patients, width]`.
    ///
    /// Each patient is computed alone, so that no last bit of it depends on who shares a batch: what follows from it
    /// (the cluster that a patient is in, say) is then the patient's own.
    ///
    /// # Errors
    ///
    /// Lengths that do not fit, weights or inputs that are not finite, and results that are not.
    pub fn embeddings(&self, weights: &[f32], batch: Batch<'_>) -> Result<Vec<f32>, ModelError> {
        self.usable_embeddings(weights, batch)?.all()
    }

    /// As [`Network::embeddings`], but for patients of whom an input or a result is not finite: one such patient changes
    /// nothing for the others.
    ///
    /// # Errors
    ///
    /// Lengths that do not fit, and weights that are not finite.
    pub fn usable_embeddings(&self, weights: &[f32], batch: Batch<'_>) -> Result<Rows, ModelError> {
        self.each_patient(weights, batch, 1, |features| {
            features.iter().copied().map(f64::from).collect()
        })
    }

    /// Adds to `sum` the gradient of each patient's loss in the trained weights, clipped to an L2 norm of `clip` over
    /// all of them together ([ACG+16], algorithm 1): `gradient · min(1, clip / (norm + τ))`, where τ is 10⁻⁹ of `clip`. An
    /// infinite `clip` clips nothing. A patient of whom an input, a loss or the norm is not finite adds 0.
    ///
    /// Claim: with one patient more or less, `sum` changes by at most `clip` in L2 norm; rounding in `f32` and `f64`
    /// is included (the factor is lower by 10⁻⁸ where it is below 1), the rounding of the sum itself is not.
    ///
    /// # Shapes
    ///
    /// - `weights`: `[parameters]`
    /// - `sum`: `[trained]`
    /// - `labels`: `[patients]`, the index of each patient's class
    ///
    /// # Errors
    ///
    /// Lengths that do not fit, a label that is no class, a `clip` that is not above 0, and weights that are not finite:
    /// nothing that follows from a patient's values. `sum` is then as before.
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
        let each_one = vec![1; labels.len()];
        self.clipped_sum_by_patient(weights, batch, labels, &each_one, clip, sum)
    }

    /// [`Network::clipped_sum`] of patients with several labels: the gradients of a patient's labels are added before
    /// their norm is taken and clipped, so the claim holds for a patient with all labels.
    ///
    /// # Shapes
    ///
    /// - `labels`, and the rows of `batch`: one a label, those of a patient after each other
    /// - `patients`: `[patients]`, the number of each patient's labels, from 1 to [`CHUNK`], which add to all
    ///
    /// The report has a loss a label and a norm a patient.
    ///
    /// # Errors
    ///
    /// Those of [`Network::clipped_sum`], and numbers of labels that do not fit.
    pub fn clipped_sum_by_patient(
        &self,
        weights: &[f32],
        batch: Batch<'_>,
        labels: &[u32],
        patients: &[usize],
        clip: f64,
        sum: &mut [f64],
    ) -> Result<GradientReport, ModelError> {
        let rows = batch.patients(self.slots)?;
        self.check_weights(weights)?;
        let labels = self.check_labels(labels, rows)?;
        check_patients(patients, rows)?;
        self.check_sum(sum)?;
        if clip.is_nan() || clip <= 0.0 {
            return Err(ModelError::Clip);
        }
        let mut report = GradientReport::default();
        let unknown = whole(self.classes()).ln();
        report.losses = self.each_gradient(weights, batch, &labels, patients, |group| {
            clip::clip_into(group, &self.trained, clip, unknown, sum, &mut report);
        });
        Ok(report)
    }

    /// Adds to `sum` the gradient of each patient's loss as it is: what training without privacy needs, and what the
    /// cost of privacy is measured against.
    ///
    /// # Errors
    ///
    /// Those of [`Network::clipped_sum`], and a loss that is not finite: `sum` is then not, either.
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
        let each_one = vec![1; patients];
        let losses = self.each_gradient(weights, batch, &labels, &each_one, |group| {
            let factors = vec![1.0; group.patients.len()];
            group.gradients.add_scaled(&self.trained, &factors, sum);
        });
        match losses.iter().position(|loss| !loss.is_finite()) {
            Some(patient) => Err(ModelError::Diverged { patient }),
            None => Ok(losses),
        }
    }

    /// Gives `add` the gradients of the patients in their order, some at a time; returns the losses of the labels, as `add`
    /// leaves them. The loss of a label with an input that is not finite is not finite.
    fn each_gradient(
        &self,
        weights: &[f32],
        batch: Batch<'_>,
        labels: &[usize],
        patients: &[usize],
        mut add: impl FnMut(Group<'_>),
    ) -> Vec<f64> {
        let broken = batch.broken(self.slots);
        let encoder = self.load(weights);
        let together = encoder.together();
        let mut losses = Vec::with_capacity(labels.len());
        let (mut rest, mut row) = (patients, 0);
        while !rest.is_empty() {
            let (patients, others) =
                rest.split_at(whole_patients_within(together, rest.iter().copied()));
            let rows = row..row + patients.iter().sum::<usize>();
            row = rows.end;
            let batch = batch.part(self.slots, rows.clone());
            let labels = &labels[rows.clone()];
            let mut own: Box<dyn PatientGradients> = match &encoder {
                Loaded::Linear(layers) => {
                    let layers = self.factors(weights, *layers, batch, labels, &mut losses);
                    Box::new(Factors { layers, patients })
                }
                Loaded::Transformer(transformer) => {
                    let mut gradients =
                        self.gradients(weights, transformer, batch, labels, &mut losses);
                    gradients.add_up(patients);
                    Box::new(gradients)
                }
            };
            for label in broken.iter().filter(|label| rows.contains(label)) {
                losses[*label] = f64::NAN;
            }
            add(Group {
                gradients: own.as_mut(),
                patients,
                losses: &mut losses[rows],
            });
            rest = others;
        }
        losses
    }

    /// The gradients of labels in the layers of a model without a Transformer; the losses are added to `losses`.
    fn factors(
        &self,
        weights: &[f32],
        (summarizer, hidden): (&Summarizer, Option<&Hidden>),
        batch: Batch<'_>,
        labels: &[usize],
        losses: &mut Vec<f64>,
    ) -> Vec<Layer> {
        let inputs = summarizer.features(batch);
        let Some(hidden) = hidden else {
            return vec![self.head.layer(weights, inputs, labels, losses)];
        };
        let units = hidden.forward(weights, &inputs);
        let head = self.head.layer(weights, units, labels, losses);
        if !self.trained.begins_before(self.head_start) {
            return vec![head];
        }
        let slopes = self.head.features_slopes(weights, &head.slopes);
        let hidden = hidden.backward(inputs, &head.inputs, slopes);
        vec![hidden, head]
    }

    /// The gradients of labels of a Transformer, as many at a time as it takes; the losses are added to `losses`.
    fn gradients(
        &self,
        weights: &[f32],
        transformer: &transformer::Loaded<'_>,
        batch: Batch<'_>,
        labels: &[usize],
        losses: &mut Vec<f64>,
    ) -> Gradients {
        let together = transformer.together();
        let mut gradients = Gradients::new(0, self.parameters());
        for (batch, labels) in batch
            .chunks(self.slots, together)
            .zip(labels.chunks(together))
        {
            gradients.append(self.backward(weights, transformer, batch, labels, losses));
        }
        gradients
    }

    /// The gradients of the labels of one pass of a Transformer; their losses are added to `losses`.
    fn backward(
        &self,
        weights: &[f32],
        transformer: &transformer::Loaded<'_>,
        chunk: Batch<'_>,
        labels: &[usize],
        losses: &mut Vec<f64>,
    ) -> Gradients {
        let mut gradients = Gradients::new(labels.len(), self.parameters());
        let (features, pass) = transformer.forward(chunk);
        let mut features_gradient = vec![0.0; features.len()];
        let width = features.len() / labels.len();
        let rows = features
            .chunks_exact(width)
            .zip(features_gradient.chunks_exact_mut(width));
        for (((features, features_gradient), label), gradient) in
            rows.zip(labels).zip(gradients.patients_mut())
        {
            let loss = self
                .head
                .backward(weights, features, *label, gradient, features_gradient);
            losses.push(loss);
        }
        if self.trained.begins_before(self.head_start) {
            pass.backward(features_gradient, &mut gradients);
        }
        gradients
    }

    fn each_patient(
        &self,
        weights: &[f32],
        batch: Batch<'_>,
        together: usize,
        head: impl Fn(&[f32]) -> Vec<f64>,
    ) -> Result<Rows, ModelError> {
        let patients = batch.patients(self.slots)?;
        self.check_weights(weights)?;
        let encoder = self.load(weights);
        let mut results = Vec::new();
        for chunk in batch.chunks(self.slots, together.min(encoder.together())) {
            let features = encoder.features(weights, chunk);
            let width = features.len() * self.slots / chunk.values.len();
            results.extend(features.chunks_exact(width).flat_map(&head).map(narrow));
        }
        let width = results.len() / patients.max(1);
        Ok(Rows::new(width.max(1), results, &batch.broken(self.slots)))
    }

    fn load<'a>(&'a self, weights: &'a [f32]) -> Loaded<'a> {
        match &self.encoder {
            Encoder::Linear(summarizer, hidden) => Loaded::Linear((summarizer, hidden.as_ref())),
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
        if sum.len() == self.trained() {
            Ok(())
        } else {
            Err(ModelError::Length {
                what: "sums",
                got: sum.len(),
                unit: self.trained(),
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

/// An encoder, a Transformer with its weights.
enum Loaded<'a> {
    Linear((&'a Summarizer, Option<&'a Hidden>)),
    Transformer(Box<transformer::Loaded<'a>>),
}

impl Loaded<'_> {
    /// The most patients that one pass takes: whole chunks are a multiple of it.
    fn together(&self) -> usize {
        match self {
            Self::Linear(_) => CHUNK,
            Self::Transformer(transformer) => transformer.together(),
        }
    }

    /// `[patients, width]`, with all weights of the model.
    fn features(&self, weights: &[f32], chunk: Batch<'_>) -> Vec<f32> {
        match self {
            Self::Linear((summarizer, None)) => summarizer.features(chunk),
            Self::Linear((summarizer, Some(hidden))) => {
                hidden.forward(weights, &summarizer.features(chunk))
            }
            Self::Transformer(transformer) => transformer.forward(chunk).0,
        }
    }
}

/// Refuses patients whose labels do not fit a chunk, or do not add to all.
fn check_patients(patients: &[usize], rows: usize) -> Result<(), ModelError> {
    if let Some(patient) = patients
        .iter()
        .position(|labels| !(1..=CHUNK).contains(labels))
    {
        return Err(ModelError::Labels {
            patient,
            labels: patients[patient],
        });
    }
    match patients.iter().sum() {
        labels if labels == rows => Ok(()),
        labels => Err(ModelError::Length {
            what: "labels of patients",
            got: labels,
            unit: rows,
        }),
    }
}

#[expect(clippy::cast_precision_loss, reason = "classes are few")]
fn whole(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a result that is beyond f32 is not finite, and found"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}
