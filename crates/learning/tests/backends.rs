//! All backends compute the same.
#![cfg(feature = "burn")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod study;

use learning::model::{Backend, Network};
use study::{Patients, small_cohort, small_models, weights};

#[test]
fn the_loops_and_burn_agree() {
    agree(Backend::Fused, Backend::Flex);
}

#[cfg(feature = "ndarray")]
#[test]
fn flex_and_ndarray_agree() {
    agree(Backend::Flex, Backend::NdArray);
}

fn agree(one: Backend, other: Backend) {
    for model in small_models() {
        let one = Network::new(&small_cohort(), &model)
            .unwrap()
            .with_backend(one);
        let other = one.clone().with_backend(other);
        let patients = Patients::random(&one, 9, 1);
        let weights = weights(&one, 2);
        let sum = |network: &Network| {
            let mut sum = vec![0.0; network.parameters()];
            network
                .clipped_sum(&weights, patients.batch(), &patients.labels, 0.7, &mut sum)
                .unwrap();
            sum
        };
        let (one, other) = (sum(&one), sum(&other));
        let scale = one
            .iter()
            .fold(0.0_f64, |most, value| most.max(value.abs()));
        for (one, other) in one.iter().zip(&other) {
            assert!((one - other).abs() < 1e-5 * scale, "{one} is not {other}");
        }
    }
}
