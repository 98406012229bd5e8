//! What a map says.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ImportError, LevelRule};
use crate::meds::Timestamp;
use crate::split;

/// Which column of a CSV file is what.
///
/// ```toml
/// subject = { column = "patient" }
/// prediction = { column = "discharged" }
///
/// [label]
/// column = "readmitted"
/// class = { levels = { "NO" = 0, ">30" = 1, "<30" = 2 } }
///
/// [[column]]
/// name = "heart_rate"
/// code = "LOINC//8867-4"
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Map {
    /// Where the subject's number stands.
    pub subject: Subject,
    /// When the label is to be predicted. A wide table's events stand `lead_days` before it.
    pub prediction: Option<Prediction>,
    /// Days by which a wide table's events are before the prediction time.
    #[serde(default = "one_day")]
    pub lead_days: u32,
    /// How times are written.
    #[serde(default)]
    pub time_format: TimeFormat,
    /// Of several rows of a subject that pass the filters, keep the one with the least number in this column.
    pub first_by: Option<String>,
    /// How the file is laid out.
    #[serde(default)]
    pub csv: Csv,
    /// What is to be predicted; without it, the import makes no labels.
    pub label: Option<Label>,
    /// Where the split stands; without it, the import makes no splits.
    pub split: Option<SplitColumn>,
    /// The columns of a long table: one row an event. Excludes [`Map::columns`].
    pub event: Option<EventColumns>,
    /// The columns of a wide table that become events.
    #[serde(default, rename = "column")]
    pub columns: Vec<Column>,
    /// A row is used where all of these hold; others are passed over without a word.
    #[serde(default, rename = "filter")]
    pub filters: Vec<Filter>,
}

/// Where the subject's number stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// In this column, as a whole number.
    Column(String),
    /// Each row is a subject, whose number is the row's, from 1.
    RowNumber,
}

/// When a label is to be predicted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prediction {
    /// At the time in this column.
    Column(String),
    /// At this time for all, where the file says none: `2000-01-02`.
    At(String),
    /// One after the other, where the file says none and a subject has several rows.
    Sequence(Sequence),
}

/// Times of a subject's rows where the file says only their order: the first row that passes the filters is predicted
/// at `from`, each next one `every-days` later.
///
/// With more days than a study looks back, a row's events are not seen from the next one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sequence {
    /// The column of whole numbers that rise in time.
    pub by: String,
    /// When the first is predicted: `2000-01-02`.
    pub from: String,
    /// Days between two rows of a subject, above 0.
    pub every_days: u32,
}

/// How times are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeFormat {
    /// ISO 8601.
    #[default]
    Iso,
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMilliseconds,
}

/// How the file is laid out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Csv {
    /// What stands between cells: one ASCII character.
    pub delimiter: char,
    /// The names of the columns, where the file has no header line.
    pub columns: Option<Vec<String>>,
    /// Cells that mean missing, in every column.
    pub missing: Vec<String>,
}

/// What is to be predicted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The column.
    pub column: String,
    /// How a cell becomes a class.
    pub class: ClassRule,
}

/// How a cell becomes the index of a class.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassRule {
    /// The cell is the index.
    Integer,
    /// 1 where the number is above this, else 0.
    Above(f64),
    /// The index that stands here for the cell; other cells are bad.
    Levels(BTreeMap<String, u32>),
}

/// Where the split stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitColumn {
    /// The column.
    pub column: String,
    /// For cells other than MEDS's `train`, `tuning` and `held_out`: which of them is meant.
    #[serde(default)]
    pub levels: BTreeMap<String, String>,
}

/// The columns of a long table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventColumns {
    /// The time of the event; an empty cell is for what does not change.
    pub time: String,
    /// The code.
    pub code: String,
    /// The number, if the code has one.
    pub value: Option<String>,
}

