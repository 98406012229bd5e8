//! What the site's own people should know; nothing of it leaves.

use std::fmt;
use std::time::Duration;

use protocol::api::Stage;
use protocol::door::{Progress, Report};
use protocol::id::Header;
use protocol::withdrawal::Cause;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// The patients are ready: what was read of them.
    Patients(Report),
    /// A round begins for this site, or is continued after a restart.
    Round(Header),
    /// A round is continued after a restart.
    Continued(u32),
    /// The module has done a piece of its work.
    Work(Progress),
    /// The aggregator holds this site's message of a stage.
    Sent {
        /// The round.
        header: Header,
        /// The stage.
        stage: Stage,
        /// Bytes that were sent.
        bytes: usize,
    },
    /// A call did not get through and is made again.
    Waiting {
        /// Why.
        reason: String,
        /// When.
        wait: Duration,
    },
    /// The work took longer than the site's pace allows for.
    Overrun {
        /// The round's number.
        round: u32,
        /// How long the site always takes.
        usual: Duration,
        /// How long it took this time.
        took: Duration,
        /// How often this has happened since the program was started.
        times: u32,
    },
    /// The round goes on without this site.
    SatOut {
        /// The round's number.
        round: u32,
        /// Why.
        reason: String,
    },
    /// A message came too late.
    TooLate {
        /// The round's number.
        round: u32,
        /// The stage.
        stage: Stage,
        /// What the aggregator said.
        reason: String,
    },
    /// The aggregator does not show what this site announced: why.
    Unannounced(String),
    /// Rounds have been begun that came to nothing.
    Uncharged {
        /// How many so far.
        rounds: usize,
        /// How many the study allows.
        most: u32,
    },
    /// The aggregator was told that this site takes no further part in a round.
    Withdrawn {
        /// The round's number.
        round: u32,
        /// The cause that it was given.
        cause: Cause,
        /// Why it could not be told, if it could not.
        failure: Option<String>,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patients(report) => write!(
                f,
                "{} labels to train on, {} to choose by, {} held out; {} of {} events used",
                report.train, report.tuning, report.held_out, report.used, report.events
            ),
            Self::Round(header) => write!(f, "round {} ({})", header.number, header.purpose),
            Self::Continued(round) => write!(f, "round {round} is continued after a restart"),
            Self::Work(progress) => write!(f, "{} of {} patients", progress.done, progress.total),
            Self::Sent {
                header,
                stage,
                bytes,
            } => write!(
                f,
                "round {} ({}): {stage} sent, {bytes} bytes",
                header.number, header.purpose
            ),
            Self::Waiting { reason, wait } => {
                write!(f, "{reason}; trying again in {:.1} s", wait.as_secs_f64())
            }
            Self::Overrun {
                round,
                usual,
                took,
                times,
            } => write!(
                f,
                "round {round} took {:.2} s, and this site answers after {:.2} s: the aggregator can see that it was late ({times} \
                 times so far); approve the study again on this computer, or give it less to do",
                took.as_secs_f64(),
                usual.as_secs_f64()
            ),
            Self::SatOut { round, reason } => {
                write!(f, "round {round} goes on without this site: {reason}")
            }
            Self::TooLate {
                round,
                stage,
                reason,
            } => {
                write!(f, "round {round}: {stage} came too late ({reason})")
            }
            Self::Unannounced(reason) => write!(
                f,
                "the aggregator does not show what this site announced before ({reason}): if the state folder comes from a backup, this \
                 program cannot see it"
            ),
            Self::Uncharged { rounds, most } => write!(
                f,
                "{rounds} rounds of this study were begun and came to nothing; this site takes part in {most} at most"
            ),
            Self::Withdrawn {
                round,
                cause,
                failure: None,
            } => write!(
                f,
                "the aggregator was told that this site takes no further part in round {round}: {cause}"
            ),
            Self::Withdrawn {
                round,
                failure: Some(failure),
                ..
            } => write!(
                f,
                "the aggregator could not be told that this site takes no further part in round {round}: {failure}"
            ),
        }
    }
}
