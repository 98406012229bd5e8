//! The site's privacy ledger: one line of JSON for each release, stored before the release leaves.
//!
//! ```text
//! {"ledger":"<id>","format":2}
//! {"charged_at":…,"title":…,"study":…,"number":7,"place":5,"purpose":"train","state":…,"header":…,"body":…,"loss":…,"previous":…}
//! ```
//!
//! Each line holds the SHA-256 of the line before it, so that a line that is changed or taken out is seen. It names the round by
//! the digest of its header, and what was released by the digest of the masked input's body, without its signature: a round
//! is charged once, and what is sent again is what was charged. A release is refused where all releases of the study would
//! exceed what the study promises, or all releases of all studies the budget that the hospital set.

use std::fmt;
use std::str::FromStr;

use privacy::{Budget, ChargeError, Cost, Discreteness, Loss, Release, Total, UnknownDiscreteness};
use protocol::id::{Digest, Header, Purpose};
use protocol::study::Study;
use serde::{Deserialize, Serialize};

use crate::jsonl;
use crate::writes::Receipt;

/// Tells ledgers apart: 16 random bytes, in text 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerId([u8; 16]);

impl LedgerId {
    /// The id of these bytes, which must be uniform.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for LedgerId {
    type Err = NoLedgerId;

    fn from_str(text: &str) -> Result<Self, NoLedgerId> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NoLedgerId)?;
        Ok(Self(bytes))
    }
}

/// The text is not the id of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("want 32 hexadecimal digits, the id of a ledger")]
pub struct NoLedgerId;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    ledger: String,
    format: u32,
}

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
    /// The round's number.
    pub number: u32,
    /// What the round computed.
    pub purpose: Purpose,
    /// Which round exactly, and what was released; missing in lines of ledgers of format 1, whose rounds can no longer be
    /// sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<Round>,
    /// What its vector can tell of one patient, were its noise continuous.
    pub loss: Loss,
    /// How far its noise is from that; left out where nothing was noised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discreteness: Option<Discreteness>,
    /// The SHA-256 of the line before, without its end.
    pub previous: Digest,
}

/// What exactly was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// The round's place in the study's plan.
    pub place: u32,
    /// The digest of the state that it started from.
    pub state: Digest,
    /// The digest of its header.
    pub header: Digest,
    /// The digest of the masked input's body, without its signature.
    pub body: Digest,
}

impl Line {
    /// The line as it is written, with its end.
    ///
    /// # Panics
    ///
    /// Never: a line has no key that JSON lacks.
    #[must_use]
    pub fn text(&self) -> String {
        jsonl::line(self)
    }

    /// What the release costs.
    ///
    /// # Errors
    ///
    /// A line that does not say how far its noise is from continuous noise.
    pub fn cost(&self) -> Result<Cost, UnknownDiscreteness> {
        Cost::of_parts(self.loss, self.discreteness)
    }

    fn release(&self) -> Result<Release, UnknownDiscreteness> {
        Ok(Release {
            study: self.study.0,
            round: self.number,
            purpose: kind(self.purpose),
            cost: self.cost()?,
        })
    }
}

/// A ledger: what of it is stored.
#[derive(Clone, Debug)]
pub struct Ledger {
    id: LedgerId,
    lines: Vec<Line>,
    /// The digest of the last line.
    last: Digest,
    ledger: privacy::Ledger,
    budget: Option<Budget>,
}

/// Proof that the masked input with this body is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    number: u32,
    body: Digest,
}

impl Charged {
    /// Whether it is of the round with this number, and of this body.
    #[must_use]
    pub fn is_of(&self, number: u32, body: Digest) -> bool {
        self.number == number && self.body == body
    }
}

impl Ledger {
    /// The bytes of a new ledger.
    ///
    /// # Panics
    ///
    /// Never: its first line has no key that JSON lacks.
    #[must_use]
    pub fn begin(id: LedgerId) -> Vec<u8> {
        let head = Head {
            ledger: id.to_string(),
            format: FORMAT,
        };
        jsonl::line(&head).into_bytes()
    }

