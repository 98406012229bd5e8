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

use super::clock;
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
    /// Nobody trained on an outcome that is not known, so such a prediction is in no part and always wanted.
    fn holds(self, prediction: &Prediction) -> bool {
        let split = prediction.split;
        prediction.label.is_none()
            || match self {
                Self::Train => split == Split::Train,
                Self::Tuning => split == Split::Tuning,
                Self::HeldOut => split == Split::HeldOut,
                Self::All => true,
            }
    }

    /// The predictions of this part.
    pub(super) fn of(self, predictions: &[Prediction]) -> Vec<&Prediction> {
        predictions.iter().filter(|one| self.holds(one)).collect()
    }
}

/// What the model in `state` says of the patients of `cohorts`.
pub(super) fn predict(
    chosen: &Chosen,
    cohorts: &[Cohort],
    state: &[u8],
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
    Ok(predictions)
}

/// Writes the predictions of a part, one line per label, and says what was written and how often the model was right.
///
/// Columns: number of the patient, split, index of the true class, the probability of each class, prediction time, name of the
/// true class, and, where the model has phenotypes, the patient's cluster and how far the patient is from its centre.
pub(super) fn write(
    path: &Path,
    classes: &[String],
    predictions: &[Prediction],
    part: Part,
    out: &mut dyn Write,
) -> Result<()> {
    let written = part.of(predictions);
    durable::replace(path, &table(classes, &written)?)?;
    tell(path, &written, out)?;
    let others = predictions.len() - written.len();
    if others > 0 {
        writeln!(
            out,
            "not written: {others} predictions of other parts of the cohort; --split all writes them too"
        )?;
    }
    Ok(())
}

fn table(classes: &[String], predictions: &[&Prediction]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let clustered = predictions
        .iter()
        .any(|prediction| prediction.phenotype.is_some());
    let mut header = ["subject_id", "split", "label"].map(str::to_owned).to_vec();
    header.extend(classes.iter().map(|class| format!("p_{class}")));
    header.extend(["prediction_time", "class"].map(str::to_owned));
    if clustered {
        header.extend(["cluster", "distance"].map(str::to_owned));
    }
    writer.write_record(header)?;
    for prediction in predictions {
        let class = prediction.label.and_then(|label| {
            let name = classes.get(usize::try_from(label).ok()?)?;
            Some((label.to_string(), name.clone()))
        });
        let (label, class) = class.unwrap_or_default();
        let split = match prediction.label {
            Some(_) => split(prediction.split),
            None => "",
        };
        let mut cells = vec![prediction.subject.to_string(), split.to_owned(), label];
        cells.extend(prediction.probabilities.iter().map(f32::to_string));
        cells.extend([clock::micros(prediction.time), class]);
        if clustered {
            let phenotype = prediction.phenotype;
            cells.push(phenotype.map_or(String::new(), |one| one.cluster.to_string()));
            cells.push(phenotype.map_or(String::new(), |one| one.distance.to_string()));
        }
        writer.write_record(cells)?;
    }
    writer.into_inner().context("writing CSV into memory")
}

fn tell(path: &Path, predictions: &[&Prediction], out: &mut dyn Write) -> Result<()> {
    let mut patients: Vec<i64> = predictions.iter().map(|one| one.subject).collect();
    patients.sort_unstable();
    patients.dedup();
    write!(out, "{} patients", patients.len())?;
    if patients.len() < predictions.len() {
        write!(out, ", {} predictions", predictions.len())?;
    }
    write!(out, "  {}", path.display())?;
    let known = predictions.iter().filter(|one| one.label.is_some()).count();
    match predictions {
        [] => {}
        [first, ..] if known > 0 => {
            let figures = figures(predictions, first.probabilities.len())?;
            write!(out, "  accuracy {}", shown(figures.accuracy))?;
            if known < predictions.len() {
                write!(out, " over the {known} whose outcome is known")?;
            }
        }
        _ => write!(out, "  no outcome is known, so no accuracy")?,
    }
    writeln!(out)?;
    Ok(())
}

/// How good those are whose outcome is known.
pub(super) fn figures(predictions: &[&Prediction], classes: usize) -> Result<Exact> {
    let (mut probabilities, mut labels) = (Vec::new(), Vec::new());
    for prediction in predictions {
        if let Some(label) = prediction.label {
            probabilities.extend_from_slice(&prediction.probabilities);
            labels.push(label);
        }
    }
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