/// A column of a wide table that becomes events.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name in the table.
    pub name: String,
    /// The code of its events; without one, the name.
    pub code: Option<String>,
    /// What a cell becomes.
    #[serde(default, rename = "as")]
    pub kind: As,
    /// Cells that mean missing in this column, besides those of [`Csv::missing`].
    #[serde(default)]
    pub missing: Vec<String>,
    /// The number that a cell stands for, as in `"[70-80)" = 75`; other cells are numbers themselves.
    #[serde(default)]
    pub numbers: BTreeMap<String, f64>,
    /// What a number becomes.
    #[serde(default)]
    pub transform: Transform,
    /// The level of a cell is that of the first rule that fits, and a cell that none fits is bad; without rules, the
    /// cell itself.
    #[serde(default)]
    pub levels: Vec<LevelRule>,
}

/// What a cell becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum As {
    /// An event with a number.
    #[default]
    Number,
    /// An event `code//level` without a number.
    Level,
}

/// What a number becomes before it is an event's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transform {
    /// It stays as it is.
    #[default]
    None,
    /// `ln(1 + x)`: for counts of which the first few say the most.
    Log1p,
}

impl Transform {
    /// The value for `x`, which is not finite where there is none.
    pub(super) fn of(self, x: f32) -> f32 {
        match self {
            Self::None => x,
            Self::Log1p => x.ln_1p(),
        }
    }
}

/// Which rows are used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// The column that `is` and `not` look at.
    pub column: Option<String>,
    /// Its cell is one of these.
    pub is: Vec<String>,
    /// Its cell is none of these.
    pub not: Vec<String>,
    /// None of these columns is missing.
    pub complete: Vec<String>,
}

impl Map {
    /// Parses and checks a map.
    ///
    /// # Errors
    ///
    /// Bytes that are no map, and settings that do not fit each other.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImportError> {
        let malformed = |problem: String| ImportError::Malformed(problem);
        let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
        let map: Self = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
        map.check()?;
        Ok(map)
    }

    fn check(&self) -> Result<(), ImportError> {
        let require = |holds, setting, problem| {
            if holds {
                Ok(())
            } else {
                Err(ImportError::Setting { setting, problem })
            }
        };
        require(
            self.csv.delimiter.is_ascii(),
            "csv.delimiter",
            "want one ASCII character",
        )?;
        let dated = self.label.is_some() || !self.columns.is_empty();
        require(
            !dated || self.prediction.is_some(),
            "prediction",
            "want one for labels and for a wide table",
        )?;
        let is_time = |text: &str| text.parse::<Timestamp>().is_ok();
        match &self.prediction {
            None | Some(Prediction::Column(_)) => {}
            Some(Prediction::At(time)) => require(
                is_time(time),
                "prediction.at",
                "want an ISO 8601 date, or date and time",
            )?,
            Some(Prediction::Sequence(sequence)) => require(
                is_time(&sequence.from) && sequence.every_days > 0 && self.first_by.is_none(),
                "prediction.sequence",
                "want `from` as an ISO 8601 date, `every-days` above 0, and no `first-by`",
            )?,
        }
        let wide = !self.columns.is_empty();
        let long = self.event.is_some();
        require(
            !(wide && long),
            "column",
            "a table is wide or long, not both",
        )?;
        require(
            wide || long || self.label.is_some() || self.split.is_some(),
            "column",
            "want something to import",
        )?;
        let rows_are_subjects =
            !long || (self.label.is_none() && self.split.is_none() && self.first_by.is_none());
        require(
            rows_are_subjects,
            "event",
            "a long table has no labels, no splits and no first row: import those apart",
        )?;
        for column in &self.columns {
            require(
                column.kind == As::Number || column.transform == Transform::None,
                "column.transform",
                "want it for numbers alone",
            )?;
        }
        for split in self.split.iter().flat_map(|split| split.levels.values()) {
            require(
                split::by_name(split.as_bytes()).is_some(),
                "split.levels",
                "want train, tuning or held_out",
            )?;
        }
        for filter in &self.filters {
            let about_cell = !filter.is.is_empty() || !filter.not.is_empty();
            require(
                about_cell == filter.column.is_some(),
                "filter",
                "`is` and `not` go with a `column`",
            )?;
            require(
                about_cell || !filter.complete.is_empty(),
                "filter",
                "want `is`, `not` or `complete`",
            )?;
        }
        Ok(())
    }
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            delimiter: ',',
            columns: None,
            missing: vec![String::new()],
        }
    }
}

fn one_day() -> u32 {
    1
}
