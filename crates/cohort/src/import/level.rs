//! Levels of categorical columns.

use serde::Deserialize;

/// Gives cells a level: fits where any of its conditions does, and always where it has none.
///
/// ```toml
/// levels = [
///     { level = "diabetes", from = 250, below = 251 },
///     { level = "external", prefix = ["E", "V"] },
///     { level = "other" },
/// ]
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LevelRule {
    /// The level.
    pub level: String,
    /// The cell is one of these.
    pub is: Vec<String>,
    /// The cell begins with one of these.
    pub prefix: Vec<String>,
    /// The cell is a number from this on.
    pub from: Option<f64>,
    /// The cell is a number below this.
    pub below: Option<f64>,
}

impl LevelRule {
    /// Whether the rule gives `cell` its level.
    pub(super) fn fits(&self, cell: &str) -> bool {
        let ranged = self.from.is_some() || self.below.is_some();
        let catches_all = self.is.is_empty() && self.prefix.is_empty() && !ranged;
        let in_range = || {
            let number = cell.parse::<f64>();
            ranged
                && number.is_ok_and(|number| {
                    self.from.is_none_or(|from| number >= from)
                        && self.below.is_none_or(|below| number < below)
                })
        };
        catches_all
            || self.is.iter().any(|text| same(text, cell))
            || self.prefix.iter().any(|prefix| cell.starts_with(prefix))
            || in_range()
    }
}

/// Whether two cells say the same: `4.0` is `4`.
pub(super) fn same(one: &str, other: &str) -> bool {
    one == other || plain(one) == plain(other)
}

/// A cell without the decimals of a whole number.
pub(super) fn plain(cell: &str) -> &str {
    match cell.split_once('.') {
        Some((whole, decimals))
            if !whole.is_empty()
                && whole.bytes().all(|byte| byte.is_ascii_digit())
                && decimals.bytes().all(|byte| byte == b'0') =>
        {
            whole
        }
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_the_same_with_and_without_decimals() {
        assert_eq!(plain("4.0"), "4");
        assert_eq!(plain("4."), "4");
        for kept in ["4.5", "250.00x", ".0", "A.0", "-1.0", "", "4"] {
            assert_eq!(plain(kept), kept);
        }
        assert!(same("0", "0.0"));
        assert!(!same("0", ""));
    }

    #[test]
    fn a_rule_fits_by_list_prefix_or_range_and_without_conditions_always() {
        let rule = LevelRule {
            level: "circulatory".to_owned(),
            is: vec!["785".to_owned()],
            prefix: vec!["V".to_owned()],
            from: Some(390.0),
            below: Some(460.0),
        };
        for cell in ["785", "390", "459.9", "V45"] {
            assert!(rule.fits(cell), "{cell}");
        }
        for cell in ["785.1", "460", "389.99", "E850", "", "?"] {
            assert!(!rule.fits(cell), "{cell}");
        }
        assert!(LevelRule::default().fits("anything"));
    }
}
