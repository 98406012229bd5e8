//! Secrets at rest: what would open a hospital's noise and masks is on its disk only under a key that is kept elsewhere.
//!
//! ```text
//!   the site's key: a file outside the state folder, a systemd credential, or a passphrase (Argon2id)
//!         │ seals
//!         ▼
//!   the vault's key, in state/vault.toml ── seals ──▶ each secret: 1 ‖ key id (8) ‖ synthetic IV (32) ‖ ciphertext ‖ tag (16)
//! ```
//!
//! A round's seed makes its noise and its masks: who reads the seed and sees the network has the hospital's vector. Sealing
//! is deterministic authenticated encryption with a synthetic IV (Rogaway and Shrimpton 2006): the IV is HMAC-SHA256 of
//! context and secret, a key for this record alone is derived from it, and ChaCha20-Poly1305 encrypts with that and a
//! constant nonce. So no random number can fail or repeat, and the same record written again after a crash has the same
//! bytes; all that shows is whether two records of one context are equal. The context says what a record is, and is
//! authenticated: a record that was moved to another round cannot be opened.
//!
//! The site's key seals only the vault's key, so changing it (`host vault rekey`) rewrites one small file. It does not undo
//! a theft: who had both the old key and a copy of the state can read the rounds of that copy.
//!
//! Keys and opened secrets are overwritten when they are dropped. What ring keeps while it works is not.

mod passphrase;
mod site_key;
mod wraps;

use std::fmt;
use std::path::{Path, PathBuf};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hmac;
use zeroize::Zeroizing;

use crate::durable::FileError;
use crate::entropy::{self, NoEntropy};
use crate::private::PrivateError;

pub use passphrase::Surroundings;
use passphrase::Which;
pub use site_key::KeySource;
use wraps::{Wrap, Wraps};

/// Where the site's key is, and which state it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultSettings {
    /// Where the site's key is.
    pub key: KeySource,
    /// The state folder, whose secrets are sealed.
    pub state: PathBuf,
}

/// Seals secrets, and opens what it sealed.
#[derive(Clone)]
pub struct Vault {
    id: KeyId,
    key: Zeroizing<[u8; 32]>,
}

impl Vault {
    /// Opens the vault of a site.
    ///
    /// # Errors
    ///
    /// A vault that was never made or is missing, and a key that is missing, exposed, or another than the vault was made with.
    pub fn unlock(settings: &VaultSettings) -> Result<Self, VaultError> {
        Self::unlock_in(settings, &Surroundings::of_process())
    }

    /// As [`Vault::unlock`], in the surroundings given.
    ///
    /// # Errors
    ///
    /// As [`Vault::unlock`].
    pub fn unlock_in(
        settings: &VaultSettings,
        surroundings: &Surroundings,
    ) -> Result<Self, VaultError> {
        let wraps = Wraps::read(&settings.state)?;
        wraps.open(&settings.key, &settings.state, surroundings)
    }

    /// Makes the vault of a site that has none. A key file that is there is used; one that is not is made.
    ///
    /// # Errors
    ///
    /// A vault that is there, and a key that cannot be used.
    pub fn make(settings: &VaultSettings, surroundings: &Surroundings) -> Result<Self, VaultError> {
        Wraps::refuse_made(&settings.state)?;
        let vault = Self::of(Zeroizing::new(entropy::seed()?));
        let wrap = Wrap::new(
            &vault,
            &settings.key,
            &settings.state,
            surroundings,
            Which::Present,
        )?;
        Wraps::of(&settings.state, vec![wrap]).write_new()?;
        Ok(vault)
    }

    /// Changes the site's key from `old` to `new`. Until [`Rekeying::finish`], both open the vault.
    ///
    /// # Errors
    ///
    /// As [`Vault::unlock`] for the old one, and a new one that cannot be used; the vault is as it was.
    pub fn rekey(
        old: &VaultSettings,
        new: &KeySource,
        surroundings: &Surroundings,
    ) -> Result<Rekeying, VaultError> {
        let wraps = Wraps::read(&old.state)?;
        let (vault, before) = wraps.open_alone(&old.key, &old.state, surroundings)?;
        let wrap = Wrap::new(&vault, new, &old.state, surroundings, Which::New)?;
        Wraps::of(&old.state, vec![before, wrap.clone()]).replace()?;
        Ok(Rekeying {
            vault,
            wrap,
            state: old.state.clone(),
        })
    }

