//! A pre-norm encoder layer.

use super::affine::Affine;
use super::attention::{Attention, AttentionScratch, AttentionTape};
use super::gelu::gelu;
use super::norm::{Norm, NormTape};
use super::panel::{Columns, Matrix, add};
use crate::model::transformer::Sizes;
use crate::model::transformer::layer::Place;

/// `x += attention(norm1(x)); x += out(gelu(hidden(norm2(x))))`.
pub(super) struct Layer {
    norm1: Norm,
    attention: Attention,
    norm2: Norm,
    hidden: Affine,
    out: Affine,
    /// Panels of a row of inputs, and of one of the hidden layer.
    panels: (usize, usize),
}

/// What the backward pass needs.
pub(super) struct LayerTape {
    norm1: NormTape,
    /// Inputs of the attention.
    attended: Matrix,
    attention: AttentionTape,
    norm2: NormTape,
    /// Inputs of the hidden layer.
    normed: Matrix,
    /// Outputs of the hidden layer.
    hidden: Matrix,
    /// The derivative of these in what GELU got.
    slope: Matrix,
}

/// What a pass leaves behind and no one reads.
pub(super) struct LayerScratch {
    attention: AttentionScratch,
    middle: Matrix,
    hidden: Matrix,
}

impl Layer {
    pub(super) fn new(place: &Place, weights: &[f32], sizes: Sizes) -> Self {
        let (inputs, hidden) = (Columns::new(sizes.width), Columns::new(sizes.feed_forward));
        let panels = (inputs.len(), hidden.len());
        let affine = |place, inputs: &Columns, outputs: &Columns| {
            Affine::new(place, weights, inputs.clone(), outputs.clone())
        };
        Self {
            norm1: Norm::new(&place.norm1, weights, inputs.clone()),
            attention: Attention::new(&place.attention, weights, sizes.width, sizes.heads),
            norm2: Norm::new(&place.norm2, weights, inputs.clone()),
            hidden: affine(&place.hidden, &inputs, &hidden),
            out: affine(&place.out, &hidden, &inputs),
            panels,
        }
    }

    /// For `tokens` rows in and `asking` rows out.
    pub(super) fn tape(&self, tokens: usize, asking: usize) -> LayerTape {
        let (width, hidden) = self.panels;
        LayerTape {
            norm1: NormTape::new(tokens, width),
            attended: Matrix::new(tokens, width),
            attention: self.attention.tape(tokens, asking),
            norm2: NormTape::new(asking, width),
            normed: Matrix::new(asking, width),
            hidden: Matrix::new(asking, hidden),
            slope: Matrix::new(asking, hidden),
        }
    }

    pub(super) fn scratch(&self, tokens: usize, asking: usize) -> LayerScratch {
        let (width, hidden) = self.panels;
        LayerScratch {
            attention: self.attention.scratch(tokens, asking),
            middle: Matrix::new(asking, width),
            hidden: Matrix::new(asking, hidden),
        }
    }

    /// All rows of `x` into those of `y`, which are as many or the first alone.
    pub(super) fn forward(
        &self,
        x: &Matrix,
        y: &mut Matrix,
        tape: &mut LayerTape,
        scratch: &mut LayerScratch,
    ) {
        let asking = y.rows();
        let middle = &mut scratch.middle;
        self.norm1.forward(x, &mut tape.norm1, &mut tape.attended);
        self.attention.forward(
            &tape.attended,
            &mut tape.attention,
            &mut scratch.attention,
            |panel, row, mut lanes| {
                add(&mut lanes, &x.panel(panel)[row]);
                middle.panel_mut(panel)[row] = lanes;
            },
        );
        self.norm2
            .forward(middle, &mut tape.norm2, &mut tape.normed);
        let (hidden, slope) = (&mut tape.hidden, &mut tape.slope);
        self.hidden
            .forward(tape.normed.all(), asking, |panel, row, lanes| {
                hidden.panel_mut(panel)[row] = lanes;
            });
        let slopes = slope.lanes_mut().as_flattened_mut();
        let hiddens = hidden.lanes_mut().as_flattened_mut();
        for (hidden, slope) in hiddens.iter_mut().zip(slopes) {
            (*hidden, *slope) = gelu(*hidden);
        }
        self.out
            .forward(tape.hidden.all(), asking, |panel, row, mut lanes| {
                add(&mut lanes, &middle.panel(panel)[row]);
                y.panel_mut(panel)[row] = lanes;
            });
    }

    /// The gradient of the inputs, into `dx`, from that of the outputs; writes that of the weights.
    pub(super) fn backward(
        &self,
        dy: &Matrix,
        dx: &mut Matrix,
        tape: &LayerTape,
        scratch: &mut LayerScratch,
        gradient: &mut [f32],
    ) {
        let asking = dy.rows();
        let (hidden, middle) = (&mut scratch.hidden, &mut scratch.middle);
        self.out.gradient(&tape.hidden, dy, 0..asking, gradient);
        self.out.backward(dy, asking, |panel, row, mut lanes| {
            for (lane, slope) in lanes.iter_mut().zip(&tape.slope.panel(panel)[row]) {
                *lane *= slope;
            }
            hidden.panel_mut(panel)[row] = lanes;
        });
        self.hidden
            .gradient(&tape.normed, hidden, 0..asking, gradient);
        self.hidden.backward(hidden, asking, |panel, row, lanes| {
            middle.panel_mut(panel)[row] = lanes;
        });
        self.norm2.backward(&tape.norm2, middle, gradient);
        for (middle, dy) in middle.lanes_mut().iter_mut().zip(dy.lanes()) {
            add(middle, dy);
        }
        self.attention.backward(
            &tape.attended,
            middle,
            &tape.attention,
            &mut scratch.attention,
            gradient,
            dx,
        );
        self.norm1.backward(&tape.norm1, dx, gradient);
        for panel in 0..self.panels.0 {
            for (dx, middle) in dx.panel_mut(panel).iter_mut().zip(middle.panel(panel)) {
                add(dx, middle);
            }
        }
    }
}
