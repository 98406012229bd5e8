//! The experiments. A row is a few lines of data: a name, a way to train, ε, and the settings that differ.

use super::definition::{Data, Experiment, Peer, Published, Row, Start, Way};
use crate::trial::Stays;

/// All experiments, in the order that they are run.
pub(super) const ALL: &[Experiment] = &[
    SYNTHETIC,
    TRANSFORMER,
    ABLATION,
    HEART_DISEASE,
    DIABETES,
    DIABETES_SURVIVED,
];

const NONE: f64 = f64::INFINITY;

/// A clip norm that no gradient reaches: where there is no noise, nothing has to be bounded.
const UNCLIPPED: &[&str] = &["privacy.clip-norm=1000.0"];

const SYNTHETIC: Experiment = Experiment {
    name: "synthetic",
    title: "Three synthetic hospitals: what privacy costs",
    about: &[
        "Three synthetic hospitals of 1,000 patients, drawn anew for each seed; ordinal regression on means and trends \
         (120 weights). ε is for the whole study at δ = 10⁻⁵, held-out metrics included.",
        "The figures are on the pooled held-out patients of all hospitals. No model of the measurements can reach what \
         the generator knows.",
    ],
    data: Data::Synthetic {
        hospitals: 3,
        patients: 1_000,
    },
    draft: "readmission.toml",
    start: Start::Seed,
    seeds: 5,
    rows: &[
        row("one hospital alone (mean)", Way::Alone, NONE, &[]),
        row("all patients in one place", Way::Pooled, NONE, &[]),
        row("federated, no noise", Way::Federated, NONE, UNCLIPPED),
        row("federated, ε = 5", Way::Federated, 5.0, &[]),
        row("federated, ε = 1", Way::Federated, 1.0, &[]),
        row("federated, ε = 0.5", Way::Federated, 0.5, &[]),
    ],
    peer: Peer::Head,
    published: Published::Nothing,
};

const TRANSFORMER: Experiment = Experiment {
    name: "synthetic-transformer",
    title: "Three synthetic hospitals: the Transformer from a public start",
    about: &[
        "The hospitals of `synthetic`; the multimodal Transformer (width 16, one layer). Its encoder was trained on public \
         synthetic patients of **another population**: other effects, other habits of measuring, other outcomes, another \
         seed (`host synth --population shifted`). The hospitals train its ordinal head, but for the row that trains all \
         weights. ε is for the whole study at δ = 10⁻⁵, held-out metrics included.",
        "Model, rates, clip norm and the public population itself were chosen on synthetic hospitals of seeds 101 to 103, \
         never on these: made-up data, so nothing is charged for it. Both populations share their physiology, so expect \
         less of real public data. Few weights need few patients: one hospital alone is hardly worse.",
    ],
    draft: "readmission-transformer.toml",
    start: Start::Public,
    rows: &[
        row("one hospital alone (mean)", Way::Alone, NONE, &[]),
        row("all patients in one place", Way::Pooled, NONE, &[]),
        row(
            "all in one place, all weights",
            Way::Pooled,
            NONE,
            ALL_WEIGHTS,
        ),
        row("federated, no noise", Way::Federated, NONE, UNCLIPPED),
        row("federated, ε = 5", Way::Federated, 5.0, &[]),
        row("federated, ε = 1", Way::Federated, 1.0, &[]),
        row("federated, ε = 0.5", Way::Federated, 0.5, &[]),
    ],
    ..SYNTHETIC
};

/// From the same start, with a rate for many weights.
const ALL_WEIGHTS: &[&str] = &[
    "model.trained=\"all\"",
    "training.optimizer={ adam = { rate = 0.01, beta1 = 0.9, beta2 = 0.99, tau = 1e-6 } }",
];

const ABLATION: Experiment = Experiment {
    name: "synthetic-ablation",
    title: "Three synthetic hospitals: what time and fusion are worth",
    about: &[
        "The hospitals of `synthetic`, all patients in one place and no noise: ordinal regression on the last value of each \
         feature, on means, on means and trends; then on means and trends of each modality alone. The \
         Transformer is in the table `synthetic-transformer`.",
    ],
    rows: &[
        of_modalities("last values", LAST, &[]),
        of_modalities("means", MEANS, &[]),
        of_modalities("means and trends", &[], &[]),
        of_modalities("vital signs alone", &[], &["vitals"]),
        of_modalities("laboratory alone", &[], &["labs"]),
        of_modalities("markers alone", &[], &["markers"]),
        of_modalities("gene expression alone", &[], &["expression"]),
        of_modalities("history alone", &[], &["history"]),
    ],
    peer: Peer::Nothing,
    ..SYNTHETIC
};

