//! One round of this site: what the module is asked, and what of its answers may leave.
//!
//! ```text
//! Round ──message(stage)──▶ ask ─▶ egress check ─▶ sign ─▶ journal, fsync ─▶ bytes to send
//!                             └ at stage mask: each chunk ─▶ egress check ─▶ its own file, fsync
//! ```
//!
//! When the masked input is in the journal, so are all chunks that it announces on the disk.
//!
//! A round that is continued after a crash makes its answers again from the journal's seed and requests, and refuses
//! to go on where one differs from what was sent.

use std::path::{Path, PathBuf};

use minicbor::bytes::ByteVec;
use protocol::api::Stage;
use protocol::codec;
use protocol::door::{Open, Progress, Request};
use protocol::id::{Digest, Header, SiteId};
use protocol::identity::Identity;
use protocol::message::{MaskedInput, Signed};
use protocol::study::Study;

use crate::chunks::Chunks;
use crate::durable::FileError;
use crate::entropy::{self, NoEntropy};
use crate::journal::{self, Exchange, Journal, JournalError, Opened, Sending};
use crate::limits::{Egress, EgressError};
use crate::patients::Cohort;
use crate::sandbox::{Sandbox, SandboxError};
use crate::session::Session;

/// All that stays the same over the rounds of a study.
#[derive(Debug)]
pub struct Site {
    /// The approved study.
    pub study: Study,
    /// The bytes of its file.
    pub text: Vec<u8>,
    /// The public weights that it starts from, where it names some.
    pub weights: Option<Vec<u8>>,
    /// The approved module.
    pub sandbox: Sandbox,
    /// This site's patients.
    pub cohort: Cohort,
    /// This site's place in the roster.
    pub id: SiteId,
    /// This site's key.
    pub identity: Identity,
    /// The folder of the study's journals.
    pub rounds: PathBuf,
}

impl Site {
    /// The folder of a round's journal.
    #[must_use]
    pub fn folder(&self, number: u32) -> PathBuf {
        folder(&self.rounds, number)
    }

    /// What this site kept of the last round before `number` of which it kept anything; empty where there is none, and
    /// where the study keeps nothing.
    fn memory(&self, number: u32) -> Result<Vec<u8>, JournalError> {
        if !self
            .study
            .manifest()
            .training
            .algorithm
            .has_control_variates()
        {
            return Ok(Vec::new());
        }
        for before in (0..number).rev() {
            if let Some(memory) = journal::remembered(&self.folder(before))? {
                return Ok(memory);
            }
        }
        Ok(Vec::new())
    }
}

/// The folder of a round's journal under that of a study's rounds.
#[must_use]
pub fn folder(rounds: &Path, number: u32) -> PathBuf {
    rounds.join(format!("{number:05}"))
}

/// The highest number of a round that was started, if one was.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn last_started(rounds: &Path) -> std::io::Result<Option<u32>> {
    if !rounds.exists() {
        return Ok(None);
    }
    let mut last = None;
    for entry in std::fs::read_dir(rounds)? {
        let name = entry?.file_name();
        last = last.max(name.to_str().and_then(|name| name.parse().ok()));
    }
    Ok(last)
}

/// A round that this site takes part in.
#[derive(Debug)]
pub struct Round {
    journal: Journal,
    state: Vec<u8>,
    /// Made when the module is first needed.
    running: Option<Running>,
}

/// The instance, as far as it was asked.
#[derive(Debug)]
struct Running {
    session: Session,
    egress: Egress,
    /// Exchanges of the journal that it has made.
    made: usize,
}

impl Round {
    /// Starts a round from `state`, with a seed that is used for nothing else.
    ///
    /// # Errors
    ///
    /// A system without randomness, and a disk that does not take the journal.
    pub fn start(site: &Site, header: Header, state: Vec<u8>) -> Result<Self, RoundError> {
        let folder = site.folder(header.number);
        let memory = site.memory(header.number)?.into();
        let opened = Opened {
            header,
            site: site.id,
            module: site.sandbox.digest(),
            cohort: site.cohort.digest,
            seed: entropy::seed()?,
            memory,
        };
        let journal = Journal::create(&folder, opened, &state)?;
        Ok(Self {
            journal,
            state,
            running: None,
        })
    }

