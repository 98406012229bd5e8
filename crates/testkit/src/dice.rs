//! Where all that is random in a simulation or a script comes from: its seed.

use chacha20::ChaCha20Rng;
use rand_core::Rng as _;

/// Random draws from one seed.
#[derive(Debug)]
pub struct Dice(ChaCha20Rng);

impl Dice {
    /// The draws of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(crate::rng(seed))
    }

    /// A number below `end`. The bias of the remainder is of no consequence here.
    ///
    /// # Panics
    ///
    /// `end` is 0.
    pub fn below(&mut self, end: u32) -> u32 {
        self.0.next_u32() % end
    }

    /// A number from `start` to `end`.
    ///
    /// # Panics
    ///
    /// `end` is below `start`.
    pub fn within(&mut self, start: u16, end: u16) -> u16 {
        let number = self.below(u32::from(end - start) + 1);
        start + u16::try_from(number).expect("it is at most the difference of two u16")
    }

    /// Whether something happens that happens so often in a hundred times.
    pub fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance
    }

    /// One of several.
    ///
    /// # Panics
    ///
    /// There is none.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let count = u32::try_from(choices.len()).expect("choices are few");
        choices[usize::try_from(self.below(count)).expect("32 bits are an index")]
    }

    /// One of the choices, so often in a hundred times; else `usual`.
    pub fn seldom<T: Copy>(&mut self, chance: u32, usual: T, choices: &[T]) -> T {
        if self.percent(chance) {
            self.one_of(choices)
        } else {
            usual
        }
    }

    /// Any number.
    pub fn any(&mut self) -> u32 {
        self.0.next_u32()
    }
}