const LAST: &[&str] = &["model.architecture={ linear = { summary = \"last\" } }"];
const MEANS: &[&str] = &["model.architecture={ linear = { summary = \"mean\" } }"];

const HEART_DISEASE: Experiment = Experiment {
    name: "heart-disease",
    title: "UCI Heart Disease: four real hospitals",
    about: &[
        "The four hospitals of UCI Heart Disease (740 patients) with FLamby's rows, inputs and split; logistic \
         regression; the means that inputs are normalised by are summed securely. δ = 10⁻⁵. The split is fixed, so seeds \
         differ in noise alone, and the first rows in nothing.",
        "*Federated* rows take full-batch steps of the pooled training. FedAvg and the rows below it take 100 local steps \
         of 4 patients a round at the rates of FLamby's own runs, without noise. Still not like for like with FLamby, \
         whose federated models are trained on inputs normalised by each hospital's own means and tested on inputs \
         normalised by the pooled ones.",
    ],
    data: Data::HeartDisease,
    draft: "heart-disease.toml",
    start: Start::Seed,
    seeds: 5,
    rows: &[
        row("one hospital alone (mean)", Way::Alone, NONE, &[]),
        row("all patients in one place", Way::Pooled, NONE, &[]),
        row("federated, no noise", Way::Federated, NONE, UNCLIPPED),
        row("federated, ε = 1", Way::Federated, 1.0, &[]),
        row(
            "federated, ε = 1, inputs normalised by reference values",
            Way::Federated,
            1.0,
            REFERENCE,
        ),
        row("FedAvg", Way::Federated, NONE, FEDAVG),
        row("FedProx", Way::Federated, NONE, FEDPROX),
        row("SCAFFOLD", Way::Federated, NONE, SCAFFOLD),
        row("FedAdam", Way::Federated, NONE, FEDADAM),
        row("FedAdagrad", Way::Federated, NONE, FEDADAGRAD),
        row("FedYogi", Way::Federated, NONE, FEDYOGI),
    ],
    peer: Peer::HeartDisease,
    published: Published::Flamby,
};

/// By what is known of such patients beforehand, so that no budget goes to their means.
const REFERENCE: &[&str] = &[
    "cohort.normalisation=\"reference\"",
    "privacy.moments-share=0.0",
];

// The rates of FLamby's own runs: 100 local steps of 4 patients a round, hospitals by their size.

const FEDAVG: &[&str] = &[LOCAL_STEPS, MEAN, UNCLIPPED[0]];

const FEDPROX: &[&str] = &[
    LOCAL_STEPS,
    "training.algorithm.averaging.proximal=0.01",
    MEAN,
    UNCLIPPED[0],
];

const SCAFFOLD: &[&str] = &[
    LOCAL_STEPS,
    "training.algorithm.averaging.control-variates=\"scaffold\"",
    MEAN,
    UNCLIPPED[0],
];

const FEDADAM: &[&str] = &[
    LOCAL_STEPS,
    "training.algorithm.averaging.optimizer.momentum.rate=0.01",
    "training.optimizer={ adam = { rate = 0.01, beta1 = 0.9, beta2 = 0.999, tau = 1e-8 } }",
    UNCLIPPED[0],
];

const FEDADAGRAD: &[&str] = &[
    LOCAL_STEPS,
    "training.algorithm.averaging.optimizer.momentum.rate=0.003162",
    "training.optimizer={ adagrad = { rate = 0.316228, beta1 = 0.9, tau = 1e-8 } }",
    UNCLIPPED[0],
];

const FEDYOGI: &[&str] = &[
    LOCAL_STEPS,
    "training.algorithm.averaging.optimizer.momentum.rate=0.003162",
    "training.optimizer={ yogi = { rate = 0.01, beta1 = 0.9, beta2 = 0.999, tau = 1e-8 } }",
    UNCLIPPED[0],
];

/// 100 steps of gradient descent at each site, 4 patients each.
const LOCAL_STEPS: &str = "training.algorithm={ averaging = { steps = 100, batch = { shuffled = { patients = 4 } }, \
                           optimizer = { momentum = { rate = 0.001, momentum = 0.0 } }, weighting = \"patients\", \
                           change-norm = 16.0 } }";

