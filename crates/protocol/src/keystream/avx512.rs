//! Sixteen blocks side by side, for processors with AVX-512.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_set_epi32,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_storeu_si512,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use super::BLOCK;

/// Entries that one group of blocks is combined with.
pub(super) const GROUP: usize = LANES * BLOCK;
const LANES: usize = 16;

/// Whether the processor has it; asked once, then remembered.
#[inline]
pub(super) fn here() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
}

/// Adds the blocks from that of `state` on to what the groups' entries are when xored with `flip`.
///
/// # Panics
///
/// On a processor without AVX-512.
#[expect(unsafe_code, reason = "compiled for processors that are asked for")]
pub(super) fn combine(state: &[u32; BLOCK], flip: u32, groups: &mut [[u32; GROUP]]) {
    assert!(here(), "the caller asked the processor");
    // SAFETY: the processor has the instructions.
    unsafe { compiled(state, flip, groups) }
}

#[target_feature(enable = "avx512f")]
fn compiled(state: &[u32; BLOCK], flip: u32, groups: &mut [[u32; GROUP]]) {
    let flip = splat(flip);
    let mut start = state.map(|word| splat(word));
    let lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    start[12] = _mm512_add_epi32(start[12], lanes);
    for group in groups {
        let blocks = transpose(&permuted(&start));
        for (entries, block) in group.as_chunks_mut().0.iter_mut().zip(blocks) {
            let sum = _mm512_add_epi32(_mm512_xor_si512(load(entries), flip), block);
            store(entries, _mm512_xor_si512(sum, flip));
        }
        start[12] = _mm512_add_epi32(start[12], splat(16));
    }
}

/// The block function of RFC 8439, section 2.3: word `i` of every block in vector `i`.
#[target_feature(enable = "avx512f")]
#[inline]
fn permuted(start: &[__m512i; BLOCK]) -> [__m512i; BLOCK] {
    let mut words = *start;
    for _ in 0..10 {
        quarter_round::<0, 4, 8, 12>(&mut words);
        quarter_round::<1, 5, 9, 13>(&mut words);
        quarter_round::<2, 6, 10, 14>(&mut words);
        quarter_round::<3, 7, 11, 15>(&mut words);
        quarter_round::<0, 5, 10, 15>(&mut words);
        quarter_round::<1, 6, 11, 12>(&mut words);
        quarter_round::<2, 7, 8, 13>(&mut words);
        quarter_round::<3, 4, 9, 14>(&mut words);
    }
    for (word, start) in words.iter_mut().zip(start) {
        *word = _mm512_add_epi32(*word, *start);
    }
    words
}

/// Section 2.1.
#[target_feature(enable = "avx512f")]
#[inline]
fn quarter_round<const A: usize, const B: usize, const C: usize, const D: usize>(
    words: &mut [__m512i; BLOCK],
) {
    words[A] = _mm512_add_epi32(words[A], words[B]);
    words[D] = _mm512_rol_epi32::<16>(_mm512_xor_si512(words[D], words[A]));
    words[C] = _mm512_add_epi32(words[C], words[D]);
    words[B] = _mm512_rol_epi32::<12>(_mm512_xor_si512(words[B], words[C]));
    words[A] = _mm512_add_epi32(words[A], words[B]);
    words[D] = _mm512_rol_epi32::<8>(_mm512_xor_si512(words[D], words[A]));
    words[C] = _mm512_add_epi32(words[C], words[D]);
    words[B] = _mm512_rol_epi32::<7>(_mm512_xor_si512(words[B], words[C]));
}

/// From word `i` of every block in vector `i` to block `i` in vector `i`: by words within quarters of a vector, then by
/// quarters.
#[target_feature(enable = "avx512f")]
#[inline]
fn transpose(words: &[__m512i; BLOCK]) -> [__m512i; BLOCK] {
    let mut quarters = [_mm512_setzero_si512(); BLOCK];
    for (from, to) in words
        .as_chunks::<4>()
        .0
        .iter()
        .zip(quarters.as_chunks_mut::<4>().0)
    {
        let [a, b, c, d] = *from;
        let (low, high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (next_low, next_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        *to = [
            _mm512_unpacklo_epi64(low, next_low),
            _mm512_unpackhi_epi64(low, next_low),
            _mm512_unpacklo_epi64(high, next_high),
            _mm512_unpackhi_epi64(high, next_high),
        ];
    }
    // The immediate operand picks quarters 0 and 2, or 1 and 3, of both vectors.
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    let mut blocks = [_mm512_setzero_si512(); BLOCK];
    for place in 0..4 {
        let [a, b, c, d] = [0, 4, 8, 12].map(|first| quarters[first + place]);
        let even = _mm512_shuffle_i32x4::<EVEN>(a, b);
        let odd = _mm512_shuffle_i32x4::<ODD>(a, b);
        let next_even = _mm512_shuffle_i32x4::<EVEN>(c, d);
        let next_odd = _mm512_shuffle_i32x4::<ODD>(c, d);
        blocks[place] = _mm512_shuffle_i32x4::<EVEN>(even, next_even);
        blocks[place + 4] = _mm512_shuffle_i32x4::<EVEN>(odd, next_odd);
        blocks[place + 8] = _mm512_shuffle_i32x4::<ODD>(even, next_even);
        blocks[place + 12] = _mm512_shuffle_i32x4::<ODD>(odd, next_odd);
    }
    blocks
}

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

#[expect(unsafe_code, reason = "loads are given as pointers alone")]
#[target_feature(enable = "avx512f")]
#[inline]
fn load(entries: &[u32; LANES]) -> __m512i {
    // SAFETY: 64 bytes that may be read, at any alignment.
    unsafe { _mm512_loadu_si512(entries.as_ptr().cast()) }
}

#[expect(unsafe_code, reason = "stores are given as pointers alone")]
#[target_feature(enable = "avx512f")]
#[inline]
fn store(entries: &mut [u32; LANES], vector: __m512i) {
    // SAFETY: 64 bytes that may be written, at any alignment.
    unsafe { _mm512_storeu_si512(entries.as_mut_ptr().cast(), vector) }
}
