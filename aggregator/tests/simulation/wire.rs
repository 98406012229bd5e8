//! The network between sites and aggregator: it loses, repeats, delays and, where it is hostile, alters.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use protocol::api::{MissingChunks, RoundView, Stage, Status};
use protocol::codec;
use protocol::door::{Inbox, Messages, Survivors};
use protocol::id::{Digest, SiteId};
use protocol::message::Signed;

use crate::operation::Fault;
use crate::service::{Call, Refusal, Service};

/// The network, with the aggregator at its end.
pub(crate) struct Wire<'a> {
    pub(crate) service: Service<'a>,
    /// The messages that the aggregator took, by round and stage.
    pub(crate) accepted: Accepted,
    /// What the calls of the present step meet.
    faults: Vec<(u8, Fault)>,
    /// Calls of the present step so far.
    calls: u8,
    /// Everything that sites sent.
    sent: Vec<Call>,
    delayed: Vec<Call>,
    /// Answers so far, by the kind of call.
    answers: BTreeMap<&'static str, Vec<Vec<u8>>>,
}

/// The messages that the aggregator took, by round and stage, then by site.
pub(crate) type Accepted = BTreeMap<(u32, Stage), BTreeMap<SiteId, Signed>>;

/// What a site gets instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Nothing: the call is to be made again.
    Lost,
    /// The aggregator refuses.
    Refused(Refusal),
    /// The site is killed.
    Killed,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(service: Service<'a>) -> Self {
        Self {
            service,
            accepted: Accepted::new(),
            faults: Vec::new(),
            calls: 0,
            sent: Vec::new(),
            delayed: Vec::new(),
            answers: BTreeMap::new(),
        }
    }

    /// The next calls are those of one step, and meet these faults.
    pub(crate) fn begin_step(&mut self, faults: &[(u8, Fault)]) {
        self.faults = faults.to_vec();
        self.calls = 0;
    }

    /// Lets a delayed call arrive; nobody waits for its answer.
    pub(crate) fn late(&mut self, which: u32) {
        if let Some(place) = pick(which, self.delayed.len()) {
            let call = self.delayed.swap_remove(place);
            self.arrive(&call).ok();
        }
    }

    /// Makes a site's call.
    pub(crate) fn call(&mut self, call: Call) -> Result<Vec<u8>, Loss> {
        let number = self.calls;
        self.calls = self.calls.saturating_add(1);
        let fault = self.faults.iter().find(|(at, _)| *at == number);
        let fault = fault.map(|(_, fault)| *fault);
        if matches!(call, Call::Send(..) | Call::Chunk(..) | Call::Withdraw(_)) {
            self.sent.push(call.clone());
        }
        match fault {
            None => self.answered(&call),
            Some(fault) => self.faulty(call, fault),
        }
    }

    fn faulty(&mut self, call: Call, fault: Fault) -> Result<Vec<u8>, Loss> {
        match fault {
            Fault::DropRequest => Err(Loss::Lost),
            Fault::DropAnswer => {
                self.arrive(&call).ok();
                Err(Loss::Lost)
            }
            Fault::Twice => {
                self.arrive(&call).ok();
                self.answered(&call)
            }
            Fault::Delay => {
                self.delayed.push(call);
                Err(Loss::Lost)
            }
            Fault::CrashAfter => {
                self.arrive(&call).ok();
                self.service.crash();
                Err(Loss::Lost)
            }
            Fault::CrashBetween => {
                let answer = self.service.crash_between(&call);
                self.note(&call, &answer);
                Err(Loss::Lost)
            }
            Fault::CrashSite => {
                self.arrive(&call).ok();
                Err(Loss::Killed)
            }
            Fault::Repeat(which) => {
                if let Some(place) = pick(which, self.sent.len()) {
                    let earlier = self.sent[place].clone();
                    self.arrive(&earlier).ok();
                }
                self.answered(&call)
            }
            Fault::FlipRequest(which) => self.answered(&flipped_call(call, which)),
            Fault::Reroute(which) => self.answered(&rerouted(call, which)),
            Fault::FlipAnswer(which) => {
                let answer = self.answered(&call)?;
                Ok(flipped(answer, which))
            }
            Fault::Stale(which) => {
                let answer = self.answered(&call)?;
                let older = self.answers.get(kind(&call)).map_or(&[][..], Vec::as_slice);
                Ok(pick(which, older.len()).map_or(answer, |place| older[place].clone()))
            }
            Fault::Lie(which) => {
                let answer = self.answered(&call)?;
                Ok(lie(&call, &answer, which).unwrap_or(answer))
            }
        }
    }

    fn answered(&mut self, call: &Call) -> Result<Vec<u8>, Loss> {
        let answer = self.arrive(call).map_err(Loss::Refused)?;
        self.answers
            .entry(kind(call))
            .or_default()
            .push(answer.clone());
        Ok(answer)
    }

    fn arrive(&mut self, call: &Call) -> Result<Vec<u8>, Refusal> {
        let answer = self.service.answer(call);
        self.note(call, &answer);
        answer
    }

    /// Notes a message that was taken.
    fn note(&mut self, call: &Call, answer: &Result<Vec<u8>, Refusal>) {
        if let (Call::Send(number, stage, bytes), Ok(_)) = (call, answer) {
            let signed: Signed = codec::decode(bytes).expect("what is no message is not taken");
            let of_stage = self.accepted.entry((*number, *stage)).or_default();
            let first = of_stage
                .entry(signed.site)
                .or_insert_with(|| signed.clone());
            assert_eq!(
                first.body, signed.body,
                "two messages of site {} and stage {stage} are taken",
                signed.site
            );
        }
    }
}

