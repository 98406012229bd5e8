//! The only source of random numbers: the stream of the session's seed.
//!
//! Some dependencies ask getrandom for random bytes, which has no system to ask here. They get a ChaCha20 stream that
//! each session starts anew from its own seed, so that a replay draws the same bytes. Nothing of ours draws from it.

use std::cell::RefCell;

use chacha20::ChaCha20Rng;
use protocol::seed::Seed;
use rand_core::Rng;

thread_local! {
    /// The stream of the open session; none before the first session.
    static STREAM: RefCell<Option<ChaCha20Rng>> = const { RefCell::new(None) };
}

/// Starts the stream of a session.
pub(crate) fn start(seed: &Seed) {
    STREAM.with_borrow_mut(|stream| *stream = Some(seed.derive("entropy of dependencies").rng()));
}

/// Fills `bytes` from the stream; gives nothing where no session has started it.
#[cfg_attr(
    not(target_arch = "wasm32"),
    expect(dead_code, reason = "other targets have a system to ask")
)]
fn fill(bytes: &mut [u8]) -> Option<()> {
    STREAM.with_borrow_mut(|stream| {
        let stream = stream.as_mut()?;
        stream.fill_bytes(bytes);
        Some(())
    })
}

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod backend {
    //! Where getrandom's versions look for bytes.

    fn fill_02(bytes: &mut [u8]) -> Result<(), getrandom_02::Error> {
        super::fill(bytes).ok_or(getrandom_02::Error::UNSUPPORTED)
    }

    getrandom_02::register_custom_getrandom!(fill_02);

    /// The symbol that getrandom 0.3 and 0.4 call.
    #[unsafe(no_mangle)]
    #[expect(unsafe_code, reason = "getrandom hands over a raw pointer")]
    unsafe extern "Rust" fn __getrandom_v03_custom(
        bytes: *mut u8,
        length: usize,
    ) -> Result<(), getrandom_04::Error> {
        // SAFETY: getrandom gives the start and length of a buffer that is its own during the call; zeroed here,
        // since it may not be initialised.
        let buffer = unsafe {
            std::ptr::write_bytes(bytes, 0, length);
            std::slice::from_raw_parts_mut(bytes, length)
        };
        super::fill(buffer).ok_or(getrandom_04::Error::UNSUPPORTED)
    }
}
