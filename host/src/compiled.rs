//! Compiled modules, kept on disk: compiling takes seconds, and every command needs it.
//!
//! ```text
//! ~/.cache/wardround/<digest of module>    SHA-256 of what follows (32) ‖ machine code, as wasmtime serialises it
//! ```
//!
//! Machine code that is loaded is trusted like this program itself, so it is loaded only from a file of this user that
//! nobody else can read or change, in such a folder, and only if its checksum holds; wasmtime checks that it was made by
//! the same version with the same settings. Otherwise the module is compiled anew.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use protocol::id::Digest;
use wasmtime::{Engine, Module};

use crate::durable;

/// Whether compiled modules are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiled {
    /// Each module is compiled when it is loaded.
    Anew,
    /// In this folder, which belongs to this user alone.
    In(PathBuf),
}

impl Compiled {
    /// In the user's cache folder; nowhere, where there is none.
    #[must_use]
    pub fn of_user() -> Self {
        let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
        let caches = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(home);
        caches
            .filter(|caches| caches.is_absolute())
            .map_or(Self::Anew, |caches| Self::In(caches.join("wardround")))
    }

    /// The module in `bytes`: as compiled before, or compiled and kept.
    pub(crate) fn module(
        &self,
        engine: &Engine,
        bytes: &[u8],
        digest: Digest,
    ) -> wasmtime::Result<Module> {
        let Self::In(folder) = self else {
            return Module::new(engine, bytes);
        };
        let path = folder.join(digest.to_string());
        if let Some(module) = kept(folder, &path).and_then(|code| load(engine, &code)) {
            return Ok(module);
        }
        let module = Module::new(engine, bytes)?;
        if let Ok(code) = module.serialize() {
            let file = [Digest::of(&code).0.as_slice(), &code].concat();
            // Without room for it, the next start is slower.
            let _ = durable::create_folder(folder).and_then(|()| durable::replace(&path, &file));
        }
        Ok(module)
    }
}

/// The machine code in a file that only this user can have written, if it is whole.
fn kept(folder: &Path, path: &Path) -> Option<Vec<u8>> {
    let user = std::fs::metadata("/proc/self").ok()?.uid();
    let is_ours = |metadata: &Metadata| metadata.uid() == user && metadata.mode() & 0o077 == 0;
    let metadata = [folder, path].map(|path| std::fs::symlink_metadata(path).ok());
    let [Some(of_folder), Some(of_file)] = metadata else {
        return None;
    };
    if !of_folder.is_dir() || !of_file.is_file() || !is_ours(&of_folder) || !is_ours(&of_file) {
        return None;
    }
    let bytes = durable::read(path).ok()?;
    let (sum, code) = bytes.split_first_chunk::<32>()?;
    (Digest::of(code).0 == *sum).then(|| code.to_vec())
}

#[expect(
    unsafe_code,
    reason = "wasmtime cannot check machine code, only who made it"
)]
fn load(engine: &Engine, code: &[u8]) -> Option<Module> {
    // SAFETY: `kept` gave the bytes: a file that nobody but this user could write, which this program writes from
    // `Module::serialize` alone, and whose checksum holds. wasmtime refuses another version's or other settings'.
    unsafe { Module::deserialize(engine, code) }.ok()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn bytes() -> Vec<u8> {
        wat::parse_str(r#"(module (func (export "answer") (result i32) (i32.const 42)))"#).unwrap()
    }

    #[test]
    fn a_module_is_compiled_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("wardround");
        let (compiled, digest) = (Compiled::In(folder.clone()), Digest::of(&bytes()));
        let engine = Engine::default();
        let path = folder.join(digest.to_string());
        assert!(kept(&folder, &path).is_none());
        compiled.module(&engine, &bytes(), digest).unwrap();
        assert!(kept(&folder, &path).is_some_and(|code| load(&engine, &code).is_some()));
        assert_eq!(
            compiled
                .module(&engine, &bytes(), digest)
                .unwrap()
                .exports()
                .count(),
            1
        );
    }

    #[test]
    fn what_others_could_have_written_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("wardround");
        let (compiled, digest) = (Compiled::In(folder.clone()), Digest::of(&bytes()));
        compiled
            .module(&Engine::default(), &bytes(), digest)
            .unwrap();
        let path = folder.join(digest.to_string());
        for (exposed, wide, private) in [(&path, 0o644, 0o600), (&folder, 0o755, 0o700)] {
            std::fs::set_permissions(exposed, Permissions::from_mode(wide)).unwrap();
            assert!(kept(&folder, &path).is_none());
            std::fs::set_permissions(exposed, Permissions::from_mode(private)).unwrap();
            assert!(kept(&folder, &path).is_some());
        }
        let mut file = durable::read(&path).unwrap();
        let last = file.len() - 1;
        file[last] ^= 1;
        std::fs::write(&path, &file).unwrap();
        assert!(kept(&folder, &path).is_none());
        std::fs::write(&path, b"short").unwrap();
        assert!(kept(&folder, &path).is_none());
        // It is compiled anew, and kept again.
        compiled
            .module(&Engine::default(), &bytes(), digest)
            .unwrap();
        assert!(kept(&folder, &path).is_some());
    }
}
