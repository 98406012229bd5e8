//! What a hospital's files hold of a study's features: told by every command that reads patients, in one form.
//!
//! [`told`] is for people at the site. [`doubts`] are what people have to decide on: all commands but `host run` stop there, and go
//! on with `--accept-doubts`. `host run` tells them and goes on, since whether a site answers must not depend on its patients;
//! people decided when they approved the study.

use std::fmt;
use std::io::{self, Write};

use console::{Alignment, pad_str};
use protocol::door::{Coverage, Report};

use crate::patients::describe;

/// Rows of the table that are shown: of more features those with the fewest patients.
const MOST_ROWS: usize = 100;

/// Notes on features that are shown.
const MOST_NOTES: usize = 10;

/// What was read, in lines: a summary, a table of features, and what else people should look at.
#[must_use]
pub fn told(report: &Report) -> Vec<String> {
    let mut lines = vec![describe(report)];
    if report.features.is_empty() {
        return lines;
    }
    lines.extend(table(report));
    lines.extend(notes(report));
    lines
}

/// Writes what was read: [`told`], a line each.
///
/// # Errors
///
/// Whatever writing does.
pub fn show(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for line in told(report) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Something that people have to decide on before the files are used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doubt {
    /// No patient with a label has an event.
    NothingJoins {
        /// The first few patients of the labels.
        labels: Vec<i64>,
        /// The first few patients of the events.
        events: Vec<i64>,
    },
    /// Patients have events, and not one is used.
    NothingUsed {
        /// Events of features' codes.
        of_features: u64,
        /// Events of other codes.
        of_others: u64,
        /// Why those of features are not used.
        reasons: String,
    },
    /// No label has a value of a feature: it would be a dead input.
    NoValue {
        /// The feature's code.
        code: String,
        /// What a person calls it.
        name: String,
        /// Events with its code.
        events: u64,
        /// Why these are not used.
        reasons: String,
        /// Codes of the files that look like it.
        close: Vec<String>,
    },
    /// There are more patients than the study has room for.
    TooManyPatients {
        /// Patients of this site.
        patients: u32,
        /// `aggregation.patients-per-site`.
        most: u32,
    },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingJoins { labels, events } => write!(
                f,
                "no patient with a label has an event: labels are of patients {}, events of patients {}; look whether both files number \
                 patients alike",
                numbers(labels),
                numbers(events)
            ),
            Self::NothingUsed {
                of_features: 0,
                of_others,
                ..
            } => write!(
                f,
                "no event is used: none of the {of_others} events has a code of the study; compare the codes of the files with the \
                 study's"
            ),
            Self::NothingUsed {
                of_features,
                reasons,
                ..
            } => write!(
                f,
                "no event is used, though {of_features} events have a code of the study: {reasons}"
            ),
            Self::NoValue {
                code,
                name,
                events: 0,
                close,
                ..
            } => {
                write!(
                    f,
                    "{} ({}): no event has this code",
                    plain(name),
                    plain(code)
                )?;
                if close.is_empty() {
                    Ok(())
                } else {
                    let close: Vec<String> = close.iter().map(|code| plain(code)).collect();
                    write!(
                        f,
                        "; the files have {}: is it one of these?",
                        close.join(", ")
                    )
                }
            }
            Self::NoValue {
                code,
                name,
                events,
                reasons,
                ..
            } => write!(
                f,
                "{} ({}): {events} events have this code, and none is used: {reasons}",
                plain(name),
                plain(code)
            ),
            Self::TooManyPatients { patients, most } => write!(
                f,
                "this site has {patients} patients, and the study has room for {most} (aggregation.patients-per-site): sums would be cut \
                 off; ask the study's author to raise it, or leave patients out"
            ),
        }
    }
}

