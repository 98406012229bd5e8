//! Test vectors that are kept in files: compared with what the code makes, and written anew by `cargo xtask vectors`.

use std::path::Path;
use std::{env, fs};

/// Compares `text` with the file at `path`, or writes it there where `WARDROUND_VECTORS` is `write`.
///
/// # Panics
///
/// If they differ, and if there is no such file.
pub fn compare(path: &Path, text: &str) {
    let name = path.display();
    if env::var("WARDROUND_VECTORS").is_ok_and(|mode| mode == "write") {
        fs::write(path, text).unwrap_or_else(|error| panic!("writing {name}: {error}"));
    }
    let kept = fs::read_to_string(path).unwrap_or_else(|error| panic!("reading {name}: {error}"));
    assert!(
        kept == text,
        "{name} is not what the code makes: if that is meant, `cargo xtask vectors`"
    );
}
