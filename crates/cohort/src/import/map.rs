//! What a map says.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::cell::{Alike, Digits};
use super::records::{Dialect, Lines};
use super::{ImportError, LevelRule};
use crate::meds::{DateOrder, Timestamp};
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
    /// Who a row is of.
    pub subject: Subject,
    /// When the label is to be predicted. A wide table's events are `lead_days` before it.
    pub prediction: Option<Prediction>,
    /// Days by which a wide table's events are before the prediction time.
    #[serde(default = "one_day")]
    pub lead_days: u32,
    /// How times are written.
    #[serde(default)]
    pub time_format: TimeFormat,
    /// The zone of the times: `Europe/Berlin`, `+01:00` or `UTC`. Times that name a zone become what its clocks showed.
    pub zone: Option<String>,
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
    /// A row is used where all of these hold; others are passed over and counted.
    #[serde(default, rename = "filter")]
    pub filters: Vec<Filter>,
}

/// Who a row is of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub enum Subject {
    /// The id in a column.
    Column(SubjectColumn),
    /// Each row is a subject, whose number is the row's, from 1.
    RowNumber,
}

/// The column of ids.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectColumn {
    /// Its name.
    pub column: String,
    /// How an id becomes a number.
    #[serde(default, rename = "as")]
    pub kind: IdKind,
}

/// How an id becomes a subject's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdKind {
    /// It is a whole number of up to 64 bits.
    #[default]
    Number,
    /// It is any text, of which the site's key makes a number of 63 bits.
    Text,
}

impl TryFrom<toml::Value> for Subject {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        if value.as_str() == Some("row-number") {
            return Ok(Self::RowNumber);
        }
        let column = SubjectColumn::deserialize(value).map_err(|error| {
            format!(
                "want subject = {{ column = … }} or \"row-number\": {}",
                error.message()
            )
        })?;
        Ok(Self::Column(column))
    }
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
    /// So long after another time.
    Offset(Offset),
}

/// A time that a column tells from another one, as minutes since admission.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Offset {
    /// The column of numbers, which may be negative.
    pub column: String,
    /// What they count.
    pub unit: Unit,
    /// From when they count, for all rows: `2000-01-01`.
    pub since: Option<String>,
    /// The column with the time from which they count.
    pub since_column: Option<String>,
}

/// What an offset counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "they are their names")]
pub enum Unit {
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
    Days,
}

impl Unit {
    /// Microseconds.
    pub(super) fn micros(self) -> i64 {
        match self {
            Self::Milliseconds => Timestamp::SECOND / 1_000,
            Self::Seconds => Timestamp::SECOND,
            Self::Minutes => 60 * Timestamp::SECOND,
            Self::Hours => 3_600 * Timestamp::SECOND,
            Self::Days => Timestamp::DAY,
        }
    }
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum TimeFormat {
    /// `iso`, `day-month-year`, `month-day-year` or `compact`.
    Order(DateOrder),
    /// `epoch-seconds` or `epoch-milliseconds`: so many since 1970, in UTC.
    Epoch(Unit),
    /// A pattern of `strptime`: a text with a `%`.
    Pattern(String),
}

impl Default for TimeFormat {
    fn default() -> Self {
        Self::Order(DateOrder::YearMonthDay)
    }
}

impl TryFrom<String> for TimeFormat {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, &'static str> {
        Ok(match name.as_str() {
            "iso" => Self::Order(DateOrder::YearMonthDay),
            "day-month-year" => Self::Order(DateOrder::DayMonthYear),
            "month-day-year" => Self::Order(DateOrder::MonthDayYear),
            "compact" => Self::Order(DateOrder::Compact),
            "epoch-seconds" => Self::Epoch(Unit::Seconds),
            "epoch-milliseconds" => Self::Epoch(Unit::Milliseconds),
            pattern if pattern.contains('%') => Self::Pattern(name),
            _ => {
                return Err(
                    "want time-format = \"iso\", \"day-month-year\", \"month-day-year\", \"compact\", \
                     \"epoch-seconds\", \"epoch-milliseconds\" or a pattern such as \"%d.%m.%Y %H:%M\"",
                );
            }
        })
    }
}

