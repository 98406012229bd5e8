//! What people should look at, in words.

use protocol::door::Report;
use protocol::study::Encoding;

use super::{Found, short};
use crate::coverage::{labels, percent, plain};

/// A feature that fewer labels have is told.
const FEW: f64 = 0.1;

/// A mean so many of the reference's standard deviations away is told.
const FAR: f64 = 3.0;

/// A unit is guessed where values lie at least this many of the reference's standard deviations away.
const OTHER_UNIT: f64 = 2.5;

/// How near the reference, in its standard deviations, values have to come by another unit.
const NEAR: f64 = 1.5;

/// A share of values outside of the plausible range that is told.
const OUTSIDE: f64 = 0.02;

/// A share of patients with one value that is told where the value is odd.
const SHARED: f64 = 0.01;

/// A value this many times the distance between the quarters from the median is not one of the others.
const APART: f64 = 3.0;

/// Fewest patients of which shares are told.
const FEWEST: u32 = 5;

/// Factors between units that are mixed up: thousands and tenths, and those of glucose (mg/dL a mmol/L), creatinine (µmol/L a
/// mg/dL), cholesterol (mg/dL a mmol/L), urea nitrogen (mg/dL a mmol/L), bilirubin (µmol/L a mg/dL), pounds a kilogram, centimetres an inch.
const FACTORS: [f64; 10] = [
    10.0, 100.0, 1_000.0, 18.02, 88.42, 38.67, 2.801, 17.10, 2.205, 2.54,
];

