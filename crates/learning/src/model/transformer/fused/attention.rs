//! Multi-head attention.

use super::affine::Affine;
use super::exponential::exp_less;
use super::panel::{Columns, LANES, Lanes, Matrix, Part, Tile, add, padded, sum};
use super::product::{larger, multiply, outer, transposed};
use crate::model::transformer::attention::Place;

/// `softmax(q · kᵀ / √d) · v` in each head of width d, then a linear layer. A head's columns begin a panel.
pub(super) struct Attention {
    query: Affine,
    key_value: Affine,
    out: Affine,
    heads: usize,
    /// Panels of a head.
    panels: usize,
    /// 1/√d.
    scale: f32,
}

/// What the backward pass needs. Keys and values have rows of 0 up to a multiple of eight.
pub(super) struct AttentionTape {
    /// Scaled by 1/√d, `[asking tokens, heads · d]`.
    query: Matrix,
    /// Keys, then values: `[tokens, 2 · heads · d]`.
    key_value: Matrix,
    /// `[asking tokens, heads · tokens]`.
    attention: Matrix,
    /// `[asking tokens, heads · d]`.
    context: Matrix,
}

/// What a pass leaves behind and no one reads.
pub(super) struct AttentionScratch {
    /// A head's keys or values, `[d, tokens]`: its tiles for each eight tokens.
    transposed: Vec<Tile>,
    /// A number for each row of a head.
    rows: Vec<f32>,
    lanes: Vec<Lanes>,
    /// `[asking tokens, tokens]` of one head.
    scores: Matrix,
    context: Matrix,
    query: Matrix,
    key_value: Matrix,
}

impl Attention {
    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^24")]
    pub(super) fn new(place: &Place, weights: &[f32], width: usize, heads: usize) -> Self {
        let d = width / heads;
        let affine = |place, inputs, outputs| Affine::new(place, weights, inputs, outputs);
        Self {
            query: affine(&place.query, Columns::new(width), Columns::blocks(heads, d)),
            key_value: affine(
                &place.key_value,
                Columns::new(width),
                Columns::blocks(2 * heads, d),
            ),
            out: affine(&place.out, Columns::blocks(heads, d), Columns::new(width)),
            heads,
            panels: d.div_ceil(LANES),
            scale: 1.0 / (d as f32).sqrt(),
        }
    }

    pub(super) fn tape(&self, tokens: usize, asking: usize) -> AttentionTape {
        let panels = self.heads * self.panels;
        AttentionTape {
            query: Matrix::new(asking, panels),
            key_value: Matrix::new(padded(tokens), 2 * panels),
            attention: Matrix::new(asking, self.heads * tokens.div_ceil(LANES)),
            context: Matrix::new(asking, panels),
        }
    }

    pub(super) fn scratch(&self, tokens: usize, asking: usize) -> AttentionScratch {
        let AttentionTape {
            query,
            key_value,
            context,
            ..
        } = self.tape(tokens, asking);
        let panels = tokens.div_ceil(LANES);
        AttentionScratch {
            transposed: vec![[[0.0; LANES]; LANES]; panels * self.panels],
            rows: vec![0.0; asking],
            lanes: vec![[0.0; LANES]; asking],
            scores: Matrix::new(asking, panels),
            context,
            query,
            key_value,
        }
    }

    /// Gives `put` what the rows that ask, the first ones of `x`, learn from all rows: panel, row, lanes.
    pub(super) fn forward(
        &self,
        x: &Matrix,
        tape: &mut AttentionTape,
        scratch: &mut AttentionScratch,
        put: impl FnMut(usize, usize, Lanes),
    ) {
        let (tokens, asking) = (x.rows(), tape.query.rows());
        let (query, key_value) = (&mut tape.query, &mut tape.key_value);
        self.query.forward(x.all(), asking, |panel, row, lanes| {
            query.panel_mut(panel)[row] = lanes.map(|lane| lane * self.scale);
        });
        self.key_value
            .forward(x.all(), tokens, |panel, row, lanes| {
                key_value.panel_mut(panel)[row] = lanes;
            });
        for head in 0..self.heads {
            self.attend(head, tokens, tape, scratch);
        }
        self.out.forward(tape.context.all(), asking, put);
    }

    fn attend(
        &self,
        head: usize,
        tokens: usize,
        tape: &mut AttentionTape,
        scratch: &mut AttentionScratch,
    ) {
        let asking = tape.query.rows();
        let of_head = head * self.panels..(head + 1) * self.panels;
        let keys = tape.key_value.panels(of_head.clone());
        self.transpose(keys, &mut scratch.transposed);
        let query = tape.query.panels(of_head.clone());
        let panels = tokens.div_ceil(LANES);
        for (panel, keys) in scratch.transposed.chunks_exact(self.panels).enumerate() {
            let scores = tape.attention.panel_mut(head * panels + panel);
            multiply(query, keys, asking, |row, lanes| scores[row] = lanes);
        }
        let attention = head * panels..(head + 1) * panels;
        softmax(
            tape.attention.panels_mut(attention.clone()),
            tokens,
            &mut scratch.rows,
            &mut scratch.lanes,
        );
        for panel in of_head {
            let values = tape.key_value.panel(self.heads * self.panels + panel);
            let context = tape.context.panel_mut(panel);
            let attention = tape.attention.panels(attention.clone());
            multiply(attention, tiles(values), asking, |row, lanes| {
                context[row] = lanes;
            });
        }
    }

