//! `cargo xtask bench training`: patients per second of one pass of clipped gradients, ours and the peers', turn by
//! turn.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Value, json};

use super::peers::Peers;
use super::{Cores, Values, line, measure};
use crate::figures::Figures;
use crate::module;
use crate::shell::{show, target};

const PATIENTS: u32 = 1_000;
/// Batches that the peers are given; each counts with its best.
const BATCHES: [u32; 3] = [64, 256, PATIENTS];

/// Measures and prints.
pub(super) fn run(peers: &Peers, figures: &mut Figures) -> Result<()> {
    module::build(&target().join("module-out"))?;
    let mut best = Best::default();
    best.keep_ours()?;
    for batch in BATCHES {
        let runs = peers.train(PATIENTS, batch)?;
        if !runs.is_empty() {
            runs.into_iter().for_each(|run| best.keep_peer(run));
            best.keep_ours()?;
        }
    }
    for (name, row) in best.table() {
        show(&line(&name, &row));
        figures.record(&name, row);
    }
    if let Peers::Absent(why) = peers {
        show(&format!("peers left out: {why}"));
    }
    for (name, values) in measure("client-wasm", "door", Some("memory"), Cores::All)? {
        let name = format!("{name}, {} patients", number(&values, "patients"));
        show(&line(&name, &values));
        figures.record(&name, values);
    }
    Ok(())
}

/// The best figure of each thing over all turns.
#[derive(Debug, Default)]
struct Best {
    ours: BTreeMap<String, Values>,
    /// By mode and threads; what it was measured with is kept beside the rate.
    peers: BTreeMap<(String, u64), Values>,
}

impl Best {
    fn keep_ours(&mut self) -> Result<()> {
        for (name, values) in measure("client-wasm", "door", Some("rates"), Cores::All)? {
            let best = self.ours.entry(name).or_default();
            for (what, value) in values {
                let before = best.get(&what).and_then(Value::as_f64).unwrap_or_default();
                if value.as_f64().unwrap_or_default() > before {
                    best.insert(what, value);
                }
            }
        }
        if let Some(cost) = self.ours.get_mut("cost of privacy") {
            // Of the two best rates, not the worst of the ratios.
            let ratio = number(cost, "plain_per_second") / number(cost, "clipped_per_second");
            cost.insert("times_slower".to_owned(), json!(ratio));
        }
        Ok(())
    }

    fn keep_peer(&mut self, run: Values) {
        let mode = run.get("mode").and_then(Value::as_str).unwrap_or_default();
        let threads = run.get("threads").and_then(Value::as_u64);
        let best = self
            .peers
            .entry((mode.to_owned(), threads.unwrap_or_default()))
            .or_default();
        if number(&run, RATE) > number(best, RATE) {
            *best = run;
        }
    }

    /// The fastest that Opacus is on one thread; 0 where it was not measured.
    fn opacus(&self) -> f64 {
        let runs = self
            .peers
            .iter()
            .filter(|((mode, threads), _)| mode.starts_with("opacus-") && *threads == 1);
        runs.map(|(_, run)| number(run, RATE)).fold(0.0, f64::max)
    }

    /// A row for each thing, with how many times the rate of Opacus it has.
    fn table(&self) -> Vec<(String, Values)> {
        let opacus = self.opacus();
        let ratio = |rate: f64| {
            if opacus > 0.0 {
                json!(rate / opacus)
            } else {
                Value::Null
            }
        };
        let mut rows = Vec::new();
        for (name, values) in &self.ours {
            let mut row = values.clone();
            if row.contains_key("patients_per_second") {
                row.insert(
                    "times_opacus".to_owned(),
                    ratio(number(values, "patients_per_second")),
                );
            }
            rows.push((format!("ours, {name}"), row));
        }
        for ((mode, threads), run) in &self.peers {
            let rate = number(run, RATE);
            let row = json!({
                "patients_per_second": rate,
                "threads": threads,
                "batch": run.get("batch"),
                "attention": run.get("attention"),
                "peak_mib": run.get("peak_rss_mib"),
                "times_opacus": ratio(rate),
            });
            if let Value::Object(row) = row {
                rows.push((format!("peer, {mode}, {threads} thread(s)"), row));
            }
        }
        rows
    }
}

/// Of `bench_train.py`: patients per second in the best epoch.
const RATE: &str = "patients_per_s_best";

fn number(values: &Values, name: &str) -> f64 {
    values.get(name).and_then(Value::as_f64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mode: &str, threads: u64, batch: u32, rate: f64) -> Values {
        let run = json!({ "mode": mode, "threads": threads, "batch": batch, RATE: rate });
        run.as_object().unwrap().clone()
    }

    #[test]
    fn each_mode_counts_with_its_best_and_opacus_on_one_thread_is_the_measure() {
        let mut best = Best::default();
        best.keep_peer(run("opacus-hooks", 1, 64, 400.0));
        best.keep_peer(run("opacus-hooks", 1, 256, 500.0));
        best.keep_peer(run("opacus-hooks", 2, 256, 900.0));
        best.keep_peer(run("sgd", 1, 64, 1000.0));
        let rows: BTreeMap<String, Values> = best.table().into_iter().collect();
        let hooks = &rows["peer, opacus-hooks, 1 thread(s)"];
        assert_eq!(hooks["batch"], 256);
        let ratio = number(&rows["peer, sgd, 1 thread(s)"], "times_opacus");
        assert!((ratio - 2.0).abs() < 1e-9, "{ratio}");
    }
}