    /// Reads a ledger; `budget` is what the hospital allows over all studies, if it set a limit. Gives the bytes at its start
    /// that are whole: without its end, a line was cut short by a crash, and its release never left.
    ///
    /// # Errors
    ///
    /// Bytes that no ledger has, a line that does not follow from the one before, a ledger of another format.
    pub fn decode(bytes: &[u8], budget: Option<Budget>) -> Result<(Self, usize), LedgerError> {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = whole.map_or(0, |end| end + 1);
        let text =
            std::str::from_utf8(&bytes[..whole]).map_err(|_| damaged(1, &"it is not text"))?;
        let mut texts = text.lines();
        let head = texts.next().ok_or(LedgerError::Empty)?;
        let id = head_of(head)?;
        let mut last = Digest::of(head.as_bytes());
        let (mut lines, mut releases) = (Vec::new(), Vec::new());
        for (place, text) in (2..).zip(texts) {
            let line: Line = serde_json::from_str(text).map_err(|error| damaged(place, &error))?;
            if line.previous != last {
                let reason = "it does not follow from the line before: one of the two was changed, or lines between them \
                              were taken out";
                return Err(damaged(place, reason));
            }
            last = Digest::of(text.as_bytes());
            releases.push(line.release().map_err(|error| damaged(place, &error))?);
            lines.push(line);
        }
        let ledger =
            privacy::Ledger::restore(releases).map_err(|error| damaged(lines.len() + 1, &error))?;
        let ledger = Self {
            id,
            lines,
            last,
            ledger,
            budget,
        };
        Ok((ledger, whole))
    }

    /// Which ledger this is.
    #[must_use]
    pub fn id(&self) -> LedgerId {
        self.id
    }

