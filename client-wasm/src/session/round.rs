//! A round at this site: the work on its patients, then the stages of secure aggregation.

use cohort::Patients;
use protocol::codec;
use protocol::door::{Inbox, Messages, Open, Progress, State, Survivors};
use protocol::id::{Digest, Header, InputsDigest, SiteId};
use protocol::message::Signed;
use protocol::seed::Seed;
use protocol::site::{self, Upload};
use protocol::study::{Layout, Study};

use super::error::{Planned, SessionError};
use super::work::{self, Results, Work};
use crate::{entropy, vector};

/// A round at this site.
pub(crate) struct Round {
    study: Study,
    /// The patients that the round's vector is computed from.
    inputs: InputsDigest,
    /// What the site keeps for its next round, once its work is done.
    memory: Vec<u8>,
    stage: Stage,
}

/// Where the round is; the protocol's own stages are types of their own.
enum Stage {
    Working(Box<Working>),
    Sharing(site::Sharing, Vec<i64>),
    Masking(site::Masking, Vec<i64>),
    /// The masked vector is kept until the stage is over: its chunks are asked for one by one, some perhaps again.
    Agreeing(site::Agreeing, Upload),
    Unmasking(site::Unmasking),
    Over,
}

/// Before the first message.
struct Working {
    header: Header,
    site: SiteId,
    seed: Seed,
    layout: Layout,
    work: Work,
}

impl Round {
    /// Starts a round, after checking that everything that was given belongs together.
    pub(crate) fn open(request: Open) -> Result<Self, SessionError> {
        let Open {
            study,
            cohort,
            header,
            state,
            site,
            seed,
            memory,
            weights,
        } = request;
        let study = Study::parse(&study)?;
        if study.digest() != header.study {
            return Err(SessionError::OtherStudy);
        }
        if Digest::of(&state) != header.state {
            return Err(SessionError::OtherState);
        }
        check_place(&study, &header)?;
        // Before patients are looked at: what is refused from here on follows from the site's own files.
        let state = State::of(&study, header.purpose, &state)?;
        let patients = Patients::decode(&cohort, &study.manifest().cohort)?;
        let inputs = InputsDigest::of([cohort.as_slice()]);
        entropy::start(&seed);
        let layout = study.layout(header.purpose);
        let work = Work::new(work::Start {
            study: &study,
            state: &state,
            patients,
            purpose: header.purpose,
            layout: &layout,
            seed: &seed,
            memory: &memory,
            weights: weights.as_ref(),
        })?;
        let working = Working {
            header,
            site,
            seed,
            layout,
            work,
        };
        Ok(Self {
            study,
            inputs,
            memory: Vec::new(),
            stage: Stage::Working(Box::new(working)),
        })
    }

    /// What the site is to keep for its next round of this study; empty where that is nothing.
    pub(crate) fn memory(&self) -> Result<Vec<u8>, SessionError> {
        match self.stage {
            Stage::Working(_) => Err(SessionError::OutOfOrder("remember")),
            _ => Ok(self.memory.clone()),
        }
    }

    /// How far the work is.
    pub(crate) fn progress(&self) -> Result<Progress, SessionError> {
        let Stage::Working(working) = &self.stage else {
            return Err(SessionError::OutOfOrder("work"));
        };
        Ok(Progress {
            done: working.work.done(),
            total: working.work.total(),
            unusable: working.work.unusable(),
        })
    }

    /// Works on at least `patients` more patients, in whole batches.
    pub(crate) fn work(&mut self, patients: u32) -> Result<Progress, SessionError> {
        let Stage::Working(working) = &mut self.stage else {
            return Err(SessionError::OutOfOrder("work"));
        };
        let work = &mut working.work;
        let more = u64::from(patients.max(1));
        let goal = work.done().saturating_add(more).min(work.total());
        while !work.is_over() && (work.done() < goal || goal == work.total()) {
            work.step(&self.study)?;
        }
        self.progress()
    }

