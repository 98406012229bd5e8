//! From slots to tokens.

use std::ops::Range;

use burn_tensor::{Device, Tensor};
use protocol::study::Missingness;

use super::affine::{self, Affine, by_patient};
use super::{tensor, values};
use crate::model::ModelError;
use crate::model::batch::{Batch, known};
use crate::model::clip::Gradients;
use crate::model::input::{Input, Kind};
use crate::model::parameter::{EMBEDDING, Parameters};

/// Where the weights lie, and what becomes a token.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) inputs: Vec<Input>,
    pub(super) missingness: Missingness,
    pub(super) projections: Vec<affine::Place>,
    /// `[1 + modalities, width]`; row 0 is the class token.
    pub(super) modality: Range<usize>,
    /// `[most tokens of a series, width]`.
    pub(super) position: Range<usize>,
    pub(super) width: usize,
}

impl Place {
    pub(super) fn new(
        parameters: &mut Parameters,
        inputs: Vec<Input>,
        width: usize,
        missingness: Missingness,
    ) -> Result<Self, ModelError> {
        let mut projections = Vec::with_capacity(inputs.len());
        for input in &inputs {
            let name = format!("{}_proj", input.name);
            let length = token_length(input, missingness);
            projections.push(affine::Place::new(parameters, &name, length, width)?);
        }
        let modalities = 1 + inputs.len();
        let modality = parameters.push(
            "modality_emb.weight".to_owned(),
            &[modalities, width],
            EMBEDDING,
        )?;
        let positions = inputs.iter().map(positions).max().unwrap_or(0);
        let position = parameters.push(
            "position_emb.weight".to_owned(),
            &[positions, width],
            EMBEDDING,
        )?;
        Ok(Self {
            inputs,
            missingness,
            projections,
            modality,
            position,
            width,
        })
    }

    pub(super) fn load(&self, weights: &Tensor<1>) -> Embedding<'_> {
        let rows = |range: &Range<usize>| {
            weights
                .clone()
                .slice(range.clone())
                .reshape([1, range.len() / self.width, self.width])
        };
        Embedding {
            place: self,
            projections: self
                .projections
                .iter()
                .map(|place| place.load(weights))
                .collect(),
            modality: rows(&self.modality),
            position: (!self.position.is_empty()).then(|| rows(&self.position)),
        }
    }

    /// A modality's tokens, `[patients · tokens, slots a token]`: the values of its bins, then, where the model is
    /// told, whether each is missing.
    pub(super) fn rows(&self, input: &Input, batch: Batch<'_>) -> Vec<f32> {
        let range = input.offset..input.offset + input.bins * input.features;
        let mut rows = Vec::new();
        for (values, missing) in batch.rows(Input::slots(&self.inputs)) {
            let length = input.slots_per_token();
            let tokens = values[range.clone()]
                .chunks(length)
                .zip(missing[range.clone()].chunks(length));
            for (values, missing) in tokens {
                rows.extend(
                    values
                        .iter()
                        .zip(missing)
                        .map(|(value, missing)| known(*value, *missing)),
                );
                if self.missingness == Missingness::Include {
                    rows.extend_from_slice(missing);
                }
            }
        }
        rows
    }
}

/// A linear layer a modality, plus what modality and which token of a series it is.
pub(super) struct Embedding<'a> {
    place: &'a Place,
    projections: Vec<Affine>,
    /// `[1, 1 + modalities, width]`.
    modality: Tensor<3>,
    /// `[1, positions, width]`; none where no modality is a series.
    position: Option<Tensor<3>>,
}

/// What the backward pass needs: the inputs of each modality, `[patients, tokens, slots a token]`.
pub(super) struct EmbeddingTape {
    inputs: Vec<Tensor<3>>,
    patients: usize,
}

impl EmbeddingTape {
    pub(super) fn patients(&self) -> usize {
        self.patients
    }
}

impl Embedding<'_> {
    /// The tokens of patients, `[patients · tokens, width]`: the class token, then the modalities in order.
    pub(super) fn forward(&self, batch: Batch<'_>, device: &Device) -> (Tensor<2>, EmbeddingTape) {
        let place = self.place;
        let patients = batch.values.len() / Input::slots(&place.inputs);
        let mut inputs = Vec::with_capacity(place.inputs.len());
        let mut tokens = vec![self.modality.clone().narrow(1, 0, 1).expand([
            patients,
            1,
            place.width,
        ])];
        for (number, (input, projection)) in place.inputs.iter().zip(&self.projections).enumerate()
        {
            let length = token_length(input, place.missingness);
            let rows = patients * input.tokens();
            let x = tensor(place.rows(input, batch), [rows, length], device);
            let mut embedded = by_patient(projection.forward(x.clone()), patients);
            embedded = embedded + self.modality.clone().narrow(1, number + 1, 1);
            if let (Kind::Series { tokens }, Some(position)) = (input.kind, &self.position) {
                embedded = embedded + position.clone().narrow(1, 0, tokens);
            }
            tokens.push(embedded);
            inputs.push(by_patient(x, patients));
        }
        let tokens = Tensor::cat(tokens, 1);
        let [_, count, width] = tokens.dims();
        (
            tokens.reshape([patients * count, width]),
            EmbeddingTape { inputs, patients },
        )
    }

    /// Puts each patient's gradient of the weights, from `[patients · tokens, width]` of the tokens.
    pub(super) fn backward(&self, tape: EmbeddingTape, dy: Tensor<2>, gradients: &mut Gradients) {
        let place = self.place;
        let dy = by_patient(dy, tape.patients);
        let mut modality = vec![dy.clone().narrow(1, 0, 1)];
        let mut position = vec![0.0; tape.patients * place.position.len()];
        let mut first = 1;
        for ((input, projection), x) in place.inputs.iter().zip(&self.projections).zip(tape.inputs)
        {
            let dy = dy.clone().narrow(1, first, input.tokens());
            first += input.tokens();
            if positions(input) > 0 {
                let series = values(dy.clone());
                let rows = position.chunks_exact_mut(place.position.len());
                for (position, series) in
                    rows.zip(series.chunks_exact(series.len() / tape.patients))
                {
                    position
                        .iter_mut()
                        .zip(series)
                        .for_each(|(position, series)| *position += series);
                }
            }
            modality.push(projection.gradient(x, dy, gradients));
        }
        gradients.put(place.modality.start, &values(Tensor::cat(modality, 1)));
        if !position.is_empty() {
            gradients.put(place.position.start, &position);
        }
    }
}

/// Inputs of a token's linear layer.
pub(super) fn token_length(input: &Input, missingness: Missingness) -> usize {
    match missingness {
        Missingness::Include => 2 * input.slots_per_token(),
        Missingness::Omit => input.slots_per_token(),
    }
}

/// Positions that a modality's tokens have.
fn positions(input: &Input) -> usize {
    match input.kind {
        Kind::Static => 0,
        Kind::Series { tokens } => tokens,
    }
}
