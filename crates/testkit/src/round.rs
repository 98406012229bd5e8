//! A whole round in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::api::Stage;
use protocol::door::Messages;
use protocol::id::{Header, SiteId};
use protocol::message::Signed;
use protocol::round::{Accepted, AnyRound, Closed, Round, SiteFault, Sum, SumError, TooFewSites};
use protocol::site::SiteError;

use crate::{FakeSite, TestStudy, decoded};

/// The stage from which on a site sends nothing more, for each site that drops out.
pub type Dropouts = BTreeMap<SiteId, Stage>;

/// What the aggregator does with its state between two messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// It keeps it in memory.
    Memory,
    /// It stores it, forgets it, and restores it.
    Restart,
}

/// Why a round gave no sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// A stage had too few sites.
    TooFewSites(TooFewSites),
    /// The aggregator refused a site's message.
    Site(SiteFault),
    /// A site refused what the aggregator gave it.
    Aggregator(SiteId, SiteError),
    /// The masks could not be taken off.
    Sum(SumError),
}

/// Runs a round of honest parties in which site `i` adds `vectors[i]`.
///
/// # Errors
///
/// Why the round was abandoned.
pub fn run(
    kit: &TestStudy,
    header: &Header,
    vectors: &[Vec<i64>],
    dropouts: &Dropouts,
    storage: Storage,
) -> Result<Sum, Abandoned> {
    let mut play = Play::new(kit, header, vectors);
    loop {
        play.stage(dropouts, storage)?;
        match play.close()? {
            Next::Stage(next) => play = *next,
            Next::Sum(sum) => return Ok(sum),
        }
    }
}

/// An aggregator and its sites, somewhere in a round.
#[derive(Debug)]
pub struct Play<'a> {
    kit: &'a TestStudy,
    /// The sites, in order.
    pub sites: Vec<FakeSite<'a>>,
    /// The aggregator's side.
    pub round: AnyRound,
}

/// What the end of a stage gives.
#[derive(Debug)]
pub enum Next<'a> {
    /// The next stage.
    Stage(Box<Play<'a>>),
    /// The sum: the round is over.
    Sum(Sum),
}

impl<'a> Play<'a> {
    /// A round that begins, in which site `i` is to add `vectors[i]`.
    ///
    /// # Panics
    ///
    /// On a header that is none of the study's.
    #[must_use]
    pub fn new<V: Clone + Into<Arc<[i64]>>>(
        kit: &'a TestStudy,
        header: &Header,
        vectors: &[V],
    ) -> Self {
        let fake = |(site, vector): (SiteId, &V)| FakeSite::new(kit, header, site, vector.clone());
        let sites = kit.study.sites().zip(vectors).map(fake).collect();
        let round =
            Round::begin(kit.aggregator(), header.clone()).expect("the header is of this study");
        Self {
            kit,
            sites,
            round: AnyRound::Advertising(round),
        }
    }

    /// What an honest site sends at this stage, given what the aggregator has now; at stage mask [`Play::upload`] is
    /// next.
    ///
    /// # Errors
    ///
    /// What the site refuses.
    ///
    /// # Panics
    ///
    /// On a site that has sent it already.
    pub fn message(&mut self, site: SiteId) -> Result<Signed, SiteError> {
        let (round, site) = (&self.round, &mut self.sites[usize::from(site.0)]);
        let closed = "the stage before is closed";
        match round.stage() {
            Stage::Advertise => site.advertise(),
            Stage::Share => site.share(&all(round.adverts())),
            Stage::Mask => site.mask(&round.inbox(site.site).expect(closed)),
            Stage::Agree => site.agree(&round.survivors().expect(closed)),
            Stage::Unmask => site.unmask(&all(round.statements())),
        }
    }

    /// Lets every site that is still there send its message of this stage.
    ///
    /// # Errors
    ///
    /// What a site or the aggregator refuses.
    ///
    /// # Panics
    ///
    /// If a stored state cannot be restored.
    pub fn stage(&mut self, dropouts: &Dropouts, storage: Storage) -> Result<(), Abandoned> {
        let stage = self.round.stage();
        for site in self.round.missing() {
            if dropouts.get(&site).is_some_and(|from| *from <= stage) {
                continue;
            }
            let signed = self
                .message(site)
                .map_err(|error| Abandoned::Aggregator(site, error))?;
            self.round.accept(stage, signed).map_err(Abandoned::Site)?;
            self.store(storage);
            if stage == Stage::Mask {
                self.upload(site).map_err(Abandoned::Site)?;
                self.store(storage);
            }
        }
        Ok(())
    }

    /// Brings the aggregator the chunks of the masked vector that a site announced.
    ///
    /// # Errors
    ///
    /// What the aggregator refuses.
    ///
    /// # Panics
    ///
    /// On a site that has announced nothing.
    pub fn upload(&mut self, site: SiteId) -> Result<Accepted, SiteFault> {
        let chunks: Vec<Vec<u8>> = self.sites[usize::from(site.0)].chunks().collect();
        for (number, chunk) in (0..).zip(&chunks) {
            self.round.check_chunk(site, number, chunk)?;
        }
        self.round.complete(site, chunks.into_iter().map(Ok))
    }

    fn store(&mut self, storage: Storage) {
        if storage == Storage::Restart {
            let bytes = self.round.to_bytes();
            let restored = AnyRound::from_bytes(self.kit.aggregator(), &bytes);
            self.round = restored.expect("what was stored can be restored");
        }
    }

    /// Ends the stage.
    ///
    /// # Errors
    ///
    /// Why the round is abandoned.
    pub fn close(self) -> Result<Next<'a>, Abandoned> {
        let Self { kit, sites, round } = self;
        match round.close() {
            Ok(Closed::Stage(round)) => {
                let round = *round;
                Ok(Next::Stage(Box::new(Self { kit, sites, round })))
            }
            Ok(Closed::Sum(sum)) => Ok(Next::Sum(sum)),
            Err(SumError::TooFewSites(few)) => Err(Abandoned::TooFewSites(few)),
            Err(error) => Err(Abandoned::Sum(error)),
        }
    }

    /// Goes on without dropouts until `stage` begins.
    ///
    /// # Panics
    ///
    /// If anybody refuses anything.
    pub fn honest_until(&mut self, stage: Stage) {
        while self.round.stage() < stage {
            self.stage(&Dropouts::new(), Storage::Memory)
                .expect("honest parties refuse nothing");
            self.next_stage();
        }
    }

    /// Ends the stage, which is not the last.
    ///
    /// # Panics
    ///
    /// If too few sites have reported.
    pub fn next_stage(&mut self) {
        let bytes = self.round.to_bytes();
        let round = AnyRound::from_bytes(self.kit.aggregator(), &bytes);
        match round.expect("what was stored can be restored").close() {
            Ok(Closed::Stage(next)) => self.round = *next,
            other => panic!("the stage does not end in another: {other:?}"),
        }
    }
}

fn all(messages: Option<Messages>) -> Vec<Signed> {
    decoded(&messages.expect("the stage before is closed"))
}
