//! Four blocks side by side, in WebAssembly's vectors.

use core::arch::wasm32::{
    i32x4, i32x4_add, i32x4_shl, i32x4_shuffle, i64x2_shuffle, u32x4_shr, u32x4_splat, v128,
    v128_load, v128_or, v128_store, v128_xor,
};

use super::BLOCK;

/// Entries that one group of blocks is combined with.
pub(super) const GROUP: usize = LANES * BLOCK;
const LANES: usize = 4;

/// Adds the blocks from that of `state` on to what the groups' entries are when xored with `flip`.
pub(super) fn combine(state: &[u32; BLOCK], flip: u32, groups: &mut [[u32; GROUP]]) {
    let flip = u32x4_splat(flip);
    let mut start = state.map(|word| u32x4_splat(word));
    start[12] = i32x4_add(start[12], i32x4(0, 1, 2, 3));
    for group in groups {
        let words = permuted(&start);
        // Four words of four blocks at a time.
        for (place, words) in words.as_chunks::<4>().0.iter().enumerate() {
            for (block, words) in transpose(words).into_iter().enumerate() {
                let entries = &mut group[block * BLOCK + place * LANES..];
                let entries = entries
                    .first_chunk_mut()
                    .expect("the place is in its block");
                let sum = i32x4_add(v128_xor(load(entries), flip), words);
                store(entries, v128_xor(sum, flip));
            }
        }
        start[12] = i32x4_add(start[12], u32x4_splat(4));
    }
}

/// The block function of RFC 8439, section 2.3: word `i` of every block in vector `i`.
#[inline(always)]
fn permuted(start: &[v128; BLOCK]) -> [v128; BLOCK] {
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
        *word = i32x4_add(*word, *start);
    }
    words
}

/// Section 2.1.
#[inline(always)]
fn quarter_round<const A: usize, const B: usize, const C: usize, const D: usize>(
    words: &mut [v128; BLOCK],
) {
    words[A] = i32x4_add(words[A], words[B]);
    words[D] = rotate::<16>(v128_xor(words[D], words[A]));
    words[C] = i32x4_add(words[C], words[D]);
    words[B] = rotate::<12>(v128_xor(words[B], words[C]));
    words[A] = i32x4_add(words[A], words[B]);
    words[D] = rotate::<8>(v128_xor(words[D], words[A]));
    words[C] = i32x4_add(words[C], words[D]);
    words[B] = rotate::<7>(v128_xor(words[B], words[C]));
}

/// Left by as many bits. By shifts for whole bytes too: wasmtime makes shuffles of bytes that take longer (measured:
/// 0.96 GB/s instead of 1.35 on a processor with AVX-512).
#[inline(always)]
fn rotate<const BITS: u32>(words: v128) -> v128 {
    v128_or(i32x4_shl(words, BITS), u32x4_shr(words, 32 - BITS))
}

#[inline(always)]
fn transpose(words: &[v128; LANES]) -> [v128; LANES] {
    let [a, b, c, d] = *words;
    let (low, high) = (
        i32x4_shuffle::<0, 4, 1, 5>(a, b),
        i32x4_shuffle::<2, 6, 3, 7>(a, b),
    );
    let (next_low, next_high) = (
        i32x4_shuffle::<0, 4, 1, 5>(c, d),
        i32x4_shuffle::<2, 6, 3, 7>(c, d),
    );
    [
        i64x2_shuffle::<0, 2>(low, next_low),
        i64x2_shuffle::<1, 3>(low, next_low),
        i64x2_shuffle::<0, 2>(high, next_high),
        i64x2_shuffle::<1, 3>(high, next_high),
    ]
}

#[expect(unsafe_code, reason = "loads are given as pointers alone")]
#[inline(always)]
fn load(entries: &[u32; LANES]) -> v128 {
    // SAFETY: 16 bytes that may be read, at any alignment.
    unsafe { v128_load(entries.as_ptr().cast()) }
}

#[expect(unsafe_code, reason = "stores are given as pointers alone")]
#[inline(always)]
fn store(entries: &mut [u32; LANES], vector: v128) {
    // SAFETY: 16 bytes that may be written, at any alignment.
    unsafe { v128_store(entries.as_mut_ptr().cast(), vector) }
}
