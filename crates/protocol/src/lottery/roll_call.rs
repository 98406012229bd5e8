//! The list of sites that is closed before any of them reveals its nonce.

use std::collections::BTreeSet;

use minicbor::{Decode, Decoder, Encode, decode};

use crate::codec;
use crate::id::{Digest, IdentityKey};

/// A site on the list.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// Its name, as the study's roster will have it.
    #[n(0)]
    pub name: String,
    /// The key that it signs with.
    #[n(1)]
    pub key: IdentityKey,
    /// What binds it to its nonce ([`crate::id::Nonce::commitment`]).
    #[n(2)]
    pub commitment: Digest,
}

/// The closed list of a roster's sites, in the roster's order: no name and no key is there twice.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
#[cbor(transparent)]
pub struct RollCall(#[n(0)] Vec<Entry>);

impl RollCall {
    /// The list with these entries.
    ///
    /// # Errors
    ///
    /// A name or a key that is there twice; a name with a control character, which could change what people are shown.
    pub fn new(entries: Vec<Entry>) -> Result<Self, RollCallError> {
        let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for Entry { name, key, .. } in &entries {
            if name.chars().any(char::is_control) {
                return Err(RollCallError::Control {
                    name: name.escape_default().to_string(),
                });
            }
            if !names.insert(name) {
                return Err(RollCallError::Name(name.clone()));
            }
            if !keys.insert(key) {
                return Err(RollCallError::Key(*key));
            }
        }
        Ok(Self(entries))
    }

    /// The sites in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The site with this key, if it is on the list.
    #[must_use]
    pub fn entry(&self, key: &IdentityKey) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == *key)
    }

    /// The SHA-256 of the encoded list: what each site on it signs.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&codec::encode(self))
    }
}

impl<'b, C> Decode<'b, C> for RollCall {
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, decode::Error> {
        let entries = Vec::decode(decoder, context)?;
        Self::new(entries).map_err(|error| decode::Error::message(error.to_string()))
    }
}

/// Why entries are not a list of sites.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RollCallError {
    /// A name appears twice.
    #[error("the name {0} appears twice in the list of sites")]
    Name(String),
    /// A key appears twice.
    #[error("the key {0} appears twice in the list of sites")]
    Key(IdentityKey),
    /// A name would change what is shown next to it.
    #[error("the name \"{name}\" has a control character: names are shown to people as they are")]
    Control {
        /// The name, escaped.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, seed: u8) -> Entry {
        Entry {
            name: name.to_owned(),
            key: IdentityKey([seed; 32]),
            commitment: Digest([seed; 32]),
        }
    }

    #[test]
    fn a_list_has_each_site_once_also_where_it_comes_from_a_peer() {
        let (anna, berta) = (entry("Anna", 1), entry("Berta", 2));
        let good = RollCall::new(vec![anna.clone(), berta.clone()]).unwrap();
        assert_eq!(
            codec::decode::<RollCall>(&codec::encode(&good)).unwrap(),
            good
        );
        assert_eq!(good.entry(&IdentityKey([2; 32])), Some(&berta));
        for (second, want) in [
            (entry("Anna", 2), RollCallError::Name("Anna".to_owned())),
            (entry("Berta", 1), RollCallError::Key(IdentityKey([1; 32]))),
        ] {
            let entries = vec![anna.clone(), second];
            assert_eq!(RollCall::new(entries.clone()), Err(want));
            assert!(codec::decode::<RollCall>(&codec::encode(&entries)).is_err());
        }
        let hidden = RollCall::new(vec![entry("An\u{1b}[2Kna", 1)]);
        assert!(matches!(hidden, Err(RollCallError::Control { .. })));
    }

    #[test]
    fn the_digest_is_of_names_keys_commitments_and_their_order() {
        let (anna, berta) = (entry("Anna", 1), entry("Berta", 2));
        let digest = |entries| RollCall::new(entries).unwrap().digest();
        let list = digest(vec![anna.clone(), berta.clone()]);
        assert_ne!(digest(vec![berta.clone(), anna.clone()]), list);
        assert_ne!(digest(vec![anna.clone()]), list);
        assert_ne!(digest(vec![anna.clone(), entry("Bertha", 2)]), list);
        let committed = Entry {
            commitment: Digest([9; 32]),
            ..berta
        };
        assert_ne!(digest(vec![anna, committed]), list);
    }
}
