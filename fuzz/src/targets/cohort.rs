//! A hospital's files.

use cohort::File;
use cohort::meds::{Events, Labels, Splits, Timestamp};
use cohort::{Patients, prepare};
use protocol::door::{BadRows, Import, Role, Split};
use protocol::seed::Seed;

use super::play::kit;
use super::{choose, chosen};

const ROLES: [Role; 3] = [Role::Events, Role::Labels, Role::Splits];

/// One of the three Parquet files, the other two as they should be.
pub(crate) fn parquet(input: &[u8]) {
    let Some((role, bytes)) = chosen(&ROLES, input) else {
        return;
    };
    let mut files = files();
    for file in files.iter_mut().filter(|file| file.role == *role) {
        file.bytes = bytes.to_vec();
    }
    for bad_rows in [BadRows::Stop, BadRows::Drop] {
        if let Ok((patients, _)) = prepared(&files, bad_rows) {
            survives(&patients);
        }
    }
}

pub(crate) fn parquet_files() -> Vec<Vec<u8>> {
    let files = files().into_iter().enumerate();
    files
        .map(|(place, file)| choose(place, &file.bytes))
        .chain(PEERS.iter().map(|bytes| choose(0, bytes)))
        .collect()
}

/// Events as pyarrow writes them: every codec, and every encoding that is not our writer's own.
const PEERS: [&[u8]; 4] = [
    include_bytes!("../../seeds/zstd-delta.parquet"),
    include_bytes!("../../seeds/gzip-split.parquet"),
    include_bytes!("../../seeds/brotli-prefixes.parquet"),
    include_bytes!("../../seeds/lz4-decimal.parquet"),
];

/// Prepared patients, as the host keeps them.
pub(crate) fn patients(input: &[u8]) {
    if let Ok(patients) = Patients::decode(input, &kit().study.manifest().cohort) {
        assert_eq!(patients.encode(), input, "a second form of patients");
    }
}

pub(crate) fn encoded_patients() -> Vec<Vec<u8>> {
    let prepared = prepared(&files(), BadRows::Stop);
    let (patients, _) = prepared.expect("the files are of the study");
    vec![patients.encode()]
}

/// A CSV file, by one of the maps.
pub(crate) fn csv(input: &[u8]) {
    if let Some(((map, _), table)) = chosen(&MAPS, input) {
        import(map.as_bytes(), table);
    }
}

pub(crate) fn tables() -> Vec<Vec<u8>> {
    let maps = MAPS.iter().enumerate();
    maps.map(|(place, (_, table))| choose(place, table.as_bytes()))
        .collect()
}

/// A map, for one of the CSV files.
pub(crate) fn map(input: &[u8]) {
    if let Some(((_, table), map)) = chosen(&MAPS, input) {
        import(map, table.as_bytes());
    }
}

pub(crate) fn maps() -> Vec<Vec<u8>> {
    let maps = MAPS.iter().enumerate();
    maps.map(|(place, (map, _))| choose(place, map.as_bytes()))
        .collect()
}

fn import(map: &[u8], table: &[u8]) {
    for bad_rows in [BadRows::Stop, BadRows::Drop] {
        let request = Import {
            map: map.to_vec().into(),
            name: "table.csv".to_owned(),
            bad_rows,
            id_key: Some(Seed::new([7; 32])),
            memory_mib: 1_024,
        };
        if let Ok((files, _)) = cohort::import::import(&request, table) {
            // Whatever was written can be read, though its codes need not be of the study.
            let _ = prepared(&files, BadRows::Drop);
        }
    }
}

fn prepared(
    files: &[File],
    bad_rows: BadRows,
) -> Result<(Patients, protocol::door::Report), cohort::CohortError> {
    let study = &kit().study;
    let (cohort, digest) = (&study.manifest().cohort, study.digest());
    let prepared = prepare(cohort, &digest, files, bad_rows);
    let checked = cohort::check(cohort, &digest, files, bad_rows, Some(0));
    assert_eq!(
        checked.ok().map(|checked| checked.report),
        prepared.as_ref().ok().map(|(_, report)| report.clone()),
        "a look reads what training would"
    );
    prepared
}

fn survives(patients: &Patients) {
    let decoded = Patients::decode(&patients.encode(), &kit().study.manifest().cohort);
    assert_eq!(
        decoded.as_ref(),
        Ok(patients),
        "patients survive their encoding"
    );
}

/// The files of a small hospital, for the features of the study.
pub(super) fn files() -> [File; 3] {
    let (mut events, mut labels, mut splits) =
        (Events::default(), Labels::default(), Splits::default());
    for subject in 0..6_i64 {
        for day in 0..12_i64 {
            let time = Timestamp(day * Timestamp::DAY);
            let (code, value) = if day % 2 == 0 {
                ("LOINC//8867-4", 70.0)
            } else {
                ("LOINC//59408-5", 96.0)
            };
            events.push(subject, Some(time), code, (day % 5 > 0).then_some(value));
        }
        let class = u32::try_from(subject % 3).expect("below three");
        labels.push(subject, Timestamp(20 * Timestamp::DAY), class);
        let split = if subject < 5 {
            Split::Train
        } else {
            Split::HeldOut
        };
        splits.push(subject, split);
    }
    let file = |name: &str, role, bytes: Vec<u8>| File {
        name: name.to_owned(),
        role,
        bytes,
    };
    [
        file("events.parquet", Role::Events, events.into_parquet()),
        file("labels.parquet", Role::Labels, labels.into_parquet()),
        file("splits.parquet", Role::Splits, splits.into_parquet()),
    ]
}

/// Maps, each with the beginning of a table that it is for.
const MAPS: [(&str, &str); 6] = [
    (
        include_str!("../../../maps/heart-disease.toml"),
        "file_row,num,split,age,sex,trestbps,chol,fbs,thalach,exang,oldpeak,cp,restecg\n\
         1,0,train,63,1,145,233,1,150,0,2.3,1,2\n\
         2,2,test,67,1,160,?,0,108,1,1.5,4,2\n",
    ),
    (
        include_str!("../../../maps/heart-disease-uci.toml"),
        "age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope,ca,thal,num\n\
         63.0,1.0,1.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3,3.0,0.0,6.0,0\n",
    ),
    (
        include_str!("../../../maps/mimic-iv-demo.toml"),
        "subject_id,time,code,value\n\
         10000032,2180-05-06 23:30:00,LAB//50862,2.9\n\
         10000032,,GENDER//F,\n\
         10000048,2126-11-22T19:18:05.5+01:00,\"LAB//50,8\"\"6\",x\n",
    ),
    (
        include_str!("../../../maps/diabetes130.toml"),
        "encounter_id,patient_nbr,race,gender,age,weight,readmitted\n\
         2278392,8222157,Caucasian,Female,[0-10),?,NO\n",
    ),
    (
        include_str!("../../seeds/wide-german.toml"),
        "Auszug\nNr;wann;Hb;Diagnose;Ziel;Teil;Station\n\
         7;31.01.2024 09:05;1.234,50;'a;b\nc';ja;1;038\n8;01.02.2024 10:00;-9,5;k. A.;0,0;2;38\n",
    ),
    (
        include_str!("../../seeds/long-minutes.toml"),
        "P-1|1706688300000|-30.5|Na|+1.4e2|\nP-2|1706688300000||Culture||positive\n",
    ),
];
