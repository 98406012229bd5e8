//! libFuzzer's program for every target: `--list`, or `--target=NAME [--seeds=FOLDER] [libFuzzer's flags and folders]`.
//!
//! libFuzzer passes over flags that begin with two hyphens. `cargo xtask fuzz` builds and calls it.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use fuzz::Counting;
use fuzz::target::Target;
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fuzz_target!(
    init: {
        begin();
    },
    |input: &[u8]| {
        TARGET.get().expect("libFuzzer begins before it runs").run(input);
    }
);

/// Finds the target, and writes its seeds where they are wanted.
fn begin() {
    if std::env::args().any(|argument| argument == "--list") {
        list();
    }
    let name = flag("--target=").expect("--target=NAME says what to fuzz");
    let target = Target::find(&name).expect("--target names a target");
    let seeds = target.seeds();
    if let Some(folder) = flag("--seeds=") {
        write(Path::new(&folder), &seeds).expect("seeds can be written");
    }
    TARGET.set(target).expect("libFuzzer begins once");
}

#[expect(
    clippy::exit,
    clippy::print_stdout,
    reason = "libFuzzer's main would go on to fuzz"
)]
fn list() -> ! {
    Target::ALL
        .iter()
        .for_each(|target| println!("{}", target.name));
    std::process::exit(0)
}

fn write(folder: &Path, seeds: &[Vec<u8>]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number:02}")), seed)?;
    }
    Ok(())
}

fn flag(name: &str) -> Option<String> {
    std::env::args().find_map(|argument| argument.strip_prefix(name).map(str::to_owned))
}