    /// All lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The lines of one study, oldest first.
    pub fn lines_of(&self, study: Digest) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.study == study)
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
    pub fn of_study(&self, study: Digest) -> Total {
        let releases = self.ledger.releases().iter();
        let releases = releases.filter(|release| release.study == study.0);
        Total::of(releases.map(|release| release.cost))
    }

    /// What the releases of all other studies together can tell of one patient.
    #[must_use]
    pub fn without_study(&self, study: Digest) -> Total {
        let releases = self.ledger.releases().iter();
        let others = releases.filter(|release| release.study != study.0);
        Total::of(others.map(|release| release.cost))
    }

    /// The line of a round, if it was charged.
    #[must_use]
    pub fn find(&self, study: Digest, number: u32) -> Option<&Line> {
        self.lines_of(study).find(|line| line.number == number)
    }

    /// Refuses a round that could not be charged: asked before the site trains for nothing.
    ///
    /// # Errors
    ///
    /// A release that the study or the hospital's budget does not cover, and a round that was charged.
    pub fn covers(&self, study: &Study, header: &Header) -> Result<(), LedgerError> {
        let release = release(study, header);
        if self.find(header.study, header.number).is_some() {
            return Err(LedgerError::ChargedBefore(header.number));
        }
        self.check_study(study, &release)?;
        self.ledger
            .clone()
            .charge(release, self.budget)
            .map_err(|error| match error {
                ChargeError::BudgetSpent(spent) => LedgerError::PatientsSpent(spent.to_string()),
                _ => LedgerError::ChargedBefore(header.number),
            })
    }

    /// The line that charges a round for the masked input with this body; once it is stored, [`Ledger::add`] takes it in.
    ///
    /// # Errors
    ///
    /// As [`Ledger::covers`].
    pub fn line(
        &self,
        study: &Study,
        header: &Header,
        body: Digest,
        charged_at: u64,
    ) -> Result<Line, LedgerError> {
        self.covers(study, header)?;
        Ok(self.next_line(study, header, body, charged_at))
    }

    fn next_line(&self, study: &Study, header: &Header, body: Digest, charged_at: u64) -> Line {
        let (loss, discreteness) = study.cost(header.purpose).parts();
        Line {
            charged_at,
            title: study.manifest().title.clone(),
            study: header.study,
            number: header.number,
            purpose: header.purpose,
            round: Some(Round {
                place: header.place,
                state: header.state,
                header: header.digest(),
                body,
            }),
            loss,
            discreteness,
            previous: self.last,
        }
    }

    /// Takes in a release that has happened and is not in the ledger, which comes from a backup; gives its line, to be stored.
    ///
    /// # Errors
    ///
    /// A round that was charged.
    pub(crate) fn take_back(
        &mut self,
        study: &Study,
        header: &Header,
        body: Digest,
        charged_at: u64,
    ) -> Result<Line, LedgerError> {
        let line = self.next_line(study, header, body, charged_at);
        self.push(line.clone())?;
        Ok(line)
    }

    /// Takes in a line that is stored.
    ///
    /// # Errors
    ///
    /// A line that does not follow from the last one, or is of a round that was charged: the ledger is as it was.
    pub fn add(&mut self, line: Line, _stored: &Receipt) -> Result<(), LedgerError> {
        self.push(line)
    }

    fn push(&mut self, line: Line) -> Result<(), LedgerError> {
        if line.previous != self.last {
            return Err(damaged(
                self.lines.len() + 2,
                "it does not follow from the line before",
            ));
        }
        let release = line
            .release()
            .map_err(|error| damaged(self.lines.len() + 2, &error))?;
        self.ledger
            .charge(release, None)
            .map_err(|_| LedgerError::ChargedBefore(line.number))?;
        self.last = Digest::of(line.text().trim_end().as_bytes());
        self.lines.push(line);
        Ok(())
    }

    /// Proof that a round was charged for the masked input with this body; `None` where the round was not charged.
    ///
    /// # Errors
    ///
    /// A round that was charged under another header or for another masked input, or by an older version.
    pub fn charged(&self, header: &Header, body: Digest) -> Result<Option<Charged>, LedgerError> {
        let Some(line) = self.find(header.study, header.number) else {
            return Ok(None);
        };
        let number = header.number;
        match line.round {
            Some(round) if round.header == header.digest() && round.body == body => {
                Ok(Some(Charged { number, body }))
            }
            _ => Err(LedgerError::ChargedOther(number)),
        }
    }

    /// The bytes of a ledger that carries the releases of one of format 1 on: lines of JSON without a first line or a chain. What
    /// discrete noise cost, which they do not say, is told by `discreteness` for a study and what a round of it was for.
    ///
    /// # Errors
    ///
    /// Bytes that no ledger of format 1 has, and a ledger that is of format 2 already.
    pub fn upgrade(
        old: &[u8],
        id: LedgerId,
        discreteness: impl Fn(Digest, privacy::Purpose) -> Option<Discreteness>,
    ) -> Result<Vec<u8>, LedgerError> {
        if Self::decode(old, None).is_ok() {
            return Err(LedgerError::UpToDate);
        }
        let text = std::str::from_utf8(old).map_err(|_| damaged(1, &"it is not text"))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut bytes = Self::begin(id);
        let (mut ledger, _) = Self::decode(&bytes, None)?;
        for (place, text) in (1..).zip(text[..whole].lines()) {
            let old: OldLine =
                serde_json::from_str(text).map_err(|error| damaged(place, &error))?;
            let (study, purpose) = (old.study, old.purpose);
            let line = old.line(ledger.last, || discreteness(study, purpose));
            if line.cost().is_err() {
                return Err(LedgerError::NoStudy { line: place, study });
            }
            bytes.extend(line.text().into_bytes());
            ledger.push(line)?;
        }
        Ok(bytes)
    }

    fn check_study(&self, study: &Study, release: &Release) -> Result<(), LedgerError> {
        let Some(promise) = study.promise() else {
            return Ok(());
        };
        let total = self.of_study(study.digest()).and(release.cost);
        if promise.covers(&total) {
            return Ok(());
        }
        Err(LedgerError::StudySpent {
            number: release.round,
            would_spend: total.epsilon(promise.delta),
            promised: promise.epsilon.get(),
        })
    }
}

