//! The aggregator in memory: the rounds and the course of the real one, without a store, a clock or time limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use aggregator::rounds::{Course, Figures, RealSum};
use participant::{Destination, Fetch, Outgoing};
use protocol::api::{Announcements, MissingChunks, RoundView, Stage, Status};
use protocol::codec;
use protocol::door::State;
use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::round::{Aggregator, AnyRound, Closed, Round, SiteFault, Sum};
use protocol::study::Study;
use testkit::TestStudy;

/// The aggregator of a study.
pub(crate) struct Service {
    aggregator: Arc<Aggregator>,
    course: Course,
    /// The encoded state that the open round starts from; after the last round, the published one.
    state: Vec<u8>,
    /// None before the first round and after the last.
    round: Option<AnyRound>,
    /// The chunks that have come in, by site and number.
    chunks: BTreeMap<(SiteId, u32), Vec<u8>>,
    /// Of the view; 0 before the first round, when there is none.
    version: u64,
}

impl Service {
    /// A study of which no round is open yet.
    pub(crate) fn new(kit: &TestStudy) -> Self {
        Self {
            aggregator: kit.aggregator(),
            course: Course::begin(&kit.study),
            state: Vec::new(),
            round: None,
            chunks: BTreeMap::new(),
            version: 0,
        }
    }

    fn study(&self) -> &Study {
        self.aggregator.study()
    }

    /// What the next round computes; nothing at the end of the plan.
    pub(crate) fn purpose(&self) -> Option<Purpose> {
        self.course.purpose(self.study())
    }

    /// The state that the next round starts from.
    pub(crate) fn state(&self) -> State {
        self.course.state(self.study())
    }

    /// The state that everybody may have, encoded.
    pub(crate) fn published(&self) -> &[u8] {
        &self.state
    }

    /// Opens the next round.
    pub(crate) fn open(&mut self, purpose: Purpose) -> Header {
        self.state = codec::encode(&self.state());
        let header = Header {
            study: self.study().digest(),
            number: self.course.take_number(),
            place: self.course.place(),
            purpose,
            state: Digest::of(&self.state),
        };
        let round = Round::begin(Arc::clone(&self.aggregator), header.clone());
        let round = round.expect("the study's header");
        self.round = Some(AnyRound::Advertising(round));
        self.version += 1;
        header
    }

    /// Publishes the model: all rounds are over.
    pub(crate) fn publish(&mut self) {
        self.state = codec::encode(&self.state());
        self.version += 1;
    }

    /// The open round.
    pub(crate) fn round(&self) -> &AnyRound {
        self.round.as_ref().expect("a round is open")
    }

    /// The open round's number.
    pub(crate) fn number(&self) -> u32 {
        self.round().header().number
    }

    /// Ends the stage; after the last one, takes the sum in.
    pub(crate) fn close(&mut self) -> Option<Figures> {
        let round = self.round.take().expect("a round is open");
        let (stage, purpose) = (round.stage(), round.header().purpose);
        match round.close() {
            Ok(Closed::Stage(next)) => {
                self.round = Some(*next);
                self.version += 1;
                None
            }
            Ok(Closed::Sum(sum)) => Some(self.finish(purpose, &sum)),
            Err(error) => panic!("{stage}: {error}"),
        }
    }

    fn finish(&mut self, purpose: Purpose, sum: &Sum) -> Figures {
        let fits = "the sum fits the study";
        let study = self.aggregator.study();
        let sum = RealSum::new(study, purpose, sum.survivors.len(), &sum.values).expect(fits);
        self.chunks.clear();
        self.course.finish_round(study, &sum).expect(fits)
    }

    /// Where the study is, where that is news to who has seen a version.
    pub(crate) fn poll(&self, seen: u64) -> Option<Vec<u8>> {
        let status = match &self.round {
            Some(round) => Status::Open {
                header: round.header().clone(),
                stage: round.stage(),
                waiting: round.missing(),
            },
            None => Status::Finished {
                state: Digest::of(&self.state),
            },
        };
        let view = RoundView {
            version: self.version,
            status,
        };
        (self.version > seen).then(|| codec::encode(&view))
    }

    /// What a site asks for.
    pub(crate) fn fetch(&self, fetch: Fetch) -> Vec<u8> {
        let closed = "the stage before is closed";
        match fetch {
            Fetch::State(_) => self.state.clone(),
            Fetch::Adverts(_) => codec::encode(&self.round().adverts().expect(closed)),
            Fetch::Shares(_, site) => codec::encode(&self.round().inbox(site).expect(closed)),
            Fetch::Survivors(_) => codec::encode(&self.round().survivors().expect(closed)),
            Fetch::Statements(_) => codec::encode(&self.round().statements().expect(closed)),
            Fetch::MissingChunks(_, site) => codec::encode(&self.missing_chunks(site)),
            // Sites start before the first round.
            Fetch::Announcements(..) => codec::encode(&Announcements::default()),
        }
    }

    fn missing_chunks(&self, site: SiteId) -> MissingChunks {
        let numbers = self.round().chunking().numbers();
        let missing = numbers.filter(|number| !self.chunks.contains_key(&(site, *number)));
        MissingChunks {
            chunks: missing.collect(),
        }
    }

    /// Takes what a site sends.
    pub(crate) fn take(&mut self, site: SiteId, outgoing: &Outgoing) {
        match outgoing.destination() {
            Destination::Message { stage, .. } => self.message(stage, outgoing.bytes()),
            Destination::Chunk { chunk, .. } => self.chunk(site, chunk, outgoing.bytes()),
            // Why it does so, it says itself.
            Destination::Withdrawal { .. } => {}
        }
    }

    fn message(&mut self, stage: Stage, bytes: &[u8]) {
        let signed = codec::decode(bytes).expect("sites send CBOR");
        let round = self.round.as_mut().expect("a round is open");
        round.accept(stage, signed).expect("honest sites");
    }

    fn chunk(&mut self, site: SiteId, number: u32, sealed: &[u8]) {
        let checked = self.round().check_chunk(site, number, sealed);
        checked.expect("honest sites");
        self.chunks.insert((site, number), sealed.to_vec());
        if self.missing_chunks(site).chunks.is_empty() {
            self.add(site);
        }
    }

    /// Adds a vector of which all chunks are there.
    fn add(&mut self, site: SiteId) {
        let chunks = self.chunks.range((site, 0)..=(site, u32::MAX));
        let chunks = chunks.map(|(_, sealed)| Ok(sealed.clone()));
        let round = self.round.as_mut().expect("a round is open");
        round
            .complete::<SiteFault>(site, chunks)
            .expect("honest sites");
    }
}
