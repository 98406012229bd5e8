//! With WebAssembly's vectors.
//!
//! A compiler of the module keeps loads in order but puts arithmetic where its result is needed: all that a turn of a
//! loop loads is held at once. So a turn loads twelve vectors, not a number for each factor, for thirty-two products;
//! and turns are long, since each looks at the deadline.

use std::arch::wasm32::{
    f32x4_add, f32x4_extract_lane, f32x4_mul, f32x4_pmax, f32x4_splat, i32x4_shuffle, v128,
    v128_load,
};

use super::super::panel::{LANES, Lanes, Part, Tile};
use super::BLOCK;

/// A row of a panel.
pub(in super::super) type Pair = [v128; 2];

/// Rows `row` to `row + ROWS` of one panel of `left · right`.
#[inline]
pub(super) fn block<const ROWS: usize>(
    left: Part<'_>,
    right: &[Tile],
    row: usize,
) -> [Lanes; ROWS] {
    let mut sums = [[f32x4_splat(0.0); 2]; ROWS];
    let (turns, _) = right.as_flattened().as_chunks::<4>();
    for (turn, right) in turns.iter().enumerate() {
        let rows = left.panel(turn / 2)[row..]
            .first_chunk::<ROWS>()
            .expect("the panel holds the rows");
        let right = right.each_ref().map(pair);
        for (sums, left) in sums.iter_mut().zip(rows) {
            let (halves, _) = left.as_chunks::<4>();
            add_products(sums, vector(&halves[turn % 2]), right);
        }
    }
    sums.map(lanes)
}

/// `leftᵀ · right` of a panel each: `[8, 8]`, a sum over rows.
#[inline]
pub(in super::super) fn outer(left: &[Lanes], right: &[Lanes]) -> Tile {
    let upper = half::<0>(left, right);
    let lower = half::<BLOCK>(left, right);
    let mut tile = [[0.0; LANES]; LANES];
    for (row, sums) in tile.iter_mut().zip(upper.into_iter().chain(lower)) {
        *row = lanes(sums);
    }
    tile
}

#[inline]
fn half<const FIRST: usize>(left: &[Lanes], right: &[Lanes]) -> [Pair; BLOCK] {
    let mut sums = [[f32x4_splat(0.0); 2]; BLOCK];
    let (left, left_rest) = left.as_chunks::<4>();
    let (right, right_rest) = right.as_chunks::<4>();
    for (left, right) in left.iter().zip(right) {
        for (left, right) in left.iter().zip(right) {
            add_outer::<FIRST>(&mut sums, left, right);
        }
    }
    for (left, right) in left_rest.iter().zip(right_rest) {
        add_outer::<FIRST>(&mut sums, left, right);
    }
    sums
}

#[inline]
fn add_outer<const FIRST: usize>(sums: &mut [Pair; BLOCK], left: &Lanes, right: &Lanes) {
    let (left, right) = (vector(&left.as_chunks::<4>().0[FIRST / 4]), pair(right));
    let [a, b, c, d] = sums;
    add_scaled(a, i32x4_shuffle::<0, 0, 0, 0>(left, left), right);
    add_scaled(b, i32x4_shuffle::<1, 1, 1, 1>(left, left), right);
    add_scaled(c, i32x4_shuffle::<2, 2, 2, 2>(left, left), right);
    add_scaled(d, i32x4_shuffle::<3, 3, 3, 3>(left, left), right);
}

/// The larger of each two lanes.
#[inline]
pub(in super::super) fn larger(one: &Lanes, other: &Lanes) -> Lanes {
    let ([a, b], [c, d]) = (pair(one), pair(other));
    lanes([f32x4_pmax(a, c), f32x4_pmax(b, d)])
}

/// Adds the four products of `left`'s numbers and the rows of `right`, one after the other.
#[inline]
fn add_products(sums: &mut Pair, left: v128, right: [Pair; 4]) {
    let [a, b, c, d] = right;
    add_scaled(sums, i32x4_shuffle::<0, 0, 0, 0>(left, left), a);
    add_scaled(sums, i32x4_shuffle::<1, 1, 1, 1>(left, left), b);
    add_scaled(sums, i32x4_shuffle::<2, 2, 2, 2>(left, left), c);
    add_scaled(sums, i32x4_shuffle::<3, 3, 3, 3>(left, left), d);
}

#[inline]
fn add_scaled(sums: &mut Pair, factor: v128, row: Pair) {
    for (sum, row) in sums.iter_mut().zip(row) {
        *sum = f32x4_add(*sum, f32x4_mul(factor, row));
    }
}

/// One load: from four numbers the compiler would make a load for each use of each.
#[expect(unsafe_code, reason = "there is no safe load of a vector")]
#[inline]
fn vector(numbers: &[f32; 4]) -> v128 {
    // SAFETY: the reference is good for 16 bytes, and a load needs no alignment.
    unsafe { v128_load(numbers.as_ptr().cast()) }
}

#[inline]
pub(in super::super) fn pair(lanes: &Lanes) -> Pair {
    let (halves, _) = lanes.as_chunks::<4>();
    [vector(&halves[0]), vector(&halves[1])]
}

#[inline]
pub(in super::super) fn lanes(pair: Pair) -> Lanes {
    let [[a, b, c, d], [e, f, g, h]] = pair.map(|half| {
        [
            f32x4_extract_lane::<0>(half),
            f32x4_extract_lane::<1>(half),
            f32x4_extract_lane::<2>(half),
            f32x4_extract_lane::<3>(half),
        ]
    });
    [a, b, c, d, e, f, g, h]
}
