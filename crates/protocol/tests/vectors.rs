//! Whole rounds as numbers: what another implementation of `docs/PROTOCOL.md` must make of the same seeds, and refuse.
//!
//! `cargo xtask vectors` writes them anew. The steps of the first round and its primitives are in `src/vectors.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use protocol::api::Stage;
use protocol::codec::{decode, encode};
use protocol::id::{AgreementKey, ChunkDigest, Digest, Header, Purpose, SiteId};
use protocol::message::{Advert, Agreement, MaskedInput, Opening, Shares, Signed};
use protocol::study::Crowd;
use serde_json::{Value, json};
use testkit::round::{Next, Play};
use testkit::{Draft, FakeSite, TestStudy};

fn compare(name: &str, vectors: &Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    testkit::vectors::compare(&folder.join(name), &format!("{vectors:#}\n"));
}

/// A study with noise of which parts go off the sum, of a few sites.
fn noised() -> TestStudy {
    Draft {
        epsilon: 1.0,
        fraction_bits: 16,
        patients_per_site: 100,
        title: "vectors of a round",
        ..Draft::default()
    }
    .make()
}

fn vectors(kit: &TestStudy) -> Vec<Vec<i64>> {
    let length = kit.study.layout(Purpose::Train).length();
    let length = i64::try_from(length).unwrap();
    let of = |site: SiteId| {
        (0..length)
            .map(|entry| 100 * i64::from(site.0) - entry)
            .collect()
    };
    kit.study.sites().map(of).collect()
}

/// How a message stands in the file.
type Written = fn(&[u8]) -> String;

/// A round in which the last site drops out before its masked input.
fn played(kit: &TestStudy, written: Written) -> Value {
    let header = kit.header(7, Purpose::Train);
    let vectors = vectors(kit);
    let mut play = Play::new(kit, &header, &vectors);
    let last = SiteId(u16::try_from(vectors.len()).unwrap() - 1);
    let mut stages = Vec::new();
    loop {
        let stage = play.round.stage();
        let mut messages = Vec::new();
        let mut chunks = Vec::new();
        for site in play.round.missing() {
            if site == last && stage >= Stage::Mask {
                continue;
            }
            let signed = play.message(site).unwrap();
            messages.push(written(&encode(&signed)));
            play.round.accept(stage, signed).unwrap();
            if stage == Stage::Mask {
                let own: Vec<Vec<u8>> = play.sites[usize::from(site.0)].chunks().collect();
                chunks.push(own.iter().map(|chunk| written(chunk)).collect::<Vec<_>>());
                play.upload(site).unwrap();
            }
        }
        stages.push(json!({ "stage": stage.name(), "signed": messages, "chunks": chunks }));
        match play.close().unwrap() {
            Next::Stage(next) => play = *next,
            Next::Sum(sum) => {
                let survivors: Vec<u16> = sum.survivors.iter().map(|site| site.0).collect();
                return json!({
                    "study": kit.toml,
                    "header": hex::encode(encode(&header)),
                    "sites": sites(kit, &header, &vectors),
                    "stages": stages,
                    "survivors": survivors,
                    "sum": sum.values,
                });
            }
        }
    }
}

fn sites(kit: &TestStudy, header: &Header, vectors: &[Vec<i64>]) -> Vec<Value> {
    let site = |(site, vector): (SiteId, &Vec<i64>)| {
        json!({
            "site": site.0,
            "seed": FakeSite::session_seed(header, site).to_string(),
            "cohort": hex::encode(format!("patients of site {site}")),
            "vector": vector,
        })
    };
    kit.study.sites().zip(vectors).map(site).collect()
}

#[test]
fn a_round_of_all_neighbours() {
    let round = played(&noised(), |bytes| hex::encode(bytes));
    compare("round.json", &round);
}

/// On the sparse graph; messages as their SHA-256, or the file would be long.
#[test]
fn a_round_on_a_graph() {
    let crowd = Crowd {
        sites: 40,
        agreeing: 36,
        dishonest: 1,
    };
    let kit = Draft {
        sites: crowd.sites,
        threshold: crowd.agreeing,
        honest_survivors: crowd.agreeing - crowd.dishonest,
        graph: Some(crowd.least().unwrap()),
        title: "vectors of a round on a graph",
        ..Draft::default()
    }
    .make();
    let round = played(&kit, |bytes| Digest::of(bytes).to_string());
    compare("round-on-a-graph.json", &round);
}

/// Messages that the aggregator must refuse, each at its stage of the round in `round.json`, with what it says.
#[test]
fn messages_that_are_refused() {
    let kit = noised();
    let header = kit.header(7, Purpose::Train);
    let mut cases = Vec::new();
    for stage in Stage::ALL {
        let mut play = Play::new(&kit, &header, &vectors(&kit));
        play.honest_until(stage);
        let honest = play.message(SiteId(1)).unwrap();
        for (case, signed) in bad(&kit, &header, stage, &honest) {
            let before = play.round.to_bytes();
            let refusal = play.round.accept(stage, signed.clone()).unwrap_err();
            assert_eq!(
                play.round.to_bytes(),
                before,
                "{case} leaves nothing behind"
            );
            cases.push(json!({
                "stage": stage.name(),
                "case": case,
                "signed": hex::encode(encode(&signed)),
                "refusal": refusal.to_string(),
            }));
        }
    }
    compare("refused.json", &json!(cases));
}

