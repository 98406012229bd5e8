//! Each secret, key and vector of the round in `round.json`.
//!
//! They are derived here once more as sections 2, 3, 6 and 7 of the page write them, and compared with the messages of the
//! round: page, code and file say the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::played::{Given, Played, encoded};
use super::{compare, key, mask};
use crate::agreement::Secret;
use crate::cipher;
use crate::codec::decode;
use crate::hpke::Sender;
use crate::id::{Digest, SiteId};
use crate::message::{Advert, Agreement, Bundle, MaskedInput, Shares, sites_digest};
use crate::noise::Chain;
use crate::pack::{low_bits, pack};
use crate::roll::Roll;
use crate::seed::Seed;
use crate::shamir::{self, Share};
use crate::study::Layout;

/// The page's names of what all sites know.
struct Common {
    round: Played,
    roll: Roll,
    binding: [u8; 32],
    layout: Layout,
}

/// The secrets of a site.
struct Secrets {
    cipher: Secret,
    mask: Secret,
    /// `b`.
    self_mask: [u8; 32],
    /// `K_1`, `K_2`, …
    noise: Vec<[u8; 32]>,
}

#[test]
fn keys_of_a_round_are_those_of_the_page() {
    let common = Common::new(Played::read("round.json"));
    let Common {
        round,
        roll,
        binding,
        layout,
    } = &common;
    let all: Vec<SiteId> = round.sites.iter().map(|given| given.site).collect();
    let survivors = round.survivors();
    let of_agreement: Agreement = decode(&round.bodies(3)[&survivors[0]]).unwrap();
    assert_eq!(of_agreement.survivors, sites_digest(&survivors));
    let sites: Vec<Value> = round.sites.iter().map(|given| common.site(given)).collect();
    let vectors = json!({
        "header": { "cbor": encoded(&round.header), "round": round.header.digest().to_string() },
        "roll": { "cbor": encoded(roll), "digest": Digest::of(&crate::codec::encode(roll)).to_string() },
        "binding": hex::encode(binding),
        "modulus bits": layout.modulus_bits,
        "sharers": digested(&all),
        "survivors": digested(&survivors),
        "part of noise whose key is opened": layout.parts_off(survivors.len()),
        "sites": sites,
    });
    compare("keys.json", &vectors);
}

fn digested(sites: &[SiteId]) -> Value {
    let numbers: Vec<u16> = sites.iter().map(|site| site.0).collect();
    json!({ "sites": numbers, "cbor": encoded(&sites.to_vec()), "digest": sites_digest(sites).to_string() })
}

impl Common {
    fn new(round: Played) -> Self {
        let roll = round.roll();
        let of_roll = Digest::of(&crate::codec::encode(&roll));
        let bound = [
            b"wardround/1 roll".as_slice(),
            &round.header.digest().0,
            &of_roll.0,
        ];
        Self {
            binding: Digest::of(&bound.concat()).0,
            layout: round.study.layout(round.header.purpose),
            roll,
            round,
        }
    }

    fn route(&self, from: SiteId, to: SiteId) -> Vec<u8> {
        [
            self.binding.as_slice(),
            &from.0.to_be_bytes(),
            &to.0.to_be_bytes(),
        ]
        .concat()
    }

    fn site(&self, given: &Given) -> Value {
        let own = given.site;
        let advert: Advert = decode(&self.round.bodies(0)[&own]).unwrap();
        assert_eq!(self.roll.get(own), Some(&advert));
        let secrets = self.secrets(given);
        let mut site = json!({
            "site": own.0,
            "cipher key": key_pair(&secrets.cipher),
            "mask key": key_pair(&secrets.mask),
            "self mask": self.self_mask(own, &secrets),
            "noise": self.noise(own, &secrets),
            "shares": self.shares(given, &secrets),
            "pairs": self.pairs(own, &secrets),
        });
        if let Some(sealed) = self.round.chunks().get(&own) {
            site["masked input"] = self.masked_input(given, &secrets, sealed);
        }
        site
    }

    /// What the page calls `expand("bound seed", seed, binding ‖ label)`.
    fn bound(&self, given: &Given, label: &str) -> [u8; 32] {
        key(
            "bound seed",
            &given.seed,
            &[&self.binding, label.as_bytes()],
        )
    }

    fn secrets(&self, given: &Given) -> Secrets {
        let mut noise = vec![self.bound(given, "noise")];
        while noise.len() < self.layout.parts() {
            let last = noise[noise.len() - 1];
            noise.push(key("seed", &last, &[b"key of the part below"]));
        }
        noise.reverse();
        Secrets {
            cipher: self.round.secret(given, "cipher key"),
            mask: self.round.secret(given, "mask key"),
            self_mask: self.bound(given, "self mask"),
            noise,
        }
    }

