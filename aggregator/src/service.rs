//! What the routes call: enrolment, and the rounds of one study where there is one.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use protocol::api::{Announcements, Enrol, MissingChunks, Reveal, Stage};
use protocol::id::SiteId;
use protocol::lottery::RollCall;
use protocol::round::{Aggregator, Secret};
use protocol::study::{Study, StudyError};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::clock::Clock;
use crate::limits::BodyLimits;
use crate::problem::Problem;
use crate::rounds::{Board, Fault, Rounds, StageTimes};
use crate::store::{EnrolError, Enrolment, Store, StoreError};

/// All that the service is made of.
#[derive(Debug)]
pub struct Service {
    enrolment: Enrolment,
    running: Option<Running>,
    life: watch::Sender<Life>,
}

/// A study that is running.
#[derive(Debug)]
pub struct Running {
    file: Bytes,
    limits: BodyLimits,
    rounds: Arc<Mutex<Rounds>>,
    board: watch::Receiver<Arc<Board>>,
    clock: Arc<dyn Clock>,
}

/// Whether the service goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Serving,
    /// Requests that wait for news are answered at once.
    Draining,
}

impl Service {
    /// A service in which sites can enrol, and no more.
    #[must_use]
    pub fn enrolment_only(store: &Store) -> Self {
        Self {
            enrolment: store.enrolment(),
            running: None,
            life: watch::Sender::new(Life::Serving),
        }
    }

    /// A service that runs the study in `file`, from where the store says that it is.
    ///
    /// # Errors
    ///
    /// A file that is no study, a study of another aggregator's key, a store that cannot be read.
    pub fn with_study(
        store: &Store,
        file: Vec<u8>,
        secret: Secret,
        times: StageTimes,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let study = Study::parse(&file)?;
        let limits = BodyLimits::of(&study);
        let journal = store.journal(study.digest())?;
        let (ours, studys) = (secret.public(), study.manifest().aggregation.key);
        let aggregator = Aggregator::new(study, secret).map_err(|_| StartError::OtherKey {
            ours: ours.to_string(),
            studys: studys.to_string(),
        })?;
        let rounds = Rounds::start(Arc::new(aggregator), journal, times, clock.now())?;
        let board = rounds.board();
        let rounds = Arc::new(Mutex::new(rounds));
        let running = Running {
            file: file.into(),
            limits,
            rounds,
            board,
            clock,
        };
        Ok(Self {
            enrolment: store.enrolment(),
            running: Some(running),
            life: watch::Sender::new(Life::Serving),
        })
    }

    /// The study that is running.
    ///
    /// # Errors
    ///
    /// [`Problem::NoStudy`] where there is none.
    pub fn running(&self) -> Result<&Running, Problem> {
        self.running.as_ref().ok_or(Problem::NoStudy)
    }

    /// Takes a site's request to enrol.
    ///
    /// # Errors
    ///
    /// See [`Enrolment::enrol`].
    pub async fn enrol(&self, request: Enrol) -> Result<(), Problem> {
        self.with_enrolment(move |enrolment| enrolment.enrol(&request))
            .await
    }

    /// The closed list of sites.
    ///
    /// # Errors
    ///
    /// See [`Enrolment::roll_call`].
    pub async fn roll_call(&self) -> Result<RollCall, Problem> {
        self.with_enrolment(Enrolment::roll_call).await
    }

    /// Takes what a site reveals for the closed list.
    ///
    /// # Errors
    ///
    /// See [`Enrolment::reveal`].
    pub async fn reveal(&self, reveal: Reveal) -> Result<(), Problem> {
        self.with_enrolment(move |enrolment| enrolment.reveal(&reveal))
            .await
    }

    /// The work is done by a thread of its own, since it waits for the disk.
    async fn with_enrolment<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Enrolment) -> Result<T, EnrolError> + Send + 'static,
    ) -> Result<T, Problem> {
        let enrolment = self.enrolment.clone();
        let done = spawn_blocking(move || work(&enrolment));
        Ok(done.await.map_err(Fault::Worker)??)
    }

    /// What everybody may see, at once where its version is above `seen`, else after at most `wait`.
    ///
    /// # Errors
    ///
    /// [`Problem::NoStudy`].
    pub async fn news(&self, seen: u64, wait: Duration) -> Result<Arc<Board>, Problem> {
        let mut board = self.running()?.board.clone();
        let mut life = self.life.subscribe();
        tokio::select! {
            // Whatever ends the waiting, the board as it then is, is the answer.
            _ = board.wait_for(|board| board.version() > seen) => {}
            _ = life.wait_for(|life| *life == Life::Draining) => {}
            () = tokio::time::sleep(wait) => {}
        }
        Ok(self.running()?.board())
    }

    /// Answers whoever waits for news, so that a shutdown need not wait for them.
    pub fn drain(&self) {
        self.life.send_replace(Life::Draining);
    }
}

