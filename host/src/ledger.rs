//! The site's privacy ledger on disk: one line of JSON a release, written before the release leaves.
//!
//! A round is charged once, however often the host is restarted. A release is refused where all releases of the study
//! would exceed what the study promises, or all releases of all studies the budget that the hospital set.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use privacy::{Budget, ChargeError, Cost, Discreteness, Loss, Release, Total, UnknownDiscreteness};
use protocol::id::{Digest, Header, Purpose};
use protocol::study::Study;
use serde::{Deserialize, Serialize};

use crate::durable::{self, FileError};

/// A line of the ledger: a release, when it was charged, and what a person calls its study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// When it was charged, in seconds since 1970.
    pub charged_at: u64,
    /// The study's title.
    pub title: String,
    /// The digest of the study.
    pub study: Digest,
    /// The round.
    pub round: u32,
    /// What the round was for.
    pub purpose: privacy::Purpose,
    /// What its vector can tell of one patient, were its noise continuous.
    pub loss: Loss,
    /// How far its noise is from that; left out where nothing was noised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discreteness: Option<Discreteness>,
}

impl Line {
    /// The line as it is written, with its end.
    fn text(&self) -> String {
        let mut text = serde_json::to_string(self).expect("a line has no key that JSON lacks");
        text.push('\n');
        text
    }

    /// What the release costs.
    ///
    /// # Errors
    ///
    /// A line of a version that did not say how far its noise is from continuous noise.
    pub fn cost(&self) -> Result<Cost, UnknownDiscreteness> {
        Cost::of_parts(self.loss, self.discreteness)
    }

    fn release(&self) -> Result<Release, UnknownDiscreteness> {
        Ok(Release {
            study: self.study.0,
            round: self.round,
            purpose: self.purpose,
            cost: self.cost()?,
        })
    }
}

/// The ledger, open for charging.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    path: PathBuf,
    lines: Vec<Line>,
    ledger: privacy::Ledger,
    budget: Option<Budget>,
}

/// What charging a round came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// It was charged now.
    Now,
    /// It had been charged before a restart.
    Before,
}

impl Ledger {
    /// Opens the ledger at `path`; `budget` is what the hospital allows over all studies, if it set a limit.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, and one with a line that no ledger wrote.
    pub fn open(path: &Path, budget: Option<Budget>) -> Result<Self, LedgerError> {
        let mut file = durable::open_log(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(FileError::at("reading", path))?;
        // Without its end, a line was cut short by a crash, and its release never left.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            durable::cut(&file, path, whole)?;
        }
        let lines = parse(&text[..whole], path)?;
        let corrupt = |reason: String| LedgerError::Corrupt {
            path: path.to_owned(),
            reason,
        };
        let release = |(place, line): (usize, &Line)| {
            let told = |error| corrupt(format!("line {}: {error}", place + 1));
            line.release().map_err(told)
        };
        let releases: Result<Vec<Release>, LedgerError> =
            lines.iter().enumerate().map(release).collect();
        let ledger =
            privacy::Ledger::restore(releases?).map_err(|error| corrupt(error.to_string()))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            lines,
            ledger,
            budget,
        })
    }

    /// Whether the round could be charged now; asked before the site trains for nothing.
    ///
    /// # Errors
    ///
    /// As [`Ledger::charge`], without writing anything.
    pub fn check(&self, study: &Study, header: &Header) -> Result<Charge, LedgerError> {
        let release = release(study, header);
        if self.ledger.find(&release.study, release.round).is_some() {
            return Ok(Charge::Before);
        }
        self.check_study(study, &release)?;
        self.ledger
            .clone()
            .charge(release, self.budget)
            .map_err(|error| self.refusal(error))?;
        Ok(Charge::Now)
    }

    /// Charges the round; on return the line is on disk, and the release may leave.
    ///
    /// # Errors
    ///
    /// A release that the study or the hospital's budget does not cover, and a disk that does not take the line: in
    /// both cases the release must not leave.
    pub fn charge(
        &mut self,
        study: &Study,
        header: &Header,
        now: u64,
    ) -> Result<Charge, LedgerError> {
        if self.check(study, header)? == Charge::Before {
            return Ok(Charge::Before);
        }
        let release = release(study, header);
        let (loss, discreteness) = release.cost.parts();
        let line = Line {
            charged_at: now,
            title: study.manifest().title.clone(),
            study: header.study,
            round: release.round,
            purpose: release.purpose,
            loss,
            discreteness,
        };
        let text = line.text();
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(FileError::at("writing", &self.path))?;
        self.ledger
            .charge(release, None)
            .map_err(|error| self.refusal(error))?;
        self.lines.push(line);
        Ok(Charge::Now)
    }

    /// All lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What the hospital allows over all studies.
    #[must_use]
    pub fn budget(&self) -> Option<Budget> {
        self.budget
    }

    /// What all releases together can tell of one patient.
    #[must_use]
    pub fn total(&self) -> Total {
        self.ledger.total()
    }

    /// What the releases of one study together can tell of one patient.
    #[must_use]
    pub fn of_study(&self, study: &[u8; 32]) -> Total {
        let releases = self
            .ledger
            .releases()
            .iter()
            .filter(|release| release.study == *study);
        Total::of(releases.map(|release| release.cost))
    }

    fn check_study(&self, study: &Study, release: &Release) -> Result<(), LedgerError> {
        let Some(promise) = study.promise() else {
            return Ok(());
        };
        let total = self.of_study(&release.study).and(release.cost);
        if promise.covers(&total) {
            return Ok(());
        }
        Err(LedgerError::StudySpent {
            round: release.round,
            would_spend: total.epsilon(promise.delta),
            promised: promise.epsilon.get(),
        })
    }

    fn refusal(&self, error: ChargeError) -> LedgerError {
        match error {
            ChargeError::BudgetSpent(spent) => LedgerError::PatientsSpent(spent.to_string()),
            other => LedgerError::Corrupt {
                path: self.path.clone(),
                reason: other.to_string(),
            },
        }
    }
}

