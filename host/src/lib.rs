//! The program that a hospital runs: it gives the sealed module its patients and its randomness, and lets out what the
//! protocol allows.
//!
//! ```text
//!   patients (Parquet)          study.toml, client.wasm (approved, by digest)
//!        │                             │
//!        ▼                             ▼
//!   ┌─────────────────── host ───────────────────────┐
//!   │  sandbox: wasmtime, no import, limits          │  answers   ┌─ egress check ─ sign ─ journal ─ ledger ─▶ aggregator
//!   │  asks the module; holds seed, key and journal  │ ──────────▶┘
//!   └────────────────────────────────────────────────┘
//! ```
//!
//! The host links no training code, and the module never sees the site's key, the network or a file.

pub mod aggregator;
pub mod budget;
pub mod chain;
pub mod compiled;
pub mod compose;
pub mod config;
pub mod coverage;
pub mod dataset;
pub mod decisions;
pub mod disk;
pub mod durable;
pub mod entropy;
pub mod help;
pub mod id_key;
pub mod identity;
pub mod imports;
pub mod ledger;
pub mod look;
pub mod nonce;
pub mod patients;
pub mod pieces;
pub mod pin;
pub mod private;
pub mod replay;
pub mod reporter;
pub mod retention;
pub mod run;
pub mod sandbox;
pub mod session;
pub mod tls;
pub mod trial;
pub mod vault;
