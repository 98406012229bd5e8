//! The maps that come with Wardround on the data that they are for: counts as each folder's `SOURCE.md` gives them.
//!
//! The data is not part of the repository; where it is absent, the tests say so and pass.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use cohort::File;
use cohort::import::{import, only_rows};
use cohort::{Patients, prepare};
use protocol::door::{BadRows, Import, Imported, Report, Role, Split};
use protocol::id::Digest;
use protocol::study::Cohort;

/// A file of the shared data, unpacked; nothing where it is absent.
#[expect(clippy::print_stderr, reason = "a test that is skipped must say so")]
fn data(path: &str) -> Option<Vec<u8>> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(path);
    let Ok(bytes) = fs::read(&file) else {
        eprintln!("skipped: {} is not there", file.display());
        return None;
    };
    if !path.ends_with(".gz") {
        return Some(bytes);
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(bytes.as_slice())
        .read_to_end(&mut unpacked)
        .unwrap();
    Some(unpacked)
}

/// A text file of the repository.
fn text(path: &str) -> String {
    fs::read_to_string(
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(path),
    )
    .unwrap()
}

fn map(name: &str) -> String {
    text(&format!("maps/{name}"))
}

/// The `[cohort]` of a draft.
fn cohort(draft: &str) -> Cohort {
    let study: toml::Table = text(&format!("studies/{draft}")).parse().unwrap();
    study["cohort"].clone().try_into().unwrap()
}

fn heart() -> Cohort {
    cohort("heart-disease.toml")
}

fn diabetes() -> Cohort {
    cohort("diabetes-130.toml")
}

/// What an import made, and what it told.
struct Made {
    files: Vec<File>,
    told: Imported,
}

fn imported(map: &str, name: &str, csv: &[u8]) -> Made {
    let request = Import {
        map: map.as_bytes().to_vec().into(),
        name: name.to_owned(),
        bad_rows: BadRows::Stop,
        id_key: None,
        memory_mib: 1_024,
    };
    let (files, told) = import(&request, csv).unwrap();
    assert_eq!(told.dropped, 0);
    Made { files, told }
}

fn prepared(cohort: &Cohort, files: &[File]) -> (Patients, Report) {
    prepare(cohort, &Digest::of(b"study"), files, BadRows::Stop).unwrap()
}

#[test]
fn heart_disease_has_the_patients_of_flamby() {
    let Some(csv) = data("heart_disease/flamby_split.csv") else {
        return;
    };
    let cohort = heart();
    // Train, test, and positives in each.
    for (site, train, test, positives) in [
        ("cleveland", 199, 104, [91, 48]),
        ("hungarian", 172, 89, [65, 33]),
        ("switzerland", 30, 16, [30, 15]),
        ("va", 85, 45, [66, 35]),
    ] {
        let map = map("heart-disease.toml") + &only_rows("site", site);
        let (patients, report) = prepared(&cohort, &imported(&map, "flamby_split.csv", &csv).files);
        assert_eq!(
            (report.train, report.tuning, report.held_out),
            (train, 0, test),
            "{site}"
        );
        assert_eq!((report.empty, report.dropped), (0, 0), "{site}");
        let sick = |split| {
            patients
                .of_split(split)
                .flatten()
                .map(|row| patients.labels()[row])
                .sum::<u32>()
        };
        assert_eq!(
            [sick(Split::Train), sick(Split::HeldOut)],
            positives,
            "{site}"
        );
        let missing = (0..patients.len())
            .flat_map(|patient| patients.observed(patient))
            .filter(|there| **there == 0);
        assert_eq!(missing.count(), 0, "{site}: FLamby's rows are complete");
    }
}

#[test]
fn the_first_patient_of_cleveland_has_the_values_of_the_file() {
    let Some(csv) = data("heart_disease/flamby_split.csv") else {
        return;
    };
    let map = map("heart-disease.toml") + &only_rows("site", "cleveland");
    let cohort = heart();
    let (patients, _) = prepared(&cohort, &imported(&map, "flamby_split.csv", &csv).files);
    // 63.0,1.0,1.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3: age, sex, cp, trestbps, chol, fbs, restecg, thalach, exang, oldpeak.
    let values = [
        63.0, 1.0, 145.0, 233.0, 1.0, 150.0, 0.0, 2.3, 0.0, 0.0, 0.0, 0.0, 1.0,
    ];
    assert_eq!(
        (patients.subjects()[0], patients.values(0)),
        (1, values.as_slice())
    );
}

