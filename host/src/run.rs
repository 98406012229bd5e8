//! A site's part in a study, from the first round to the published model.
//!
//! ```text
//! view ──▶ new round? ──header, state, ledger──▶ Round ──▶ advertise ▸ share ▸ mask ▸ agree ▸ unmask
//!   ▲                                                           │ charged before the masked input leaves
//!   └───────────────────────────────────────────────────────────┘
//! ```

use std::time::{Duration, Instant};

use protocol::api::{RoundView, Stage, Status};
use protocol::codec::{self, DecodeError};
use protocol::door::{Request, State};
use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::study::{Normalisation, Study};
use protocol::withdrawal::{Cause, Withdrawal};

use crate::aggregator::{Aggregator, AggregatorError, Delivery};
use crate::chunks::Chunks;
use crate::ledger::{Ledger, LedgerError};
use crate::limits::stage_of;
use crate::reporter::Reporter;
use crate::round::{self, Round, RoundError, Site};
use crate::sandbox::SandboxError;

/// A site in a study.
#[derive(Debug)]
pub struct Run<'a> {
    site: &'a Site,
    aggregator: &'a Aggregator,
    ledger: &'a mut Ledger,
    reporter: &'a Reporter,
    /// Seconds since 1970.
    clock: fn() -> u64,
    part: Part,
    /// The highest number of a round that was started here.
    last: Option<u32>,
}

/// This site's part in the open round.
#[derive(Debug)]
enum Part {
    /// None yet.
    Idle,
    /// It takes part; `delivered` is the last stage whose message the aggregator holds.
    In {
        round: Box<Round>,
        delivered: Option<Stage>,
    },
    /// It sits this round out.
    Out(u32),
}

impl<'a> Run<'a> {
    /// A site that has not looked yet where the study is.
    ///
    /// # Errors
    ///
    /// A folder of journals that cannot be read.
    pub fn new(
        site: &'a Site,
        aggregator: &'a Aggregator,
        ledger: &'a mut Ledger,
        reporter: &'a Reporter,
        clock: fn() -> u64,
    ) -> Result<Self, RunError> {
        let last = round::last_started(&site.rounds).map_err(RunError::Rounds)?;
        Ok(Self {
            site,
            aggregator,
            ledger,
            reporter,
            clock,
            part: Part::Idle,
            last,
        })
    }

    /// Takes part until the study is finished; gives the published state and its digest.
    ///
    /// # Errors
    ///
    /// All that makes it wrong to go on: see [`RunError`]. What was sent, and what it cost, is on disk.
    pub fn to_the_end(mut self) -> Result<(Digest, Vec<u8>), RunError> {
        let mut seen = 0;
        loop {
            let asked = Instant::now();
            let RoundView { version, status } = self.aggregator.view(seen, POLL)?;
            if version == seen && asked.elapsed() < LULL {
                // An aggregator that does not hold polls is not to be asked without pause.
                std::thread::sleep(LULL);
            }
            seen = version;
            match status {
                Status::Finished { state } => {
                    self.forget_chunks()?;
                    return Ok((state, self.aggregator.state(state)?));
                }
                Status::Open {
                    header,
                    stage,
                    waiting,
                } => {
                    let done = self.go_on(&header, stage, &waiting);
                    if let Some(cause) = done.as_ref().err().and_then(RunError::cause) {
                        self.withdraw(header.number, cause);
                    }
                    done?;
                }
            }
        }
    }

    fn go_on(&mut self, header: &Header, stage: Stage, waiting: &[SiteId]) -> Result<(), RunError> {
        self.enter(header)?;
        if waiting.contains(&self.site.id) {
            self.take_part(stage)?;
        }
        Ok(())
    }

    /// Tells the aggregator that this site takes no further part in a round, so that nobody waits for it and its operator
    /// knows why. Whether that succeeds changes nothing here.
    fn withdraw(&self, round: u32, cause: Cause) {
        let Site {
            study,
            id,
            identity,
            ..
        } = self.site;
        let withdrawal = Withdrawal::sign(study.digest(), round, *id, cause, identity);
        self.reporter
            .note(&match self.aggregator.withdraw(&withdrawal) {
                Ok(()) => format!(
                    "the aggregator was told that this site takes no further part in round {round}: {cause}"
                ),
                Err(error) => format!(
                    "the aggregator could not be told that this site takes no further part in round {round}: {error}"
                ),
            });
    }