/// Why a release must not leave.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The ledger is missing.
    #[error(
        "the ledger of releases is not there: restore it from a backup, then run `host ledger reconcile`; at a site that has never \
         taken part in a study, `host approve` begins one"
    )]
    Missing,
    /// There is not even a first line.
    #[error(
        "the ledger is empty: restore it from a backup, then run `host ledger reconcile`; without it, nothing leaves this site"
    )]
    Empty,
    /// It is of format 1.
    #[error(
        "the ledger was written by an older version: run `host ledger upgrade`, which carries its charges over"
    )]
    Older,
    /// There is nothing to upgrade.
    #[error("the ledger is of the present format already")]
    UpToDate,
    /// What a line of format 1 cost cannot be told.
    #[error(
        "line {line} of the ledger is of study {study}, and its file is not there: put it back as studies/{study}/study.toml under the \
         state folder; what the release cost is computed from it"
    )]
    NoStudy {
        /// The line, from 1.
        line: usize,
        /// The study.
        study: Digest,
    },
    /// A newer version wrote it.
    #[error(
        "the ledger has format {0}, and this version reads {FORMAT}: use the version that wrote it"
    )]
    Newer(u32),
    /// It is not what this program wrote.
    #[error(
        "line {line} of the ledger is damaged ({reason}): restore the ledger from a backup, then run `host ledger reconcile`; \
         without it, nothing leaves this site"
    )]
    Damaged {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The study would tell more of a patient than it promises.
    #[error(
        "round {number} would bring this study to ε {would_spend:.4}, and it promises {promised}: the aggregator has asked \
         for more than the study plans, and each request that was answered is charged; look at `host ledger` and at the \
         aggregator's record of rounds, then start a new study"
    )]
    StudySpent {
        /// The round.
        number: u32,
        /// ε with it.
        would_spend: f64,
        /// The study's ε.
        promised: f64,
    },
    /// All studies together would tell more of a patient than the hospital allows.
    #[error("the hospital's patient budget is spent: {0}")]
    PatientsSpent(String),
    /// The round was charged.
    #[error(
        "round {0} is charged in the ledger already, and its journal is not there: it is not computed again"
    )]
    ChargedBefore(u32),
    /// Something else was charged under the round's number.
    #[error(
        "round {0} is charged in the ledger for another masked input than the one in its journal, or under another header: it \
         is not sent"
    )]
    ChargedOther(u32),
}

/// What a round of a study releases.
fn release(study: &Study, header: &Header) -> Release {
    Release {
        study: header.study.0,
        round: header.number,
        purpose: kind(header.purpose),
        cost: study.cost(header.purpose),
    }
}

fn kind(purpose: Purpose) -> privacy::Purpose {
    match purpose {
        Purpose::Moments => privacy::Purpose::Normalisation,
        Purpose::Train => privacy::Purpose::Training,
        Purpose::Evaluate | Purpose::Tune => privacy::Purpose::Evaluation,
        Purpose::Seed | Purpose::Cluster => privacy::Purpose::Clustering,
    }
}

fn head_of(text: &str) -> Result<LedgerId, LedgerError> {
    let Ok(head) = serde_json::from_str::<Head>(text) else {
        let is_old = serde_json::from_str::<OldLine>(text).is_ok();
        return Err(if is_old {
            LedgerError::Older
        } else {
            damaged(1, "want {\"ledger\":…,\"format\":2}")
        });
    };
    if head.format != FORMAT {
        return Err(LedgerError::Newer(head.format));
    }
    head.ledger.parse().map_err(|error| damaged(1, &error))
}

fn damaged(line: usize, reason: &(impl ToString + ?Sized)) -> LedgerError {
    LedgerError::Damaged {
        line,
        reason: reason.to_string(),
    }
}

/// A line of a ledger of format 1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldLine {
    charged_at: u64,
    title: String,
    study: Digest,
    round: u32,
    purpose: privacy::Purpose,
    loss: Loss,
}

