//! Masked vectors on their way, in chunks: what is added is exactly what was announced, or nothing is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::api::Stage;
use protocol::chunk::{ChunkError, Chunking, ENTRIES};
use protocol::codec::{decode, encode};
use protocol::door::Inbox;
use protocol::hpke::{CannotOpen, Sender};
use protocol::id::{ChunkDigest, Digest, Header, InputsDigest, Purpose, SiteId};
use protocol::message::{MaskedInput, MessageError, Shares, Signed, sites_digest};
use protocol::pack::{PackError, pack};
use protocol::round::{Accepted, AnyRound, SiteFault, SumError};
use protocol::seed::Seed;
use protocol::site::Advertising;
use testkit::round::{Abandoned, Dropouts, Next, Play, Storage};
use testkit::{Draft, TestStudy};

const ALICE: SiteId = SiteId(0);
const BOB: SiteId = SiteId(1);
const SITES: u16 = 4;
/// Two chunks and a short one.
const PARAMETERS: u32 = 140_000;

fn kit() -> TestStudy {
    Draft {
        sites: SITES,
        threshold: 3,
        parameters: PARAMETERS,
        ..Draft::default()
    }
    .make()
}

fn header(kit: &TestStudy) -> Header {
    kit.header(7, Purpose::Train)
}

fn chunking(kit: &TestStudy) -> Chunking {
    Chunking::of(&kit.study.layout(Purpose::Train))
}

/// A round at the start of stage mask.
fn masking(kit: &TestStudy) -> Play<'_> {
    let length = kit.study.layout(Purpose::Train).length();
    let vectors = vec![vec![3; length]; usize::from(SITES)];
    let mut play = Play::new(kit, &header(kit), &vectors);
    play.honest_until(Stage::Mask);
    play
}

/// What Bob announces, accepted, and his chunks.
fn bobs(play: &mut Play<'_>) -> (Signed, Vec<Vec<u8>>) {
    let signed = play.message(BOB).unwrap();
    play.round.accept(Stage::Mask, signed.clone()).unwrap();
    let chunks = play.sites[1].chunks().collect();
    (signed, chunks)
}

fn complete(play: &mut Play<'_>, chunks: &[Vec<u8>]) -> Result<Accepted, SiteFault> {
    let chunks = chunks.iter().cloned().map(Ok);
    play.round.complete::<SiteFault>(BOB, chunks)
}

/// That Bob's honest chunks, and a sum of all, still come out right after what was tried.
fn finishes(mut play: Play<'_>, chunks: &[Vec<u8>]) {
    assert_eq!(complete(&mut play, chunks), Ok(Accepted::New));
    play.honest_until(Stage::Unmask);
    play.stage(&Dropouts::new(), Storage::Restart).unwrap();
    let Next::Sum(sum) = play.close().unwrap() else {
        panic!("the last stage ends in a sum")
    };
    assert!(sum.values.iter().all(|value| *value == 12));
    assert_eq!(sum.survivors.len(), 4);
}

fn fault(error: ChunkError) -> SiteFault {
    SiteFault::Chunk { site: BOB, error }
}

#[test]
fn a_chunk_is_the_one_that_was_announced_or_refused() {
    let kit = kit();
    let mut play = masking(&kit);
    assert_eq!(
        play.round.check_chunk(BOB, 0, &[]),
        Err(SiteFault::NotAnnounced(BOB))
    );
    let (_, chunks) = bobs(&mut play);
    assert_eq!(chunks.len(), 3);
    let before = play.round.to_bytes();
    for (number, chunk) in (0..).zip(&chunks) {
        assert_eq!(
            play.round.check_chunk(BOB, number, chunk),
            Ok(Accepted::New)
        );
    }
    let digest = |number| fault(ChunkError::Digest { number });
    let check = |number, chunk: &[u8]| play.round.check_chunk(BOB, number, chunk).unwrap_err();

    assert_eq!(check(0, &chunks[1]), digest(0), "swapped");
    let mut flipped = chunks[1].clone();
    *flipped.last_mut().unwrap() ^= 0x80;
    assert_eq!(check(1, &flipped), digest(1));
    let (got, want) = (chunks[2].len() - 1, chunks[2].len());
    let number = 2;
    assert_eq!(
        check(number, &chunks[2][1..]),
        fault(ChunkError::Length { number, got, want })
    );
    let got = want + 1;
    assert_eq!(
        check(number, &[chunks[2].as_slice(), &[0]].concat()),
        fault(ChunkError::Length { number, got, want })
    );
    for number in [3, 4, u32::MAX] {
        let error = ChunkError::Number { number, count: 3 };
        assert_eq!(check(number, &chunks[0]), fault(error));
    }
    assert_eq!(play.round.to_bytes(), before);
    finishes(play, &chunks);
}

