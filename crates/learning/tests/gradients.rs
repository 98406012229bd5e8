//! What holds of every model: its gradient is that of its loss, whoever it is computed with.
#![cfg(feature = "burn")]
#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::cast_possible_truncation, reason = "weights are f32")]

mod study;

use learning::model::{Batch, CHUNK, ModelError, Network};
use protocol::study::{Model, Trained};
use study::{Patients, small_cohort, small_models, weights};

fn networks() -> Vec<Network> {
    small_models()
        .iter()
        .map(|model| Network::new(&small_cohort(), model).unwrap())
        .collect()
}

/// The sum of the patients' losses.
fn loss(network: &Network, weights: &[f32], patients: &Patients) -> f64 {
    let probabilities = network.probabilities(weights, patients.batch()).unwrap();
    let rows = probabilities
        .chunks_exact(network.classes())
        .zip(&patients.labels);
    rows.map(|(row, label)| -f64::from(row[*label as usize]).ln())
        .sum()
}

fn gradient(network: &Network, weights: &[f32], patients: &Patients, clip: f64) -> Vec<f64> {
    let mut sum = vec![0.0; network.trained()];
    network
        .clipped_sum(weights, patients.batch(), &patients.labels, clip, &mut sum)
        .unwrap();
    sum
}

fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for network in networks() {
        let patients = Patients::random(&network, 5, 1);
        let weights = weights(&network, 2);
        let gradient = gradient(&network, &weights, &patients, f64::INFINITY);
        let scale = norm(&gradient);
        for block in network.blocks() {
            // One direction a block: the gradient's own, so that the difference is as far above f32's rounding as it
            // can be.
            let own = &gradient[block.range.clone()];
            if norm(own) < 0.02 * scale {
                continue;
            }
            let step = 3e-3 / norm(own);
            let moved = |by: f64| {
                let mut moved = weights.clone();
                for (weight, direction) in moved[block.range.clone()].iter_mut().zip(own) {
                    *weight += (by * direction) as f32;
                }
                loss(&network, &moved, &patients)
            };
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            let want = own.iter().map(|value| value * value).sum::<f64>();
            assert!(
                (slope / want - 1.0).abs() < 2e-3,
                "{}: {slope} is not {want}",
                block.name
            );
        }
    }
}

#[test]
fn a_batch_is_the_sum_of_its_patients() {
    for network in networks() {
        let patients = Patients::random(&network, CHUNK + 3, 3);
        let weights = weights(&network, 4);
        let clip = 0.5;
        let mut whole = vec![0.0; network.parameters()];
        let report = network
            .clipped_sum(
                &weights,
                patients.batch(),
                &patients.labels,
                clip,
                &mut whole,
            )
            .unwrap();
        let mut single = vec![0.0; network.parameters()];
        let mut clipped = 0;
        for patient in 0..CHUNK + 3 {
            let (batch, labels) = patients.part(patient, patient + 1);
            let mut own = vec![0.0; network.parameters()];
            let one = network
                .clipped_sum(&weights, batch, labels, clip, &mut own)
                .unwrap();
            assert!((one.norms[0] / report.norms[patient] - 1.0).abs() < 1e-5);
            assert!((one.losses[0] - report.losses[patient]).abs() < 1e-5);
            assert!(norm(&own) <= clip, "{}", norm(&own));
            clipped += u32::from(one.norms[0] > clip);
            single
                .iter_mut()
                .zip(&own)
                .for_each(|(sum, own)| *sum += own);
        }
        assert!(clipped > 0);
        let difference: Vec<f64> = whole
            .iter()
            .zip(&single)
            .map(|(whole, single)| whole - single)
            .collect();
        assert!(norm(&difference) < 1e-5 * norm(&whole));
    }
}

#[test]
fn an_infinite_clip_norm_gives_the_sum_without_privacy() {
    for network in networks() {
        let patients = Patients::random(&network, CHUNK + 3, 3);
        let weights = weights(&network, 4);
        let mut plain = vec![0.0; network.parameters()];
        let losses = network
            .gradient_sum(&weights, patients.batch(), &patients.labels, &mut plain)
            .unwrap();
        assert_eq!(losses.len(), CHUNK + 3);
        assert_eq!(
            plain,
            gradient(&network, &weights, &patients, f64::INFINITY)
        );
    }
}