    /// Goes on with a round that was started before, where its journal is there.
    ///
    /// # Errors
    ///
    /// A damaged journal, and one of another module or other patients.
    pub fn resume(site: &Site, number: u32) -> Result<Option<Self>, RoundError> {
        let folder = site.folder(number);
        let Some(journal) = Journal::open(&folder)? else {
            return Ok(None);
        };
        let opened = journal.opened();
        if opened.module != site.sandbox.digest() || opened.site != site.id {
            return Err(RoundError::OtherModule(number));
        }
        let state = Journal::state(&folder, &opened.header)?;
        Ok(Some(Self {
            journal,
            state,
            running: None,
        }))
    }

    /// What the round computes.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.journal.opened().header
    }

    /// The message of a stage, if it was made.
    #[must_use]
    pub fn made(&self, stage: Stage) -> Option<&[u8]> {
        self.journal
            .sending(stage)
            .map(|sending| sending.message.as_slice())
    }

    /// The request whose answer was not written down before a crash: the same one must be asked again.
    #[must_use]
    pub fn unanswered(&self) -> Option<&Request> {
        self.journal.unanswered()
    }

    /// Brings the module to where the journal is: opens it, trains, and asks again what was asked.
    ///
    /// # Errors
    ///
    /// All that the module can do wrong, and an answer that differs from what was sent.
    pub fn catch_up(
        &mut self,
        site: &Site,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), RoundError> {
        if self.running.is_none() {
            let opened = self.journal.opened();
            if opened.cohort != site.cohort.digest {
                return Err(RoundError::OtherPatients(opened.header.number));
            }
            let open = open(
                &site.text,
                site.weights.as_deref(),
                &site.cohort,
                opened,
                &self.state,
            );
            let session = Session::open(&site.sandbox, open, progress)?;
            let egress = Egress::new(site.study.clone(), opened.header.clone(), site.id);
            self.running = Some(Running {
                session,
                egress,
                made: 0,
            });
        }
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        for Exchange { request, sending } in &self.journal.exchanges()[running.made..] {
            let Some(sending) = sending else { break };
            let body = running.session.body(request)?;
            running.egress.check(request, &body)?;
            if Digest::of(&body) != sending.body {
                return Err(RoundError::Differs(sending.stage));
            }
            running.made += 1;
        }
        Ok(())
    }

    /// A sealed chunk of the masked vector that was announced: from the disk, or where it is not there any more, from
    /// the module, which trains again for it.
    ///
    /// # Errors
    ///
    /// A round whose masked input was not made, a number that its vector has not; as [`Round::message`].
    pub fn chunk(
        &mut self,
        site: &Site,
        number: u32,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<u8>, RoundError> {
        let missing = RoundError::NoChunk(number);
        let message = self.made(Stage::Mask).ok_or(missing)?;
        let announced = announced(message).ok_or_else(|| self.journal.corrupt())?;
        let place = usize::try_from(number).ok();
        let digest = place.and_then(|place| announced.chunks.get(place));
        let digest = digest.ok_or(RoundError::NoChunk(number))?;
        let chunks = Chunks::of_round(&site.folder(self.header().number));
        if let Some(sealed) = chunks.kept(number, digest).map_err(RoundError::from_disk)? {
            return Ok(sealed);
        }
        self.catch_up(site, progress)?;
        let running = self.running.as_mut().ok_or(SandboxError::Gone)?;
        running.chunk(number)
    }

    /// Asks the module for a message, checks and signs it, and writes it down; gives the bytes to send.
    ///
    /// # Errors
    ///
    /// All that the module can do wrong, a body that must not leave, and a disk that does not take the journal. In
    /// each case nothing was sent, and the round is over for this site.
    pub fn message(
        &mut self,
        site: &Site,
        request: Request,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<&[u8], RoundError> {
        self.catch_up(site, progress)?;
        // Taken out: an error leaves the round without an instance.
        let mut running = self.running.take().ok_or(SandboxError::Gone)?;
        let body = running.session.body(&request)?;
        let stage = running.egress.check(&request, &body)?;
        if stage == Stage::Mask {
            let chunks = Chunks::of_round(&site.folder(self.header().number));
            for number in running.egress.chunking().numbers() {
                chunks
                    .keep(number, &running.chunk(number)?)
                    .map_err(RoundError::from_disk)?;
            }
        }
        if stage == Stage::Unmask {
            // From here on the round counts for this site; before its message leaves, so that a crash loses neither.
            let memory = running.session.memory()?;
            if !memory.is_empty() {
                journal::remember(&site.folder(self.header().number), &memory)
                    .map_err(RoundError::from_disk)?;
            }
        }
        let sending = signed(site, self.header(), stage, body);
        self.journal.record(request, sending)?;
        running.made += 1;
        self.running = Some(running);
        let last = self
            .journal
            .exchanges()
            .last()
            .and_then(|exchange| exchange.sending.as_ref());
        Ok(last
            .map(|sending| sending.message.as_slice())
            .unwrap_or_default())
    }
}

impl Running {
    /// A sealed chunk that may leave.
    fn chunk(&mut self, number: u32) -> Result<Vec<u8>, RoundError> {
        let sealed = self.session.chunk(number)?;
        self.egress.check_chunk(number, &sealed)?;
        Ok(sealed)
    }
}

/// Why a round is over for this site.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoundError {
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The module failed or refused.
    #[error(transparent)]
    Module(#[from] SandboxError),
    /// The module gave something that must not leave.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// No seed could be made.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The module gave another answer than before the crash.
    #[error(
        "the module's message of stage {0} is not the one that was made before the restart: nothing was sent"
    )]
    Differs(Stage),
    /// The journal is of another module or site.
    #[error("round {0} was started by another module, or as another site: it is left alone")]
    OtherModule(u32),
    /// The aggregator asked for a chunk that was not announced.
    #[error(
        "this site has announced no chunk {0} in this round: the aggregator asks for what is not there"
    )]
    NoChunk(u32),
    /// The patients have changed since the round was started.
    #[error(
        "the patients have changed since round {0} was started: the round is left alone, the next one uses the new ones"
    )]
    OtherPatients(u32),
}

