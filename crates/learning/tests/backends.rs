//! Both backends compute the same.
#![cfg(feature = "ndarray")]

mod study;

use learning::model::{Backend, Network};
use study::{Patients, small_cohort, small_models, weights};

#[test]
fn flex_and_ndarray_agree() {
    for model in small_models() {
        let flex = Network::new(&small_cohort(), &model).unwrap();
        let ndarray = flex.clone().with_backend(Backend::NdArray);
        let patients = Patients::random(&flex, 9, 1);
        let weights = weights(&flex, 2);
        let sum = |network: &Network| {
            let mut sum = vec![0.0; network.parameters()];
            network
                .clipped_sum(&weights, patients.batch(), &patients.labels, 0.7, &mut sum)
                .unwrap();
            sum
        };
        let (flex, ndarray) = (sum(&flex), sum(&ndarray));
        let scale = flex
            .iter()
            .fold(0.0_f64, |most, value| most.max(value.abs()));
        for (flex, ndarray) in flex.iter().zip(&ndarray) {
            assert!(
                (flex - ndarray).abs() < 1e-5 * scale,
                "{flex} is not {ndarray}"
            );
        }
    }
}
