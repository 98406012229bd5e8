//! Seeds: one by one, and what is told of one that fails.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::operation::{self, Operation};
use crate::setting::{Setting, Size};
use crate::world::{Outcome, simulate};
use testkit::Dice;

/// All that follows from a seed.
pub(crate) struct Trial {
    size: Size,
    seed: u64,
    pub(crate) setting: Setting,
    pub(crate) operations: Vec<Operation>,
}

impl Trial {
    pub(crate) fn draw(size: Size, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let setting = Setting::draw(seed, size, &mut dice);
        let operations = operation::draw(&setting, &mut dice);
        Self {
            size,
            seed,
            setting,
            operations,
        }
    }

    /// Runs it; one that fails is told, with operations that suffice for it to fail.
    pub(crate) fn run(&self) -> Outcome {
        let run = || simulate(&self.setting, &self.operations);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(outcome) => outcome,
            Err(cause) => {
                let Self { size, seed, .. } = self;
                let few = self.cut_down();
                eprintln!("seed {seed} of size {size:?} fails; these operations suffice: {few:?}");
                std::panic::resume_unwind(cause)
            }
        }
    }

    /// Operations without which the trial does not fail: of halves, quarters and so on, those are left out that can be.
    fn cut_down(&self) -> Vec<Operation> {
        let mut operations = self.operations.clone();
        let mut length = operations.len().div_ceil(2);
        while length > 0 {
            let mut start = 0;
            while start < operations.len() {
                let mut fewer = operations.clone();
                fewer.drain(start..operations.len().min(start + length));
                let run = || simulate(&self.setting, &fewer);
                if catch_unwind(AssertUnwindSafe(run)).is_err() {
                    operations = fewer;
                } else {
                    start += length;
                }
            }
            length /= 2;
        }
        operations
    }
}

/// Tries these seeds, or the one that the environment names.
pub(crate) fn try_seeds(size: Size, seeds: Range<u64>) {
    let chosen = std::env::var("SIMULATION_SEED").ok();
    let start = Instant::now();
    let mut total = Outcome::default();
    if let Some(seed) = chosen {
        let trial = Trial::draw(size, seed.parse().expect("SIMULATION_SEED is a number"));
        eprintln!("{}\n{:?}", trial.setting.kit.toml, trial.operations);
        total.add(trial.run());
    } else {
        for seed in seeds {
            total.add(Trial::draw(size, seed).run());
        }
    }
    eprintln!(
        "{size:?}: {total:?} in {:.1} s",
        start.elapsed().as_secs_f64()
    );
}
