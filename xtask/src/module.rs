//! `cargo xtask module`: builds the module, seals it, and prints its digest.
//!
//! ```text
//! client-wasm ──cargo──▶ wasm ──wasm-bindgen──▶ wasm + glue ──seal──▶ client.wasm, client.js, client.wasm.sha256
//! ```
//!
//! Sealed means: no import is left, so the module can reach nothing but the bytes it is given. The same sources give
//! the same bytes in any folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use walrus::ir::Visitor;
use walrus::{ImportKind, RefType, TableId};
use wasm_bindgen_cli_support::Bindgen;

use crate::setup::{self, WasmTarget};
use crate::shell::{cargo, output, root, run, say, show, target};

/// Of `cargo xtask module`
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Arguments {
    /// Folder that the module and its glue are written to [default: target/module-out]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// A sealed module on disk.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    /// `client.wasm`.
    pub(crate) path: PathBuf,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub(crate) digest: String,
    /// Its length in bytes.
    pub(crate) bytes: u64,
}

/// Builds the module and prints what it is.
pub(crate) fn run_command(arguments: &Arguments) -> Result<()> {
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| target().join("module-out"));
    let sealed = build(&out)?;
    show(&format!("module   {}", sealed.path.display()));
    show(&format!("size     {} bytes", sealed.bytes));
    show(&format!("sha-256  {}", sealed.digest));
    show("imports  none");
    Ok(())
}

/// Builds and seals the module into `out`.
pub(crate) fn build(out: &Path) -> Result<Sealed> {
    setup::clang()?;
    let source = setup::wasm_target()?;
    let unsealed = compile(source)?;
    let (wasm, glue) = seal(&unsealed)?;
    std::fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    let path = out.join("client.wasm");
    let digest = protocol::id::Digest::of(&wasm).to_string();
    write(&path, &wasm)?;
    write(&out.join("client.js"), glue.as_bytes())?;
    write(
        &out.join("client.wasm.sha256"),
        format!("{digest}  client.wasm\n").as_bytes(),
    )?;
    let bytes = u64::try_from(wasm.len()).context("the module is larger than memory")?;
    Ok(Sealed {
        path,
        digest,
        bytes,
    })
}

/// Compiles `client-wasm` and gives the path of the module before wasm-bindgen.
fn compile(source: WasmTarget) -> Result<PathBuf> {
    say("building the module (the first time takes a few minutes: it holds the whole of training)");
    run(&mut build_for_wasm("client-wasm", source)?)?;
    Ok(target().join("wasm32-unknown-unknown/module/client_wasm.wasm"))
}

/// Compiles the participant, which a browser tab runs beside the module.
pub(crate) fn build_participant() -> Result<()> {
    let source = setup::wasm_target()?;
    setup::clang()?;
    run(&mut build_for_wasm("participant", source)?)
}

/// What compiles a package for WebAssembly.
fn build_for_wasm(package: &str, source: WasmTarget) -> Result<Command> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--package", package]);
    command.args(["--profile", "module"]);
    command.args(["--target", "wasm32-unknown-unknown", "--locked"]);
    command.env("CARGO_ENCODED_RUSTFLAGS", rust_flags()?.join("\u{1f}"));
    // ahash, under parquet and burn, takes the keys of its tables from here while it is compiled; else from chance.
    command.env("CONST_RANDOM_SEED", "wardround");
    command.env("CC_wasm32_unknown_unknown", "clang");
    // Paths in C's diagnostics (ring) would differ from folder to folder.
    let registry = format!("-ffile-prefix-map={}=/cargo", cargo_home()?.display());
    command.env("CFLAGS_wasm32_unknown_unknown", registry);
    if source == WasmTarget::BuiltFromSource {
        command.arg("-Zbuild-std=std,panic_abort");
        command
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1");
    }
    Ok(command)
}

/// Flags that decide the module's bytes.
fn rust_flags() -> Result<Vec<String>> {
    Ok(vec![
        "-Ctarget-feature=+simd128".to_owned(),
        "--cfg=getrandom_backend=\"custom\"".to_owned(),
        format!("--remap-path-prefix={}=/wardround", root().display()),
        format!("--remap-path-prefix={}=/cargo", cargo_home()?.display()),
        format!("--remap-path-prefix={}=/rust", sysroot()?.display()),
    ])
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(PathBuf::from(home));
    }
    let home = std::env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?;
    Ok(PathBuf::from(home).join(".cargo"))
}

fn sysroot() -> Result<PathBuf> {
    let text = output(
        Command::new("rustc")
            .args(["--print", "sysroot"])
            .current_dir(root()),
    )?;
    Ok(PathBuf::from(text.trim()))
}

