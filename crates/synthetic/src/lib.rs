//! Made-up hospitals whose patients' risk of readmission within 30 days is known.
//!
//! ```text
//! seed ─▶ hospital: age, case mix, severity, habits of measuring, calibration
//!            └─▶ patient: phenotype, course of severity, comorbidities, marker loads
//!                   ├─▶ risk score + chance ─▶ Low, Medium, High          labels
//!                   └─▶ vitals, labs, markers, expression, history ─▶     events
//! ```
//!
//! No model sees the hidden state, only measurements of it. Effects were chosen from clinical knowledge before any
//! model was trained on the result, and are not tuned:
//!
//! | effect on the risk score (in standard deviations of its part) | weight | why |
//! | --- | --- | --- |
//! | mean severity of the last months | 0.45 | severity of illness leads all readmission scores (LACE's acuity, van Walraven 2010) |
//! | change of severity over the months | 0.75 | a patient who gets worse returns, and one who mends does not: early-warning scores are read as trends (NEWS2, Royal College of Physicians 2017) |
//! | age, per 15 years from 65 | 0.25 | Charlson's age adjustment (Charlson 1987) |
//! | comorbidities: heart failure 0.5, cancer 0.5, chronic lung disease 0.4, kidney disease 0.4, diabetes 0.2, hypertension 0.1 | 1 | Charlson index; HOSPITAL score (Donzé 2013) |
//! | load of the marker that fits the phenotype: cardiac and troponin, thrombotic and D-dimer, inflammatory and CRP, renal and creatinine | 0.45 | a marker is prognostic in its own disease: troponin in heart failure, D-dimer in thromboembolism, CRP in infection, creatinine in kidney disease |
//! | chance | 0.26 | housing, help at home, adherence: what no hospital measures |
//!
//! So the level of severity is not enough without its trend, and a marker says little unless the phenotype is known,
//! which expression values and comorbidities tell. The score's thresholds make 55 % Low, 30 % Medium and 15 % High over
//! all hospitals; each hospital differs. Given the whole hidden state, the best classifier is right in about 87 of 100
//! patients ([`best_accuracy`]); from measurements alone no model can reach that.
//!
//! These are the effects in the reference population. The [`Population::Shifted`] one has other effects and other
//! outcomes, over the same physiology: it stands in for public data that a model can be started from. It was changed
//! twice for how well such a start transfers to reference hospitals of seeds 101 to 103, so expect less of real public
//! data.
//!
//! Measurements have a patient's own baseline, noise from day to day, drugs' effects, and gaps: days without a
//! measurement, lost tubes, panels that are ordered for the sicker, patients without an expression array. Hospitals
//! differ in all of these. A month is four weeks.

#![forbid(unsafe_code)]

mod hospital;
mod measure;
mod patient;
mod population;
mod random;
mod risk;
mod settings;
mod spec;

pub use hospital::{Hospital, Hospitals, best_accuracy, synthesise};
pub use population::Population;
pub use settings::{Settings, SettingsError};
pub use spec::spec;
