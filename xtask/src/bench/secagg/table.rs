//! The figures of each size of a round, whoever they are of.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;

use super::super::Values;

/// A size: weights, sites, and how many of them vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size {
    pub(super) parameters: u64,
    pub(super) sites: u64,
    pub(super) dropped: u64,
}

/// Seconds and bytes; what was not measured is not there.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// Of the protocol, by name.
    ours: Values,
    /// Of the server on all cores.
    parallel: Option<f64>,
    /// Of a site in the module.
    module: Option<f64>,
    /// Of Flower.
    peer: Option<Peer>,
}

#[derive(Clone, Debug)]
pub(super) struct Peer {
    site: f64,
    server: f64,
    up: f64,
    process: f64,
}

/// All rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(BTreeMap<Size, Row>);

impl Table {
    /// A line of the protocol's benchmark on one core.
    pub(super) fn keep_round(&mut self, values: &Values) {
        self.0.entry(size(values, "parameters")).or_default().ours = values.clone();
    }

    /// A line of the protocol's benchmark on all cores, which only the server makes use of.
    pub(super) fn keep_parallel(&mut self, values: &Values) {
        self.0
            .entry(size(values, "parameters"))
            .or_default()
            .parallel = number(values, "server_seconds");
    }

    /// A line of the door's benchmark. Its models have about as many weights as the round they are put beside.
    pub(super) fn keep_site(&mut self, values: &Values) {
        if values.get("where").is_some_and(|place| place == "module") {
            let size = size(values, "parameters");
            for (other, row) in &mut self.0 {
                if (other.parameters, other.sites) == (size.parameters, size.sites) {
                    row.module = number(values, "site_seconds");
                }
            }
        }
    }

    /// A line of Flower's script.
    pub(super) fn keep_peer(&mut self, values: &Values) {
        let mut size = size(values, "d");
        size.sites = whole(values, "n");
        let total = |name: &str| {
            let milliseconds = values
                .get(name)
                .and_then(|parts| parts.get("total")?.as_f64());
            milliseconds.unwrap_or_default() / 1e3
        };
        let up = values
            .get("upload_bytes")
            .and_then(serde_json::Value::as_object);
        let up = up.map_or(0.0, |stages| {
            stages.values().filter_map(serde_json::Value::as_f64).sum()
        });
        if let Some(row) = self.0.get_mut(&size) {
            row.peer = Some(Peer {
                site: total("client_ms"),
                server: total("server_ms"),
                up,
                process: number(values, "peak_rss_mib").unwrap_or_default(),
            });
        }
    }

    /// The rows with their names, small models first.
    pub(super) fn rows(&self) -> impl Iterator<Item = (String, &Row)> {
        self.0.iter().map(|(size, row)| (size.name(), row))
    }

    /// The rows by their size.
    pub(super) fn sizes(&self) -> impl Iterator<Item = (&Size, &Row)> {
        self.0.iter()
    }

    /// All figures, a row a line.
    pub(super) fn csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let heads = ["parameters", "sites", "dropped"].into_iter();
        writer.write_record(heads.chain(COLUMNS))?;
        for (size, row) in &self.0 {
            let values = row.values();
            let key = [size.parameters, size.sites, size.dropped].map(|number| number.to_string());
            let rest = COLUMNS.map(|name| {
                values
                    .get(name)
                    .map_or_else(String::new, ToString::to_string)
            });
            writer.write_record(key.into_iter().chain(rest))?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}

impl Size {
    fn name(self) -> String {
        let Self {
            parameters,
            sites,
            dropped,
        } = self;
        format!("n = {sites}, {dropped} dropped, d = {parameters}")
    }
}

impl Row {
    /// A figure of ours, by its name in the benchmark.
    pub(super) fn ours(&self, name: &str) -> Option<f64> {
        number(&self.ours, name)
    }

    /// Seconds of a site in the module.
    pub(super) fn module(&self) -> Option<f64> {
        self.module
    }

    /// Seconds of the server on all cores.
    pub(super) fn parallel(&self) -> Option<f64> {
        self.parallel
    }

    /// A figure of Flower.
    pub(super) fn peer(&self, figure: fn(&Peer) -> f64) -> Option<f64> {
        self.peer.as_ref().map(figure)
    }

