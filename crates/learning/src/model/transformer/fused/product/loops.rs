//! As plain loops, compiled for the processors that every build is for, and for those with vectors of eight (AVX2),
//! which are asked for while the program runs. Both do the same roundings.

use super::super::panel::{LANES, Lanes, Part, Tile};
use super::BLOCK;

/// Rows `row` to `row + ROWS` of one panel of `left · right`.
#[inline]
pub(super) fn block<const ROWS: usize>(
    left: Part<'_>,
    right: &[Tile],
    row: usize,
) -> [Lanes; ROWS] {
    #[cfg(target_arch = "x86_64")]
    if wide::here() {
        return wide::block(left, right, row);
    }
    block_loop(left, right, row)
}

/// `leftᵀ · right` of a panel each: `[8, 8]`, a sum over rows.
#[inline]
pub(in super::super) fn outer(left: &[Lanes], right: &[Lanes]) -> Tile {
    #[cfg(target_arch = "x86_64")]
    if wide::here() {
        return wide::outer(left, right);
    }
    let mut tile = [[0.0; LANES]; LANES];
    // By halves: eight sums of eight lanes are more than sixteen registers of four.
    let (upper, lower) = tile.split_at_mut(BLOCK);
    upper.copy_from_slice(&outer_loop::<0, BLOCK>(left, right));
    lower.copy_from_slice(&outer_loop::<BLOCK, BLOCK>(left, right));
    tile
}

#[cfg(target_arch = "x86_64")]
mod wide {
    //! The same loops for processors with AVX2.

    use super::{LANES, Lanes, Part, Tile, block_loop, outer_loop};

    /// Whether the processor has it; asked once, then remembered.
    #[inline]
    pub(super) fn here() -> bool {
        std::arch::is_x86_feature_detected!("avx2")
    }

    #[expect(unsafe_code, reason = "compiled for processors that are asked for")]
    #[inline]
    pub(super) fn block<const ROWS: usize>(
        left: Part<'_>,
        right: &[Tile],
        row: usize,
    ) -> [Lanes; ROWS] {
        #[target_feature(enable = "avx2")]
        fn compiled<const ROWS: usize>(
            left: Part<'_>,
            right: &[Tile],
            row: usize,
        ) -> [Lanes; ROWS] {
            block_loop(left, right, row)
        }
        // SAFETY: `here` was asked by the only callers.
        unsafe { compiled(left, right, row) }
    }

    #[expect(unsafe_code, reason = "compiled for processors that are asked for")]
    #[inline]
    pub(super) fn outer(left: &[Lanes], right: &[Lanes]) -> Tile {
        #[target_feature(enable = "avx2")]
        fn compiled(left: &[Lanes], right: &[Lanes]) -> Tile {
            outer_loop::<0, LANES>(left, right)
        }
        // SAFETY: `here` was asked by the only callers.
        unsafe { compiled(left, right) }
    }
}

#[inline(always)]
fn block_loop<const ROWS: usize>(left: Part<'_>, right: &[Tile], row: usize) -> [Lanes; ROWS] {
    let mut sums = [[0.0; LANES]; ROWS];
    for (panel, tile) in right.iter().enumerate() {
        let rows = left.panel(panel)[row..]
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

#[inline(always)]
fn outer_loop<const FIRST: usize, const ROWS: usize>(
    left: &[Lanes],
    right: &[Lanes],
) -> [Lanes; ROWS] {
    let mut sums = [[0.0; LANES]; ROWS];
    for (left, right) in left.iter().zip(right) {
        for (step, sums) in sums.iter_mut().enumerate() {
            add_scaled(sums, left[FIRST + step], right);
        }
    }
    sums
}

#[inline(always)]
fn add_scaled(sums: &mut Lanes, factor: f32, lanes: &Lanes) {
    for (sum, lane) in sums.iter_mut().zip(lanes) {
        *sum += factor * lane;
    }
}

/// The larger of each two lanes.
#[inline]
pub(in super::super) fn larger(one: &Lanes, other: &Lanes) -> Lanes {
    std::array::from_fn(|lane| {
        if one[lane] < other[lane] {
            other[lane]
        } else {
            one[lane]
        }
    })
}
