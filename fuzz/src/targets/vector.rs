//! Masked vectors on their way: chunks, seals, packed entries.

use protocol::agreement::Secret;
use protocol::hpke::{Recipient, Sender};
use protocol::id::{AgreementKey, SiteId};
use protocol::pack::{Packed, pack, packed_length};
use protocol::round::{Accepted, AnyRound, SiteFault};
use protocol::seed::Seed;

use super::play::{announced, kit};
use super::{choose, chosen};

/// A chunk as the aggregator gets it: a byte for the site, one for the number, then the sealed entries. It is the one that
/// the site announced, or is refused and changes nothing.
pub(crate) fn chunk(input: &[u8]) {
    let [site, number, sealed @ ..] = input else {
        return;
    };
    let (kit, stored) = (kit(), &announced().round);
    let round = || AnyRound::from_bytes(kit.aggregator(), stored);
    let mut round = round().expect("what was stored can be restored");
    let site = SiteId(u16::from(*site));
    let checked = round.check_chunk(site, u32::from(*number), sealed);
    let completed: Result<Accepted, SiteFault> = round.complete(site, [Ok(sealed.to_vec())]);
    match completed {
        Ok(_) => assert!(announced().chunks.iter().any(|chunk| chunk == sealed)),
        Err(_) => assert_eq!(round.to_bytes(), *stored, "a refusal changes nothing"),
    }
    assert!(
        checked.is_err() || completed.is_ok(),
        "the vector has one chunk"
    );
}

pub(crate) fn chunks() -> Vec<Vec<u8>> {
    let chunks = announced().chunks.iter().enumerate();
    chunks
        .map(|(site, chunk)| choose(site, &choose(0, chunk)))
        .collect()
}

/// Bits of an entry and padding in the first two bytes, then packed entries; what is taken is packed into the same
/// bytes.
pub(crate) fn packed(input: &[u8]) {
    let [bits, short, bytes @ ..] = input else {
        return;
    };
    let bits = u32::from(*bits) % 32 + 1;
    let most = bytes.len() * 8 / usize::try_from(bits).expect("at most 32");
    let count = most.saturating_sub(usize::from(*short));
    if let Ok(packed) = Packed::parse(bytes, count, bits) {
        let mut entries = vec![0; count];
        packed.add_to(&mut entries);
        assert_eq!(pack(&entries, bits), bytes, "a second form of a vector");
    } else {
        assert!(
            bytes.len() != packed_length(count, bits) || bytes.last().is_some_and(|last| *last > 0)
        );
    }
}

pub(crate) fn packed_vectors() -> Vec<Vec<u8>> {
    let entries: Vec<u32> = (0..40).collect();
    let packed = |bits: u32| {
        let bytes = pack(&entries, bits);
        let most = bytes.len() * 8 / usize::try_from(bits).expect("at most 32");
        let choice = usize::try_from(bits - 1).expect("at most 32");
        choose(choice, &choose(most - entries.len(), &bytes))
    };
    [1, 7, 19, 32].map(packed).into()
}

/// A sealed message: which `info`, the encapsulated key, then the ciphertext.
pub(crate) fn sealed(input: &[u8]) {
    let Some((info, rest)) = chosen(&INFOS, input) else {
        return;
    };
    let Some((key, sealed)) = rest.split_first_chunk() else {
        return;
    };
    let Ok(recipient) = Recipient::new(&secret(), &AgreementKey(*key), info) else {
        return;
    };
    if let Ok(text) = recipient.open(0, b"", sealed.to_vec()) {
        assert_eq!(text.len() + TAG, sealed.len(), "a tag is all that is added");
    }
}

pub(crate) fn sealed_messages() -> Vec<Vec<u8>> {
    let seal = |(place, info): (usize, &&[u8])| {
        let sender = Sender::new(&secret().public(), info, &Seed::new([1; 32]));
        let sender = sender.expect("the recipient's key is no weak one");
        let sealed = sender.seal(0, b"", b"a text".to_vec());
        choose(place, &[&sender.encapsulated().0[..], &sealed].concat())
    };
    INFOS.iter().enumerate().map(seal).collect()
}

fn secret() -> Secret {
    Secret::new([7; 32])
}

const INFOS: [&[u8]; 2] = [b"", b"wardround"];
const TAG: usize = 16;
