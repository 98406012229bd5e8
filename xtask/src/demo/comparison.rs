//! Trains in every way that the demo's table compares.

use std::path::Path;

use anyhow::Result;
use e2e::Programs;
use protocol::api::{Metrics, Reliability};

use super::Arguments;
use super::table::{Row, Rows};
use crate::trial::{Ground, Hospitals, Trained};

/// Trains on each hospital alone, on the federation without noise and at ε, and on all patients in one place.
pub(super) fn compare(
    programs: &Programs,
    arguments: &Arguments,
    hospitals: &Hospitals,
    draft: &Path,
    weights: Option<&Path>,
    folder: &Path,
) -> Result<Rows> {
    let ground = |name: &str, epsilon: f64| {
        let epsilon = toml::Value::Float(epsilon).to_string();
        let settings = [format!("privacy.epsilon={epsilon}")];
        Ground::set_up(
            programs,
            &hospitals.sites,
            draft,
            &settings,
            weights,
            &folder.join(name),
        )
    };
    let mut plain = ground("without-noise", f64::INFINITY)?;
    let alone = locals(&plain)?;
    let central = row("all patients in one place", &plain, &plain.pooled()?)?;
    let name = "federated, no noise";
    let trained = plain.federated(name, None)?;
    let open = row(name, &plain, &trained)?;
    let mut private = ground("private", arguments.epsilon)?;
    let name = format!("federated, ε = {}", arguments.epsilon);
    let trained = private.federated(&name, arguments.kill_at)?;
    let noised = row(&name, &private, &trained)?;
    Ok(Rows {
        rows: vec![alone, open, noised, central],
        model: trained.state,
    })
}

fn row(name: &str, ground: &Ground, trained: &Trained) -> Result<Row> {
    Ok(Row {
        name: name.to_owned(),
        metrics: ground.predictions(trained)?.metrics()?,
        seconds: trained.seconds,
        rounds: trained.rounds,
    })
}

/// The mean over the hospitals of what each reaches alone, on the pooled held-out patients.
fn locals(ground: &Ground) -> Result<Row> {
    let mut each = Vec::new();
    let mut seconds = 0.0;
    for place in 0..ground.sites().len() {
        let trained = ground.alone(place)?;
        seconds += trained.seconds;
        each.push(ground.predictions(&trained)?.metrics()?);
    }
    let seconds = seconds / each.len() as f64;
    Ok(Row {
        name: "one hospital alone (mean)".to_owned(),
        metrics: mean(&each),
        seconds,
        rounds: None,
    })
}

/// The mean of each figure; confusion matrices and reliability diagrams are added.
fn mean(each: &[Metrics]) -> Metrics {
    let count = each.len() as f64;
    let of = |figure: fn(&Metrics) -> f64| each.iter().map(figure).sum::<f64>() / count;
    let mut confusion = each[0].confusion.clone();
    for other in &each[1..] {
        for (row, added) in confusion.iter_mut().zip(&other.confusion) {
            for (cell, value) in row.iter_mut().zip(added) {
                *cell += value;
            }
        }
    }
    Metrics {
        accuracy: of(|metrics| metrics.accuracy),
        macro_auc: of(|metrics| metrics.macro_auc),
        macro_f1: of(|metrics| metrics.macro_f1),
        calibration_error: of(|metrics| metrics.calibration_error),
        class_auc: (0..confusion.len())
            .map(|class| mean_auc(each, class))
            .collect(),
        reliability: added(each),
        confusion,
    }
}

/// The mean AUC of a class, over those that have one.
fn mean_auc(each: &[Metrics], class: usize) -> Option<f64> {
    let aucs: Vec<f64> = each
        .iter()
        .filter_map(|metrics| metrics.class_auc[class])
        .collect();
    (!aucs.is_empty()).then(|| aucs.iter().sum::<f64>() / aucs.len() as f64)
}

/// The reliability diagrams added, bin by bin.
fn added(each: &[Metrics]) -> Vec<Vec<Reliability>> {
    let mut sum = each[0].reliability.clone();
    for other in &each[1..] {
        let bins = sum.iter_mut().flatten();
        for (bin, more) in bins.zip(other.reliability.iter().flatten()) {
            bin.patients += more.patients;
            bin.in_class += more.in_class;
        }
    }
    sum
}
