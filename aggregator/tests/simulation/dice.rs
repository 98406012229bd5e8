//! Where all that is random in a simulation comes from: its seed.

use chacha20::ChaCha20Rng;
use rand_core::Rng as _;

/// Random draws from one seed.
pub(crate) struct Dice(ChaCha20Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(testkit::rng(seed))
    }

    /// A number below `end`, which is above 0. The bias of the remainder is of no consequence here.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0.next_u32() % end
    }

    /// A number from `start` to `end`.
    pub(crate) fn within(&mut self, start: u16, end: u16) -> u16 {
        let number = self.below(u32::from(end - start) + 1);
        start + u16::try_from(number).expect("it is at most the difference of two u16")
    }

    /// Whether something happens that happens so often in a hundred times.
    pub(crate) fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance
    }

    /// One of several.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let count = u32::try_from(choices.len()).expect("choices are few");
        choices[usize::try_from(self.below(count)).expect("32 bits are an index")]
    }

    /// Any number.
    pub(crate) fn any(&mut self) -> u32 {
        self.0.next_u32()
    }
}