impl OldLine {
    fn line(self, previous: Digest, told: impl Fn() -> Option<Discreteness>) -> Line {
        Line {
            discreteness: Cost::of_parts(self.loss, None).map_or_else(|_| told(), |_| None),
            charged_at: self.charged_at,
            title: self.title,
            study: self.study,
            number: self.round,
            purpose: match self.purpose {
                privacy::Purpose::Normalisation => Purpose::Moments,
                privacy::Purpose::Training => Purpose::Train,
                privacy::Purpose::Evaluation => Purpose::Evaluate,
                privacy::Purpose::Clustering => Purpose::Cluster,
            },
            round: None,
            loss: self.loss,
            previous,
        }
    }
}

const FORMAT: u32 = 2;

#[cfg(test)]
mod tests {
    use privacy::{Delta, Epsilon};
    use testkit::{Draft, TestStudy};

    use super::*;
    use crate::writes::Writes;

    fn noised(rounds: u32) -> TestStudy {
        Draft {
            epsilon: 1.0,
            rounds,
            ..Draft::default()
        }
        .make()
    }

    fn budget(epsilon: f64) -> Budget {
        Budget {
            epsilon: Epsilon::try_from(epsilon).unwrap(),
            delta: Delta::try_from(1e-6).unwrap(),
        }
    }

    fn new(budget: Option<Budget>) -> (Ledger, Vec<u8>) {
        let bytes = Ledger::begin(LedgerId::new([7; 16]));
        (Ledger::decode(&bytes, budget).unwrap().0, bytes)
    }

    /// Charges a round, as a site that stores the line.
    fn charge(
        ledger: &mut Ledger,
        bytes: &mut Vec<u8>,
        study: &Study,
        header: &Header,
    ) -> Result<(), LedgerError> {
        let line = ledger.line(study, header, Digest::of(b"body"), 7)?;
        bytes.extend(line.text().into_bytes());
        ledger.add(line, &Writes::new(Vec::new(), 0).written())
    }

    #[test]
    fn a_study_can_be_charged_to_its_end_and_no_further() {
        let kit = noised(4);
        let (mut ledger, mut bytes) = new(None);
        for (number, purpose) in (0..).zip(kit.study.plan()) {
            let header = kit.header(number, purpose);
            charge(&mut ledger, &mut bytes, &kit.study, &header).unwrap();
        }
        assert!(ledger.total().epsilon(budget(1.0).delta) <= 1.0);
        let more = kit.header(9, Purpose::Train);
        let error = charge(&mut ledger, &mut bytes, &kit.study, &more).unwrap_err();
        assert!(
            matches!(error, LedgerError::StudySpent { number: 9, .. }),
            "{error}"
        );
        let (read, whole) = Ledger::decode(&bytes, None).unwrap();
        assert_eq!((read.lines(), whole), (ledger.lines(), bytes.len()));
    }

    #[test]
    fn what_is_charged_is_proved_for_that_header_and_body_alone() {
        let kit = noised(4);
        let (mut ledger, mut bytes) = new(None);
        let header = kit.header(0, Purpose::Train);
        let body = Digest::of(b"body");
        assert_eq!(ledger.charged(&header, body), Ok(None));
        charge(&mut ledger, &mut bytes, &kit.study, &header).unwrap();
        let proof = ledger.charged(&header, body).unwrap().unwrap();
        assert!(proof.is_of(0, body) && !proof.is_of(1, body) && !proof.is_of(0, header.state));
        let other = Header {
            state: Digest::of(b"another state"),
            ..header.clone()
        };
        for (header, body) in [(&header, Digest::of(b"another body")), (&other, body)] {
            let error = ledger.charged(header, body);
            assert_eq!(error, Err(LedgerError::ChargedOther(0)));
        }
        let error = charge(&mut ledger, &mut bytes, &kit.study, &header);
        assert_eq!(error, Err(LedgerError::ChargedBefore(0)));
    }

