//! The table that the demo ends in.

use std::path::PathBuf;

use learning::metrics::Exact;
use serde::Serialize;

/// The demo's result.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// In the order that they are shown.
    pub(crate) rows: Vec<Row>,
    /// Where the privately trained model lies.
    pub(crate) model: PathBuf,
}

/// A way to train, and how well its model does on the pooled held-out patients.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What was trained, on what.
    pub(crate) name: String,
    /// On the held-out patients of all hospitals.
    pub(crate) metrics: Scores,
    /// Seconds of training.
    pub(crate) seconds: f64,
    /// Rounds of training; none where nothing was sent.
    pub(crate) rounds: Option<usize>,
}

/// Exact figures, which a trial can have since it owns the hospitals; a figure of nobody is absent.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Scores {
    pub(crate) accuracy: Option<f64>,
    pub(crate) macro_auc: Option<f64>,
    pub(crate) macro_f1: Option<f64>,
    pub(crate) calibration_error: Option<f64>,
}

impl From<Exact> for Scores {
    fn from(exact: Exact) -> Self {
        Self {
            accuracy: exact.accuracy,
            macro_auc: exact.macro_auc,
            macro_f1: exact.macro_f1,
            calibration_error: exact.calibration_error,
        }
    }
}

/// The table's lines.
pub(crate) fn lines(rows: &Rows) -> Vec<String> {
    let heads = format!(
        "{:<34} {:>8} {:>10} {:>9} {:>7} {:>8}",
        "trained on", "accuracy", "macro AUC", "macro F1", "rounds", "seconds"
    );
    let rule = "─".repeat(heads.chars().count());
    let body = rows.rows.iter().map(|row| {
        let rounds = row
            .rounds
            .map_or_else(|| "-".to_owned(), |rounds| rounds.to_string());
        format!(
            "{:<34} {:>8} {:>10} {:>9} {:>7} {:>8.1}",
            row.name,
            shown(row.metrics.accuracy),
            shown(row.metrics.macro_auc),
            shown(row.metrics.macro_f1),
            rounds,
            row.seconds
        )
    });
    [heads, rule].into_iter().chain(body).collect()
}

fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.3}"))
}
