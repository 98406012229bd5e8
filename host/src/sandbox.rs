//! The sandbox: the sealed module in wasmtime, with nothing but memory.
//!
//! ```text
//! bytes ──digest, no import──▶ Sandbox ──instance()──▶ Instance ──ask(Request)──▶ Response
//!                              (compiled once)         (one a round; gone after a trap)
//! ```
//!
//! The module gets no import, so no clock, no file, no network and no randomness; a limit on its memory; and a
//! deadline for each request. Floating-point results are the same bits everywhere: the instructions whose results may
//! differ between processors (relaxed SIMD) are refused. What is left open is the bits of a NaN. The module lets no
//! NaN out: weights, gradients, probabilities and sums that are not finite end the request, on every processor
//! alike. So NaNs are not made canonical: a browser would not, and it doubles the time of training.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protocol::codec::{self, DecodeError};
use protocol::door::{Refusal, Request, Response};
use protocol::id::Digest;
use wasmtime::{
    Config, Engine, ExternType, Memory, Module, ResourceLimiter, Store, Trap, TypedFunc,
    UpdateDeadline,
};

use crate::compiled::Compiled;

/// What a module may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The most memory, in MiB.
    pub memory_mib: u32,
    /// The longest time for one request, in seconds.
    pub request_seconds: u32,
}

/// A module that may be run: checked and compiled.
pub struct Sandbox {
    engine: Engine,
    module: Module,
    digest: Digest,
    allowance: Allowance,
    // Stops the clock when the last user of the sandbox is gone.
    _ticker: Arc<Ticker>,
}

impl Sandbox {
    /// Compiles the module whose SHA-256 is `approved`.
    ///
    /// # Errors
    ///
    /// Bytes with another digest, and all that [`Sandbox::load`] refuses.
    pub fn load_approved(
        bytes: &[u8],
        approved: Digest,
        allowance: Allowance,
        compiled: &Compiled,
    ) -> Result<Self, SandboxError> {
        let got = Digest::of(bytes);
        if got != approved {
            return Err(SandboxError::OtherModule { got, approved });
        }
        Self::load(bytes, allowance, compiled)
    }

    /// Compiles a module that nobody has to have approved: for work whose result stays at the site.
    ///
    /// # Errors
    ///
    /// Bytes that are no module, a module that imports anything, and one without the door's exports.
    pub fn load(
        bytes: &[u8],
        allowance: Allowance,
        compiled: &Compiled,
    ) -> Result<Self, SandboxError> {
        let (engine, digest) = (engine()?, Digest::of(bytes));
        let module = compiled
            .module(&engine, bytes, digest)
            .map_err(|error| SandboxError::NoModule(cause(&error)))?;
        let imports: Vec<String> = module
            .imports()
            .map(|import| format!("{}.{}", import.module(), import.name()))
            .collect();
        if !imports.is_empty() {
            return Err(SandboxError::Imports(imports.join(", ")));
        }
        let ticker = Arc::new(Ticker::start(&engine));
        Ok(Self {
            engine,
            module,
            digest,
            allowance,
            _ticker: ticker,
        })
    }

