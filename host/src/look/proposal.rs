//! Reference means and deviations for a draft, from what a hospital has.

use protocol::study::{Encoding, Feature};
use toml_edit::{InlineTable, Value};

use super::{Found, Look, short};

/// Fewest patients of whom a feature's reference is proposed: of fewer, it would tell of them.
const FEWEST: u32 = 20;

/// `[[cohort.modality]]` tables' features with this hospital's means and deviations, to paste into a draft.
///
/// Of fewer than 20 patients, or where they do not differ, a feature keeps the draft's.
#[must_use]
pub fn lines(look: &Look<'_>) -> Vec<String> {
    let mut lines = vec![
        "# Means and deviations over this site's patients, with three digits and without noise: check that they may leave the site."
            .to_owned(),
    ];
    let mut found = look.features();
    for modality in &look.cohort.modalities {
        lines.push(format!(
            "# modality {}",
            Value::from(modality.name.as_str())
        ));
        for found in found.by_ref().take(modality.features.len()) {
            let feature = found.feature;
            let (mean, sd, kept) = match proposed(found) {
                Some((mean, sd)) => (mean, sd, ""),
                None => (
                    feature.mean,
                    feature.sd,
                    "  # the draft's: too few patients, or all alike",
                ),
            };
            lines.push(format!("  {},{kept}", inline(feature, mean, sd)));
        }
    }
    lines
}

fn proposed(found: Found<'_>) -> Option<(f64, f64)> {
    let distribution = found.distribution;
    let (mean, sd) = (
        three(distribution.patient_mean),
        three(distribution.patient_sd),
    );
    (found.coverage.patients >= FEWEST && sd > 0.0).then_some((mean, sd))
}

/// Three significant digits.
fn three(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

fn inline(feature: &Feature, mean: f64, sd: f64) -> String {
    let mut table = InlineTable::new();
    table.insert("code", feature.code.as_str().into());
    table.insert("name", feature.name.as_str().into());
    table.insert("unit", feature.unit.as_str().into());
    match feature.encoding {
        Encoding::Value => {}
        Encoding::Presence => {
            table.insert("encoding", "presence".into());
        }
        Encoding::YearsSince => {
            table.insert("encoding", "years-since".into());
        }
    }
    for (name, value) in [
        ("low", feature.low),
        ("high", feature.high),
        ("mean", mean),
        ("sd", sd),
    ] {
        table.insert(name, value.into());
    }
    table.to_string()
}

/// The same in a word, for a page.
#[must_use]
pub fn told(found: Found<'_>) -> Option<String> {
    proposed(found).map(|(mean, sd)| format!("mean = {}, sd = {}", short(mean), short(sd)))
}
