//! Models, optimizers and metrics together: full-batch training learns a task that needs means, trends and both tails.
#![cfg(feature = "burn")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod study;

use learning::metrics;
use learning::model::Network;
use learning::optimizer::Descent;
use protocol::study::{
    Algorithm, Architecture, Batch, Cohort, Head, Missingness, Model, Optimizer, Participants,
    Shape, Span, Summary, Trained, Training,
};
use study::{Patients, cohort, modality};

const PATIENTS: usize = 600;

fn task() -> Cohort {
    let series = Shape::Series {
        bin: Span::days(1),
        bins_per_token: 2,
    };
    cohort(
        8,
        vec![
            modality("daily", series, 1),
            modality("fixed", Shape::Static, 2),
        ],
    )
}

/// Risk rises with the trend of the daily feature and with the first fixed one; classes are thirds of it.
fn patients(network: &Network, seed: u64) -> Patients {
    let mut patients = Patients::random(network, PATIENTS, seed);
    let slots = network.slots();
    for (patient, label) in patients.labels.iter_mut().enumerate() {
        let row = patient * slots..(patient + 1) * slots;
        let fixed = patients.values[row.start + 8];
        let slope = patients.values[row.start + 9];
        patients.missing[row.start + 8] = 0.0;
        for bin in 0..8 {
            let value = &mut patients.values[row.start + bin];
            *value = 0.3 * *value + slope * (bin as f32 / 3.5 - 1.0);
        }
        // The slope itself is not told.
        patients.missing[row.start + 9] = 1.0;
        *label = match slope + fixed {
            risk if risk < -0.6 => 0,
            risk if risk < 0.6 => 1,
            _ => 2,
        };
    }
    patients
}

fn accuracy(model: &Model, optimizer: Optimizer, rounds: u32) -> f64 {
    let network = Network::new(&task(), model).unwrap();
    let train = patients(&network, 1);
    let training = Training {
        rounds,
        algorithm: Algorithm::Gradient { batch: Batch::All },
        optimizer,
        weight_decay: 0.0,
        average_tail: 0.25,
        evaluate_every: 0,
        participants: Participants::All,
        stopping: None,
    };
    let initial = network.initial(model.initial_seed);
    let moved =
        |offset: &[f32]| -> Vec<f32> { initial.iter().zip(offset).map(|(a, b)| a + b).collect() };
    let mut server = Descent::new(&training, network.parameters());
    for _ in 0..rounds {
        let mut sum = vec![0.0; network.parameters()];
        let weights = moved(server.offset());
        network
            .clipped_sum(&weights, train.batch(), &train.labels, 1.0, &mut sum)
            .unwrap();
        let mean: Vec<f64> = sum.iter().map(|sum| sum / PATIENTS as f64).collect();
        server.step(&mean).unwrap();
    }
    let held_out = patients(&network, 2);
    let probabilities = network
        .probabilities(&moved(&server.published()), held_out.batch())
        .unwrap();
    let figures = metrics::exact(&probabilities, &held_out.labels, 3).unwrap();
    assert!(figures.macro_auc > figures.accuracy);
    figures.accuracy.expect("there are patients")
}

#[test]
fn linear_models_learn_trends_and_values() {
    for head in [Head::Softmax, Head::Ordinal] {
        let architecture = Architecture::Linear {
            summary: Summary::MeanAndTrend,
        };
        let model = Model {
            architecture,
            head,
            initial_seed: 0,
            initial_weights: None,
            trained: Trained::All,
            parameters: 0,
        };
        let accuracy = accuracy(
            &model,
            Optimizer::Momentum {
                rate: 2.0,
                momentum: 0.8,
            },
            60,
        );
        assert!(accuracy > 0.85, "{head:?} {accuracy}");
    }
}

#[test]
fn transformers_learn_trends_and_values() {
    for head in [Head::Softmax, Head::Ordinal] {
        let architecture = Architecture::Transformer {
            width: 8,
            heads: 2,
            layers: 2,
            feed_forward: 16,
            missingness: Missingness::Include,
        };
        let model = Model {
            architecture,
            head,
            initial_seed: 0,
            initial_weights: None,
            trained: Trained::All,
            parameters: 0,
        };
        let adam = Optimizer::Adam {
            rate: 0.02,
            beta1: 0.9,
            beta2: 0.99,
            tau: 1e-6,
        };
        let accuracy = accuracy(&model, adam, 60);
        assert!(accuracy > 0.8, "{head:?} {accuracy}");
    }
}
