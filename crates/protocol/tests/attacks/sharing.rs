//! Adverts that an aggregator shows a site which is to share its secrets.

use protocol::KeyFault;
use protocol::api::Stage;
use protocol::codec::{decode, encode};
use protocol::id::{AgreementKey, Purpose, SiteId};
use protocol::message::{Advert, MessageError, Signed};
use protocol::site::{AggregatorFault, PeerFault, SiteError};
use testkit::TestStudy;

use crate::{BOB, CAROL, DAVE, adverts, at, bad_signature, forged, header, kit};

/// What Alice says to adverts that were tampered with.
fn refusal(change: impl FnOnce(&TestStudy, &mut Vec<Signed>)) -> SiteError {
    let kit = kit();
    let mut play = at(&kit, Stage::Share);
    let mut adverts = adverts(&play);
    change(&kit, &mut adverts);
    play.sites[0].share(&adverts).unwrap_err()
}

#[test]
fn a_swapped_key_is_not_signed() {
    let error = refusal(|_, adverts| {
        let mut advert: Advert = decode(&adverts[1].body).unwrap();
        advert.mask_key = AgreementKey([9; 32]);
        adverts[1].body = encode(&advert).into();
    });
    assert_eq!(error, bad_signature(BOB, Stage::Advertise));
}

#[test]
fn another_sites_name_on_a_message_is_not_signed() {
    assert_eq!(
        refusal(|_, adverts| adverts[1].site = CAROL),
        bad_signature(CAROL, Stage::Advertise)
    );
}

#[test]
fn an_advert_of_another_round_is_not_signed_for_this_one() {
    let error = refusal(|kit, adverts| {
        let body = adverts[1].body.to_vec();
        adverts[1] = kit.sign(&kit.header(6, Purpose::Train), Stage::Advertise, BOB, body);
    });
    assert_eq!(error, bad_signature(BOB, Stage::Advertise));
}

#[test]
fn a_message_of_another_study_or_state_is_not_signed_for_this_one() {
    let error = refusal(|kit, adverts| {
        let mut header = header(kit);
        header.state.0[0] ^= 1;
        adverts[1] = kit.sign(&header, Stage::Advertise, BOB, adverts[1].body.to_vec());
    });
    assert_eq!(error, bad_signature(BOB, Stage::Advertise));
}

#[test]
fn a_made_up_site_is_in_no_roster() {
    let error = refusal(|_, adverts| adverts[1].site = SiteId(5));
    assert_eq!(
        error,
        AggregatorFault::Message(MessageError::NotInRoster(SiteId(5))).into()
    );
}

#[test]
fn a_site_stands_on_the_roll_once() {
    let error = refusal(|_, adverts| adverts.push(adverts[1].clone()));
    assert_eq!(
        error,
        AggregatorFault::Twice {
            stage: Stage::Advertise,
            site: BOB
        }
        .into()
    );
}

#[test]
fn its_own_advert_must_be_there_as_it_was_sent() {
    assert_eq!(
        refusal(|_, adverts| drop(adverts.remove(0))),
        AggregatorFault::OwnAdvert.into()
    );
}

#[test]
fn fewer_adverts_than_the_threshold_are_too_few() {
    let want = AggregatorFault::TooFew {
        stage: Stage::Share,
        got: 2,
        threshold: 3,
    };
    assert_eq!(refusal(|_, adverts| adverts.truncate(2)), want.into());
    assert_eq!(
        refusal(|_, adverts| adverts.clear()),
        AggregatorFault::OwnAdvert.into()
    );
}

#[test]
fn a_peers_weak_or_reused_keys_are_refused_by_name() {
    let honest = AgreementKey(*b"32 bytes, which is to say a key.");
    let other = AgreementKey(*b"32 bytes, and so one more key...");
    let weak = |advert: Advert| {
        refusal(|kit, adverts| adverts[3] = forged(kit, Stage::Advertise, DAVE, &advert))
    };
    let zero = AgreementKey([0; 32]);
    let fault = |fault| SiteError::Peer(PeerFault::Keys(fault));
    assert_eq!(
        weak(Advert {
            cipher_key: zero,
            mask_key: honest
        }),
        fault(KeyFault::Weak(DAVE))
    );
    assert_eq!(
        weak(Advert {
            cipher_key: honest,
            mask_key: zero
        }),
        fault(KeyFault::Weak(DAVE))
    );
    assert_eq!(
        weak(Advert {
            cipher_key: honest,
            mask_key: honest
        }),
        fault(KeyFault::Reused(DAVE))
    );
    let copied = refusal(|kit, adverts| {
        let bob: Advert = decode(&adverts[1].body).unwrap();
        let advert = Advert {
            cipher_key: other,
            mask_key: bob.mask_key,
        };
        adverts[3] = forged(kit, Stage::Advertise, DAVE, &advert);
    });
    assert_eq!(copied, fault(KeyFault::Reused(DAVE)));
}
