//! `FLamby`'s published results, from the file of its repository.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::results::Spread;

/// A published row: a method and its accuracy on the pooled test set, over the seeds of the file.
pub(super) struct Published {
    pub(super) method: String,
    pub(super) accuracy: Spread,
}

/// The file beside the data.
const FILE: &str = "heart_disease/flamby_published_results.csv";

/// Reads the rows in the order of their names; none where the file is not there.
pub(super) fn flamby(data: &Path) -> Result<Option<Vec<Published>>> {
    let path = data.join(FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text)
        .map(Some)
        .with_context(|| format!("reading {}", path.display()))
}

fn parse(text: &str) -> Result<Vec<Published>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head = reader.headers()?.clone();
    let column = |name: &str| {
        head.iter()
            .position(|column| column == name)
            .with_context(|| format!("no column {name}"))
    };
    let (method, test, metric) = (column("Method")?, column("Test")?, column("Metric")?);
    let mut methods: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for record in reader.records() {
        let record = record?;
        if &record[test] == "Pooled Test" {
            let accuracy = record[metric].parse().context("an accuracy")?;
            methods
                .entry(record[method].to_owned())
                .or_default()
                .push(accuracy);
        }
    }
    let rows = methods.into_iter().map(|(method, accuracies)| Published {
        // The number of local steps, 100, is part of the file's names.
        method: method.trim_end_matches("100").to_owned(),
        accuracy: Spread::of(&accuracies),
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_mean_over_seeds_on_the_pooled_test() {
        let rows = parse(
            "seed,Metric,Method,Test\n1,0.5,FedAvg100,Pooled Test\n2,0.7,FedAvg100,Pooled Test\n\
             1,0.9,FedAvg100,client_test_0\n1,0.8,Pooled Training,Pooled Test\n",
        )
        .unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].method, "FedAvg");
        assert_eq!(rows[0].accuracy.text(2), "0.60 ± 0.14");
        assert_eq!(rows[1].accuracy.text(2), "0.80");
        assert!(parse("seed,Metric\n").is_err());
    }

    #[test]
    fn a_file_that_is_not_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(flamby(folder.path()).unwrap().is_none());
    }
}
