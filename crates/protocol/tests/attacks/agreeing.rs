//! Lists of survivors that a site is to sign.

use protocol::api::Stage;
use protocol::codec::{decode, encode};
use protocol::door::Survivors;
use protocol::id::{Digest, SiteId};
use protocol::message::{MaskedInput, Signed};
use protocol::round::SiteFault;
use protocol::site::{AggregatorFault, PeerFault, SiteError};
use testkit::round::{Dropouts, Storage};

use crate::{ALICE, BOB, CAROL, DAVE, ERIN, SITES, at, bad_signature, kit};

fn refusal(survivors: &[SiteId]) -> SiteError {
    let kit = kit();
    let mut play = at(&kit, Stage::Agree);
    play.sites[0]
        .agree(&Survivors {
            sites: survivors.to_vec(),
            inputs: Vec::new(),
        })
        .unwrap_err()
}

/// Nobody is in the sum but by what it signed itself.
#[test]
fn survivors_are_named_with_what_they_signed() {
    let kit = kit();
    let refusal = |change: &dyn Fn(&mut Survivors)| {
        let mut play = at(&kit, Stage::Agree);
        let mut named = play.round.survivors().unwrap();
        change(&mut named);
        play.sites[0].agree(&named).unwrap_err()
    };
    let missing = |site| SiteError::from(AggregatorFault::NoInput(site));
    assert_eq!(refusal(&|named| drop(named.inputs.pop())), missing(ERIN));
    assert_eq!(refusal(&|named| named.inputs.swap(1, 2)), missing(BOB));
    assert_eq!(refusal(&|named| named.inputs[1].clear()), missing(BOB));
    let more = refusal(&|named| named.inputs.push(named.inputs[0].clone()));
    assert_eq!(more, AggregatorFault::Unordered.into());
    let altered = refusal(&|named| {
        let mut signed: Signed = decode(&named.inputs[1]).unwrap();
        let mut input: MaskedInput = decode(&signed.body).unwrap();
        input.commitment = Digest::of(b"another");
        signed.body = encode(&input).into();
        named.inputs[1] = encode(&signed).into();
    });
    assert_eq!(altered, bad_signature(BOB, Stage::Mask));
}

/// Told that Erin did not share, Bob masks with all others alone. Were Bob's vector summed with Erin's, and the
/// others then said to have dropped out, Bob's masks would be open.
#[test]
fn a_site_that_was_told_of_other_sharers_is_not_summed_with() {
    let kit = kit();
    let mut play = at(&kit, Stage::Mask);
    let mut inbox = play.round.inbox(BOB).unwrap();
    inbox.shares.retain(|sealed| sealed.site != ERIN);
    inbox.sharers.retain(|site| *site != ERIN);
    let bobs = play.sites[1].mask(&inbox).unwrap();
    let fault = SiteFault::OtherSharers(BOB);
    assert_eq!(play.round.accept(Stage::Mask, bobs.clone()), Err(fault));
    play.stage(&Dropouts::from([(BOB, Stage::Mask)]), Storage::Memory)
        .unwrap();
    play.next_stage();
    let mut named = play.round.survivors().unwrap();
    named.sites.insert(1, BOB);
    named.inputs.insert(1, encode(&bobs).into());
    let error = play.sites[0].agree(&named).unwrap_err();
    assert_eq!(error, PeerFault::OtherSharers(BOB).into());
}

#[test]
fn survivors_are_listed_once_and_in_order() {
    assert_eq!(
        refusal(&[BOB, ALICE, CAROL]),
        AggregatorFault::Unordered.into()
    );
    assert_eq!(
        refusal(&[ALICE, BOB, BOB, CAROL]),
        AggregatorFault::Unordered.into()
    );
}

#[test]
fn survivors_are_enough_and_known_and_this_site_is_one() {
    let few = AggregatorFault::TooFew {
        stage: Stage::Agree,
        got: 2,
        threshold: 3,
    };
    assert_eq!(refusal(&[ALICE, BOB]), few.into());
    assert_eq!(
        refusal(&[BOB, CAROL, DAVE]),
        AggregatorFault::LeftOut.into()
    );
    assert_eq!(refusal(&[]), AggregatorFault::LeftOut.into());
    let stranger = AggregatorFault::Stranger {
        stage: Stage::Agree,
        site: SiteId(8),
    };
    assert_eq!(refusal(&[ALICE, BOB, CAROL, SiteId(8)]), stranger.into());
}

#[test]
fn a_site_that_never_shared_cannot_survive() {
    let kit = kit();
    let mut play = at(&kit, Stage::Share);
    play.stage(&Dropouts::from([(ERIN, Stage::Share)]), Storage::Memory)
        .unwrap();
    play.next_stage();
    play.honest_until(Stage::Agree);
    let error = play.sites[0]
        .agree(&Survivors {
            sites: SITES.to_vec(),
            inputs: Vec::new(),
        })
        .unwrap_err();
    assert_eq!(
        error,
        AggregatorFault::Stranger {
            stage: Stage::Agree,
            site: ERIN
        }
        .into()
    );
}
