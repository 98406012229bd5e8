//! The decoders, each with what honest parties would give it.

pub(crate) mod cohort;
pub(crate) mod door;
pub(crate) mod message;
pub(crate) mod play;
pub(crate) mod round;
pub(crate) mod study;
pub(crate) mod vector;

/// The byte that chooses, and the rest; nothing of no bytes.
fn chosen<'a, T>(choices: &'a [T], input: &'a [u8]) -> Option<(&'a T, &'a [u8])> {
    let (choice, rest) = input.split_first()?;
    let choice = choices.get(usize::from(*choice) % choices.len())?;
    Some((choice, rest))
}

/// The byte that makes [`chosen`] take this choice, then `rest`.
fn choose(choice: usize, rest: &[u8]) -> Vec<u8> {
    let choice = u8::try_from(choice).expect("choices are few");
    [&[choice], rest].concat()
}