/// The mean of the hospitals' changes is taken as it is.
const MEAN: &str = "training.optimizer={ momentum = { rate = 1.0, momentum = 0.0 } }";

const DIABETES_ROWS: &[Row] = &[
    row("one hospital alone (mean)", Way::Alone, NONE, &[]),
    row("all patients in one place", Way::Pooled, NONE, &[]),
    row("federated, no noise", Way::Federated, NONE, UNCLIPPED),
    row("federated, ε = 1", Way::Federated, 1.0, &[]),
    row(
        "all in one place, logistic regression",
        Way::Pooled,
        NONE,
        LOGISTIC,
    ),
    row(
        "federated, ε = 1, logistic regression",
        Way::Federated,
        1.0,
        LOGISTIC,
    ),
];

const LOGISTIC: &[&str] = &["model.architecture={ linear = { summary = \"mean\" } }"];

const DIABETES: Experiment = Experiment {
    name: "diabetes-130",
    title: "Diabetes 130-US: readmission of real patients at simulated hospitals",
    about: &[
        "All 101,766 stays of 71,518 patients; three classes: not readmitted, after 30 days, within 30 days. **The \
         hospitals are simulated**: the file names none. A patient is at one of four, with all stays, by where the first \
         stay came from (emergency room, referral, transfer, unknown).",
        "A seed is a fold: each holds out another of the five fixed folds, which are by patient. The privacy unit is the \
         patient with up to ten stays, ε at δ = 10⁻⁶ for the whole study. Held-out rows are the first ten stays a \
         patient.",
        "Inputs, rate and rounds were chosen on the training patients of seed 1, by cross-validation among them; which \
         diagnoses are inputs follows from their share of all stays. Seed 1 is thus held out strictly. The patients that \
         seeds 2 to 5 hold out train seed 1, so they had a part in the choice.",
        "What others reach on the first three folds with all stays and the three diagnoses in nine groups each: logistic \
         regression .678 macro AUC and .589 accuracy, gradient boosting .690 and .598. Figures much above .72 mean \
         leakage. 2,423 stays ended in death or hospice, which makes this the easier cohort: the table \
         `diabetes-130-survived` leaves them out.",
    ],
    data: Data::Diabetes(Stays::All),
    draft: "diabetes-130.toml",
    start: Start::Seed,
    seeds: 5,
    rows: DIABETES_ROWS,
    peer: Peer::Nothing,
    published: Published::Nothing,
};

const DIABETES_SURVIVED: Experiment = Experiment {
    name: "diabetes-130-survived",
    title: "Diabetes 130-US without stays that ended in death or hospice",
    about: &[
        "As `diabetes-130`, without the 2,423 stays after which no patient can be readmitted: what a model would be \
         asked at the bedside. What others reach on one fold: logistic regression .668 macro AUC, boosting .680. **The \
         hospitals are simulated.**",
    ],
    data: Data::Diabetes(Stays::Survived),
    ..DIABETES
};

const fn row(name: &'static str, way: Way, epsilon: f64, settings: &'static [&'static str]) -> Row {
    Row {
        name,
        way,
        epsilon,
        settings,
        modalities: &[],
    }
}

/// All patients in one place, without noise, of some modalities.
const fn of_modalities(
    name: &'static str,
    settings: &'static [&'static str],
    modalities: &'static [&'static str],
) -> Row {
    Row {
        modalities,
        ..row(name, Way::Pooled, NONE, settings)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::shell::root;

    #[test]
    fn names_are_unique_and_drafts_are_there() {
        let mut names = BTreeSet::new();
        for experiment in ALL {
            assert!(names.insert(experiment.name), "{}", experiment.name);
            assert!(root().join("studies").join(experiment.draft).is_file());
            let mut rows = BTreeSet::new();
            for row in experiment.rows {
                assert!(rows.insert(row.name), "{}: {}", experiment.name, row.name);
                let draft = std::fs::read_to_string(root().join("studies").join(experiment.draft));
                let draft: toml::Table = draft.unwrap().parse().unwrap();
                for name in row.modalities {
                    let kept = row.settings(&draft, 1).concat();
                    assert!(kept.contains(&format!("\"{name}\"")), "{kept}");
                }
                for setting in row.settings(&draft, 1) {
                    let (name, value) = setting.split_once('=').unwrap();
                    let line = format!("{name} = {value}");
                    assert!(line.parse::<toml::Table>().is_ok(), "{line}");
                }
            }
        }
    }
}
