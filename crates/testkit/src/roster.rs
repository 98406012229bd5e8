//! Rosters of sites whose keys and nonces are made from fixed seeds.

use std::fmt::Write as _;

use protocol::id::Digest;
use protocol::identity::Identity;
use protocol::lottery::{Entry, RollCall, SecretNonce};

/// Whether the members of a roster have lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lots {
    /// None has one.
    None,
    /// All have revealed theirs, for exactly this roster.
    Revealed,
}

/// `[[roster]]` tables of sites with these names and identities, as `aggregator roster` prints them.
///
/// # Panics
///
/// On a name or an identity that appears twice, where there are lots.
#[must_use]
pub fn roster(sites: &[(String, &Identity)], lots: Lots) -> String {
    let entries = sites.iter().map(|(name, identity)| Entry {
        name: name.clone(),
        key: identity.key(),
        commitment: nonce(identity).commitment(&identity.key()),
    });
    let list = (lots == Lots::Revealed)
        .then(|| RollCall::new(entries.collect()).expect("each site is there once"));
    let mut toml = String::new();
    for (name, identity) in sites {
        let key = identity.key();
        write!(toml, "\n[[roster]]\nname = \"{name}\"\nkey = \"{key}\"\n")
            .expect("writing into a string cannot fail");
        if let Some(list) = &list {
            let lot = nonce(identity).reveal(list, identity);
            let (nonce, signature) = (lot.nonce, lot.signature);
            writeln!(
                toml,
                "lot = {{ nonce = \"{nonce}\", signature = \"{signature}\" }}"
            )
            .expect("writing into a string cannot fail");
        }
    }
    toml
}

/// The nonce of a site: its own, whatever else is in the roster.
#[must_use]
pub fn nonce(identity: &Identity) -> SecretNonce {
    let words = format!("nonce of {}", identity.key());
    SecretNonce::new(Digest::of(words.as_bytes()).0)
}
