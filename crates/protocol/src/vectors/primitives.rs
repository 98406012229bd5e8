//! Each primitive by itself, with what it refuses. Seeds and secrets are SHA-256 of words, so that nothing is chosen.

use serde_json::{Value, json};

use super::{compare, key, mask};
use crate::agreement::{self, Secret};
use crate::codec;
use crate::hpke::{Recipient, Sender};
use crate::id::{AgreementKey, ChunkDigest, Digest, SiteId};
use crate::identity::Identity;
use crate::pack::{Packed, pack};
use crate::seed::Seed;
use crate::shamir::{self, Place, Share};
use crate::withdrawal::{Cause, Withdrawal};

#[test]
fn primitives_by_themselves() {
    let vectors = json!({
        "expand": expand(),
        "x25519": x25519(),
        "shamir": shamir(),
        "mask": masks(),
        "pack": packs(),
        "hpke": hpke(),
        "chunk": chunks(),
        "withdrawal": withdrawals(),
    });
    compare("primitives.json", &vectors);
}

/// 32 bytes that follow from words.
fn of(words: &str) -> [u8; 32] {
    Digest::of(words.as_bytes()).0
}

/// What is refused, with what is said.
fn refused(case: &str, given: &Value, refusal: &impl ToString) -> Value {
    json!({ "case": case, "given": given, "refusal": refusal.to_string() })
}

fn expand() -> Vec<Value> {
    let long = b"an info of more than one block of SHA-256, which is to say of more than 64 bytes"
        .as_slice();
    let cases = [
        ("seed", b"noise".as_slice()),
        ("seed", b""),
        ("pair mask", long),
    ];
    let case = |(salt, info): (&str, &[u8])| {
        let secret = of("secret");
        json!({
            "salt": format!("wardround/1 {salt}"),
            "secret": hex::encode(secret),
            "info": hex::encode(info),
            "key": hex::encode(key(salt, &secret, &[info])),
        })
    };
    cases.into_iter().map(case).collect()
}

