//! How a model does on the held-out patients of all hospitals.
//!
//! The demo may pool predictions, since it owns the hospitals. In a real study each hospital's predictions stay there,
//! and the same figures come from noised, securely added counts.

use std::path::Path;

use anyhow::{Context, Result};
use e2e::{Federation, finish};
use protocol::api::Metrics;

/// The figures of the state in `state` on the held-out patients of every site.
pub(crate) fn metrics(federation: &Federation, state: &Path, folder: &Path) -> Result<Metrics> {
    let mut labels = Vec::new();
    let mut probabilities = Vec::new();
    let mut classes = 0;
    for place in 0..federation.sites().len() {
        let file = folder.join(format!("{}.csv", federation.sites()[place].name));
        let mut predict = federation.programs().host();
        predict
            .arg("predict")
            .arg("--config")
            .arg(federation.config(place))
            .arg("--state")
            .arg(state);
        finish(predict.args(["--split", "held_out", "--out"]).arg(&file))?;
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("reading {}", file.display()))?;
        let mut lines = text.lines();
        // subject, split, label, then one column a class.
        classes = lines
            .next()
            .unwrap_or_default()
            .split(',')
            .count()
            .saturating_sub(3);
        for line in lines {
            let mut cells = line.split(',').skip(2);
            labels.push(
                cells
                    .next()
                    .unwrap_or_default()
                    .parse::<u32>()
                    .context("reading a label")?,
            );
            for cell in cells {
                probabilities.push(cell.parse::<f32>().context("reading a probability")?);
            }
        }
    }
    learning::metrics::exact(&probabilities, &labels, classes).context("measuring the predictions")
}