impl Running {
    /// The bytes of `study.toml`.
    #[must_use]
    pub fn file(&self) -> Bytes {
        self.file.clone()
    }

    /// The most bytes of each message.
    #[must_use]
    pub fn limits(&self) -> &BodyLimits {
        &self.limits
    }

    /// What everybody may see now.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board.borrow())
    }

    /// Takes a message of a site.
    ///
    /// # Errors
    ///
    /// See [`Rounds::accept`].
    pub async fn accept(&self, number: u32, stage: Stage, bytes: Bytes) -> Result<(), Problem> {
        self.with_rounds(move |rounds, now| rounds.accept(number, stage, &bytes, now))
            .await
            .map(drop)
    }

    /// Takes a site's withdrawal.
    ///
    /// # Errors
    ///
    /// See [`Rounds::withdraw`].
    pub async fn withdraw(&self, bytes: Bytes) -> Result<(), Problem> {
        self.with_rounds(move |rounds, now| rounds.withdraw(&bytes, now))
            .await
    }

    /// Takes a sealed chunk of a site's masked vector.
    ///
    /// # Errors
    ///
    /// See [`Rounds::put_chunk`].
    pub async fn put_chunk(
        &self,
        number: u32,
        site: SiteId,
        chunk: u32,
        bytes: Bytes,
    ) -> Result<(), Problem> {
        self.with_rounds(move |rounds, now| rounds.put_chunk(number, site, chunk, &bytes, now))
            .await
            .map(drop)
    }

    /// The chunks of a site's masked vector that are still to be sent.
    ///
    /// # Errors
    ///
    /// See [`Rounds::missing_chunks`].
    pub async fn missing_chunks(
        &self,
        number: u32,
        site: SiteId,
    ) -> Result<MissingChunks, Problem> {
        self.with_rounds(move |rounds, now| rounds.missing_chunks(number, site, now))
            .await
    }

    /// What a site announced in the rounds from number `from` on.
    ///
    /// # Errors
    ///
    /// See [`Rounds::announcements`].
    pub async fn announcements(&self, site: SiteId, from: u32) -> Result<Announcements, Problem> {
        self.with_rounds(move |rounds, now| rounds.announcements(site, from, now))
            .await
    }

    /// Closes or abandons what is due.
    ///
    /// # Errors
    ///
    /// See [`Rounds::tick`].
    pub async fn tick(&self) -> Result<(), Fault> {
        self.with_rounds(Rounds::tick).await
    }

    /// The work is done by a thread of its own, and to its end even where the site hangs up.
    async fn with_rounds<T, E, P>(
        &self,
        work: impl FnOnce(&mut Rounds, Instant) -> Result<T, E> + Send + 'static,
    ) -> Result<T, P>
    where
        T: Send + 'static,
        E: Into<P> + Send + 'static,
        P: From<Fault> + Send + 'static,
    {
        let (rounds, clock) = (Arc::clone(&self.rounds), Arc::clone(&self.clock));
        let done = spawn_blocking(move || {
            let mut rounds = rounds.lock().map_err(|_| Fault::Poisoned)?;
            work(&mut rounds, clock.now()).map_err(Into::into)
        });
        done.await.map_err(Fault::Worker)?
    }
}

/// Why a study is not started. The operator can act on each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The file is no study that can be run.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// The study names the key of another aggregator.
    #[error(
        "the study's aggregation.key is {studys} and the key in this store is {ours}: masked vectors could not be \
         opened; start with the store that has the study's key, or put this one into the study and have the sites \
         approve it anew"
    )]
    OtherKey {
        /// The public key in the store.
        ours: String,
        /// The public key in the study.
        studys: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The rounds cannot be restored.
    #[error(transparent)]
    Rounds(#[from] Fault),
}
