//! The Transformer against Opacus: `shared/reference/dp_sgd_reference.npz`, beside the repository.
//!
//! Made by `peers/opacus_reference.py` there: `f64`, one patient at a time by plain automatic differentiation;
//! Opacus agrees in four modes. Opacus clips by `min(1, C / (norm + 1e-6))`, we by `min(1, C / norm)`.
#![cfg(feature = "burn")]
#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the arrays hold what f32 and u32 hold"
)]

mod npz;
mod study;

use std::path::{Path, PathBuf};

use learning::model::{Backend, Batch, Network};
use npz::Npz;
use study::{reference_cohort, reference_model};

const PATIENTS: usize = 8;
const CLIP: f64 = 1.0;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/dp_sgd_reference.npz")
}

#[test]
fn logits_norms_and_clipped_sum_are_those_of_pytorch_and_opacus() {
    match std::fs::read(path()) {
        Ok(bytes) => {
            let npz = Npz::parse(&bytes);
            check(&npz, Backend::Fused);
            check(&npz, Backend::Flex);
        }
        Err(error) => skipped(&error),
    }
}

#[cfg(feature = "ndarray")]
#[test]
fn ndarray_computes_the_same() {
    match std::fs::read(path()) {
        Ok(bytes) => check(&Npz::parse(&bytes), Backend::NdArray),
        Err(error) => skipped(&error),
    }
}

#[expect(clippy::print_stderr, reason = "a check that is not made must be seen")]
fn skipped(error: &std::io::Error) {
    eprintln!("skipped: {}: {error}", path().display());
}

fn check(npz: &Npz, backend: Backend) {
    let network = Network::new(&reference_cohort(), &reference_model())
        .unwrap()
        .with_backend(backend);
    let weights = by_block(&network, npz, "param");
    let values = inputs(npz);
    let batch = Batch {
        values: &values,
        missing: &vec![0.0; values.len()],
    };
    let labels: Vec<u32> = npz
        .numbers("labels")
        .iter()
        .map(|label| *label as u32)
        .collect();

    let logits = network.logits(&weights, batch).unwrap();
    assert_near("logits", &wide(&logits), &npz.numbers("logits"));

    let mut sum = vec![0.0; network.parameters()];
    let report = network
        .clipped_sum(&weights, batch, &labels, CLIP, &mut sum)
        .unwrap();
    assert_near("loss", &report.losses, &npz.numbers("loss"));
    assert_near("norm", &report.norms, &npz.numbers("grad_norm"));
    let want = by_block(&network, npz, "clipped_sum");
    assert_near("clipped sum", &sum, &wide(&want));
    for block in network.blocks() {
        assert_near(
            &block.name,
            &sum[block.range.clone()],
            &wide(&want[block.range.clone()]),
        );
    }
}

/// The arrays `group/<name>` in the order of the network's blocks.
fn by_block(network: &Network, npz: &Npz, group: &str) -> Vec<f32> {
    let blocks = network.blocks().iter().flat_map(|block| {
        let values = npz.numbers(&format!("{group}/{}", block.name));
        assert_eq!(values.len(), block.range.len(), "{}", block.name);
        values
    });
    blocks.map(|value| value as f32).collect()
}

/// Rows of slots: the vitals' 180 days are followed by two empty ones.
fn inputs(npz: &Npz) -> Vec<f32> {
    let mut values = Vec::new();
    for patient in 0..PATIENTS {
        for name in ["vitals", "labs", "markers", "omics", "demographics"] {
            let input = npz.numbers(&format!("input/{name}"));
            let length = input.len() / PATIENTS;
            values.extend(
                input[patient * length..(patient + 1) * length]
                    .iter()
                    .map(|value| *value as f32),
            );
            if name == "vitals" {
                values.extend([0.0; 2 * 5]);
            }
        }
    }
    values
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// Within 1e-4 of the largest value.
#[expect(clippy::print_stderr, reason = "shown on request: how near")]
fn assert_near(what: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let scale = want
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    let differences = got.iter().zip(want).map(|(got, want)| (got - want).abs());
    let most = differences.fold(0.0_f64, f64::max) / scale;
    eprintln!("{what}: relative difference {most:.1e}");
    assert!(most < 1e-4, "{what}: relative difference {most:.1e}");
}
