//! The aggregator's side of a round.

use protocol::api::Stage;
use protocol::id::SiteId;
use protocol::round::{Accepted, AnyRound};

use super::play::{complete, kit, played};
use super::{choose, chosen};

/// A stored round is read back, or refused.
pub(crate) fn restore(input: &[u8]) {
    if let Ok(round) = AnyRound::from_bytes(kit().aggregator(), input) {
        let bytes = round.to_bytes();
        let again = AnyRound::from_bytes(kit().aggregator(), &bytes);
        let again = again.expect("what was stored can be restored");
        assert_eq!(again.to_bytes(), bytes, "a round is stored in one form");
    }
}

pub(crate) fn stored() -> Vec<Vec<u8>> {
    let beginnings = played().iter().map(|at| at.round.to_bytes());
    beginnings.chain([complete().to_bytes()]).collect()
}

/// A body that a site did sign: the round at some stage, the stage of the body, the site, then the body. A refused one
/// leaves the round as it was.
pub(crate) fn accept(input: &[u8]) {
    let Some((at, rest)) = chosen(played(), input) else {
        return;
    };
    let Some((stage, rest)) = chosen(&Stage::ALL, rest) else {
        return;
    };
    let Some((site, body)) = rest.split_first() else {
        return;
    };
    let kit = kit();
    let sites = kit.identities.len();
    let site = u16::try_from(usize::from(*site) % sites).expect("sites are few");
    let before = at.round.to_bytes();
    let restored = AnyRound::from_bytes(kit.aggregator(), &before);
    let mut round = restored.expect("what was stored can be restored");
    let signed = kit.sign(round.header(), *stage, SiteId(site), body.to_vec());
    match round.accept(*stage, signed.clone()) {
        Ok(Accepted::New) => {
            let again = round.accept(*stage, signed);
            assert_eq!(again, Ok(Accepted::Again), "the same message again");
        }
        Ok(Accepted::Again) => {}
        Err(_) => assert_eq!(round.to_bytes(), before, "a refusal changes nothing"),
    }
}

pub(crate) fn signed_bodies() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (place, at) in played().iter().enumerate() {
        for signed in &at.signed {
            let site = usize::from(signed.site.0);
            let stage = choose(place, &choose(site, &signed.body));
            seeds.push(choose(place, &stage));
        }
    }
    seeds
}