/// Gives the sealed bytes and the JavaScript glue of a compiled module.
fn seal(unsealed: &Path) -> Result<(Vec<u8>, String)> {
    let mut bindgen = Bindgen::new();
    bindgen
        .web(true)?
        .input_path(unsealed)
        .out_name("client")
        .typescript(false);
    bindgen
        .remove_name_section(true)
        .remove_producers_section(true);
    let mut output = bindgen
        .generate_output()
        .context("wasm-bindgen refused the module")?;
    let module = output.wasm_mut();
    close_imports(module)?;
    keep_the_door(module);
    drop_javascript_values(module);
    let custom: Vec<_> = module.customs.iter().map(|(id, _)| id).collect();
    for id in custom {
        module.customs.delete(id);
    }
    walrus::passes::gc::run(module);
    let wasm = module.emit_wasm();
    check_no_import(&wasm)?;
    Ok((wasm, output.js().to_owned()))
}

/// Replaces the two imports that wasm-bindgen may leave by functions of the module's own.
fn close_imports(module: &mut walrus::Module) -> Result<()> {
    let mut closable = Vec::new();
    let mut unknown = Vec::new();
    for import in module.imports.iter() {
        match (&import.kind, Replacement::of(&import.name)) {
            (ImportKind::Function(function), Some(replacement)) => {
                closable.push((*function, replacement))
            }
            _ => unknown.push(format!("{}.{}", import.module, import.name)),
        }
    }
    if !unknown.is_empty() {
        bail!(
            "the module would import {}: a dependency reaches outside of the sandbox",
            unknown.join(", ")
        );
    }
    for (function, replacement) in closable {
        module.replace_imported_func(function, |(body, _)| match replacement {
            Replacement::Nothing => {}
            Replacement::Trap => {
                body.unreachable();
            }
        })?;
    }
    Ok(())
}

/// What a function of the module's own does in place of an imported one.
#[derive(Clone, Copy)]
enum Replacement {
    /// Nothing.
    Nothing,
    /// Traps.
    Trap,
}

impl Replacement {
    fn of(import: &str) -> Option<Self> {
        if import == "__wbindgen_init_externref_table" {
            // It would fill a table of JavaScript values; the door passes bytes alone.
            Some(Self::Nothing)
        } else if import.starts_with("__wbg___wbindgen_throw_") {
            // It would throw a JavaScript error; a trap ends the instance as surely.
            Some(Self::Trap)
        } else {
            None
        }
    }
}

/// Makes the functions that handle JavaScript values trap: the door passes bytes alone, so there are none. Their table
/// goes with them, and the module needs no reference types.
fn drop_javascript_values(module: &mut walrus::Module) {
    let values: Vec<TableId> = module
        .tables
        .iter()
        .filter(|table| table.element_ty == RefType::EXTERNREF)
        .map(walrus::Table::id)
        .collect();
    for (_, function) in module.funcs.iter_local_mut() {
        let mut tables = TablesUsed::default();
        walrus::ir::dfs_in_order(&mut tables, function, function.entry_block());
        if tables.0.iter().any(|table| values.contains(table)) {
            let entry = function.entry_block();
            let body = &mut function.block_mut(entry).instrs;
            body.clear();
            body.push((
                walrus::ir::Unreachable {}.into(),
                walrus::ir::InstrLocId::default(),
            ));
        }
    }
}

/// The tables that a function's instructions name.
#[derive(Default)]
struct TablesUsed(Vec<TableId>);

impl<'module> Visitor<'module> for TablesUsed {
    fn visit_table_id(&mut self, table: &TableId) {
        self.0.push(*table);
    }
}

/// Takes away what neither the host nor the glue calls.
fn keep_the_door(module: &mut walrus::Module) {
    let door = |name: &str| {
        matches!(
            name,
            "memory"
                | "handle"
                | "panic_message"
                | "__wbindgen_malloc"
                | "__wbindgen_free"
                | "__wbindgen_start"
        )
    };
    let others: Vec<_> = module
        .exports
        .iter()
        .filter(|export| !door(&export.name))
        .map(|export| export.id())
        .collect();
    for export in others {
        module.exports.delete(export);
    }
}

/// Reads the finished bytes once more: what counts is what is shipped.
fn check_no_import(wasm: &[u8]) -> Result<()> {
    let module = walrus::Module::from_buffer(wasm).context("reading the sealed module back")?;
    let left: Vec<String> = module
        .imports
        .iter()
        .map(|import| format!("{}.{}", import.module, import.name))
        .collect();
    if left.is_empty() {
        Ok(())
    } else {
        bail!("the sealed module imports {}", left.join(", "))
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}
