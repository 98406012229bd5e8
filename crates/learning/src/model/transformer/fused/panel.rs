//! How activations lie in memory: in panels of eight columns.
//!
//! ```text
//! columns 0‥7 of row 0, of row 1, …, of the last row │ columns 8‥15 of row 0, … │ …
//! ```
//!
//! So eight neighbouring numbers are always one load, whatever a loop runs over. Columns that fill the last panel of a
//! block up are 0.

use std::ops::Range;

/// Numbers that are computed together.
pub(super) const LANES: usize = 8;

/// The part of a row that lies in one panel.
pub(super) type Lanes = [f32; LANES];

/// Eight rows of a panel.
pub(super) type Tile = [Lanes; LANES];

/// Which columns of a matrix lie in which of its panels.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    panels: Vec<Range<usize>>,
}

impl Columns {
    /// So many columns.
    pub(super) fn new(columns: usize) -> Self {
        Self::blocks(1, columns)
    }

    /// Blocks of so many columns; no panel holds columns of two blocks.
    pub(super) fn blocks(blocks: usize, columns: usize) -> Self {
        let panel = |block: usize, first: usize| {
            let end = columns.min(first + LANES);
            block * columns + first..block * columns + end
        };
        Self {
            panels: (0..blocks)
                .flat_map(|block| {
                    (0..columns)
                        .step_by(LANES)
                        .map(move |first| panel(block, first))
                })
                .collect(),
        }
    }

    /// The number of panels.
    pub(super) fn len(&self) -> usize {
        self.panels.len()
    }

    /// The columns of each panel, at most eight.
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.panels.iter().cloned().enumerate()
    }

    /// The lanes that hold a row of values, one a column.
    pub(super) fn row(&self, values: &[f32]) -> Vec<Lanes> {
        let lanes = |(_, columns): (usize, Range<usize>)| {
            let mut lanes = [0.0; LANES];
            lanes[..columns.len()].copy_from_slice(&values[columns]);
            lanes
        };
        self.panels().map(lanes).collect()
    }
}

/// A matrix in panels; its rows are tokens.
#[derive(Clone, Debug, Default)]
pub(super) struct Matrix {
    rows: usize,
    lanes: Vec<Lanes>,
}

impl Matrix {
    /// All 0.
    pub(super) fn new(rows: usize, panels: usize) -> Self {
        Self {
            rows,
            lanes: vec![[0.0; LANES]; rows * panels],
        }
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// A panel's rows.
    pub(super) fn panel(&self, panel: usize) -> &[Lanes] {
        &self.lanes[panel * self.rows..(panel + 1) * self.rows]
    }

    pub(super) fn panel_mut(&mut self, panel: usize) -> &mut [Lanes] {
        &mut self.lanes[panel * self.rows..(panel + 1) * self.rows]
    }

    /// Sets a row whose columns fill the panels one after the other.
    pub(super) fn set_row(&mut self, row: usize, values: &[f32]) {
        for (panel, values) in values.chunks(LANES).enumerate() {
            self.panel_mut(panel)[row][..values.len()].copy_from_slice(values);
        }
    }

    /// The reverse of [`Matrix::set_row`].
    pub(super) fn copy_row(&self, row: usize, values: &mut [f32]) {
        for (panel, values) in values.chunks_mut(LANES).enumerate() {
            values.copy_from_slice(&self.panel(panel)[row][..values.len()]);
        }
    }

    /// Some neighbouring panels.
    pub(super) fn panels(&self, panels: Range<usize>) -> Part<'_> {
        Part {
            rows: self.rows,
            lanes: &self.lanes[panels.start * self.rows..panels.end * self.rows],
        }
    }

    /// Some neighbouring panels, one after the other.
    pub(super) fn panels_mut(&mut self, panels: Range<usize>) -> &mut [Lanes] {
        &mut self.lanes[panels.start * self.rows..panels.end * self.rows]
    }

    /// All panels.
    pub(super) fn all(&self) -> Part<'_> {
        Part {
            rows: self.rows,
            lanes: &self.lanes,
        }
    }

    /// All panels, one after the other.
    pub(super) fn lanes(&self) -> &[Lanes] {
        &self.lanes
    }

    pub(super) fn lanes_mut(&mut self) -> &mut [Lanes] {
        &mut self.lanes
    }
}

/// Neighbouring panels of a matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    rows: usize,
    lanes: &'a [Lanes],
}

impl<'a> Part<'a> {
    /// A panel's rows.
    #[inline]
    pub(super) fn panel(self, panel: usize) -> &'a [Lanes] {
        &self.lanes[panel * self.rows..(panel + 1) * self.rows]
    }

    /// Each panel's rows.
    pub(super) fn each(self) -> impl Iterator<Item = &'a [Lanes]> {
        self.lanes.chunks_exact(self.rows)
    }
}

/// The next multiple of eight.
pub(super) fn padded(rows: usize) -> usize {
    rows.next_multiple_of(LANES)
}

/// The sum of the lanes, in a fixed order.
pub(super) fn sum(lanes: Lanes) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

/// Adds to each lane.
#[inline]
pub(super) fn add(sums: &mut Lanes, lanes: &Lanes) {
    for (sum, lane) in sums.iter_mut().zip(lanes) {
        *sum += lane;
    }
}
