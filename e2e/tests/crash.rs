//! Power cuts at every point of a round: nothing is lost, nothing is charged twice, and every round can be replayed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{Cut, Federation, Programs, Site, Tap, finish};
use protocol::api::{Progress, Stage};

const HOSPITALS: usize = 3;
const LIMIT: Duration = Duration::from_secs(600);

fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Three small synthetic hospitals in a study with these settings.
fn federation(folder: &Path, settings: &[&str]) -> Result<Federation> {
    let programs = Programs::built(&target())?;
    let data = folder.join("data");
    let mut synth = programs.host();
    synth
        .args([
            "synth",
            "--hospitals",
            "3",
            "--patients",
            "40",
            "--seed",
            "5",
            "--out",
        ])
        .arg(&data);
    finish(&mut synth)?;
    let site = |place| {
        let name = format!("hospital-{place:02}");
        Site {
            data: data.join(&name),
            name,
        }
    };
    let draft = Path::new(env!("CARGO_MANIFEST_DIR")).join("../studies/readmission.toml");
    let settings: Vec<String> = settings
        .iter()
        .map(|setting| (*setting).to_owned())
        .collect();
    Federation::set_up(
        programs,
        &folder.join("federation"),
        &draft,
        &settings,
        None,
        (1..=HOSPITALS).map(site).collect(),
    )
}

fn start_all(federation: &mut Federation) -> Result<()> {
    federation.start_aggregator()?;
    (0..HOSPITALS).try_for_each(|place| federation.start_host(place))
}

/// Every round that has a sum names its survivors, and every site charged it once.
fn check_rounds(federation: &Federation, progress: &Progress) -> Result<()> {
    for round in &progress.rounds {
        assert!(
            round.abandoned.is_some() || round.survivors.len() >= 2,
            "{round:?}"
        );
    }
    for place in 0..HOSPITALS {
        let path = federation.site_folder(place).join("state/ledger.jsonl");
        let mut charged = Vec::new();
        // The first line says which ledger it is.
        for line in std::fs::read_to_string(&path)?.lines().skip(1) {
            let line: serde_json::Value = serde_json::from_str(line)?;
            let number = line["number"].as_u64();
            charged.push(number.context("a ledger line without a number")?);
        }
        let lines = charged.len();
        charged.dedup();
        assert_eq!(
            charged.len(),
            lines,
            "a round was charged twice at site {place}"
        );
        let name = &federation.sites()[place].name;
        for round in progress
            .rounds
            .iter()
            .filter(|round| round.survivors.contains(name))
        {
            assert!(
                charged.contains(&u64::from(round.number)),
                "round {} is not in {name}'s ledger",
                round.number
            );
        }
    }
    Ok(())
}

#[test]
fn a_power_cut_at_any_request_of_a_round_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rounds = "training.rounds=28";
    let mut federation = federation(folder.path(), &[rounds, "privacy.epsilon=1.0"])
        .unwrap()
        .with_stage_seconds(60);
    let tap = Tap::to(federation.address()).unwrap();
    federation.reroute(0, tap.address()).unwrap();
    start_all(&mut federation).unwrap();
    let mut round = 0;
    let messages = Stage::ALL.map(|stage| ("POST", stage.name()));
    // The site asks what is missing, and sends it.
    let chunks = [("GET", "chunks/0"), ("PUT", "chunks/0/0")];
    for (method, path) in messages.into_iter().chain(chunks) {
        for cut in [Cut::Before, Cut::After] {
            for victim in ["host", "aggregator"] {
                tap.cut_at(&format!("{method} /v1/rounds/{round}/{path} "), cut);
                assert!(tap.was_cut(LIMIT), "round {round} never came to {path}");
                if victim == "host" {
                    federation.kill_host(0).unwrap();
                    federation.start_host(0).unwrap();
                } else {
                    federation.kill_aggregator().unwrap();
                    federation.start_aggregator().unwrap();
                }
                round += 1;
            }
        }
    }
    let progress = federation
        .wait(LIMIT, |progress| progress.model.is_some())
        .unwrap();
    federation.wait_for_hosts(LIMIT).unwrap();
    check_rounds(&federation, &progress).unwrap();
    assert!(
        progress
            .rounds
            .iter()
            .all(|round| round.survivors.len() == HOSPITALS),
        "{progress:#?}"
    );
    for round in [0, 7, 20, 27] {
        let mut replay = federation.programs().host();
        replay
            .args(["replay", &round.to_string(), "--config"])
            .arg(federation.config(0));
        finish(&mut replay).unwrap();
    }
}

#[test]
fn a_hospital_that_vanishes_in_the_middle_of_a_round_does_not_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut federation = federation(folder.path(), &["training.rounds=4"])
        .unwrap()
        .with_stage_seconds(6);
    let tap = Tap::to(federation.address()).unwrap();
    federation.reroute(2, tap.address()).unwrap();
    tap.cut_at("POST /v1/rounds/1/mask ", Cut::Before);
    start_all(&mut federation).unwrap();
    assert!(
        tap.was_cut(LIMIT),
        "round 1 never came to its masked inputs"
    );
    federation.kill_host(2).unwrap();
    let progress = federation
        .wait(LIMIT, |progress| progress.model.is_some())
        .unwrap();
    federation.wait_for_hosts(LIMIT).unwrap();
    check_rounds(&federation, &progress).unwrap();
    let survivors: Vec<usize> = progress
        .rounds
        .iter()
        .map(|round| round.survivors.len())
        .collect();
    assert_eq!(survivors, [3, 2, 2, 2, 2], "{progress:#?}");
}
