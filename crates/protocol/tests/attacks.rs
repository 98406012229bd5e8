//! An aggregator or a site that lies: each attempt is refused, with its reason, by the party it is tried on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use protocol::KeyFault;
use protocol::api::Stage;
use protocol::codec::{decode, encode};
use protocol::door::{Inbox, Survivors};
use protocol::id::{AgreementKey, ChunkDigest, Digest, Header, Purpose, SiteId};
use protocol::message::{
    Advert, Agreement, MaskedInput, MessageError, OpenedShare, Opening, Shares, Signed,
};
use protocol::round::{AnyRound, SiteFault, SumError, Suspect};
use protocol::site::{AggregatorFault, Misuse, PeerFault, SiteError};
use testkit::round::{Abandoned, Dropouts, Next, Play, Storage};
use testkit::{Draft, TestStudy, decoded};

const ALICE: SiteId = SiteId(0);
const BOB: SiteId = SiteId(1);
const CAROL: SiteId = SiteId(2);
const DAVE: SiteId = SiteId(3);
const ERIN: SiteId = SiteId(4);
const SITES: [SiteId; 5] = [ALICE, BOB, CAROL, DAVE, ERIN];

/// Five sites, of which three must agree.
fn kit() -> TestStudy {
    testkit::study(5, 3)
}

/// The same with noise, of which a part goes off the sum with each survivor above three.
fn noised_kit() -> TestStudy {
    noised(5, 3).make()
}

fn noised(sites: u16, threshold: u16) -> Draft {
    Draft {
        sites,
        threshold,
        honest_survivors: threshold,
        epsilon: 1.0,
        fraction_bits: 16,
        patients_per_site: 100,
        ..Draft::default()
    }
}

fn header(kit: &TestStudy) -> Header {
    kit.header(7, Purpose::Train)
}

/// A round at the start of `stage`, with everybody in it.
fn at(kit: &TestStudy, stage: Stage) -> Play<'_> {
    let length = kit.study.layout(Purpose::Train).length();
    let vectors = vec![vec![3; length]; kit.identities.len()];
    let mut play = Play::new(kit, &header(kit), &vectors);
    play.honest_until(stage);
    play
}

fn adverts(play: &Play<'_>) -> Vec<Signed> {
    decoded(&play.round.adverts().unwrap())
}

/// The message that `site` signs instead of its honest one.
fn forged<T: minicbor::Encode<()>>(
    kit: &TestStudy,
    stage: Stage,
    site: SiteId,
    body: &T,
) -> Signed {
    kit.sign(&header(kit), stage, site, encode(body))
}

/// Flips a bit of a share.
fn flip(opened: &mut OpenedShare) {
    let mut bytes = encode(&opened.share);
    *bytes.last_mut().unwrap() ^= 1;
    opened.share = decode(&bytes).unwrap();
}

fn bad_signature(site: SiteId, stage: Stage) -> SiteError {
    AggregatorFault::Message(MessageError::Signature { site, stage }).into()
}

mod sharing {
    use super::*;

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
}

mod masking {
    use super::*;

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
}

mod agreeing {
    use super::*;

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
}

mod unmasking {
    use super::*;

    /// What Alice, who agreed on all but Erin, says to these statements.
    fn open(change: impl FnOnce(&TestStudy, &mut Vec<Signed>)) -> Result<Opening, SiteError> {
        let kit = kit();
        let mut play = at(&kit, Stage::Mask);
        play.stage(&Dropouts::from([(ERIN, Stage::Mask)]), Storage::Memory)
            .unwrap();
        play.next_stage();
        play.honest_until(Stage::Unmask);
        let mut statements = decoded(&play.round.statements().unwrap());
        change(&kit, &mut statements);
        play.sites[0]
            .unmask(&statements)
            .map(|signed| decode(&signed.body).unwrap())
    }

    #[test]
    fn one_share_a_site_is_opened_of_what_the_sum_needs() {
        let opening = open(|_, _| ()).unwrap();
        let sites = |opened: &[protocol::message::OpenedShare]| -> Vec<SiteId> {
            opened.iter().map(|opened| opened.site).collect()
        };
        assert_eq!(sites(&opening.seeds), [ALICE, BOB, CAROL, DAVE]);
        assert_eq!(sites(&opening.keys), [ERIN]);
    }

