//! A histogram of block characters, over a line that shows the reference.

use super::{Found, short};
use crate::coverage::plain;

/// A feature's values, in three lines.
#[must_use]
pub fn lines(found: Found<'_>) -> Vec<String> {
    let (feature, distribution) = (found.feature, found.distribution);
    let head = format!(
        "{} ({}), {}",
        plain(&feature.name),
        plain(&feature.code),
        plain(&feature.unit)
    );
    if distribution.bars.is_empty() {
        return vec![format!("{head}: no value")];
    }
    let [_, quarter, median, three_quarters, _] = distribution.quantiles;
    let ends = [short(distribution.from), short(distribution.to)];
    let width = ends[0].len();
    vec![
        format!(
            "{head}: median {} (quarters {} to {}), mean {} ± {}; reference {} ± {}",
            short(median),
            short(quarter),
            short(three_quarters),
            short(distribution.mean),
            short(distribution.sd),
            short(feature.mean),
            short(feature.sd)
        ),
        format!("  {} {} {}", ends[0], blocks(&distribution.bars), ends[1]),
        format!("  {:width$} {}", "", marks(found))
            .trim_end()
            .to_owned(),
    ]
}

/// One character a bar.
fn blocks(bars: &[u32]) -> String {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = u64::from(bars.iter().copied().max().unwrap_or(0).max(1));
    let block = |bar: &u32| {
        // Something that is there is seen.
        let eighths = (u64::from(*bar) * 8).div_ceil(most);
        BLOCKS[usize::try_from(eighths).unwrap_or(0).min(8)]
    };
    bars.iter().map(block).collect()
}

/// Under the bars: the reference's mean with a standard deviation either way, and the plausible range where it ends.
fn marks(found: Found<'_>) -> String {
    let (feature, distribution) = (found.feature, found.distribution);
    let bars = distribution.bars.len();
    let mut marks = vec![' '; bars];
    let place = |value: f64| bar(value, distribution.from, distribution.to, bars);
    let (from, to) = (
        place(feature.mean - feature.sd),
        place(feature.mean + feature.sd),
    );
    if let (Some(low), Some(high)) = (place(feature.low), place(feature.high)) {
        marks[low] = '[';
        marks[high] = ']';
    } else if let Some(low) = place(feature.low) {
        marks[low] = '[';
    } else if let Some(high) = place(feature.high) {
        marks[high] = ']';
    }
    if let (Some(from), Some(to)) = (from, to) {
        marks[from..=to].fill('─');
        marks[from] = '├';
        marks[to] = '┤';
    }
    if let Some(mean) = place(feature.mean) {
        marks[mean] = '┼';
    }
    marks.into_iter().collect()
}

/// The bar that a value is in; nothing where it is beyond the ends.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among a few bars, from 0"
)]
pub(super) fn bar(value: f64, from: f64, to: f64, bars: usize) -> Option<usize> {
    let place = (value - from) / (to - from);
    ((0.0..=1.0).contains(&place) && bars > 0)
        .then(|| ((place * bars as f64) as usize).min(bars - 1))
}

#[cfg(test)]
mod tests {
    use protocol::door::{Coverage, Distribution};
    use protocol::study::{Encoding, Feature};

    use super::*;

    #[test]
    fn bars_stand_over_the_reference() {
        let feature = Feature {
            code: "HR".to_owned(),
            name: "heart \u{1b}rate".to_owned(),
            unit: "/min".to_owned(),
            encoding: Encoding::Value,
            low: 20.0,
            high: 250.0,
            mean: 75.0,
            sd: 12.5,
        };
        let mut distribution = Distribution {
            values: 9,
            mean: 80.0,
            sd: 10.0,
            quantiles: [60.0, 70.0, 80.0, 90.0, 100.0],
            from: 50.0,
            to: 100.0,
            bars: vec![0, 1, 8, 4],
            ..Distribution::default()
        };
        let coverage = Coverage::default();
        let of = |distribution: &Distribution| {
            lines(Found {
                feature: &feature,
                coverage: &coverage,
                distribution,
            })
        };
        let lines = of(&distribution);
        assert!(lines[0].starts_with("heart \u{fffd}rate (HR), /min: median 80"));
        assert_eq!(lines[1], "  50  ▁█▄ 100");
        assert_eq!(lines[2], "      ├┼┤");
        distribution.bars.clear();
        assert_eq!(
            of(&distribution),
            ["heart \u{fffd}rate (HR), /min: no value"]
        );
    }

    #[test]
    fn values_beyond_the_ends_are_in_no_bar() {
        assert_eq!(bar(0.0, 0.0, 10.0, 5), Some(0));
        assert_eq!(bar(10.0, 0.0, 10.0, 5), Some(4));
        assert_eq!(bar(10.1, 0.0, 10.0, 5), None);
        assert_eq!(bar(1.0, 1.0, 1.0, 5), None);
    }
}