    /// Makes `part` this site's part in the round with this header.
    fn enter(&mut self, header: &Header) -> Result<(), RunError> {
        match &self.part {
            Part::In { round, .. } if round.header() == header => return Ok(()),
            Part::In { round, .. } if round.header().number == header.number => {
                return Err(RunError::OtherHeader(header.number));
            }
            Part::Out(number) if *number == header.number => return Ok(()),
            Part::In { .. } | Part::Out(_) | Part::Idle => {}
        }
        self.part = Part::Idle;
        if let Some(last) = self.last {
            if header.number < last {
                return Err(RunError::Backwards {
                    number: header.number,
                    last,
                });
            }
            if header.number == last {
                return self.resume(header);
            }
        }
        self.start(header)
    }

    fn resume(&mut self, header: &Header) -> Result<(), RunError> {
        match Round::resume(self.site, header.number) {
            Ok(None) => self.start(header),
            Ok(Some(round)) if round.header() != header => {
                Err(RunError::OtherHeader(header.number))
            }
            Ok(Some(round)) => {
                self.reporter.round(header);
                self.reporter.note(&format!(
                    "round {} is continued after a restart",
                    header.number
                ));
                self.part = Part::In {
                    round: Box::new(round),
                    delivered: None,
                };
                Ok(())
            }
            Err(error) => self.sit_out(header.number, error),
        }
    }

    fn start(&mut self, header: &Header) -> Result<(), RunError> {
        if !self.site.study.takes_part(self.site.id, header) {
            self.part = Part::Out(header.number);
            return Ok(());
        }
        self.forget_chunks()?;
        let state = self.aggregator.state(header.state)?;
        check(&self.site.study, header, &state)?;
        self.ledger.check(&self.site.study, header)?;
        self.reporter.round(header);
        let round = Round::start(self.site, header.clone(), state)?;
        self.last = Some(header.number);
        self.part = Part::In {
            round: Box::new(round),
            delivered: None,
        };
        Ok(())
    }

    /// Removes the chunks of the last round, which is over: a crash may have left some.
    fn forget_chunks(&self) -> Result<(), RunError> {
        let Some(last) = self.last else { return Ok(()) };
        let chunks = Chunks::of_round(&self.site.folder(last));
        Ok(chunks.forget().map_err(RoundError::from_disk)?)
    }

    /// Sends this site's message of a stage, unless the aggregator holds it.
    fn take_part(&mut self, stage: Stage) -> Result<(), RunError> {
        let Part::In { round, delivered } = &mut self.part else {
            return Ok(());
        };
        if *delivered >= Some(stage) {
            return Ok(());
        }
        let number = round.header().number;
        if round.made(stage).is_none() {
            let mut progress = |progress| self.reporter.work(progress);
            let made = round
                .catch_up(self.site, &mut progress)
                .map_err(RunError::from)
                .and_then(|()| request(self.aggregator, self.site, round, stage))
                .and_then(|request| {
                    Ok(round.message(self.site, request, &mut progress).map(drop)?)
                });
            if let Err(error) = made {
                return self.sit_out_or_stop(number, error);
            }
        }
        if stage == Stage::Mask {
            self.ledger
                .charge(&self.site.study, round.header(), (self.clock)())?;
        }
        let message = round.made(stage).ok_or(RunError::OtherHeader(number))?;
        let mut bytes = message.len();
        let mut delivery = self.aggregator.send(number, stage, message)?;
        if stage == Stage::Mask && delivery == Delivery::Accepted {
            let upload = Upload {
                aggregator: self.aggregator,
                site: self.site,
                reporter: self.reporter,
            };
            delivery = match upload.chunks(round, &mut bytes) {
                Ok(delivery) => delivery,
                Err(error) => return self.sit_out_or_stop(number, error),
            };
        }
        match delivery {
            Delivery::Accepted => {
                self.reporter.sent(round.header(), stage, bytes);
                *delivered = Some(stage);
            }
            Delivery::TooLate(reason) => {
                self.reporter
                    .note(&format!("round {number}: {stage} came too late ({reason})"));
                self.part = Part::Out(number);
            }
        }
        Ok(())
    }

    /// What other parties did wrong ends the round for this site; what this site cannot repair ends the run.
    fn sit_out_or_stop(&mut self, number: u32, error: RunError) -> Result<(), RunError> {
        match error {
            RunError::Round(error) => self.sit_out(number, error),
            RunError::Aggregator(AggregatorError::Refused { problem, .. }) => {
                self.reporter.note(&format!(
                    "round {number} goes on without this site: {problem}"
                ));
                self.part = Part::Out(number);
                Ok(())
            }
            other => Err(other),
        }
    }

