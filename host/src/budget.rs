//! The most that may be learned of one patient over all studies, as the hospital says it: a limit, or in so many words none.

use std::fmt;

use privacy::{Budget, Delta, Epsilon};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a hospital allows.
///
/// In TOML and JSON: a table of `epsilon` and `delta`, or the string `"none"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PatientBudget {
    /// At most this much.
    Limit(Budget),
    /// No limit: for experiments, on patients who are not real or are public.
    None,
}

impl PatientBudget {
    /// What a new site gets: ε 3 at δ 10⁻⁵, for good.
    ///
    /// # Panics
    ///
    /// Never: both numbers are within their ranges.
    #[must_use]
    pub fn of_new_site() -> Self {
        Self::Limit(Budget {
            epsilon: Epsilon::try_from(3.0).expect("3 is finite and above 0"),
            delta: Delta::try_from(1e-5).expect("0.00001 is between 0 and 1"),
        })
    }

    /// The limit, where there is one.
    #[must_use]
    pub fn limit(self) -> Option<Budget> {
        match self {
            Self::Limit(budget) => Some(budget),
            Self::None => None,
        }
    }

    /// Whether this allows nothing that `other` does not: neither a greater ε nor a greater δ.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        match (self, other) {
            (_, Self::None) => true,
            (Self::None, Self::Limit(_)) => false,
            (Self::Limit(this), Self::Limit(other)) => {
                this.epsilon <= other.epsilon && this.delta <= other.delta
            }
        }
    }
}

impl fmt::Display for PatientBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(Budget { epsilon, delta }) => write!(f, "ε {epsilon} at δ {delta}"),
            Self::None => f.write_str("no limit"),
        }
    }
}

impl Serialize for PatientBudget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Limit(budget) => budget.serialize(serializer),
            Self::None => serializer.serialize_str(NONE),
        }
    }
}

impl<'de> Deserialize<'de> for PatientBudget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TableOrNone)
    }
}

struct TableOrNone;

impl<'de> Visitor<'de> for TableOrNone {
    type Value = PatientBudget;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of epsilon and delta, or \"none\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text == NONE {
            Ok(PatientBudget::None)
        } else {
            Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Budget::deserialize(MapAccessDeserializer::new(map)).map(PatientBudget::Limit)
    }
}

const NONE: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(epsilon: f64, delta: f64) -> PatientBudget {
        PatientBudget::Limit(Budget {
            epsilon: epsilon.try_into().unwrap(),
            delta: delta.try_into().unwrap(),
        })
    }

    #[test]
    fn a_budget_is_within_another_only_where_it_allows_no_more() {
        let three = PatientBudget::of_new_site();
        for (one, other, wanted) in [
            (three, three, true),
            (limit(2.0, 1e-5), three, true),
            (limit(3.1, 1e-5), three, false),
            (limit(2.0, 1e-4), three, false),
            (three, PatientBudget::None, true),
            (PatientBudget::None, PatientBudget::None, true),
            (PatientBudget::None, three, false),
        ] {
            assert_eq!(one.is_within(other), wanted, "{one} in {other}");
        }
    }

    #[test]
    fn a_budget_is_read_as_it_is_written() {
        for budget in [PatientBudget::of_new_site(), PatientBudget::None] {
            let text = serde_json::to_string(&budget).unwrap();
            assert_eq!(
                serde_json::from_str::<PatientBudget>(&text).unwrap(),
                budget
            );
        }
        for (bad, wanted) in [
            (r#""nothing""#, "epsilon and delta, or \"none\""),
            (
                r#"{"epsilon":0,"delta":1e-5}"#,
                "ε must be above 0 and at most 100",
            ),
            (r#"{"epsilon":3}"#, "missing field `delta`"),
            ("3", "epsilon and delta, or \"none\""),
        ] {
            let error = serde_json::from_str::<PatientBudget>(bad).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
        }
    }
}
