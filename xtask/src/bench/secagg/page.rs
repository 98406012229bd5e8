//! The page and the plot.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::Values;
use super::table::{Peer, Table};
use crate::plot::{Axis, Mark, Plot, Point, Scale, Series};

/// The page, in Markdown.
pub(super) fn text(table: &Table, kernels: &[(String, Values)], origin: &str) -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str(
        "| d | sites | gone | site | in the module | Flower | times | server | all cores | Flower | times | server memory | up a weight | Flower | down |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (size, row) in table.sizes() {
        let milliseconds = |seconds: Option<f64>| cell(seconds.map(|seconds| seconds * 1e3), 1);
        let times = |ours: Option<f64>, theirs: Option<f64>| {
            cell(ours.zip(theirs).map(|(ours, theirs)| theirs / ours), 1)
        };
        let each = |bytes: Option<f64>| cell(bytes.map(|bytes| bytes / size.parameters as f64), 2);
        let (site, server) = (row.ours("site_seconds"), row.ours("server_seconds"));
        let cells = [
            size.parameters.to_string(),
            size.sites.to_string(),
            size.dropped.to_string(),
            milliseconds(site),
            milliseconds(row.module()),
            milliseconds(row.peer(Peer::site)),
            times(site, row.peer(Peer::site)),
            milliseconds(server),
            milliseconds(row.parallel()),
            milliseconds(row.peer(Peer::server)),
            times(server, row.peer(Peer::server)),
            cell(row.ours("server_peak_bytes").map(|bytes| bytes / 1e6), 1),
            each(row.ours("bytes_up")),
            each(row.peer(Peer::up)),
            cell(row.ours("bytes_down").map(|bytes| bytes / 1e3), 1),
        ];
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
    page.push_str("\n![Cost of a round](secure-aggregation.svg)\n\n## The loops under it\n\n| loop | GB/s | µs |\n| --- | ---: | ---: |\n");
    for (name, values) in kernels {
        let figure = |name: &str| cell(values.get(name).and_then(serde_json::Value::as_f64), 2);
        let _ = writeln!(
            page,
            "| {name} | {} | {} |",
            figure("gigabytes_per_second"),
            figure("microseconds")
        );
    }
    let _ = writeln!(page, "\nMade by {origin}.");
    page
}

const INTRODUCTION: &str = "# Secure aggregation: what a round costs

One core, but for the server on *all cores*, of which Flower's makes no use. Times in milliseconds, the best of some
rounds (of one with 100 sites and most weights, with 1,000 sites, or with 10 million weights); a site's are those of all its stages, without
rounding to the grid, which Flower's have in them. All sites and the aggregator are real and the sum is checked.
Nothing is sent and no disk is written; Flower's protobuf is not in its times either. The server's memory, in MB, is
its stored state and the most that one call needs beside it, the 64-bit sum included; the bytes that one site sends are
divided by the weights, those that it gets are in kB.

An entry has 2^22 levels at each site, as Flower's default, and room for the sum of all sites. Sites that are gone shared
their secrets and sent no vector: what costs a server most. Up to 32 sites everyone shares masks with everyone, as in
Flower's `SecAgg`; above that ours is the graph that keeps what can go wrong below 2^-40 with a tenth of the sites
dishonest and a tenth gone, Flower's is SecAgg+ with 2⌈log₂ n⌉ neighbours. Flower's masks come from a generator that is
not cryptographic, under seeds of 28 to 32 bits; its server does not open seals, check digests or signatures.

Flower is not run with 1,000 sites or 10 million weights: rounds would take hours, or more memory than there is. Ours are
run with 1,000 sites, and with 10 million weights of more than 5 sites, where `--full` is given; not with both, since all
sites are in one process.

";

/// Weights of the rounds that are drawn.
const PLOTTED: u64 = 1_000_000;

/// A number, or nothing.
fn cell(number: Option<f64>, digits: usize) -> String {
    number.map_or_else(String::new, |number| format!("{number:.digits$}"))
}

/// Seconds of the server over the number of sites, at [`PLOTTED`] weights, with and without sites that are gone.
pub(super) fn plot(table: &Table) -> Plot {
    let mut series: BTreeMap<(bool, bool), Vec<Point>> = BTreeMap::new();
    for (size, row) in table.sizes().filter(|(size, _)| size.parameters == PLOTTED) {
        let x = size.sites as f64;
        let servers = [
            (false, row.ours("server_seconds")),
            (true, row.peer(Peer::server)),
        ];
        for (is_peer, seconds) in servers {
            if let Some(y) = seconds {
                let point = Point { x, y, spread: 0.0 };
                series
                    .entry((is_peer, size.dropped > 0))
                    .or_default()
                    .push(point);
            }
        }
    }
    let all = || series.values().flatten();
    let range = |figure: fn(&Point) -> f64| {
        let least = all().map(figure).fold(f64::INFINITY, f64::min);
        let most = all().map(figure).fold(f64::MIN_POSITIVE, f64::max);
        (least.min(most) / 2.0, most * 2.0)
    };
    let axis = |label: &str, figure| Axis {
        label: label.to_owned(),
        scale: Scale::Logarithmic,
        range: range(figure),
    };
    Plot {
        title: "Secure aggregation of a million weights: time of the server".to_owned(),
        x: axis("sites", |point| point.x),
        y: axis("seconds", |point| point.y),
        series: series
            .iter()
            .map(|((is_peer, some_gone), points)| Series {
                name: format!(
                    "{}, {}",
                    if *is_peer { "Flower" } else { "Wardround" },
                    if *some_gone {
                        "a tenth of the sites gone"
                    } else {
                        "all sites stay"
                    }
                ),
                mark: Mark::Dots,
                points: points.clone(),
            })
            .collect(),
    }
}
