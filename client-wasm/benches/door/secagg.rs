//! A site's part of a round of secure aggregation through the door: in the sandbox, and native.
//!
//! Site 0 is the module, the others are the protocol's own stages in this process; the aggregator takes all of their
//! messages and chunks, and the sum must come out. Rounding to the grid is a part of the stage advertise.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use host::sandbox::Sandbox;
use protocol::api::Stage;
use protocol::codec;
use protocol::door::{Describe, Open, Prepared, Request, Response, State, Work};
use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::round::SiteFault;
use protocol::seed::Seed;
use protocol::study::Study;
use testkit::round::{Next, Play};
use testkit::{Draft, TestStudy};

use super::{Door, Hospital};

/// Sites and weights of the rounds that are measured.
const ROUNDS: [(u16, u32); 11] = [
    (5, 20_000),
    (10, 20_000),
    (20, 20_000),
    (5, 200_000),
    (10, 200_000),
    (20, 200_000),
    (5, 1_000_000),
    (10, 1_000_000),
    (20, 1_000_000),
    (100, 1_000_000),
    (5, 10_000_000),
];
const REPEATS: usize = 3;
/// The module's site.
const OURS: SiteId = SiteId(0);

/// Measures and prints.
pub(super) fn measure(sandbox: &Sandbox) -> Result<()> {
    for (sites, parameters) in ROUNDS {
        let kit = study(sites, parameters)?;
        let hospital = Hospital::new(kit.toml.as_bytes(), 20)?;
        let prepared = hospital.prepare(&mut Door::Native)?;
        let (mut native, mut inside) = (Spent::most(), Spent::most());
        for _ in 0..REPEATS {
            native.keep(play(&mut Door::Native, &kit, &prepared)?);
            let mut door = Door::Sandbox(Box::new(sandbox.instance()?));
            inside.keep(play(&mut door, &kit, &prepared)?);
        }
        for (name, spent) in [("native", native), ("module", inside)] {
            println!(
                "{}",
                serde_json::json!({
                    "name": format!("site, {name}, n = {sites}, d = {parameters}"),
                    "where": name,
                    "sites": sites,
                    "parameters": parameters,
                    "rounding_seconds": spent.advertise.as_secs_f64(),
                    "masking_seconds": spent.mask.as_secs_f64(),
                    "other_seconds": spent.other.as_secs_f64(),
                    "site_seconds": (spent.mask + spent.other).as_secs_f64(),
                })
            );
        }
    }
    Ok(())
}

/// The time of one site.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    /// Work's end, rounding, keys.
    advertise: Duration,
    /// Masking, packing, sealing, and all chunks.
    mask: Duration,
    /// Shares, agreement, opening.
    other: Duration,
}

impl Spent {
    fn most() -> Self {
        let (advertise, mask, other) = (Duration::MAX, Duration::MAX, Duration::MAX);
        Self {
            advertise,
            mask,
            other,
        }
    }

    fn keep(&mut self, other: Self) {
        self.advertise = self.advertise.min(other.advertise);
        self.mask = self.mask.min(other.mask);
        self.other = self.other.min(other.other);
    }

    fn of(&mut self, stage: Stage) -> &mut Duration {
        match stage {
            Stage::Advertise => &mut self.advertise,
            Stage::Mask => &mut self.mask,
            Stage::Share | Stage::Agree | Stage::Unmask => &mut self.other,
        }
    }
}

