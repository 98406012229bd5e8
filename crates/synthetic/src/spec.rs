//! The features of the made-up hospitals, as a study asks for them.

use protocol::study::{Cohort, Encoding, Feature, Modality, Normalisation, Shape, Span, Split};

use crate::population::Population;
use crate::settings::Settings;

/// Expression values of a patient.
pub(crate) const GENES: usize = 64;

/// Code, name, unit, plausible range, reference mean and standard deviation.
type Row = (&'static str, &'static str, &'static str, [f64; 4]);

/// Daily.
pub(crate) const VITALS: [Row; 5] = [
    (
        "LOINC//8867-4",
        "heart rate",
        "/min",
        [20.0, 250.0, 75.0, 12.0],
    ),
    (
        "LOINC//8480-6",
        "systolic blood pressure",
        "mm[Hg]",
        [50.0, 260.0, 130.0, 17.0],
    ),
    (
        "LOINC//8462-4",
        "diastolic blood pressure",
        "mm[Hg]",
        [20.0, 160.0, 76.0, 10.0],
    ),
    (
        "LOINC//59408-5",
        "oxygen saturation",
        "%",
        [50.0, 100.0, 96.0, 2.0],
    ),
    (
        "LOINC//8310-5",
        "body temperature",
        "Cel",
        [32.0, 43.0, 36.8, 0.4],
    ),
];

/// Weekly: a blood count (four analytes), then a metabolic panel (eight).
pub(crate) const LABS: [Row; 12] = [
    (
        "LOINC//6690-2",
        "leukocytes",
        "10*3/uL",
        [0.1, 100.0, 7.5, 2.2],
    ),
    (
        "LOINC//718-7",
        "haemoglobin",
        "g/dL",
        [3.0, 25.0, 13.5, 1.7],
    ),
    ("LOINC//4544-3", "haematocrit", "%", [10.0, 70.0, 40.0, 5.0]),
    (
        "LOINC//777-3",
        "platelets",
        "10*3/uL",
        [5.0, 1_500.0, 250.0, 65.0],
    ),
    (
        "LOINC//2951-2",
        "sodium",
        "mmol/L",
        [100.0, 180.0, 139.0, 3.0],
    ),
    ("LOINC//2823-3", "potassium", "mmol/L", [1.5, 9.0, 4.2, 0.5]),
    (
        "LOINC//2075-0",
        "chloride",
        "mmol/L",
        [70.0, 140.0, 102.0, 3.0],
    ),
    (
        "LOINC//2028-9",
        "carbon dioxide",
        "mmol/L",
        [5.0, 50.0, 25.0, 2.5],
    ),
    (
        "LOINC//3094-0",
        "urea nitrogen",
        "mg/dL",
        [1.0, 200.0, 18.0, 8.0],
    ),
    (
        "LOINC//2160-0",
        "creatinine",
        "mg/dL",
        [0.1, 20.0, 1.1, 0.5],
    ),
    (
        "LOINC//2345-7",
        "glucose",
        "mg/dL",
        [20.0, 1_000.0, 115.0, 35.0],
    ),
    ("LOINC//17861-6", "calcium", "mg/dL", [4.0, 18.0, 9.3, 0.5]),
];

/// When ordered.
pub(crate) const MARKERS: [Row; 3] = [
    (
        "LOINC//1988-5",
        "C-reactive protein",
        "mg/L",
        [0.1, 300.0, 9.0, 12.0],
    ),
    (
        "LOINC//48065-7",
        "D-dimer",
        "ug/mL{FEU}",
        [0.05, 20.0, 1.0, 1.2],
    ),
    (
        "LOINC//89579-7",
        "troponin I, high sensitivity",
        "ng/L",
        [0.5, 1_000.0, 15.0, 18.0],
    ),
];

/// Age, the one value of the history.
pub(crate) const AGE: Row = ("LOINC//30525-0", "age", "a", [18.0, 110.0, 65.0, 14.0]);

/// Male sex, comorbidities in the order of `Comorbidity::ALL`, and drugs: code, name, how common.
pub(crate) const HISTORY: [(&str, &str, f64); 13] = [
    ("GENDER//M", "male", 0.5),
    ("ICD10CM//I50", "heart failure", 0.2),
    ("ICD10CM//J44", "chronic obstructive lung disease", 0.2),
    ("ICD10CM//N18", "chronic kidney disease", 0.2),
    ("ICD10CM//E11", "type 2 diabetes", 0.3),
    ("ICD10CM//C80", "cancer", 0.15),
    ("ICD10CM//I10", "hypertension", 0.5),
    ("ATC//C07", "beta blocker", 0.35),
    ("ATC//C09", "ACE inhibitor or sartan", 0.4),
    ("ATC//C03", "diuretic", 0.25),
    ("ATC//H02", "corticosteroid", 0.15),
    ("ATC//A10A", "insulin", 0.15),
    ("ATC//B01A", "antithrombotic", 0.3),
];

/// The code of an expression value.
pub(crate) fn gene(place: usize) -> String {
    format!("EXPRESSION//{:02}", place + 1)
}

/// The `[cohort]` of a study on hospitals of these settings: weekly bins, four to a token.
#[must_use]
pub fn spec(settings: Settings) -> Cohort {
    let series = Shape::Series {
        bin: Span::days(7),
        bins_per_token: 4,
    };
    let genes = (0..GENES).map(|place| Feature {
        code: gene(place),
        name: format!("expression of gene {}", place + 1),
        unit: "{log2}".to_owned(),
        encoding: Encoding::Value,
        low: -8.0,
        high: 8.0,
        mean: 0.0,
        sd: 1.1,
    });
    let mut history = vec![value(&AGE)];
    history.extend(HISTORY.iter().map(presence));
    Cohort {
        history: Span::days(settings.days()),
        classes: classes(settings.population()),
        normalisation: Normalisation::Reference,
        labels_per_patient: 1,
        split: Split {
            train: 0.8,
            tuning: 0.0,
        },
        modalities: vec![
            modality("vitals", series, VITALS.iter().map(value).collect()),
            modality("labs", series, LABS.iter().map(value).collect()),
            modality("markers", series, MARKERS.iter().map(value).collect()),
            modality("expression", Shape::Static, genes.collect()),
            modality("history", Shape::Static, history),
        ],
    }
}

/// Low, medium and high risk; or which of four outcomes a patient has, as the bits of the class's index.
fn classes(population: Population) -> Vec<String> {
    match population {
        Population::Reference => ["low", "medium", "high"].map(str::to_owned).to_vec(),
        Population::Shifted => (0..16).map(|bits| format!("outcomes {bits:04b}")).collect(),
    }
}

fn modality(name: &str, shape: Shape, features: Vec<Feature>) -> Modality {
    Modality {
        name: name.to_owned(),
        shape,
        features,
    }
}

fn value(row: &Row) -> Feature {
    let (code, name, unit, [low, high, mean, sd]) = *row;
    Feature {
        code: code.to_owned(),
        name: name.to_owned(),
        unit: unit.to_owned(),
        encoding: Encoding::Value,
        low,
        high,
        mean,
        sd,
    }
}

fn presence(row: &(&str, &str, f64)) -> Feature {
    let (code, name, share) = *row;
    Feature {
        code: code.to_owned(),
        name: name.to_owned(),
        unit: "1".to_owned(),
        encoding: Encoding::Presence,
        low: 0.0,
        high: 1.0,
        mean: share,
        sd: (share * (1.0 - share)).sqrt(),
    }
}
