//! A site's key from a passphrase, by Argon2id (RFC 9106).

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::VaultError;
use crate::entropy;
use crate::private::{self, PrivateError, Readers};

/// What a process is told by its surroundings about secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The folder of systemd credentials: `CREDENTIALS_DIRECTORY`.
    pub credentials: Option<PathBuf>,
    /// A file that holds the passphrase: `WARDROUND_PASSPHRASE_FILE`.
    pub passphrase: Option<PathBuf>,
    /// A file that holds the passphrase of `host vault rekey`: `WARDROUND_NEW_PASSPHRASE_FILE`.
    pub new_passphrase: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        Self {
            credentials: path("CREDENTIALS_DIRECTORY"),
            passphrase: path(FILE),
            new_passphrase: path(NEW_FILE),
        }
    }

    /// Where this passphrase is asked for: in the file, where there is one, that the variable names.
    fn asked(&self, which: Which) -> (Option<&Path>, &'static str) {
        match which {
            Which::Present => (self.passphrase.as_deref(), FILE),
            Which::New => (self.new_passphrase.as_deref(), NEW_FILE),
        }
    }
}

/// Which passphrase is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The vault's.
    Present,
    /// The one that takes its place.
    New,
}

/// How a passphrase is made a key; kept next to what the key sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Parameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    /// 16 bytes, in hexadecimal digits.
    salt: String,
}

impl Parameters {
    /// Those of RFC 9106 for machines that are short of memory, with a new salt.
    pub(super) fn new() -> Result<Self, VaultError> {
        Ok(Self {
            memory_kib: 64 << 10,
            passes: 3,
            lanes: 4,
            salt: hex::encode(&entropy::seed()?[..SALT]),
        })
    }

    /// The key that a passphrase makes.
    pub(super) fn key(&self, passphrase: &[u8]) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let mut salt = [0; SALT];
        hex::decode_to_slice(&self.salt, &mut salt)
            .map_err(|_| VaultError::Parameters("argon2id.salt"))?;
        // Neither so little that a stolen file is soon guessed, nor so much that this machine stops.
        if !(19 << 10..=1 << 20).contains(&self.memory_kib) {
            return Err(VaultError::Parameters("argon2id.memory-kib"));
        }
        if !(2..=64).contains(&self.passes) {
            return Err(VaultError::Parameters("argon2id.passes"));
        }
        if !(1..=16).contains(&self.lanes) {
            return Err(VaultError::Parameters("argon2id.lanes"));
        }
        let parameters = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|_| VaultError::Parameters("argon2id"))?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
            .hash_password_into(passphrase, &salt, key.as_mut_slice())
            .map_err(|_| VaultError::Parameters("argon2id"))?;
        Ok(key)
    }
}

/// Asks for the vault's passphrase: in the file that the surroundings name, or else a person.
pub(super) fn ask(surroundings: &Surroundings) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    match surroundings.asked(Which::Present) {
        (Some(path), variable) => in_file(path, variable),
        (None, variable) => typed("Passphrase of the vault: ", variable),
    }
}

/// Asks for a passphrase that will be the vault's: typed twice, and long enough.
pub(super) fn choose(
    surroundings: &Surroundings,
    which: Which,
) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let passphrase = match surroundings.asked(which) {
        (Some(path), variable) => in_file(path, variable)?,
        (None, variable) => typed_twice(variable)?,
    };
    let length = String::from_utf8_lossy(&passphrase).chars().count();
    if length < SHORTEST {
        return Err(VaultError::Short(length));
    }
    Ok(passphrase)
}

fn typed_twice(variable: &'static str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let first = typed("New passphrase of the vault: ", variable)?;
    let again = typed("The same again: ", variable)?;
    if *first == *again {
        Ok(first)
    } else {
        Err(VaultError::Mistyped)
    }
}

fn in_file(path: &Path, variable: &'static str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let mut text = private::read(path, Readers::Owner, LONGEST).map_err(|error| match error {
        PrivateError::File(error) => VaultError::NoPassphrase(error.to_string(), variable),
        other => other.into(),
    })?;
    let length = text.trim_ascii_end().len();
    text.truncate(length);
    Ok(text)
}

fn typed(prompt: &str, variable: &'static str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let nobody = |reason: String| VaultError::NoPassphrase(reason, variable);
    if !io::stdin().is_terminal() {
        return Err(nobody("nobody is at a terminal".to_owned()));
    }
    let text = rpassword::prompt_password(prompt).map_err(|error| nobody(error.to_string()))?;
    let text = Zeroizing::new(text);
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

/// Characters of the shortest passphrase that is taken: no shorter one is hard to guess from a stolen file.
pub(super) const SHORTEST: usize = 16;
/// Bytes of a salt.
const SALT: usize = 16;
/// Bytes of the longest file that is read as a passphrase.
const LONGEST: u64 = 1_024;
const FILE: &str = "WARDROUND_PASSPHRASE_FILE";
const NEW_FILE: &str = "WARDROUND_NEW_PASSPHRASE_FILE";
