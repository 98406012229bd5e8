//! A site's nonces for the lottery of who takes part, on disk until they are revealed, and for which list they were.
//!
//! ```text
//! state/nonces/<SHA-256 of the token>.toml    one of each enrolment: nonce, and the list once it is revealed
//! ```
//!
//! A nonce is written before its commitment is sent, and the list before the nonce is: after a crash the same is sent
//! again, and never another. Whoever could have a nonce revealed for two lists would choose between their draws.

use std::fmt;
use std::path::{Path, PathBuf};

use protocol::api::Reveal;
use protocol::id::{Digest, IdentityKey};
use protocol::identity::Identity;
use protocol::lottery::{RollCall, SecretNonce};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::durable::{self, FileError};
use crate::entropy::NoEntropy;

/// The folder of a site's nonces.
#[derive(Clone, Debug)]
pub struct Nonces {
    folder: PathBuf,
}

impl Nonces {
    /// Those under the state folder.
    #[must_use]
    pub fn under(state: &Path) -> Self {
        Self {
            folder: state.join("nonces"),
        }
    }

    /// The nonce of the enrolment with this token: drawn and written where there is none, the same one where the
    /// enrolment is repeated.
    ///
    /// # Errors
    ///
    /// A token whose nonce was revealed; files that cannot be read or written; no randomness.
    pub fn draw(&self, token: &str) -> Result<SecretNonce, NonceError> {
        let path = self.file(token);
        match durable::read(&path) {
            Ok(bytes) => {
                let stored = Stored::parse(&path, bytes)?;
                if stored.revealed_for.is_some() {
                    return Err(NonceError::TokenSpent);
                }
                stored.secret(&path)
            }
            Err(error) if error.is_missing() => self.create(&path),
            Err(error) => Err(error.into()),
        }
    }

    /// Checks that this site is on a closed list as it enrolled, and that its nonce was not revealed for another one.
    ///
    /// # Errors
    ///
    /// A list without this site, with another name of it or with another commitment than it made; a nonce that was revealed
    /// for another list; files that cannot be read.
    pub fn check(
        &self,
        list: &RollCall,
        site: &str,
        identity: &Identity,
    ) -> Result<(), NonceError> {
        self.own(list, site, &identity.key()).map(drop)
    }

    /// What this site reveals for a closed list: the nonce that its entry commits to, signed for the list. That it is for
    /// this list is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// As [`Self::check`], and files that cannot be written.
    pub fn reveal(
        &self,
        list: &RollCall,
        site: &str,
        identity: &Identity,
    ) -> Result<Reveal, NonceError> {
        let key = identity.key();
        let (path, mut stored, nonce) = self.own(list, site, &key)?;
        let digest = list.digest();
        if stored.revealed_for.is_none() {
            stored.revealed_for = Some(digest);
            stored.write(&path)?;
        }
        Ok(Reveal {
            key,
            list: digest,
            lot: nonce.reveal(list, identity),
        })
    }

    /// The nonce that this site's entry on a list commits to, if it may be revealed for that list.
    fn own(
        &self,
        list: &RollCall,
        site: &str,
        key: &IdentityKey,
    ) -> Result<(PathBuf, Stored, SecretNonce), NonceError> {
        let entry = list.entry(key).ok_or(NonceError::NotListed)?;
        if entry.name != site {
            return Err(NonceError::OtherName {
                listed: entry.name.clone(),
                site: site.to_owned(),
            });
        }
        let is_committed = |nonce: &SecretNonce| nonce.commitment(key) == entry.commitment;
        let found = self
            .find(is_committed)?
            .ok_or_else(|| NonceError::OtherCommitment(self.folder.clone()))?;
        let now = list.digest();
        match found.1.revealed_for {
            Some(before) if before != now => Err(NonceError::OtherList { before, now }),
            _ => Ok(found),
        }
    }