    fn sit_out(&mut self, number: u32, error: RoundError) -> Result<(), RunError> {
        let has_advertised = matches!(
            &self.part,
            Part::In { round, .. } if round.made(Stage::Advertise).is_some()
        );
        let cause = match &error {
            // In the middle of a round: another site's or the aggregator's message was not what it must be.
            RoundError::Module(SandboxError::Refused(_)) if has_advertised => Cause::Refusal,
            RoundError::OtherPatients(_) | RoundError::OtherModule(_) | RoundError::Journal(_) => {
                Cause::Failure
            }
            _ => return Err(error.into()),
        };
        self.reporter.note(&format!(
            "round {number} goes on without this site: {error}"
        ));
        self.withdraw(number, cause);
        self.last = self.last.max(Some(number));
        self.part = Part::Out(number);
        Ok(())
    }
}

/// Brings the aggregator the chunks of a masked vector that it lacks, one at a time.
#[derive(Clone, Copy)]
struct Upload<'a> {
    aggregator: &'a Aggregator,
    site: &'a Site,
    reporter: &'a Reporter,
}

impl Upload<'_> {
    /// Sends until none is missing, and adds what was sent to `bytes`; then the chunks are no longer kept.
    fn chunks(self, round: &mut Round, bytes: &mut usize) -> Result<Delivery, RunError> {
        let folder = self.site.folder(round.header().number);
        let delivery = match self.missing(round, bytes) {
            Ok(()) => Delivery::Accepted,
            Err(RunError::Aggregator(error)) => Delivery::TooLate(error.too_late()?),
            Err(error) => return Err(error),
        };
        Chunks::of_round(&folder)
            .forget()
            .map_err(RoundError::from_disk)?;
        Ok(delivery)
    }

    fn missing(self, round: &mut Round, bytes: &mut usize) -> Result<(), RunError> {
        let (number, site) = (round.header().number, self.site);
        let mut progress = |progress| self.reporter.work(progress);
        for chunk in self.aggregator.missing_chunks(number, site.id)?.chunks {
            let sealed = round.chunk(site, chunk, &mut progress)?;
            self.aggregator
                .send_chunk(number, site.id, chunk, &sealed)?;
            *bytes += sealed.len();
        }
        Ok(())
    }
}

/// Why a site does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The aggregator gave no answer, or a wrong one.
    #[error(transparent)]
    Aggregator(#[from] AggregatorError),
    /// The round cannot go on.
    #[error(transparent)]
    Round(#[from] RoundError),
    /// The release is not covered.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The folder of journals cannot be read.
    #[error("reading the journals: {0}")]
    Rounds(std::io::Error),
    /// The aggregator runs another study.
    #[error(
        "the aggregator runs study {got}, approved is {approved}: look which one is right, and approve that one"
    )]
    OtherStudy {
        /// The study that the round is of.
        got: Digest,
        /// The study that was approved.
        approved: Digest,
    },
    /// The study's plan has no such round.
    #[error("the aggregator opened a round for {purpose}, and the study {problem}")]
    Purpose {
        /// What the round would compute.
        purpose: Purpose,
        /// Why it must not.
        problem: &'static str,
    },
    /// The state is none of this study's.
    #[error("the aggregator's state is none of this study's: {0}")]
    State(String),
    /// A round number was used twice.
    #[error("the aggregator opened round {0} a second time with other contents")]
    OtherHeader(u32),
    /// The aggregator went back.
    #[error(
        "the aggregator is at round {number}, and this site has taken part in round {last}: it lost its store, or it is another one"
    )]
    Backwards {
        /// The aggregator's round.
        number: u32,
        /// This site's.
        last: u32,
    },
}

impl RunError {
    /// Why this site does not go on, as far as the aggregator is concerned; `None` where it did not answer, knows
    /// already, or is another one.
    fn cause(&self) -> Option<Cause> {
        match self {
            Self::Ledger(LedgerError::StudySpent { .. } | LedgerError::PatientsSpent(_)) => {
                Some(Cause::Budget)
            }
            Self::Aggregator(AggregatorError::Answer(_) | AggregatorError::OtherState { .. })
            | Self::Round(RoundError::NoChunk(_))
            | Self::Purpose { .. }
            | Self::State(_)
            | Self::OtherHeader(_)
            | Self::Backwards { .. } => Some(Cause::Refusal),
            Self::Round(_) | Self::Rounds(_) | Self::Ledger(_) => Some(Cause::Failure),
            Self::Aggregator(_) | Self::OtherStudy { .. } => None,
        }
    }
}

