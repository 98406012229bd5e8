//! One patient adds at most a clip norm, whatever the weights, the values and the clip norm; and a patient of whom something
//! is not finite adds nothing, and changes nothing for the others.
#![cfg(feature = "burn")]
#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::cast_possible_truncation, reason = "weights are f32")]

mod study;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use learning::model::{Batch, CHUNK, Network};
use protocol::door::State;
use protocol::study::{Model, Privacy, Trained};
use study::{Patients, small_cohort, small_models, weights};

fn networks() -> Vec<Network> {
    let mut models = small_models();
    let heads = models.iter().map(|model| Model {
        trained: Trained::Blocks(vec!["head.weight".to_owned()]),
        ..model.clone()
    });
    let heads: Vec<Model> = heads.collect();
    models.extend(heads);
    models
        .iter()
        .map(|model| Network::new(&small_cohort(), model).unwrap())
        .collect()
}

/// The L2 norm, of any finite numbers: scaled before it is squared.
fn norm(vector: &[f64]) -> f64 {
    let most = vector
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    if most == 0.0 {
        return 0.0;
    }
    let squares = vector.iter().map(|value| (value / most).powi(2));
    most * squares.sum::<f64>().sqrt()
}

/// A power of two from 2^least to 2^most.
fn size(rng: &mut ChaCha20Rng, least: i32, most: i32) -> f64 {
    let span = u32::try_from(most - least).unwrap() + 1;
    f64::from(least + i32::try_from(rng.next_u32() % span).unwrap()).exp2()
}

/// Numbers of one size, or of all sizes there are.
fn scaled(values: &mut [f32], rng: &mut ChaCha20Rng, least: i32, most: i32) {
    let (each, one) = (rng.next_u32().is_multiple_of(2), size(rng, least, most));
    for value in values {
        let size = if each { size(rng, least, most) } else { one };
        *value = (f64::from(*value) * size) as f32;
    }
}

#[test]
fn no_patient_adds_more_than_a_clip_norm_whatever_the_numbers() {
    let mut rng = ChaCha20Rng::seed_from_u64(21);
    let (least, most) = (*Privacy::CLIP_NORMS.start(), *Privacy::CLIP_NORMS.end());
    let mut added = 0;
    for network in networks() {
        for case in 0..300 {
            let mut rows = Patients::random(&network, 3, case);
            let mut weights = weights(&network, case);
            // To 2^20, the bound of a state's weights; values to the end of f32.
            scaled(&mut weights, &mut rng, -149, 17);
            let bound = State::MOST_WEIGHT;
            weights
                .iter_mut()
                .for_each(|weight| *weight = weight.clamp(-bound, bound));
            scaled(&mut rows.values, &mut rng, -149, 124);
            let clip = (least * size(&mut rng, 0, 40)).min(most);
            let patients: &[usize] = if case % 2 == 0 { &[1, 1, 1] } else { &[3] };
            let mut first = 0;
            for labels in patients {
                let (batch, classes) = rows.part(first, first + labels);
                first += labels;
                let mut own = vec![0.0; network.trained()];
                network
                    .clipped_sum_by_patient(&weights, batch, classes, &[*labels], clip, &mut own)
                    .unwrap();
                assert!(
                    norm(&own) <= clip * (1.0 + 1e-6),
                    "{} of {clip}",
                    norm(&own)
                );
                added += u32::from(norm(&own) > 0.5 * clip);
            }
        }
    }
    assert!(added > 1_000, "many are clipped: {added}");
}

/// A head that is sure has slopes as small as 1e-308, whose squares are 0.
#[test]
fn a_gradient_too_small_to_be_squared_is_not_taken_for_none() {
    for network in networks() {
        let rows = Patients::random(&network, 1, 5);
        for exponent in 0..60 {
            let mut weights = weights(&network, 6);
            let scale = 1.3_f32.powi(exponent);
            weights.iter_mut().for_each(|weight| *weight *= scale);
            let sum = |clip: f64| {
                let mut own = vec![0.0; network.trained()];
                let report = network
                    .clipped_sum(&weights, rows.batch(), &rows.labels, clip, &mut own)
                    .unwrap();
                (norm(&own), report.norms[0])
            };
            let (length, told) = sum(f64::INFINITY);
            assert!(
                (length - told).abs() <= 1e-6 * told,
                "{length} is told as {told}"
            );
            // Clip norms of all sizes, though no study has them.
            for clip in [1e-200, 1e-166, 1e-100, 1e-9] {
                let (length, _) = sum(clip);
                assert!(length <= clip * (1.0 + 1e-6), "{length} of {clip}");
            }
        }
    }
}

