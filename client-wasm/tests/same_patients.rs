//! The same patients in four forms, written by other programs: identical tensors, and identical weights of a baseline.
//!
//! `crates/cohort/peers/same_patients.py` writes them; `cargo xtask test` runs it and names the folder.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use client_wasm::handle;
use cohort::import::import;
use cohort::{File, prepare};
use protocol::codec;
use protocol::door::{BadRows, Baseline, Import, Request, Response, Role, Work};
use protocol::seed::Seed;
use testkit::Draft;

const WIDE: &str = r#"
    subject = { column = "patient", as = "text" }
    prediction = { column = "discharged" }
    label = { column = "class", class = "integer" }
    csv = { delimiter = ";", decimal = "," }
    column = [
        { name = "rate", code = "LOINC//8867-4" },
        { name = "saturation", code = "LOINC//59408-5" },
        { name = "ward", code = "WARD", as = "level" },
    ]
"#;

const LONG: &str = r#"
    subject = { column = "patient", as = "text" }
    event = { time = "when", code = "what", value = "result" }
    csv = { delimiter = "\t" }
"#;

const LABELS: &str = r#"
    subject = { column = "patient", as = "text" }
    prediction = { column = "when" }
    label = { column = "class", class = "integer" }
"#;

fn imported(folder: &Path, name: &str, map: &str) -> Vec<File> {
    let csv = std::fs::read(folder.join(name)).unwrap();
    let request = Import {
        map: map.as_bytes().to_vec().into(),
        name: name.to_owned(),
        bad_rows: BadRows::Stop,
        id_key: Some(Seed::new([7; 32])),
        memory_mib: 1_024,
    };
    import(&request, &csv).unwrap().0
}

/// The Parquet files in a folder and those below it.
fn parquet(folder: &Path, role: Role) -> Vec<File> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(parquet(&path, role));
        } else if path.extension().is_some_and(|ending| ending == "parquet") {
            files.push(File {
                name: path.to_string_lossy().into_owned(),
                role,
                bytes: std::fs::read(&path).unwrap(),
            });
        }
    }
    files
}

fn meds(folder: &Path, data: &str) -> Vec<File> {
    let events = parquet(&folder.join(data), Role::Events);
    let labels = parquet(&folder.join("labels"), Role::Labels);
    [events, labels].concat()
}

/// The state that a baseline ends in.
fn baseline(toml: &str, cohort: &[u8]) -> Vec<u8> {
    let ask =
        |request: &Request| codec::decode::<Response>(&handle(&codec::encode(request))).unwrap();
    let begun = ask(&Request::Baseline(Baseline {
        study: toml.as_bytes().to_vec().into(),
        cohorts: vec![cohort.to_vec().into()],
        weights: None,
        state: None,
    }));
    assert!(matches!(begun, Response::Progress(_)), "{begun:?}");
    ask(&Request::Work(Work { patients: u32::MAX }));
    match ask(&Request::Finish) {
        Response::Finished(state) => codec::encode(&state),
        other => panic!("{other:?}"),
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped must say so")]
fn the_same_patients_in_four_forms_are_the_same_tensors_and_train_the_same_weights() {
    let Some(folder) = std::env::var_os("WARDROUND_PEER_FILES") else {
        eprintln!("skipped: WARDROUND_PEER_FILES names no folder; `cargo xtask test` makes one");
        return;
    };
    let folder = Path::new(&folder).join("same-patients");
    let wards = ["A1", "B2", "0012"].map(|ward| {
        format!(
            "{{ code = \"WARD//{ward}\", name = \"{ward}\", unit = \"1\", encoding = \"presence\", low = 0, high = 1, \
             mean = 0.3, sd = 0.5 }},\n"
        )
    });
    let draft = Draft {
        epsilon: f64::INFINITY,
        ..Draft::default()
    };
    let model = "[model]\n";
    let person = format!(
        "[[cohort.modality]]\nname = \"ward\"\nshape = \"static\"\nfeature = [\n{}]\n\n{model}",
        wards.concat()
    );
    let toml = draft.toml_with(&[(model, &person)]);
    let forms = [
        imported(&folder, "wide.csv", WIDE),
        [
            imported(&folder, "long.csv", LONG),
            imported(&folder, "long-labels.csv", LABELS),
        ]
        .concat(),
        meds(&folder.join("polars"), "data"),
        meds(&folder.join("meds-extract"), "out/data"),
    ];
    let described = codec::decode::<Response>(&handle(&codec::encode(&Request::Describe(
        protocol::door::Describe {
            study: toml.as_bytes().to_vec().into(),
            weights: None,
        },
    ))))
    .unwrap();
    let Response::Described(described) = described else {
        panic!("{described:?}")
    };
    let toml = toml.replace(
        &format!("parameters = {}\n", draft.parameters),
        &format!("parameters = {}\n", described.parameters),
    );
    let study = protocol::study::Study::parse(toml.as_bytes()).unwrap();
    let read = forms.map(|files| {
        let cohort = &study.manifest().cohort;
        let (patients, mut report) =
            prepare(cohort, &study.digest(), &files, BadRows::Stop).unwrap();
        // The first few of the first file, in its order.
        report.event_subjects.clear();
        let used: Vec<u64> = report
            .features
            .iter()
            .map(|coverage| coverage.used)
            .collect();
        assert!(used.iter().all(|used| *used > 0), "{used:?}");
        (patients.encode(), report)
    });
    let weights = read.each_ref().map(|(cohort, _)| baseline(&toml, cohort));
    for (one, other) in read.iter().zip(&read[1..]) {
        assert_eq!(one.1, other.1);
        assert_eq!(one.0, other.0, "the tensors");
    }
    assert!(weights.windows(2).all(|pair| pair[0] == pair[1]));
}