    /// The gradient of `x`, into `dx`, from that of the outputs; writes that of the weights.
    pub(super) fn backward(
        &self,
        x: &Matrix,
        dy: &Matrix,
        tape: &AttentionTape,
        scratch: &mut AttentionScratch,
        gradient: &mut [f32],
        dx: &mut Matrix,
    ) {
        let (tokens, asking) = (x.rows(), tape.query.rows());
        self.out.gradient(&tape.context, dy, 0..asking, gradient);
        let context = &mut scratch.context;
        self.out.backward(dy, asking, |panel, row, lanes| {
            context.panel_mut(panel)[row] = lanes;
        });
        for head in 0..self.heads {
            self.attend_backward(head, tape, scratch);
        }
        self.query.gradient(x, &scratch.query, 0..asking, gradient);
        self.key_value
            .gradient(x, &scratch.key_value, 0..tokens, gradient);
        self.key_value
            .backward(&scratch.key_value, tokens, |panel, row, lanes| {
                dx.panel_mut(panel)[row] = lanes;
            });
        self.query
            .backward(&scratch.query, asking, |panel, row, lanes| {
                add(&mut dx.panel_mut(panel)[row], &lanes);
            });
    }

    fn attend_backward(&self, head: usize, tape: &AttentionTape, scratch: &mut AttentionScratch) {
        let AttentionScratch {
            transposed,
            rows: shared,
            scores,
            context: d_context,
            query: d_query,
            key_value: d_key_value,
            ..
        } = scratch;
        let asking = tape.query.rows();
        let of_head = head * self.panels..(head + 1) * self.panels;
        let value_panel = |panel: usize| self.heads * self.panels + panel;
        // The softmax's: a · (da − Σ a · da), where the sum over tokens is that of context · d_context over d.
        for (row, shared) in shared.iter_mut().enumerate() {
            let mut products = [0.0; LANES];
            for panel in of_head.clone() {
                let context = &tape.context.panel(panel)[row];
                for (lane, d_context) in d_context.panel(panel)[row].iter().enumerate() {
                    products[lane] += d_context * context[lane];
                }
            }
            *shared = sum(products);
        }
        let values = value_panel(of_head.start)..value_panel(of_head.end);
        self.transpose(tape.key_value.panels(values), transposed);
        let panels = transposed.len() / self.panels;
        for (panel, values) in transposed.chunks_exact(self.panels).enumerate() {
            let attention = tape.attention.panel(head * panels + panel);
            let scores = scores.panel_mut(panel);
            let d_context = d_context.panels(of_head.clone());
            multiply(d_context, values, asking, |row, mut lanes| {
                for (lane, attention) in lanes.iter_mut().zip(&attention[row]) {
                    *lane = (*lane - shared[row]) * attention;
                }
                scores[row] = lanes;
            });
        }
        for panel in of_head {
            let d_query = d_query.panel_mut(panel);
            let keys = tiles(tape.key_value.panel(panel));
            multiply(scores.all(), keys, asking, |row, lanes| {
                d_query[row] = lanes.map(|lane| lane * self.scale);
            });
            let (query, d_context) = (tape.query.panel(panel), d_context.panel(panel));
            for tokens in 0..panels {
                let rows = tokens * LANES..(tokens + 1) * LANES;
                let d_keys = outer(scores.panel(tokens), query);
                d_key_value.panel_mut(panel)[rows.clone()].copy_from_slice(&d_keys);
                let attention = tape.attention.panel(head * panels + tokens);
                let d_values = outer(attention, d_context);
                d_key_value.panel_mut(value_panel(panel))[rows].copy_from_slice(&d_values);
            }
        }
    }

    /// A head's keys or values, `[tokens, d]`, as `[d, tokens]`.
    fn transpose(&self, rows: Part<'_>, result: &mut [Tile]) {
        for (panel, rows) in rows.each().enumerate() {
            let result = result.iter_mut().skip(panel).step_by(self.panels);
            for (result, tile) in result.zip(tiles(rows)) {
                *result = transposed(tile);
            }
        }
    }
}

/// A panel's rows, eight each.
fn tiles(panel: &[Lanes]) -> &[Tile] {
    panel.as_chunks().0
}

/// The softmax of each row of `[asking tokens, tokens]`; 0 where the last panel is filled up.
fn softmax(scores: &mut [Lanes], tokens: usize, most: &mut [f32], lanes: &mut [Lanes]) {
    let asking = most.len();
    let filled = (tokens - 1) % LANES + 1;
    let last = scores.len() - asking;
    for row in &mut scores[last..] {
        row[filled..].fill(f32::MIN);
    }
    lanes.fill([f32::MIN; LANES]);
    for panel in scores.chunks_exact(asking) {
        for (most, scores) in lanes.iter_mut().zip(panel) {
            *most = larger(most, scores);
        }
    }
    for (most, lanes) in most.iter_mut().zip(lanes.iter_mut()) {
        // No `f32::max`: it is a call of the C library in the module.
        let largest = |most: f32, lane: &f32| if *lane > most { *lane } else { most };
        *most = lanes.iter().fold(f32::MIN, largest);
        *lanes = [0.0; LANES];
    }
    // What fills the last panel up adds less than 10⁻³⁷ to sums of at least 1.
    for panel in scores.chunks_exact_mut(asking) {
        let rows = panel.iter_mut().zip(&*most).zip(lanes.iter_mut());
        for ((scores, most), sums) in rows {
            *scores = exp_less(scores, *most);
            add(sums, scores);
        }
    }
    for row in &mut scores[last..] {
        row[filled..].fill(0.0);
    }
    for (share, sums) in most.iter_mut().zip(&*lanes) {
        *share = 1.0 / sum(*sums);
    }
    for panel in scores.chunks_exact_mut(asking) {
        for (scores, share) in panel.iter_mut().zip(&*most) {
            for score in scores {
                *score *= share;
            }
        }
    }
}
