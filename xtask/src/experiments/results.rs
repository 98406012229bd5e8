//! The runs of an experiment, row by row, and the tables that they make.

use anyhow::{Context, Result};

use super::definition::Row;
use super::run::Outcome;
use super::scores::Scores;

/// A row with the outcome of each seed; there is at least one.
#[derive(Clone, Debug)]
pub(super) struct RowResults {
    pub(super) row: Row,
    pub(super) outcomes: Vec<Outcome>,
}

/// A mean over seeds and the standard deviation of a sample (n - 1); none where there is one seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) mean: f64,
    pub(super) sd: Option<f64>,
}

impl Spread {
    /// Of values, of which there is at least one.
    pub(super) fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self {
            mean,
            sd: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
        }
    }

    /// For a reader: `0.679 ± 0.003`.
    pub(super) fn text(self, decimals: usize) -> String {
        let mean = self.mean;
        match self.sd {
            Some(sd) => format!("{mean:.decimals$} ± {sd:.decimals$}"),
            None => format!("{mean:.decimals$}"),
        }
    }
}

impl RowResults {
    /// A figure over the seeds.
    pub(super) fn spread(&self, figure: impl Fn(&Outcome) -> f64) -> Spread {
        Spread::of(&self.outcomes.iter().map(figure).collect::<Vec<_>>())
    }

    /// The scores of all seeds together: means, and counts added.
    pub(super) fn scores(&self) -> Scores {
        let each: Vec<Scores> = self
            .outcomes
            .iter()
            .map(|outcome| outcome.scores.clone())
            .collect();
        Scores::mean(&each)
    }
}

/// A figure of the main table: its heading, its decimals, and where it is found.
pub(super) struct Figure {
    pub(super) heading: &'static str,
    pub(super) decimals: usize,
    pub(super) of: fn(&Outcome) -> f64,
}

pub(super) const ACCURACY: Figure = Figure {
    heading: "accuracy",
    decimals: 3,
    of: |outcome| outcome.scores.accuracy,
};

pub(super) const MACRO_AUC: Figure = Figure {
    heading: "macro AUC",
    decimals: 3,
    of: |outcome| outcome.scores.macro_auc,
};

/// The figures of the main table, in order.
pub(super) const FIGURES: [Figure; 5] = [
    ACCURACY,
    MACRO_AUC,
    Figure {
        heading: "macro F1",
        decimals: 3,
        of: |outcome| outcome.scores.macro_f1,
    },
    Figure {
        heading: "calibration error",
        decimals: 3,
        of: |outcome| outcome.scores.calibration_error,
    },
    Figure {
        heading: "seconds",
        decimals: 1,
        of: |outcome| outcome.seconds,
    },
];

/// The main table: a line a row, with mean and deviation of each figure.
pub(super) fn summary_csv(results: &[RowResults]) -> Result<String> {
    let mut head = vec![
        "row".to_owned(),
        "epsilon".to_owned(),
        "seeds".to_owned(),
        "rounds".to_owned(),
    ];
    for figure in FIGURES {
        head.push(figure.heading.replace(' ', "_"));
        head.push(format!("{}_sd", figure.heading.replace(' ', "_")));
    }
    let lines = results.iter().map(|result| {
        let rounds = result.outcomes[0].rounds;
        let mut line = vec![
            result.row.name.to_owned(),
            result.row.epsilon.to_string(),
            result.outcomes.len().to_string(),
            rounds.map_or_else(String::new, |rounds| rounds.to_string()),
        ];
        for figure in FIGURES {
            let spread = result.spread(figure.of);
            line.push(format!("{:.5}", spread.mean));
            line.push(spread.sd.map_or_else(String::new, |sd| format!("{sd:.5}")));
        }
        line
    });
    csv(&head, lines)
}

/// Every run: a line a row and seed, with the area of each class.
pub(super) fn runs_csv(results: &[RowResults]) -> Result<String> {
    let mut head: Vec<String> = [
        "row",
        "seed",
        "accuracy",
        "macro_auc",
        "macro_f1",
        "calibration_error",
        "seconds",
    ]
    .map(str::to_owned)
    .to_vec();
    if let Some(first) = results.first() {
        head.extend(
            first.outcomes[0]
                .scores
                .classes
                .iter()
                .map(|class| format!("auc {class}")),
        );
    }
    let lines = results.iter().flat_map(|result| {
        (1..)
            .zip(&result.outcomes)
            .map(move |(seed, outcome): (u32, _)| {
                let scores = &outcome.scores;
                let mut line = vec![result.row.name.to_owned(), seed.to_string()];
                let figures = [
                    scores.accuracy,
                    scores.macro_auc,
                    scores.macro_f1,
                    scores.calibration_error,
                ];
                line.extend(figures.iter().map(|figure| format!("{figure:.5}")));
                line.push(format!("{:.1}", outcome.seconds));
                line.extend(
                    scores
                        .class_auc
                        .iter()
                        .map(|auc| auc.map_or_else(String::new, |auc| format!("{auc:.5}"))),
                );
                line
            })
    });
    csv(&head, lines)
}