#[test]
fn cutting_at_whole_chunks_changes_no_bit() {
    for network in networks() {
        let patients = Patients::random(&network, 3 * CHUNK + 5, 5);
        let weights = weights(&network, 6);
        let whole = gradient(&network, &weights, &patients, 1.0);
        let mut cut = vec![0.0; network.parameters()];
        for (first, end) in [
            (0, 2 * CHUNK),
            (2 * CHUNK, 3 * CHUNK),
            (3 * CHUNK, 3 * CHUNK + 5),
        ] {
            let (batch, labels) = patients.part(first, end);
            network
                .clipped_sum(&weights, batch, labels, 1.0, &mut cut)
                .unwrap();
        }
        assert_eq!(whole, cut);
    }
}

#[test]
fn a_patient_with_many_labels_is_clipped_as_one_wherever_batches_are_cut() {
    for network in networks() {
        let rows = Patients::random(&network, 70, 14);
        let weights = weights(&network, 15);
        // 31 labels fill a chunk with the one before; the last two share one.
        let patients = [1, 31, 5, 20, 8, 5];
        let clip = 0.5;
        let mut whole = vec![0.0; network.parameters()];
        let report = network
            .clipped_sum_by_patient(
                &weights,
                rows.batch(),
                &rows.labels,
                &patients,
                clip,
                &mut whole,
            )
            .unwrap();
        assert_eq!((report.norms.len(), report.losses.len()), (6, 70));
        let mut added = vec![0.0; network.parameters()];
        let mut first = 0;
        for (labels, reported) in patients.iter().zip(&report.norms) {
            let (batch, classes) = rows.part(first, first + labels);
            let mut own = vec![0.0; network.parameters()];
            network
                .clipped_sum(&weights, batch, classes, f64::INFINITY, &mut own)
                .unwrap();
            assert!((norm(&own) / reported - 1.0).abs() < 1e-4);
            let factor = (clip / norm(&own)).min(1.0);
            for (sum, own) in added.iter_mut().zip(&own) {
                *sum += factor * own;
            }
            first += labels;
        }
        let difference: Vec<f64> = whole
            .iter()
            .zip(&added)
            .map(|(one, other)| one - other)
            .collect();
        assert!(norm(&difference) < 1e-4 * norm(&whole));
        // Chunks: the first two patients, the next two, the rest.
        let mut cut = vec![0.0; network.parameters()];
        for (range, patients) in [
            (0..32, &patients[..2]),
            (32..57, &patients[2..4]),
            (57..70, &patients[4..]),
        ] {
            let (batch, labels) = rows.part(range.start, range.end);
            network
                .clipped_sum_by_patient(&weights, batch, labels, patients, clip, &mut cut)
                .unwrap();
        }
        assert_eq!(whole, cut);
    }
}

#[test]
fn patients_that_do_not_have_the_labels_are_refused() {
    let network = &networks()[0];
    let rows = Patients::random(network, 40, 16);
    let weights = weights(network, 17);
    for patients in [[40, 0].as_slice(), &[33, 7], &[20, 21], &[]] {
        let mut sum = vec![0.0; network.parameters()];
        let refused = network.clipped_sum_by_patient(
            &weights,
            rows.batch(),
            &rows.labels,
            patients,
            1.0,
            &mut sum,
        );
        assert!(refused.is_err(), "{patients:?}");
    }
}