impl RoundError {
    /// What a file beside the journal did wrong, for `map_err`.
    pub(crate) fn from_disk(error: FileError) -> Self {
        Self::Journal(error.into())
    }
}

/// What opens the round's instance.
pub(crate) fn open(
    study: &[u8],
    weights: Option<&[u8]>,
    cohort: &Cohort,
    opened: &Opened,
    state: &[u8],
) -> Open {
    Open {
        study: study.to_vec().into(),
        cohort: cohort.bytes.clone().into(),
        header: opened.header.clone(),
        state: state.to_vec().into(),
        site: opened.site,
        seed: opened.seed,
        memory: opened.memory.clone(),
        weights: weights.map(|weights| weights.to_vec().into()),
    }
}

/// The masked input in a signed message; `None` where there is none.
fn announced(message: &[u8]) -> Option<MaskedInput> {
    let signed: Signed = codec::decode(message).ok()?;
    codec::decode(&signed.body).ok()
}

fn signed(site: &Site, header: &Header, stage: Stage, body: Vec<u8>) -> Sending {
    let signature = site
        .identity
        .sign(&Signed::bytes_to_sign(header, stage, site.id, &body));
    let digest = Digest::of(&body);
    let message = Signed {
        site: site.id,
        body: ByteVec::from(body),
        signature,
    };
    Sending {
        stage,
        body: digest,
        message: codec::encode(&message).into(),
    }
}
