//! Per-patient predictions as a CSV file, which stays at the site.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use host::durable;
use host::patients::Cohort;
use host::sandbox::SandboxError;
use learning::metrics::{self, Exact};
use protocol::door::{Predict, Prediction, Request, Response, Split};

use super::site::Chosen;

/// Which patients
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Part {
    /// Those trained on
    Train,
    /// Those to choose by
    Tuning,
    /// Those held out
    HeldOut,
    /// All
    All,
}

impl Part {
    fn holds(self, split: Split) -> bool {
        match self {
            Self::Train => split == Split::Train,
            Self::Tuning => split == Split::Tuning,
            Self::HeldOut => split == Split::HeldOut,
            Self::All => true,
        }
    }
}

/// What the model in `state` says of the patients of `cohorts`.
pub(super) fn predict(
    chosen: &Chosen,
    cohorts: &[Cohort],
    state: &[u8],
    part: Part,
) -> Result<Vec<Prediction>> {
    let mut predictions = Vec::new();
    for cohort in cohorts {
        let request = Request::Predict(Predict {
            study: chosen.text.clone().into(),
            cohort: cohort.bytes.clone().into(),
            state: state.to_vec().into(),
            weights: chosen.weights.clone().map(Into::into),
        });
        match chosen.sandbox.instance()?.ask(&request)? {
            Response::Predicted(predicted) => predictions.extend(predicted.patients),
            _ => return Err(SandboxError::OtherAnswer.into()),
        }
    }
    predictions.retain(|prediction| part.holds(prediction.split));
    Ok(predictions)
}

/// Writes one line a label: number of the patient, split, index of the true class, the probability of each class, and, where
/// the model has phenotypes, the patient's cluster and how far the patient is from its centre.
pub(super) fn write(path: &Path, classes: &[String], predictions: &[Prediction]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let clustered = predictions
        .iter()
        .any(|prediction| prediction.phenotype.is_some());
    let probabilities = classes.iter().map(|class| format!("p_{class}"));
    let phenotype: &[&str] = if clustered {
        &["cluster", "distance"]
    } else {
        &[]
    };
    writer.write_record(
        ["subject_id", "split", "label"]
            .map(str::to_owned)
            .into_iter()
            .chain(probabilities)
            .chain(phenotype.iter().map(ToString::to_string)),
    )?;
    for prediction in predictions {
        let fixed = [
            prediction.subject.to_string(),
            split(prediction.split).to_owned(),
            prediction.label.to_string(),
        ];
        let phenotype = prediction.phenotype.map(|phenotype| {
            [
                phenotype.cluster.to_string(),
                phenotype.distance.to_string(),
            ]
        });
        writer.write_record(
            fixed
                .into_iter()
                .chain(prediction.probabilities.iter().map(f32::to_string))
                .chain(phenotype.into_iter().flatten()),
        )?;
    }
    let bytes = writer.into_inner().context("writing CSV into memory")?;
    Ok(durable::replace(path, &bytes)?)
}

/// Says what was written, and how often the model was right.
pub(super) fn tell(path: &Path, predictions: &[Prediction], out: &mut dyn Write) -> Result<()> {
    write!(out, "{} patients  {}", predictions.len(), path.display())?;
    match predictions {
        [] => writeln!(out)?,
        [first, ..] => {
            let figures = figures(predictions, first.probabilities.len())?;
            writeln!(out, "  accuracy {}", shown(figures.accuracy))?;
        }
    }
    Ok(())
}

/// How good they are.
pub(super) fn figures(predictions: &[Prediction], classes: usize) -> Result<Exact> {
    let probabilities: Vec<f32> = predictions
        .iter()
        .flat_map(|prediction| prediction.probabilities.iter().copied())
        .collect();
    let labels: Vec<u32> = predictions
        .iter()
        .map(|prediction| prediction.label)
        .collect();
    metrics::exact(&probabilities, &labels, classes).context("measuring the predictions")
}

/// A figure as it is printed; of nobody there is none.
pub(super) fn shown(figure: Option<f64>) -> String {
    figure.map_or_else(|| "none".to_owned(), |figure| format!("{figure:.4}"))
}

fn split(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Tuning => "tuning",
        Split::HeldOut => "held_out",
    }
}
