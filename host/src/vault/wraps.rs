//! `state/vault.toml`: the vault's key, sealed under the site's key; while that is changed, under the old one and the new one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::passphrase::{self, Parameters, Surroundings, Which};
use super::site_key::{self, KeySource};
use super::{KeyId, Vault, VaultError};
use crate::durable;

/// All keys that open the vault: one, or two while the key is changed.
#[derive(Debug)]
pub(super) struct Wraps {
    path: PathBuf,
    wraps: Vec<Wrap>,
}

/// The vault's key, sealed under one site key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wrap {
    /// The id of the site's key.
    by: String,
    /// The vault's key, sealed.
    key: String,
    /// Where the site's key is a passphrase: how it is made a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    argon2id: Option<Parameters>,
}

impl Wrap {
    /// Seals a vault's key under a site's key, which is made where it is a file that is not there.
    pub(super) fn new(
        vault: &Vault,
        source: &KeySource,
        state: &Path,
        surroundings: &Surroundings,
        which: Which,
    ) -> Result<Self, VaultError> {
        let (key, argon2id) = match source {
            KeySource::File(path) => (site_key::in_new_file(path, state)?, None),
            KeySource::Credential(name) => (site_key::in_credential(name, surroundings)?, None),
            KeySource::Passphrase => {
                let parameters = Parameters::new()?;
                let key = parameters.key(&passphrase::choose(surroundings, which)?)?;
                (key, Some(parameters))
            }
        };
        let by = Vault::of(key);
        Ok(Self {
            by: by.id.to_string(),
            key: hex::encode(by.seal(CONTEXT, vault.key.as_slice())),
            argon2id,
        })
    }

    /// The vault, where this is the site's key that seals it; otherwise nothing.
    fn open(&self, by: &Vault, path: &Path) -> Result<Option<Vault>, VaultError> {
        if self.by != by.id.to_string() {
            return Ok(None);
        }
        let damaged = || VaultError::Damaged {
            path: path.to_owned(),
            reason: format!("the key sealed by {} cannot be opened", self.by),
        };
        let sealed = hex::decode(&self.key).map_err(|_| damaged())?;
        let opened = by.open(CONTEXT, &sealed).map_err(|_| damaged())?;
        let mut key = Zeroizing::new([0; 32]);
        if opened.len() != key.len() {
            return Err(damaged());
        }
        key.copy_from_slice(&opened);
        Ok(Some(Vault::of(key)))
    }
}

impl Wraps {
    /// Those under a state folder.
    pub(super) fn read(state: &Path) -> Result<Self, VaultError> {
        let path = state.join(FILE);
        let text = durable::read(&path).map_err(|error| {
            if error.is_missing() {
                VaultError::NotMade(path.clone())
            } else {
                error.into()
            }
        })?;
        let damaged = |reason: String| VaultError::Damaged {
            path: path.clone(),
            reason,
        };
        let text = String::from_utf8(text).map_err(|_| damaged("it is not UTF-8".to_owned()))?;
        let table: Table = toml::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        if !(1..=MOST).contains(&table.wrapped.len()) {
            let count = table.wrapped.len();
            return Err(damaged(format!("it has {count} keys; want 1 or {MOST}")));
        }
        Ok(Self {
            path,
            wraps: table.wrapped,
        })
    }

    /// Those of a state folder whose file is about to be written.
    pub(super) fn of(state: &Path, wraps: Vec<Wrap>) -> Self {
        Self {
            path: state.join(FILE),
            wraps,
        }
    }

    /// Refuses a state folder that has a vault.
    pub(super) fn refuse_made(state: &Path) -> Result<(), VaultError> {
        let path = state.join(FILE);
        if path.exists() {
            return Err(VaultError::Made(path));
        }
        Ok(())
    }

    /// Opens the vault with a site's key.
    pub(super) fn open(
        &self,
        source: &KeySource,
        state: &Path,
        surroundings: &Surroundings,
    ) -> Result<Vault, VaultError> {
        self.find(source, state, surroundings)
            .map(|(_, vault)| vault)
    }

    /// Opens the vault with a site's key; gives the one that the key opened, too.
    pub(super) fn open_alone(
        mut self,
        source: &KeySource,
        state: &Path,
        surroundings: &Surroundings,
    ) -> Result<(Vault, Wrap), VaultError> {
        let (place, vault) = self.find(source, state, surroundings)?;
        Ok((vault, self.wraps.swap_remove(place)))
    }

    /// Writes a file that was not there.
    pub(super) fn write_new(&self) -> Result<(), VaultError> {
        durable::create_folder(self.path.parent().unwrap_or(Path::new("")))?;
        Ok(durable::create_new(&self.path, self.text().as_bytes())?)
    }

    /// Writes the file in the place of the one before.
    pub(super) fn replace(&self) -> Result<(), VaultError> {
        Ok(durable::replace(&self.path, self.text().as_bytes())?)
    }

    fn find(
        &self,
        source: &KeySource,
        state: &Path,
        surroundings: &Surroundings,
    ) -> Result<(usize, Vault), VaultError> {
        let key = match source {
            KeySource::File(path) => site_key::in_file(path, state)?,
            KeySource::Credential(name) => site_key::in_credential(name, surroundings)?,
            KeySource::Passphrase => return self.find_by_passphrase(surroundings),
        };
        let by = Vault::of(key);
        for (place, wrap) in self.wraps.iter().enumerate() {
            if let Some(vault) = wrap.open(&by, &self.path)? {
                return Ok((place, vault));
            }
        }
        Err(self.refused(source, by.id))
    }

    fn find_by_passphrase(
        &self,
        surroundings: &Surroundings,
    ) -> Result<(usize, Vault), VaultError> {
        let with_passphrase = self.wraps.iter().enumerate();
        let mut with_passphrase = with_passphrase
            .filter_map(|(place, wrap)| Some((place, wrap, wrap.argon2id.as_ref()?)))
            .peekable();
        if with_passphrase.peek().is_none() {
            return Err(VaultError::OtherKind(KeySource::Passphrase.kind()));
        }
        let passphrase = passphrase::ask(surroundings)?;
        for (place, wrap, parameters) in with_passphrase {
            let by = Vault::of(parameters.key(&passphrase)?);
            if let Some(vault) = wrap.open(&by, &self.path)? {
                return Ok((place, vault));
            }
        }
        Err(VaultError::OtherPassphrase)
    }

    /// What there is to say of a key that opens nothing.
    fn refused(&self, source: &KeySource, got: KeyId) -> VaultError {
        let bare = self.wraps.iter().filter(|wrap| wrap.argon2id.is_none());
        let ids: Vec<&str> = bare.map(|wrap| wrap.by.as_str()).collect();
        if ids.is_empty() {
            return VaultError::OtherKind(source.kind());
        }
        VaultError::OtherKey {
            key: source.shown(),
            got,
            want: ids.join(" or "),
        }
    }

    fn text(&self) -> String {
        let table = Table {
            wrapped: self.wraps.clone(),
        };
        let text = toml::to_string(&table).expect("strings and numbers are TOML");
        format!("{HEAD}{text}")
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    wrapped: Vec<Wrap>,
}

const FILE: &str = "vault.toml";
const CONTEXT: &[u8] = b"the vault's key";
/// The old key and the new one.
const MOST: usize = 2;
const HEAD: &str = "\
# The key that this site's secrets are sealed with, itself sealed under the site's key ([vault] in host.toml).
# Without this file and that key no recorded seed can be read: keep copies of both, in different places.
";
