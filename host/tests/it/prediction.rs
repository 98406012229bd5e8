//! `host predict` and `host model`: which model, which patients, and what is written.

use std::path::Path;

use protocol::codec;
use protocol::door::{
    Described, Exported, Predicted, Prediction, Prepared, Report, Response, Split, State,
};
use protocol::id::Digest;
use protocol::weights::{Block, Weights};
use testkit::Draft;

use crate::cli::{Desk, Told};
use crate::server::{Reply, Server};
use crate::tape;

/// A module that predicts these, and a study and a folder of patients for it.
fn desk() -> Desk {
    let desk = Desk::new();
    let unused = Response::Described(Described {
        study: Digest([0; 32]),
        parameters: 6,
        module: String::new(),
    });
    let mut answers = vec![codec::encode(&unused); 15];
    answers[1] = codec::encode(&Response::Prepared(Prepared {
        cohort: b"cohort".to_vec().into(),
        report: Report {
            held_out: 1,
            train: 1,
            unknown: 1,
            events: 9,
            used: 4,
            ..Report::default()
        },
    }));
    answers[11] = codec::encode(&Response::Predicted(Predicted {
        patients: vec![
            prediction(-5, Split::Train, Some(0), 0),
            prediction(7, Split::HeldOut, Some(2), 1_795_429_867_000_000),
            prediction(7, Split::HeldOut, None, 1_795_429_868_500_000),
        ],
    }));
    answers[14] = codec::encode(&Response::Exported(Exported {
        weights: codec::encode(&Weights {
            blocks: vec![Block {
                name: "head.weight".to_owned(),
                values: vec![1.0, 2.5, -3.0, 0.0, 4.0, 5.0],
            }],
        })
        .into(),
        shapes: vec![vec![3, 2]],
    }));
    let module = tape::module(&answers);
    std::fs::write(desk.path("client.wasm"), &module).unwrap();
    let text = Draft::default().toml().replace(
        &Digest::of(b"client.wasm").to_string(),
        &Digest::of(&module).to_string(),
    );
    std::fs::write(desk.path("study.toml"), text).unwrap();
    std::fs::write(desk.path("model.cbor"), codec::encode(&State::default())).unwrap();
    desk.patients("data");
    desk
}

fn prediction(subject: i64, split: Split, label: Option<u32>, time: i64) -> Prediction {
    Prediction {
        subject,
        split,
        label,
        probabilities: vec![0.25, 0.25, 0.5],
        phenotype: None,
        time,
    }
}

const FILES: [&str; 4] = ["--study", "study.toml", "--module", "client.wasm"];

fn predict(desk: &Desk, more: &[&str]) -> Told {
    let rest = ["predict", "--data", "data", "--out", "out.csv"];
    desk.host(&[&rest[..], &FILES, more].concat())
}

