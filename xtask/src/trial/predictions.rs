//! What a model says of the held-out patients of all hospitals.
//!
//! A trial may pool predictions, since it owns the hospitals. In a real study each hospital's predictions stay there,
//! and the figures come from noised, securely added counts.

use std::path::Path;

use anyhow::{Context, Result};
use e2e::{Federation, finish};
use learning::metrics::Exact;

/// The held-out labels of all hospitals, and what a model says of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Predictions {
    /// The index of each true class.
    pub(crate) labels: Vec<u32>,
    /// `[labels, classes]`
    pub(crate) probabilities: Vec<f32>,
    /// The names of the classes.
    pub(crate) classes: Vec<String>,
}

impl Predictions {
    /// What the state in `state` says.
    pub(crate) fn of(federation: &Federation, state: &Path, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("creating {}", folder.display()))?;
        let mut predictions = Self::default();
        for place in 0..federation.sites().len() {
            let file = folder.join(format!("{}.csv", federation.sites()[place].name));
            let mut predict = federation.programs().host();
            predict
                .arg("predict")
                .arg("--config")
                .arg(federation.config(place))
                .arg("--state")
                .arg(state)
                // Real hospitals lack a feature here and there.
                .arg("--accept-doubts");
            finish(predict.args(["--split", "held_out", "--out"]).arg(&file))?;
            predictions
                .add(&file)
                .with_context(|| format!("reading {}", file.display()))?;
        }
        Ok(predictions)
    }

    /// Accuracy, AUC and F1.
    pub(crate) fn metrics(&self) -> Result<Exact> {
        learning::metrics::exact(&self.probabilities, &self.labels, self.classes.len())
            .context("measuring the predictions")
    }

    /// Adds a file of `host predict`: subject, split, label, a column `p_…` for each class, and perhaps others after them.
    fn add(&mut self, file: &Path) -> Result<()> {
        let mut reader = csv::Reader::from_path(file)?;
        let names = reader.headers()?.iter().skip(3);
        self.classes = names
            .map_while(|name| name.strip_prefix("p_").map(str::to_owned))
            .collect();
        for record in reader.records() {
            let record = record?;
            let mut cells = record.iter().skip(2);
            let label = cells.next().unwrap_or_default();
            self.labels.push(label.parse().context("a label")?);
            for cell in cells.take(self.classes.len()) {
                self.probabilities
                    .push(cell.parse().context("a probability")?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_after_the_classes_are_no_classes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        let text =
            "subject,split,label,p_low,p_high,cluster,distance\n7,held_out,1,0.25,0.75,3,1.5\n";
        std::fs::write(&file, text).unwrap();
        let mut predictions = Predictions::default();
        predictions.add(&file).unwrap();
        assert_eq!(predictions.classes, ["low", "high"]);
        assert_eq!(predictions.labels, [1]);
        assert_eq!(predictions.probabilities, [0.25, 0.75]);
    }
}
