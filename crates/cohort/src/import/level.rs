//! Levels of categorical columns.

use serde::Deserialize;

use super::cell::{Alike, Digits, Listed};

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

/// The rules of a column, ready for its cells.
#[derive(Debug)]
pub(super) struct Levels {
    digits: Digits,
    rules: Vec<(LevelRule, Listed<()>)>,
}

impl Levels {
    pub(super) fn of(rules: &[LevelRule], digits: Digits, alike: Alike) -> Self {
        let listed = |rule: &LevelRule| (rule.clone(), Listed::cells(&rule.is, digits, alike));
        Self {
            digits,
            rules: rules.iter().map(listed).collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule lists a cell by itself.
    pub(super) fn names(&self, cell: &str) -> bool {
        self.rules.iter().any(|(_, listed)| listed.contains(cell))
    }

    /// The level of the first rule that fits.
    pub(super) fn of_cell(&self, cell: &str) -> Option<&str> {
        let fits = |(rule, listed): &&(LevelRule, Listed<()>)| {
            let ranged = rule.from.is_some() || rule.below.is_some();
            let catches_all = listed.is_empty() && rule.prefix.is_empty() && !ranged;
            let in_range = |number: f64| {
                rule.from.is_none_or(|from| number >= from)
                    && rule.below.is_none_or(|below| number < below)
            };
            catches_all
                || listed.contains(cell)
                || rule.prefix.iter().any(|prefix| cell.starts_with(prefix))
                || (ranged && self.digits.number(cell).is_some_and(in_range))
        };
        self.rules
            .iter()
            .find(fits)
            .map(|(rule, _)| rule.level.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::{Alike, PLAIN};
    use super::*;

    #[test]
    fn a_rule_fits_by_list_prefix_or_range_and_without_conditions_always() {
        let rule = LevelRule {
            level: "circulatory".to_owned(),
            is: vec!["785".to_owned()],
            prefix: vec!["V".to_owned()],
            from: Some(390.0),
            below: None,
        };
        let below = LevelRule {
            below: Some(460.0),
            ..rule.clone()
        };
        let fits = |rule: &LevelRule, cell| {
            Levels::of(std::slice::from_ref(rule), PLAIN, Alike::Code)
                .of_cell(cell)
                .is_some()
        };
        for cell in ["785", "785.0", "390", "459.9", "V45"] {
            assert!(fits(&below, cell), "{cell}");
        }
        for cell in ["785.1", "460", "389.99", "E850", "", "?", "-inf", "nan"] {
            assert!(!fits(&below, cell), "{cell}");
        }
        assert!(!fits(&rule, "inf"), "is no number");
        assert!(fits(&LevelRule::default(), "anything"));
    }
}
