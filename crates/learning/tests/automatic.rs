//! Models without a Transformer against burn's own differentiation of the same function, one patient at a time.
#![cfg(feature = "burn")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod study;

use burn_tensor::{Device, Tensor, TensorData, activation};
use learning::model::{Batch, Network};
use protocol::study::{Architecture, Head, Model, Shape, Summary, Trained};
use study::{Patients, cohort, modality, weights};

/// Features of two modalities, of which a patient can lack all.
const FEATURES: [usize; 2] = [9, 4];
const WIDTH: usize = FEATURES[0] + FEATURES[1];
const CLASSES: usize = 3;
/// The labels of each patient.
const PATIENTS: [usize; 6] = [1, 3, 1, 30, 4, 2];
const CLIP: f64 = 4.0;

/// Hidden units; 0 for a linear model.
fn network(hidden: u32) -> Network {
    let summary = Summary::Mean;
    let model = Model {
        architecture: match hidden {
            0 => Architecture::Linear { summary },
            hidden => Architecture::Mlp { summary, hidden },
        },
        head: Head::Softmax,
        initial_seed: 0,
        initial_weights: None,
        trained: Trained::All,
        parameters: 0,
    };
    let modalities = FEATURES.map(|features| modality("fixed", Shape::Static, features));
    Network::new(&cohort(7, modalities.to_vec()), &model).unwrap()
}

#[test]
fn norms_and_clipped_sums_are_those_of_automatic_differentiation() {
    for hidden in [0, 1, 5, 16] {
        let network = network(hidden);
        let mut patients = Patients::random(&network, PATIENTS.iter().sum(), 1);
        // Every third label has nothing of the first modality, and then nothing at all.
        for missing in patients.missing.chunks_exact_mut(WIDTH).step_by(3) {
            missing[..FEATURES[0]].fill(1.0);
        }
        patients.missing[3 * WIDTH..4 * WIDTH].fill(1.0);
        let weights = weights(&network, 2);
        let mut sum = vec![0.0; network.trained()];
        let report = network
            .clipped_sum_by_patient(
                &weights,
                patients.batch(),
                &patients.labels,
                &PATIENTS,
                CLIP,
                &mut sum,
            )
            .unwrap();

        let mut want = vec![0.0; network.trained()];
        let mut first = 0;
        let mut clipped = 0;
        for (labels, got) in PATIENTS.iter().zip(&report.norms) {
            let (batch, classes) = patients.part(first, first + labels);
            first += labels;
            let gradient = differentiated(&network, &weights, batch, classes);
            let norm = gradient
                .iter()
                .map(|value| value * value)
                .sum::<f64>()
                .sqrt();
            assert!((got / norm - 1.0).abs() < 1e-5, "{got} is not {norm}");
            clipped += u32::from(norm > CLIP);
            for (want, value) in want.iter_mut().zip(gradient) {
                *want += value * (CLIP / norm).min(1.0);
            }
        }
        assert!(
            (1..PATIENTS.len()).contains(&(clipped as usize)),
            "{clipped}"
        );
        for (got, want) in sum.iter().zip(want) {
            assert!((got - want).abs() < 1e-5, "{got} is not {want}");
        }
    }
}

/// The gradient of a patient's loss, of all labels, in all weights.
fn differentiated(
    network: &Network,
    weights: &[f32],
    batch: Batch<'_>,
    labels: &[u32],
) -> Vec<f64> {
    let device = Device::flex().autodiff();
    let tensor =
        |values: Vec<f32>, shape| Tensor::<2>::from_data(TensorData::new(values, shape), &device);
    let known = batch.values.iter().zip(batch.missing);
    let known = known.map(|(value, missing)| if *missing > 0.0 { 0.0 } else { *value });
    let mut x = tensor(known.collect(), [labels.len(), WIDTH]);
    let blocks: Vec<Tensor<2>> = network
        .blocks()
        .iter()
        .map(|block| {
            let rows = block.shape[0];
            let values = weights[block.range.clone()].to_vec();
            tensor(values, [rows, block.range.len() / rows]).require_grad()
        })
        .collect();
    for (layer, pair) in blocks.chunks_exact(2).enumerate() {
        if layer > 0 {
            x = x.tanh();
        }
        x = x.matmul(pair[0].clone().transpose()) + pair[1].clone().transpose();
    }
    let targets = labels.iter().flat_map(|label| {
        (0..CLASSES).map(move |class| f32::from(u8::from(class == *label as usize)))
    });
    let targets = tensor(targets.collect(), [labels.len(), CLASSES]);
    let loss = -(activation::log_softmax(x, 1) * targets).sum();
    let gradients = loss.backward();
    blocks
        .iter()
        .flat_map(|block| {
            let gradient = block.grad(&gradients).unwrap();
            gradient.try_into_vec_as::<f32>().unwrap()
        })
        .map(f64::from)
        .collect()
}