fn play(door: &mut Door, kit: &TestStudy, prepared: &Prepared) -> Result<Spent> {
    let state = codec::encode(&State {
        offset: vec![0.0; kit.study.manifest().model.parameters as usize],
        ..State::default()
    });
    let header = Header {
        study: kit.study.digest(),
        number: 0,
        place: 0,
        purpose: Purpose::Train,
        state: Digest::of(&state),
    };
    door.ask(&Request::Open(Open {
        study: kit.toml.clone().into_bytes().into(),
        cohort: prepared.cohort.clone(),
        header: header.clone(),
        state: state.into(),
        site: OURS,
        seed: Seed::new([7; 32]),
        memory: Vec::new().into(),
        weights: None,
    }))?;
    door.ask(&Request::Work(Work { patients: u32::MAX }))?;
    let length = kit.study.layout(Purpose::Train).length();
    let vectors = vec![vec![0; length]; kit.identities.len()];
    let mut play = Play::new(kit, &header, &vectors);
    drop(vectors);
    let mut spent = Spent::default();
    loop {
        let stage = play.round.stage();
        for site in play.round.missing() {
            let signed = if site == OURS {
                let request = request(&play)?;
                let Response::Send(body) = timed(door, &request, spent.of(stage))? else {
                    bail!("nothing to send")
                };
                kit.sign(&header, stage, site, body.into())
            } else {
                play.message(site)?
            };
            play.round.accept(stage, signed)?;
            if stage == Stage::Mask && site == OURS {
                let chunks = chunks(door, &kit.study, spent.of(stage))?;
                let chunks = chunks.into_iter().map(Ok);
                play.round.complete::<SiteFault>(site, chunks)?;
            } else if stage == Stage::Mask {
                play.upload(site)?;
            }
        }
        match play.close() {
            Ok(Next::Stage(next)) => play = *next,
            Ok(Next::Sum(_)) => return Ok(spent),
            Err(error) => bail!("the round is abandoned: {error:?}"),
        }
    }
}

fn chunks(door: &mut Door, study: &Study, spent: &mut Duration) -> Result<Vec<Vec<u8>>> {
    let layout = study.layout(Purpose::Train);
    let numbers = protocol::chunk::Chunking::of(&layout).numbers();
    let chunk = |number| match timed(door, &Request::Chunk(number), spent)? {
        Response::Chunk(sealed) => Ok(sealed.into()),
        _ => bail!("no chunk"),
    };
    numbers.map(chunk).collect()
}

fn timed(door: &mut Door, request: &Request, spent: &mut Duration) -> Result<Response> {
    let start = Instant::now();
    let response = door.ask(request);
    *spent += start.elapsed();
    response
}

/// What the module is asked at this stage.
fn request(play: &Play<'_>) -> Result<Request> {
    let round = &play.round;
    let closed = "the stage before is not closed";
    Ok(match round.stage() {
        Stage::Advertise => Request::Advertise,
        Stage::Share => Request::Share(round.adverts().context(closed)?),
        Stage::Mask => Request::Mask(round.inbox(OURS).context(closed)?),
        Stage::Agree => Request::Agree(round.survivors().context(closed)?),
        Stage::Unmask => Request::Unmask(round.statements().context(closed)?),
    })
}

/// A study of a multilayer perceptron with about as many weights, and 2^22 levels of an entry.
fn study(sites: u16, parameters: u32) -> Result<TestStudy> {
    let kit = Draft::timed(sites, 1).make();
    // A hidden layer has at most 4,096 units, so there must be inputs enough; no patient has a value of these.
    let made_up = |number| {
        format!(
            r#"{{ code = "MADE-UP//{number}", name = "feature {number}", unit = "1", low = 0, high = 2, mean = 1, sd = 1 }},"#
        )
    };
    let features: Vec<String> = (0..parameters / 8_000).map(made_up).collect();
    let inputs = kit.toml.replace(
        "feature = [",
        &format!("feature = [\n{}", features.join("\n")),
    );
    let with = |hidden: u32| {
        let layers =
            format!(r#"architecture.mlp = {{ summary = "mean-and-trend", hidden = {hidden} }}"#);
        inputs.replace(r#"architecture.linear.summary = "mean-and-trend""#, &layers)
    };
    let (one, two) = (weights(&with(1))?, weights(&with(2))?);
    let hidden = (parameters + two - 2 * one) / (two - one);
    let toml = with(hidden);
    let got = weights(&toml)?;
    ensure!(
        got.abs_diff(parameters) < two,
        "{got} weights instead of {parameters}"
    );
    let toml = toml.replace("parameters = 1\n", &format!("parameters = {got}\n"));
    let study = Study::parse(toml.as_bytes()).context("reading the study of the benchmark")?;
    Ok(TestStudy {
        toml,
        study,
        identities: kit.identities,
    })
}

/// The model's number of weights.
fn weights(toml: &str) -> Result<u32> {
    let describe = Request::Describe(Describe {
        study: toml.as_bytes().to_vec().into(),
        weights: None,
    });
    match Door::Native.ask(&describe)? {
        Response::Described(described) => Ok(described.parameters),
        _ => bail!("not described"),
    }
}
