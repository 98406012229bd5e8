//! One patient: each input as the model sees it, and each event with its file and row.

use protocol::door::{Explained, ExplainedLabel, ExplainedRow, Split};
use protocol::study::{Cohort, Normalisation};

use super::short;
use crate::coverage::plain;

/// Everything about the patient, in lines.
#[must_use]
pub fn lines(explained: &Explained, cohort: &Cohort) -> Vec<String> {
    let subject = explained.subject;
    let mut lines = vec![format!(
        "patient {subject} (patient data: not to leave the site)"
    )];
    if explained.labels.is_empty() {
        lines.push(format!(
            "  the patient has no label that is used, so the model never sees patient {subject}"
        ));
    }
    for (place, label) in explained.labels.iter().enumerate() {
        lines.push(of_label(place, label, cohort));
        lines.extend(inputs(label, cohort));
    }
    if cohort.normalisation == Normalisation::Shared && !explained.labels.is_empty() {
        lines.push(
            "  inputs are shown by the reference values; the study's shared ones are known after its first round".to_owned(),
        );
    }
    lines.push(format!("  events: {}", explained.rows.len()));
    lines.extend(explained.rows.iter().map(|row| of_row(row, cohort)));
    if explained.more > 0 {
        lines.push(format!("  {} more events are not listed", explained.more));
    }
    lines
}

fn of_label(place: usize, label: &ExplainedLabel, cohort: &Cohort) -> String {
    let class = usize::try_from(label.label).ok();
    let class = class.and_then(|class| cohort.classes.get(class));
    let split = match label.split {
        Split::Train => "to train on",
        Split::Tuning => "to choose by",
        Split::HeldOut => "held out",
    };
    format!(
        "  label {}: prediction time {}, class {}, {split}",
        place + 1,
        label.time,
        class.map_or_else(|| label.label.to_string(), |class| plain(class))
    )
}

/// A line a feature, the oldest bin first: the value, and in brackets what the model sees.
fn inputs(label: &ExplainedLabel, cohort: &Cohort) -> Vec<String> {
    let mut lines = Vec::new();
    let mut offset = 0;
    for modality in &cohort.modalities {
        let bins = cohort.bins(modality.shape);
        let features = modality.features.len();
        for (index, feature) in modality.features.iter().enumerate() {
            let places = (0..bins).map(|bin| offset + bin * features + index);
            let inputs: Vec<String> = places.map(|place| input(label, place)).collect();
            lines.push(format!(
                "    {} ({}), {}: {}",
                plain(&feature.name),
                plain(&feature.code),
                plain(&feature.unit),
                inputs.join("  ")
            ));
        }
        offset += bins * features;
    }
    lines
}

fn input(label: &ExplainedLabel, place: usize) -> String {
    let there = label.observed.get(place) == Some(&1);
    match (label.values.get(place), label.normalised.get(place)) {
        (Some(value), Some(normalised)) if there => {
            format!("{} [{normalised:.2}]", short(f64::from(*value)))
        }
        _ => "missing [0]".to_owned(),
    }
}

fn of_row(row: &ExplainedRow, cohort: &Cohort) -> String {
    let value = row.value.map_or_else(|| "no number".to_owned(), short);
    let time = row.time.as_deref().unwrap_or("no time");
    let what = if row.uses.is_empty() {
        format!("not used: {}", row.reason)
    } else {
        let feature = row.feature.and_then(|place| usize::try_from(place).ok());
        let name = feature.and_then(|place| cohort.features().nth(place));
        let uses: Vec<String> = row
            .uses
            .iter()
            .map(|used| format!("label {}, bin {}", used.label + 1, used.bin + 1))
            .collect();
        format!(
            "{} of {}",
            uses.join("; "),
            name.map_or_else(String::new, |feature| plain(&feature.name))
        )
    };
    format!(
        "    {}, row {}: {time}  {}  {value}  {what}",
        plain(&row.file),
        row.row,
        plain(&row.code)
    )
}
