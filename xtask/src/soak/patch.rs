//! A patch that takes a defence out: `docs/threats/<name>.patch`.
//!
//! ```text
//! # test: <the test that must then fail> · command: cargo test …
//! diff --git …
//! ```

use anyhow::{Context, Result, ensure};

/// A patch and what it is to make fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Its name: that of its file, without the ending.
    pub(crate) name: String,
    /// The test that must fail with it.
    pub(crate) test: String,
    /// The arguments of cargo that run the test.
    pub(crate) command: Vec<String>,
}

impl Patch {
    /// Reads what the first line of the patch `name` says.
    ///
    /// # Errors
    ///
    /// A first line that is not as above.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self> {
        let line = text.lines().next().unwrap_or_default();
        let parsed = line
            .strip_prefix("# test: ")
            .and_then(|line| line.split_once(" · command: cargo "));
        let (test, command) = parsed.with_context(|| {
            format!("docs/threats/{name}.patch begins with `{line}`; want `# test: NAME · command: cargo test …`")
        })?;
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        ensure!(
            command.first().is_some_and(|first| first == "test"),
            "docs/threats/{name}.patch has the command `cargo {}`; want `cargo test …`",
            command.join(" ")
        );
        Ok(Self {
            name: name.to_owned(),
            test: test.trim().to_owned(),
            command,
        })
    }

    /// The command that only builds the test.
    pub(crate) fn build(&self) -> Vec<String> {
        let end = self.command.iter().position(|word| word == "--");
        let mut build = self.command[..end.unwrap_or(self.command.len())].to_vec();
        build.push("--no-run".to_owned());
        build
    }

    /// What a run of the test came to, by what it printed; `None` where the test was not run.
    pub(crate) fn outcome(&self, printed: &str) -> Option<Outcome> {
        let lines = printed
            .lines()
            .filter_map(|line| line.strip_prefix("test "));
        let ours = lines.filter_map(|line| line.split_once(" ... "));
        let mut ours = ours.filter(|(path, _)| {
            let name = path.trim_end_matches(" - should panic");
            name.rsplit("::").next() == Some(self.test.as_str())
        });
        ours.find_map(|(_, word)| match word.trim() {
            "ok" => Some(Outcome::Passed),
            "FAILED" => Some(Outcome::Failed),
            _ => None,
        })
    }
}

/// What a run of a test came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
}

/// The names of the patches that a page names, in order, each once.
pub(crate) fn named(page: &str) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let parts = rows.flat_map(|row| row.split("threats/").skip(1));
    let names = parts.filter_map(|part| part.split_once(".patch"));
    let mut unique: Vec<String> = Vec::new();
    for (name, _) in names {
        if !unique.iter().any(|known| known == name) {
            unique.push(name.to_owned());
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# test: a_lie_is_refused · command: cargo test --package host --test it -- a_lie\ndiff --git a/x b/x\n";

    #[test]
    fn the_first_line_says_test_and_command() {
        let patch = Patch::parse("lie", TEXT).unwrap();
        assert_eq!(patch.test, "a_lie_is_refused");
        assert_eq!(
            patch.build(),
            ["test", "--package", "host", "--test", "it", "--no-run"]
        );
        for bad in [
            "",
            "diff --git",
            "# test: x · command: rm -r",
            "# test: x · command: cargo run",
        ] {
            assert!(Patch::parse("lie", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_named_test_counts() {
        let patch = Patch::parse("lie", TEXT).unwrap();
        let of = |printed: &str| patch.outcome(printed);
        assert_eq!(of("test a_lie_is_refused ... ok\n"), Some(Outcome::Passed));
        assert_eq!(
            of("test it::a_lie_is_refused ... FAILED\n"),
            Some(Outcome::Failed)
        );
        assert_eq!(of("test another_a_lie_is_refused ... FAILED\n"), None);
        assert_eq!(of("error: could not compile\n"), None);
        assert_eq!(of("test a_lie_is_refused ... ignored\n"), None);
    }

    #[test]
    fn a_page_names_patches_in_its_rows() {
        let page = "see threats/none.patch\n| a | b | `t`, [out](threats/one.patch) |\n| c | `docs/threats/two.patch` | `t` |\n| c | `threats/one.patch` | `t` |\n";
        assert_eq!(named(page), ["one", "two"]);
    }
}