/// How the file is laid out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Csv {
    /// What is between cells, one ASCII character; without it, what a first line `sep=;` says, or a comma.
    pub delimiter: Option<char>,
    /// What is around a cell that holds a delimiter, a line break or the quote itself, one ASCII character; empty where
    /// quotes are part of the text.
    pub quote: String,
    /// `any`: quoted cells may hold lines that look like rows of the table. They are refused otherwise, for a stray quote
    /// makes such cells.
    pub lines_in_cells: LinesInCells,
    /// The encoding, by its name on the web (`windows-1252`, `latin1`, `utf-16le`). A byte order mark tells it too; what
    /// has neither is UTF-8.
    pub encoding: Option<String>,
    /// Lines before the header that are not part of the table.
    pub skip_lines: usize,
    /// What is before the decimals of a number.
    pub decimal: char,
    /// What is between groups of three digits.
    pub thousands: Option<char>,
    /// The names of the columns, where the file has no header line.
    pub columns: Option<Vec<String>>,
    /// Cells that mean missing, in every column.
    pub missing: Vec<String>,
}

/// What a quoted cell may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinesInCells {
    /// Lines of text.
    #[default]
    Text,
    /// Any lines.
    Any,
}

impl Csv {
    /// How numbers are written.
    pub(super) fn digits(&self) -> Digits {
        Digits {
            decimal: self.decimal,
            thousands: self.thousands,
        }
    }

    /// How cells are separated.
    pub(super) fn dialect(&self) -> Dialect {
        let byte = |character: char| u8::try_from(character).ok();
        Dialect {
            delimiter: self.delimiter.and_then(byte).unwrap_or(b','),
            quote: self.quote.chars().next().and_then(byte),
            lines: match self.lines_in_cells {
                LinesInCells::Text => Lines::OfText,
                LinesInCells::Any => Lines::Any,
            },
        }
    }
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
    pub time: Option<String>,
    /// The time of the event, where it is told from another one. Excludes `time`; an empty cell as there.
    pub offset: Option<Offset>,
    /// The code.
    pub code: String,
    /// What all codes begin with, as `ICD9CM//`.
    #[serde(default)]
    pub prefix: String,
    /// The number, if the code has one.
    pub value: Option<String>,
    /// The result as text: a row without a number becomes an event `code//text`. May be the column of `value`, whose
    /// cells that are no numbers are then texts.
    pub text: Option<String>,
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
    /// Whether a level is the cell as it is written. Where nothing is said, it is, but for a column that holds whole
    /// numbers alone, none with more than one decimal, as `1.0`: their `.0` is left out, for programs write it where a
    /// column has holes. Where it is true, the column holds codes, of which only those of the same text are the same.
    pub verbatim: Option<bool>,
    /// The level of a cell is that of the first rule that fits, and a cell that none fits is bad; without rules, the
    /// cell itself.
    #[serde(default)]
    pub levels: Vec<LevelRule>,
}

impl Column {
    /// When two cells of it are the same.
    pub(super) fn alike(&self) -> Alike {
        match (self.kind, self.verbatim) {
            (As::Number, _) => Alike::Number,
            (As::Level, Some(true)) => Alike::Text,
            (As::Level, None | Some(false)) => Alike::Code,
        }
    }
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
    /// The column holds codes: only cells of the same text are the same.
    pub verbatim: bool,
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

    /// When two cells of a column are the same, by all that the map says of it.
    pub(super) fn alike(&self, column: &str) -> Alike {
        let columns = self.columns.iter().filter(|given| given.name == column);
        let given: Vec<Alike> = columns.map(Column::alike).collect();
        let event = self.event.as_ref();
        let is_number = given.contains(&Alike::Number)
            || event.is_some_and(|event| event.value.as_deref() == Some(column))
            || self.label.as_ref().is_some_and(|label| {
                label.column == column && !matches!(label.class, ClassRule::Levels(_))
            });
        if given.contains(&Alike::Text) {
            Alike::Text
        } else if is_number {
            Alike::Number
        } else {
            Alike::Code
        }
    }