#[test]
fn a_patient_that_is_not_finite_changes_no_bit_of_the_others_sum() {
    for network in networks() {
        let slots = network.slots();
        let rows = Patients::random(&network, 9, 31);
        let weights = weights(&network, 32);
        let others = [0, 1, 3, 4, 5, 6, 8];
        let of_others = |values: &[f32]| -> Vec<f32> {
            let own = |patient: &usize| values[patient * slots..][..slots].to_vec();
            others.iter().flat_map(own).collect()
        };
        let (values, missing) = (of_others(&rows.values), of_others(&rows.missing));
        let classes: Vec<u32> = others.iter().map(|patient| rows.labels[*patient]).collect();
        let batch = Batch {
            values: &values,
            missing: &missing,
        };
        let mut without = vec![0.0; network.trained()];
        network
            .clipped_sum(&weights, batch, &classes, 0.5, &mut without)
            .unwrap();
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (mut values, mut missing) = (rows.values.clone(), rows.missing.clone());
            for patient in [2, 7] {
                values[patient * slots..][..slots].fill(broken);
                missing[patient * slots..][..slots].fill(0.0);
            }
            let batch = Batch {
                values: &values,
                missing: &missing,
            };
            let mut sum = vec![0.0; network.trained()];
            let report = network
                .clipped_sum(&weights, batch, &rows.labels, 0.5, &mut sum)
                .unwrap();
            assert_eq!(report.unusable, 2);
            assert!(report.norms[2] == 0.0 && report.norms[3] > 0.0);
            let unknown = 3.0_f64.ln();
            assert!((report.losses[7] - unknown).abs() < 1e-12);
            assert_eq!(sum, without);
            // As in the batch, so alone.
            let rows_of = |rows: learning::model::Rows| -> Vec<Option<Vec<f32>>> {
                rows.each().map(|row| row.map(<[f32]>::to_vec)).collect()
            };
            let probabilities = rows_of(network.usable_probabilities(&weights, batch).unwrap());
            let usual = rows_of(
                network
                    .usable_probabilities(&weights, rows.batch())
                    .unwrap(),
            );
            let embeddings = rows_of(network.usable_embeddings(&weights, batch).unwrap());
            for patient in 0..9 {
                let is_broken = [2, 7].contains(&patient);
                assert_eq!(probabilities[patient].is_none(), is_broken, "{patient}");
                assert_eq!(embeddings[patient].is_none(), is_broken, "{patient}");
                if !is_broken {
                    assert_eq!(probabilities[patient], usual[patient]);
                }
            }
        }
    }
}

/// Finite values, of which a Transformer makes infinities on the way.
#[test]
fn a_patient_whose_numbers_overflow_on_the_way_leaves_nothing_behind() {
    for network in networks() {
        let slots = network.slots();
        let rows = Patients::random(&network, CHUNK, 41);
        let weights = weights(&network, 42);
        for huge in [1e19, 1e30, f32::MAX] {
            let mut values = rows.values.clone();
            for (place, value) in values[5 * slots..6 * slots].iter_mut().enumerate() {
                *value = if place % 2 == 0 { huge } else { -huge };
            }
            let batch = Batch {
                values: &values,
                missing: &rows.missing,
            };
            let mut sum = vec![0.0; network.trained()];
            let report = network
                .clipped_sum(&weights, batch, &rows.labels, 0.5, &mut sum)
                .unwrap();
            assert!(sum.iter().all(|value| value.is_finite()));
            let (part, classes) = rows.part(6, CHUNK);
            let mut others = vec![0.0; network.trained()];
            let after = network
                .clipped_sum(&weights, part, classes, 0.5, &mut others)
                .unwrap();
            assert_eq!(report.norms[6..], after.norms[..]);
            assert_eq!(report.losses[6..], after.losses[..]);
        }
    }
}