/// The place that a number chooses, where there is any.
fn pick(which: u32, count: usize) -> Option<usize> {
    let which = usize::try_from(which).expect("32 bits are an index");
    which.checked_rem(count)
}

fn kind(call: &Call) -> &'static str {
    match call {
        Call::View => "view",
        Call::State(_) => "state",
        Call::Adverts(_) => "adverts",
        Call::Inbox(..) => "inbox",
        Call::Survivors(_) => "survivors",
        Call::Statements(_) => "statements",
        Call::Missing(..) => "missing",
        Call::Announcements(..) => "announcements",
        Call::Send(..) | Call::Chunk(..) | Call::Withdraw(_) => "nothing",
    }
}

/// The bytes with one bit another.
fn flipped(mut bytes: Vec<u8>, which: u32) -> Vec<u8> {
    if let Some(place) = pick(which >> 3, bytes.len()) {
        bytes[place] ^= 1 << (which & 7);
    }
    bytes
}

fn flipped_call(call: Call, which: u32) -> Call {
    match call {
        Call::Send(number, stage, bytes) => Call::Send(number, stage, flipped(bytes, which)),
        Call::Chunk(number, site, chunk, bytes) => {
            Call::Chunk(number, site, chunk, flipped(bytes, which))
        }
        Call::Withdraw(bytes) => Call::Withdraw(flipped(bytes, which)),
        other => other,
    }
}

/// What is sent, to another place.
fn rerouted(call: Call, which: u32) -> Call {
    match (call, which % 3) {
        (Call::Send(number, stage, bytes), 0) => {
            Call::Send(number.wrapping_sub(which / 3 % 3), stage, bytes)
        }
        (Call::Send(number, _, bytes), _) => {
            let stages = Stage::ALL;
            let stage = pick(which / 3, stages.len()).map_or(Stage::Mask, |place| stages[place]);
            Call::Send(number, stage, bytes)
        }
        (Call::Chunk(number, site, chunk, bytes), 0) => {
            Call::Chunk(number.wrapping_sub(1), site, chunk, bytes)
        }
        (Call::Chunk(number, site, chunk, bytes), 1) => {
            Call::Chunk(number, SiteId(site.0 ^ 1), chunk, bytes)
        }
        (Call::Chunk(number, site, chunk, bytes), _) => {
            Call::Chunk(number, site, chunk.wrapping_add(1), bytes)
        }
        (other, _) => other,
    }
}

/// A well-formed answer that is not true.
fn lie(call: &Call, answer: &[u8], which: u32) -> Option<Vec<u8>> {
    match call {
        Call::View => altered(answer, |view: &mut RoundView| lie_of_view(view, which)),
        Call::Adverts(_) | Call::Statements(_) => altered(answer, |list: &mut Messages| {
            shuffle(&mut list.messages, which)
        }),
        Call::Inbox(..) => altered(answer, |inbox: &mut Inbox| lie_of_inbox(inbox, which)),
        Call::Survivors(_) => altered(answer, |list: &mut Survivors| lie_of_survivors(list, which)),
        Call::Missing(..) => altered(answer, |missing: &mut MissingChunks| {
            missing.chunks = vec![which % 3];
        }),
        Call::State(_)
        | Call::Send(..)
        | Call::Chunk(..)
        | Call::Withdraw(_)
        | Call::Announcements(..) => None,
    }
}

fn altered<T>(bytes: &[u8], change: impl FnOnce(&mut T)) -> Option<Vec<u8>>
where
    T: Encode<()> + for<'b> Decode<'b, ()>,
{
    let mut value = codec::decode(bytes).ok()?;
    change(&mut value);
    Some(codec::encode(&value))
}

fn lie_of_view(view: &mut RoundView, which: u32) {
    let Status::Open {
        header,
        stage,
        waiting,
    } = &mut view.status
    else {
        return;
    };
    match which % 5 {
        0 => header.state = Digest::of(b"another state"),
        1 => header.number = header.number.saturating_sub(1),
        2 => waiting.clear(),
        _ => {
            let stages = Stage::ALL;
            *stage = pick(which / 5, stages.len()).map_or(*stage, |place| stages[place]);
        }
    }
}

/// Leaves one out, has one twice, or swaps two.
fn shuffle<T: Clone>(list: &mut Vec<T>, which: u32) {
    let Some(place) = pick(which / 3, list.len()) else {
        return;
    };
    match which % 3 {
        0 => drop(list.remove(place)),
        1 => list.insert(place, list[place].clone()),
        _ => list.swap(0, place),
    }
}

fn lie_of_inbox(inbox: &mut Inbox, which: u32) {
    match which % 3 {
        0 => shuffle(&mut inbox.shares, which / 3),
        1 => shuffle(&mut inbox.sharers, which / 3),
        // As if a site had not shared at all.
        _ => {
            if let Some(place) = pick(which / 3, inbox.sharers.len()) {
                let site = inbox.sharers.remove(place);
                inbox.shares.retain(|sealed| sealed.site != site);
            }
        }
    }
}

fn lie_of_survivors(list: &mut Survivors, which: u32) {
    match which % 4 {
        0 => shuffle(&mut list.sites, which / 4),
        1 => shuffle(&mut list.inputs, which / 4),
        // As if a site had dropped out.
        _ => {
            if let Some(place) = pick(which / 4, list.sites.len().min(list.inputs.len())) {
                list.sites.remove(place);
                list.inputs.remove(place);
            }
        }
    }
}