    fn self_mask(&self, own: SiteId, secrets: &Secrets) -> Value {
        let (seed, route) = (secrets.self_mask, self.route(own, own));
        let mask_key = key("self mask", &seed, &[&route]);
        json!({
            "seed": hex::encode(seed),
            "digest": hex::encode(key("self mask commitment", &seed, &[&route])),
            "key": hex::encode(mask_key),
            "first words": mask(&mask_key, 0, 32, 4),
        })
    }

    fn noise(&self, own: SiteId, secrets: &Secrets) -> Vec<Value> {
        let route = self.route(own, own);
        let part = |(part, part_key): (u8, &[u8; 32])| {
            let drawn = |parts: usize| {
                let last = parts.checked_sub(1).map(|last| secrets.noise[last]);
                last.map(|last| {
                    Chain::new(Seed::new(last), parts)
                        .drawn(&self.layout)
                        .to_vec()
                })
                .unwrap_or_else(|| vec![0; self.layout.length()])
            };
            let (with, without) = (drawn(part.into()), drawn(usize::from(part) - 1));
            let entries: Vec<u32> = with
                .iter()
                .zip(without)
                .map(|(with, without)| {
                    with.wrapping_sub(without) & low_bits(self.layout.modulus_bits)
                })
                .collect();
            json!({
                "part": part,
                "key": hex::encode(part_key),
                "digest": hex::encode(key("noise commitment", part_key, &[&route, &[part]])),
                "generator": hex::encode(key("seed", part_key, &[b"part of noise"])),
                "entries": entries,
            })
        };
        (1..).zip(&secrets.noise).map(part).collect()
    }

    fn shares(&self, given: &Given, secrets: &Secrets) -> Value {
        let own = given.site;
        let all: Vec<SiteId> = self.roll.adverts().keys().copied().collect();
        let threshold = self.round.study.threshold(self.round.header.purpose);
        let mut generators = BTreeMap::new();
        let mut split = |secret: &[u8; 32], label: String| {
            let generator = self.bound(given, &label);
            let mut rng = Seed::new(generator).rng();
            generators.insert(label, hex::encode(generator));
            shamir::split(secret, threshold, all.len(), &mut rng).unwrap()
        };
        let seeds = split(&secrets.self_mask, "shares of self mask".to_owned());
        let keys = split(secrets.mask.bytes(), "shares of mask key".to_owned());
        let noise: Vec<Vec<Share>> = (1..)
            .zip(&secrets.noise)
            .map(|(part, key): (u8, _)| split(key, format!("shares of noise {part}")))
            .collect();
        let sent: Shares = decode(&self.round.bodies(1)[&own]).unwrap();
        let holder = |(place, to): (usize, &SiteId)| {
            let bundle = Bundle {
                seed: seeds[place].clone(),
                key: keys[place].clone(),
                noise: noise.iter().map(|shares| shares[place].clone()).collect(),
            };
            let digests = self.share_digests(own, *to, &bundle);
            let published = &sent.commitments.shares[place];
            let published_noise = published.noise.iter().map(ToString::to_string);
            assert_eq!(digests["seed"], published.seed.to_string());
            assert_eq!(digests["key"], published.key.to_string());
            assert_eq!(digests["noise"], json!(published_noise.collect::<Vec<_>>()));
            let mut holder =
                json!({ "holder": to.0, "bundle": encoded(&bundle), "digests": digests });
            if *to != own {
                let sealed = self.bundle(secrets, own, *to, &bundle);
                let sent = sent.sealed.iter().find(|sealed| sealed.site == *to);
                assert_eq!(sealed["sealed"], hex::encode(&*sent.unwrap().bytes));
                holder["to"] = sealed;
            }
            holder
        };
        let holders: Vec<Value> = all.iter().enumerate().map(holder).collect();
        json!({ "threshold": threshold, "generators": generators, "holders": holders })
    }

    fn share_digests(&self, own: SiteId, to: SiteId, bundle: &Bundle) -> Value {
        let route = self.route(own, to);
        let of = |secret: &str, share: &Share, part: &[u8]| {
            let salt = format!("share of {secret} commitment");
            hex::encode(key(&salt, &share.0, &[&route, part]))
        };
        let noise: Vec<String> = (1..)
            .zip(&bundle.noise)
            .map(|(part, share)| of("noise", share, &[part]))
            .collect();
        json!({
            "seed": of("self mask", &bundle.seed, &[]),
            "key": of("mask key", &bundle.key, &[]),
            "noise": noise,
        })
    }

    fn bundle(&self, secrets: &Secrets, own: SiteId, to: SiteId, bundle: &Bundle) -> Value {
        let theirs = &self.roll.get(to).unwrap().cipher_key;
        let (agreed, route) = (secrets.cipher.agree(theirs).unwrap(), self.route(own, to));
        let share_key = key("share", agreed.bytes(), &[&route]);
        let text = crate::codec::encode(bundle);
        json!({
            "agreed": hex::encode(agreed.bytes()),
            "route": hex::encode(&route),
            "key": hex::encode(share_key),
            "sealed": hex::encode(cipher::seal(&share_key, cipher::ONLY_NONCE, &route, text)),
        })
    }