#[test]
fn a_chunk_of_another_site_is_refused() {
    let kit = kit();
    let mut play = masking(&kit);
    let (_, chunks) = bobs(&mut play);
    let alices = play.message(ALICE).unwrap();
    let alices_first = play.sites[0].chunks().next().unwrap();
    let digest = fault(ChunkError::Digest { number: 0 });
    assert_eq!(play.round.check_chunk(BOB, 0, &alices_first), Err(digest));
    play.round.accept(Stage::Mask, alices).unwrap();
    let digest = ChunkError::Digest { number: 0 };
    let error = SiteFault::Chunk {
        site: ALICE,
        error: digest,
    };
    assert_eq!(play.round.check_chunk(ALICE, 0, &chunks[0]), Err(error));
    // Alice has announced, and need not do so again.
    play.upload(ALICE).unwrap();
    finishes(play, &chunks);
}

#[test]
fn nothing_is_added_of_chunks_that_are_not_all_there_once_and_in_order() {
    let kit = kit();
    let mut play = masking(&kit);
    let (_, chunks) = bobs(&mut play);
    let before = play.round.to_bytes();
    let [first, second, third] = <[Vec<u8>; 3]>::try_from(chunks.clone()).unwrap();
    let incomplete = |got| SiteFault::Incomplete {
        site: BOB,
        got,
        want: 3,
    };
    assert_eq!(complete(&mut play, &[]), Err(incomplete(0)));
    assert_eq!(complete(&mut play, &chunks[..2]), Err(incomplete(2)));
    let swapped = [second.clone(), first.clone(), third.clone()];
    let digest = fault(ChunkError::Digest { number: 0 });
    assert_eq!(complete(&mut play, &swapped), Err(digest));
    let more = [first.clone(), second, third.clone(), third];
    let none = fault(ChunkError::Number {
        number: 3,
        count: 3,
    });
    assert_eq!(complete(&mut play, &more), Err(none));
    // A chunk that the caller could not read.
    let lost = SiteFault::NotAnnounced(SiteId(9));
    let broken = [Ok(first), Err(lost.clone())];
    assert_eq!(play.round.complete(BOB, broken), Err(lost));

    assert_eq!(play.round.to_bytes(), before, "nothing is added");
    assert!(play.round.missing().contains(&BOB));
    finishes(play, &chunks);
}

#[test]
fn a_site_survives_by_its_chunks_not_by_its_word() {
    let kit = kit();
    let mut play = masking(&kit);
    let (signed, chunks) = bobs(&mut play);
    for site in [0, 2, 3].map(SiteId) {
        let announced = play.message(site).unwrap();
        play.round.accept(Stage::Mask, announced).unwrap();
    }
    assert!(!play.round.ready(), "announced is not sent");
    for site in [0, 2, 3].map(SiteId) {
        play.upload(site).unwrap();
    }
    assert_eq!(play.round.missing(), [BOB]);
    play.next_stage();
    assert!(!play.round.survivors().unwrap().sites.contains(&BOB));

    // Its masks may be opened from now on, so the vector must not come.
    let late = SiteFault::Late {
        site: BOB,
        stage: Stage::Mask,
        now: Stage::Agree,
    };
    assert_eq!(
        play.round.check_chunk(BOB, 2, &chunks[2]),
        Err(late.clone())
    );
    assert_eq!(complete(&mut play, &chunks), Err(late.clone()));
    assert_eq!(play.round.accept(Stage::Mask, signed), Err(late));
    play.stage(&Dropouts::new(), Storage::Memory).unwrap();
    play.next_stage();
    play.stage(&Dropouts::new(), Storage::Memory).unwrap();
    let Next::Sum(sum) = play.close().unwrap() else {
        panic!("the last stage ends in a sum")
    };
    assert!(sum.values.iter().all(|value| *value == 9));
}