#[test]
fn probabilities_add_to_1_and_fit_the_logits() {
    for network in networks() {
        let patients = Patients::random(&network, 7, 7);
        let weights = weights(&network, 8);
        let logits = network.logits(&weights, patients.batch()).unwrap();
        let probabilities = network.probabilities(&weights, patients.batch()).unwrap();
        assert_eq!(probabilities.len(), 7 * 3);
        for (row, logits) in probabilities
            .chunks_exact(3)
            .zip(logits.chunks_exact(logits.len() / 7))
        {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            if let [low, medium] = logits {
                assert!(low < medium);
                assert!((row[0] - 1.0 / (1.0 + (-low).exp())).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn a_patient_with_nothing_known_has_a_finite_gradient() {
    for network in networks() {
        let slots = network.slots();
        let batch = Batch {
            values: &vec![f32::NAN; slots],
            missing: &vec![1.0; slots],
        };
        let mut sum = vec![0.0; network.parameters()];
        let report = network
            .clipped_sum(&weights(&network, 9), batch, &[2], f64::INFINITY, &mut sum)
            .unwrap();
        assert!(
            sum.iter()
                .chain(&report.norms)
                .chain(&report.losses)
                .all(|value| value.is_finite())
        );
    }
}

#[test]
fn initial_weights_depend_on_the_seed_alone_and_make_every_class_equally_probable() {
    for network in networks() {
        let initial = network.initial(7);
        assert_eq!(initial, network.initial(7));
        assert_eq!(initial.len(), network.parameters());
        let patients = Patients::random(&network, 2, 10);
        for probability in network.probabilities(&initial, patients.batch()).unwrap() {
            assert!((probability - 1.0 / 3.0).abs() < 1e-6);
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    for network in networks() {
        let patients = Patients::random(&network, 2, 11);
        let weights = weights(&network, 12);
        let mut sum = vec![0.0; network.parameters()];
        let mut refused = |weights: &[f32], batch: Batch<'_>, labels: &[u32], clip: f64| {
            network
                .clipped_sum(weights, batch, labels, clip, &mut sum)
                .unwrap_err()
        };
        let batch = patients.batch();
        assert_eq!(
            refused(&weights, batch, &[0, 3], 1.0),
            ModelError::Label {
                label: 3,
                classes: 3
            }
        );
        assert_eq!(refused(&weights, batch, &[0, 1], 0.0), ModelError::Clip);
        assert_eq!(
            refused(&weights, batch, &[0, 1], f64::NAN),
            ModelError::Clip
        );
        assert!(matches!(
            refused(&weights, batch, &[0], 1.0),
            ModelError::Length { what: "labels", .. }
        ));
        assert!(matches!(
            refused(&weights[1..], batch, &[0, 1], 1.0),
            ModelError::Length { .. }
        ));
        let short = Batch {
            values: &batch.values[1..],
            missing: batch.missing,
        };
        assert!(matches!(
            refused(&weights, short, &[0, 1], 1.0),
            ModelError::Length { what: "values", .. }
        ));

        let mut missing = patients.missing.clone();
        missing[network.slots()] = 0.5;
        let unsaid = Batch {
            values: &patients.values,
            missing: &missing,
        };
        assert_eq!(
            refused(&weights, unsaid, &[0, 1], 1.0),
            ModelError::Input {
                patient: 1,
                slot: 0
            }
        );

        let mut broken = weights.clone();
        broken[2] = f32::NAN;
        assert_eq!(
            refused(&broken, batch, &[0, 1], 1.0),
            ModelError::Weight { weight: 2 }
        );
    }
}

#[test]
fn weights_beyond_all_measure_give_finite_gradients() {
    for network in networks() {
        let patients = Patients::random(&network, 2, 13);
        for huge in [1e10, f32::MAX] {
            let mut sum = vec![0.0; network.parameters()];
            let weights: Vec<f32> = weights(&network, 14)
                .iter()
                .map(|weight| weight.signum() * huge)
                .collect();
            let report = network
                .clipped_sum(&weights, patients.batch(), &[0, 1], 1.0, &mut sum)
                .unwrap();
            let values = sum.iter().chain(&report.norms).chain(&report.losses);
            assert!(values.into_iter().all(|value| value.is_finite()));
        }
    }
}

#[test]
fn gradients_of_some_blocks_are_those_of_all_without_the_rest() {
    for model in small_models() {
        let all = Network::new(&small_cohort(), &model).unwrap();
        let patients = Patients::random(&all, 7, 11);
        let weights = weights(&all, 12);
        let whole = gradient(&all, &weights, &patients, f64::INFINITY);
        let blocks = all.blocks();
        // One of the first and one of the last blocks, the head alone, and what lies between.
        for chosen in [
            vec![0, blocks.len() - 1],
            vec![blocks.len() - 2, blocks.len() - 1],
            vec![blocks.len() / 2],
        ] {
            let names = chosen.iter().map(|place| blocks[*place].name.clone());
            let model = Model {
                trained: Trained::Blocks(names.collect()),
                ..model.clone()
            };
            let some = Network::new(&small_cohort(), &model).unwrap();
            let mut want = Vec::new();
            for place in &chosen {
                want.extend_from_slice(&whole[blocks[*place].range.clone()]);
            }
            assert_eq!(gradient(&some, &weights, &patients, f64::INFINITY), want);
            // The norm that is clipped is that of the trained weights alone.
            for patient in 0..7 {
                let (batch, labels) = patients.part(patient, patient + 1);
                let mut own = vec![0.0; some.trained()];
                let report = some
                    .clipped_sum(&weights, batch, labels, f64::INFINITY, &mut own)
                    .unwrap();
                assert!((report.norms[0] - norm(&own)).abs() < 1e-6);
            }
            let mut moved = weights.clone();
            some.add(&mut moved, &vec![1.0; some.trained()]).unwrap();
            for (place, block) in blocks.iter().enumerate() {
                for weight in block.range.clone() {
                    let step = if chosen.contains(&place) { 1.0 } else { 0.0 };
                    let apart = moved[weight] - (weights[weight] + step);
                    assert!(apart.abs() < 1e-6, "{}", block.name);
                }
            }
        }
    }
}
