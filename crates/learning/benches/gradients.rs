//! Patients a second through one clipped-gradient pass of the reference model, on one thread.
//!
//! `cargo bench -p learning`; the shapes are those of `shared/reference/peers/bench_train.py`.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]

#[path = "../tests/study/mod.rs"]
mod study;

use std::time::Instant;

use learning::model::Network;
use protocol::study::{Architecture, Model, Summary};
use study::{Patients, reference_cohort, reference_model, weights};

const PATIENTS: usize = 1024;

fn main() {
    measure("transformer, 22,467 weights", &reference_model(), 1);
    let architecture = Architecture::Linear {
        summary: Summary::MeanAndTrend,
    };
    measure(
        "linear, 351 weights",
        &Model {
            architecture,
            ..reference_model()
        },
        20,
    );
}

fn measure(name: &str, model: &Model, repeats: usize) {
    let network = Network::new(&reference_cohort(), model).expect("the study makes a model");
    let patients = Patients::random(&network, PATIENTS, 1);
    let weights = weights(&network, 2);
    let mut sum = vec![0.0; network.parameters()];
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..repeats {
            network
                .clipped_sum(&weights, patients.batch(), &patients.labels, 1.0, &mut sum)
                .expect("the patients fit the model");
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{name}: {:.0} patients/s",
        (PATIENTS * repeats) as f64 / best
    );
}
