//! Messages that a site sends the aggregator.

use protocol::KeyFault;
use protocol::api::Stage;
use protocol::codec::{decode, encode};
use protocol::door::Inbox;
use protocol::id::{AgreementKey, ChunkDigest, Digest, Purpose, SiteId};
use protocol::message::{Advert, Agreement, MaskedInput, MessageError, Opening, Shares, Signed};
use protocol::round::{AnyRound, SiteFault};
use testkit::round::{Abandoned, Dropouts, Play, Storage};
use testkit::{Draft, TestStudy};

use crate::{ALICE, BOB, CAROL, DAVE, ERIN, SITES, at, forged, header, kit, noised_kit};

/// What the aggregator says to a message of Bob's at `stage`; its state must not change.
fn refusal(stage: Stage, message: impl FnOnce(&TestStudy, Signed) -> Signed) -> SiteFault {
    let kit = kit();
    let mut play = at(&kit, stage);
    let honest = play.message(BOB).unwrap();
    let before = play.round.to_bytes();
    let fault = play
        .round
        .accept(stage, message(&kit, honest.clone()))
        .unwrap_err();
    assert_eq!(
        play.round.to_bytes(),
        before,
        "a refused message leaves no trace"
    );
    play.round.accept(stage, honest).unwrap();
    fault
}

/// The same, of a body that Bob signs after changing it.
fn changed<T>(stage: Stage, change: impl FnOnce(&mut T)) -> SiteFault
where
    T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    refusal(stage, |kit, honest| {
        let mut body = decode(&honest.body).unwrap();
        change(&mut body);
        forged(kit, stage, BOB, &body)
    })
}

#[test]
fn a_message_under_another_name_or_round_is_refused_at_every_stage() {
    for stage in Stage::ALL {
        let fault = |site| SiteFault::Message(MessageError::Signature { site, stage });
        let renamed = refusal(stage, |_, signed| Signed {
            site: CAROL,
            ..signed
        });
        assert_eq!(renamed, fault(CAROL));
        let replayed = refusal(stage, |kit, signed| {
            kit.sign(
                &kit.header(6, Purpose::Train),
                stage,
                BOB,
                signed.body.to_vec(),
            )
        });
        assert_eq!(replayed, fault(BOB));
        let stranger = refusal(stage, |_, signed| Signed {
            site: SiteId(5),
            ..signed
        });
        assert_eq!(
            stranger,
            SiteFault::Message(MessageError::NotInRoster(SiteId(5)))
        );
    }
}

#[test]
fn a_body_that_is_cut_lengthened_or_empty_is_refused_at_every_stage() {
    for stage in Stage::ALL {
        let body = |change: fn(&mut Vec<u8>)| {
            refusal(stage, |kit, signed| {
                let mut body = signed.body.to_vec();
                change(&mut body);
                kit.sign(&header(kit), stage, BOB, body)
            })
        };
        let changes: [fn(&mut Vec<u8>); 5] = [
            |body| body.clear(),
            |body| body.truncate(body.len() - 1),
            |body| body.push(0),
            |body| body.truncate(body.len() / 2),
            |body| body.extend_from_within(..),
        ];
        for change in changes {
            let fault = body(change);
            assert!(
                matches!(
                    fault,
                    SiteFault::Message(MessageError::Body { site: BOB, .. })
                ),
                "{stage}: {fault:?}"
            );
        }
    }
}

#[test]
fn no_flipped_bit_is_accepted_at_any_stage() {
    for stage in Stage::ALL {
        let kit = kit();
        let mut play = at(&kit, stage);
        let honest = encode(&play.message(BOB).unwrap());
        let before = play.round.to_bytes();
        for bit in 0..honest.len() * 8 {
            let mut bytes = honest.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(signed) = decode::<Signed>(&bytes) {
                play.round.accept(stage, signed).unwrap_err();
            }
        }
        assert_eq!(
            play.round.to_bytes(),
            before,
            "a refused message leaves no trace"
        );
    }
}

#[test]
fn a_second_word_is_refused() {
    for stage in [Stage::Advertise, Stage::Share, Stage::Mask] {
        let kit = kit();
        let mut play = at(&kit, stage);
        let honest = play.message(BOB).unwrap();
        play.round.accept(stage, honest.clone()).unwrap();
        let other = kit.sign(&header(&kit), stage, BOB, b"another body".to_vec());
        let conflict = SiteFault::Conflict { site: BOB, stage };
        assert_eq!(play.round.accept(stage, other).unwrap_err(), conflict);
        // What Bob did not sign is not Bob's second word.
        let unsigned = Signed {
            body: b"another body".to_vec().into(),
            ..honest
        };
        let fault = SiteFault::Message(MessageError::Signature { site: BOB, stage });
        assert_eq!(play.round.accept(stage, unsigned).unwrap_err(), fault);
    }
}

/// The round after a stage without Erin, whose message comes when the stage is over and is refused.
fn without_erin(kit: &TestStudy, stage: Stage, now: Stage) -> Play<'_> {
    let mut play = at(kit, stage);
    let erins = play.message(ERIN).unwrap();
    play.stage(&Dropouts::from([(ERIN, stage)]), Storage::Memory)
        .unwrap();
    play.next_stage();
    let site = ERIN;
    let late = SiteFault::Late { site, stage, now };
    assert_eq!(play.round.accept(stage, erins), Err(late));
    play
}