#[test]
fn the_files_of_uci_hold_all_patients_and_with_flambys_filter_its_own() {
    let cohort = heart();
    let complete = "\n[[filter]]\ncomplete = [\"age\", \"sex\", \"cp\", \"trestbps\", \"chol\", \"fbs\", \"restecg\", \
                    \"thalach\", \"exang\", \"oldpeak\"]\n";
    for (site, rows, kept) in [
        ("cleveland", 303, 303),
        ("hungarian", 294, 261),
        ("switzerland", 123, 46),
        ("va", 200, 130),
    ] {
        let name = format!("processed.{site}.data");
        let Some(csv) = data(&format!("heart_disease/{name}")) else {
            return;
        };
        let map = map("heart-disease-uci.toml");
        let all = imported(&map, &name, &csv);
        assert_eq!(all.told.rows, rows, "{site}");
        assert_eq!(prepared(&cohort, &all.files).0.len() as u64, rows, "{site}");
        let (patients, _) = prepared(&cohort, &imported(&(map + complete), &name, &csv).files);
        assert_eq!(patients.len(), kept, "{site}");
        if site == "switzerland" {
            let chol = cohort
                .features()
                .position(|feature| feature.code == "chol")
                .unwrap();
            let there =
                (0..patients.len()).filter(|patient| patients.observed(*patient)[chol] != 0);
            assert_eq!(there.count(), 0, "its zeros are missing values");
        }
    }
}

#[test]
fn diabetes_has_all_stays_of_each_patient() {
    let Some(csv) = data("diabetes130/diabetic_data.csv.gz") else {
        return;
    };
    let imported = imported(&map("diabetes130.toml"), "diabetic_data.csv", &csv);
    assert_eq!(imported.told.rows, 101_766);
    let cohort = diabetes();
    let (patients, report) = prepared(&cohort, &imported.files);
    // The counts of SOURCE.md; of ten stays a patient at most.
    assert_eq!(patients.patients().len(), 71_518);
    assert_eq!((patients.len(), report.surplus), (101_299, 467));
    assert_eq!((report.empty, report.dropped, report.clipped), (0, 0, 0));
    let share = f64::from(report.classes[0]) / 101_299.0;
    assert!((0.538..0.542).contains(&share), "{report:?}");
    let mut seen = vec![0_u32; patients.slots()];
    for row in 0..patients.len() {
        for (seen, value) in seen.iter_mut().zip(patients.values(row)) {
            *seen += u32::from(*value > 0.0);
        }
    }
    for (feature, seen) in cohort.features().zip(seen) {
        assert!(seen >= 190, "{} is found in {seen} stays", feature.code);
    }
}

#[test]
fn diabetes_without_those_who_died_has_the_first_stays_of_the_literature() {
    let Some(csv) = data("diabetes130/diabetic_data.csv.gz") else {
        return;
    };
    let alive = "\n[[filter]]\ncolumn = \"discharge_disposition_id\"\n\
                 not = [\"11\", \"13\", \"14\", \"19\", \"20\", \"21\"]\n";
    let map = map("diabetes130.toml") + alive;
    let first = Cohort {
        labels_per_patient: 1,
        ..diabetes()
    };
    let (patients, report) = prepared(&first, &imported(&map, "diabetic_data.csv", &csv).files);
    // 99,343 stays of SOURCE.md, of which 69,990 are first ones with a majority of .5927.
    assert_eq!(patients.len(), 69_990);
    assert_eq!(report.surplus, 99_343 - 69_990);
    assert!((0.592..0.594).contains(&(f64::from(report.classes[0]) / 69_990.0)));
}

#[test]
fn a_simulated_hospital_can_be_cut_from_diabetes() {
    let Some(csv) = data("diabetes130/diabetic_data.csv.gz") else {
        return;
    };
    let map = map("diabetes130.toml") + &only_rows("admission_source_id", "4");
    let (patients, _) = prepared(&diabetes(), &imported(&map, "d.csv", &csv).files);
    assert_eq!(patients.len(), 3_187);
}

#[test]
fn the_demo_of_mimic_is_read_as_a_long_table() {
    let Some(csv) = data("mimic_iv_demo_meds/events.csv.gz") else {
        return;
    };
    let imported = imported(&map("mimic-iv-demo.toml"), "events.csv", &csv);
    assert_eq!(imported.told.rows, 916_166);
    assert_eq!(
        imported
            .files
            .iter()
            .map(|file| file.role)
            .collect::<Vec<_>>(),
        [Role::Events]
    );
}

#[test]
fn a_data_set_of_polars_is_read_as_it_was_written() {
    let files = [
        ("data/held_out/0", Role::Events),
        ("data/train/0", Role::Events),
        ("data/train/1", Role::Events),
        ("data/tuning/0", Role::Events),
        ("labels/mortality_in_hospital/held_out/0", Role::Labels),
        ("labels/mortality_in_hospital/train/0", Role::Labels),
        ("labels/mortality_in_hospital/tuning/0", Role::Labels),
        ("metadata/subject_splits", Role::Splits),
    ];
    let mut read = Vec::new();
    for (name, role) in files {
        let Some(bytes) = data(&format!("meds_samples/polars-default/{name}.parquet")) else {
            return;
        };
        read.push(File {
            name: name.to_owned(),
            role,
            bytes,
        });
    }
    let (_, report) = prepared(&heart(), &read);
    assert_eq!((report.train, report.tuning, report.held_out), (80, 10, 10));
    assert_eq!((report.events, report.dropped), (2_900, 0));
}
