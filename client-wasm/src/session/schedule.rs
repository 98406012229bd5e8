//! Which patients a local step is made of.

use protocol::seed::Seed;
use protocol::study::Batch;
use rand_core::Rng;

/// The patients of each step in turn, as places from 0.
pub(crate) struct Schedule {
    batch: Batch,
    patients: usize,
    seed: Seed,
    /// Samples or epochs drawn.
    draws: u32,
    /// What is left of an epoch.
    left: Vec<usize>,
}

impl Schedule {
    /// The schedule of `patients`, whose chances all come from `seed`.
    pub(crate) fn new(batch: Batch, patients: usize, seed: Seed) -> Self {
        Self {
            batch,
            patients,
            seed,
            draws: 0,
            left: Vec::new(),
        }
    }

    /// Patients that a step is expected to have, at least 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a number of patients"
    )]
    pub(crate) fn expected(&self) -> usize {
        let expected = match self.batch {
            Batch::All => self.patients,
            Batch::Sampled { rate } => (self.patients as f64 * rate).ceil() as usize,
            Batch::Shuffled { patients } => self.patients.min(patients as usize),
        };
        expected.max(1)
    }

    /// The patients of the next step.
    pub(crate) fn next(&mut self) -> Vec<usize> {
        match self.batch {
            Batch::All => (0..self.patients).collect(),
            Batch::Sampled { rate } => self.sample(rate),
            Batch::Shuffled { patients } => {
                if self.left.is_empty() {
                    self.left = self.shuffle();
                }
                let start = self.left.len().saturating_sub(patients as usize);
                self.left.split_off(start)
            }
        }
    }

    /// Each patient with probability `rate`, independently: to 2⁻⁵³, and never above it.
    fn sample(&mut self, rate: f64) -> Vec<usize> {
        let mut rng = self.draw().rng();
        (0..self.patients)
            .filter(|_| ((rng.next_u64() >> 11) as f64 + 1.0) * UNIT <= rate)
            .collect()
    }

    /// All patients in random order (Fisher and Yates).
    fn shuffle(&mut self) -> Vec<usize> {
        let mut rng = self.draw().rng();
        let mut order: Vec<usize> = (0..self.patients).collect();
        for last in (1..order.len()).rev() {
            // The high half of a product; its bias is below one in 2³² for any number of patients.
            let place = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
            order.swap(last, usize::try_from(place).unwrap_or(last));
        }
        order
    }

    fn draw(&mut self) -> Seed {
        self.draws += 1;
        self.seed.derive(&format!("draw {}", self.draws))
    }
}

/// 2⁻⁵³.
const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(batch: Batch) -> Schedule {
        Schedule::new(batch, 1_000, Seed::new([1; 32]))
    }

    #[test]
    fn everyone_has_a_turn_before_anyone_has_another() {
        let mut schedule = schedule(Batch::Shuffled { patients: 300 });
        let sizes: Vec<usize> = (0..4).map(|_| schedule.next().len()).collect();
        assert_eq!(sizes, [300, 300, 300, 100]);
        let mut seen: Vec<usize> = (0..4).flat_map(|_| schedule.next()).collect();
        assert!(!seen.is_sorted());
        seen.sort_unstable();
        assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_sample_has_each_patient_by_a_chance_of_its_own() {
        let mut schedule = schedule(Batch::Sampled { rate: 0.1 });
        assert_eq!(schedule.expected(), 100);
        let draws = 400;
        let mut times = vec![0_u32; 1_000];
        let mut sizes = Vec::new();
        for _ in 0..draws {
            let sample = schedule.next();
            sizes.push(sample.len() as f64);
            sample.into_iter().for_each(|place| times[place] += 1);
        }
        let mean = sizes.iter().sum::<f64>() / f64::from(draws);
        let variance = sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>();
        let variance = variance / f64::from(draws);
        // Binomial: mean 100, variance 90.
        assert!((98.0..102.0).contains(&mean), "{mean}");
        assert!((70.0..115.0).contains(&variance), "{variance}");
        let (least, most) = (times.iter().min(), times.iter().max());
        assert!(least > Some(&12) && most < Some(&75), "{least:?} {most:?}");
    }

    #[test]
    fn the_same_seed_draws_the_same_patients() {
        for batch in [
            Batch::Sampled { rate: 0.3 },
            Batch::Shuffled { patients: 64 },
        ] {
            let (mut one, mut other) = (schedule(batch), schedule(batch));
            let first = one.next();
            assert_eq!(first, other.next());
            assert_ne!(first, one.next());
        }
    }
}
