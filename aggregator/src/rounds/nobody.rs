//! Whether a study trained on anybody, as far as its sums tell.

use protocol::api::{Count, RoundRecord};
use protocol::study::Study;

/// Why a study without noise has no model to publish: no sum had a training patient.
pub(super) fn reason(study: &Study, records: &[RoundRecord]) -> Option<String> {
    (!is_noised(study) && is_nobody(records)).then(|| {
        "no hospital had a patient to train on: every sum of training was of nobody, so the model is the one that training \
         began with and is not published; look at `host data check` at each hospital, mend the data or the study's cohort, \
         and start a new study"
            .to_owned()
    })
}

/// What to know before the model of a study is used.
pub(super) fn warnings(study: &Study, records: &[RoundRecord]) -> Vec<String> {
    if is_noised(study) && is_nobody(records) {
        vec![
            "the training patients of all rounds together cannot be told from noise: the model may have been trained on \
             nobody; do not use it before the hospitals have looked at `host data check`"
                .to_owned(),
        ]
    } else {
        Vec::new()
    }
}

fn is_noised(study: &Study) -> bool {
    study.manifest().privacy.epsilon.is_finite()
}

/// Whether the sums of training, all together, are not above what their noise alone makes: 2 standard deviations.
///
/// Where sites do not count patients, whether nothing ever moved.
fn is_nobody(records: &[RoundRecord]) -> bool {
    let counts = records.iter().filter_map(|record| record.patients);
    let counts: Vec<Count> = counts.collect();
    if counts.is_empty() {
        let norms = records
            .iter()
            .filter_map(|record| record.update_norm.as_ref()?.shown());
        // Where none is known, nothing is known of the patients.
        let highest = norms.map(|norm| norm.high).reduce(f64::max);
        return highest.is_some_and(|highest| highest <= 0.0);
    }
    let sum: f64 = counts.iter().map(|count| count.value).sum();
    let variance: f64 = counts.iter().map(|count| count.deviation.powi(2)).sum();
    sum <= 2.0 * variance.sqrt()
}

#[cfg(test)]
mod tests {
    use protocol::api::{Estimate, Figure};
    use protocol::id::Purpose;

    use super::*;

    fn round(value: f64, deviation: f64) -> RoundRecord {
        RoundRecord {
            number: 0,
            purpose: Purpose::Train,
            survivors: vec!["a".to_owned()],
            abandoned: None,
            patients: Some(Count { value, deviation }),
            update_norm: None,
            metrics: None,
        }
    }

    #[test]
    fn nobody_is_told_from_somebody_by_all_rounds_together() {
        assert!(is_nobody(&[round(0.0, 0.0), round(0.0, 0.0)]));
        assert!(!is_nobody(&[round(0.0, 0.0), round(1.0, 0.0)]));
        assert!(is_nobody(&vec![round(15.0, 100.0); 40]));
        assert!(!is_nobody(&vec![round(60.0, 100.0); 40]));
    }

    #[test]
    fn where_patients_are_not_counted_a_model_that_never_moved_is_of_nobody() {
        let moved = |high| RoundRecord {
            patients: None,
            update_norm: Some(Figure::Shown(Estimate {
                value: high,
                deviation: 0.0,
                low: high,
                high,
            })),
            ..round(0.0, 0.0)
        };
        assert!(is_nobody(&[moved(0.0), moved(0.0)]));
        assert!(!is_nobody(&[moved(0.0), moved(0.1)]));
        // Nothing is known where each site noises its own steps, and where no round of training was finished.
        assert!(!is_nobody(&[]));
    }
}