fn x25519() -> Value {
    let (alice, bob) = (Secret::new(of("alice")), Secret::new(of("bob")));
    let agreed = alice.agree(&bob.public()).unwrap();
    assert_eq!(bob.agree(&alice.public()).unwrap().bytes(), agreed.bytes());
    let weak = [
        (
            "order 2",
            "0000000000000000000000000000000000000000000000000000000000000000",
        ),
        (
            "order 4",
            "0100000000000000000000000000000000000000000000000000000000000000",
        ),
        (
            "order 8",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        ),
        (
            "order 8",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        ),
        (
            "order 4 on the twist",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ),
        (
            "not below 2^255 - 19",
            "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ),
        (
            "the unused bit is set",
            "0900000000000000000000000000000000000000000000000000000000000080",
        ),
    ];
    let weak = weak.map(|(case, text)| {
        let error = agreement::check(&text.parse().unwrap()).unwrap_err();
        refused(case, &json!(text), &error)
    });
    json!({
        "good": {
            "secrets": [hex::encode(of("alice")), hex::encode(of("bob"))],
            "public keys": [alice.public().to_string(), bob.public().to_string()],
            "agreed": hex::encode(agreed.bytes()),
        },
        "refused": weak,
    })
}

fn shamir() -> Value {
    let (secret, generator) = (of("secret"), of("generator"));
    let split = |threshold, holders| {
        let mut rng = Seed::new(generator).rng();
        shamir::split(&secret, threshold, holders, &mut rng)
    };
    let shares = split(3, 5).unwrap();
    let at = |places: &[usize], shares: &[Share]| {
        let held: Vec<_> = places
            .iter()
            .map(|place| (Place::new(*place).unwrap(), &shares[*place]))
            .collect();
        shamir::reconstruct(3, &held)
    };
    let put_together = [&[0, 1, 2][..], &[4, 0, 3], &[0, 1, 2, 3, 4]].map(|places| {
        assert_eq!(*at(places, &shares).unwrap(), secret);
        json!({ "places": places, "secret": hex::encode(secret) })
    });
    let mut wrong = shares.clone();
    wrong[1].0[0] ^= 1;
    let of_wrong = at(&[0, 1, 2], &wrong).unwrap();
    assert_ne!(*of_wrong, secret);
    let bad = [
        refused(
            "too few shares",
            &json!({ "places": [0, 1] }),
            &at(&[0, 1], &shares).unwrap_err(),
        ),
        refused(
            "a place twice",
            &json!({ "places": [0, 1, 1] }),
            &at(&[0, 1, 1], &shares).unwrap_err(),
        ),
        refused(
            "a threshold of none",
            &json!({ "threshold": 0, "holders": 5 }),
            &split(0, 5).unwrap_err(),
        ),
        refused(
            "more than all",
            &json!({ "threshold": 6, "holders": 5 }),
            &split(6, 5).unwrap_err(),
        ),
        refused(
            "no more places",
            &json!({ "threshold": 3, "holders": 256 }),
            &split(3, 256).unwrap_err(),
        ),
    ];
    let hexed = |shares: &[Share]| -> Vec<String> {
        shares.iter().map(|share| hex::encode(share.0)).collect()
    };
    json!({
        "good": {
            "secret": hex::encode(secret),
            "generator": hex::encode(generator),
            "threshold": 3,
            "shares": hexed(&shares),
            "put together": put_together,
        },
        "a wrong share gives another secret": {
            "places": [0, 1, 2],
            "shares": hexed(&wrong[..3]),
            "secret": hex::encode(*of_wrong),
        },
        "refused": bad,
    })
}

fn masks() -> Vec<Value> {
    let cases = [(0, 32), (0, 22), (0, 1), (256, 22), (65_536, 22)];
    let case = |(first, bits): (usize, u32)| {
        let key = of("mask");
        json!({
            "key": hex::encode(key),
            "first entry": first,
            "bits": bits,
            "entries": mask(&key, first, bits, 20),
        })
    };
    cases.into_iter().map(case).collect()
}

fn packs() -> Value {
    let entries = mask(&of("entries"), 0, 32, 35);
    let case = |bits: u32| {
        let entries: Vec<u32> = entries.iter().map(|entry| entry >> (32 - bits)).collect();
        let packed = pack(&entries, bits);
        let mut sum = vec![0; entries.len()];
        let parsed = Packed::parse(&packed, entries.len(), bits).unwrap();
        parsed.add_to(&mut sum);
        assert_eq!(sum, entries);
        json!({ "bits": bits, "entries": entries, "packed": hex::encode(packed) })
    };
    let good = [1, 7, 8, 13, 22, 31, 32].map(case);
    let bad = |name: &str, packed: &[u8], count: usize, bits: u32| {
        let error = Packed::parse(packed, count, bits).unwrap_err();
        let packed = hex::encode(packed);
        refused(
            name,
            &json!({ "packed": packed, "entries": count, "bits": bits }),
            &error,
        )
    };
    let refused = [
        bad("padding that is not zero", &[0xff, 0xff, 0x07], 3, 6),
        bad("padding whose last bit is set", &[0x00, 0x80], 1, 15),
        bad("a byte too few", &[0xff, 0xff], 3, 6),
        bad("a byte too many", &[0xff, 0xff, 0x03, 0x00], 3, 6),
    ];
    json!({ "good": good, "refused": refused })
}

/// BLAKE3 of bytes 0, 1, … 250, 0, 1, …, as in the hash's own vectors: within a block, and of more than a leaf.
fn chunks() -> Vec<Value> {
    let case = |length: usize| {
        let bytes: Vec<u8> = (0..=250).cycle().take(length).collect();
        json!({ "length": length, "digest": ChunkDigest::of(&bytes).to_string() })
    };
    [0, 63, 1024, 1025, 102_400].map(case).to_vec()
}

fn hpke() -> Value {
    let (seed, secret) = (of("seed of the seal"), Secret::new(of("recipient")));
    let associated = [of("round").as_slice(), &[0, 7]].concat();
    let sender = Sender::new(&secret.public(), USE, &Seed::new(seed)).unwrap();
    let messages = [(0, b"first".as_slice()), (1, b"second"), (300, b"")];
    let messages = messages.map(|(sequence, text)| {
        json!({
            "sequence": sequence,
            "text": hex::encode(text),
            "sealed": hex::encode(sender.seal(sequence, &associated, text.to_vec())),
        })
    });
    let zero = AgreementKey([0; 32]);
    let weak = Sender::new(&zero, USE, &Seed::new(seed)).unwrap_err();
    json!({
        "good": {
            "recipient": { "secret": hex::encode(secret.bytes()), "public": secret.public().to_string() },
            "seed": hex::encode(seed),
            "enc": sender.encapsulated().to_string(),
            "info": hex::encode(USE),
            "associated data": hex::encode(&associated),
            "messages": messages,
        },
        "the first message is refused with": misplaced(&secret, &sender, &associated),
        "a recipient of small order is refused": weak.to_string(),
    })
}

/// Ways in which the recipient may get the first message, of which none opens it.
fn misplaced(secret: &Secret, sender: &Sender, associated: &[u8]) -> Vec<Value> {
    let (enc, zero) = (sender.encapsulated(), AgreementKey([0; 32]));
    let open = |enc: &AgreementKey, info: &[u8], sequence, associated: &[u8], sealed: &[u8]| {
        let recipient = Recipient::new(secret, enc, info)?;
        recipient.open(sequence, associated, sealed.to_vec())
    };
    let first = sender.seal(0, associated, b"first".to_vec());
    assert_eq!(open(&enc, USE, 0, associated, &first).unwrap(), b"first");
    let mut flipped = first.clone();
    flipped[2] ^= 4;
    let other_site = [of("round").as_slice(), &[0, 8]].concat();
    let cases = [
        ("a flipped bit", open(&enc, USE, 0, associated, &flipped)),
        ("another place", open(&enc, USE, 1, associated, &first)),
        ("another site", open(&enc, USE, 0, &other_site, &first)),
        (
            "another use",
            open(&enc, b"wardround/1 enrol", 0, associated, &first),
        ),
        (
            "a weak encapsulated key",
            open(&zero, USE, 0, associated, &first),
        ),
        (
            "shorter than a tag",
            open(&enc, USE, 0, associated, &first[..15]),
        ),
    ];
    let told = cases
        .map(|(case, opened)| json!({ "case": case, "refusal": opened.unwrap_err().to_string() }));
    told.into()
}

/// Encoded withdrawals of one site.
fn withdrawals() -> Value {
    let (identity, study) = (Identity::from_seed(&of("identity")), Digest(of("study")));
    let sign = |cause| Withdrawal::sign(study, 70_000, SiteId(258), cause, &identity);
    let case = |cause: Cause| {
        let withdrawal = sign(cause);
        assert!(withdrawal.is_by(&identity.key(), study));
        json!({ "cause": cause, "message": hex::encode(codec::encode(&withdrawal)) })
    };
    json!({
        "identity": { "seed": hex::encode(of("identity")), "key": identity.key().to_string() },
        "study": hex::encode(study.0),
        "round": 70_000,
        "site": 258,
        "messages": Cause::ALL.map(case),
    })
}

/// The `info` of the seal to the aggregator.
const USE: &[u8] = b"wardround/1 masked input";
