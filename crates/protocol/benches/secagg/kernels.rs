//! The loops under a round, in one thread, beside what the machine can do.

use std::hint::black_box;
use std::time::Instant;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use protocol::id::{ChunkDigest, Digest};
use protocol::mask::{MaskKey, MaskSign, Masks};
use protocol::pack::{Packed, pack};
use protocol::seed::Seed;
use protocol::shamir::{self, Place};
use serde_json::json;

/// Entries: 128 MiB as words, more than any cache holds.
const MANY: usize = 1 << 25;
/// Entries that stay in the second-level cache.
const FEW: usize = 1 << 16;

pub(crate) fn measure() {
    bandwidth();
    keystream();
    packing();
    sealing();
    sharing();
}

fn bandwidth() {
    let (one, mut sum) = (vec![1_u32; MANY], vec![0_u32; MANY]);
    let copy = best(8, || black_box(&mut sum).copy_from_slice(&one));
    report("memory, copied", 8 * MANY, copy);
    let add = best(8, || {
        let sums = black_box(&mut sum).iter_mut();
        sums.zip(&one)
            .for_each(|(sum, one)| *sum = sum.wrapping_add(*one));
    });
    report("memory, words added to words", 12 * MANY, add);
    for bits in [22, 26] {
        let bytes = pack(&one, bits);
        let packed = Packed::parse(&bytes, MANY, bits).expect("packed just now");
        let time = best(8, || packed.add_to(black_box(&mut sum)));
        report(
            &format!("packed entries of {bits} bits added, beyond the caches"),
            8 * MANY + bytes.len(),
            time,
        );
    }
}

fn keystream() {
    let mut bytes = vec![0; 4 * FEW];
    let crates = best(400, || {
        ChaCha20::new(&[7; 32].into(), &[0; 12].into()).write_keystream(black_box(&mut bytes));
    });
    report("keystream, the chacha20 crate", 4 * FEW, crates);
    for count in [1, 10] {
        let mut masks = Masks::default();
        for place in 0..count {
            masks.push(&MaskKey::new([place; 32]), MaskSign::Subtract);
        }
        let mut entries = vec![0; FEW];
        let time = best(200, || masks.apply(0, 26, black_box(&mut entries)));
        report(
            &format!("keystream, {count} mask(s) applied"),
            4 * FEW * usize::from(count),
            time,
        );
    }
}

fn packing() {
    for bits in [22, 26] {
        let mut entries = vec![12_345; FEW];
        let time = best(400, || drop(black_box(pack(black_box(&entries), bits))));
        report(&format!("entries packed, {bits} bits"), 4 * FEW, time);
        let bytes = pack(&entries, bits);
        let packed = Packed::parse(&bytes, FEW, bits).expect("packed just now");
        let time = best(400, || packed.add_to(black_box(&mut entries)));
        report(&format!("packed entries added, {bits} bits"), 4 * FEW, time);
    }
}

fn sealing() {
    let text = vec![1; 4 * FEW];
    let time = best(200, || {
        black_box(Digest::of(black_box(&text)));
    });
    report("SHA-256", text.len(), time);
    let time = best(200, || {
        black_box(ChunkDigest::of(black_box(&text)));
    });
    report("BLAKE3", text.len(), time);
}

fn sharing() {
    for (threshold, holders) in [(7, 10), (67, 100)] {
        let mut rng = Seed::new([1; 32]).rng();
        let mut split = || {
            shamir::split(&[9; 32], threshold, holders, &mut rng)
                .expect("a threshold below the holders")
        };
        let shares = split();
        let time = best(50, || drop(black_box(split())));
        seconds(&format!("32 bytes shared, {threshold} of {holders}"), time);
        let held: Vec<_> = (0..)
            .map_while(Place::new)
            .zip(&shares)
            .take(threshold)
            .collect();
        let time = best(50, || {
            drop(black_box(shamir::reconstruct(threshold, &held)))
        });
        seconds(
            &format!("32 bytes recovered, {threshold} of {holders}"),
            time,
        );
    }
}

/// Seconds of the fastest call.
fn best(calls: usize, mut call: impl FnMut()) -> f64 {
    let times = (0..calls).map(|_| {
        let start = Instant::now();
        call();
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

fn report(name: &str, bytes: usize, seconds: f64) {
    let rate = bytes as f64 / seconds / 1e9;
    println!("{}", json!({ "name": name, "gigabytes_per_second": rate }));
}

fn seconds(name: &str, seconds: f64) {
    println!("{}", json!({ "name": name, "microseconds": seconds * 1e6 }));
}
