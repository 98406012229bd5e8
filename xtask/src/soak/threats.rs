//! Every defence that `docs/THREATS.md` names a patch for is taken out, alone, in a copy of the sources: the row's test must
//! then fail. A test that does not is no test of that defence.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::patch::{Outcome, Patch, named};
use crate::shell::{cargo, root, run, say, show, target};
use crate::sources;

/// Takes out one defence after the other.
///
/// # Errors
///
/// A patch that does not apply or does not compile, a test that is not there or fails without the patch, and, once all
/// were tried, the tests that passed without their defence.
pub(crate) fn run_all() -> Result<()> {
    let patches = patches()?;
    let bench = Bench::new()?;
    let mut tried = BTreeSet::new();
    for patch in patches.iter().filter(|patch| tried.insert(&patch.command)) {
        let outcome = bench.outcome(patch)?;
        ensure!(
            outcome == Outcome::Passed,
            "{}: {} fails with the defence in place: mend it first",
            patch.name,
            patch.test
        );
    }
    let mut toothless = Vec::new();
    for patch in &patches {
        let start = Instant::now();
        let outcome = bench.without(patch)?;
        let word = match outcome {
            Outcome::Failed => "fails, as it must",
            Outcome::Passed => "PASSES",
        };
        show(&format!(
            "without {}: {} {word} ({:.0} s)",
            patch.name,
            patch.test,
            start.elapsed().as_secs_f64()
        ));
        if outcome == Outcome::Passed {
            toothless.push(patch.name.as_str());
        }
    }
    ensure!(
        toothless.is_empty(),
        "tests that pass without their defence: {}; see docs/threats",
        toothless.join(", ")
    );
    Ok(())
}

/// The patches that the page names.
fn patches() -> Result<Vec<Patch>> {
    let docs = root().join("docs");
    let page = read(&docs.join("THREATS.md"))?;
    let names = named(&page);
    ensure!(!names.is_empty(), "docs/THREATS.md names no patch");
    let read = |name: String| {
        let text = read(&docs.join("threats").join(format!("{name}.patch")))?;
        Patch::parse(&name, &text)
    };
    names.into_iter().map(read).collect()
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// A copy of the sources, with build results of its own.
struct Bench {
    sources: PathBuf,
    target: PathBuf,
}

impl Bench {
    fn new() -> Result<Self> {
        let folder = target().join("threats");
        let bench = Self {
            sources: folder.join("sources"),
            target: folder.join("target"),
        };
        sources::mirror(&bench.sources)?;
        Ok(bench)
    }

    /// What the patch's test comes to with the patch; the copy is afterwards as before.
    fn without(&self, patch: &Patch) -> Result<Outcome> {
        self.apply(patch, "--apply")?;
        let outcome = self.outcome(patch);
        self.apply(patch, "--reverse")?;
        outcome
    }

    fn apply(&self, patch: &Patch, how: &str) -> Result<()> {
        let file = format!("docs/threats/{}.patch", patch.name);
        let mut git = Command::new("git");
        git.args(["apply", how])
            .arg(file)
            .current_dir(&self.sources);
        // The copy lies inside of a repository, but is none of its folders.
        git.env(
            "GIT_CEILING_DIRECTORIES",
            self.sources.parent().unwrap_or(Path::new("/")),
        );
        run(&mut git).with_context(|| {
            format!(
                "docs/threats/{}.patch does not fit the sources: make it anew from them",
                patch.name
            )
        })
    }

    /// Builds and runs the patch's test.
    fn outcome(&self, patch: &Patch) -> Result<Outcome> {
        run(self.cargo().args(patch.build())).with_context(|| {
            format!(
                "building the test of {}: what does not compile shows nothing",
                patch.name
            )
        })?;
        let output = self
            .cargo()
            .args(&patch.command)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("running the test of {}", patch.name))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let Some(outcome) = patch.outcome(&printed) else {
            say(&printed);
            bail!(
                "{}: `cargo {}` did not run the test {}",
                patch.name,
                patch.command.join(" "),
                patch.test
            );
        };
        Ok(outcome)
    }

    fn cargo(&self) -> Command {
        let mut command = cargo();
        command
            .current_dir(&self.sources)
            .env("CARGO_TARGET_DIR", &self.target);
        command
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    fn page() -> String {
        read(&root().join("docs/THREATS.md")).unwrap()
    }

    /// The tests in the last column of every row of a table.
    fn tests_of(page: &str) -> BTreeSet<String> {
        let rows = page.lines().filter(|line| line.starts_with('|'));
        let last = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
        let names = last.flat_map(|cell| cell.split(',')).map(str::trim);
        let names = names.filter_map(|name| name.strip_prefix('`')?.strip_suffix('`'));
        let tests = names.filter(|name| !name.ends_with(".patch"));
        tests.map(str::to_owned).collect()
    }

    /// All Rust sources of the workspace, one after the other.
    fn rust(folder: &Path) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                text += &rust(&path);
            } else if name.ends_with(".rs") {
                text += &fs::read_to_string(&path).unwrap();
            }
        }
        text
    }

    #[test]
    fn every_attack_of_the_page_is_tried() {
        let tests = tests_of(&page());
        assert!(tests.len() > 40, "the page has rows: {tests:?}");
        let sources = rust(&root());
        let missing: Vec<&String> = tests
            .iter()
            .filter(|name| !sources.contains(&format!("fn {name}(")))
            .collect();
        assert!(missing.is_empty(), "no such tests: {missing:?}");
    }

    #[test]
    fn every_patch_names_a_test_of_its_row_and_fits_the_sources() {
        let page = page();
        for patch in patches().unwrap() {
            let Patch { name, test, .. } = &patch;
            let names_both = |row: &str| {
                row.contains(&format!("threats/{name}.patch")) && row.contains(&format!("`{test}`"))
            };
            assert!(
                page.lines().any(names_both),
                "{name}: {test} is not of its row"
            );
            let path = root().join(format!("docs/threats/{name}.patch"));
            let mut git = Command::new("git");
            git.args(["apply", "--check"]).arg(&path);
            run(git.current_dir(root())).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        }
    }

    #[test]
    fn every_patch_is_named_by_the_page() {
        let named = named(&page());
        for entry in fs::read_dir(root().join("docs/threats")).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let name = file.strip_suffix(".patch").map(str::to_owned);
            assert!(
                name.is_some_and(|name| named.contains(&name)),
                "no row names {file}"
            );
        }
    }
}