/// What people have to decide on, the most important first; each cause once.
#[must_use]
pub fn doubts(report: &Report) -> Vec<Doubt> {
    if report.patients > 0 && report.without_events == labels(report) {
        return vec![Doubt::NothingJoins {
            labels: report.label_subjects.clone(),
            events: report.event_subjects.clone(),
        }];
    }
    let empty = report
        .features
        .iter()
        .filter(|coverage| coverage.labels == 0);
    let of_feature = |coverage: &Coverage| Doubt::NoValue {
        code: coverage.code.clone(),
        name: coverage.name.clone(),
        events: coverage.events,
        reasons: reasons(coverage).join(", "),
        close: coverage.close.clone(),
    };
    if report.used > 0 {
        return empty.map(of_feature).collect();
    }
    let all = report
        .features
        .iter()
        .fold(Coverage::default(), |all, coverage| Coverage {
            events: all.events + coverage.events,
            early: all.early + coverage.early,
            late: all.late + coverage.late,
            without_label: all.without_label + coverage.without_label,
            without_number: all.without_number + coverage.without_number,
            without_time: all.without_time + coverage.without_time,
            not_finite: all.not_finite + coverage.not_finite,
            ..all
        });
    let nothing = Doubt::NothingUsed {
        of_features: all.events,
        of_others: report.other_events,
        reasons: reasons(&all).join(", "),
    };
    let misspelt = empty.filter(|coverage| !coverage.close.is_empty());
    std::iter::once(nothing)
        .chain(misspelt.map(of_feature))
        .collect()
}

/// That there are more patients than a study has room for.
#[must_use]
pub fn too_many(report: &Report, patients_per_site: u32) -> Option<Doubt> {
    (report.patients > patients_per_site).then_some(Doubt::TooManyPatients {
        patients: report.patients,
        most: patients_per_site,
    })
}

/// What people have to decide on before a command goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "stopped, since people should look first:{}\nmend the files, the map or the study; --accept-doubts goes on all the same",
    .0.iter().map(|doubt| format!("\n  {doubt}")).collect::<String>()
)]
pub struct Doubtful(Vec<Doubt>);

/// What a person says of doubts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet: stop.
    Stop,
    /// `--accept-doubts`: they are known.
    Accept,
}

/// Stops where there are doubts that nobody has accepted.
///
/// # Errors
///
/// The doubts.
pub fn judge(doubts: Vec<Doubt>, verdict: Verdict, out: &mut dyn Write) -> Result<(), Doubtful> {
    match verdict {
        Verdict::Stop if !doubts.is_empty() => Err(Doubtful(doubts)),
        Verdict::Stop => Ok(()),
        Verdict::Accept => {
            for doubt in doubts {
                // Nobody reads: the person has accepted it.
                let _ = writeln!(out, "accepted    {doubt}");
            }
            Ok(())
        }
    }
}

/// Labels that are used, whether their outcome is known or not.
pub(crate) fn labels(report: &Report) -> u32 {
    report
        .train
        .saturating_add(report.tuning)
        .saturating_add(report.held_out)
        .saturating_add(report.unknown)
}

/// A row per feature.
fn table(report: &Report) -> Vec<String> {
    let row = |cells: [&str; 9]| {
        let [name, code, numbers @ ..] = cells;
        let mut row = format!("  {} {}", left(name, 22), left(code, 18));
        for (number, width) in numbers.into_iter().zip([8, 6, 9, 9, 8, 8, 8]) {
            row += &pad_str(number, width, Alignment::Right, Some("…"));
        }
        row.trim_end().to_owned()
    };
    let mut lines = vec![row([
        "feature", "code", "patients", "%", "events", "used", "clipped", "before", "after",
    ])];
    let mut shown: Vec<&Coverage> = report.features.iter().collect();
    if shown.len() > MOST_ROWS {
        shown.sort_by_key(|coverage| coverage.patients);
        shown.truncate(MOST_ROWS);
        lines.insert(
            0,
            format!(
                "  the {MOST_ROWS} of {} features that the fewest patients have:",
                report.features.len()
            ),
        );
    }
    for coverage in shown {
        let count = |count: u64| {
            if count == 0 {
                "-".to_owned()
            } else {
                count.to_string()
            }
        };
        lines.push(row([
            &plain(&coverage.name),
            &plain(&coverage.code),
            &coverage.patients.to_string(),
            &percent(u64::from(coverage.patients), u64::from(report.patients)),
            &count(coverage.events),
            &count(coverage.used),
            &count(coverage.clipped),
            &count(coverage.early),
            &count(coverage.late),
        ]));
    }
    lines
}

