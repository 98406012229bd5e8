//! What parties send each other, in CBOR.

use minicbor::{Decode, Encode};
use protocol::api::{
    Announcement, Announcements, Enrol, MissingChunks, Reveal, RoundView, Stage, Status,
};
use protocol::codec;
use protocol::door::{Inbox, Messages, Moments, Request, Response, State, Survivors};
use protocol::id::{Digest, IdentityKey, Nonce, SiteId};
use protocol::lottery::{Entry, Lot, LotSignature, RollCall};
use protocol::message::{Advert, Agreement, MaskedInput, Opening, Shares, Signed};
use protocol::withdrawal::{Cause, Withdrawal};

use super::play::{self, played};
use super::{choose, chosen};

pub(crate) fn advert(input: &[u8]) {
    one_form::<Advert>(input);
}

pub(crate) fn shares(input: &[u8]) {
    one_form::<Shares>(input);
}

pub(crate) fn masked_input(input: &[u8]) {
    one_form::<MaskedInput>(input);
}

pub(crate) fn agreement(input: &[u8]) {
    one_form::<Agreement>(input);
}

pub(crate) fn opening(input: &[u8]) {
    one_form::<Opening>(input);
}

pub(crate) fn signed(input: &[u8]) {
    one_form::<Signed>(input);
}

pub(crate) fn request(input: &[u8]) {
    one_form::<Request>(input);
}

pub(crate) fn response(input: &[u8]) {
    one_form::<Response>(input);
}

pub(crate) fn state(input: &[u8]) {
    one_form::<State>(input);
}

/// What the aggregator relays to sites.
pub(crate) fn relayed(input: &[u8]) {
    if let Some((decode, bytes)) = chosen(&RELAYED, input) {
        decode(bytes);
    }
}

/// What the aggregator's service takes and answers beside the stages' messages.
pub(crate) fn service(input: &[u8]) {
    if let Some((decode, bytes)) = chosen(&SERVICE, input) {
        decode(bytes);
    }
}

const RELAYED: [fn(&[u8]); 3] = [
    one_form::<Messages>,
    one_form::<Inbox>,
    one_form::<Survivors>,
];

const SERVICE: [fn(&[u8]); 7] = [
    one_form::<Enrol>,
    one_form::<MissingChunks>,
    one_form::<RoundView>,
    one_form::<Withdrawal>,
    one_form::<RollCall>,
    one_form::<Reveal>,
    announcements,
];

/// What a site is told that it announced is refused, or is what it signed itself.
fn announcements(input: &[u8]) {
    one_form::<Announcements>(input);
    let Ok(page) = codec::decode::<Announcements>(input) else {
        return;
    };
    for announcement in &page.announcements {
        let _ = announcement.open(&play::kit().study, SiteId(0));
    }
}

/// Bytes are refused, or are exactly what the value is written as.
pub(super) fn one_form<T: Encode<()> + for<'b> Decode<'b, ()>>(input: &[u8]) {
    if let Ok(value) = codec::decode::<T>(input) {
        assert_eq!(codec::encode(&value), input, "a second form of a value");
    }
}

pub(crate) fn adverts() -> Vec<Vec<u8>> {
    bodies(Stage::Advertise)
}

pub(crate) fn all_shares() -> Vec<Vec<u8>> {
    bodies(Stage::Share)
}

pub(crate) fn masked_inputs() -> Vec<Vec<u8>> {
    bodies(Stage::Mask)
}

pub(crate) fn agreements() -> Vec<Vec<u8>> {
    bodies(Stage::Agree)
}

pub(crate) fn openings() -> Vec<Vec<u8>> {
    bodies(Stage::Unmask)
}

pub(crate) fn all_signed() -> Vec<Vec<u8>> {
    let of_stage = |at: &play::At| at.signed.iter().map(codec::encode).collect::<Vec<_>>();
    played().iter().flat_map(of_stage).collect()
}

pub(crate) fn all_relayed() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for at in played() {
        let messages = [at.round.adverts(), at.round.statements()];
        let messages = messages.into_iter().flatten();
        seeds.extend(messages.map(|messages| choose(0, &codec::encode(&messages))));
        let inbox = at.round.inbox(SiteId(0));
        seeds.extend(inbox.map(|inbox| choose(1, &codec::encode(&inbox))));
        let survivors = at.round.survivors();
        seeds.extend(survivors.map(|survivors| choose(2, &codec::encode(&survivors))));
    }
    seeds
}

pub(crate) fn states() -> Vec<Vec<u8>> {
    let full = State {
        offset: vec![0.5, -1.0],
        normalisation: vec![Moments { mean: 1.5, sd: 2.0 }],
        control: vec![0.25],
        clip_norm: Some(1.0),
        centres: vec![0.0, 1.0],
    };
    [State::default(), full].iter().map(codec::encode).collect()
}

pub(crate) fn services() -> Vec<Vec<u8>> {
    let enrol = Enrol {
        token: "token".to_owned(),
        name: "hospital".to_owned(),
        key: IdentityKey([1; 32]),
        commitment: Digest([5; 32]),
        signature: [2; 64],
    };
    let entries = [1, 2].map(|seed| Entry {
        name: format!("hospital {seed}"),
        key: IdentityKey([seed; 32]),
        commitment: Digest([seed; 32]),
    });
    let list = RollCall::new(entries.to_vec()).expect("each is there once");
    let reveal = Reveal {
        key: IdentityKey([1; 32]),
        list: list.digest(),
        lot: Lot {
            nonce: Nonce([6; 32]),
            signature: LotSignature([7; 64]),
        },
    };
    let missing = MissingChunks {
        chunks: vec![0, 3, 70_000],
    };
    let open = played().iter().map(|at| Status::Open {
        header: at.round.header().clone(),
        stage: at.round.stage(),
        waiting: vec![SiteId(0), SiteId(300)],
    });
    let finished = Status::Finished {
        state: Digest([3; 32]),
    };
    let view = |status| RoundView { version: 7, status };
    let views = open.chain([finished]).map(view);
    let views = views.map(|view| choose(2, &codec::encode(&view)));
    let withdrawals = Cause::ALL.map(|cause| Withdrawal {
        round: 70_000,
        site: SiteId(2),
        cause,
        signature: [4; 64],
    });
    let withdrawals = withdrawals.map(|withdrawal| choose(3, &codec::encode(&withdrawal)));
    [
        choose(0, &codec::encode(&enrol)),
        choose(1, &codec::encode(&missing)),
        choose(4, &codec::encode(&list)),
        choose(5, &codec::encode(&reveal)),
        choose(6, &codec::encode(&announced())),
    ]
    .into_iter()
    .chain(views)
    .chain(withdrawals)
    .collect()
}

/// What the sites of a round announced.
fn announced() -> Announcements {
    let at = played().iter().find(|at| at.round.stage() == Stage::Mask);
    let at = at.expect("a round has every stage");
    let announcement = |signed| Announcement {
        header: at.round.header().clone(),
        message: codec::encode(signed).into(),
    };
    Announcements {
        announcements: at.signed.iter().map(announcement).collect(),
    }
}

fn bodies(stage: Stage) -> Vec<Vec<u8>> {
    let at = played().iter().find(|at| at.round.stage() == stage);
    let signed = &at.expect("a round has every stage").signed;
    signed.iter().map(|signed| signed.body.to_vec()).collect()
}
