//! Shares that reach a site which is to mask its vector, and vectors that must not be masked.

use protocol::api::Stage;
use protocol::codec::decode;
use protocol::door::Inbox;
use protocol::id::{Purpose, SiteId};
use protocol::message::{Shares, Signed};
use protocol::site::{AggregatorFault, Misuse, PeerFault, SiteError};
use testkit::round::Play;

use crate::{ALICE, BOB, CAROL, adverts, at, header, kit};

/// What Alice says to an inbox that was tampered with.
fn refusal(change: impl FnOnce(&mut Inbox)) -> SiteError {
    let kit = kit();
    let mut play = at(&kit, Stage::Mask);
    let mut inbox = play.round.inbox(ALICE).unwrap();
    change(&mut inbox);
    play.sites[0].mask(&inbox).unwrap_err()
}

#[test]
fn altered_shares_cannot_be_opened() {
    for bit in [0, 77, 86 * 8 - 1] {
        let error = refusal(|inbox| inbox.shares[0].bytes[bit / 8] ^= 1 << (bit % 8));
        assert_eq!(error, PeerFault::Unreadable(BOB).into());
    }
    assert_eq!(
        refusal(|inbox| inbox.shares[0].bytes.clear()),
        PeerFault::Unreadable(BOB).into()
    );
    assert_eq!(
        refusal(|inbox| inbox.shares[0].bytes.push(0)),
        PeerFault::Unreadable(BOB).into()
    );
}

#[test]
fn shares_of_one_site_are_not_those_of_another() {
    let error = refusal(|inbox| {
        let (one, rest) = inbox.shares.split_at_mut(1);
        std::mem::swap(&mut one[0].bytes, &mut rest[0].bytes);
    });
    assert_eq!(error, PeerFault::Unreadable(BOB).into());
}

#[test]
fn shares_for_one_site_are_not_for_another() {
    let kit = kit();
    let mut play = at(&kit, Stage::Mask);
    let mut inbox = play.round.inbox(BOB).unwrap();
    inbox.shares.retain(|sealed| sealed.site != ALICE);
    let error = play.sites[0].mask(&inbox).unwrap_err();
    assert_eq!(error, PeerFault::Unreadable(CAROL).into());
}

#[test]
fn an_inbox_holds_one_share_of_each_other_site_that_advertised() {
    let twice = AggregatorFault::Twice {
        stage: Stage::Mask,
        site: BOB,
    };
    assert_eq!(
        refusal(|inbox| inbox.shares.push(inbox.shares[0].clone())),
        twice.into()
    );
    assert_eq!(
        refusal(|inbox| inbox.shares[0].site = ALICE),
        AggregatorFault::OwnShares.into()
    );
    let stranger = AggregatorFault::Stranger {
        stage: Stage::Mask,
        site: SiteId(9),
    };
    assert_eq!(
        refusal(|inbox| inbox.shares[0].site = SiteId(9)),
        stranger.into()
    );
    assert_eq!(
        refusal(|inbox| inbox.shares.truncate(1)),
        AggregatorFault::Withheld(CAROL).into()
    );
}

#[test]
fn those_who_shared_are_a_list_of_enough_sites_with_this_one() {
    let few = AggregatorFault::TooFew {
        stage: Stage::Mask,
        got: 2,
        threshold: 3,
    };
    let error = refusal(|inbox| {
        inbox.shares.truncate(1);
        inbox.sharers.truncate(2);
    });
    assert_eq!(error, few.into());
    for change in [
        |inbox: &mut Inbox| inbox.sharers.swap(1, 2),
        |inbox: &mut Inbox| inbox.sharers.insert(1, BOB),
        |inbox: &mut Inbox| inbox.sharers.retain(|site| *site != ALICE),
    ] {
        assert_eq!(refusal(change), AggregatorFault::Sharers.into());
    }
    for site in [SiteId(9), BOB] {
        let stage = Stage::Mask;
        let error = refusal(|inbox| match site {
            BOB => inbox.sharers.retain(|sharer| *sharer != BOB),
            stranger => inbox.sharers.push(stranger),
        });
        assert_eq!(error, AggregatorFault::Stranger { stage, site }.into());
    }
}

/// The aggregator shows Alice a roll without Erin, and all others the full one.
#[test]
fn sites_that_were_shown_different_adverts_cannot_read_each_other() {
    let kit = kit();
    let mut play = at(&kit, Stage::Share);
    let all = adverts(&play);
    let alices = play.sites[0].share(&all[..4]).unwrap();
    let bobs = play.sites[1].share(&all).unwrap();
    let shares = |signed: &Signed| decode::<Shares>(&signed.body).unwrap().sealed;
    let to = |signed: &Signed, site| {
        let mut sealed = shares(signed)
            .into_iter()
            .find(|sealed| sealed.site == site)
            .unwrap();
        sealed.site = signed.site;
        sealed
    };
    let error = play.sites[0]
        .mask(&Inbox {
            shares: vec![to(&bobs, ALICE)],
            sharers: vec![ALICE, BOB, CAROL],
        })
        .unwrap_err();
    assert_eq!(error, PeerFault::Unreadable(BOB).into());
    let error = play.sites[1]
        .mask(&Inbox {
            shares: vec![to(&alices, BOB)],
            sharers: vec![ALICE, BOB, CAROL],
        })
        .unwrap_err();
    assert_eq!(error, PeerFault::Unreadable(ALICE).into());
}

#[test]
fn a_vector_that_could_overflow_the_sum_is_refused_not_wrapped() {
    let kit = kit();
    let layout = kit.study.layout(Purpose::Train);
    let [update, weight] = &layout.sections[..] else {
        panic!("{layout:?}")
    };
    let most = |bound: u64| i64::try_from(bound).unwrap();
    let mut honest = vec![-most(update.bound); update.length];
    honest.push(most(weight.bound));
    let mask = |vector: Vec<i64>| {
        let mut vectors = vec![honest.clone(); 5];
        vectors[0] = vector;
        let mut play = Play::new(&kit, &header(&kit), &vectors);
        play.honest_until(Stage::Mask);
        play.message(ALICE).map(|_| ())
    };
    assert_eq!(mask(honest.clone()), Ok(()));
    let refused = |section, entry, bound| {
        Err(Misuse::OutOfBounds {
            section,
            entry,
            bound,
        }
        .into())
    };
    let with = |place: usize, value| {
        let mut vector = honest.clone();
        vector[place] = value;
        mask(vector)
    };
    assert_eq!(
        with(3, most(update.bound) + 1),
        refused("update", 3, update.bound)
    );
    assert_eq!(with(0, i64::MIN), refused("update", 0, update.bound));
    assert_eq!(
        with(6, most(weight.bound) + 1),
        refused("weight", 0, weight.bound)
    );
    let short = honest[1..].to_vec();
    assert_eq!(mask(short), Err(Misuse::Length { got: 6, want: 7 }.into()));
}