    /// The SHA-256 of the module's bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// A fresh instance, which knows nothing of any other.
    ///
    /// # Errors
    ///
    /// A module without the door's exports, or one that needs more memory than allowed to start.
    pub fn instance(&self) -> Result<Instance, SandboxError> {
        Live::start(self).map(|live| Instance {
            live: Some(live),
            allowance: self.allowance,
        })
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// What a module is made of, for a person to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anatomy {
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub bytes: usize,
    /// What it would call outside itself: a module that imports anything is refused.
    pub imports: Vec<String>,
    /// What can be called or read from outside.
    pub exports: Vec<String>,
}

impl Anatomy {
    /// Reads a module without running it.
    ///
    /// # Errors
    ///
    /// Bytes that are no module.
    pub fn of(bytes: &[u8], compiled: &Compiled) -> Result<Self, SandboxError> {
        let module = compiled
            .module(&engine()?, bytes, Digest::of(bytes))
            .map_err(|error| SandboxError::NoModule(cause(&error)))?;
        Ok(Self {
            digest: Digest::of(bytes),
            bytes: bytes.len(),
            imports: module
                .imports()
                .map(|import| {
                    format!(
                        "{}.{} ({})",
                        import.module(),
                        import.name(),
                        kind(&import.ty())
                    )
                })
                .collect(),
            exports: module
                .exports()
                .map(|export| format!("{} ({})", export.name(), kind(&export.ty())))
                .collect(),
        })
    }
}

/// A running module: one round, or one use.
pub struct Instance {
    /// `None` once the module has trapped or broken the door's rules: it is never asked again.
    live: Option<Live>,
    allowance: Allowance,
}

impl Instance {
    /// Asks the module. After any error but a refusal that is not fatal, the instance is gone.
    ///
    /// # Errors
    ///
    /// A refusal of the module, a trap (with the panic's message where the module left one), the deadline, the limit
    /// on memory, and an answer that is none.
    pub fn ask(&mut self, request: &Request) -> Result<Response, SandboxError> {
        let mut live = self.live.take().ok_or(SandboxError::Gone)?;
        let bytes = codec::encode(request);
        let answer = live.call(&bytes, self.allowance)?;
        match codec::decode(&answer).map_err(SandboxError::Answer)? {
            Response::Refused(refusal) => {
                if !refusal.fatal {
                    self.live = Some(live);
                }
                Err(SandboxError::Refused(refusal))
            }
            response => {
                self.live = Some(live);
                Ok(response)
            }
        }
    }

    /// Bytes of memory that the module has taken; it never gives any back. 0 once it is gone.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        (self.live.as_ref()).map_or(0, |live| live.memory.data_size(&live.store))
    }

    /// Drops the module's memory: nothing more can be asked.
    pub fn end(&mut self) {
        self.live = None;
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("live", &self.live.is_some())
            .finish_non_exhaustive()
    }
}

/// Why the module gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The bytes are not those that were approved.
    #[error("the module's SHA-256 is {got}, approved is {approved}: refused")]
    OtherModule {
        /// The digest of the bytes.
        got: Digest,
        /// The digest that was approved.
        approved: Digest,
    },
    /// The bytes are no WebAssembly module, or use what is not allowed.
    #[error("this is no module that can be run: {0}")]
    NoModule(String),
    /// The module would reach outside the sandbox.
    #[error("the module imports {0}: a module that can reach outside is never run")]
    Imports(String),
    /// The module lacks a part of the door.
    #[error("the module does not export `{0}` as docs/MODULE.md says")]
    NoDoor(&'static str),
    /// wasmtime cannot run here.
    #[error("the sandbox cannot be set up on this computer: {0}")]
    Engine(String),
    /// The module wanted more memory than allowed.
    #[error(
        "the module needs more than {0} MiB of memory: raise --memory-mib (or memory-mib in host.toml)"
    )]
    Memory(u32),
    /// The module took longer than allowed for one request.
    #[error(
        "the module took longer than {0} s for one request and was stopped: raise --request-seconds"
    )]
    Deadline(u32),
    /// The module panicked.
    #[error("the module stopped: {0}")]
    Panicked(String),
    /// The module trapped without a message.
    #[error("the module trapped: {0}")]
    Trapped(String),
    /// The module refused the request.
    #[error("{}", .0.reason)]
    Refused(Refusal),
    /// The module's answer is none.
    #[error("the module's answer cannot be read: {0}")]
    Answer(DecodeError),
    /// The module's answer lies outside its memory.
    #[error("the module's answer lies outside its memory")]
    OutOfBounds,
    /// The module answered another question.
    #[error("the module gave another answer than asked for")]
    OtherAnswer,
    /// The request is longer than the module can address.
    #[error("the request has {0} bytes, more than the module can address")]
    TooLong(usize),
    /// The instance has failed before.
    #[error("the module's instance has failed before and is not used again")]
    Gone,
}

/// An instance that has not failed.
struct Live {
    store: Store<Limiter>,
    memory: Memory,
    malloc: TypedFunc<(u32, u32), u32>,
    free: TypedFunc<(u32, u32, u32), ()>,
    handle: TypedFunc<(u32, u32), (u32, u32)>,
    panic_message: TypedFunc<(), (u32, u32)>,
}

