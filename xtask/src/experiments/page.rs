//! The page of an experiment: Markdown that says what was run, how, and what came out.

use std::fmt::Write as _;

use super::definition::Experiment;
use super::peers::{PeerRow, Peers};
use super::published::Published;
use super::results::{FIGURES, RowResults, Spread};

/// When and by what an experiment was run.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The command line.
    pub(super) command: String,
    /// The day, as in `2026-11-23`.
    pub(super) date: String,
    /// Cores and processor.
    pub(super) machine: String,
    /// SHA-256 of the module.
    pub(super) module: String,
}

/// What stands beside the results.
pub(super) struct Beside<'a> {
    pub(super) origin: &'a Origin,
    /// What others' programs reach on the same patients.
    pub(super) peers: &'a Peers,
    /// Published rows; the text says why where there are none though there should be.
    pub(super) published: Result<Vec<Published>, &'static str>,
    /// Names of the files of plots.
    pub(super) plots: &'a [String],
    /// Names of the files of tables.
    pub(super) tables: &'a [String],
}

/// The page.
pub(super) fn markdown(
    experiment: &Experiment,
    results: &[RowResults],
    beside: &Beside<'_>,
) -> String {
    let mut page = format!("# {}\n\n", experiment.title);
    for paragraph in experiment.about {
        let _ = writeln!(page, "{paragraph}\n");
    }
    let seeds = results.iter().map(|result| result.outcomes.len()).max();
    let seeds = seeds.unwrap_or_default();
    let spread = if seeds > 1 {
        format!("Mean ± standard deviation over seeds 1 to {seeds}.")
    } else {
        "One seed: differences of a hundredth mean nothing.".to_owned()
    };
    let _ = writeln!(
        page,
        "{spread} On the held-out patients of all hospitals; seconds are of training, the start of the programs \
         included.\n"
    );
    page += &summary(results);
    page += &classes(results);
    page += &best(results);
    match beside.peers {
        Peers::Nothing => {}
        Peers::NotRun => {
            page += "PyTorch and Opacus were not run for this page: no Python was given (`--peers`).\n\n";
        }
        Peers::Run { rows, differs } => page += &others(results, rows, differs),
    }
    match &beside.published {
        Ok(rows) if rows.is_empty() => {}
        Ok(rows) => page += &published(rows),
        Err(absent) => {
            let _ = writeln!(page, "Published rows: {absent}\n");
        }
    }
    for plot in beside.plots {
        let _ = writeln!(page, "![{plot}]({plot})\n");
    }
    let Origin {
        command,
        date,
        machine,
        module,
    } = beside.origin;
    let tables: Vec<String> = beside
        .tables
        .iter()
        .map(|table| format!("[{table}]({table})"))
        .collect();
    let _ = write!(
        page,
        "Files: {}.\n\nMade by `{command}` on {date}, on {machine}; module {module}.\n",
        tables.join(", ")
    );
    page
}

fn summary(results: &[RowResults]) -> String {
    let mut heads = vec!["trained on", "rounds"];
    heads.extend(FIGURES.iter().map(|figure| figure.heading));
    let lines = results.iter().map(|result| {
        let rounds = result.outcomes[0].rounds;
        let mut line = vec![
            result.row.name.to_owned(),
            rounds.map_or_else(String::new, |rounds| rounds.to_string()),
        ];
        line.extend(
            FIGURES
                .iter()
                .map(|figure| result.spread(figure.of).text(figure.decimals)),
        );
        line
    });
    table(&heads, lines)
}

/// The area of each class, where there are more than two: with two, both are the same.
fn classes(results: &[RowResults]) -> String {
    let Some(first) = results.first() else {
        return String::new();
    };
    let names = &first.outcomes[0].scores.classes;
    if names.len() <= 2 {
        return String::new();
    }
    let mut heads = vec!["area under the curve"];
    heads.extend(names.iter().map(String::as_str));
    let lines = results.iter().map(|result| {
        let mut line = vec![result.row.name.to_owned()];
        for class in 0..names.len() {
            let known: Vec<f64> = result
                .outcomes
                .iter()
                .filter_map(|outcome| outcome.scores.class_auc[class])
                .collect();
            line.push(if known.is_empty() {
                String::new()
            } else {
                Spread::of(&known).text(3)
            });
        }
        line
    });
    table(&heads, lines)
}

fn best(results: &[RowResults]) -> String {
    let best: Vec<f64> = results
        .first()
        .map(|result| {
            result
                .outcomes
                .iter()
                .filter_map(|outcome| outcome.best_accuracy)
                .collect()
        })
        .unwrap_or_default();
    if best.is_empty() {
        return String::new();
    }
    format!(
        "The best accuracy that is possible on these hospitals, known to their generator: {}.\n\n",
        Spread::of(&best).text(3)
    )
}