    /// Seals a secret. `context` says what the secret is (its study, round and kind): it is needed again to open it, and is
    /// not kept.
    #[must_use]
    #[expect(
        clippy::missing_panics_doc,
        reason = "what is in memory is shorter than the cipher's bound of 256 GiB"
    )]
    pub fn seal(&self, context: &[u8], secret: &[u8]) -> Vec<u8> {
        let iv = self.synthetic_iv(context, secret);
        let head = head(self.id, &iv);
        let mut body = Vec::with_capacity(secret.len() + CHACHA20_POLY1305.tag_len());
        body.extend_from_slice(secret);
        self.record_key(&iv)
            .seal_in_place_append_tag(nonce(), Aad::from([&head, context].concat()), &mut body)
            .expect("a secret is shorter than 256 GiB");
        [head, body].concat()
    }

    /// Opens what was sealed with the same context.
    ///
    /// # Errors
    ///
    /// A record that this vault did not seal, that was changed, or that was sealed with another context.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (version, rest) = sealed.split_first().ok_or(VaultError::Cut)?;
        if *version != VERSION {
            return Err(VaultError::Version(*version));
        }
        let (id, rest) = rest.split_first_chunk().ok_or(VaultError::Cut)?;
        if KeyId(*id) != self.id {
            return Err(VaultError::OtherVault {
                got: KeyId(*id),
                want: self.id,
            });
        }
        let (iv, body) = rest.split_first_chunk().ok_or(VaultError::Cut)?;
        let head = head(self.id, iv);
        let mut bytes = Zeroizing::new(body.to_vec());
        let length = self
            .record_key(iv)
            .open_in_place(nonce(), Aad::from([&head, context].concat()), &mut bytes)
            .map_err(|_| VaultError::Changed)?
            .len();
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Which vault this is: nothing can be learned of its key from it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    fn of(key: Zeroizing<[u8; 32]>) -> Self {
        let tag = derived(&key, b"id", &[]);
        let id = tag.first_chunk().expect("a tag has 32 bytes");
        Self {
            id: KeyId(*id),
            key,
        }
    }

    fn synthetic_iv(&self, context: &[u8], secret: &[u8]) -> [u8; 32] {
        let length =
            u64::try_from(context.len()).expect("what is in memory has fewer than 2^64 bytes");
        *derived(&self.key, b"iv", &[&length.to_le_bytes(), context, secret])
    }

    fn record_key(&self, iv: &[u8]) -> LessSafeKey {
        let key = derived(&self.key, b"record", &[iv]);
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice())
            .expect("a key of the cipher has 32 bytes");
        LessSafeKey::new(key)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A vault whose key is being changed: the old key and the new one open it.
#[derive(Debug)]
#[must_use = "until it is finished, the old key opens the vault"]
pub struct Rekeying {
    vault: Vault,
    wrap: Wrap,
    state: PathBuf,
}

impl Rekeying {
    /// Makes the new key the only one that opens the vault.
    ///
    /// # Errors
    ///
    /// A disk that does not take it: both keys open it then.
    pub fn finish(self) -> Result<Vault, VaultError> {
        Wraps::of(&self.state, vec![self.wrap]).replace()?;
        Ok(self.vault)
    }
}

