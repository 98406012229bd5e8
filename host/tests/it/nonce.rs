//! A site's nonces: the same until they are revealed, and revealed for one list.

use std::os::unix::fs::PermissionsExt;

use host::nonce::{NonceError, Nonces};
use protocol::id::Digest;
use protocol::identity::Identity;
use protocol::lottery::{Entry, RollCall};

fn anna() -> Identity {
    Identity::from_seed(&[1; 32])
}

fn list(commitment: Digest, others: u8) -> RollCall {
    let mut entries = vec![Entry {
        name: "Anna".to_owned(),
        key: anna().key(),
        commitment,
    }];
    entries.extend((0..others).map(|other| Entry {
        name: format!("Other {other}"),
        key: Identity::from_seed(&[100 + other; 32]).key(),
        commitment: Digest([other; 32]),
    }));
    RollCall::new(entries).unwrap()
}

#[test]
fn a_nonce_is_the_same_until_it_is_revealed_and_another_for_each_token() {
    let folder = tempfile::tempdir().unwrap();
    let nonces = Nonces::under(folder.path());
    let first = nonces.draw("one").unwrap();
    assert_eq!(nonces.draw("one").unwrap().bytes(), first.bytes());
    assert_ne!(nonces.draw("two").unwrap().bytes(), first.bytes());
    assert_ne!(first.bytes(), &[0; 32]);
    for entry in std::fs::read_dir(folder.path().join("nonces")).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let list = list(first.commitment(&anna().key()), 2);
    nonces.reveal(&list, "Anna", &anna()).unwrap();
    assert!(matches!(nonces.draw("one"), Err(NonceError::TokenSpent)));
    assert!(nonces.draw("two").is_ok());
}

#[test]
fn a_nonce_is_revealed_for_one_list_and_for_no_second_one() {
    let folder = tempfile::tempdir().unwrap();
    let nonces = Nonces::under(folder.path());
    let commitment = nonces.draw("one").unwrap().commitment(&anna().key());
    let (closed, other) = (list(commitment, 4), list(commitment, 3));
    let revealed = nonces.reveal(&closed, "Anna", &anna()).unwrap();
    assert!(revealed.lot.is_by(&anna().key(), closed.digest()));
    assert_eq!(revealed.lot.nonce.commitment(&anna().key()), commitment);
    assert!(matches!(
        nonces.reveal(&other, "Anna", &anna()),
        Err(NonceError::OtherList { before, .. }) if before == closed.digest()
    ));
    // The answer was lost, or the program was killed after it wrote: the same again.
    let again = Nonces::under(folder.path()).reveal(&closed, "Anna", &anna());
    assert_eq!(again.unwrap(), revealed);
}

#[test]
fn what_is_not_this_sites_own_entry_is_refused_and_leaves_the_nonce_unrevealed() {
    let folder = tempfile::tempdir().unwrap();
    let nonces = Nonces::under(folder.path());
    let commitment = nonces.draw("one").unwrap().commitment(&anna().key());
    let closed = list(commitment, 2);
    let stranger = Identity::from_seed(&[2; 32]);
    assert!(matches!(
        nonces.reveal(&closed, "Anna", &stranger),
        Err(NonceError::NotListed)
    ));
    assert!(matches!(
        nonces.reveal(&closed, "Anne", &anna()),
        Err(NonceError::OtherName { .. })
    ));
    assert!(matches!(
        nonces.reveal(&list(Digest([7; 32]), 2), "Anna", &anna()),
        Err(NonceError::OtherCommitment(_))
    ));
    // None of these was written down as revealed.
    assert!(nonces.draw("one").is_ok());
    nonces
        .reveal(&list(commitment, 3), "Anna", &anna())
        .unwrap();
}

#[test]
fn a_damaged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let nonces = Nonces::under(folder.path());
    nonces.draw("one").unwrap();
    let entry = std::fs::read_dir(folder.path().join("nonces"))
        .unwrap()
        .next();
    let path = entry.unwrap().unwrap().path();
    std::fs::write(&path, "nonce = \"12\"\n").unwrap();
    assert!(matches!(nonces.draw("one"), Err(NonceError::Damaged(found)) if found == path));
}
