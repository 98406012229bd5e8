//! How a mean gradient moves the weights: at the aggregator, and in the local steps of a site.
//!
//! Reddi et al. 2021, [Adaptive Federated Optimization], algorithm 2, where a site's update is a gradient, or minus the
//! mean change of the sites' weights. The state is the *offset*: what has been added to the weights at the start. So
//! the aggregator needs to know nothing of the model but its length.
//!
//! [Adaptive Federated Optimization]: https://arxiv.org/abs/2003.00295

use minicbor::{Decode, Encode};
use protocol::door::State;
use protocol::study::{Optimizer, Training};

/// The weights' offset and the memory of the rule that moves it.
///
/// Arithmetic is in `f64`, in the order of the weights, with no function beyond the square root: the same gradients
/// give the same bits everywhere, also over [`Encode`] and [`Decode`].
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Descent {
    /// How a step is made.
    #[n(0)]
    optimizer: Optimizer,
    /// L2 penalty, per weight of the offset.
    #[n(1)]
    weight_decay: f64,
    /// The first step (from 1) whose offset counts in the average.
    #[n(2)]
    tail_start: u32,
    /// Steps made.
    #[n(3)]
    steps: u32,
    /// What has been added to the weights at the start.
    #[n(4)]
    offset: Vec<f32>,
    /// Momentum's direction, or the mean of the others; one a weight.
    #[n(5)]
    first: Vec<f64>,
    /// The mean or sum of squares; one a weight, empty for momentum.
    #[n(6)]
    second: Vec<f64>,
    /// Sum of the offsets of the tail; one a weight.
    #[n(7)]
    tail: Vec<f64>,
    /// Offsets in that sum.
    #[n(8)]
    tail_steps: u32,
    /// Adam's `beta1` to the power of the steps made.
    #[n(9)]
    power1: f64,
    /// Adam's `beta2` to the power of the steps made.
    #[n(10)]
    power2: f64,
}

impl Descent {
    /// The aggregator's: starts with an offset of 0 for each of the model's `parameters` weights.
    #[must_use]
    pub fn new(training: &Training, parameters: usize) -> Self {
        Self {
            tail_start: tail_start(training),
            ..Self::local(training.optimizer, training.weight_decay, parameters)
        }
    }

    /// A site's: `proximal` draws the weights back to where they start, as `FedProx` does (Li et al. 2020, equation 2:
    /// its term's gradient is `μ · offset`, which is what weight decay of the offset adds).
    #[must_use]
    pub fn local(optimizer: Optimizer, proximal: f64, parameters: usize) -> Self {
        let second = match optimizer {
            Optimizer::Momentum { .. } => Vec::new(),
            Optimizer::Adam { .. } => vec![0.0; parameters],
            Optimizer::Yogi { tau, .. } | Optimizer::Adagrad { tau, .. } => {
                vec![tau * tau; parameters]
            }
        };
        Self {
            optimizer,
            power1: 1.0,
            power2: 1.0,
            weight_decay: proximal,
            tail_start: u32::MAX,
            steps: 0,
            offset: vec![0.0; parameters],
            first: vec![0.0; parameters],
            second,
            tail: vec![0.0; parameters],
            tail_steps: 0,
        }
    }

    /// Moves the offset by the mean gradient over the round's patients.
    ///
    /// Weight decay adds `weight_decay · offset` to the gradient: the gradient of `weight_decay / 2 · ‖offset‖²`. It
    /// draws towards the initial weights, which for a linear model are 0.
    ///
    /// # Errors
    ///
    /// A gradient of another length or with a value that is not finite, and a step that leads beyond
    /// [`State::MOST_WEIGHT`]. The optimizer is then as it was before.
    pub fn step(&mut self, mean_gradient: &[f64]) -> Result<(), StepError> {
        self.step_or(mean_gradient, Beyond::Refuse)
    }

    /// As [`Descent::step`], of a gradient that follows from patients: it is never refused for its values. A weight stops at
    /// [`State::MOST_WEIGHT`], and one whose change is not a number stays where it is.
    ///
    /// # Errors
    ///
    /// A gradient of another length.
    pub fn step_within(&mut self, mean_gradient: &[f64]) -> Result<(), StepError> {
        self.step_or(mean_gradient, Beyond::Hold)
    }

