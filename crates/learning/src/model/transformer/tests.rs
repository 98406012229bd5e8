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

/// A Transformer with weights in general position, and patients of which a third of the slots is missing.
struct Case {
    transformer: Transformer,
    weights: Vec<f32>,
    values: Vec<f32>,
    missing: Vec<f32>,
    /// What each patient's features are multiplied by: `[patients, width]`.
    directions: Vec<f32>,
}

impl Case {
    fn new(sizes: Sizes, missingness: Missingness) -> Self {
        let mut parameters = Parameters::default();
        let transformer = Transformer::new(&mut parameters, inputs(), sizes, missingness).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let slots = PATIENTS * Input::slots(&inputs());
        let mut weights = parameters.initial(2);
        weights
            .iter_mut()
            .for_each(|weight| *weight += 0.3 * uniform(&mut rng));
        Self {
            transformer,
            weights,
            values: (0..slots).map(|_| uniform(&mut rng)).collect(),
            missing: (0..slots)
                .map(|_| f32::from(u8::from(rng.next_u32() % 3 == 0)))
                .collect(),
            directions: (0..PATIENTS * sizes.width)
                .map(|_| uniform(&mut rng))
                .collect(),
        }
    }

    fn patients(&self) -> impl Iterator<Item = (Batch<'_>, &[f32])> {
        let slots = Input::slots(&inputs());
        let batches = self.values.chunks(slots).zip(self.missing.chunks(slots));
        batches
            .map(|(values, missing)| Batch { values, missing })
            .zip(self.directions.chunks(self.transformer.sizes.width))
    }

    /// Each patient's features, and the gradient of `features · direction`.
    fn computed(&self, backend: Backend) -> Vec<(Vec<f32>, Vec<f32>)> {
        let loaded = self.transformer.load(&self.weights, backend);
        let compute = |(batch, direction): (Batch<'_>, &[f32])| {
            let mut gradients = Gradients::new(1, self.weights.len());
            let (features, pass) = loaded.forward(batch);
            pass.backward(direction.to_vec(), &mut gradients);
            (features, gradients.first_mut().to_vec())
        };
        self.patients().map(compute).collect()
    }
}

/// Sizes that fill panels and sizes that do not, heads of one panel and of two.
fn cases() -> Vec<Case> {
    let sizes = [(8, 2, 2, 12), (6, 3, 1, 5), (20, 2, 2, 9), (16, 2, 3, 16)];
    let case = |(width, heads, layers, feed_forward)| {
        let sizes = Sizes::new(width, heads, layers, feed_forward).unwrap();
        [Missingness::Include, Missingness::Omit].map(|missingness| Case::new(sizes, missingness))
    };
    sizes.into_iter().flat_map(case).collect()
}

fn assert_near(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    let scale = want
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    for (place, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(
            (got - want).abs() < 1e-5 * scale,
            "{place}: {got} is not {want}"
        );
    }
}

#[test]
fn every_patients_gradient_is_that_of_automatic_differentiation() {
    for case in cases() {
        for backend in [Backend::Fused, Backend::Flex] {
            for ((batch, direction), (_, got)) in case.patients().zip(case.computed(backend)) {
                let want = differentiated(&case.transformer, &case.weights, batch, direction);
                assert_near(&got, &want);
            }
        }
    }
}

#[test]
fn features_are_the_same_on_every_backend() {
    for case in cases() {
        let fused = case.computed(Backend::Fused);
        for ((got, _), (want, _)) in fused.iter().zip(case.computed(Backend::Flex)) {
            assert_near(got, &want);
        }
    }
}

#[test]
fn a_patient_leaves_nothing_behind_for_the_next() {
    for case in cases() {
        let together = case.computed(Backend::Fused);
        for (number, (batch, direction)) in case.patients().enumerate() {
            let alone = case.transformer.load(&case.weights, Backend::Fused);
            let mut gradients = Gradients::new(1, case.weights.len());
            let (features, pass) = alone.forward(batch);
            pass.backward(direction.to_vec(), &mut gradients);
            assert_eq!(together[number].0, features);
            assert_eq!(together[number].1, gradients.first_mut());
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
    let device = Backend::Flex.device().unwrap().autodiff();
    let weights = tensor(weights.to_vec(), [weights.len()], &device).require_grad();
    let (features, _) = transformer.load_tensor(&weights).forward(batch);
    let direction = tensor(direction.to_vec(), features.dims(), &device);
    let gradients = (features * direction).sum().backward();
    values(weights.grad(&gradients).unwrap())
}