/// What the table has no column for.
fn notes(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let at: u64 = report
        .features
        .iter()
        .map(|coverage| coverage.at_prediction)
        .sum();
    if at > 0 {
        let of: Vec<String> = report
            .features
            .iter()
            .filter(|coverage| coverage.at_prediction > 0)
            .map(|coverage| format!("{} {}", plain(&coverage.name), coverage.at_prediction))
            .collect();
        lines.push(format!(
            "  {at} events used are at exactly the prediction time ({}): look that nothing among them is known only later, as a \
             diagnosis at discharge may be",
            shortened(&of)
        ));
    }
    if report.without_events > 0 {
        lines.push(format!(
            "  {} of {} labels are of patients without any event",
            report.without_events,
            labels(report)
        ));
    }
    let unusual = |coverage: &Coverage| {
        let reasons = reasons_of_row(coverage);
        (!reasons.is_empty())
            .then(|| format!("  {}: {}", plain(&coverage.name), reasons.join(", ")))
    };
    let unusual: Vec<String> = report.features.iter().filter_map(unusual).collect();
    lines.extend(unusual.iter().take(MOST_NOTES).cloned());
    if unusual.len() > MOST_NOTES {
        lines.push(format!(
            "  {} more features have events without a number, a time or a label",
            unusual.len() - MOST_NOTES
        ));
    }
    if report.other_events > 0 {
        let codes = report.other_codes.iter();
        let codes: Vec<String> = codes
            .map(|other| format!("{} ({})", plain(&other.code), other.events))
            .collect();
        lines.push(format!(
            "  {} events have codes that no feature uses; the most frequent: {}",
            report.other_events,
            codes.join(", ")
        ));
    }
    lines
}

/// Why events of a feature are not used, with numbers.
fn reasons(coverage: &Coverage) -> Vec<String> {
    let mut reasons: Vec<String> = [
        (coverage.early, "are before the history"),
        (coverage.late, "are after the prediction time"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    reasons.extend(reasons_of_row(coverage));
    reasons
}

/// Those of the reasons that are not columns of the table.
fn reasons_of_row(coverage: &Coverage) -> Vec<String> {
    [
        (
            coverage.without_label,
            "are of patients without a label that is used",
        ),
        (coverage.without_number, "have no number"),
        (coverage.without_time, "have no time"),
        (coverage.not_finite, "have a number that is not finite"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} events {what}"))
    .collect()
}

/// A share in percent; small ones are not shown as 0, and nearly all not as 100.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    match part.saturating_mul(1_000) / whole {
        0 if part > 0 => "< 0.1".to_owned(),
        tenths @ 0..100 => format!("{}.{}", tenths / 10, tenths % 10),
        tenths => (tenths / 10).to_string(),
    }
}

/// Text of a study or of files for a terminal: no control character reaches it.
pub(crate) fn plain(text: &str) -> String {
    let plain = |letter: char| {
        if letter.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            letter
        }
    };
    text.chars().map(plain).collect()
}

fn left(text: &str, width: usize) -> String {
    pad_str(text, width, Alignment::Left, Some("…")).into_owned()
}

fn numbers(subjects: &[i64]) -> String {
    if subjects.is_empty() {
        return "(none)".to_owned();
    }
    let numbers: Vec<String> = subjects.iter().map(i64::to_string).collect();
    format!("{}, …", numbers.join(", "))
}