    fn file(&self, token: &str) -> PathBuf {
        let name = format!("{}.toml", Digest::of(token.as_bytes()));
        self.folder.join(name)
    }

    fn create(&self, path: &Path) -> Result<SecretNonce, NonceError> {
        durable::create_folder(&self.folder)?;
        let mut bytes = Zeroizing::new([0; 32]);
        SystemRandom::new()
            .fill(&mut *bytes)
            .map_err(|_| NoEntropy)?;
        let stored = Stored {
            nonce: hex::encode(*bytes),
            revealed_for: None,
        };
        stored.write(path)?;
        Ok(SecretNonce::new(*bytes))
    }

    /// The nonce that is the one asked for.
    fn find(
        &self,
        is_wanted: impl Fn(&SecretNonce) -> bool,
    ) -> Result<Option<(PathBuf, Stored, SecretNonce)>, NonceError> {
        for path in durable::files_in(&self.folder)? {
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let stored = Stored::parse(&path, durable::read(&path)?)?;
            let nonce = stored.secret(&path)?;
            if is_wanted(&nonce) {
                return Ok(Some((path, stored, nonce)));
            }
        }
        Ok(None)
    }
}

/// What a file says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Stored {
    nonce: String,
    /// The digest of the list that it was revealed for, or is just about to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revealed_for: Option<Digest>,
}

impl Stored {
    fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, NonceError> {
        let bytes = Zeroizing::new(bytes);
        let damaged = || NonceError::Damaged(path.to_owned());
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
        toml::from_str(text).map_err(|_| damaged())
    }

    fn secret(&self, path: &Path) -> Result<SecretNonce, NonceError> {
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(&self.nonce, &mut *bytes)
            .map_err(|_| NonceError::Damaged(path.to_owned()))?;
        Ok(SecretNonce::new(*bytes))
    }

    fn write(&self, path: &Path) -> Result<(), NonceError> {
        let text = toml::to_string(self).expect("two values are always TOML");
        let text = Zeroizing::new(text);
        Ok(durable::replace(path, text.as_bytes())?)
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.nonce.zeroize();
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").finish_non_exhaustive()
    }
}

/// Why a nonce is not drawn or not revealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NonceError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// No nonce could be drawn.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The file holds something else.
    #[error(
        "{} is not a nonce as this program writes it: enrol again with a new token, once the operator has opened the \
         roster again", .0.display()
    )]
    Damaged(PathBuf),
    /// The token's enrolment is over.
    #[error(
        "this token was used for an enrolment whose nonce is revealed, and a nonce is used once: ask the study's operator \
         for a new token"
    )]
    TokenSpent,
    /// The list does not have this site's key.
    #[error(
        "the closed roster does not have this site's key: nothing is revealed; ask the study's operator to open the roster \
         again (`aggregator roster --reopen`), and enrol"
    )]
    NotListed,
    /// The list has this site under another name.
    #[error(
        "the closed roster calls this site `{listed}`, and host.toml calls it `{site}`: nothing is revealed; have the \
         operator open the roster again, and enrol under one name"
    )]
    OtherName {
        /// The name on the list.
        listed: String,
        /// The site's own.
        site: String,
    },
    /// The entry commits to a nonce that this site did not draw.
    #[error(
        "the closed roster has a commitment of this site that fits none of the nonces in {}: another host may have enrolled \
         with this key, or the folder was lost; nothing is revealed; have the operator open the roster again, and enrol",
        .0.display()
    )]
    OtherCommitment(PathBuf),
    /// The nonce was revealed for another list.
    #[error(
        "this site has revealed its nonce for the list {before}, and the closed roster is now the list {now}: who could have \
         both would choose between two draws; nothing is revealed; have the operator open the roster again, and enrol with \
         a new token"
    )]
    OtherList {
        /// The list that it was revealed for.
        before: Digest,
        /// The list that it was asked for.
        now: Digest,
    },
}