    /// All of [`COLUMNS`] that were measured.
    pub(super) fn values(&self) -> Values {
        let ratio = |ours: Option<f64>, theirs: Option<f64>| Some(theirs? / ours?);
        let figures = [
            self.ours("site_seconds"),
            self.module,
            self.peer(Peer::site),
            ratio(self.ours("site_seconds"), self.peer(Peer::site)),
            ratio(self.module, self.peer(Peer::site)),
            self.ours("server_seconds"),
            self.parallel,
            self.peer(Peer::server),
            ratio(self.ours("server_seconds"), self.peer(Peer::server)),
            self.ours("server_unmasking_seconds"),
            self.ours("server_peak_bytes"),
            self.peer(Peer::process_mib),
            self.ours("bytes_up"),
            self.peer(Peer::up),
            self.ours("bytes_down"),
            self.ours("bits"),
        ];
        let measured = COLUMNS
            .into_iter()
            .zip(figures)
            .filter_map(|(name, figure)| Some((name, figure?)));
        measured
            .map(|(name, figure)| (name.to_owned(), json!(figure)))
            .collect()
    }
}

impl Peer {
    pub(super) fn site(&self) -> f64 {
        self.site
    }

    pub(super) fn server(&self) -> f64 {
        self.server
    }

    pub(super) fn up(&self) -> f64 {
        self.up
    }

    /// The most memory of the whole process, in which all sites and the server are.
    pub(super) fn process_mib(&self) -> f64 {
        self.process
    }
}

/// Names of the figures, in the order of [`Row::values`].
const COLUMNS: [&str; 16] = [
    "site_seconds",
    "site_module_seconds",
    "flower_site_seconds",
    "site_times_faster",
    "site_module_times_faster",
    "server_seconds",
    "server_all_cores_seconds",
    "flower_server_seconds",
    "server_times_faster",
    "server_unmasking_seconds",
    "server_peak_bytes",
    "flower_process_mib",
    "bytes_up",
    "flower_bytes_up",
    "bytes_down",
    "bits",
];

fn size(values: &Values, parameters: &str) -> Size {
    Size {
        parameters: whole(values, parameters),
        sites: whole(values, "sites"),
        dropped: whole(values, "dropped"),
    }
}

fn whole(values: &Values, name: &str) -> u64 {
    values
        .get(name)
        .and_then(serde_json::Value::as_u64)
        .unwrap_or_default()
}

fn number(values: &Values, name: &str) -> Option<f64> {
    values.get(name).and_then(serde_json::Value::as_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(value: &serde_json::Value) -> Values {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn figures_of_one_size_stand_in_one_row() {
        let mut table = Table::default();
        for dropped in [0, 1] {
            let round = json!({ "sites": 10, "dropped": dropped, "parameters": 1000, "site_seconds": 0.5, "server_seconds": 2.0 });
            table.keep_round(&values(&round));
        }
        table.keep_parallel(&values(
            &json!({ "sites": 10, "dropped": 1, "parameters": 1000, "server_seconds": 1.5 }),
        ));
        table.keep_site(&values(
            &json!({ "where": "module", "sites": 10, "parameters": 1000, "site_seconds": 0.25 }),
        ));
        table.keep_site(&values(
            &json!({ "where": "native", "sites": 10, "parameters": 1000, "site_seconds": 9.0 }),
        ));
        table.keep_peer(&values(&json!({
            "n": 10, "d": 1000, "dropped": 1, "client_ms": { "total": 1000.0 }, "server_ms": { "total": 8000.0 },
            "upload_bytes": { "setup": 4, "unmask": 5 }, "peak_rss_mib": 3,
        })));
        let rows: Vec<Values> = table.rows().map(|(_, row)| row.values()).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0]["site_module_seconds"], 0.25);
        assert!(
            !rows[0].contains_key("server_times_faster"),
            "Flower was not measured with nobody dropped"
        );
        assert_eq!(rows[1]["server_times_faster"], 4.0);
        assert_eq!(rows[1]["site_module_times_faster"], 4.0);
        assert_eq!(rows[1]["flower_bytes_up"], 9.0);
        let csv = table.csv().unwrap();
        assert_eq!(csv.lines().count(), 3);
        assert!(
            csv.lines()
                .nth(2)
                .unwrap()
                .starts_with("1000,10,1,0.5,0.25,1.0,2.0,4.0,2.0,1.5,8.0,4.0,"),
            "{csv}"
        );
    }
}