    fn step_or(&mut self, mean_gradient: &[f64], beyond: Beyond) -> Result<(), StepError> {
        let weights = self.offset.len();
        if mean_gradient.len() != weights {
            return Err(StepError::Length {
                got: mean_gradient.len(),
                want: weights,
            });
        }
        let unusable = mean_gradient.iter().position(|value| !value.is_finite());
        if let (Some(weight), Beyond::Refuse) = (unusable, beyond) {
            return Err(StepError::Gradient { weight });
        }
        let mut next = self.clone();
        if let Optimizer::Adam { beta1, beta2, .. } = self.optimizer {
            next.power1 *= beta1;
            next.power2 *= beta2;
        }
        next.steps = self.steps.saturating_add(1);
        for (weight, gradient) in mean_gradient.iter().enumerate() {
            next.move_weight(weight, *gradient, beyond)?;
        }
        if next.steps >= next.tail_start {
            next.tail_steps = next.tail_steps.saturating_add(1);
            for (sum, offset) in next.tail.iter_mut().zip(&next.offset) {
                *sum += f64::from(*offset);
            }
        }
        *self = next;
        Ok(())
    }

    /// Steps made so far.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// What the next round's weights add to the initial ones. Length: the model's parameters.
    #[must_use]
    pub fn offset(&self) -> &[f32] {
        &self.offset
    }

    /// What the published model adds to the initial weights: the mean of the offsets after the last
    /// `average_tail · rounds` steps (rounded up); the current offset before the first of them. Length: the model's
    /// parameters.
    ///
    /// Averaging the last iterates takes out noise that the last one has (Polyak & Juditsky 1992).
    #[must_use]
    pub fn published(&self) -> Vec<f32> {
        if self.tail_steps == 0 {
            return self.offset.clone();
        }
        let count = f64::from(self.tail_steps);
        self.tail.iter().map(|sum| narrow(sum / count)).collect()
    }

    fn move_weight(
        &mut self,
        weight: usize,
        gradient: f64,
        beyond: Beyond,
    ) -> Result<(), StepError> {
        let old = f64::from(self.offset[weight]);
        let gradient = gradient + self.weight_decay * old;
        let first = &mut self.first[weight];
        let change = match self.optimizer {
            Optimizer::Momentum { rate, momentum } => {
                *first = momentum * *first + gradient;
                rate * *first
            }
            Optimizer::Adam {
                rate,
                beta1,
                beta2,
                tau,
            } => {
                let second = &mut self.second[weight];
                *first = beta1 * *first + (1.0 - beta1) * gradient;
                *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
                let mean = *first / (1.0 - self.power1);
                let square = *second / (1.0 - self.power2);
                rate * mean / (square.sqrt() + tau)
            }
            Optimizer::Yogi {
                rate,
                beta1,
                beta2,
                tau,
            } => {
                let (second, square) = (&mut self.second[weight], gradient * gradient);
                *first = beta1 * *first + (1.0 - beta1) * gradient;
                *second -= (1.0 - beta2) * square * sign(*second - square);
                rate * *first / (second.sqrt() + tau)
            }
            Optimizer::Adagrad { rate, beta1, tau } => {
                let second = &mut self.second[weight];
                *first = beta1 * *first + (1.0 - beta1) * gradient;
                *second += gradient * gradient;
                rate * *first / (second.sqrt() + tau)
            }
        };
        let (new, most) = (old - change, f64::from(State::MOST_WEIGHT));
        match beyond {
            Beyond::Refuse if new.is_nan() || new.abs() > most => {
                return Err(StepError::Overflow { weight });
            }
            Beyond::Hold if !new.is_finite() => self.forget(weight),
            Beyond::Refuse | Beyond::Hold => {}
        }
        let new = if new.is_nan() { old } else { new };
        self.offset[weight] = narrow(new.clamp(-most, most));
        Ok(())
    }

    /// Takes out of the memory what is not finite.
    fn forget(&mut self, weight: usize) {
        if !self.first[weight].is_finite() {
            self.first[weight] = 0.0;
        }
        if let Some(second) = self.second.get_mut(weight)
            && !second.is_finite()
        {
            *second = f64::MAX;
        }
    }
}

/// What becomes of a step that leads beyond what a weight can be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beyond {
    /// It is an error: the aggregator's, which stops.
    Refuse,
    /// The weight stops there: a site's, which must not tell of its patients by an error.
    Hold,
}

/// Why a step was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The gradient is of another model.
    #[error("the gradient has {got} values, the model has {want} weights")]
    Length {
        /// Its length.
        got: usize,
        /// The model's weights.
        want: usize,
    },
    /// A value of the gradient is not finite.
    #[error("the gradient of weight {weight} is not finite")]
    Gradient {
        /// The first such weight.
        weight: usize,
    },
    /// The step leads beyond what a weight can be.
    #[error(
        "the step leads weight {weight} beyond ±{most}; the learning rate is too high",
        most = State::MOST_WEIGHT
    )]
    Overflow {
        /// The first such weight.
        weight: usize,
    },
}