    /// Ends the work, rounds its sums and adds the noise; gives the round's public keys.
    pub(crate) fn advertise(self) -> Result<(Vec<u8>, Self), SessionError> {
        let Self {
            study,
            inputs,
            stage: Stage::Working(working),
            ..
        } = self
        else {
            return Err(SessionError::OutOfOrder("advertise"));
        };
        let Working {
            header,
            site,
            seed,
            layout,
            work,
        } = *working;
        if !work.is_over() {
            let (done, total) = (work.done(), work.total());
            return Err(SessionError::NotDone { done, total });
        }
        let Results { sums, memory } = work.finish(&study)?;
        let vector = vector::noised(&layout, &sums, &seed)?;
        let (message, stage) = site::Advertising::begin(&study, header, site, &seed)?;
        Ok((
            message,
            Self {
                study,
                inputs,
                memory,
                stage: Stage::Sharing(stage, vector),
            },
        ))
    }

    /// Gives the encrypted shares of this round's secrets.
    pub(crate) fn share(self, request: &Messages) -> Result<(Vec<u8>, Self), SessionError> {
        let Self {
            study,
            inputs,
            memory,
            stage: Stage::Sharing(stage, vector),
        } = self
        else {
            return Err(SessionError::OutOfOrder("share"));
        };
        let (message, stage) = stage.share(&signed(request)?)?;
        Ok((
            message,
            Self {
                study,
                inputs,
                memory,
                stage: Stage::Masking(stage, vector),
            },
        ))
    }

    /// Masks and seals the vector; gives its announcement, and from then on its chunks.
    pub(crate) fn mask(self, request: &Inbox) -> Result<(Vec<u8>, Self), SessionError> {
        let Self {
            study,
            inputs,
            memory,
            stage: Stage::Masking(stage, vector),
        } = self
        else {
            return Err(SessionError::OutOfOrder("mask"));
        };
        let (message, upload, stage) = stage.mask(request, &vector, &inputs)?;
        Ok((
            message,
            Self {
                study,
                inputs,
                memory,
                stage: Stage::Agreeing(stage, upload),
            },
        ))
    }

    /// A sealed chunk of the masked vector.
    pub(crate) fn chunk(&self, number: u32) -> Result<&[u8], SessionError> {
        let Stage::Agreeing(_, upload) = &self.stage else {
            return Err(SessionError::OutOfOrder("chunk"));
        };
        Ok(upload.chunk(number)?)
    }

    /// Gives the statement that the survivors are these.
    pub(crate) fn agree(self, request: &Survivors) -> Result<(Vec<u8>, Self), SessionError> {
        let Self {
            study,
            inputs,
            memory,
            stage: Stage::Agreeing(stage, _),
        } = self
        else {
            return Err(SessionError::OutOfOrder("agree"));
        };
        let (message, stage) = stage.agree(request)?;
        Ok((
            message,
            Self {
                study,
                inputs,
                memory,
                stage: Stage::Unmasking(stage),
            },
        ))
    }

    /// Gives the shares that open the masks of the sum; the round is over for this site.
    pub(crate) fn unmask(self, request: &Messages) -> Result<(Vec<u8>, Self), SessionError> {
        let Self {
            study,
            inputs,
            memory,
            stage: Stage::Unmasking(stage),
        } = self
        else {
            return Err(SessionError::OutOfOrder("unmask"));
        };
        let message = stage.open(&signed(request)?)?;
        Ok((
            message,
            Self {
                study,
                inputs,
                memory,
                stage: Stage::Over,
            },
        ))
    }
}

/// Refuses a header whose place is of another purpose in the study's plan.
fn check_place(study: &Study, header: &Header) -> Result<(), SessionError> {
    let Header { purpose, place, .. } = *header;
    let plan = study.plan();
    let planned = usize::try_from(place)
        .ok()
        .and_then(|place| plan.get(place).copied());
    if planned == Some(purpose) {
        return Ok(());
    }
    Err(SessionError::OtherPlace {
        purpose,
        place,
        planned: Planned(planned),
    })
}

fn signed(messages: &Messages) -> Result<Vec<Signed>, SessionError> {
    messages
        .messages
        .iter()
        .map(|bytes| Ok(codec::decode(bytes)?))
        .collect()
}
