//! What is looked at before a site has part in anything: modules, studies, synthetic hospitals.

use protocol::door::{Refusal, Response};
use protocol::id::Digest;
use testkit::Draft;

use super::Desk;

#[test]
fn a_module_is_inspected() {
    let desk = Desk::new();
    let sealed = desk.module(
        "sealed.wasm",
        &Response::Refused(Refusal {
            reason: "no".to_owned(),
            fatal: false,
        }),
    );
    let told = desk.host(&["inspect", "sealed.wasm"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    let expected = format!(
        "sha-256  {}\nsize     {} bytes\nimports  none\nexports  memory (memory)\n         __wbindgen_malloc (function)\n         \
         __wbindgen_free (function)\n         handle (function)\n         panic_message (function)\n",
        Digest::of(&sealed),
        sealed.len()
    );
    assert_eq!(told.stdout, expected);

    let open = wat::parse_str(r#"(module (import "wasi" "clock" (func)))"#).unwrap();
    std::fs::write(desk.path("open.wasm"), open).unwrap();
    let told = desk.host(&["inspect", "open.wasm"]);
    assert_eq!(told.status, 1);
    assert!(
        told.stdout.contains("imports  wasi.clock (function)\n"),
        "{}",
        told.stdout
    );
    assert_eq!(
        told.stderr,
        "host: the module can reach outside: no host runs it\n"
    );

    std::fs::write(desk.path("none.wasm"), "no module").unwrap();
    let told = desk.host(&["inspect", "none.wasm"]);
    assert!(
        told.stderr
            .starts_with("host: this is no module that can be run: "),
        "{}",
        told.stderr
    );
}

#[test]
fn a_study_is_shown_and_checked() {
    let desk = Desk::new();
    let draft = Draft {
        epsilon: 1.0,
        ..Draft::default()
    };
    std::fs::write(desk.path("study.toml"), draft.toml()).unwrap();
    let told = desk.host(&["study", "study.toml"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    for wanted in [
        &format!("study       {}\n", Digest::of(draft.toml().as_bytes())),
        "sites       5, of which 3 must agree\n",
        "features    vitals: heart rate, SpO2\n",
        "rounds      5: 4 train, 1 evaluate\n",
        "privacy     ε 1 at δ 0.000001 for each patient",
        "fellows     against another hospital, which knows its own noise: ε 1, as against everybody else\n",
        "            against all other hospitals together: ε 2.",
        "tolerates   a lying aggregator that works together with up to 0 dishonest hospitals of a round\n",
        "so one dishonest hospital and the aggregator together can single out another hospital\n",
        "update: 6 numbers; a patient changes them by at most 1.0",
        "noise of each site with sd ",
    ] {
        assert!(
            told.stdout.contains(wanted),
            "{wanted} is not in\n{}",
            told.stdout
        );
    }

    let bad = Draft {
        threshold: 2,
        ..draft
    }
    .toml();
    std::fs::write(desk.path("study.toml"), bad).unwrap();
    let told = desk.host(&["study", "study.toml"]);
    assert_eq!(told.status, 1);
    assert!(
        told.stderr
            .starts_with("host: aggregation.threshold: 2 is not above half of 5 sites"),
        "{}",
        told.stderr
    );
}

#[test]
fn synthetic_hospitals_are_written() {
    let desk = Desk::new();
    let told = desk.host(&[
        "synth",
        "--hospitals",
        "3",
        "--patients",
        "20",
        "--seed",
        "5",
        "--out",
        "data",
    ]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    let last = told.stdout.lines().last().unwrap();
    let best: f64 = last
        .strip_prefix("best possible accuracy ")
        .unwrap()
        .parse()
        .unwrap();
    assert!((0.5..1.0).contains(&best));
    for name in ["events", "labels", "splits"] {
        assert!(
            desk.path(&format!("data/hospital-01/{name}.parquet"))
                .exists()
        );
    }
    let told = desk.host(&["synth", "--hospitals", "2", "--out", "data"]);
    assert_eq!(told.stderr, "host: 2 hospitals: want 3 to 100\n");
}
