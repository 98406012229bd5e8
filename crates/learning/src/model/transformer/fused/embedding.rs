//! From slots to tokens.

use super::affine::Affine;
use super::panel::{Columns, Lanes, Matrix, add};
use crate::model::batch::Batch;
use crate::model::input::{Input, Kind};
use crate::model::transformer::embedding::{Place, token_length};

/// A linear layer a modality, plus what modality and which token of a series it is.
pub(super) struct Embedding<'a> {
    place: &'a Place,
    projections: Vec<Affine>,
    width: Columns,
    /// Row 0 is the class token.
    modality: Vec<Vec<Lanes>>,
    position: Vec<Vec<Lanes>>,
}

/// What the backward pass needs: the inputs of each modality, `[tokens, slots a token]`.
pub(super) struct EmbeddingTape {
    inputs: Vec<Matrix>,
}

impl<'a> Embedding<'a> {
    pub(super) fn new(place: &'a Place, weights: &[f32]) -> Self {
        let width = Columns::new(place.width);
        let rows = |range: &std::ops::Range<usize>| {
            weights[range.clone()]
                .chunks_exact(place.width)
                .map(|row| width.row(row))
                .collect()
        };
        let projections = place.inputs.iter().zip(&place.projections);
        Self {
            projections: projections
                .map(|(input, affine)| {
                    let length = token_length(input, place.missingness);
                    Affine::new(affine, weights, Columns::new(length), width.clone())
                })
                .collect(),
            modality: rows(&place.modality),
            position: rows(&place.position),
            width,
            place,
        }
    }

    /// Tokens of a patient, the class token included.
    pub(super) fn tokens(&self) -> usize {
        1 + self.place.inputs.iter().map(Input::tokens).sum::<usize>()
    }

    pub(super) fn tape(&self) -> EmbeddingTape {
        let inputs = self.place.inputs.iter().map(|input| {
            let length = token_length(input, self.place.missingness);
            Matrix::new(input.tokens(), Columns::new(length).len())
        });
        EmbeddingTape {
            inputs: inputs.collect(),
        }
    }

    /// The tokens of one patient: the class token, then the modalities in order.
    pub(super) fn forward(&self, patient: Batch<'_>, tape: &mut EmbeddingTape, y: &mut Matrix) {
        for (panel, lanes) in self.modality[0].iter().enumerate() {
            y.panel_mut(panel)[0] = *lanes;
        }
        let mut first = 1;
        let places = self.place.inputs.iter().zip(&self.projections);
        for (((input, projection), modality), x) in
            places.zip(&self.modality[1..]).zip(&mut tape.inputs)
        {
            let rows = self.place.rows(input, patient);
            let length = token_length(input, self.place.missingness);
            for (row, values) in rows.chunks_exact(length).enumerate() {
                x.set_row(row, values);
            }
            projection.forward(x.all(), input.tokens(), |panel, row, mut lanes| {
                add(&mut lanes, &modality[panel]);
                if let Kind::Series { .. } = input.kind {
                    add(&mut lanes, &self.position[row][panel]);
                }
                y.panel_mut(panel)[first + row] = lanes;
            });
            first += input.tokens();
        }
    }

    /// Writes the weights' gradient from that of the tokens.
    pub(super) fn backward(&self, tape: &EmbeddingTape, dy: &Matrix, gradient: &mut [f32]) {
        let place = self.place;
        let width = place.width;
        let of_modality = |number: usize| place.modality.start + number * width;
        gradient[place.position.clone()].fill(0.0);
        for (panel, columns) in self.width.panels() {
            let dy = dy.panel(panel);
            let put = |start: usize| start + columns.start..start + columns.end;
            gradient[put(of_modality(0))].copy_from_slice(&dy[0][..columns.len()]);
            let mut first = 1;
            for input in &place.inputs {
                let rows = &dy[first..first + input.tokens()];
                first += input.tokens();
                if let Kind::Static = input.kind {
                    continue;
                }
                for (position, lanes) in rows.iter().enumerate() {
                    let sums = &mut gradient[put(place.position.start + position * width)];
                    for (sum, lane) in sums.iter_mut().zip(lanes) {
                        *sum += lane;
                    }
                }
            }
        }
        let mut first = 1;
        let places = self.projections.iter().zip(&place.inputs);
        for (number, ((projection, input), x)) in places.zip(&tape.inputs).enumerate() {
            let rows = first..first + input.tokens();
            first = rows.end;
            projection.gradient(x, dy, rows, gradient);
            // A modality is added to the same tokens as its bias.
            gradient.copy_within(projection.bias(), of_modality(number + 1));
        }
    }
}
