//! What the module is doing between two requests.
//!
//! ```text
//! Open ─▶ Round: work, then the protocol's stages          Baseline ─▶ training on this site alone
//! Prepare, Check, Import ─▶ Reading: pieces of files
//! ```
//!
//! A session is gone after a refusal in the middle of a protocol's stage: each stage is used once.

mod baseline;
mod embedding;
mod error;
mod inputs;
mod local;
mod memory;
mod predict;
mod reading;
mod round;
mod schedule;
mod work;

use minicbor::bytes::ByteVec;
use protocol::codec;
use protocol::door::{
    Describe, Described, Export, Exported, Progress, Refusal, Request, Response, State,
};
use protocol::study::Study;

use crate::session::baseline::Baseline;
use crate::session::error::SessionError;
use crate::session::inputs::network;
use crate::session::reading::{Next, Reading};
use crate::session::round::Round;

/// The module: at most one session at a time.
#[derive(Default)]
pub(crate) struct Module {
    session: Session,
}

#[derive(Default)]
enum Session {
    #[default]
    None,
    Round(Box<Round>),
    Baseline(Box<Baseline>),
    Reading(Box<Reading>),
}

impl Module {
    /// The response to `request`.
    pub(crate) fn answer(&mut self, request: Request) -> Response {
        let had_session = !matches!(self.session, Session::None);
        self.try_answer(request).unwrap_or_else(|error| {
            let fatal = had_session && matches!(self.session, Session::None);
            Response::Refused(Refusal {
                reason: error.to_string(),
                fatal,
            })
        })
    }

    fn try_answer(&mut self, request: Request) -> Result<Response, SessionError> {
        match request {
            Request::Describe(request) => describe(&request).map(Response::Described),
            Request::Prepare(request) => self.read(Reading::prepare(&request)?, None),
            Request::Check(request) => self.read(Reading::check(&request)?, None),
            Request::Import(request) => self.read(Reading::import(request)?, None),
            Request::Piece(bytes) => self.go_on(Some(&bytes)),
            Request::Kept => self.go_on(None),
            Request::Export(request) => export(&request).map(Response::Exported),
            Request::Predict(request) => predict::predict(&request).map(Response::Predicted),
            Request::Open(request) => {
                self.session = Session::None;
                let round = Round::open(request)?;
                let progress = round.progress()?;
                self.session = Session::Round(Box::new(round));
                Ok(Response::Progress(progress))
            }
            Request::Baseline(request) => {
                self.session = Session::None;
                let baseline = Baseline::begin(&request)?;
                let progress = baseline.progress();
                self.session = Session::Baseline(Box::new(baseline));
                Ok(Response::Progress(progress))
            }
            Request::Work(work) => self.work(work.patients).map(Response::Progress),
            Request::Finish => self.finish().map(Response::Finished),
            Request::Advertise => self.stage(Round::advertise),
            Request::Share(request) => self.stage(|round| round.share(&request)),
            Request::Mask(request) => self.stage(|round| round.mask(&request)),
            Request::Chunk(number) => self.chunk(number).map(Response::Chunk),
            Request::Agree(request) => self.stage(|round| round.agree(&request)),
            Request::Unmask(request) => self.stage(|round| round.unmask(&request)),
            Request::Remember => self.remember().map(Response::Memory),
        }
    }

    /// Goes on with the files that are read.
    fn go_on(&mut self, given: Option<&[u8]>) -> Result<Response, SessionError> {
        match std::mem::take(&mut self.session) {
            Session::Reading(reading) => self.read(*reading, given),
            other => {
                self.session = other;
                Err(SessionError::NothingRead)
            }
        }
    }

    fn read(
        &mut self,
        mut reading: Reading,
        given: Option<&[u8]>,
    ) -> Result<Response, SessionError> {
        self.session = Session::None;
        match reading.next(given)? {
            Next::Over(response) => Ok(response),
            Next::Asked(response) => {
                self.session = Session::Reading(Box::new(reading));
                Ok(response)
            }
        }
    }

    fn work(&mut self, patients: u32) -> Result<Progress, SessionError> {
        match &mut self.session {
            Session::None | Session::Reading(_) => Err(SessionError::NoSession),
            Session::Round(round) => round.work(patients),
            Session::Baseline(baseline) => baseline.work(patients),
        }
    }

    fn finish(&mut self) -> Result<State, SessionError> {
        match std::mem::take(&mut self.session) {
            Session::Baseline(baseline) => baseline.finish(),
            other => {
                self.session = other;
                Err(SessionError::NoBaseline)
            }
        }
    }

    fn remember(&self) -> Result<ByteVec, SessionError> {
        match &self.session {
            Session::Round(round) => round.memory().map(ByteVec::from),
            _ => Err(SessionError::NoSession),
        }
    }

    fn chunk(&self, number: u32) -> Result<ByteVec, SessionError> {
        match &self.session {
            Session::Round(round) => Ok(round.chunk(number)?.to_vec().into()),
            _ => Err(SessionError::NoSession),
        }
    }

    /// Takes the round through a stage; a round that refuses is gone.
    fn stage(
        &mut self,
        step: impl FnOnce(Round) -> Result<(Vec<u8>, Round), SessionError>,
    ) -> Result<Response, SessionError> {
        let Session::Round(round) = std::mem::take(&mut self.session) else {
            return Err(SessionError::NoSession);
        };
        let (message, round) = step(*round)?;
        self.session = Session::Round(Box::new(round));
        Ok(Response::Send(ByteVec::from(message)))
    }
}

fn describe(request: &Describe) -> Result<Described, SessionError> {
    let study = Study::parse(&request.study)?;
    let network = learning::model::Network::new(&study.manifest().cohort, &study.manifest().model)?;
    inputs::initial(&network, &study, request.weights.as_ref())?;
    Ok(Described {
        study: study.digest(),
        parameters: u32::try_from(network.trained()).unwrap_or(u32::MAX),
        module: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}

/// All weights of the model that a state says.
fn export(request: &Export) -> Result<Exported, SessionError> {
    let study = Study::parse(&request.study)?;
    let network = network(&study)?;
    let state = State::published(&study, &request.state)?;
    let weights = inputs::weights(&network, &study, request.weights.as_ref(), &state)?;
    let file = network.file(&weights, &request.without)?;
    let is_kept = |name: &str| file.blocks.iter().any(|block| block.name == name);
    let kept = network.blocks().iter().filter(|block| is_kept(&block.name));
    let size = |size: &usize| u32::try_from(*size).unwrap_or(u32::MAX);
    Ok(Exported {
        weights: codec::encode(&file).into(),
        shapes: kept
            .map(|block| block.shape.iter().map(size).collect())
            .collect(),
    })
}
