//! Which key opens the vault, as a person says it on the command line.

use std::path::PathBuf;

use clap::Args;
use host::vault::KeySource;

/// Where the vault's key is to be: at most one of these.
#[derive(Args, Clone, Debug)]
#[group(multiple = false)]
pub(super) struct VaultKey {
    /// A file for the key of secrets at rest, outside the state folder; it is made where it is not there [default:
    /// vault.key next to host.toml]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A systemd credential that holds the key
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// A passphrase, asked for at each start or read from the file that `WARDROUND_PASSPHRASE_FILE` names
    #[arg(long)]
    passphrase: bool,
}

impl VaultKey {
    /// The key that was chosen, where one was.
    pub(super) fn chosen(&self) -> Option<KeySource> {
        let file = self.key_file.clone().map(KeySource::File);
        let credential = self.credential.clone().map(KeySource::Credential);
        let passphrase = self.passphrase.then_some(KeySource::Passphrase);
        file.or(credential).or(passphrase)
    }

    /// The key that was chosen, or the file that is one by default.
    pub(super) fn source(&self) -> KeySource {
        self.chosen()
            .unwrap_or_else(|| KeySource::File("vault.key".into()))
    }
}

/// What a person should do about a key.
pub(super) fn advice(key: &KeySource) -> String {
    match key {
        KeySource::File(path) => format!(
            "{}: keep a copy of it apart from copies of the state folder",
            path.display()
        ),
        KeySource::Credential(name) => format!("the credential `{name}`"),
        KeySource::Passphrase => {
            "a passphrase: without it, nobody can read recorded seeds".to_owned()
        }
    }
}
