//! The aggregator's side of one round: the other sites in memory, and what the script has it say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use protocol::api::{MissingChunks, Stage};
use protocol::codec;
use protocol::id::{Header, SiteId};
use protocol::message::Signed;
use protocol::round::Round as HonestRound;
use testkit::TestStudy;
use testkit::round::{Dropouts, Next, Play, Storage};

use crate::prepared::HOSPITAL;
use crate::relay::{self, Relay};
use crate::script::Opening;

/// A round that is open.
pub(crate) struct Round {
    /// What is said to be the round.
    pub(crate) header: Header,
    /// The stage that is shown.
    pub(crate) stage: Stage,
    /// When it was first shown to the host that runs.
    pub(crate) shown: Option<Instant>,
    /// What the script has for it.
    pub(crate) opening: Opening,
    /// Whether the script has nothing more for it.
    pub(crate) is_over: bool,
    /// Whether the site's openings came, and the sum was read.
    pub(crate) is_read: bool,
    /// The honest parties; none for a header that honest sites would not answer.
    play: Option<Play<'static>>,
    chunks: BTreeMap<u32, Vec<u8>>,
}

impl Round {
    /// A round that begins as `opening` says, under this header.
    pub(crate) fn begin(kit: &'static TestStudy, header: Header, opening: Opening) -> Self {
        Self {
            play: honest(kit, &header),
            header,
            stage: Stage::Advertise,
            shown: None,
            opening,
            is_over: false,
            is_read: false,
            chunks: BTreeMap::new(),
        }
    }

    /// The sites that the stage waits for, as the aggregator says.
    pub(crate) fn waiting(&self) -> Vec<SiteId> {
        if self.is_over {
            return Vec::new();
        }
        vec![HOSPITAL]
    }

    /// What the site is given of the others at a stage; none where there is nothing to give.
    pub(crate) fn fetched(
        &self,
        stage: Stage,
        earlier: &mut BTreeMap<Stage, Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let round = &self.play.as_ref()?.round;
        let truth = match stage {
            Stage::Advertise => return None,
            Stage::Share => codec::encode(&round.adverts()?),
            Stage::Mask => codec::encode(&round.inbox(HOSPITAL)?),
            Stage::Agree => codec::encode(&round.survivors()?),
            Stage::Unmask => codec::encode(&round.statements()?),
        };
        let told = match self.opening.relay {
            Some((at, relay)) if at == stage => {
                relay::changed(relay, stage, &truth, earlier.get(&stage).map(Vec::as_slice))
            }
            Some(_) | None => truth.clone(),
        };
        if !matches!(self.opening.relay, Some((_, Relay::Earlier))) {
            earlier.insert(stage, truth);
        }
        Some(told)
    }

    /// Takes the site's message of a stage. What an honest aggregator would refuse ends the round.
    pub(crate) fn take(&mut self, stage: Stage, signed: Signed) {
        let Some(play) = &mut self.play else {
            self.is_over = true;
            return;
        };
        if play.round.accept(stage, signed).is_err() {
            self.is_over = true;
        } else if stage == self.stage && stage != Stage::Mask {
            self.go_on();
        }
    }

    /// The chunks of the site's masked vector that have not come.
    pub(crate) fn missing(&self) -> MissingChunks {
        let chunks = match &self.play {
            Some(play) => play
                .round
                .chunking()
                .numbers()
                .filter(|number| !self.chunks.contains_key(number))
                .collect(),
            None => Vec::new(),
        };
        MissingChunks { chunks }
    }

    /// Takes a chunk of the site's masked vector.
    pub(crate) fn take_chunk(&mut self, number: u32, sealed: Vec<u8>) {
        self.chunks.insert(number, sealed);
        if !self.missing().chunks.is_empty() || self.stage != Stage::Mask {
            return;
        }
        let Some(play) = &mut self.play else { return };
        if self.opening.gone == Some((HOSPITAL, Stage::Agree)) {
            self.is_over = true;
            return;
        }
        let chunks = std::mem::take(&mut self.chunks);
        let added = play.round.complete(
            HOSPITAL,
            chunks
                .into_values()
                .map(Ok::<_, protocol::round::SiteFault>),
        );
        if added.is_err() {
            self.is_over = true;
        } else {
            self.go_on();
        }
    }

    /// Lets the other sites speak, and shows the next stage, if the script has one.
    fn go_on(&mut self) {
        let Some(mut play) = self.play.take() else {
            return;
        };
        let mut gone: Dropouts = [(HOSPITAL, Stage::Advertise)].into();
        gone.extend(self.opening.gone);
        if play.stage(&gone, Storage::Memory).is_err() {
            self.is_over = true;
            return;
        }
        self.is_read = self.stage == Stage::Unmask;
        if self.stage >= self.opening.until
            || self.opening.gone == Some((HOSPITAL, next(self.stage)))
        {
            self.is_over = true;
            return;
        }
        match play.close() {
            Ok(Next::Stage(play)) => {
                self.stage = play.round.stage();
                self.play = Some(*play);
            }
            Ok(Next::Sum(_)) | Err(_) => self.is_over = true,
        }
    }
}

/// The stage after this one; the last one is followed by itself.
fn next(stage: Stage) -> Stage {
    let after = Stage::ALL.into_iter().find(|after| *after > stage);
    after.unwrap_or(stage)
}

/// A round of honest parties in which the sites that are made up add nothing.
fn honest(kit: &'static TestStudy, header: &Header) -> Option<Play<'static>> {
    // What is refused here is asked of the site alone.
    HonestRound::begin(kit.aggregator(), header.clone()).ok()?;
    let length = kit.study.layout(header.purpose).length();
    let nothing: Arc<[i64]> = vec![0; length].into();
    let vectors = vec![nothing; kit.study.sites().count()];
    Some(Play::new(kit, header, &vectors))
}