/// The first few, and how many more there are.
fn shortened(texts: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = texts[..texts.len().min(SHOWN)].join(", ");
    if texts.len() > SHOWN {
        format!("{shown} and {} more features", texts.len() - SHOWN)
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use protocol::door::CodeCount;

    use super::*;

    fn feature(code: &str, labels: u32) -> Coverage {
        Coverage {
            code: code.to_owned(),
            name: format!("the {code}"),
            patients: labels,
            labels,
            events: u64::from(labels),
            used: u64::from(labels),
            ..Coverage::default()
        }
    }

    fn report(features: Vec<Coverage>) -> Report {
        Report {
            train: 8,
            held_out: 2,
            patients: 10,
            events: 100,
            used: features.iter().map(|coverage| coverage.used).sum(),
            features,
            ..Report::default()
        }
    }

    #[test]
    fn a_site_without_doubts_is_told_each_feature_and_goes_on() {
        let report = report(vec![feature("HR", 10), feature("BP", 9)]);
        assert!(doubts(&report).is_empty());
        assert!(judge(doubts(&report), Verdict::Stop, &mut Vec::new()).is_ok());
        let told = told(&report).join("\n");
        assert!(told.contains("the HR"), "{told}");
        assert!(told.contains("     9    90"), "{told}");
        assert!(
            told.lines().skip(1).all(|line| line.chars().count() <= 100),
            "{told}"
        );
    }

    #[test]
    fn ids_that_do_not_join_are_the_only_doubt() {
        let mut report = report(vec![feature("HR", 0)]);
        report.without_events = 10;
        report.label_subjects = vec![1, 2];
        report.event_subjects = vec![101];
        let found = doubts(&report);
        assert_eq!(found.len(), 1, "{found:?}");
        let stopped = judge(found.clone(), Verdict::Stop, &mut Vec::new()).unwrap_err();
        let text = stopped.to_string();
        assert!(
            text.contains("labels are of patients 1, 2, …, events of patients 101, …"),
            "{text}"
        );
        assert!(text.contains("--accept-doubts"), "{text}");
        let mut out = Vec::new();
        judge(found, Verdict::Accept, &mut out).unwrap();
        assert!(out.starts_with(b"accepted    no patient"));
    }

    #[test]
    fn codes_of_no_use_are_named_with_what_is_like_them() {
        let mut none = feature("LOINC//8867-4", 0);
        none.close = vec!["8867-4".to_owned()];
        let found = doubts(&report(vec![none.clone()]));
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(text[0].starts_with("no event is used: none of"), "{text:?}");
        assert!(
            text[1].ends_with("the files have 8867-4: is it one of these?"),
            "{text:?}"
        );
        let found = doubts(&report(vec![none, feature("HR", 3)]));
        assert_eq!(found.len(), 1);
        let late = Coverage {
            events: 7,
            late: 4,
            without_number: 3,
            ..feature("HR", 0)
        };
        let text = doubts(&report(vec![late, feature("BP", 1)]))[0].to_string();
        assert_eq!(
            text,
            "the HR (HR): 7 events have this code, and none is used: 4 are after the prediction time, 3 events have no number"
        );
    }

    #[test]
    fn more_patients_than_the_study_has_room_for_are_a_doubt() {
        let report = report(vec![feature("HR", 10)]);
        assert_eq!(too_many(&report, 10), None);
        let text = too_many(&report, 9).unwrap().to_string();
        assert!(
            text.contains("10 patients") && text.contains("room for 9"),
            "{text}"
        );
    }

    #[test]
    fn what_the_table_has_no_column_for_is_told_and_no_control_character_is() {
        let mut report = report(vec![Coverage {
            at_prediction: 4,
            without_number: 2,
            name: "evil \u{1b}[31m".to_owned(),
            ..feature("HR", 10)
        }]);
        report.other_events = 5;
        report.other_codes = vec![CodeCount {
            code: "A\u{7}".to_owned(),
            events: 5,
        }];
        report.without_events = 1;
        let told = told(&report).join("\n");
        for wanted in [
            "4 events used are at exactly the prediction time",
            "2 events have no number",
            "5 events have codes that no feature uses; the most frequent: A\u{fffd} (5)",
            "1 of 10 labels are of patients without any event",
        ] {
            assert!(told.contains(wanted), "{told}");
        }
        assert!(!told.contains('\u{1b}'));
    }

    #[test]
    fn shares_are_never_rounded_to_all_or_nothing() {
        assert_eq!(percent(1, 10_000), "< 0.1");
        assert_eq!(percent(9_999, 10_000), "99");
        assert_eq!(percent(5, 100), "5.0");
        assert_eq!(percent(0, 100), "0.0");
        assert_eq!(percent(0, 0), "-");
    }
}
