//! The plots of an experiment.

use super::definition::{Experiment, Way};
use super::results::{ACCURACY, MACRO_AUC, RowResults, Spread};
use crate::plot::{Axis, Mark, Plot, Point, Scale, Series};

/// What privacy costs: accuracy and AUC over ε, where at least two rows of the federation have noise.
pub(super) fn privacy_utility(experiment: &Experiment, results: &[RowResults]) -> Option<Plot> {
    let mut noised: Vec<&RowResults> = results
        .iter()
        .filter(|result| result.row.way == Way::Federated && result.row.epsilon.is_finite())
        .collect();
    noised.sort_by(|one, other| one.row.epsilon.total_cmp(&other.row.epsilon));
    let (first, last) = (noised.first()?, noised.last()?);
    if first.row.epsilon >= last.row.epsilon {
        return None;
    }
    let range = (first.row.epsilon / 1.25, last.row.epsilon * 1.25);
    let mut series = Vec::new();
    for figure in [ACCURACY, MACRO_AUC] {
        let (name, figure) = (figure.heading, figure.of);
        let points = noised.iter().map(|result| {
            let Spread { mean, sd } = result.spread(figure);
            Point {
                x: result.row.epsilon,
                y: mean,
                spread: sd.unwrap_or(0.0),
            }
        });
        series.push(Series {
            name: format!("{name}, federated"),
            mark: Mark::Dots,
            points: points.collect(),
        });
        let plain = results
            .iter()
            .filter(|result| result.row.epsilon.is_infinite() && result.row.way == Way::Federated);
        for result in plain {
            let y = result.spread(figure).mean;
            let end = |x| Point { x, y, spread: 0.0 };
            series.push(Series {
                name: format!("{name}, {}", result.row.name),
                mark: Mark::Dashes,
                points: vec![end(range.0), end(range.1)],
            });
        }
    }
    Some(Plot {
        title: format!("{}: utility over ε", experiment.name),
        x: Axis {
            label: "ε of the whole study (logarithmic)".to_owned(),
            scale: Scale::Logarithmic,
            range,
        },
        y: Axis {
            label: "on pooled held-out patients".to_owned(),
            scale: Scale::Linear,
            range: around(&series),
        },
        series,
    })
}

/// How often models are right over how sure they are.
pub(super) fn reliability(experiment: &Experiment, results: &[RowResults]) -> Plot {
    let mut series: Vec<Series> = results
        .iter()
        .map(|result| Series {
            name: result.row.name.to_owned(),
            mark: Mark::Dots,
            points: points(result),
        })
        .collect();
    let end = |at| Point {
        x: at,
        y: at,
        spread: 0.0,
    };
    series.push(Series {
        name: "as sure as right".to_owned(),
        mark: Mark::Dashes,
        points: vec![end(0.0), end(1.0)],
    });
    let axis = |label: &str| Axis {
        label: label.to_owned(),
        scale: Scale::Linear,
        range: (0.0, 1.0),
    };
    Plot {
        title: format!("{}: reliability", experiment.name),
        x: axis("mean probability of the most probable class"),
        y: axis("share of labels that are of that class"),
        series,
    }
}

/// Bins with fewer predictions than this say nothing.
const FEWEST: f64 = 20.0;

fn points(result: &RowResults) -> Vec<Point> {
    let bins = result.scores().reliability.into_iter();
    bins.filter(|bin| bin.count >= FEWEST)
        .map(|bin| Point {
            x: bin.confidence / bin.count,
            y: bin.right / bin.count,
            spread: 0.0,
        })
        .collect()
}

/// A range that all points fit in, with a margin.
fn around(series: &[Series]) -> (f64, f64) {
    let points = series.iter().flat_map(|series| &series.points);
    let (low, high) = points.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| {
        (
            low.min(point.y - point.spread),
            high.max(point.y + point.spread),
        )
    });
    let margin = ((high - low) * 0.1).max(0.005);
    (low - margin, high + margin)
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::ALL;
    use super::super::results::tests::results;
    use super::*;

    #[test]
    fn a_curve_over_epsilon_wants_two_of_them() {
        let mut results = results();
        assert!(privacy_utility(&ALL[0], &results).is_none());
        let mut more = results[1].clone();
        more.row.epsilon = 0.5;
        results.push(more);
        let plot = privacy_utility(&ALL[0], &results).unwrap();
        assert_eq!(plot.series.len(), 4);
        let accuracy = &plot.series[0];
        assert!(accuracy.points[0].x < accuracy.points[1].x);
        assert!(
            plot.series
                .iter()
                .flat_map(|series| &series.points)
                .all(|point| {
                    (plot.y.range.0..plot.y.range.1).contains(&point.y)
                        && (plot.x.range.0..=plot.x.range.1).contains(&point.x)
                })
        );
        assert!(plot.svg().unwrap().contains("utility over ε"));
    }

    #[test]
    fn a_reliability_curve_leaves_out_what_is_thin() {
        let plot = reliability(&ALL[0], &results());
        assert!(plot.series[0].points.is_empty(), "4 predictions a bin");
        assert_eq!(plot.series.len(), 3);
    }
}