/// -1, 0 or 1; 0 for 0, unlike [`f64::signum`].
fn sign(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value.signum() }
}

/// The first step, from 1, that the average holds; beyond every step where nothing is averaged.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates"
)]
fn tail_start(training: &Training) -> u32 {
    let steps = (training.average_tail * f64::from(training.rounds)).ceil() as u32;
    match steps {
        0 => u32::MAX,
        steps => training.rounds.saturating_sub(steps) + 1,
    }
}

/// The nearest `f32`; infinite where the value is beyond its range.
#[expect(
    clippy::cast_possible_truncation,
    reason = "offsets are f32; overflow is checked where it can happen"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use protocol::study::{Algorithm, Batch, Participants};

    use super::*;

    fn training(optimizer: Optimizer) -> Training {
        Training {
            rounds: 4,
            algorithm: Algorithm::Gradient { batch: Batch::All },
            optimizer,
            weight_decay: 0.0,
            average_tail: 0.0,
            evaluate_every: 0,
            participants: Participants::All,
            stopping: None,
        }
    }

    fn adam() -> Training {
        training(Optimizer::Adam {
            rate: 0.1,
            beta1: 0.9,
            beta2: 0.99,
            tau: 1e-3,
        })
    }

    fn assert_near(got: f32, want: f64) {
        assert!((f64::from(got) - want).abs() < 1e-7, "{got} is not {want}");
    }

    #[test]
    fn momentum_keeps_a_share_of_the_former_direction() {
        let mut optimizer = Descent::new(
            &training(Optimizer::Momentum {
                rate: 0.5,
                momentum: 0.5,
            }),
            2,
        );
        optimizer.step(&[1.0, -2.0]).unwrap();
        optimizer.step(&[1.0, 0.0]).unwrap();
        // m: 1, then 1.5; and -2, then -1.
        assert_near(optimizer.offset()[0], -0.5 - 0.75);
        assert_near(optimizer.offset()[1], 1.0 + 0.5);
    }

    #[test]
    fn adam_makes_the_steps_of_a_hand_computation() {
        let mut optimizer = Descent::new(&adam(), 1);
        optimizer.step(&[2.0]).unwrap();
        // m = 0.2, v = 0.04; corrected 2 and 4: 0.1 · 2 / (2 + 0.001).
        let first = -0.2 / 2.001;
        assert_near(optimizer.offset()[0], first);
        optimizer.step(&[-1.0]).unwrap();
        // m = 0.9·0.2 - 0.1 = 0.08, v = 0.99·0.04 + 0.01 = 0.0496; corrected by 0.19 and 0.0199.
        let second = 0.1 * (0.08 / 0.19) / ((0.0496_f64 / 0.0199).sqrt() + 0.001);
        assert_near(optimizer.offset()[0], first - second);
    }

    #[test]
    fn yogi_makes_the_steps_of_a_hand_computation() {
        let yogi = Optimizer::Yogi {
            rate: 0.1,
            beta1: 0.5,
            beta2: 0.9,
            tau: 0.1,
        };
        let mut optimizer = Descent::new(&training(yogi), 1);
        optimizer.step(&[2.0]).unwrap();
        // m = 1, v = 0.01 + 0.1·4.
        let first = -0.1 / (0.41_f64.sqrt() + 0.1);
        assert_near(optimizer.offset()[0], first);
        optimizer.step(&[0.5]).unwrap();
        // m = 0.75; v = 0.41 is above 0.25, so 0.025 is taken off.
        let second = 0.1 * 0.75 / (0.385_f64.sqrt() + 0.1);
        assert_near(optimizer.offset()[0], first - second);
    }

    #[test]
    fn adagrad_makes_the_steps_of_a_hand_computation() {
        let adagrad = Optimizer::Adagrad {
            rate: 0.1,
            beta1: 0.0,
            tau: 0.1,
        };
        let mut optimizer = Descent::new(&training(adagrad), 1);
        optimizer.step(&[2.0]).unwrap();
        let first = -0.1 * 2.0 / (4.01_f64.sqrt() + 0.1);
        assert_near(optimizer.offset()[0], first);
        optimizer.step(&[-1.0]).unwrap();
        assert_near(optimizer.offset()[0], first + 0.1 / (5.01_f64.sqrt() + 0.1));
    }

    #[test]
    fn a_proximal_term_draws_local_weights_back_to_their_start() {
        let plain = Optimizer::Momentum {
            rate: 0.5,
            momentum: 0.0,
        };
        let mut site = Descent::local(plain, 0.4, 1);
        site.step(&[-2.0]).unwrap();
        site.step(&[-2.0]).unwrap();
        // 1, then 1 - 0.5 · (-2 + 0.4 · 1).
        assert_near(site.offset()[0], 1.8);
    }

    #[test]
    fn weight_decay_draws_the_offset_towards_zero() {
        let mut settings = training(Optimizer::Momentum {
            rate: 1.0,
            momentum: 0.0,
        });
        settings.weight_decay = 0.25;
        let mut optimizer = Descent::new(&settings, 1);
        optimizer.step(&[-8.0]).unwrap();
        optimizer.step(&[0.0]).unwrap();
        assert_near(optimizer.offset()[0], 6.0);
    }

    #[test]
    fn the_last_half_of_the_steps_is_averaged() {
        let mut settings = training(Optimizer::Momentum {
            rate: 1.0,
            momentum: 0.0,
        });
        settings.average_tail = 0.5;
        let mut optimizer = Descent::new(&settings, 1);
        for (gradient, published) in [(-1.0, 1.0), (-1.0, 2.0), (-1.0, 3.0), (-4.0, 5.0)] {
            optimizer.step(&[gradient]).unwrap();
            assert_near(optimizer.published()[0], published);
        }
        assert_near(optimizer.offset()[0], 7.0);
    }

    #[test]
    fn without_averaging_the_last_offset_is_published() {
        let mut optimizer = Descent::new(&adam(), 1);
        for _ in 0..6 {
            optimizer.step(&[1.0]).unwrap();
        }
        assert_eq!(optimizer.published(), optimizer.offset());
    }

    #[test]
    fn a_refused_step_changes_nothing() {
        let mut optimizer = Descent::new(&adam(), 2);
        optimizer.step(&[1.0, 2.0]).unwrap();
        let before = optimizer.clone();
        assert_eq!(
            optimizer.step(&[1.0]),
            Err(StepError::Length { got: 1, want: 2 })
        );
        assert_eq!(
            optimizer.step(&[1.0, f64::NAN]),
            Err(StepError::Gradient { weight: 1 })
        );
        assert_eq!(optimizer, before);
        let fast = training(Optimizer::Momentum {
            rate: 1e30,
            momentum: 0.0,
        });
        let mut optimizer = Descent::new(&fast, 2);
        assert_eq!(
            optimizer.step(&[0.0, 1e30]),
            Err(StepError::Overflow { weight: 1 })
        );
        assert_eq!(optimizer, Descent::new(&fast, 2));
    }

    #[test]
    fn a_step_of_a_site_stops_at_the_greatest_weight_whatever_the_gradient() {
        let rate = f64::MAX;
        let (beta1, beta2, tau) = (0.5, 0.5, 1e-300);
        let rules = [
            Optimizer::Momentum {
                rate,
                momentum: 0.9,
            },
            Optimizer::Adam {
                rate,
                beta1,
                beta2,
                tau,
            },
            Optimizer::Yogi {
                rate,
                beta1,
                beta2,
                tau,
            },
            Optimizer::Adagrad { rate, beta1, tau },
        ];
        let most = State::MOST_WEIGHT;
        for rule in rules {
            let mut site = Descent::local(rule, f64::MAX, 4);
            for gradient in [
                1e300,
                -1e300,
                f64::MAX,
                f64::NAN,
                1e-300,
                f64::INFINITY,
                -1.0,
            ] {
                site.step_within(&[gradient, -gradient, gradient / 2.0, 0.0])
                    .unwrap();
                let held = |weight: &f32| weight.abs() <= most;
                assert!(
                    site.offset().iter().all(held),
                    "{rule:?}: {:?}",
                    site.offset()
                );
            }
        }
        let mut site = Descent::local(rules[0], 0.0, 2);
        site.step_within(&[1.0, -1.0]).unwrap();
        assert_eq!(site.offset(), [-most, most]);
    }

    #[test]
    fn a_stored_optimizer_goes_on_as_if_it_had_not_been_stored() {
        let mut settings = adam();
        settings.average_tail = 1.0;
        let mut kept = Descent::new(&settings, 3);
        kept.step(&[0.1, -7.0, 1e-9]).unwrap();
        let bytes = minicbor::to_vec(&kept).unwrap();
        let mut stored: Descent = minicbor::decode(&bytes).unwrap();
        assert_eq!(stored, kept);
        for optimizer in [&mut kept, &mut stored] {
            optimizer.step(&[0.3, 0.2, 0.1]).unwrap();
        }
        assert_eq!(stored, kept);
    }
}