impl Live {
    fn start(sandbox: &Sandbox) -> Result<Self, SandboxError> {
        let allowance = sandbox.allowance;
        let most = usize::try_from(allowance.memory_mib)
            .unwrap_or(usize::MAX)
            .saturating_mul(MIB);
        let mut store = Store::new(
            &sandbox.engine,
            Limiter {
                most,
                refused: false,
            },
        );
        store.limiter(|limiter| limiter);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Interrupt));
        store.set_epoch_deadline(ticks(allowance));
        let instance = wasmtime::Instance::new(&mut store, &sandbox.module, &[])
            .map_err(|error| failure(&error, store.data(), allowance))?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or(SandboxError::NoDoor("memory"))?;
        macro_rules! export {
            ($name:literal) => {
                instance
                    .get_typed_func(&mut store, $name)
                    .map_err(|_| SandboxError::NoDoor($name))?
            };
        }
        let live = Self {
            memory,
            malloc: export!("__wbindgen_malloc"),
            free: export!("__wbindgen_free"),
            handle: export!("handle"),
            panic_message: export!("panic_message"),
            store,
        };
        live.initialised(&instance, allowance)
    }

    /// Calls what wasm-bindgen exports to be called once.
    fn initialised(
        mut self,
        instance: &wasmtime::Instance,
        allowance: Allowance,
    ) -> Result<Self, SandboxError> {
        if let Ok(start) = instance.get_typed_func::<(), ()>(&mut self.store, "__wbindgen_start") {
            start
                .call(&mut self.store, ())
                .map_err(|error| failure(&error, self.store.data(), allowance))?;
        }
        Ok(self)
    }

    fn call(&mut self, request: &[u8], allowance: Allowance) -> Result<Vec<u8>, SandboxError> {
        self.store.set_epoch_deadline(ticks(allowance));
        self.store.data_mut().refused = false;
        match self.exchange(request) {
            Ok(answer) => Ok(answer),
            Err(Fault::Trap(error)) => Err(self.explain(&error, allowance)),
            Err(Fault::Rule(error)) => Err(error),
        }
    }

    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Fault> {
        let length =
            u32::try_from(request.len()).map_err(|_| SandboxError::TooLong(request.len()))?;
        let start = self.malloc.call(&mut self.store, (length, 1))?;
        self.memory
            .write(&mut self.store, start as usize, request)
            .map_err(|_| SandboxError::OutOfBounds)?;
        // The module frees the request's buffer, and gives away the answer's.
        let (at, length) = self.handle.call(&mut self.store, (start, length))?;
        let answer = self.read(at, length)?;
        self.free.call(&mut self.store, (at, length, 1))?;
        Ok(answer)
    }

    fn read(&self, at: u32, length: u32) -> Result<Vec<u8>, SandboxError> {
        let (at, length) = (at as usize, length as usize);
        let end = at.checked_add(length).ok_or(SandboxError::OutOfBounds)?;
        Ok(self
            .memory
            .data(&self.store)
            .get(at..end)
            .ok_or(SandboxError::OutOfBounds)?
            .to_vec())
    }

    /// What made the module trap: the limits first, then the panic's own words.
    fn explain(&mut self, error: &wasmtime::Error, allowance: Allowance) -> SandboxError {
        let reason = failure(error, self.store.data(), allowance);
        if !matches!(reason, SandboxError::Trapped(_)) {
            return reason;
        }
        self.store.set_epoch_deadline(ticks(allowance));
        let message = self.panic_message.call(&mut self.store, ()).ok();
        let message = message
            .and_then(|(at, length)| self.read(at, length).ok())
            .unwrap_or_default();
        if message.is_empty() {
            return reason;
        }
        SandboxError::Panicked(String::from_utf8_lossy(&message).into_owned())
    }
}

/// Why a call failed: in the module, or by what it gave.
enum Fault {
    Trap(wasmtime::Error),
    Rule(SandboxError),
}

impl From<wasmtime::Error> for Fault {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

impl From<SandboxError> for Fault {
    fn from(error: SandboxError) -> Self {
        Self::Rule(error)
    }
}

/// Counts the memory that the module asks for.
struct Limiter {
    /// Bytes.
    most: usize,
    /// Whether the module has asked for more in this request.
    refused: bool,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = desired <= self.most;
        self.refused |= !allowed;
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ENTRIES)
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}

/// The clock of the deadlines: a thread that adds one to the engine's epoch at each tick.
struct Ticker {
    stopped: Arc<AtomicBool>,
}