/// Ours and the peer's in one table.
fn others(results: &[RowResults], rows: &[PeerRow], differs: &str) -> String {
    let heads = [
        "the same model, steps and rate",
        "accuracy",
        "macro AUC",
        "macro F1",
    ];
    let ours = results
        .iter()
        .filter(|result| BESIDE_PEERS.contains(&result.row.name))
        .map(|result| {
            [
                result.row.name.to_owned(),
                result.spread(|outcome| outcome.scores.accuracy).text(3),
                result.spread(|outcome| outcome.scores.macro_auc).text(3),
                result.spread(|outcome| outcome.scores.macro_f1).text(3),
            ]
        });
    let theirs = rows.iter().map(|row| {
        [
            row.row.clone(),
            row.spread(|line| line.accuracy).text(3),
            row.spread(|line| line.macro_auc).text(3),
            row.spread(|line| line.macro_f1).text(3),
        ]
    });
    table(&heads, ours.chain(theirs).map(Vec::from)) + differs + "\n\n"
}

/// The rows that are repeated beside the peer's: the same without noise, and with the same ε.
const BESIDE_PEERS: [&str; 3] = [
    "all patients in one place",
    "federated, ε = 1",
    "federated, ε = 1, inputs normalised by reference values",
];

fn published(rows: &[Published]) -> String {
    let lines = rows
        .iter()
        .map(|row| vec![row.method.clone(), row.accuracy.text(3)]);
    table(
        &[
            "published by FLamby, 5 seeds",
            "accuracy on the pooled test",
        ],
        lines,
    )
}

fn table(heads: &[&str], lines: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!(
        "| {} |\n|{}\n",
        heads.join(" | "),
        " --- |".repeat(heads.len())
    );
    for line in lines {
        let cells: Vec<String> = line.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::ALL;
    use super::super::results::tests::results;
    use super::*;

    fn page(published: Result<Vec<Published>, &'static str>, results: &[RowResults]) -> String {
        page_beside(&Peers::Nothing, published, results)
    }

    fn page_beside(
        peers: &Peers,
        published: Result<Vec<Published>, &'static str>,
        results: &[RowResults],
    ) -> String {
        let origin = Origin {
            command: "cargo xtask experiments synthetic".to_owned(),
            date: "2026-11-23".to_owned(),
            machine: "2 cores".to_owned(),
            module: "ab".repeat(32),
        };
        let beside = Beside {
            origin: &origin,
            peers,
            published,
            plots: &["synthetic.svg".to_owned()],
            tables: &["synthetic.csv".to_owned()],
        };
        markdown(&ALL[0], results, &beside)
    }

    #[test]
    fn a_page_has_the_table_the_plots_and_where_they_come_from() {
        let page = page(Ok(vec![]), &results());
        for text in [
            "# Three synthetic hospitals",
            "| federated, no noise | 40 | 0.750 ± 0.071 |",
            "over seeds 1 to 2",
            "known to their generator: 0.900 ± 0.000",
            "![synthetic.svg](synthetic.svg)",
            "[synthetic.csv](synthetic.csv)",
            "`cargo xtask experiments synthetic` on 2026-11-23, on 2 cores; module abab",
        ] {
            assert!(page.contains(text), "{text} is not in\n{page}");
        }
    }

    #[test]
    fn published_rows_are_shown_or_their_absence_is_said() {
        let row = Published {
            method: "FedAvg".to_owned(),
            accuracy: Spread::of(&[0.74, 0.75]),
        };
        assert!(page(Ok(vec![row]), &results()).contains("| FedAvg | 0.745 ± 0.007 |"));
        assert!(page(Err("not there"), &results()).contains("Published rows: not there"));
    }

    #[test]
    fn the_peer_is_in_one_table_with_ours_or_its_absence_is_said() {
        let run = super::super::peers::tests::run("What differs.");
        let page = page_beside(&run, Ok(vec![]), &results());
        let table = "| federated, ε = 1 | 0.650 ± 0.071 | 1.000 ± 0.000 | 0.733 ± 0.000 |\n\
                     | plain | 0.700 ± 0.000 | 0.800 ± 0.000 | 0.600 ± 0.000 |\n\
                     | noised | 0.600 ± 0.141 | 0.700 ± 0.141 | 0.500 ± 0.141 |\n\n\
                     What differs.\n";
        assert!(page.contains(table), "{page}");
        let page = page_beside(&Peers::NotRun, Ok(vec![]), &results());
        assert!(page.contains("PyTorch and Opacus were not run"), "{page}");
        let page = page_beside(&Peers::Nothing, Ok(vec![]), &results());
        assert!(!page.contains("PyTorch"), "{page}");
    }

    #[test]
    fn one_seed_has_no_deviation() {
        let mut results = results();
        for result in &mut results {
            result.outcomes.truncate(1);
        }
        let page = page(Ok(vec![]), &results);
        assert!(page.contains("One seed") && page.contains("| 0.700 |"));
    }
}