/// The confusion matrices over all seeds: a line a row and pair of classes.
pub(super) fn confusion_csv(results: &[RowResults]) -> Result<String> {
    let head = ["row", "true", "predicted", "labels"].map(str::to_owned);
    let lines = results.iter().flat_map(|result| {
        let scores = result.scores();
        let mut lines = Vec::new();
        for (truth, counts) in scores.classes.iter().zip(&scores.confusion) {
            for (predicted, count) in scores.classes.iter().zip(counts) {
                lines.push(vec![
                    result.row.name.to_owned(),
                    truth.clone(),
                    predicted.clone(),
                    count.to_string(),
                ]);
            }
        }
        lines
    });
    csv(&head, lines)
}

/// The reliability curves over all seeds: a line a row and bin that holds predictions.
pub(super) fn reliability_csv(results: &[RowResults]) -> Result<String> {
    let head = ["row", "predictions", "mean_confidence", "accuracy"].map(str::to_owned);
    let lines = results.iter().flat_map(|result| {
        let bins = result.scores().reliability;
        let line = |bin: super::scores::Bin| {
            vec![
                result.row.name.to_owned(),
                bin.count.to_string(),
                format!("{:.5}", bin.confidence / bin.count),
                format!("{:.5}", bin.right / bin.count),
            ]
        };
        bins.into_iter()
            .filter(|bin| bin.count > 0.0)
            .map(line)
            .collect::<Vec<_>>()
    });
    csv(&head, lines)
}

fn csv(head: &[String], lines: impl Iterator<Item = Vec<String>>) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(head)?;
    for line in lines {
        writer.write_record(line)?;
    }
    let bytes = writer.into_inner().context("writing CSV into memory")?;
    String::from_utf8(bytes).context("CSV of text is text")
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::definition::Way;
    use super::super::scores::tests::scores;
    use super::*;

    pub(crate) fn results() -> Vec<RowResults> {
        let outcome = |accuracy, seconds| Outcome {
            scores: scores(accuracy),
            seconds,
            rounds: Some(40),
            best_accuracy: Some(0.9),
        };
        let row = |name, epsilon| Row {
            name,
            way: Way::Federated,
            epsilon,
            settings: &[],
            modalities: &[],
        };
        vec![
            RowResults {
                row: row("federated, no noise", f64::INFINITY),
                outcomes: vec![outcome(0.7, 1.0), outcome(0.8, 2.0)],
            },
            RowResults {
                row: row("federated, ε = 1", 1.0),
                outcomes: vec![outcome(0.6, 1.0), outcome(0.7, 4.0)],
            },
        ]
    }

    #[test]
    fn a_spread_is_the_mean_and_the_deviation_of_a_sample() {
        let spread = Spread::of(&[1.0, 2.0, 3.0]);
        assert_eq!(spread.text(2), "2.00 ± 1.00");
        assert_eq!(Spread::of(&[0.25]).text(3), "0.250");
    }

    #[test]
    fn tables_have_a_line_a_row_with_all_seeds() {
        let summary = summary_csv(&results()).unwrap();
        let lines: Vec<&str> = summary.lines().collect();
        assert!(lines[0].starts_with("row,epsilon,seeds,rounds,accuracy,accuracy_sd,macro_AUC"));
        assert!(lines[1].starts_with("\"federated, no noise\",inf,2,40,0.75000,0.07071,"));
        assert!(lines[2].starts_with("\"federated, ε = 1\",1,2,40,0.65000,0.07071,"));
        assert_eq!(runs_csv(&results()).unwrap().lines().count(), 5);
        assert!(
            confusion_csv(&results())
                .unwrap()
                .contains("\"federated, ε = 1\",no,no,4\n")
        );
        assert!(
            reliability_csv(&results())
                .unwrap()
                .contains(",4,0.90000,1.00000\n")
        );
    }
}
