//! `cargo xtask bench import`: rows per second of a long table that becomes MEDS events, ours and the peers'; and how much
//! memory a site needs for many events.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testkit::Dice;

use super::{Extent, Values, json_lines, line};
use crate::figures::Figures;
use crate::peer_files;
use crate::shell::{output, root, say, show, target};
use crate::trial::Built;

/// Rows of the table.
const ROWS: u64 = 2_000_000;
/// With `--full`: 5 GB.
const MANY: u64 = 125_000_000;
/// What MEDS-extract is given at most: it takes a few minutes.
const MOST_FOR_MEDS_EXTRACT: u64 = ROWS;
/// The module's memory: all that WebAssembly can address.
const MEMORY_MIB: &str = "4096";

const MAP: &str = r#"
subject = { column = "patient" }
event = { time = "when", code = "what", value = "result" }
"#;

const LABELS_MAP: &str = r#"
subject = { column = "patient" }
prediction = { column = "when" }
label = { column = "class", class = "integer" }
"#;

const DRAFT: &str = r#"
[cohort]
history-days = 364
classes = ["no", "yes"]
normalisation = "reference"
split = { train = 0.8, tuning = 0.0 }

[[cohort.modality]]
name = "vitals"
shape.series = { bin-days = 7, bins-per-token = 4 }
feature = [
  { code = "LOINC//8867-4", name = "heart rate", unit = "/min", low = 20, high = 250, mean = 75, sd = 25 },
  { code = "LOINC//8480-6", name = "systolic", unit = "mm[Hg]", low = 20, high = 260, mean = 75, sd = 25 },
  { code = "LOINC//8462-4", name = "diastolic", unit = "mm[Hg]", low = 20, high = 160, mean = 75, sd = 25 },
]
"#;

/// Codes of a study, and others.
const CODES: [&str; 8] = [
    "LOINC//8867-4",
    "LOINC//8480-6",
    "LOINC//8462-4",
    "LOINC//59408-5",
    "LOINC//2951-2",
    "LOINC//2160-0",
    "ICD10CM//I50.9",
    "WARD//12",
];

/// Measures and prints.
pub(super) fn run(extent: Extent, figures: &mut Figures) -> Result<()> {
    let built = Built::now()?;
    let folder = target().join("import");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("removing the last run")?;
    }
    std::fs::create_dir_all(&folder).context("making a folder")?;
    let rows = match extent {
        Extent::Usual => ROWS,
        Extent::Full => MANY,
    };
    let bench = Bench {
        host: built.programs.host,
        module: built.programs.module,
        table: folder.join("table.csv"),
        folder,
        rows,
    };
    bench.write_tables()?;
    bench.ours(figures)?;
    bench.peers(figures)?;
    std::fs::remove_dir_all(&bench.folder).context("removing the tables")
}

struct Bench {
    host: PathBuf,
    module: PathBuf,
    folder: PathBuf,
    table: PathBuf,
    rows: u64,
}

impl Bench {
    /// A table of events, not in the order of patients, and one of labels.
    fn write_tables(&self) -> Result<()> {
        say(&format!("writing a table of {} rows", self.rows));
        let mut table = BufWriter::new(File::create(&self.table)?);
        table.write_all(b"patient,when,what,result\n")?;
        let patients = u32::try_from((self.rows / 1_000).max(1_000))?;
        let mut dice = Dice::new(1);
        let mut line = String::new();
        for _ in 0..self.rows {
            let (patient, day) = (1 + dice.below(patients), dice.below(1_460));
            let (year, month, day) = (2020 + day / 365, 1 + day % 365 / 31, 1 + day % 28);
            let (hour, minute, second) = (dice.below(24), dice.below(60), dice.below(60));
            let code = dice.one_of(&CODES);
            let (value, tenth) = (30 + dice.below(90), dice.below(10));
            line.clear();
            writeln!(
                line,
                "{patient},{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02},{code},{value}.{tenth}"
            )?;
            table.write_all(line.as_bytes())?;
        }
        table.flush()?;
        let mut labels = BufWriter::new(File::create(self.folder.join("labels.csv"))?);
        labels.write_all(b"patient,when,class\n")?;
        for patient in 1..=patients {
            writeln!(labels, "{patient},2024-01-01,{}", patient % 2)?;
        }
        labels.flush()?;
        std::fs::write(self.folder.join("map.toml"), MAP)?;
        std::fs::write(self.folder.join("labels.toml"), LABELS_MAP)?;
        std::fs::write(self.folder.join("draft.toml"), DRAFT)?;
        Ok(())
    }