#[test]
fn a_site_that_missed_a_stage_is_not_awaited_at_the_next() {
    let kit = kit();
    let mut play = without_erin(&kit, Stage::Share, Stage::Mask);
    assert_eq!(
        play.round.inbox(ERIN).unwrap(),
        Inbox {
            shares: Vec::new(),
            sharers: vec![ALICE, BOB, CAROL, DAVE]
        }
    );
    let input = MaskedInput {
        encapsulated: AgreementKey([9; 32]),
        sharers: Digest([0; 32]),
        commitment: Digest([0; 32]),
        chunks: vec![ChunkDigest([0; 32])],
    };
    let signed = forged(&kit, Stage::Mask, ERIN, &input);
    let fault = SiteFault::NotAwaited {
        site: ERIN,
        stage: Stage::Mask,
    };
    assert_eq!(play.round.accept(Stage::Mask, signed), Err(fault));
}

/// A vector that comes after its site was counted out would be readable: its masks are opened.
#[test]
fn a_vector_after_its_stage_is_refused() {
    without_erin(&kit(), Stage::Mask, Stage::Agree);
}

#[test]
fn a_message_before_its_stage_is_refused() {
    let kit = kit();
    let mut play = at(&kit, Stage::Share);
    let signed = forged(&kit, Stage::Agree, BOB, &Agreement::on(&SITES.into()));
    let early = SiteFault::Early {
        site: BOB,
        stage: Stage::Agree,
        now: Stage::Share,
    };
    assert_eq!(play.round.accept(Stage::Agree, signed), Err(early));
}

#[test]
fn weak_and_reused_keys_are_refused() {
    let weak = changed(Stage::Advertise, |advert: &mut Advert| {
        advert.mask_key = AgreementKey([0; 32])
    });
    assert_eq!(weak, SiteFault::Keys(KeyFault::Weak(BOB)));
    let reused = changed(Stage::Advertise, |advert: &mut Advert| {
        advert.mask_key = advert.cipher_key
    });
    assert_eq!(reused, SiteFault::Keys(KeyFault::Reused(BOB)));
}

#[test]
fn shares_are_one_for_each_other_site_and_of_one_length() {
    let recipients = SiteFault::Recipients(BOB);
    let stage = Stage::Share;
    assert_eq!(
        changed(stage, |shares: &mut Shares| drop(shares.sealed.pop())),
        recipients
    );
    assert_eq!(
        changed(stage, |shares: &mut Shares| shares.sealed[0].site = BOB),
        recipients
    );
    assert_eq!(
        changed(stage, |shares: &mut Shares| shares.sealed[3].site =
            SiteId(9)),
        recipients
    );
    assert_eq!(
        changed(stage, |shares: &mut Shares| shares.sealed.swap(0, 1)),
        recipients
    );
    let commitments = SiteFault::Commitments(BOB);
    let fewer = |shares: &mut Shares| shares.commitments.shares.truncate(4);
    assert_eq!(changed(stage, fewer), commitments);
    let length = changed(stage, |shares: &mut Shares| shares.sealed[2].bytes.push(0));
    assert_eq!(
        length,
        SiteFault::ShareLength {
            site: BOB,
            to: DAVE,
            got: 87,
            want: 86
        }
    );
}

#[test]
fn keys_of_noise_are_committed_to_one_for_each_part() {
    let kit = noised_kit();
    let mut play = at(&kit, Stage::Share);
    let honest: Shares = decode(&play.message(BOB).unwrap().body).unwrap();
    assert_eq!(honest.commitments.noise.len(), 2);
    let changes: [fn(&mut Shares); 3] = [
        |shares| shares.commitments.noise.truncate(1),
        |shares| shares.commitments.shares[3].noise.truncate(1),
        |shares| {
            let digests = &mut shares.commitments.shares[0].noise;
            digests.push(digests[0]);
        },
    ];
    for change in changes {
        let mut shares = honest.clone();
        change(&mut shares);
        let signed = forged(&kit, Stage::Share, BOB, &shares);
        let fault = play.round.accept(Stage::Share, signed).unwrap_err();
        assert_eq!(fault, SiteFault::Commitments(BOB));
    }
}

#[test]
fn another_list_of_survivors_is_refused() {
    let fault = changed(Stage::Agree, |agreement: &mut Agreement| {
        *agreement = Agreement::on(&[ALICE, BOB, CAROL, DAVE].into());
    });
    assert_eq!(fault, SiteFault::OtherSurvivors(BOB));
}

#[test]
fn openings_are_exactly_what_the_sum_needs() {
    let fault = SiteFault::Openings(BOB);
    let stage = Stage::Unmask;
    assert_eq!(
        changed(stage, |opening: &mut Opening| drop(opening.seeds.pop())),
        fault
    );
    assert_eq!(
        changed(stage, |opening: &mut Opening| opening.seeds.swap(0, 1)),
        fault
    );
    assert_eq!(
        changed(stage, |opening: &mut Opening| opening
            .keys
            .extend(opening.seeds.pop())),
        fault
    );
    assert_eq!(
        changed(stage, |opening: &mut Opening| opening
            .keys
            .push(opening.seeds[0].clone())),
        fault
    );
}

#[test]
fn a_stage_below_the_threshold_cannot_be_closed() {
    for stage in Stage::ALL {
        let kit = Draft {
            sites: 4,
            threshold: 3,
            ..Draft::default()
        }
        .make();
        let mut play = at(&kit, stage);
        let leaving = Dropouts::from([(ALICE, stage), (DAVE, stage)]);
        play.stage(&leaving, Storage::Memory).unwrap();
        assert!(!play.round.ready());
        assert_eq!(play.round.missing(), [ALICE, DAVE]);
        let stored = AnyRound::from_bytes(kit.aggregator(), &play.round.to_bytes()).unwrap();
        assert_eq!(stored.missing(), [ALICE, DAVE]);
        let Err(Abandoned::TooFewSites(few)) = play.close() else {
            panic!("two of four are too few")
        };
        assert_eq!((few.stage, few.reported, few.threshold), (stage, 2, 3));
    }
}
