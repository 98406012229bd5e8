//! The door: request bytes in, response bytes out.

use std::cell::RefCell;
use std::sync::{Mutex, Once, PoisonError};

use protocol::codec;
use protocol::door::{Refusal, Request, Response};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::session::Module;

/// What the last panic said. It outlives the trap that follows, so that the host can read why the module stopped.
static PANIC: Mutex<String> = Mutex::new(String::new());

thread_local! {
    static MODULE: RefCell<Module> = RefCell::new(Module::default());
}

/// Answers one request: CBOR of [`protocol::door::Request`] in, CBOR of [`protocol::door::Response`] out.
#[wasm_bindgen]
#[must_use]
pub fn handle(request: &[u8]) -> Vec<u8> {
    remember_panics();
    let response = match codec::decode::<Request>(request) {
        Ok(request) => MODULE.with_borrow_mut(|module| module.answer(request)),
        Err(error) => Response::Refused(Refusal {
            reason: error.to_string(),
            fatal: false,
        }),
    };
    codec::encode(&response)
}

/// What the panic that trapped the module said, in UTF-8; empty where there was none.
#[wasm_bindgen]
#[must_use]
pub fn panic_message() -> Vec<u8> {
    PANIC
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
        .into_bytes()
}

fn remember_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
            before(panic);
        }));
    });
}