#[test]
fn what_is_sent_again_changes_nothing() {
    let kit = kit();
    let mut play = masking(&kit);
    let (signed, chunks) = bobs(&mut play);
    let again = play.round.accept(Stage::Mask, signed.clone());
    assert_eq!(again, Ok(Accepted::Again));
    complete(&mut play, &chunks).unwrap();
    let before = play.round.to_bytes();
    assert_eq!(complete(&mut play, &chunks), Ok(Accepted::Again));
    assert_eq!(
        play.round.check_chunk(BOB, 1, &chunks[1]),
        Ok(Accepted::Again)
    );
    assert_eq!(
        play.round.accept(Stage::Mask, signed.clone()),
        Ok(Accepted::Again)
    );
    assert_eq!(play.round.to_bytes(), before);
    // An answer that was lost, when the stage closed with it.
    play.stage(&Dropouts::new(), Storage::Memory).unwrap();
    play.next_stage();
    assert_eq!(
        play.round.check_chunk(BOB, 1, &chunks[1]),
        Ok(Accepted::Again)
    );
    assert_eq!(complete(&mut play, &chunks), Ok(Accepted::Again));
    assert_eq!(play.round.accept(Stage::Mask, signed), Ok(Accepted::Again));
}

#[test]
fn a_chunk_before_its_stage_is_early() {
    let kit = kit();
    let length = kit.study.layout(Purpose::Train).length();
    let play = Play::new(&kit, &header(&kit), &vec![vec![0; length]; 4]);
    let early = SiteFault::Early {
        site: BOB,
        stage: Stage::Mask,
        now: Stage::Advertise,
    };
    assert_eq!(play.round.check_chunk(BOB, 0, &[]), Err(early));
}

#[test]
fn a_second_announcement_is_refused_whether_its_chunks_are_there_or_not() {
    let kit = kit();
    let mut play = masking(&kit);
    let (signed, chunks) = bobs(&mut play);
    let mut input: MaskedInput = decode(&signed.body).unwrap();
    input.commitment.0[0] ^= 1;
    let sign = |body| kit.sign(&header(&kit), Stage::Mask, BOB, body);
    let other = sign(encode(&input));
    let conflict = SiteFault::Conflict {
        site: BOB,
        stage: Stage::Mask,
    };
    assert_eq!(
        play.round.accept(Stage::Mask, other.clone()),
        Err(conflict.clone())
    );
    let unsigned = Signed {
        signature: signed.signature,
        ..other.clone()
    };
    let signature = SiteFault::Message(MessageError::Signature {
        site: BOB,
        stage: Stage::Mask,
    });
    assert_eq!(play.round.accept(Stage::Mask, unsigned), Err(signature));
    complete(&mut play, &chunks).unwrap();
    assert_eq!(play.round.accept(Stage::Mask, other), Err(conflict));
}

#[test]
fn an_announcement_has_one_digest_a_chunk_and_a_sound_key() {
    let kit = kit();
    let mut play = masking(&kit);
    let honest = play.message(BOB).unwrap();
    let changed = |change: fn(&mut MaskedInput)| {
        let mut input: MaskedInput = decode(&honest.body).unwrap();
        change(&mut input);
        kit.sign(&header(&kit), Stage::Mask, BOB, encode(&input))
    };
    let chunks = |got| SiteFault::Chunks {
        site: BOB,
        got,
        want: 3,
    };
    let mut refusal = |change| play.round.accept(Stage::Mask, changed(change)).unwrap_err();
    assert_eq!(refusal(|input| input.chunks.truncate(2)), chunks(2));
    assert_eq!(refusal(|input| input.chunks.clear()), chunks(0));
    assert_eq!(
        refusal(|input| input.chunks.push(ChunkDigest([0; 32]))),
        chunks(4)
    );
    let weak = refusal(|input| input.encapsulated.0 = [0; 32]);
    let error = CannotOpen;
    assert_eq!(weak, SiteFault::Seal { site: BOB, error });
    play.round.accept(Stage::Mask, honest).unwrap();
}

/// What Bob gets for chunks that he announces rightly, but that hold something else than his masked vector.
fn sealed(kit: &TestStudy, texts: &[Vec<u8>], by: SiteId, number: Digest) -> SiteFault {
    let mut play = masking(kit);
    let before = play.round.to_bytes();
    let (signed, chunks) = forged(kit, texts, by, number);
    play.round.accept(Stage::Mask, signed).unwrap();
    let announced = play.round.to_bytes();
    let fault = complete(&mut play, &chunks).unwrap_err();
    assert_eq!(play.round.to_bytes(), announced, "nothing is added");
    assert_ne!(announced, before);
    fault
}