/// Says which key sealed something, so that another key is told from damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Why a secret cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file with a secret cannot be used.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// No key could be made.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// There is no vault.
    #[error(
        "{} is not there, and without it no recorded seed can be read: restore it from a backup of the state folder; where \
         this site has never had one, `host vault init` makes it", .0.display()
    )]
    NotMade(PathBuf),
    /// There is a vault.
    #[error("{} is there already: a vault is made once; `host vault rekey` changes its key", .0.display())]
    Made(PathBuf),
    /// The vault's file is not what this program wrote.
    #[error("{} is damaged ({reason}): restore it from a backup of the state folder", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The key's file is missing.
    #[error(
        "the vault's key {} is not there: restore it from its own backup, or correct [vault] in host.toml. Without it the \
         seeds of recorded rounds are lost: open rounds cannot go on, and past ones cannot be replayed", .0.display()
    )]
    NoKeyFile(PathBuf),
    /// The key lies with what it protects.
    #[error(
        "the vault's key {} lies in the state folder {}: who copies the state would have the key with it. Move it to \
         another place, and name that as key-file under [vault] in host.toml", key.display(), state.display()
    )]
    Inside {
        /// The key's file.
        key: PathBuf,
        /// The state folder.
        state: PathBuf,
    },
    /// The file or credential holds something else.
    #[error("{0} holds no key: want 64 hexadecimal digits, as `openssl rand -hex 32` prints them")]
    NoKey(String),
    /// No credential was handed over.
    #[error(
        "there is no systemd credential `{0}`: the service's unit must say LoadCredentialEncrypted={0}, and commands by \
         hand are run with `systemd-run --pty --property=LoadCredentialEncrypted={0} host …`. `openssl rand -hex 32 | \
         systemd-creds encrypt --name={0} - /etc/credstore.encrypted/{0}` makes one"
    )]
    NoCredential(String),
    /// The name is none that a credential has.
    #[error("`{0}` is not the name of a credential: want a name without a slash, as `wardround`")]
    CredentialName(String),
    /// The key is another than the vault was made with.
    #[error(
        "the key in {key} has id {got}, and the vault was made with {want}: restore the right key, or the state folder that \
         belongs to this one. Nothing was changed"
    )]
    OtherKey {
        /// Where the key is from.
        key: String,
        /// Its id.
        got: KeyId,
        /// The ids of those that open the vault.
        want: String,
    },
    /// The passphrase is another than the vault was made with.
    #[error(
        "this is not the vault's passphrase: type it again, or correct the file in WARDROUND_PASSPHRASE_FILE"
    )]
    OtherPassphrase,
    /// The vault was made with another kind of key.
    #[error(
        "the vault was not made with {0}, as [vault] in host.toml says: set it back, and change the key with `host vault rekey`"
    )]
    OtherKind(&'static str),
    /// The passphrase cannot be asked for.
    #[error(
        "the vault's passphrase cannot be asked for ({0}): run this on a terminal, or name a file that holds it in {1}"
    )]
    NoPassphrase(String, &'static str),
    /// The passphrase is too easily found.
    #[error("the passphrase has {0} characters: want at least {least}, for example six words", least = passphrase::SHORTEST)]
    Short(usize),
    /// The two passphrases that were typed differ.
    #[error("the two passphrases differ: nothing was changed")]
    Mistyped,
    /// The passphrase's parameters are none that this program writes.
    #[error("{0} is out of range: restore vault.toml from a backup of the state folder")]
    Parameters(&'static str),
    /// A sealed record is cut short.
    #[error("a sealed record is cut short: restore it from a backup")]
    Cut,
    /// A sealed record is of another format.
    #[error(
        "a sealed record has format {0}, and this program reads format {VERSION}: it is not sealed, or by a newer program"
    )]
    Version(u8),
    /// Another vault sealed it.
    #[error(
        "a sealed record is of the vault {got}, and this one is {want}: is the state folder put together from two backups?"
    )]
    OtherVault {
        /// The vault that sealed it.
        got: KeyId,
        /// This one.
        want: KeyId,
    },
    /// A sealed record is not what was sealed.
    #[error(
        "a sealed record was changed, or moved from another round: look at who can write to the state folder, and restore \
         it from a backup"
    )]
    Changed,
}

/// HMAC-SHA256 of parts that have a fixed length or say theirs, under a key that is used for nothing else.
fn derived(key: &[u8; 32], use_: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let key = hmac::sign(&key, &[LABEL, use_].concat());
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()));
    for part in parts {
        context.update(part);
    }
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.copy_from_slice(context.sign().as_ref());
    bytes
}

fn head(id: KeyId, iv: &[u8; 32]) -> Vec<u8> {
    [&[VERSION], id.0.as_slice(), iv].concat()
}

/// The same for all records: each has a key of its own.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// Whether `path` lies in `folder`, with all links followed; where a path is not there yet, that of its folder counts.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let name = path.file_name().unwrap_or_default();
        path.canonicalize()
            .or_else(|_| {
                Ok::<_, std::io::Error>(parent.unwrap_or(Path::new(".")).canonicalize()?.join(name))
            })
            .or_else(|_| std::path::absolute(path))
    };
    match (real(path), real(folder)) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => path.starts_with(folder),
    }
}

const VERSION: u8 = 1;
const LABEL: &[u8] = b"wardround vault 1 ";

#[cfg(test)]
mod tests;