    /// Imports the table, then looks at what was imported.
    fn ours(&self, figures: &mut Figures) -> Result<()> {
        let measured = self.import("table.csv", "map.toml")?;
        self.record(figures, "import, ours", &measured);
        self.import("labels.csv", "labels.toml")?;
        let mut check = self.host(&["data", "check", "--data", "data"]);
        check.args(["--study", "draft.toml"]);
        let measured = measured_run(&mut check)?;
        self.record(figures, "read by a study, ours", &measured);
        Ok(())
    }

    fn import(&self, table: &str, map: &str) -> Result<Measured> {
        let mut import = self.host(&["import", "csv", table, "--map", map, "--out", "data"]);
        measured_run(&mut import)
    }

    fn host(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.host);
        command.current_dir(&self.folder).args(arguments);
        command.arg("--module").arg(&self.module);
        command.args(["--memory-mib", MEMORY_MIB]);
        command
    }

    fn record(&self, figures: &mut Figures, name: &str, measured: &Measured) {
        let values: Values = [
            ("rows", json!(self.rows)),
            (
                "rows_per_second",
                json!(self.rows as f64 / measured.seconds),
            ),
            ("seconds", json!(measured.seconds)),
            ("memory_mib", json!(measured.memory_mib)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect();
        show(&line(name, &values));
        figures.record(name, values);
    }

    /// The same table by polars and by MEDS-extract.
    fn peers(&self, figures: &mut Figures) -> Result<()> {
        for (way, most) in [
            ("polars", u64::MAX),
            ("meds-extract", MOST_FOR_MEDS_EXTRACT),
        ] {
            if self.rows > most {
                show(&format!(
                    "{way} left out: the table has more than {most} rows"
                ));
                continue;
            }
            let Some(python) = peer_files::python()? else {
                return Ok(());
            };
            say(&format!("importing the table by {way}"));
            let mut command = Command::new(python);
            command
                .arg(root().join("xtask/peers/import_table.py"))
                .arg(way);
            command.arg(&self.table).arg(self.folder.join(way));
            let lines: Vec<Values> = json_lines(&output(&mut command)?)?;
            let values = lines
                .into_iter()
                .next()
                .context("the script prints a line")?;
            let number = |name: &str| values.get(name).and_then(serde_json::Value::as_f64);
            ensure!(
                number("rows") == Some(self.rows as f64),
                "{way} lost rows: {values:?}"
            );
            let measured = Measured {
                seconds: number("seconds").context("seconds")?,
                memory_mib: number("memory_mib").context("memory_mib")?,
            };
            self.record(figures, &format!("import, {way}"), &measured);
        }
        Ok(())
    }
}

/// What a run took.
struct Measured {
    seconds: f64,
    /// The most that was resident.
    memory_mib: f64,
}

/// Runs a command, and looks at its memory while it runs.
fn measured_run(command: &mut Command) -> Result<Measured> {
    let begin = Instant::now();
    let output = command.stdout(std::process::Stdio::null());
    let mut child = output.spawn().context("starting the host")?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut memory_mib = 0.0_f64;
    loop {
        memory_mib = memory_mib.max(resident(&status).unwrap_or(0.0));
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "the host failed: {status}");
            return Ok(Measured {
                seconds: begin.elapsed().as_secs_f64(),
                memory_mib,
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The most memory that was resident so far, in MiB.
fn resident(status: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1_024.0)
}
