//! One round, its parties one after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::api::Stage;
use protocol::codec;
use protocol::id::{Purpose, SiteId};
use protocol::round::SiteFault;
use testkit::Draft;
use testkit::round::{Next, Play};

use super::HEAP;

/// How large a round is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) sites: u16,
    /// Sites that share their secrets and then vanish: what costs the aggregator most.
    pub(crate) dropped: u16,
    pub(crate) parameters: u32,
}

/// What a round costs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spent {
    /// Of one site, all stages together.
    pub(crate) site: Duration,
    /// Of it stage mask, and the chunks.
    pub(crate) site_masking: Duration,
    /// Of the aggregator, all stages together.
    pub(crate) aggregator: Duration,
    /// Of it the end: shares, and masks off the sum.
    pub(crate) unmasking: Duration,
    /// Bytes that one site sends: bodies, signatures, chunks.
    pub(crate) up: usize,
    /// Bytes that one site gets.
    pub(crate) down: usize,
    /// Bytes of the aggregator: its stored state, and the most that a call needs beside it.
    pub(crate) memory: usize,
    /// Bits of an entry.
    pub(crate) bits: u32,
}

impl Spent {
    /// The best of both times; all else is the same in every round.
    pub(crate) fn keep(&mut self, other: &Self) {
        self.site = self.site.min(other.site);
        self.site_masking = self.site_masking.min(other.site_masking);
        self.aggregator = self.aggregator.min(other.aggregator);
        self.unmasking = self.unmasking.min(other.unmasking);
    }

    fn of_site<T>(&mut self, site: SiteId, stage: Stage, call: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = call();
        if site == WATCHED {
            self.site += start.elapsed();
            if stage == Stage::Mask {
                self.site_masking += start.elapsed();
            }
        }
        result
    }

    fn of_aggregator<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let (result, extra) = HEAP.extra(call);
        self.aggregator += start.elapsed();
        self.memory = self.memory.max(extra);
        result
    }
}

/// The site whose costs count.
const WATCHED: SiteId = SiteId(0);

/// Plays a round in which the last `dropped` sites vanish before their masked inputs.
pub(crate) fn play(size: Size) -> Spent {
    let Size {
        sites,
        dropped,
        parameters,
    } = size;
    let kit = Draft::timed(sites, parameters).make();
    let header = kit.header(1, Purpose::Train);
    let layout = kit.study.layout(Purpose::Train);
    let few: [Arc<[i64]>; 5] = [0, 1, 2, 3, 4].map(|value| vec![value; layout.length()].into());
    let vectors = few.iter().cycle().take(usize::from(sites)).cloned();
    let vectors: Vec<Arc<[i64]>> = vectors.collect();
    let mut play = Play::new(&kit, &header, &vectors);
    let mut spent = Spent {
        bits: layout.modulus_bits,
        ..Spent::default()
    };
    let mut state = 0;
    loop {
        let stage = play.round.stage();
        for site in play.round.missing() {
            if stage >= Stage::Mask && site.0 >= sites - dropped {
                continue;
            }
            if site == WATCHED {
                spent.down += given(&play, site);
            }
            let signed = spent
                .of_site(site, stage, || play.message(site))
                .expect("an honest site refuses nothing");
            if site == WATCHED {
                spent.up += codec::encode(&signed).len();
            }
            spent
                .of_aggregator(|| play.round.accept(stage, signed))
                .expect("an honest site's message is accepted");
            if stage == Stage::Mask {
                upload(&mut play, site, &mut spent);
            }
        }
        if stage == Stage::Mask {
            state = play.round.to_bytes().len();
        }
        let before = spent.aggregator;
        // Apart, or their end would be timed as the aggregator's.
        let parties = std::mem::take(&mut play.sites);
        let next = spent
            .of_aggregator(|| play.close())
            .expect("enough sites are left");
        match next {
            Next::Stage(next) => {
                play = *next;
                play.sites = parties;
            }
            Next::Sum(sum) => {
                spent.unmasking = spent.aggregator - before;
                spent.memory += state;
                let want: i64 = (0..i64::from(sites - dropped)).map(|site| site % 5).sum();
                assert!(
                    sum.values.iter().all(|value| *value == want),
                    "the sum is wrong"
                );
                return spent;
            }
        }
    }
}

/// A site sends the chunks of its masked vector, which it has, and the aggregator checks, opens and adds them.
fn upload(play: &mut Play<'_>, site: SiteId, spent: &mut Spent) {
    let chunks: Vec<Vec<u8>> = play.sites[usize::from(site.0)].chunks().collect();
    if site == WATCHED {
        spent.up += chunks.iter().map(Vec::len).sum::<usize>();
    }
    for (number, chunk) in (0..).zip(&chunks) {
        spent
            .of_aggregator(|| play.round.check_chunk(site, number, chunk))
            .expect("an honest site's chunk is accepted");
    }
    let stored = chunks.into_iter().map(Ok);
    spent
        .of_aggregator(|| play.round.complete::<SiteFault>(site, stored))
        .expect("an honest site's vector is added");
}

/// Bytes that the aggregator gives a site at this stage.
fn given(play: &Play<'_>, site: SiteId) -> usize {
    let closed = "the stage before is closed";
    match play.round.stage() {
        Stage::Advertise => 0,
        Stage::Share => codec::encode(&play.round.adverts().expect(closed)).len(),
        Stage::Mask => codec::encode(&play.round.inbox(site).expect(closed)).len(),
        Stage::Agree => codec::encode(&play.round.survivors().expect(closed)).len(),
        Stage::Unmask => codec::encode(&play.round.statements().expect(closed)).len(),
    }
}
