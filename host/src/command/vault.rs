//! `host vault`

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use host::config::{self, Config};
use host::durable;
use host::vault::{self, KeySource, Surroundings, VaultSettings};
use toml_edit::{DocumentMut, Item, Table};

use super::vault_key::{self, VaultKey};

/// The key that recorded seeds are sealed with
#[derive(Debug, Subcommand)]
pub(crate) enum Vault {
    Init(Init),
    Rekey(Rekey),
    Check(Check),
}

/// Makes the vault of a site that has none, and names its key in host.toml
#[derive(Args, Debug)]
pub(crate) struct Init {
    #[command(flatten)]
    key: VaultKey,
}

/// Changes the vault's key, and names the new one in host.toml
#[derive(Args, Debug)]
pub(crate) struct Rekey {
    #[command(flatten)]
    key: VaultKey,
}

/// Opens the vault, to see that its key is there
#[derive(Args, Debug)]
pub(crate) struct Check {}

impl Vault {
    pub(super) fn run(&self, config: &Path, out: &mut dyn Write) -> Result<()> {
        match self {
            Self::Init(init) => init.run(config, out),
            Self::Rekey(rekey) => rekey.run(config, out),
            Self::Check(_) => check(config, out),
        }
    }
}

impl Init {
    fn run(&self, path: &Path, out: &mut dyn Write) -> Result<()> {
        let mut file = document(path)?;
        match (file.get("vault").is_some(), self.key.chosen()) {
            (true, Some(_)) => bail!(
                "{} names a key under [vault] already: run `host vault init` without one, or change it there first",
                path.display()
            ),
            (true, None) => {}
            (false, _) => name_key(&mut file, &self.key.source())?,
        }
        let text = file.to_string();
        let settings = Config::parse(path, &text)?.vault;
        let vault = vault::Vault::make(&settings, &Surroundings::of_process())?;
        durable::replace(path, text.as_bytes())?;
        told(&vault, &settings.key, out)
    }
}

impl Rekey {
    fn run(&self, path: &Path, out: &mut dyn Write) -> Result<()> {
        let Some(chosen) = self.key.chosen() else {
            bail!("name the new key: --key-file, --credential or --passphrase");
        };
        let old = Config::read(path)?.vault;
        let mut file = document(path)?;
        name_key(&mut file, &chosen)?;
        let text = file.to_string();
        let new = Config::parse(path, &text)?.vault;
        let surroundings = Surroundings::of_process();
        if let (KeySource::File(old), KeySource::File(new)) = (&old.key, &new.key)
            && old == new
        {
            bail!("{} is the key already: name another file", new.display());
        }
        // Both keys open the vault until host.toml names the new one, so that a crash leaves one that does.
        let rekeying = vault::Vault::rekey(&old, &new.key, &surroundings)?;
        durable::replace(path, text.as_bytes())?;
        let vault = rekeying.finish()?;
        told(&vault, &new.key, out)?;
        writeln!(
            out,
            "the old key opens copies of the state folder from before: destroy it, or keep it as well as them"
        )?;
        Ok(())
    }
}

fn check(path: &Path, out: &mut dyn Write) -> Result<()> {
    let VaultSettings { key, state } = Config::read(path)?.vault;
    let vault = vault::Vault::unlock(&VaultSettings {
        key: key.clone(),
        state,
    })?;
    told(&vault, &key, out)
}

fn told(vault: &vault::Vault, key: &KeySource, out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "vault  {}, opened by {}",
        vault.id(),
        vault_key::advice(key)
    )?;
    Ok(())
}

fn document(path: &Path) -> Result<DocumentMut> {
    let text = String::from_utf8(durable::read(path)?)
        .with_context(|| format!("{} is not UTF-8", path.display()))?;
    text.parse()
        .with_context(|| format!("{} is not a configuration", path.display()))
}

/// Writes the key into `[vault]`, and leaves all else as it is.
fn name_key(file: &mut DocumentMut, key: &KeySource) -> Result<()> {
    let line: DocumentMut = config::vault_line(key)
        .parse()
        .context("a line that this program wrote is TOML")?;
    let table = file
        .entry("vault")
        .or_insert_with(|| Item::Table(Table::new()));
    let Some(table) = table.as_table_mut() else {
        bail!("`vault` in host.toml is not a table: write it as [vault]");
    };
    table.clear();
    for (name, value) in line.iter() {
        table.insert(name, value.clone());
    }
    Ok(())
}
