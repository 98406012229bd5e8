//! A study that draws the hospitals of a round by lot, from the enrolment to the model, by the real programs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use e2e::{Federation, Programs, Site, finish};
use protocol::id::{Digest, Header, Purpose};
use protocol::study::Study;

const LIMIT: Duration = Duration::from_secs(600);

fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Four small synthetic hospitals, of which three take part in a step.
fn federation(folder: &Path) -> Result<Federation> {
    let programs = Programs::built(&target())?;
    let data = folder.join("data");
    let mut synth = programs.host();
    let arguments = ["synth", "--hospitals", "4", "--patients", "40", "--out"];
    finish(synth.args(arguments).arg(&data))?;
    let site = |place| {
        let name = format!("hospital-{place:02}");
        Site {
            data: data.join(&name),
            name,
        }
    };
    let settings = [
        "training.rounds=4",
        "training.participants={ random = { sites = 3, threshold = 2 } }",
    ];
    Federation::set_up(
        programs,
        &folder.join("federation"),
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../studies/readmission.toml"),
        &settings.map(str::to_owned),
        None,
        (1..=4).map(site).collect(),
    )
}

#[test]
fn the_hospitals_that_the_lottery_names_are_those_in_each_sum() {
    let folder = tempfile::tempdir().unwrap();
    let mut federation = federation(folder.path()).unwrap();
    federation.start_aggregator().unwrap();
    (0..4).for_each(|place| federation.start_host(place).unwrap());
    let progress = federation
        .wait(LIMIT, |progress| progress.model.is_some())
        .unwrap();
    federation.wait_for_hosts(LIMIT).unwrap();
    let study = Study::parse(&std::fs::read(federation.study()).unwrap()).unwrap();
    for (place, round) in (0..).zip(&progress.rounds) {
        let header = Header {
            study: study.digest(),
            number: round.number,
            place,
            purpose: round.purpose,
            state: Digest([0; 32]),
        };
        let drawn = study.participants(&header);
        let names = drawn.iter().filter_map(|site| study.member(*site));
        let names: Vec<&str> = names.map(|member| member.name.as_str()).collect();
        assert_eq!(round.survivors, names, "{progress:#?}");
        let drawn = if round.purpose == Purpose::Train {
            3
        } else {
            4
        };
        assert_eq!(names.len(), drawn);
    }
}
