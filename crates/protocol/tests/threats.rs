//! `docs/THREATS.md` names a test for each attack, and for some a patch that takes the defence out: each of them is there.
//!
//! That a test fails with its patch is checked by `cargo xtask soak --only threats`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The last column of every row of a table, without the heads.
fn named(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let last = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    let names = last.flat_map(|cell| cell.split(',')).map(str::trim);
    let names = names.filter_map(|name| name.strip_prefix('`')?.strip_suffix('`'));
    let tests = names.filter(|name| !name.ends_with(".patch"));
    tests.map(str::to_owned).collect()
}

/// All Rust sources of the workspace, one after the other.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            text += &sources(&path);
        } else if name.ends_with(".rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

#[test]
fn every_attack_of_the_page_is_tried() {
    let page = fs::read_to_string(root().join("docs/THREATS.md")).unwrap();
    let named = named(&page);
    assert!(named.len() > 40, "the page has rows: {named:?}");
    let sources = sources(&root());
    let missing: Vec<&String> = named
        .iter()
        .filter(|name| !sources.contains(&format!("fn {name}(")))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

/// The patches that rows of the page name, each with its row.
fn patches(page: &str) -> Vec<(&str, &str)> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let parts = rows.flat_map(|row| row.split("threats/").skip(1).map(move |part| (part, row)));
    let names = parts.filter_map(|(part, row)| Some((part.split_once(".patch")?.0, row)));
    names.collect()
}

#[test]
fn every_patch_of_the_page_names_a_test_of_its_row_and_fits_the_sources() {
    let page = fs::read_to_string(root().join("docs/THREATS.md")).unwrap();
    let patches = patches(&page);
    assert!(!patches.is_empty(), "the page names patches");
    for (name, row) in patches {
        let path = root().join(format!("docs/threats/{name}.patch"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let line = text.lines().next().unwrap_or_default();
        let test = line
            .strip_prefix("# test: ")
            .and_then(|line| line.split_once(" · "));
        let (test, command) = test.unwrap_or_else(|| panic!("{name} begins with `{line}`"));
        assert!(
            row.contains(&format!("`{test}`")),
            "{name}: {test} is not of its row"
        );
        assert!(
            command.starts_with("command: cargo test "),
            "{name}: {command}"
        );
        let mut git = Command::new("git");
        let checked = git
            .args(["apply", "--check"])
            .arg(&path)
            .current_dir(root())
            .output();
        let checked = checked.unwrap();
        assert!(
            checked.status.success(),
            "{name} does not fit the sources: {}",
            String::from_utf8_lossy(&checked.stderr)
        );
    }
}

#[test]
fn every_patch_is_named_by_the_page() {
    let page = fs::read_to_string(root().join("docs/THREATS.md")).unwrap();
    let named: BTreeSet<&str> = patches(&page).into_iter().map(|(name, _)| name).collect();
    for entry in fs::read_dir(root().join("docs/threats")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.strip_suffix(".patch");
        assert!(
            name.is_some_and(|name| named.contains(name)),
            "no row names {file}"
        );
    }
}