    #[test]
    fn nothing_is_opened_below_the_threshold_of_statements() {
        open(|_, statements| statements.truncate(3)).unwrap();
        let few = AggregatorFault::TooFew {
            stage: Stage::Unmask,
            got: 2,
            threshold: 3,
        };
        assert_eq!(
            open(|_, statements| statements.truncate(2)),
            Err(few.into())
        );
        let twice = AggregatorFault::Twice {
            stage: Stage::Agree,
            site: BOB,
        };
        let error = open(|_, statements| {
            statements.truncate(2);
            statements.push(statements[1].clone());
        });
        assert_eq!(error, Err(twice.into()));
    }

    #[test]
    fn statements_must_be_signed_for_this_round_and_stage() {
        let error = open(|kit, statements| {
            let body = statements[1].body.to_vec();
            statements[1] = kit.sign(&header(kit), Stage::Advertise, BOB, body);
        });
        assert_eq!(error, Err(bad_signature(BOB, Stage::Agree)));
        let error = open(|kit, statements| {
            let body = statements[1].body.to_vec();
            statements[1] = kit.sign(&kit.header(6, Purpose::Train), Stage::Agree, BOB, body);
        });
        assert_eq!(error, Err(bad_signature(BOB, Stage::Agree)));
    }

    #[test]
    fn a_statement_on_other_survivors_is_refused_by_name() {
        let error = open(|kit, statements| {
            let agreement = Agreement::on(&SITES.into());
            statements[1] = forged(kit, Stage::Agree, BOB, &agreement);
        });
        assert_eq!(error, Err(PeerFault::OtherSurvivors(BOB).into()));
    }

    #[test]
    fn a_site_that_dropped_out_has_no_say() {
        let error = open(|kit, statements| {
            let agreement = Agreement::on(&[ALICE, BOB, CAROL, DAVE].into());
            statements.push(forged(kit, Stage::Agree, ERIN, &agreement));
        });
        assert_eq!(
            error,
            Err(AggregatorFault::Stranger {
                stage: Stage::Agree,
                site: ERIN
            }
            .into())
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// The aggregator tells each site one of two lists, collects what they sign, and asks each site to open
        /// with whatever statements it likes; each it can ask once.
        #[test]
        fn no_secrets_of_one_site_can_both_be_put_together_nor_noise_be_had_of_another_list(
            sites in 3..=7_u16,
            above in 0..3_u16,
            one in prop::collection::btree_set(0..7_u16, 3..7),
            other in prop::collection::btree_set(0..7_u16, 3..7),
            told in prop::collection::vec(any::<bool>(), 7),
            shown in prop::collection::vec(prop::option::of(0..128_u8), 7),
        ) {
            let threshold = (sites / 2 + 1 + above).min(sites);
            let kit = noised(sites, threshold).make();
            let layout = kit.study.layout(Purpose::Train);
            let mut play = at(&kit, Stage::Agree);
            let all = play.round.survivors().unwrap();
            let list = |list: &BTreeSet<u16>| {
                let named = all.sites.iter().zip(&all.inputs).filter(|(site, _)| list.contains(&site.0));
                let (sites, inputs) = named.map(|(site, input)| (*site, input.clone())).unzip();
                Survivors { sites, inputs }
            };
            let lists = [list(&one), list(&other)];
            let ids: Vec<SiteId> = kit.study.sites().collect();
            let mut statements = Vec::new();
            let mut agreed = BTreeSet::new();
            for site in &ids {
                let place = usize::from(site.0);
                if let Ok(statement) = play.sites[place].agree(&lists[usize::from(told[place])]) {
                    statements.push(statement);
                    agreed.insert(*site);
                }
            }
            let threshold = usize::from(threshold);
            let mut given = vec![(0, 0); usize::from(sites)];
            // Openings by the number of survivors they are for, and shares by dealer and last part that they open.
            let mut openings = BTreeMap::new();
            let mut noise = BTreeMap::new();
            for site in agreed {
                let place = usize::from(site.0);
                let is_shown = |signer: usize| match shown[place] {
                    // The best it can do: all who signed the same list.
                    None => told[signer] == told[place],
                    Some(signers) => signers & (1 << signer) != 0,
                };
                let choice = statements.iter().filter(|signed| is_shown(usize::from(signed.site.0)));
                let choice: Vec<Signed> = choice.cloned().collect();
                let Ok(signed) = play.sites[place].unmask(&choice) else { continue };
                let opening: Opening = decode(&signed.body).unwrap();
                let mut once = BTreeSet::new();
                for opened in &opening.seeds {
                    prop_assert!(once.insert(opened.site));
                    given[usize::from(opened.site.0)].0 += 1;
                }
                let survivors = opening.seeds.len();
                *openings.entry(survivors).or_insert(0) += 1;
                for opened in &opening.noise {
                    let part = layout.parts_off(survivors);
                    *noise.entry((opened.site, part)).or_insert(0) += 1;
                }
                for opened in &opening.keys {
                    prop_assert!(once.insert(opened.site));
                    given[usize::from(opened.site.0)].1 += 1;
                }
            }
            for (seeds, keys) in given {
                prop_assert!(seeds < threshold || keys < threshold, "{seeds} seeds and {keys} keys");
            }
            let sums = openings.into_iter().filter(|(_, openings)| *openings >= threshold);
            for (survivors, _) in sums {
                for ((site, part), shares) in &noise {
                    prop_assert!(
                        *shares < threshold || *part <= layout.parts_off(survivors),
                        "part {part} of the noise of {site} goes off a sum of {survivors}"
                    );
                }
            }
        }
    }
}

mod aggregator {
    use super::*;

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

