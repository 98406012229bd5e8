//! Whole studies under random operations: sites come, go and crash, the network loses, repeats and alters, the aggregator
//! is killed between any two steps, time jumps.
//!
//! ```text
//! seed ──▶ Setting (study, network) ──▶ [Operation] ──▶ World: Site ⇄ Wire ⇄ Service (rounds on a store)
//!                                                         │ after each operation
//!                                                         ├─▶ Expected: the sum is the survivors', to the last bit
//!                                                         ├─▶ Witness: nothing else can be computed
//!                                                         └─▶ ledgers: each release is charged once
//! ```
//!
//! `SIMULATION_SEED=n` with a test's name runs that seed alone and prints its operations. A list that failed is cut down and becomes a test in
//! `reproductions.rs`. The shape is that of janus's simulation (divviup/janus).

#![expect(
    clippy::print_stderr,
    reason = "a seed that fails is told to whoever runs the test"
)]

mod expected;
mod kills;
mod operation;
mod record;
mod reproductions;
mod service;
mod setting;
mod site;
mod soak;
mod trial;
mod wire;
mod witness;
mod world;

use crate::setting::Size;
use crate::trial::{Trial, try_seeds};

#[test]
fn the_sum_of_the_survivors_is_published_or_nothing() {
    try_seeds(Size::Small, 0..1_000);
}

/// The second half of the seeds: tests run beside each other.
#[test]
fn the_sum_of_the_survivors_is_published_or_nothing_again() {
    try_seeds(Size::Small, 1_000..2_000);
}

#[test]
fn rounds_of_many_sites_publish_the_sum_of_the_survivors_or_nothing() {
    try_seeds(Size::Crowd, 0..3);
}

#[test]
fn vectors_of_several_chunks_are_added_or_not_at_all() {
    try_seeds(Size::Long, 0..10);
}

#[test]
fn a_seed_gives_the_same_operations_each_time() {
    let draw = || Trial::draw(Size::Small, 7);
    assert_eq!(draw().operations, draw().operations);
    assert_eq!(draw().setting.kit.toml, draw().setting.kit.toml);
}
