//! Shares and secrets that do not fit, when the sum is opened.

use protocol::api::Stage;
use protocol::codec::{decode, encode};
use protocol::id::SiteId;
use protocol::message::{Opening, Shares};
use protocol::round::{SumError, Suspect};
use testkit::TestStudy;
use testkit::round::{Abandoned, Dropouts, Next, Play, Storage};

use crate::{ALICE, BOB, CAROL, DAVE, ERIN, SITES, at, flip, forged, header, kit, noised_kit};

/// A round in which Erin drops out with her masks in the others' vectors, and each site named lies when it opens
/// its shares.
fn sum(
    kit: &TestStudy,
    liars: &[SiteId],
    lie: impl Fn(&mut Opening),
) -> Result<protocol::round::Sum, Abandoned> {
    sum_from(kit, at(kit, Stage::Mask), liars, lie)
}

fn sum_from(
    kit: &TestStudy,
    mut play: Play<'_>,
    liars: &[SiteId],
    lie: impl Fn(&mut Opening),
) -> Result<protocol::round::Sum, Abandoned> {
    play.stage(&Dropouts::from([(SiteId(4), Stage::Mask)]), Storage::Memory)
        .unwrap();
    play.next_stage();
    play.honest_until(Stage::Unmask);
    for site in play.round.missing() {
        let mut signed = play.message(site).unwrap();
        if liars.contains(&site) {
            let mut opening: Opening = decode(&signed.body).unwrap();
            lie(&mut opening);
            signed.body = encode(&opening).into();
            signed = kit.sign(&header(kit), Stage::Unmask, site, signed.body.to_vec());
        }
        play.round.accept(Stage::Unmask, signed).unwrap();
    }
    match play.close()? {
        Next::Sum(sum) => Ok(sum),
        Next::Stage(_) => panic!("the last stage ends in a sum"),
    }
}

#[test]
fn a_wrong_share_is_named_and_the_sum_is_exact_without_it() {
    let kit = kit();
    let key_of_erin = |opening: &mut Opening| flip(&mut opening.keys[0]);
    let honest = sum(&kit, &[], key_of_erin).unwrap();
    assert_eq!(honest.values, vec![12; 7]);
    assert_eq!(honest.suspects, []);
    for liar in [ALICE, BOB, CAROL, DAVE] {
        let sum = sum(&kit, &[liar], key_of_erin).unwrap();
        assert_eq!(sum.values, honest.values);
        assert_eq!(
            sum.suspects,
            [Suspect {
                holder: liar,
                dealer: ERIN
            }]
        );
    }
}

#[test]
fn a_secret_that_no_shares_give_ends_the_round() {
    let kit = kit();
    let key_of_erin = |opening: &mut Opening| flip(&mut opening.keys[0]);
    let error = sum(&kit, &[ALICE, DAVE], key_of_erin).unwrap_err();
    let lost = |site| SumError::WrongShares {
        site,
        wrong: vec![ALICE, DAVE],
        opened: 4,
        threshold: 3,
    };
    assert_eq!(error, Abandoned::Sum(lost(ERIN)));

    let noise_of_bob = |opening: &mut Opening| flip(&mut opening.noise[1]);
    let error = sum(&noised_kit(), &[ALICE, DAVE], noise_of_bob).unwrap_err();
    assert_eq!(error, Abandoned::Sum(lost(BOB)));
}

#[test]
fn a_wrong_share_of_noise_is_named_and_the_sum_is_the_same_without_it() {
    let kit = noised_kit();
    let noise_of_bob = |opening: &mut Opening| flip(&mut opening.noise[1]);
    let honest = sum(&kit, &[], noise_of_bob).unwrap();
    assert_eq!(honest.suspects, []);
    for liar in [ALICE, BOB, CAROL, DAVE] {
        let sum = sum(&kit, &[liar], noise_of_bob).unwrap();
        assert_eq!(sum.values, honest.values);
        let suspect = Suspect {
            holder: liar,
            dealer: BOB,
        };
        assert_eq!(sum.suspects, [suspect]);
    }
    let both = |opening: &mut Opening| {
        flip(&mut opening.seeds[1]);
        noise_of_bob(opening);
    };
    assert_eq!(sum(&kit, &[CAROL], both).unwrap().suspects.len(), 1);
}

/// Bob is bound to another key of his noise than the one he shared.
#[test]
fn a_site_that_shared_another_key_of_its_noise_is_named() {
    let kit = noised_kit();
    let mut play = at(&kit, Stage::Share);
    for site in SITES {
        let mut signed = play.message(site).unwrap();
        if site == BOB {
            let mut shares: Shares = decode(&signed.body).unwrap();
            shares.commitments.noise[0].0[0] ^= 1;
            signed = forged(&kit, Stage::Share, BOB, &shares);
        }
        play.round.accept(Stage::Share, signed).unwrap();
    }
    play.next_stage();
    let error = sum_from(&kit, play, &[], |_| ()).unwrap_err();
    assert_eq!(error, Abandoned::Sum(SumError::WrongSecret(BOB)));
}