/// What is to be looked at in one feature, each in a sentence.
#[must_use]
pub fn of_feature(found: Found<'_>, report: &Report) -> Vec<String> {
    let coverage = found.coverage;
    let labels = labels(report);
    if coverage.labels == 0 {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let share = f64::from(coverage.labels) / f64::from(labels.max(1));
    if share < FEW && found.feature.encoding != Encoding::Presence {
        findings.push(format!(
            "{} % of the labels have no value ({} of {labels} have one): the model sees it as missing",
            percent(u64::from(labels - coverage.labels), u64::from(labels)),
            coverage.labels
        ));
    }
    if found.feature.encoding == Encoding::Presence {
        return findings;
    }
    findings.extend(unit(found).or_else(|| far(found)));
    findings.extend(clipped(found));
    findings.extend(shared(found));
    let distribution = found.distribution;
    let same = distribution.least >= distribution.greatest;
    if same && coverage.patients >= FEWEST {
        findings.push(format!(
            "all {} values are {}: it tells no patients apart",
            distribution.values,
            short(distribution.least)
        ));
    }
    findings
}

/// How far from the reference's mean, in its standard deviations.
fn distance(found: Found<'_>, value: f64) -> f64 {
    (value - found.feature.mean).abs() / found.feature.sd
}

/// Values that lie near the reference in another unit.
fn unit(found: Found<'_>) -> Option<String> {
    let median = found.distribution.quantiles[2];
    if distance(found, median) < OTHER_UNIT || found.coverage.patients < FEWEST {
        return None;
    }
    let told = |what: &str| {
        format!(
            "the median {} is far from the reference {} ± {} {}, and {what}: look at the unit",
            short(median),
            short(found.feature.mean),
            short(found.feature.sd),
            plain(&found.feature.unit)
        )
    };
    let factors = FACTORS.into_iter().flat_map(|factor| {
        [
            (median / factor, format!("{factor} times too large")),
            (median * factor, format!("{factor} times too small")),
        ]
    });
    let fahrenheit = (
        (median - 32.0) / 1.8,
        "degrees Fahrenheit, not Celsius".to_owned(),
    );
    let near = factors
        .chain([fahrenheit])
        .filter(|(value, _)| distance(found, *value) < NEAR)
        .min_by(|(one, _), (other, _)| distance(found, *one).total_cmp(&distance(found, *other)));
    near.map(|(value, what)| told(&format!("would be {} if it is {what}", short(value))))
}

/// A mean far from the reference.
fn far(found: Found<'_>) -> Option<String> {
    let mean = found.distribution.patient_mean;
    let away = distance(found, mean);
    (away >= FAR && found.coverage.patients >= FEWEST).then(|| {
        format!(
            "the mean over patients, {}, is {} standard deviations from the reference {} ± {} {}",
            short(mean),
            short(away),
            short(found.feature.mean),
            short(found.feature.sd),
            plain(&found.feature.unit)
        )
    })
}

#[expect(clippy::cast_precision_loss, reason = "a share of counted values")]
fn clipped(found: Found<'_>) -> Option<String> {
    let coverage = found.coverage;
    let share = coverage.clipped as f64 / coverage.used.max(1) as f64;
    (share >= OUTSIDE).then(|| {
        format!(
            "{} % of the values are outside of {} to {} and are set to its end",
            percent(coverage.clipped, coverage.used),
            short(found.feature.low),
            short(found.feature.high)
        )
    })
}

/// A value that many patients share, and that no patient is likely to have.
fn shared(found: Found<'_>) -> Option<String> {
    let (feature, coverage) = (found.feature, found.coverage);
    let [_, quarter, median, three_quarters, _] = found.distribution.quantiles;
    let odd = |value: f64| {
        // What lies among the other values is one of them, whatever the reference says.
        if (value - median).abs() <= APART * (three_quarters - quarter) {
            return false;
        }
        let outside = value < feature.low || value > feature.high;
        outside || (is_code(value) && distance(found, value) > FAR)
    };
    let spike = found.distribution.spikes.iter().find(|spike| {
        let share = f64::from(spike.patients) / f64::from(coverage.patients.max(1));
        share >= SHARED && spike.patients >= FEWEST.min(coverage.patients) && odd(spike.value)
    })?;
    Some(format!(
        "the value {} of about {} patients looks like a code for a missing one: name it as missing when the files are made",
        short(spike.value),
        spike.patients
    ))
}

/// Nines, zero and minus one are what people write for "not known".
fn is_code(value: f64) -> bool {
    const CODES: [f64; 12] = [
        0.0, -1.0, 9.0, 99.0, 999.0, 9_999.0, 99_999.0, -9.0, -99.0, -999.0, -9_999.0, -99_999.0,
    ];
    CODES.iter().any(|code| (value - code).abs() < 1e-9)
}

#[cfg(test)]
mod tests {
    use protocol::door::{Coverage, Distribution, Spike};
    use protocol::study::Feature;

    use super::*;

    fn feature(mean: f64, sd: f64, low: f64, high: f64) -> Feature {
        Feature {
            code: "CODE".to_owned(),
            name: "name".to_owned(),
            unit: "mg/dL".to_owned(),
            encoding: Encoding::Value,
            low,
            high,
            mean,
            sd,
        }
    }

    /// A hundred patients with values about this median.
    fn told(
        feature: &Feature,
        median: f64,
        change: impl FnOnce(&mut Coverage, &mut Distribution),
    ) -> String {
        let mut coverage = Coverage {
            patients: 100,
            labels: 100,
            used: 100,
            events: 100,
            ..Coverage::default()
        };
        let mut distribution = Distribution {
            values: 100,
            least: median * 0.9,
            greatest: median * 1.1 + 1.0,
            quantiles: [median; 5],
            patient_mean: median.clamp(feature.low, feature.high),
            ..Distribution::default()
        };
        change(&mut coverage, &mut distribution);
        let found = Found {
            feature,
            coverage: &coverage,
            distribution: &distribution,
        };
        let report = Report {
            train: 100,
            ..Report::default()
        };
        of_feature(found, &report).join("\n")
    }

    #[test]
    fn units_are_guessed_by_the_factor_between_them() {
        let glucose = feature(115.0, 35.0, 20.0, 1_000.0);
        assert!(told(&glucose, 6.4, |_, _| ()).contains("18.02 times too small"));
        let creatinine = feature(1.1, 0.5, 0.1, 20.0);
        assert!(told(&creatinine, 90.0, |_, _| ()).contains("88.42 times too large"));
        let temperature = feature(36.8, 0.4, 32.0, 43.0);
        assert!(told(&temperature, 98.6, |_, _| ()).contains("degrees Fahrenheit"));
        let haemoglobin = feature(13.5, 1.7, 3.0, 25.0);
        assert!(told(&haemoglobin, 135.0, |_, _| ()).contains("10 times too large"));
        assert_eq!(told(&haemoglobin, 13.0, |_, _| ()), "");
        assert!(
            told(&haemoglobin, 21.0, |_, _| ()).contains("standard deviations from the reference")
        );
    }

    #[test]
    fn missing_values_codes_and_constants_are_told() {
        let age = feature(60.0, 15.0, 0.0, 120.0);
        let few = told(&age, 60.0, |coverage, _| coverage.labels = 4);
        assert!(
            few.starts_with("96 % of the labels have no value (4 of 100"),
            "{few}"
        );
        let spike = |value, patients| {
            told(&age, 60.0, |_, distribution| {
                distribution.spikes = vec![Spike { value, patients }]
            })
        };
        assert!(spike(-9.0, 12).contains("the value -9 of about 12 patients"));
        assert!(spike(999.0, 12).contains("the value 999"));
        assert_eq!(spike(60.0, 12), "", "a common value is not odd");
        let haemoglobin = feature(135.0, 17.0, 30.0, 250.0);
        let other_unit = told(&haemoglobin, 13.5, |_, distribution| {
            distribution.quantiles = [10.0, 12.6, 13.5, 14.3, 17.0];
            distribution.spikes = vec![Spike {
                value: 13.6,
                patients: 40,
            }];
        });
        assert!(other_unit.contains("10 times too small"), "{other_unit}");
        assert!(!other_unit.contains("code for a missing"), "{other_unit}");
        assert_eq!(spike(-9.0, 1), "", "one patient is no pattern");
        let same = told(&age, 60.0, |_, distribution| {
            distribution.greatest = distribution.least
        });
        assert!(same.contains("tells no patients apart"), "{same}");
        let outside = told(&age, 60.0, |coverage, _| coverage.clipped = 7);
        assert!(
            outside.starts_with("7.0 % of the values are outside"),
            "{outside}"
        );
    }
}