    fn pairs(&self, own: SiteId, secrets: &Secrets) -> Vec<Value> {
        let others = self.roll.adverts().iter().filter(|(site, _)| **site != own);
        let pair = |(other, advert): (&SiteId, &Advert)| {
            let (agreed, pair_key) = self.pair_key(own, secrets, *other, advert);
            json!({
                "other": other.0,
                "agreed": hex::encode(agreed),
                "key": hex::encode(pair_key),
                "sign": if own > *other { "add" } else { "subtract" },
                "first words": mask(&pair_key, 0, 32, 4),
            })
        };
        others.map(pair).collect()
    }

    /// What the two agree on, and the key of their mask.
    fn pair_key(
        &self,
        own: SiteId,
        secrets: &Secrets,
        other: SiteId,
        advert: &Advert,
    ) -> ([u8; 32], [u8; 32]) {
        let agreed = secrets.mask.agree(&advert.mask_key).unwrap();
        let route = self.route(own.min(other), own.max(other));
        (*agreed.bytes(), key("pair mask", agreed.bytes(), &[&route]))
    }

    fn masked_input(&self, given: &Given, secrets: &Secrets, chunk: &[u8]) -> Value {
        let own = given.site;
        let announced: MaskedInput = decode(&self.round.bodies(2)[&own]).unwrap();
        let bits = self.layout.modulus_bits;
        let noised = self.noised(given, secrets);
        let masked = self.masked(own, secrets, &noised);
        let packed = pack(&masked, bits);
        let seed = self.bound(given, "seal to aggregator");
        let sender = Sender::new(
            &self.round.study.manifest().aggregation.key,
            b"wardround/1 masked input",
            &Seed::new(seed),
        )
        .unwrap();
        let associated = [
            self.round.header.digest().0.as_slice(),
            &own.0.to_be_bytes(),
        ]
        .concat();
        assert_eq!(sender.encapsulated(), announced.encapsulated);
        assert_eq!(sender.seal(0, &associated, packed.clone()), chunk);
        let inputs = Digest::of(&Digest::of(&given.cohort).0);
        let of_inputs = [
            self.route(own, own).as_slice(),
            &inputs.0,
            &self.round.header.state.0,
        ]
        .concat();
        let commitment = key("inputs commitment", &given.seed, &[&of_inputs]);
        assert_eq!(commitment, announced.commitment.0);
        json!({
            "noised": noised,
            "masked": masked,
            "packed": hex::encode(packed),
            "seal": {
                "seed": hex::encode(seed),
                "enc": announced.encapsulated.to_string(),
                "associated data": hex::encode(associated),
                "sealed": hex::encode(chunk),
            },
            "inputs": inputs.to_string(),
            "commitment": hex::encode(commitment),
        })
    }

    /// The vector with all parts of its noise, modulo 2^b.
    fn noised(&self, given: &Given, secrets: &Secrets) -> Vec<u32> {
        let low = low_bits(self.layout.modulus_bits);
        let last = *secrets.noise.last().unwrap();
        let noise = Chain::new(Seed::new(last), secrets.noise.len()).drawn(&self.layout);
        let modulo = |value: &i64| u32::try_from(value & i64::from(u32::MAX)).unwrap();
        let entries = given.vector.iter().zip(noise.iter());
        entries
            .map(|(value, noise)| modulo(value).wrapping_add(*noise) & low)
            .collect()
    }

    /// Under the own mask, and one with each other site: all of them shared their secrets.
    fn masked(&self, own: SiteId, secrets: &Secrets, noised: &[u32]) -> Vec<u32> {
        let (bits, low) = (self.layout.modulus_bits, low_bits(self.layout.modulus_bits));
        let own_key = key("self mask", &secrets.self_mask, &[&self.route(own, own)]);
        let mut masked = noised.to_vec();
        let entries = masked.iter_mut().zip(mask(&own_key, 0, bits, noised.len()));
        entries.for_each(|(entry, mask)| *entry = entry.wrapping_add(mask) & low);
        for (other, advert) in self.roll.adverts().iter().filter(|(site, _)| **site != own) {
            let (_, pair_key) = self.pair_key(own, secrets, *other, advert);
            let entries = masked
                .iter_mut()
                .zip(mask(&pair_key, 0, bits, noised.len()));
            entries.for_each(|(entry, mask)| {
                let moved = if own > *other {
                    entry.wrapping_add(mask)
                } else {
                    entry.wrapping_sub(mask)
                };
                *entry = moved & low;
            });
        }
        masked
    }
}

fn key_pair(secret: &Secret) -> Value {
    json!({ "secret": hex::encode(secret.bytes()), "public": secret.public().to_string() })
}