impl Ticker {
    fn start(engine: &Engine) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let (seen, engine) = (Arc::clone(&stopped), engine.clone());
        std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                engine.increment_epoch();
            }
        });
        Self { stopped }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

fn engine() -> Result<Engine, SandboxError> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    Engine::new(&config).map_err(|error| SandboxError::Engine(cause(&error)))
}

/// Tells limits from other traps.
fn failure(error: &wasmtime::Error, limiter: &Limiter, allowance: Allowance) -> SandboxError {
    if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
        SandboxError::Deadline(allowance.request_seconds)
    } else if limiter.refused {
        SandboxError::Memory(allowance.memory_mib)
    } else {
        SandboxError::Trapped(cause(error))
    }
}

/// The innermost reason, on one line.
fn cause(error: &wasmtime::Error) -> String {
    let root = error.root_cause().to_string();
    root.lines().next().unwrap_or_default().to_owned()
}

fn kind(ty: &ExternType) -> &'static str {
    match ty {
        ExternType::Func(_) => "function",
        ExternType::Global(_) => "global",
        ExternType::Table(_) => "table",
        ExternType::Memory(_) => "memory",
        ExternType::Tag(_) => "tag",
    }
}

fn ticks(allowance: Allowance) -> u64 {
    let tick = u64::try_from(TICK.as_millis()).expect("a tick is shorter than an age");
    // One more, since the first may come at once.
    u64::from(allowance.request_seconds) * 1_000 / tick + 1
}

/// Short beside any deadline, long beside the cost of waking up.
const TICK: Duration = Duration::from_millis(100);
const MIB: usize = 1 << 20;
/// Far more than any module of ours has functions.
const TABLE_ENTRIES: usize = 100_000;

#[cfg(test)]
mod tests {
    use protocol::door::{Describe, Progress};

    use super::*;

    const ALLOWANCE: Allowance = Allowance {
        memory_mib: 4,
        request_seconds: 1,
    };

