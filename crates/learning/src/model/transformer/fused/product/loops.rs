//! As plain loops.

use super::super::panel::{LANES, Lanes, Part, Tile};
use super::BLOCK;

/// Rows `row` to `row + ROWS` of one panel of `left · right`.
#[inline]
pub(super) fn block<const ROWS: usize>(
    left: Part<'_>,
    right: &[Tile],
    row: usize,
) -> [Lanes; ROWS] {
    let mut sums = [[0.0; LANES]; ROWS];
    for (panel, tile) in left.each().zip(right) {
        let rows = panel[row..]
            .first_chunk::<ROWS>()
            .expect("the panel holds the rows");
        for (step, right) in tile.iter().enumerate() {
            for (sums, left) in sums.iter_mut().zip(rows) {
                add_scaled(sums, left[step], right);
            }
        }
    }
    sums
}

/// `leftᵀ · right` of a panel each: `[8, 8]`, a sum over rows.
#[inline]
pub(in super::super) fn outer(left: &[Lanes], right: &[Lanes]) -> Tile {
    let mut tile = [[0.0; LANES]; LANES];
    let (upper, lower) = tile.split_at_mut(BLOCK);
    half::<0>(left, right, upper);
    half::<BLOCK>(left, right, lower);
    tile
}

#[inline]
fn half<const FIRST: usize>(left: &[Lanes], right: &[Lanes], result: &mut [Lanes]) {
    let mut sums = [[0.0; LANES]; BLOCK];
    for (left, right) in left.iter().zip(right) {
        for (step, sums) in sums.iter_mut().enumerate() {
            add_scaled(sums, left[FIRST + step], right);
        }
    }
    result.copy_from_slice(&sums);
}

#[inline]
fn add_scaled(sums: &mut Lanes, factor: f32, lanes: &Lanes) {
    for (sum, lane) in sums.iter_mut().zip(lanes) {
        *sum += factor * lane;
    }
}
