//! Vectors of processors with AVX-512.

use std::arch::x86_64::{
    __m512i as Vector, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set1_epi32,
    _mm512_storeu_si512, _mm512_xor_si512,
};

use super::side_by_side::side_by_side;
use super::{BLOCK, BLOCKS, COUNTER, GROUP};

const LANES: usize = 16;
/// Their words fill all 32 registers.
const STRIPS: usize = 2;

/// Whether the processor has it; asked once, then remembered.
#[inline]
pub(super) fn here() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
}

/// Adds the blocks from that of `state` on to what entries are when xored with `flip`; gives how many entries that were.
///
/// # Panics
///
/// On a processor without AVX-512.
#[expect(unsafe_code, reason = "compiled for processors that are asked for")]
pub(super) fn combine(state: &[u32; BLOCK], flip: u32, entries: &mut [u32]) -> usize {
    assert!(here(), "the caller asked the processor");
    // SAFETY: the processor has the instructions.
    unsafe { combine_groups(state, flip, entries) }
}

side_by_side!(
    #[target_feature(enable = "avx512f")]
    #[inline]
);

#[target_feature(enable = "avx512f")]
#[inline]
fn add(one: Vector, other: Vector) -> Vector {
    _mm512_add_epi32(one, other)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn xor(one: Vector, other: Vector) -> Vector {
    _mm512_xor_si512(one, other)
}

/// Left by as many bits.
#[target_feature(enable = "avx512f")]
#[inline]
fn rotate<const BITS: i32>(words: Vector) -> Vector {
    _mm512_rol_epi32::<BITS>(words)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(word: u32) -> Vector {
    _mm512_set1_epi32(word.cast_signed())
}

#[expect(unsafe_code, reason = "loads are given as pointers alone")]
#[target_feature(enable = "avx512f")]
#[inline]
fn load(words: &[u32; LANES]) -> Vector {
    // SAFETY: 64 bytes that may be read, at any alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[expect(unsafe_code, reason = "stores are given as pointers alone")]
#[target_feature(enable = "avx512f")]
#[inline]
fn store(words: &mut [u32; LANES], vector: Vector) {
    // SAFETY: 64 bytes that may be written, at any alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
}
