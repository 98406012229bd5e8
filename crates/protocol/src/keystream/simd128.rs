//! WebAssembly's vectors.

use core::arch::wasm32::{
    i32x4_add, i32x4_shl, u32x4_shr, u32x4_splat, v128 as Vector, v128_load, v128_or, v128_store,
    v128_xor,
};

use super::side_by_side::side_by_side;
use super::{BLOCK, BLOCKS, COUNTER, GROUP};

const LANES: usize = 4;
/// Quicker than one, by a sixth in wasmtime and by a quarter in V8, although their words do not fit the registers.
const STRIPS: usize = 2;

/// Adds the blocks from that of `state` on to what entries are when xored with `flip`; gives how many entries that were.
pub(super) fn combine(state: &[u32; BLOCK], flip: u32, entries: &mut [u32]) -> usize {
    combine_groups(state, flip, entries)
}

side_by_side!(#[inline(always)]);

#[inline(always)]
fn add(one: Vector, other: Vector) -> Vector {
    i32x4_add(one, other)
}

#[inline(always)]
fn xor(one: Vector, other: Vector) -> Vector {
    v128_xor(one, other)
}

/// Left by as many bits. By shifts for whole bytes too: wasmtime makes shuffles of bytes that take longer (measured:
/// 1.0 GB/s instead of 1.25 on a processor with AVX-512).
#[inline(always)]
fn rotate<const BITS: u32>(words: Vector) -> Vector {
    v128_or(i32x4_shl(words, BITS), u32x4_shr(words, 32 - BITS))
}

#[inline(always)]
fn splat(word: u32) -> Vector {
    u32x4_splat(word)
}

#[expect(unsafe_code, reason = "loads are given as pointers alone")]
#[inline(always)]
fn load(words: &[u32; LANES]) -> Vector {
    // SAFETY: 16 bytes that may be read, at any alignment.
    unsafe { v128_load(words.as_ptr().cast()) }
}

#[expect(unsafe_code, reason = "stores are given as pointers alone")]
#[inline(always)]
fn store(words: &mut [u32; LANES], vector: Vector) {
    // SAFETY: 16 bytes that may be written, at any alignment.
    unsafe { v128_store(words.as_mut_ptr().cast(), vector) }
}
