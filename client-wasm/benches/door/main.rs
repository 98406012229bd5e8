//! The same requests through the door of the sealed module in wasmtime and of the same code compiled natively, one
//! thread each.
//!
//! `cargo xtask bench` builds the module and runs this; each line is a figure in JSON. `secagg` is a site's part of secure
//! aggregation, everything else is training. The model and the
//! shapes are those of the peers' scripts: 81 tokens, width 32, two layers, 22,467 weights, 1,000 patients.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]

mod secagg;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use client_wasm::handle;
use cohort::File;
use host::compiled::Compiled;
use host::compose::{Draft, Parts};
use host::sandbox::{Allowance, Instance, Sandbox};
use learning::model::{Batch, Network};
use protocol::agreement::Secret;
use protocol::codec;
use protocol::door::{
    BadRows, Describe, Open, Outcomes, Prepare, Prepared, Progress, Request, Response, Role, State,
    Work, ask_with_pieces,
};
use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::identity::Identity;
use protocol::seed::Seed;
use protocol::study::Study;

const PATIENTS: u32 = 1_000;
const REPEATS: usize = 3;
/// What the peers' model has.
const WEIGHTS: usize = 22_467;
/// Hospitals whose memory is measured, by their patients.
const SIZES: [u32; 4] = [1_000, 2_000, 5_000, 10_000];

fn main() -> Result<()> {
    let sandbox = sandbox()?;
    if std::env::args().any(|argument| argument == "secagg") {
        return secagg::measure(&sandbox);
    }
    let study = study()?;
    if std::env::args().any(|argument| argument == "memory") {
        memory(&sandbox, &study)
    } else {
        rates(&sandbox, &study)
    }
}

fn sandbox() -> Result<Sandbox> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let path = target.join("module-out/client.wasm");
    let wasm = std::fs::read(&path)
        .with_context(|| format!("{} is not built: run `cargo xtask bench`", path.display()))?;
    let allowance = Allowance {
        memory_mib: 1_024,
        request_seconds: 600,
    };
    Ok(Sandbox::load(&wasm, allowance, &Compiled::of_user())?)
}

/// How fast, native and in the sandbox turn by turn; and what privacy costs.
fn rates(sandbox: &Sandbox, study: &[u8]) -> Result<()> {
    let hospital = Hospital::new(study, PATIENTS)?;
    let (mut native, mut inside, mut cost) = (Rates::default(), Rates::default(), Cost::default());
    for _ in 0..REPEATS {
        native.keep(Rates::of(&mut Door::Native, &hospital)?);
        let mut door = Door::Sandbox(Box::new(sandbox.instance()?));
        inside.keep(Rates::of(&mut door, &hospital)?);
        cost.keep(Cost::of(study)?);
    }
    for (name, rates) in [("native", native), ("sandbox", inside)] {
        println!(
            "{}",
            serde_json::json!({
                "name": name,
                "threads": 1,
                "patients_per_second": rates.patients,
                "events_per_second": rates.events,
            })
        );
    }
    println!(
        "{}",
        serde_json::json!({
            "name": "cost of privacy",
            "threads": 1,
            "clipped_per_second": cost.clipped,
            "plain_per_second": cost.plain,
            "times_slower": cost.plain / cost.clipped,
        })
    );
    Ok(())
}

/// The module's memory after it has read hospitals of several sizes and trained on them.
fn memory(sandbox: &Sandbox, study: &[u8]) -> Result<()> {
    for patients in SIZES {
        let mut door = Door::Sandbox(Box::new(sandbox.instance()?));
        let prepared = Hospital::new(study, patients)?.prepare(&mut door)?;
        let Door::Sandbox(instance) = &door else {
            bail!("the door is the sandbox's")
        };
        let preparing = instance.memory_bytes();
        // A round has an instance of its own.
        let mut door = Door::Sandbox(Box::new(sandbox.instance()?));
        train(&mut door, study, prepared)?;
        let Door::Sandbox(instance) = door else {
            bail!("the door is the sandbox's")
        };
        println!(
            "{}",
            serde_json::json!({
                "name": "memory",
                "patients": patients,
                "preparing_mib": mib(preparing),
                "training_mib": mib(instance.memory_bytes()),
            })
        );
    }
    Ok(())
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A synthetic hospital, and the study that it is read for.
struct Hospital {
    study: Vec<u8>,
    files: Vec<File>,
}

impl Hospital {
    fn new(study: &[u8], patients: u32) -> Result<Self> {
        let settings = synthetic::Settings::new(3, patients, 7, 1)?;
        let hospital = synthetic::synthesise(settings)
            .next()
            .context("no hospital was made")?;
        Ok(Self {
            study: study.to_vec(),
            files: vec![
                file("events.parquet", Role::Events, hospital.events),
                file("labels.parquet", Role::Labels, hospital.labels),
                file("splits.parquet", Role::Splits, hospital.splits),
            ],
        })
    }

    /// Has the module read it.
    fn prepare(&self, door: &mut Door) -> Result<Prepared> {
        let request = Request::Prepare(Prepare {
            study: self.study.clone().into(),
            files: self.files.iter().map(File::source).collect(),
            bad_rows: BadRows::Stop,
            outcomes: Outcomes::Known,
        });
        let read = |piece| Ok(File::piece(&self.files, piece).to_vec());
        match ask_with_pieces(&request, |request| door.ask(request), read)? {
            Response::Prepared(prepared) => Ok(prepared),
            _ => bail!("not prepared"),
        }
    }
}

/// Through the door, per second: the best of some repeats.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    events: f64,
    patients: f64,
}