/// Ways to spoil a message.
fn bad(
    kit: &TestStudy,
    header: &Header,
    stage: Stage,
    honest: &Signed,
) -> Vec<(&'static str, Signed)> {
    let sign = |body: Vec<u8>| kit.sign(header, stage, honest.site, body);
    let resigned = |round: &Header| kit.sign(round, stage, honest.site, honest.body.to_vec());
    let mut flipped = honest.clone();
    flipped.signature[5] ^= 0x10;
    let mut renamed = honest.clone();
    renamed.site = SiteId(2);
    let mut stranger = honest.clone();
    stranger.site = SiteId(99);
    let other_state = Header {
        state: Digest([9; 32]),
        ..header.clone()
    };
    // The length of the first array in two bytes instead of one.
    let long_form = [&[0x98, honest.body[0] & 0x1f], &honest.body[1..]].concat();
    let mut bad = vec![
        ("a flipped bit of the signature", flipped),
        ("another site's name", renamed),
        ("a site outside of the roster", stranger),
        ("of another round", resigned(&kit.header(8, Purpose::Train))),
        ("of another state", resigned(&other_state)),
        ("an empty body", sign(Vec::new())),
        (
            "a body that is cut",
            sign(honest.body[..honest.body.len() - 1].to_vec()),
        ),
        (
            "a body with a byte more",
            sign([honest.body.as_slice(), &[0]].concat()),
        ),
        ("a body that is not canonical", sign(long_form)),
    ];
    bad.extend(spoiled(stage, honest).map(|(case, body)| (case, sign(body))));
    bad
}

/// Bodies that are well-formed, and wrong.
fn spoiled(stage: Stage, honest: &Signed) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let body = honest.body.as_slice();
    let bodies = match stage {
        Stage::Advertise => {
            let honest: Advert = decode(body).unwrap();
            let weak = |key| {
                encode(&Advert {
                    mask_key: AgreementKey(key),
                    ..honest
                })
            };
            let mut order_8 = [0; 32];
            hex::decode_to_slice(
                "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                &mut order_8,
            )
            .unwrap();
            vec![
                ("a key of order 4", weak([0; 32])),
                ("a key of order 8", weak(order_8)),
                ("a key that is not canonical", weak([0xff; 32])),
                ("one key twice", weak(honest.cipher_key.0)),
            ]
        }
        Stage::Share => {
            let changed = |change: fn(&mut Shares)| {
                let mut shares: Shares = decode(body).unwrap();
                change(&mut shares);
                encode(&shares)
            };
            vec![
                (
                    "a recipient too few",
                    changed(|shares| shares.sealed.truncate(3)),
                ),
                (
                    "recipients out of order",
                    changed(|shares| shares.sealed.swap(0, 1)),
                ),
                (
                    "a share that is too short",
                    changed(|shares| shares.sealed[0].bytes.truncate(9)),
                ),
                (
                    "a commitment too few",
                    changed(|shares| shares.commitments.shares.truncate(4)),
                ),
                (
                    "no commitment to noise",
                    changed(|shares| shares.commitments.noise.clear()),
                ),
            ]
        }
        Stage::Mask => {
            let changed = |change: fn(&mut MaskedInput)| {
                let mut input: MaskedInput = decode(body).unwrap();
                change(&mut input);
                encode(&input)
            };
            vec![
                (
                    "a weak key of the seal",
                    changed(|input| input.encapsulated.0 = [0; 32]),
                ),
                (
                    "other sharers",
                    changed(|input| input.sharers = Digest([0; 32])),
                ),
                (
                    "a chunk too many",
                    changed(|input| input.chunks.push(ChunkDigest([0; 32]))),
                ),
                ("no chunks", changed(|input| input.chunks.clear())),
            ]
        }
        Stage::Agree => {
            let others = Agreement::on(&[SiteId(0), SiteId(1), SiteId(2)].into());
            vec![("other survivors", encode(&others))]
        }
        Stage::Unmask => {
            let changed = |change: fn(&mut Opening)| {
                let mut opening: Opening = decode(body).unwrap();
                change(&mut opening);
                encode(&opening)
            };
            vec![
                (
                    "a share too few",
                    changed(|opening| opening.seeds.truncate(2)),
                ),
                (
                    "a share twice",
                    changed(|opening| opening.seeds[1] = opening.seeds[0].clone()),
                ),
                (
                    "both secrets of a site",
                    changed(|opening| opening.keys.push(opening.seeds[0].clone())),
                ),
                (
                    "no share of noise",
                    changed(|opening| opening.noise.clear()),
                ),
            ]
        }
    };
    bodies.into_iter()
}