    fn check(&self) -> Result<(), ImportError> {
        let require = |holds, setting, problem| {
            if holds {
                Ok(())
            } else {
                Err(ImportError::Setting { setting, problem })
            }
        };
        self.csv.check()?;
        let dated = self.label.is_some() || !self.columns.is_empty();
        require(
            !dated || self.prediction.is_some(),
            "prediction",
            "want one for labels and for a wide table",
        )?;
        let is_time = |text: &str| text.parse().is_ok_and(Timestamp::is_plausible);
        match &self.prediction {
            None | Some(Prediction::Column(_)) => {}
            Some(Prediction::At(time)) => require(
                is_time(time),
                "prediction.at",
                "want an ISO 8601 date, or date and time, of the years 1800 to 2300",
            )?,
            Some(Prediction::Sequence(sequence)) => require(
                is_time(&sequence.from) && sequence.every_days > 0 && self.first_by.is_none(),
                "prediction.sequence",
                "want `from` as an ISO 8601 date, `every-days` above 0, and no `first-by`",
            )?,
            Some(Prediction::Offset(offset)) => offset.check("prediction.offset")?,
        }
        if let Some(event) = &self.event {
            require(
                event.time.is_some() != event.offset.is_some(),
                "event",
                "want `time` or `offset`, one of them",
            )?;
            if let Some(offset) = &event.offset {
                offset.check("event.offset")?;
            }
        }
        if let Some(Label {
            class: ClassRule::Above(limit),
            ..
        }) = &self.label
        {
            require(
                limit.is_finite(),
                "label.class.above",
                "want a finite number",
            )?;
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
            require(
                match column.verbatim {
                    None => true,
                    Some(true) => column.kind == As::Level,
                    Some(false) => column.kind == As::Level && column.levels.is_empty(),
                },
                "column.verbatim",
                "want it for `as = \"level\"`, and false only without `levels`",
            )?;
            require(
                column.numbers.is_empty() || column.kind == As::Number,
                "column.numbers",
                "want it for numbers alone; for levels, list `levels`",
            )?;
            require(
                column.levels.is_empty() || column.kind == As::Level,
                "column.levels",
                "want it for `as = \"level\"` alone",
            )?;
            let limits = column
                .levels
                .iter()
                .flat_map(|rule| [rule.from, rule.below]);
            require(
                limits.flatten().all(f64::is_finite),
                "column.levels",
                "want finite numbers for `from` and `below`",
            )?;
        }
        for (place, column) in self.columns.iter().enumerate() {
            let code = |column: &Column| column.code.clone().unwrap_or(column.name.clone());
            require(
                self.columns[..place].iter().all(|other| {
                    (&other.name, code(other), other.kind)
                        != (&column.name, code(column), column.kind)
                }),
                "column",
                "a column is given twice with the same code",
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

impl Csv {
    fn check(&self) -> Result<(), ImportError> {
        let refuse = |setting, problem| Err(ImportError::Setting { setting, problem });
        let separates = |character: char| character.is_ascii() && !"\r\n".contains(character);
        if !self.delimiter.is_none_or(separates) {
            return refuse("csv.delimiter", "want one ASCII character");
        }
        let mut quote = self.quote.chars();
        let (first, second) = (quote.next(), quote.next());
        if !first.is_none_or(separates)
            || second.is_some()
            || (first.is_some() && first == self.delimiter)
        {
            return refuse(
                "csv.quote",
                "want one ASCII character other than the delimiter, or \"\" where quotes are part of the text",
            );
        }
        let of_number = |character: char| character.is_alphanumeric() || "+-".contains(character);
        if of_number(self.decimal)
            || self.thousands.is_some_and(of_number)
            || self.thousands == Some(self.decimal)
        {
            return refuse(
                "csv.decimal",
                "want two different signs for `decimal` and `thousands`, such as \",\" and \".\"",
            );
        }
        let columns = self.columns.iter().flatten();
        let mut seen = std::collections::HashSet::new();
        if !columns.into_iter().all(|column| seen.insert(column)) {
            return refuse("csv.columns", "a name is given twice");
        }
        Ok(())
    }
}

impl Offset {
    fn check(&self, setting: &'static str) -> Result<(), ImportError> {
        let since = match (&self.since, &self.since_column) {
            (Some(time), None) => time.parse().is_ok_and(Timestamp::is_plausible),
            (None, Some(_)) => true,
            _ => false,
        };
        if since {
            Ok(())
        } else {
            Err(ImportError::Setting {
                setting,
                problem: "want `since` as an ISO 8601 date, or `since-column`",
            })
        }
    }
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            delimiter: None,
            quote: "\"".to_owned(),
            lines_in_cells: LinesInCells::Text,
            encoding: None,
            skip_lines: 0,
            decimal: '.',
            thousands: None,
            columns: None,
            missing: vec![String::new()],
        }
    }
}

fn one_day() -> u32 {
    1
}
