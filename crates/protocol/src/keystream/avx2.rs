//! Vectors of processors with AVX2.

use std::arch::x86_64::{
    __m256i as Vector, _mm256_add_epi32, _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi32,
    _mm256_setr_epi32, _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srli_epi32,
    _mm256_storeu_si256, _mm256_xor_si256,
};

use super::side_by_side::side_by_side;
use super::{BLOCK, BLOCKS, COUNTER, GROUP};

const LANES: usize = 8;
const STRIPS: usize = 2;

/// Whether the processor has it; asked once, then remembered.
#[inline]
pub(super) fn here() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

/// Adds the blocks from that of `state` on to what entries are when xored with `flip`; gives how many entries that were.
///
/// # Panics
///
/// On a processor without AVX2.
#[expect(unsafe_code, reason = "compiled for processors that are asked for")]
pub(super) fn combine(state: &[u32; BLOCK], flip: u32, entries: &mut [u32]) -> usize {
    assert!(here(), "the caller asked the processor");
    // SAFETY: the processor has the instructions.
    unsafe { combine_groups(state, flip, entries) }
}

side_by_side!(
    #[target_feature(enable = "avx2")]
    #[inline]
);

#[target_feature(enable = "avx2")]
#[inline]
fn add(one: Vector, other: Vector) -> Vector {
    _mm256_add_epi32(one, other)
}

#[target_feature(enable = "avx2")]
#[inline]
fn xor(one: Vector, other: Vector) -> Vector {
    _mm256_xor_si256(one, other)
}

/// Left by as many bits: whole bytes are put in another order, which is one instruction.
#[target_feature(enable = "avx2")]
#[inline]
fn rotate<const BITS: i32>(words: Vector) -> Vector {
    match BITS {
        16 => _mm256_shuffle_epi8(words, bytes([2, 3, 0, 1])),
        8 => _mm256_shuffle_epi8(words, bytes([3, 0, 1, 2])),
        12 => _mm256_or_si256(
            _mm256_slli_epi32::<12>(words),
            _mm256_srli_epi32::<20>(words),
        ),
        7 => _mm256_or_si256(
            _mm256_slli_epi32::<7>(words),
            _mm256_srli_epi32::<25>(words),
        ),
        _ => unreachable!("ChaCha rotates by 16, 12, 8 and 7 bits"),
    }
}

/// This order of bytes in every word; of both halves, since a shuffle does not cross them.
#[target_feature(enable = "avx2")]
#[inline]
fn bytes(order: [u8; 4]) -> Vector {
    const WORDS: [i32; 4] = [0, 0x0404_0404, 0x0808_0808, 0x0c0c_0c0c];
    let [a, b, c, d] = WORDS;
    add(
        splat(u32::from_le_bytes(order)),
        _mm256_setr_epi32(a, b, c, d, a, b, c, d),
    )
}

#[target_feature(enable = "avx2")]
#[inline]
fn splat(word: u32) -> Vector {
    _mm256_set1_epi32(word.cast_signed())
}

#[expect(unsafe_code, reason = "loads are given as pointers alone")]
#[target_feature(enable = "avx2")]
#[inline]
fn load(words: &[u32; LANES]) -> Vector {
    // SAFETY: 32 bytes that may be read, at any alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[expect(unsafe_code, reason = "stores are given as pointers alone")]
#[target_feature(enable = "avx2")]
#[inline]
fn store(words: &mut [u32; LANES], vector: Vector) {
    // SAFETY: 32 bytes that may be written, at any alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
}