#[test]
fn every_stay_is_predicted_with_its_time_whether_its_outcome_is_known_or_not() {
    let desk = desk();
    let told = predict(&desk, &["--state", "model.cbor", "--split", "all"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    let digest = Digest::of(&codec::encode(&State::default()));
    assert_eq!(
        told.stdout,
        format!(
            "model  {digest}  model.cbor\n\
             data: 1 labels to train on, 0 to choose by, 1 held out, 1 whose outcome is not known; 4 of 9 events used\n\
             2 patients, 3 predictions  out.csv  accuracy 0.5000 over the 2 whose outcome is known\n"
        )
    );
    assert_eq!(told.stderr, "");
    assert_eq!(
        std::fs::read_to_string(desk.path("out.csv")).unwrap(),
        "subject_id,split,label,p_low,p_medium,p_high,prediction_time,class\n\
         -5,train,0,0.25,0.25,0.5,1970-01-01T00:00:00,low\n\
         7,held_out,2,0.25,0.25,0.5,2026-11-23T10:31:07,high\n\
         7,,,0.25,0.25,0.5,2026-11-23T10:31:08.500000,\n"
    );
}

#[test]
fn patients_of_unknown_outcome_are_in_no_part_and_what_is_left_out_is_said() {
    let desk = desk();
    let told = predict(&desk, &["--state", "model.cbor", "--split", "tuning"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(
        told.stdout.ends_with(
            "1 patients  out.csv  no outcome is known, so no accuracy\n\
             not written: 2 predictions of other parts of the cohort; --split all writes them too\n"
        ),
        "{}",
        told.stdout
    );
}

#[test]
fn a_module_that_the_study_does_not_name_is_used_and_said() {
    let desk = desk();
    let study = std::fs::read_to_string(desk.path("study.toml")).unwrap();
    let own = Digest::of(&std::fs::read(desk.path("client.wasm")).unwrap()).to_string();
    let other = "34".repeat(32);
    std::fs::write(desk.path("study.toml"), study.replace(&own, &other)).unwrap();
    let told = predict(&desk, &["--state", "model.cbor"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(
        told.stderr.starts_with(&format!(
            "the study names the module with SHA-256 {other}, and the one given has {own}: it is used, since nothing leaves"
        )),
        "{}",
        told.stderr
    );
}

/// A site that approved the study, with this aggregator; gives the study's folder.
fn site(desk: &Desk, url: &str) -> std::path::PathBuf {
    let key = desk.init_at(url);
    let module = std::fs::read(desk.path("client.wasm")).unwrap();
    let study = desk.study(&key, "Anna");
    let told = desk.approve();
    assert_eq!(told.status, 0, "{}", told.stderr);
    std::fs::write(desk.path("predicts.wasm"), module).unwrap();
    desk.path(&format!("anna/state/studies/{study}"))
}

fn predict_at_site(desk: &Desk) -> Told {
    desk.host(&[
        "predict",
        "--config",
        "anna/host.toml",
        "--data",
        "data",
        "--out",
        "out.csv",
        "--study",
        "study.toml",
        "--module",
        "predicts.wasm",
        "--split",
        "all",
    ])
}

#[test]
fn the_model_that_run_kept_needs_no_aggregator() {
    let desk = desk();
    let folder = site(&desk, "http://127.0.0.1:9");
    let model = codec::encode(&State::default());
    std::fs::write(folder.join("model.cbor"), &model).unwrap();
    let line = |number| {
        format!(
            "{{\"begun\":{{\"number\":{number},\"place\":0,\"purpose\":\"train\",\"state\":\"{}\"}}}}\n",
            "00".repeat(32)
        )
    };
    std::fs::write(
        folder.join("register"),
        line(3) + &line(12) + "{\"opened\":12}\n",
    )
    .unwrap();
    let told = predict_at_site(&desk);
    assert_eq!(told.status, 0, "{}", told.stderr);
    let wanted = format!(
        "model  {}  as `host run` kept it after round 12, anna/state/",
        Digest::of(&model)
    );
    assert!(told.stdout.starts_with(&wanted), "{}", told.stdout);
}

#[test]
fn a_site_without_a_model_whose_aggregator_is_gone_is_told_of_state() {
    let desk = desk();
    site(&desk, "http://127.0.0.1:9");
    let told = predict_at_site(&desk);
    assert_eq!(told.status, 1);
    assert!(
        told.stderr.contains(
            "`host run` kept no published model here, and --state names a file with one: http://127.0.0.1:9/v1/round"
        ),
        "{}",
        told.stderr
    );
    assert_eq!(told.stderr.matches("refused").count(), 1, "{}", told.stderr);
}

#[test]
fn an_aggregator_of_another_study_is_not_asked_for_its_model() {
    use protocol::api::{RoundView, Status};
    let desk = desk();
    let server = Server::start(|asked| {
        if asked.line.contains("/v1/study") {
            return Reply::cbor(b"title = \"other\"".to_vec());
        }
        Reply::cbor(codec::encode(&RoundView {
            version: 1,
            status: Status::Finished {
                state: Digest([3; 32]),
            },
        }))
    });
    site(&desk, &server.url);
    let told = predict_at_site(&desk);
    assert_eq!(told.status, 1);
    assert!(told.stderr.contains("runs the study"), "{}", told.stderr);
}

fn model(desk: &Desk, out: &str) -> Vec<u8> {
    let told = desk.host(
        &[
            &["model", "--state", "model.cbor", "--out", out][..],
            &FILES,
        ]
        .concat(),
    );
    assert_eq!(told.status, 0, "{}", told.stderr);
    std::fs::read(desk.path(out)).unwrap()
}

#[test]
fn a_model_is_written_with_names_shapes_and_what_its_inputs_are() {
    let desk = desk();
    let bytes = model(&desk, "model.safetensors");
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = metadata.metadata().clone().unwrap();
    let study = std::fs::read(desk.path("study.toml")).unwrap();
    assert_eq!(metadata["study"], Digest::of(&study).to_string());
    assert_eq!(metadata["classes"], r#"["low","medium","high"]"#);
    let features: serde_json::Value = serde_json::from_str(&metadata["features"]).unwrap();
    assert_eq!(features[0]["name"], "heart rate");
    assert!(features[0]["sd"].as_f64().unwrap() > 0.0);
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let weight = tensors.tensor("head.weight").unwrap();
    assert_eq!(weight.shape(), [3, 2]);
    let values: Vec<f32> = weight
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    assert_eq!(values, [1.0, 2.5, -3.0, 0.0, 4.0, 5.0]);

    let json: serde_json::Value = serde_json::from_slice(&model(&desk, "model.json")).unwrap();
    assert_eq!(json["tensors"][0]["shape"], serde_json::json!([3, 2]));
    assert_eq!(json["tensors"][0]["values"][1], 2.5);
    let kept = std::fs::read(desk.path("model.cbor")).unwrap();
    assert_eq!(model(&desk, "again.cbor"), kept);
}

#[test]
fn a_files_error_says_its_cause_once() {
    let desk = Desk::new();
    let told = desk.host(&["study", "none.toml"]);
    assert_eq!(
        told.stderr,
        "host: reading none.toml: No such file or directory (os error 2)\n"
    );
    assert!(!Path::new("none.toml").exists());
}

#[test]
fn a_dead_proxy_is_told_from_a_dead_aggregator() {
    let desk = Desk::new();
    desk.init_at("https://fl.example.org");
    let enrol = ["enrol", "--token", "t", "--config", "anna/host.toml"];
    let told = desk.host_with(&enrol, &[("HTTPS_PROXY", "http://who:secret@127.0.0.1:1")]);
    assert_eq!(told.status, 1);
    assert!(
        told.stderr
            .contains("calls go through the proxy 127.0.0.1:1, which HTTPS_PROXY"),
        "{}",
        told.stderr
    );
    assert!(!told.stderr.contains("secret"), "{}", told.stderr);
}