impl From<DecodeError> for RunError {
    fn from(error: DecodeError) -> Self {
        Self::State(error.to_string())
    }
}

/// What the module is asked at a stage: as before a crash, or with what the other sites sent.
fn request(
    aggregator: &Aggregator,
    site: &Site,
    round: &Round,
    stage: Stage,
) -> Result<Request, RunError> {
    if let Some(request) = round
        .unanswered()
        .filter(|request| stage_of(request) == Some(stage))
    {
        return Ok(request.clone());
    }
    let number = round.header().number;
    Ok(match stage {
        Stage::Advertise => Request::Advertise,
        Stage::Share => Request::Share(aggregator.adverts(number)?),
        Stage::Mask => Request::Mask(aggregator.shares(number, site.id)?),
        Stage::Agree => Request::Agree(aggregator.survivors(number)?),
        Stage::Unmask => Request::Unmask(aggregator.statements(number)?),
    })
}

/// Refuses a round that is none of the study's.
fn check(study: &Study, header: &Header, state: &[u8]) -> Result<(), RunError> {
    if header.study != study.digest() {
        return Err(RunError::OtherStudy {
            got: header.study,
            approved: study.digest(),
        });
    }
    let purpose = header.purpose;
    if !study.plan().contains(&purpose) {
        return Err(RunError::Purpose {
            purpose,
            problem: "has none in its plan",
        });
    }
    let state: State = codec::decode(state)?;
    let parameters = usize::try_from(study.manifest().model.parameters).unwrap_or(usize::MAX);
    if state.offset.len() != parameters {
        let got = state.offset.len();
        return Err(RunError::State(format!(
            "{got} weights, and the study has {parameters}"
        )));
    }
    if !state.offset.iter().all(|weight| weight.is_finite()) {
        return Err(RunError::State("a weight is not finite".to_owned()));
    }
    check_memory_of_rounds(study, &state)?;
    check_centres(study, purpose, &state)?;
    let features = study.manifest().cohort.features().count();
    let wanted = match (study.manifest().cohort.normalisation, purpose) {
        (Normalisation::Shared, Purpose::Moments) | (Normalisation::Reference, _) => 0,
        (Normalisation::Shared, _) => features,
    };
    if state.normalisation.len() != wanted {
        let got = state.normalisation.len();
        return Err(RunError::State(format!(
            "moments of {got} features, and the round needs {wanted}"
        )));
    }
    Ok(())
}

/// Refuses a state with a control variate or a clip norm that the study has not, or without one that it has.
fn check_memory_of_rounds(study: &Study, state: &State) -> Result<(), RunError> {
    let wanted = if study.manifest().training.algorithm.has_control_variates() {
        state.offset.len()
    } else {
        0
    };
    let got = state.control.len();
    if got != wanted || !state.control.iter().all(|value| value.is_finite()) {
        return Err(RunError::State(format!(
            "a control variate of {got} weights, and the study has one of {wanted}"
        )));
    }
    let adapts = study.manifest().privacy.adaptive_clip.is_some();
    let fits = |norm: f64| norm > 0.0 && norm.is_finite();
    if state.clip_norm.is_some() != adapts || !state.clip_norm.is_none_or(fits) {
        let got = state.clip_norm;
        return Err(RunError::State(format!(
            "a clip norm of {got:?}, and the study {}",
            if adapts { "adapts it" } else { "keeps its own" }
        )));
    }
    Ok(())
}

/// Refuses centres that the round cannot have.
fn check_centres(study: &Study, purpose: Purpose, state: &State) -> Result<(), RunError> {
    let most = match (&study.manifest().clustering, purpose) {
        // Each is to be cut in two.
        (Some(clustering), Purpose::Seed) => clustering.most_candidates() / 2,
        (Some(clustering), Purpose::Cluster) => clustering.clusters,
        _ => 0,
    };
    let dimensions = study
        .manifest()
        .clustering
        .map_or(1, |clustering| clustering.dimensions);
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let got = state.centres.len();
    let fits = got.is_multiple_of(size(dimensions)) && got <= size(most) * size(dimensions);
    if fits && state.centres.iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(RunError::State(format!(
            "{got} numbers of centres, and the round has at most {most} centres of {dimensions}, all finite"
        )))
    }
}

/// How long the aggregator may hold a poll: proxies cut connections that are silent for a minute.
const POLL: Duration = Duration::from_secs(25);
/// The least time between two polls without news.
const LULL: Duration = Duration::from_millis(500);
