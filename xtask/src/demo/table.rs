//! The table that the demo ends in.

use std::path::PathBuf;

use protocol::api::Metrics;
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
    pub(crate) metrics: Metrics,
    /// Seconds of training.
    pub(crate) seconds: f64,
    /// Rounds of training; none where nothing was sent.
    pub(crate) rounds: Option<usize>,
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
            "{:<34} {:>8.3} {:>10.3} {:>9.3} {:>7} {:>8.1}",
            row.name,
            row.metrics.accuracy,
            row.metrics.macro_auc,
            row.metrics.macro_f1,
            rounds,
            row.seconds
        )
    });
    [heads, rule].into_iter().chain(body).collect()
}