    /// A module with the door's exports whose `handle` is `body`; memory from 1024 on holds `data`.
    fn module(body: &str, data: &[u8]) -> Vec<u8> {
        let data: String = data.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let text = format!(
            r#"(module
                (memory (export "memory") 2)
                (data (i32.const 1024) "{data}")
                (data (i32.const 512) "the tensor is empty")
                (global $asked (mut i32) (i32.const 0))
                (func (export "__wbindgen_malloc") (param i32 i32) (result i32) (i32.const 65536))
                (func (export "__wbindgen_free") (param i32 i32 i32))
                (func (export "handle") (param i32 i32) (result i32 i32) {body})
                (func (export "panic_message") (result i32 i32) (i32.const 512) (i32.const 19)))"#
        );
        wat::parse_str(text).unwrap()
    }

    /// A module that always gives this response.
    fn answering(response: &Response) -> Vec<u8> {
        let bytes = codec::encode(response);
        module(
            &format!("(i32.const 1024) (i32.const {})", bytes.len()),
            &bytes,
        )
    }

    fn ask(wasm: &[u8]) -> Result<Response, SandboxError> {
        Sandbox::load(wasm, ALLOWANCE, &Compiled::Anew)?
            .instance()?
            .ask(&Request::Advertise)
    }

    #[test]
    fn a_module_answers() {
        let progress = Response::Progress(Progress {
            done: 3,
            total: 9,
            unusable: 0,
        });
        assert_eq!(ask(&answering(&progress)).unwrap(), progress);
    }

    #[test]
    fn a_module_reads_the_request() {
        // Gives the request back: it is no response, and says so.
        let echo = module("(local.get 0) (local.get 1)", b"");
        let request = Request::Describe(Describe {
            study: vec![7; 40].into(),
            weights: None,
        });
        let error = Sandbox::load(&echo, ALLOWANCE, &Compiled::Anew)
            .unwrap()
            .instance()
            .unwrap()
            .ask(&request)
            .unwrap_err();
        assert!(matches!(error, SandboxError::Answer(_)), "{error}");
    }

    #[test]
    fn an_import_is_refused() {
        let wasm = wat::parse_str(r#"(module (import "env" "now" (func (result i64))))"#).unwrap();
        let error = Sandbox::load(&wasm, ALLOWANCE, &Compiled::Anew).unwrap_err();
        assert!(
            matches!(&error, SandboxError::Imports(names) if names == "env.now"),
            "{error}"
        );
        assert_eq!(
            Anatomy::of(&wasm, &Compiled::Anew).unwrap().imports,
            ["env.now (function)"]
        );
    }

    #[test]
    fn another_digest_is_refused() {
        let wasm = answering(&Response::Progress(Progress {
            done: 0,
            total: 0,
            unusable: 0,
        }));
        assert!(
            Sandbox::load_approved(&wasm, Digest::of(&wasm), ALLOWANCE, &Compiled::Anew).is_ok()
        );
        let error = Sandbox::load_approved(&wasm, Digest::of(b"other"), ALLOWANCE, &Compiled::Anew)
            .unwrap_err();
        assert!(matches!(error, SandboxError::OtherModule { .. }), "{error}");
    }

    #[test]
    fn a_loop_without_end_hits_the_deadline() {
        let error = ask(&module("(loop (br 0)) (unreachable)", b"")).unwrap_err();
        assert!(matches!(error, SandboxError::Deadline(1)), "{error}");
    }

    #[test]
    fn memory_beyond_the_limit_is_refused() {
        let grow = "(if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then (unreachable))) \
                    (i32.const 0) (i32.const 0)";
        let error = ask(&module(grow, b"")).unwrap_err();
        assert!(matches!(error, SandboxError::Memory(4)), "{error}");
        let born_large = wat::parse_str(r#"(module (memory (export "memory") 1000))"#).unwrap();
        let error = Sandbox::load(&born_large, ALLOWANCE, &Compiled::Anew)
            .unwrap()
            .instance()
            .unwrap_err();
        assert!(matches!(error, SandboxError::Memory(4)), "{error}");
    }

    #[test]
    fn a_trap_gives_the_panics_message_and_ends_the_instance() {
        let sandbox =
            Sandbox::load(&module("(unreachable)", b""), ALLOWANCE, &Compiled::Anew).unwrap();
        let mut instance = sandbox.instance().unwrap();
        let error = instance.ask(&Request::Advertise).unwrap_err();
        assert!(
            matches!(&error, SandboxError::Panicked(message) if message == "the tensor is empty"),
            "{error}"
        );
        assert!(matches!(
            instance.ask(&Request::Advertise),
            Err(SandboxError::Gone)
        ));
    }

    #[test]
    fn a_refusal_ends_the_instance_only_where_it_is_fatal() {
        for (fatal, gone) in [(false, false), (true, true)] {
            let refusal = Refusal {
                reason: "no session".to_owned(),
                fatal,
            };
            let wasm = answering(&Response::Refused(refusal.clone()));
            let mut instance = Sandbox::load(&wasm, ALLOWANCE, &Compiled::Anew)
                .unwrap()
                .instance()
                .unwrap();
            for first in [true, false] {
                let error = instance.ask(&Request::Advertise).unwrap_err();
                if first || !gone {
                    assert!(
                        matches!(&error, SandboxError::Refused(got) if *got == refusal),
                        "{error}"
                    );
                } else {
                    assert!(matches!(error, SandboxError::Gone), "{error}");
                }
            }
        }
    }

    #[test]
    fn an_answer_outside_memory_is_refused() {
        let error = ask(&module("(i32.const -8) (i32.const 100)", b"")).unwrap_err();
        assert!(matches!(error, SandboxError::OutOfBounds), "{error}");
    }

    #[test]
    fn a_module_without_a_door_is_refused() {
        let wasm = wat::parse_str(r#"(module (memory (export "memory") 1))"#).unwrap();
        let error = Sandbox::load(&wasm, ALLOWANCE, &Compiled::Anew)
            .unwrap()
            .instance()
            .unwrap_err();
        assert!(
            matches!(error, SandboxError::NoDoor("__wbindgen_malloc")),
            "{error}"
        );
    }

    #[test]
    fn relaxed_simd_is_refused() {
        let text = "(module (func (param v128 v128 v128) (result v128) \
                    (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2))))";
        let error =
            Sandbox::load(&wat::parse_str(text).unwrap(), ALLOWANCE, &Compiled::Anew).unwrap_err();
        assert!(matches!(error, SandboxError::NoModule(_)), "{error}");
    }
}