/// Bob's announcement of these texts, sealed for site `by` in the round whose header has this digest.
fn forged(kit: &TestStudy, texts: &[Vec<u8>], by: SiteId, round: Digest) -> (Signed, Vec<Vec<u8>>) {
    let associated = [round.0.as_slice(), &by.0.to_be_bytes()].concat();
    let key = kit.study.manifest().aggregation.key;
    let sender = Sender::new(&key, b"wardround/1 masked input", &Seed::new([3; 32])).unwrap();
    let seal = |(number, text): (u32, &Vec<u8>)| sender.seal(number, &associated, text.clone());
    let chunks: Vec<Vec<u8>> = (0..).zip(texts).map(seal).collect();
    let input = MaskedInput {
        encapsulated: sender.encapsulated(),
        sharers: sites_digest(&kit.study.sites().collect::<Vec<_>>()),
        commitment: Digest([0; 32]),
        chunks: chunks.iter().map(|chunk| ChunkDigest::of(chunk)).collect(),
    };
    let signed = kit.sign(&header(kit), Stage::Mask, BOB, encode(&input));
    (signed, chunks)
}

/// A vector of fives, packed in chunks.
fn fives(kit: &TestStudy) -> Vec<Vec<u8>> {
    let layout = kit.study.layout(Purpose::Train);
    let vector = vec![5; layout.length()];
    let chunks = vector.chunks(ENTRIES);
    chunks
        .map(|entries| pack(entries, layout.modulus_bits))
        .collect()
}

#[test]
fn what_is_not_sealed_to_this_aggregator_by_this_site_for_this_round_is_not_added() {
    let kit = kit();
    let seal = SiteFault::Seal {
        site: BOB,
        error: CannotOpen,
    };
    let texts = fives(&kit);
    let here = header(&kit).digest();
    assert_eq!(sealed(&kit, &texts, ALICE, here), seal);
    let other = kit.header(6, Purpose::Train).digest();
    assert_eq!(sealed(&kit, &texts, BOB, other), seal);

    // Alice's vector under Bob's name: he signs her digests, and cannot make them his.
    let mut play = masking(&kit);
    let alices = play.message(ALICE).unwrap();
    let copied = kit.sign(&header(&kit), Stage::Mask, BOB, alices.body.to_vec());
    play.round.accept(Stage::Mask, copied).unwrap();
    let chunks: Vec<_> = play.sites[0].chunks().collect();
    assert_eq!(complete(&mut play, &chunks), Err(seal.clone()));

    // The right chunks, in another order than they were sealed in.
    let mut play = masking(&kit);
    let (signed, mut chunks) = forged(&kit, &texts, BOB, here);
    let mut input: MaskedInput = decode(&signed.body).unwrap();
    input.chunks.swap(0, 1);
    chunks.swap(0, 1);
    let signed = kit.sign(&header(&kit), Stage::Mask, BOB, encode(&input));
    play.round.accept(Stage::Mask, signed).unwrap();
    let before = play.round.to_bytes();
    assert_eq!(complete(&mut play, &chunks), Err(seal));
    assert_eq!(play.round.to_bytes(), before);
}

#[test]
fn padding_in_the_last_chunk_adds_nothing_of_the_others() {
    let kit = kit();
    let layout = kit.study.layout(Purpose::Train);
    let used = layout.length() * usize::try_from(layout.modulus_bits).unwrap() % 8;
    assert_ne!(used, 0, "the test wants a layout with padding");
    let mut texts = fives(&kit);
    *texts[2].last_mut().unwrap() |= 0x80;
    let error = PackError::Padding;
    assert_eq!(
        sealed(&kit, &texts, BOB, header(&kit).digest()),
        SiteFault::Vector { site: BOB, error }
    );
}

/// Bob announces a digest that no chunk of his has: he cannot finish, and drops out.
#[test]
fn a_wrong_digest_that_was_signed_is_a_site_that_drops_out() {
    let kit = kit();
    let mut play = masking(&kit);
    let honest = play.message(BOB).unwrap();
    let mut input: MaskedInput = decode(&honest.body).unwrap();
    input.chunks[1].0[5] ^= 1;
    let wrong = kit.sign(&header(&kit), Stage::Mask, BOB, encode(&input));
    play.round.accept(Stage::Mask, wrong).unwrap();
    let digest = fault(ChunkError::Digest { number: 1 });
    assert_eq!(play.upload(BOB), Err(digest.clone()));
    let chunks: Vec<_> = play.sites[1].chunks().collect();
    assert_eq!(complete(&mut play, &chunks), Err(digest));
    play.stage(&Dropouts::from([(BOB, Stage::Mask)]), Storage::Memory)
        .unwrap();
    assert_eq!(play.round.missing(), [BOB]);
    play.next_stage();
    assert_eq!(play.round.survivors().unwrap().sites, [0, 2, 3].map(SiteId));
}

