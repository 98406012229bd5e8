//! The site's key, which opens the vault: where it is, and how it is read or made.

use std::path::{Component, Path, PathBuf};

use zeroize::Zeroizing;

use super::passphrase::Surroundings;
use super::{VaultError, lies_in};
use crate::durable;
use crate::entropy;
use crate::private::{self, PrivateError, Readers};

/// Where the site's key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In a file outside the state folder, which only its owner can read.
    File(PathBuf),
    /// In a systemd credential with this name.
    Credential(String),
    /// In a person's memory, or in the file that `WARDROUND_PASSPHRASE_FILE` names.
    Passphrase,
}

impl KeySource {
    /// What a person calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "a key file",
            Self::Credential(_) => "a systemd credential",
            Self::Passphrase => "a passphrase",
        }
    }

    /// Which one it is.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Credential(name) => format!("the credential `{name}`"),
            Self::Passphrase => self.kind().to_owned(),
        }
    }
}

/// Reads the key in a file.
pub(super) fn in_file(path: &Path, state: &Path) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    refuse_inside(path, state)?;
    let text = private::read(path, Readers::Owner, LONGEST).map_err(|error| match error {
        PrivateError::File(error) if error.is_missing() => VaultError::NoKeyFile(path.to_owned()),
        other => other.into(),
    })?;
    parse(&text).ok_or_else(|| VaultError::NoKey(path.display().to_string()))
}

/// Reads the key in a file, and makes both where there is none.
pub(super) fn in_new_file(path: &Path, state: &Path) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    match in_file(path, state) {
        Err(VaultError::NoKeyFile(_)) => {}
        other => return other,
    }
    let key = Zeroizing::new(entropy::seed()?);
    let mut text = Zeroizing::new(hex::encode(*key));
    text.push('\n');
    durable::create_new(path, text.as_bytes())?;
    Ok(key)
}

/// Reads the key in a credential.
pub(super) fn in_credential(
    name: &str,
    surroundings: &Surroundings,
) -> Result<Zeroizing<[u8; 32]>, VaultError> {
    let mut parts = Path::new(name).components();
    if !matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    ) {
        return Err(VaultError::CredentialName(name.to_owned()));
    }
    let missing = || VaultError::NoCredential(name.to_owned());
    let folder = surroundings.credentials.as_ref().ok_or_else(missing)?;
    let text =
        private::read(&folder.join(name), Readers::Group, LONGEST).map_err(
            |error| match error {
                PrivateError::File(error) if error.is_missing() => missing(),
                other => other.into(),
            },
        )?;
    parse(&text).ok_or_else(|| VaultError::NoKey(format!("the credential `{name}`")))
}

fn refuse_inside(key: &Path, state: &Path) -> Result<(), VaultError> {
    if lies_in(key, state) {
        return Err(VaultError::Inside {
            key: key.to_owned(),
            state: state.to_owned(),
        });
    }
    Ok(())
}

fn parse(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim_ascii(), key.as_mut_slice()).ok()?;
    Some(key)
}

/// Bytes of the longest file that is read as a key: 64 digits and the end of a line.
const LONGEST: u64 = 128;
