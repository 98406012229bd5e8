//! The only source of randomness that leaves traces in what is sent: the operating system's.

use ring::rand::{SecureRandom, SystemRandom};

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes: nothing that is secret can be made here")]
pub struct NoEntropy;

/// 32 uniform secret bytes.
///
/// # Errors
///
/// An operating system that gives none.
pub fn seed() -> Result<[u8; 32], NoEntropy> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| NoEntropy)?;
    Ok(seed)
}
