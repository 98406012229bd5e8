//! Layer normalisation.

use super::panel::{Columns, LANES, Lanes, Matrix, add, sum};
use crate::model::transformer::norm::{EPSILON, Place};

/// `y = gain · (x − mean) / √(variance + ε) + shift`, over each row.
pub(super) struct Norm {
    columns: Columns,
    gain: Vec<Lanes>,
    shift: Vec<Lanes>,
    /// 1 in each column, 0 where a panel is filled up.
    one: Vec<Lanes>,
    /// One over the number of columns.
    share: f32,
    gain_start: usize,
    shift_start: usize,
}

/// What the backward pass needs.
pub(super) struct NormTape {
    /// The rows with mean 0 and variance 1.
    standard: Matrix,
    /// One over the root of each row's variance.
    scale: Vec<f32>,
}

impl NormTape {
    pub(super) fn new(rows: usize, panels: usize) -> Self {
        Self {
            standard: Matrix::new(rows, panels),
            scale: vec![0.0; rows],
        }
    }
}

impl Norm {
    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^24")]
    pub(super) fn new(place: &Place, weights: &[f32], columns: Columns) -> Self {
        let width = place.gain.len();
        Self {
            gain: columns.row(&weights[place.gain.clone()]),
            shift: columns.row(&weights[place.shift.clone()]),
            one: columns.row(&vec![1.0; width]),
            share: 1.0 / width as f32,
            columns,
            gain_start: place.gain.start,
            shift_start: place.shift.start,
        }
    }

    /// The rows of `x` into those of `y`.
    pub(super) fn forward(&self, x: &Matrix, tape: &mut NormTape, y: &mut Matrix) {
        let panels = self.columns.len();
        for row in 0..x.rows() {
            let mut total = [0.0; LANES];
            for panel in 0..panels {
                add(&mut total, &x.panel(panel)[row]);
            }
            let mean = sum(total) * self.share;
            let mut squares = [0.0; LANES];
            for (panel, one) in self.one.iter().enumerate() {
                let x = &x.panel(panel)[row];
                let centred: Lanes = std::array::from_fn(|lane| (x[lane] - mean) * one[lane]);
                add(&mut squares, &centred.map(|centred| centred * centred));
                tape.standard.panel_mut(panel)[row] = centred;
            }
            let scale = 1.0 / (sum(squares) * self.share + EPSILON).sqrt();
            tape.scale[row] = scale;
            for (panel, (gain, shift)) in self.gain.iter().zip(&self.shift).enumerate() {
                let standard = tape.standard.panel(panel)[row].map(|centred| centred * scale);
                tape.standard.panel_mut(panel)[row] = standard;
                y.panel_mut(panel)[row] =
                    std::array::from_fn(|lane| gain[lane] * standard[lane] + shift[lane]);
            }
        }
    }

    /// Makes the gradient of `x` from that of `y`, in place; writes that of gain and shift.
    pub(super) fn backward(&self, tape: &NormTape, dy: &mut Matrix, gradient: &mut [f32]) {
        for (panel, columns) in self.columns.panels() {
            let (mut gain, mut shift) = ([0.0; LANES], [0.0; LANES]);
            for (dy, standard) in dy.panel(panel).iter().zip(tape.standard.panel(panel)) {
                add(&mut gain, &product(dy, standard));
                add(&mut shift, dy);
            }
            let place = |start: usize| start + columns.start..start + columns.end;
            gradient[place(self.gain_start)].copy_from_slice(&gain[..columns.len()]);
            gradient[place(self.shift_start)].copy_from_slice(&shift[..columns.len()]);
        }
        for (row, scale) in tape.scale.iter().enumerate() {
            let (mut total, mut along) = ([0.0; LANES], [0.0; LANES]);
            for (panel, gain) in self.gain.iter().enumerate() {
                let dy = &mut dy.panel_mut(panel)[row];
                *dy = product(dy, gain);
                add(&mut total, dy);
                add(&mut along, &product(dy, &tape.standard.panel(panel)[row]));
            }
            let (mean, along) = (sum(total) * self.share, sum(along) * self.share);
            for (panel, one) in self.one.iter().enumerate() {
                let standard = &tape.standard.panel(panel)[row];
                let dy = &mut dy.panel_mut(panel)[row];
                *dy = std::array::from_fn(|lane| {
                    (dy[lane] - mean - standard[lane] * along) * scale * one[lane]
                });
            }
        }
    }
}

#[inline]
fn product(left: &Lanes, right: &Lanes) -> Lanes {
    std::array::from_fn(|lane| left[lane] * right[lane])
}
