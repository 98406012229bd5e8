//! Every seed and every input that once went wrong, at its target, without libFuzzer.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use fuzz::Counting;
use fuzz::target::Target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test, since memory is counted for the whole process.
#[test]
fn seeds_and_regressions_do_no_harm() -> Result<()> {
    for target in Target::ALL {
        let seeds = target.seeds();
        ensure!(!seeds.is_empty(), "{} has no seed", target.name);
        for seed in &seeds {
            target.run(seed);
            (0..seed.len().min(40)).for_each(|length| target.run(&seed[..length]));
        }
        for input in kept(&target.regressions())? {
            target.run(&input);
        }
    }
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for entry in kept.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let known = name.to_str().and_then(Target::find).is_some();
        let folder = entry.file_type()?.is_dir();
        ensure!(known || !folder, "no target is named {}", name.display());
    }
    Ok(())
}

/// The files of a folder; none where there is none.
fn kept(folder: &Path) -> Result<Vec<Vec<u8>>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry?.path();
        std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
    };
    folder.read_dir()?.map(read).collect()
}
