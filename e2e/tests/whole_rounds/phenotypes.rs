//! Clusters of patients, through whole rounds of secure aggregation, beside k-means in one place and the truth.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cohort::{Normaliser, Patients};
use learning::clustering::{Point, Weighted, adjusted_rand_index, clip, kmeans, nearest};
use learning::model::{Batch, Network};
use protocol::door::{Split, State};
use protocol::seed::Seed;
use protocol::study::Study;
use synthetic::{Hospital, Settings, spec, synthesise};

use crate::simulation::Federation;

/// A study of the expression array alone, which tells a phenotype well where a patient has one.
fn expression() -> String {
    let settings = Settings::new(3, 100, 6, 1).expect("the numbers are in their ranges");
    let mut features = String::new();
    for feature in spec(settings).features() {
        if feature.code.starts_with("EXPRESSION") {
            let code = &feature.code;
            writeln!(
                features,
                "  {{ code = \"{code}\", name = \"{code}\", unit = \"1\", low = -8.0, high = 8.0, mean = 0.0, sd = 1.0 }},"
            )
            .expect("writing into a string cannot fail");
        }
    }
    format!(
        r#"
title = "A test"
purpose = "To be computed in a test."

[cohort]
history-days = 168
classes = ["low", "medium", "high"]
normalisation = "reference"
split = {{ train = 0.8, tuning = 0.0 }}

[[cohort.modality]]
name = "expression"
shape = "static"
feature = [
{features}]

[model]
architecture.linear.summary = "mean"
head = "softmax"
initial-seed = 1

[training]
rounds = 1
algorithm.gradient = {{ batch = "all" }}
optimizer.momentum = {{ rate = 0.5, momentum = 0.0 }}

[clustering]
clusters = 4
rounds = 5
dimensions = 64
radius = 10.0
share = 0.8

[aggregation]
patients-per-site = 1000
fraction-bits = 16

[privacy]
epsilon = inf
delta = 1e-5
clip-norm = 1.0
metrics-share = 0.05
weight-share = 0.02
"#
    )
}

fn hospitals(patients: u32) -> Vec<Hospital> {
    let settings = Settings::new(3, patients, 6, 1).expect("the numbers are in their ranges");
    synthesise(settings).collect()
}

/// Three partitions of the training patients of all sites.
struct Partitions {
    truth: Vec<String>,
    federated: Vec<u32>,
    central: Vec<usize>,
    /// Clusters that the federation found.
    found: usize,
    /// Patients whose embedding is not at the origin, where those without an array are.
    measured: Vec<bool>,
}

impl Partitions {
    fn of(draft: &str, settings: &[(&str, &str)], hospitals: &[Hospital]) -> Self {
        let mut federation = Federation::of(draft, settings, hospitals);
        let state = federation.run(&BTreeMap::new()).state;
        let clustering = federation.kit.study.manifest().clustering;
        let clustering = clustering.expect("a study of clusters");
        let points = points(&federation, &state, clustering.radius);
        let wanted = usize::try_from(clustering.clusters).expect("a value of the test's own");
        let mut rng = Seed::new([7; 32]).rng();
        let centres = kmeans(&points, wanted, &mut rng);
        let central = points.iter().map(|point| {
            nearest(&point.point, &centres)
                .expect("a value of the test's own")
                .0
        });
        let (mut truth, mut federated) = (Vec::new(), Vec::new());
        for (hospital, predictions) in hospitals.iter().zip(federation.predict(&state)) {
            let truths = truths(hospital);
            for prediction in predictions {
                if prediction.split == Split::Train {
                    truth.push(truths[&prediction.subject].clone());
                    federated.push(
                        prediction
                            .phenotype
                            .map_or(0, |phenotype| phenotype.cluster),
                    );
                }
            }
        }
        let origin = |point: &Weighted| point.point.iter().all(|value| value.abs() < 1e-9);
        Self {
            truth,
            federated,
            central: central.collect(),
            found: state.centres.len()
                / usize::try_from(clustering.dimensions).expect("a value of the test's own"),
            measured: points.iter().map(|point| !origin(point)).collect(),
        }
    }

    /// How far the federation agrees with k-means in one place.
    fn federated_with_central(&self) -> f64 {
        self.agreement(&self.federated, &self.central)
    }

    /// How far the federation, and k-means in one place, agree with the truth.
    fn with_truth(&self) -> [f64; 2] {
        [
            self.agreement(&self.truth, &self.federated),
            self.agreement(&self.truth, &self.central),
        ]
    }

    /// The adjusted Rand index over the patients that have an embedding.
    fn agreement<T: Ord + Clone, U: Ord + Clone>(&self, one: &[T], other: &[U]) -> f64 {
        let pairs = one.iter().cloned().zip(other.iter().cloned());
        let (one, other): (Vec<T>, Vec<U>) = pairs
            .zip(&self.measured)
            .filter(|(_, measured)| **measured)
            .map(|(pair, _)| pair)
            .unzip();
        adjusted_rand_index(&one, &other)
    }
}