/// Why a release must not leave.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not what this program wrote.
    #[error("{} is damaged ({reason}): restore it from a backup; without it, nothing leaves this site", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The study would tell more of a patient than it promises.
    #[error(
        "round {round} would bring this study to ε {would_spend:.4}, and it promises {promised}: the aggregator has asked \
         for more than the study plans, and each request that was answered is charged; look at `host ledger` and at the \
         aggregator's record of rounds, then start a new study"
    )]
    StudySpent {
        /// The round.
        round: u32,
        /// ε with it.
        would_spend: f64,
        /// The study's ε.
        promised: f64,
    },
    /// All studies together would tell more of a patient than the hospital allows.
    #[error("the patient budget in host.toml is spent: {0}")]
    PatientsSpent(String),
}

/// What a round of a study releases.
fn release(study: &Study, header: &Header) -> Release {
    let purpose = match header.purpose {
        Purpose::Moments => privacy::Purpose::Normalisation,
        Purpose::Train => privacy::Purpose::Training,
        Purpose::Evaluate | Purpose::Tune => privacy::Purpose::Evaluation,
        Purpose::Seed | Purpose::Cluster => privacy::Purpose::Clustering,
    };
    Release {
        study: header.study.0,
        round: header.number,
        purpose,
        cost: study.cost(header.purpose),
    }
}

