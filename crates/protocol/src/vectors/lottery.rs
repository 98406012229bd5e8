//! The lottery of who takes part (section 10), by the formulas of the page, compared with what the code makes.

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::compare;
use crate::codec;
use crate::id::{Digest, Nonce, SiteId};
use crate::identity::Identity;
use crate::lottery::{Entry, Lot, Lottery, RollCall, SecretNonce};

/// Sites on the list.
const SITES: u16 = 5;
/// Sites of a round.
const DRAWN: u16 = 3;

#[test]
fn a_lottery_of_five_sites() {
    let identities: Vec<Identity> = (0..SITES)
        .map(|site| Identity::from_seed(&of("identity", site)))
        .collect();
    let nonces: Vec<[u8; 32]> = (0..SITES).map(|site| of("nonce", site)).collect();
    let entry = |(site, (identity, nonce)): (u16, (&Identity, &[u8; 32]))| Entry {
        name: format!("Hospital {site}"),
        key: identity.key(),
        commitment: Digest(sha256(&[b"wardround/1 nonce", &identity.key().0, nonce])),
    };
    let entries = (0..).zip(identities.iter().zip(&nonces)).map(entry);
    let list = RollCall::new(entries.collect()).unwrap();
    let sites = list.entries().iter().zip(identities.iter().zip(&nonces));
    let sites = sites.map(|(entry, (identity, nonce))| site(&list, entry, identity, *nonce));
    let vectors = json!({
        "sites": sites.collect::<Vec<_>>(),
        "roll call": hex::encode(codec::encode(&list)),
        "list": list.digest().to_string(),
        "drawn of a round": DRAWN,
        "draws": draws(&nonces),
    });
    compare("lottery.json", &vectors);
}

fn site(list: &RollCall, entry: &Entry, identity: &Identity, nonce: [u8; 32]) -> Value {
    let lot = SecretNonce::new(nonce).reveal(list, identity);
    assert_eq!(lot.nonce.commitment(&entry.key), entry.commitment);
    let signed = [b"wardround/1 roll call".as_slice(), &list.digest().0].concat();
    assert_eq!(lot.signature.0, identity.sign(&signed));
    assert!(lot.is_by(&entry.key, list.digest()));
    assert_eq!(signed, Lot::bytes_to_sign(list.digest()));
    json!({
        "name": entry.name,
        "key": entry.key.to_string(),
        "nonce": hex::encode(nonce),
        "commitment": entry.commitment.to_string(),
        "signature": lot.signature.to_string(),
    })
}

fn draws(nonces: &[[u8; 32]]) -> Vec<Value> {
    let lottery = Lottery::of(nonces.iter().copied().map(Nonce));
    let all = sha256(&[b"wardround/1 lottery", &nonces.concat()]);
    let draw = |place: u32| {
        let ticket = |site: u16| {
            let (place, site) = (place.to_be_bytes(), site.to_be_bytes());
            sha256(&[b"wardround/1 participants", &all, &place, &site])
        };
        let mut order: Vec<u16> = (0..SITES).collect();
        order.sort_by_key(|site| ticket(*site));
        let mut drawn = order[..usize::from(DRAWN)].to_vec();
        drawn.sort_unstable();
        let sites = lottery.draw(place, (0..SITES).map(SiteId), DRAWN);
        assert_eq!(sites.iter().map(|site| site.0).collect::<Vec<_>>(), drawn);
        json!({
            "place": place,
            "tickets": (0..SITES).map(|site| hex::encode(ticket(site))).collect::<Vec<_>>(),
            "sites": drawn,
        })
    };
    [0, 1, 2, 70_000].map(draw).to_vec()
}

/// 32 bytes of a site, which nobody has chosen.
fn of(what: &str, site: u16) -> [u8; 32] {
    sha256(&[format!("{what} of site {site}").as_bytes()])
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    digest(&SHA256, &parts.concat())
        .as_ref()
        .try_into()
        .unwrap()
}