    #[test]
    fn the_hospitals_budget_holds_over_all_studies() {
        let first = noised(4);
        let (mut ledger, mut bytes) = new(Some(budget(1.0)));
        for (number, purpose) in (0..).zip(first.study.plan()) {
            let header = first.header(number, purpose);
            charge(&mut ledger, &mut bytes, &first.study, &header).unwrap();
        }
        let second = Draft {
            title: "another study",
            epsilon: 1.0,
            ..Draft::default()
        }
        .make();
        let header = second.header(0, Purpose::Train);
        let error = ledger.covers(&second.study, &header).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the hospital's patient budget is spent"),
            "{error}"
        );
        // What has no noise is within no budget.
        let bare = testkit::study(5, 3);
        let error = ledger.covers(&bare.study, &bare.header(0, Purpose::Train));
        assert!(matches!(error, Err(LedgerError::PatientsSpent(_))));
        let (larger, _) = Ledger::decode(&bytes, Some(budget(2.0))).unwrap();
        assert_eq!(larger.covers(&second.study, &header), Ok(()));
    }

    #[test]
    fn a_line_that_was_cut_short_is_dropped() {
        let kit = noised(4);
        let (mut ledger, mut bytes) = new(None);
        for number in 0..2 {
            let header = kit.header(number, Purpose::Train);
            charge(&mut ledger, &mut bytes, &kit.study, &header).unwrap();
        }
        let ends: Vec<usize> = (1..=bytes.len())
            .filter(|end| bytes[end - 1] == b'\n')
            .collect();
        for cut in ends[1]..bytes.len() {
            let (read, whole) = Ledger::decode(&bytes[..cut], None).unwrap();
            assert_eq!((read.lines().len(), whole), (1, ends[1]));
        }
        for cut in 0..ends[0] {
            assert_eq!(
                Ledger::decode(&bytes[..cut], None).unwrap_err(),
                LedgerError::Empty
            );
        }
    }

    #[test]
    fn a_line_that_was_changed_taken_out_or_doubled_is_named() {
        let kit = noised(4);
        let (mut ledger, mut bytes) = new(None);
        for number in 0..3 {
            let header = kit.header(number, Purpose::Train);
            charge(&mut ledger, &mut bytes, &kit.study, &header).unwrap();
        }
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let line_of = |lines: &[&str]| match Ledger::decode(lines.concat().as_bytes(), None) {
            Err(LedgerError::Damaged { line, .. }) => line,
            other => panic!("{other:?}"),
        };
        let cheaper = lines[1].replace("\"number\":0", "\"number\":8");
        assert_eq!(line_of(&[lines[0], &cheaper, lines[2], lines[3]]), 3);
        assert_eq!(line_of(&[lines[0], lines[2], lines[3]]), 2);
        assert_eq!(line_of(&[lines[0], lines[1], lines[1]]), 3);
        assert_eq!(line_of(&[lines[0], "{}\n"]), 2);
        assert_eq!(line_of(&["{}\n"]), 1);
        let newer = lines[0].replace("\"format\":2", "\"format\":3");
        let error = Ledger::decode(newer.as_bytes(), None).unwrap_err();
        assert_eq!(error, LedgerError::Newer(3));
    }

    #[test]
    fn a_ledger_of_format_1_is_told_and_carried_over() {
        let study = Digest::of(b"study");
        let old = format!(
            "{{\"charged_at\":7,\"title\":\"old\",\"study\":\"{study}\",\"round\":3,\"purpose\":\"training\",\"loss\":{{\"gaussian\":0.05}}}}\n"
        );
        let error = Ledger::decode(old.as_bytes(), None).unwrap_err();
        assert_eq!(error, LedgerError::Older);
        let id = LedgerId::new([3; 16]);
        let error = Ledger::upgrade(old.as_bytes(), id, |_, _| None).unwrap_err();
        assert_eq!(error, LedgerError::NoStudy { line: 1, study });
        let kit = noised(4);
        let told = |_, _| Some(kit.study.cost(Purpose::Train).discreteness);
        let bytes = Ledger::upgrade(old.as_bytes(), id, told).unwrap();
        let (ledger, _) = Ledger::decode(&bytes, None).unwrap();
        assert_eq!(ledger.id().to_string().parse(), Ok(id));
        assert_eq!(ledger.find(study, 3).map(|line| line.round), Some(None));
        assert_eq!(
            Ledger::upgrade(&bytes, id, told),
            Err(LedgerError::UpToDate)
        );
        assert!(Ledger::upgrade(b"nothing\n", id, told).is_err());
    }
}
