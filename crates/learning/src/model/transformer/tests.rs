//! The written-out backward pass against burn's own differentiation of the same forward pass.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};

use super::*;
use crate::model::Backend;
use crate::model::input::Kind;

const PATIENTS: usize = 3;

/// Two series of different lengths, and a static modality.
fn inputs() -> Vec<Input> {
    let input = |name: &str, offset, bins, features, kind| Input {
        name: name.to_owned(),
        offset,
        bins,
        features,
        kind,
    };
    vec![
        input("daily", 0, 6, 2, Kind::Series { tokens: 3 }),
        input("fixed", 12, 1, 5, Kind::Static),
        input("weekly", 17, 2, 3, Kind::Series { tokens: 2 }),
    ]
}

fn uniform(rng: &mut ChaCha20Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0
}

#[test]
fn every_patients_gradient_is_that_of_automatic_differentiation() {
    for (missingness, layers) in [(Missingness::Include, 2), (Missingness::Omit, 1)] {
        let sizes = Sizes::new(8, 2, layers, 12).unwrap();
        let mut parameters = Parameters::default();
        let transformer = Transformer::new(&mut parameters, inputs(), sizes, missingness).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let slots = Input::slots(&inputs());
        let mut weights = parameters.initial(2);
        weights
            .iter_mut()
            .for_each(|weight| *weight += 0.3 * uniform(&mut rng));
        let input: Vec<f32> = (0..PATIENTS * slots).map(|_| uniform(&mut rng)).collect();
        let missing: Vec<f32> = (0..input.len())
            .map(|_| f32::from(u8::from(rng.next_u32() % 3 == 0)))
            .collect();
        let direction: Vec<f32> = (0..PATIENTS * 8).map(|_| uniform(&mut rng)).collect();

        let batch = Batch {
            values: &input,
            missing: &missing,
        };
        let loaded = transformer.load(&weights, &Backend::Flex.device());
        let (_, tape) = loaded.forward(batch);
        let mut gradients = Gradients::new(PATIENTS, weights.len());
        loaded.backward(tape, direction.clone(), &mut gradients);

        for (patient, ours) in gradients.patients_mut().enumerate() {
            let row = patient * slots..(patient + 1) * slots;
            let batch = Batch {
                values: &input[row.clone()],
                missing: &missing[row],
            };
            let direction = &direction[patient * 8..(patient + 1) * 8];
            let theirs = differentiated(&transformer, &weights, batch, direction);
            let scale = theirs
                .iter()
                .fold(0.0_f32, |most, value| most.max(value.abs()));
            for (weight, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                assert!(
                    (ours - theirs).abs() < 2e-6 * scale,
                    "{weight}: {ours} is not {theirs}"
                );
            }
        }
    }
}

/// The gradient of `features · direction` in all weights.
fn differentiated(
    transformer: &Transformer,
    weights: &[f32],
    batch: Batch<'_>,
    direction: &[f32],
) -> Vec<f32> {
    let device = Backend::Flex.device().autodiff();
    let weights = tensor(weights.to_vec(), [weights.len()], &device).require_grad();
    let (features, _) = transformer.load_tensor(&weights).forward(batch);
    let direction = tensor(direction.to_vec(), features.dims(), &device);
    let gradients = (features * direction).sum().backward();
    values(weights.grad(&gradients).unwrap())
}