impl Rates {
    fn of(door: &mut Door, hospital: &Hospital) -> Result<Self> {
        let start = Instant::now();
        let prepared = hospital.prepare(door)?;
        let events = prepared.report.events as f64 / start.elapsed().as_secs_f64();
        let patients = train(door, &hospital.study, prepared)?;
        Ok(Self { events, patients })
    }

    fn keep(&mut self, other: Self) {
        self.events = self.events.max(other.events);
        self.patients = self.patients.max(other.patients);
    }
}

/// Native, without the door, per second: the best of some repeats.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// With norms and clipping.
    clipped: f64,
    /// Without.
    plain: f64,
}

impl Cost {
    fn of(study: &[u8]) -> Result<Self> {
        let study = Study::parse(study)?;
        let manifest = study.manifest();
        let network = Network::new(&manifest.cohort, &manifest.model)?;
        let slots = network.slots() * PATIENTS as usize;
        // Their values do not change the time.
        let (values, missing) = (vec![0.5; slots], vec![0.0; slots]);
        let batch = Batch {
            values: &values,
            missing: &missing,
        };
        let labels = vec![1; PATIENTS as usize];
        let weights = network.initial(1);
        let mut sum = vec![0.0; network.parameters()];
        let start = Instant::now();
        network.clipped_sum(&weights, batch, &labels, 1.0, &mut sum)?;
        let clipped = f64::from(PATIENTS) / start.elapsed().as_secs_f64();
        let start = Instant::now();
        network.gradient_sum(&weights, batch, &labels, &mut sum)?;
        let plain = f64::from(PATIENTS) / start.elapsed().as_secs_f64();
        Ok(Self { clipped, plain })
    }

    fn keep(&mut self, other: Self) {
        self.clipped = self.clipped.max(other.clipped);
        self.plain = self.plain.max(other.plain);
    }
}

/// Patients per second of one pass of clipped gradients.
fn train(door: &mut Door, study: &[u8], prepared: Prepared) -> Result<f64> {
    let parsed = Study::parse(study)?;
    let weights = parsed.manifest().model.parameters as usize;
    let state = codec::encode(&State {
        offset: vec![0.0; weights],
        ..State::default()
    });
    let header = Header {
        study: parsed.digest(),
        number: 0,
        place: 0,
        purpose: Purpose::Train,
        state: Digest::of(&state),
    };
    let open = Open {
        study: study.to_vec().into(),
        cohort: prepared.cohort,
        header,
        state: state.into(),
        site: SiteId(0),
        seed: Seed::new([7; 32]),
        memory: Vec::new().into(),
        weights: None,
    };
    door.ask(&Request::Open(open))?;
    let start = Instant::now();
    let Response::Progress(Progress { done, .. }) =
        door.ask(&Request::Work(Work { patients: u32::MAX }))?
    else {
        bail!("no progress")
    };
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

/// The module, either way.
enum Door {
    Native,
    Sandbox(Box<Instance>),
}

impl Door {
    fn ask(&mut self, request: &Request) -> Result<Response> {
        let response = match self {
            Self::Native => codec::decode(&handle(&codec::encode(request)))?,
            Self::Sandbox(instance) => instance.ask(request)?,
        };
        if let Response::Refused(refusal) = &response {
            bail!("refused: {}", refusal.reason);
        }
        Ok(response)
    }
}

fn file(name: &str, role: Role, bytes: Vec<u8>) -> File {
    File {
        name: name.to_owned(),
        role,
        bytes,
    }
}

/// The readmission study with the shapes of the peers' scripts: 26 weeks of days and of weeks, 64 and 12 static
/// features.
fn study() -> Result<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../studies/readmission.toml");
    let text = std::fs::read_to_string(path)?
        .replace("history-days = 168", "history-days = 182")
        .replace("bins-per-token = 4", "bins-per-token = 1")
        .replacen(
            "{ bin-days = 7, bins-per-token = 1 }",
            "{ bin-days = 1, bins-per-token = 7 }",
            1,
        );
    let kept = text
        .lines()
        .filter(|line| !line.contains("ATC//A10A") && !line.contains("ATC//B01A"));
    let mut draft = Draft::parse(&kept.collect::<Vec<_>>().join("\n"))?;
    draft.set(
        "model.architecture",
        r#"{ transformer = { width = 32, heads = 4, layers = 2, feed-forward = 64, missingness = "omit" } }"#,
    )?;
    draft.set("model.head", r#""softmax""#)?;
    // Room for the largest hospital whose memory is measured.
    draft.set("aggregation.patients-per-site", "10000")?;
    draft.set("privacy.epsilon", "inf")?;
    draft.set("aggregation.fraction-bits", "14")?;
    let member = |place: u8| {
        let key = Identity::from_seed(&[place; 32]).key();
        format!("[[roster]]\nname = \"hospital {place}\"\nkey = \"{key}\"\n")
    };
    let roster: String = (1..=3).map(member).collect();
    let aggregator = Secret::new([9; 32]).public();
    draft.complete(&Parts {
        module: Digest::of(b"a module"),
        aggregator,
        roster: &roster,
        weights: None,
        dishonest: None,
    })?;
    draft.state_parameters(1)?;
    let describe = Request::Describe(Describe {
        study: draft.text().into_bytes().into(),
        weights: None,
    });
    let Response::Described(described) = Door::Native.ask(&describe)? else {
        bail!("not described")
    };
    ensure!(
        described.parameters as usize == WEIGHTS,
        "{} weights, the peers' model has {WEIGHTS}: the study's shapes have changed",
        described.parameters
    );
    draft.state_parameters(described.parameters)?;
    Ok(draft.text().into_bytes())
}
