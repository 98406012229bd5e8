//! Trains in every way that the demo's table compares.

use std::path::Path;

use anyhow::Result;
use e2e::Programs;

use super::Arguments;
use super::table::{Row, Rows, Scores};
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
        metrics: ground.predictions(trained)?.metrics()?.into(),
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
        each.push(ground.predictions(&trained)?.metrics()?.into());
    }
    let seconds = seconds / each.len() as f64;
    Ok(Row {
        name: "one hospital alone (mean)".to_owned(),
        metrics: mean(&each),
        seconds,
        rounds: None,
    })
}

/// The mean of each figure, over those that have one.
fn mean(each: &[Scores]) -> Scores {
    let of = |figure: fn(&Scores) -> Option<f64>| {
        let known: Vec<f64> = each.iter().filter_map(figure).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    Scores {
        accuracy: of(|scores| scores.accuracy),
        macro_auc: of(|scores| scores.macro_auc),
        macro_f1: of(|scores| scores.macro_f1),
        calibration_error: of(|scores| scores.calibration_error),
    }
}
