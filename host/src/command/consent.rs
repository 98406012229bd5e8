//! A person's yes.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, Result, bail};

/// Asks a person, who has just read what it is about.
pub(super) fn ask(question: &str, out: &mut dyn Write) -> Result<()> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        bail!("nobody is there to ask: approve with --yes once a person has read the above");
    }
    write!(out, "{question} Type yes: ")?;
    out.flush()?;
    let mut answer = String::new();
    stdin
        .lock()
        .read_line(&mut answer)
        .context("reading the answer")?;
    if answer.trim() == "yes" {
        Ok(())
    } else {
        bail!("not approved")
    }
}