fn parse(text: &str, path: &Path) -> Result<Vec<Line>, LedgerError> {
    let parse = |(place, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| LedgerError::Corrupt {
            path: path.to_owned(),
            reason: format!("line {}: {error}", place + 1),
        })
    };
    text.lines().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use privacy::{Delta, Epsilon};
    use testkit::{Draft, TestStudy};

    use super::*;

    fn noised(rounds: u32) -> TestStudy {
        Draft {
            epsilon: 1.0,
            rounds,
            ..Draft::default()
        }
        .make()
    }

    fn budget(epsilon: f64) -> Option<Budget> {
        let (epsilon, delta) = (
            Epsilon::try_from(epsilon).unwrap(),
            Delta::try_from(1e-6).unwrap(),
        );
        Some(Budget { epsilon, delta })
    }

    #[test]
    fn a_study_can_be_charged_to_its_end_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let kit = noised(4);
        let mut ledger = Ledger::open(&path, None).unwrap();
        for (number, purpose) in (0..).zip(kit.study.plan()) {
            let header = kit.header(number, purpose);
            assert_eq!(ledger.charge(&kit.study, &header, 7).unwrap(), Charge::Now);
        }
        let delta = Delta::try_from(1e-6).unwrap();
        assert!(ledger.total().epsilon(delta) <= 1.0);
        let more = kit.header(9, Purpose::Train);
        let error = ledger.charge(&kit.study, &more, 8).unwrap_err();
        assert!(
            matches!(error, LedgerError::StudySpent { round: 9, .. }),
            "{error}"
        );
        assert_eq!(ledger.lines().len(), kit.study.plan().len());
        assert_eq!(
            std::fs::read_to_string(&path).unwrap().lines().count(),
            kit.study.plan().len()
        );
    }

    #[test]
    fn a_restart_does_not_charge_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let kit = noised(4);
        let header = kit.header(0, Purpose::Train);
        for wanted in [Charge::Now, Charge::Before, Charge::Before] {
            let mut ledger = Ledger::open(&path, None).unwrap();
            assert_eq!(ledger.check(&kit.study, &header).unwrap(), wanted);
            assert_eq!(ledger.charge(&kit.study, &header, 7).unwrap(), wanted);
            assert_eq!(ledger.lines().len(), 1);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with(r#"{"charged_at":7,"title":"a study of tests","study":""#),
            "{text}"
        );
        assert!(
            text.contains(r#""round":0,"purpose":"training","loss":{"gaussian":"#),
            "{text}"
        );
    }

    #[test]
    fn the_hospitals_budget_holds_over_all_studies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let first = noised(4);
        let mut ledger = Ledger::open(&path, budget(1.0)).unwrap();
        for (number, purpose) in (0..).zip(first.study.plan()) {
            ledger
                .charge(&first.study, &first.header(number, purpose), 7)
                .unwrap();
        }
        let second = Draft {
            title: "another study",
            epsilon: 1.0,
            ..Draft::default()
        }
        .make();
        let header = second.header(0, Purpose::Train);
        let error = ledger.charge(&second.study, &header, 8).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the patient budget in host.toml is spent"),
            "{error}"
        );
        // What has no noise is within no budget.
        let bare = testkit::study(5, 3);
        let error = ledger
            .check(&bare.study, &bare.header(0, Purpose::Train))
            .unwrap_err();
        assert!(matches!(error, LedgerError::PatientsSpent(_)), "{error}");
        drop(ledger);
        let mut ledger = Ledger::open(&path, budget(2.0)).unwrap();
        assert_eq!(
            ledger.charge(&second.study, &header, 8).unwrap(),
            Charge::Now
        );
    }

    #[test]
    fn a_line_that_was_cut_short_is_dropped_and_damage_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let kit = noised(4);
        let mut ledger = Ledger::open(&path, None).unwrap();
        for number in 0..2 {
            ledger
                .charge(&kit.study, &kit.header(number, Purpose::Train), 7)
                .unwrap();
        }
        let whole = std::fs::read_to_string(&path).unwrap();
        let first = whole.find('\n').unwrap() + 1;
        for cut in first..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let ledger = Ledger::open(&path, None).unwrap();
            assert_eq!(ledger.lines().len(), 1);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), whole[..first]);
        }
        let start = whole.find(",\"discreteness").unwrap();
        let old = format!("{}}}\n", &whole[..start]);
        std::fs::write(&path, old).unwrap();
        let error = Ledger::open(&path, None).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("line 1: the release has noise and no"),
            "{error}"
        );
        std::fs::write(&path, whole.replace("gaussian", "Gaussian")).unwrap();
        let error = Ledger::open(&path, None).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
        std::fs::write(&path, [&whole[..first], &whole[..first]].concat()).unwrap();
        assert!(matches!(
            Ledger::open(&path, None),
            Err(LedgerError::Corrupt { .. })
        ));
    }
}
