//! What a study's last layer is given of each made-up patient, as CSV: so that another program can train the same layer
//! on the same numbers.
//!
//! `cargo run --package synthetic --example features -- --draft DRAFT [--weights FILE] --hospitals N --patients N --seed N
//! --out FILE`
//!
//! The hospitals are those of `host synth`, made here: no file of patients is read, so no real patient can be in the
//! table. The encoder is the draft's with the public weights, on which training has changed nothing. A line a patient:
//! `split` (`train`, `tuning` or `held_out`), `label` (the index of the class), then the features.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cohort::File;
use cohort::{Normaliser, Patients, split};
use learning::model::{Batch, Network};
use protocol::codec;
use protocol::door::{BadRows, Role};
use protocol::id::Digest;
use protocol::study::{Cohort, Model, Normalisation};
use protocol::weights::Weights;
use synthetic::{Hospital, Settings, synthesise};

fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let draft = std::fs::read_to_string(&arguments.draft)
        .with_context(|| format!("reading {}", arguments.draft.display()))?;
    let weights = arguments.weights.as_deref().map(read_weights).transpose()?;
    let encoder = Encoder::of(&draft, weights.as_ref())?;
    let mut table = encoder.head();
    for hospital in synthesise(arguments.settings) {
        let name = hospital.name.clone();
        table += &encoder
            .lines(hospital)
            .with_context(|| format!("the features of {name}"))?;
    }
    std::fs::write(&arguments.out, table)
        .with_context(|| format!("writing {}", arguments.out.display()))
}

/// What the command line says.
struct Arguments {
    draft: PathBuf,
    weights: Option<PathBuf>,
    settings: Settings,
    out: PathBuf,
}

impl Arguments {
    fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let words: Vec<String> = words.collect();
        let mut given = BTreeMap::new();
        for pair in words.chunks(2) {
            match pair {
                [name, value] if NAMES.contains(&name.as_str()) => {
                    given.insert(name.as_str(), value.as_str());
                }
                _ => bail!("`{}`: known are {}", pair.join(" "), NAMES.join(", ")),
            }
        }
        let of = |name| {
            given
                .get(name)
                .copied()
                .with_context(|| format!("{name} is not given"))
        };
        Ok(Self {
            draft: of("--draft")?.into(),
            weights: given.get("--weights").map(PathBuf::from),
            settings: Settings::new(
                of("--hospitals")?.parse().context("--hospitals")?,
                of("--patients")?.parse().context("--patients")?,
                MONTHS,
                of("--seed")?.parse().context("--seed")?,
            )?,
            out: of("--out")?.into(),
        })
    }
}

const NAMES: [&str; 6] = [
    "--draft",
    "--weights",
    "--hospitals",
    "--patients",
    "--seed",
    "--out",
];

/// The default of `host synth`.
const MONTHS: u32 = 6;

fn read_weights(path: &Path) -> Result<Weights> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    codec::decode(&bytes).with_context(|| format!("reading {}", path.display()))
}

/// A draft's model before training, and what it is given.
struct Encoder {
    cohort: Cohort,
    network: Network,
    weights: Vec<f32>,
    normaliser: Normaliser,
}

impl Encoder {
    fn of(draft: &str, file: Option<&Weights>) -> Result<Self> {
        let draft: toml::Table = draft.parse().context("reading the draft")?;
        let part = |name: &str| {
            draft
                .get(name)
                .and_then(toml::Value::as_table)
                .cloned()
                .with_context(|| format!("the draft has no table [{name}]"))
        };
        let cohort: Cohort = part("cohort")?.try_into().context("the table [cohort]")?;
        let mut model = part("model")?;
        // A draft leaves it to `host compose`, and nothing here looks at it.
        model.insert("parameters".to_owned(), toml::Value::Integer(0));
        let model: Model = model.try_into().context("the table [model]")?;
        ensure!(
            cohort.normalisation == Normalisation::Reference,
            "the draft shares its normalisation among sites: the features are known after its first round only"
        );
        ensure!(
            cohort.labels_per_patient == 1,
            "the draft's patients have several labels: a line of the table would be no patient"
        );
        let network = Network::new(&cohort, &model)?;
        let weights = match file {
            Some(file) => network.start(file, model.initial_seed)?,
            None => network.initial(model.initial_seed),
        };
        let normaliser = Normaliser::new(&cohort, &cohort::reference(&cohort))?;
        Ok(Self {
            cohort,
            network,
            weights,
            normaliser,
        })
    }

    /// The table's first line.
    fn head(&self) -> String {
        let features = (0..self.network.width()).map(|feature| format!(",feature {feature}"));
        format!("split,label{}\n", features.collect::<String>())
    }