    #[test]
    fn a_site_that_missed_a_stage_is_not_awaited_at_the_next() {
        let kit = kit();
        let mut play = at(&kit, Stage::Share);
        let erins = play.message(ERIN).unwrap();
        play.stage(&Dropouts::from([(ERIN, Stage::Share)]), Storage::Memory)
            .unwrap();
        play.next_stage();
        let late = SiteFault::Late {
            site: ERIN,
            stage: Stage::Share,
            now: Stage::Mask,
        };
        assert_eq!(play.round.accept(Stage::Share, erins), Err(late));
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
        let kit = kit();
        let mut play = at(&kit, Stage::Mask);
        let erins = play.message(ERIN).unwrap();
        play.stage(&Dropouts::from([(ERIN, Stage::Mask)]), Storage::Memory)
            .unwrap();
        play.next_stage();
        let late = SiteFault::Late {
            site: ERIN,
            stage: Stage::Mask,
            now: Stage::Agree,
        };
        assert_eq!(play.round.accept(Stage::Mask, erins), Err(late));
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
}

mod noise {
    use super::*;

    /// What the aggregator says to Alice's changed opening where the last `dropped` sites sent no vector.
    fn accept(dropped: usize, change: impl FnOnce(&mut Opening)) -> Result<(), SiteFault> {
        let kit = noised_kit();
        let mut play = at(&kit, Stage::Mask);
        let leaving = SITES[SITES.len() - dropped..].iter();
        let leaving = leaving.map(|site| (*site, Stage::Mask)).collect();
        play.stage(&leaving, Storage::Memory).unwrap();
        play.next_stage();
        play.honest_until(Stage::Unmask);
        let mut opening: Opening = decode(&play.message(ALICE).unwrap().body).unwrap();
        change(&mut opening);
        let signed = forged(&kit, Stage::Unmask, ALICE, &opening);
        play.round.accept(Stage::Unmask, signed).map(|_| ())
    }

    #[test]
    fn one_key_of_each_survivors_noise_is_opened_and_none_at_the_threshold() {
        for (dropped, keys) in [(0, 5), (1, 4), (2, 0)] {
            let opened = |opening: &mut Opening| assert_eq!(opening.noise.len(), keys);
            accept(dropped, opened).unwrap();
        }
        let fault = Err(SiteFault::Openings(ALICE));
        let less = |opening: &mut Opening| drop(opening.noise.pop());
        assert_eq!(accept(0, less), fault);
        let none = |opening: &mut Opening| opening.noise.clear();
        assert_eq!(accept(1, none), fault);
        let of_the_dropped = |opening: &mut Opening| opening.noise.push(opening.keys[0].clone());
        assert_eq!(accept(1, of_the_dropped), fault);
        let more = |opening: &mut Opening| opening.noise.clone_from(&opening.seeds);
        assert_eq!(accept(2, more), fault);
    }
}

mod sum {
    use super::*;

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
