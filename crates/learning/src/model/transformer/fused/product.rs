//! Matrix products of panels. All of the Transformer's arithmetic that counts is in two functions.
//!
//! Each number of a result is one sum, added in the order of its terms, whatever is computed beside it. Products and
//! sums are rounded apart (no fused multiply-add), so the bits are the same on every processor.
//!
//! Both are written twice: as plain loops, which compilers for processors turn into vectors, and with WebAssembly's
//! vectors, where the order of loads decides how many registers there are left.

#[cfg_attr(
    all(target_arch = "wasm32", target_feature = "simd128"),
    path = "product/vectors.rs"
)]
#[cfg_attr(
    not(all(target_arch = "wasm32", target_feature = "simd128")),
    path = "product/loops.rs"
)]
pub(super) mod kernel;

pub(super) use self::kernel::{larger, outer};
use super::panel::{LANES, Lanes, Part, Tile};

/// Rows that are computed together: eight sums of four lanes leave half of sixteen registers to what they are made of.
const BLOCK: usize = 4;

/// One panel of `left · right`, row by row: `left` is `[rows, panels · 8]`, `right` a tile for each of its panels.
///
/// `put` gets each of the first `rows` rows with its number.
#[inline]
pub(super) fn multiply(
    left: Part<'_>,
    right: &[Tile],
    rows: usize,
    mut put: impl FnMut(usize, Lanes),
) {
    let mut row = 0;
    while row + BLOCK <= rows {
        let block = kernel::block::<BLOCK>(left, right, row);
        for (next, lanes) in block.into_iter().enumerate() {
            put(row + next, lanes);
        }
        row += BLOCK;
    }
    while row < rows {
        let [lanes] = kernel::block::<1>(left, right, row);
        put(row, lanes);
        row += 1;
    }
}

/// The tile with rows and columns exchanged.
#[inline]
pub(super) fn transposed(tile: &Tile) -> Tile {
    let mut result = [[0.0; LANES]; LANES];
    for (row, lanes) in tile.iter().enumerate() {
        for (column, value) in lanes.iter().enumerate() {
            result[column][row] = *value;
        }
    }
    result
}