/// Bob sends a vector of the right length that is not masked as agreed: the sum is noise, and is refused.
#[test]
fn a_sum_out_of_range_is_refused() {
    let kit = kit();
    let mut play = masking(&kit);
    // Bob's honest part goes on with the round.
    let _ = play.message(BOB).unwrap();
    let (signed, chunks) = forged(&kit, &fives(&kit), BOB, header(&kit).digest());
    play.round.accept(Stage::Mask, signed).unwrap();
    complete(&mut play, &chunks).unwrap();
    play.honest_until(Stage::Unmask);
    play.stage(&Dropouts::new(), Storage::Memory).unwrap();
    let Err(Abandoned::Sum(SumError::OutOfRange { survivors: 4, .. })) = play.close() else {
        panic!("a sum of noise is out of range")
    };
}

#[test]
fn a_round_is_restored_between_an_announcement_and_its_chunks() {
    let kit = kit();
    let mut play = masking(&kit);
    let (_, chunks) = bobs(&mut play);
    let stored = play.round.to_bytes();
    play.round = AnyRound::from_bytes(kit.aggregator(), &stored).unwrap();
    assert_eq!(play.round.to_bytes(), stored);
    finishes(play, &chunks);
}

/// What Alice commits to where her session has this seed and she trained on these patients from this state.
fn commitment(kit: &TestStudy, seed: u8, cohorts: &[&[u8]], state: u8) -> Digest {
    let mut header = kit.header(7, Purpose::Evaluate);
    header.state = Digest([state; 32]);
    let begin = |site: SiteId| {
        let own = if site == ALICE { seed } else { 0 };
        let seed = Seed::new(Digest::of(&[own, site.0.to_be_bytes()[1]]).0);
        let (body, next) = Advertising::begin(&kit.study, header.clone(), site, &seed).unwrap();
        (kit.sign(&header, Stage::Advertise, site, body), next)
    };
    let (adverts, sites): (Vec<_>, Vec<_>) = (0..SITES).map(SiteId).map(begin).unzip();
    let mut masking = None;
    let mut shares = Vec::new();
    for (site, sharing) in (0..SITES).map(SiteId).zip(sites) {
        let (body, next) = sharing.share(&adverts).unwrap();
        if site == ALICE {
            masking = Some(next);
            continue;
        }
        let mut sent: Shares = decode(&body).unwrap();
        // The first recipient is Alice.
        sent.sealed[0].site = site;
        shares.push(sent.sealed.swap_remove(0));
    }
    let vector = vec![0; kit.study.layout(Purpose::Evaluate).length()];
    let inputs = InputsDigest::of(cohorts.iter().copied());
    let sharers = kit.study.sites().collect();
    let (body, _, _) = masking
        .unwrap()
        .mask(&Inbox { shares, sharers }, &vector, &inputs)
        .unwrap();
    decode::<MaskedInput>(&body).unwrap().commitment
}

#[test]
fn an_announcement_commits_to_patients_state_and_seed() {
    let kit = kit();
    let commitments = [
        commitment(&kit, 1, &[b"patients"], 1),
        commitment(&kit, 1, &[b"patient", b"s"], 1),
        commitment(&kit, 1, &[b"s", b"patient"], 1),
        commitment(&kit, 1, &[], 1),
        commitment(&kit, 1, &[b"patients"], 2),
        commitment(&kit, 2, &[b"patients"], 1),
    ];
    for (place, one) in commitments.iter().enumerate() {
        assert!(!commitments[..place].contains(one), "{place}");
    }
    assert_eq!(commitments[0], commitment(&kit, 1, &[b"patients"], 1));
}

#[test]
fn an_announcement_names_its_chunks_and_the_sites_that_share() {
    let kit = kit();
    let mut play = masking(&kit);
    let input: MaskedInput = decode(&play.message(ALICE).unwrap().body).unwrap();
    let everyone: Vec<SiteId> = (0..SITES).map(SiteId).collect();
    assert_eq!(input.sharers, sites_digest(&everyone));
    // CBOR by hand: an array of four numbers.
    assert_eq!(input.sharers, Digest::of(&[0x84, 0, 1, 2, 3]));

    let chunks: Vec<Vec<u8>> = play.sites[0].chunks().collect();
    let digests: Vec<ChunkDigest> = chunks.iter().map(|chunk| ChunkDigest::of(chunk)).collect();
    assert_eq!(input.chunks, digests);
    assert_eq!(chunking(&kit).largest(), chunks[0].len());
}