    /// The lines of a hospital's patients.
    fn lines(&self, hospital: Hospital) -> Result<String> {
        let patients = self.prepare(hospital)?;
        let places: Vec<usize> = (0..patients.len()).collect();
        let values = self.normaliser.apply(&patients, &places);
        let batch = Batch {
            values: &values.values,
            missing: &values.missing,
        };
        let features = self.network.embeddings(&self.weights, batch)?;
        let mut lines = String::new();
        let rows = features.chunks_exact(self.network.width());
        for ((row, split), label) in rows.zip(patients.splits()).zip(patients.labels()) {
            let _ = write!(lines, "{},{label}", split::name(*split));
            for feature in row {
                let _ = write!(lines, ",{feature}");
            }
            lines.push('\n');
        }
        Ok(lines)
    }

    fn prepare(&self, hospital: Hospital) -> Result<Patients> {
        let file = |name: &str, role, bytes: Vec<u8>| File {
            name: name.to_owned(),
            role,
            bytes,
        };
        let files = [
            file("events", Role::Events, hospital.events),
            file("labels", Role::Labels, hospital.labels),
            file("splits", Role::Splits, hospital.splits),
        ];
        // A study's digest splits patients where no file does.
        let study = Digest::of(b"features");
        Ok(cohort::prepare(&self.cohort, &study, &files, BadRows::Stop)?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINEAR: &str = include_str!("../../../studies/readmission.toml");
    const TRANSFORMER: &str = include_str!("../../../studies/readmission-transformer.toml");

    fn hospital() -> Hospital {
        let settings = Settings::new(3, 20, MONTHS, 1).unwrap();
        synthesise(settings).next().unwrap()
    }

    #[test]
    fn a_patient_is_a_line_of_split_label_and_as_many_numbers_as_the_head_takes() {
        for (draft, width) in [(LINEAR, 118), (TRANSFORMER, 16)] {
            let encoder = Encoder::of(draft, None).unwrap();
            assert_eq!(encoder.head().split(',').count(), 2 + width);
            let lines = encoder.lines(hospital()).unwrap();
            assert_eq!(lines.lines().count(), 20);
            for line in lines.lines() {
                let cells: Vec<&str> = line.split(',').collect();
                assert!(["train", "held_out"].contains(&cells[0]), "{line}");
                assert!(cells[1].parse::<u8>().unwrap() < 3);
                let numbers = cells[2..].iter().map(|cell| cell.parse::<f32>().unwrap());
                assert_eq!(numbers.filter(|number| number.is_finite()).count(), width);
            }
        }
    }

    #[test]
    fn a_head_trained_elsewhere_says_of_a_line_what_the_network_says_of_the_patient() {
        let mut encoder = Encoder::of(TRANSFORMER, None).unwrap();
        let head = encoder.network.blocks().iter();
        let head = head.filter(|block| block.name == "head.weight");
        let range = head.map(|block| block.range.clone()).next().unwrap();
        encoder.weights[range].fill(0.25);
        let patients = encoder.prepare(hospital()).unwrap();
        let values = encoder.normaliser.apply(&patients, &[0]);
        let batch = Batch {
            values: &values.values,
            missing: &values.missing,
        };
        let logits = encoder.network.logits(&encoder.weights, batch).unwrap();
        let lines = encoder.lines(hospital()).unwrap();
        let cells = lines.lines().next().unwrap().split(',').skip(2);
        let score: f64 = cells.map(|cell| 0.25 * cell.parse::<f64>().unwrap()).sum();
        // The first threshold of three classes starts at -ln 2.
        let want = -(2.0_f64.ln()) - score;
        assert!((f64::from(logits[0]) - want).abs() < 1e-4, "{logits:?}");
    }

    #[test]
    fn drafts_whose_lines_would_be_something_else_are_refused() {
        let shared = LINEAR.replace("\"reference\"", "\"shared\"");
        assert!(Encoder::of(&shared, None).is_err());
        let several = LINEAR.replace("[cohort]", "[cohort]\nlabels-per-patient = 2");
        assert!(Encoder::of(&several, None).is_err());
    }

    #[test]
    fn arguments_without_a_value_or_a_known_name_are_refused() {
        let parse = |words: &[&str]| Arguments::parse(words.iter().map(|word| (*word).to_owned()));
        let mut words = [
            "--draft",
            "d",
            "--hospitals",
            "3",
            "--patients",
            "20",
            "--seed",
            "1",
            "--out",
            "o",
        ];
        assert!(parse(&words).is_ok_and(|given| given.weights.is_none()));
        assert!(parse(&words[..9]).is_err());
        assert!(parse(&words[2..]).is_err());
        words[0] = "--data";
        assert!(parse(&words).is_err());
    }
}
