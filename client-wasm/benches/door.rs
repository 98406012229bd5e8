//! The same requests through the door of the sealed module in wasmtime and of the same code compiled natively, one
//! thread each.
//!
//! `cargo xtask bench` builds the module and runs this; each line is a figure in JSON.
#![expect(clippy::print_stdout, reason = "a benchmark reports")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use client_wasm::handle;
use host::compiled::Compiled;
use host::compose::{Draft, Parts};
use host::sandbox::{Allowance, Instance, Sandbox};
use minicbor::bytes::ByteVec;
use protocol::agreement::Secret;
use protocol::codec;
use protocol::door::{
    BadRows, Describe, File, Open, Prepare, Prepared, Progress, Request, Response, Role, State,
    Work,
};
use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::identity::Identity;
use protocol::study::Study;

const PATIENTS: u32 = 640;
const REPEATS: usize = 3;

fn main() -> Result<()> {
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
    let sandbox = Sandbox::load(&wasm, allowance, &Compiled::of_user())?;
    let draft = std::fs::read_to_string(root.join("studies/readmission.toml"))?;
    let settings = synthetic::Settings::new(3, PATIENTS, 6, 1)?;
    let hospital = synthetic::synthesise(settings)
        .next()
        .context("no hospital was made")?;
    let models = [
        ("linear", r#"{ linear = { summary = "mean-and-trend" } }"#),
        (
            "transformer 16x1",
            r#"{ transformer = { width = 16, heads = 2, layers = 1, feed-forward = 32, missingness = "include" } }"#,
        ),
        (
            "transformer 32x2",
            r#"{ transformer = { width = 32, heads = 4, layers = 2, feed-forward = 64, missingness = "omit" } }"#,
        ),
    ];
    for (name, architecture) in models {
        let study = study(&draft, architecture)?;
        let prepare = Request::Prepare(Prepare {
            study: study.clone().into(),
            files: vec![
                file("events.parquet", Role::Events, &hospital.events),
                file("labels.parquet", Role::Labels, &hospital.labels),
                file("splits.parquet", Role::Splits, &hospital.splits),
            ],
            bad_rows: BadRows::Stop,
        });
        let native = best(|| Ok(Door::Native), &prepare, &study)?;
        let inside = best(
            || Ok(Door::Sandbox(Box::new(sandbox.instance()?))),
            &prepare,
            &study,
        )?;
        report(
            &format!("{name}: events prepared per second"),
            native.events,
            inside.events,
        );
        report(
            &format!("{name}: patients trained per second"),
            native.patients,
            inside.patients,
        );
    }
    Ok(())
}

fn report(name: &str, native: f64, sandbox: f64) {
    let ratio = sandbox / native;
    println!(
        "{}",
        serde_json::json!({ "name": name, "native": native, "sandbox": sandbox, "ratio": ratio })
    );
}

/// Per second, the best of some repeats.
#[derive(Default)]
struct Rates {
    events: f64,
    patients: f64,
}

fn best(door: impl Fn() -> Result<Door>, prepare: &Request, study: &[u8]) -> Result<Rates> {
    let mut rates = Rates::default();
    for _ in 0..REPEATS {
        let mut door = door()?;
        let start = Instant::now();
        let Response::Prepared(prepared) = door.ask(prepare)? else {
            bail!("not prepared")
        };
        rates.events = rates
            .events
            .max(prepared.report.events as f64 / start.elapsed().as_secs_f64());
        rates.patients = rates.patients.max(train(&mut door, study, prepared)?);
    }
    Ok(rates)
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
        purpose: Purpose::Train,
        state: Digest::of(&state),
    };
    let open = Open {
        study: study.to_vec().into(),
        cohort: prepared.cohort,
        header,
        state: state.into(),
        site: SiteId(0),
        seed: [7; 32],
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

fn file(name: &str, role: Role, bytes: &[u8]) -> File {
    File {
        name: name.to_owned(),
        role,
        bytes: ByteVec::from(bytes.to_vec()),
    }
}

/// The draft's study with another model.
fn study(draft: &str, architecture: &str) -> Result<Vec<u8>> {
    let mut draft = Draft::parse(draft)?;
    draft.set("model.architecture", architecture)?;
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
    })?;
    draft.state_parameters(1)?;
    let describe = Request::Describe(Describe {
        study: draft.text().into_bytes().into(),
        weights: None,
    });
    let Response::Described(described) = Door::Native.ask(&describe)? else {
        bail!("not described")
    };
    draft.state_parameters(described.parameters)?;
    Ok(draft.text().into_bytes())
}
