//! Copies of the sources: what git tracks, as it is in the working tree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{output, root};

/// Makes the folder `to` a copy of the sources. Files that are the same already are left alone, so that what was built of
/// them before is still up to date; files that are not of the sources are removed.
///
/// # Errors
///
/// No git, and a disk that does not do as it is told.
pub(crate) fn mirror(to: &Path) -> Result<()> {
    let wanted = tracked()?;
    for file in present(to, Path::new(""))? {
        if !wanted.contains(&file) {
            let path = to.join(&file);
            std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    for file in wanted {
        let (from, to) = (root().join(&file), to.join(&file));
        let new = std::fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
        if std::fs::read(&to).is_ok_and(|old| old == new) {
            continue;
        }
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("creating {}", folder.display()))?;
        }
        std::fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(())
}

/// The files that git tracks and that are in the working tree.
fn tracked() -> Result<BTreeSet<PathBuf>> {
    let mut list = Command::new("git");
    let files = output(list.args(["ls-files", "-z"]).current_dir(root()))?;
    let files = files.split('\0').filter(|file| !file.is_empty());
    Ok(files
        .map(PathBuf::from)
        .filter(|file| root().join(file).is_file())
        .collect())
}

/// The files in a folder under `top`, named from there.
fn present(top: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let path = top.join(folder);
    if !path.exists() {
        return Ok(files);
    }
    for entry in std::fs::read_dir(&path).with_context(|| format!("reading {}", path.display()))? {
        let entry = entry?;
        let name = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            files.extend(present(top, &name)?);
        } else {
            files.push(name);
        }
    }
    Ok(files)
}