/// The embeddings of all sites' training patients, none projected.
fn points(federation: &Federation, state: &State, radius: f64) -> Vec<Weighted> {
    let study: &Study = &federation.kit.study;
    let (cohort, model) = (&study.manifest().cohort, &study.manifest().model);
    let network = Network::new(cohort, model).expect("a value of the test's own");
    let mut weights = network.initial(model.initial_seed);
    network
        .add(&mut weights, &state.offset)
        .expect("a value of the test's own");
    let constants = cohort::reference(cohort);
    let normaliser = Normaliser::new(cohort, &constants).expect("a value of the test's own");
    let mut points = Vec::new();
    for bytes in federation.cohorts() {
        let patients = Patients::decode(bytes, cohort).expect("a value of the test's own");
        let places: Vec<usize> = patients.of_split(Split::Train).flatten().collect();
        let batch = normaliser.apply(&patients, &places);
        let rows = Batch {
            values: &batch.values,
            missing: &batch.missing,
        };
        let embeddings = network
            .embeddings(&weights, rows)
            .expect("a value of the test's own");
        for embedding in embeddings.chunks_exact(network.width()) {
            let mut point: Point = embedding
                .iter()
                .map(|value| f64::from(*value) / radius)
                .collect();
            clip(&mut point);
            points.push(Weighted { point, weight: 1.0 });
        }
    }
    points
}

fn truths(hospital: &Hospital) -> BTreeMap<i64, String> {
    let text = std::str::from_utf8(&hospital.phenotypes).expect("a value of the test's own");
    text.lines()
        .skip(1)
        .map(|line| {
            let (subject, phenotype) = line.split_once(',').expect("a value of the test's own");
            (
                subject.parse().expect("a value of the test's own"),
                phenotype.to_owned(),
            )
        })
        .collect()
}

#[test]
fn without_noise_the_federation_finds_what_is_found_in_one_place() {
    let partitions = Partitions::of(&expression(), &[], &hospitals(400));
    let agreement = partitions.federated_with_central();
    assert!(agreement > 0.85, "{agreement}");
    let [federated, central] = partitions.with_truth();
    assert!(federated > 0.85 && central > 0.85, "{federated} {central}");
}

#[test]
fn clusters_fade_as_epsilon_falls() {
    let hospitals = hospitals(400);
    let agreement = |epsilon: &str, bits: &str| {
        let settings = [
            ("privacy.epsilon", epsilon),
            ("aggregation.fraction-bits", bits),
        ];
        let partitions = Partitions::of(&expression(), &settings, &hospitals);
        (partitions.with_truth()[0], partitions.found)
    };
    let (generous, found) = agreement("20.0", "16");
    assert!(generous > 0.8 && found == 4, "{generous} of {found}");
    let (strict, found) = agreement("0.1", "10");
    assert!(strict < 0.3, "{strict} of {found}");
}

/// A measurement, not a test: `cargo test -p e2e --test whole_rounds measured -- --ignored --nocapture`.
#[test]
#[ignore = "trains whole studies: minutes"]
#[expect(clippy::print_stdout, reason = "what it is for")]
fn agreement_with_the_truth_is_measured() {
    let hospitals = hospitals(1_000);
    let linear = include_str!("../../../studies/readmission.toml");
    let transformer = include_str!("../../../studies/readmission-transformer.toml");
    for (name, draft, table) in [
        (
            "expression",
            expression().as_str(),
            "clusters = 4, rounds = 5, dimensions = 64, radius = 10.0, share = 0.8",
        ),
        (
            "linear",
            linear,
            "clusters = 4, rounds = 5, dimensions = 118, radius = 12.0, share = 0.3",
        ),
        (
            "linear, projected",
            linear,
            "clusters = 4, rounds = 5, dimensions = 16, radius = 12.0, share = 0.3",
        ),
        (
            "transformer",
            transformer,
            "clusters = 4, rounds = 5, dimensions = 16, radius = 5.0, share = 0.3",
        ),
    ] {
        for epsilon in ["inf", "10.0", "1.0"] {
            let table = format!("{{ {table} }}");
            let settings = [
                ("clustering", table.as_str()),
                ("privacy.epsilon", epsilon),
                ("aggregation.fraction-bits", "14"),
            ];
            let partitions = Partitions::of(draft, &settings, &hospitals);
            let [federated, central] = partitions.with_truth();
            println!(
                "{name}, epsilon {epsilon}: federated {federated:.3}, in one place {central:.3}, with each other {:.3}, \
                 {} clusters",
                partitions.federated_with_central(),
                partitions.found
            );
        }
    }
}
