//! `host import`

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use host::compiled::Compiled;
use host::durable;
use host::id_key::{self, IdKey};
use host::imports::{self, Entry, Imports, Incoming, Named, source_of};
use host::pieces::Stream;
use host::sandbox::{Sandbox, SandboxError};
use protocol::door::{self, BadRows, Counted, Imported, Request, Response, Role};
use protocol::id::Digest;

use super::site::Limits;

/// Makes MEDS files of a hospital's own files
#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    Csv(Csv),
}

impl Import {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<()> {
        match self {
            Self::Csv(csv) => csv.run(out),
        }
    }
}

/// Makes MEDS files of a CSV file, by a map that says which column is what
#[derive(Args, Debug)]
pub(crate) struct Csv {
    /// The CSV file, plain or packed with gzip
    #[arg(value_name = "FILE")]
    csv: PathBuf,
    /// The map, in TOML (docs/IMPORT.md)
    #[arg(long, value_name = "FILE")]
    map: PathBuf,
    /// The module, which does the reading
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// The folder to write to: a file for this source in each of its folders events.parquet, labels.parquet and splits.parquet
    /// that the map makes something for
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The source's name: importing it again replaces its files alone [default: the CSV's name without its endings]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The key that makes numbers of ids of text, the same for all tables of the site; made where it is not there
    /// [default: ids.key in the --out folder]
    #[arg(long, value_name = "FILE")]
    id_key: Option<PathBuf>,
    /// Use only rows with this value in this column; can be repeated, and adds to the map's filters
    #[arg(long = "where", value_name = "COLUMN=VALUE", value_parser = condition)]
    conditions: Vec<(String, String)>,
    /// Leave out rows that cannot be used, and count them, instead of stopping
    #[arg(long)]
    drop_bad_rows: bool,
    #[command(flatten)]
    limits: Limits,
}

impl Csv {
    fn run(&self, out: &mut dyn Write) -> Result<()> {
        let allowance = self.limits.allowance(None);
        let sandbox = Sandbox::load(
            &durable::read(&self.module)?,
            allowance,
            &Compiled::of_user(),
        )?;
        let map = self.map()?;
        let mut imports = Imports::of(&self.out)?;
        let key_path = self.id_key.clone().unwrap_or(self.out.join("ids.key"));
        let key = ids_are_text(&map)
            .then(|| IdKey::find(&key_path, &imports))
            .transpose()?;
        let request = Request::Import(door::Import {
            map: map.clone().into(),
            name: self
                .csv
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            bad_rows: if self.drop_bad_rows {
                BadRows::Drop
            } else {
                BadRows::Stop
            },
            id_key: key.as_ref().map(|key| key.seed().clone()),
            memory_mib: allowance.memory_mib,
        });
        let mut incoming = Incoming::for_folder(&self.out)?;
        let imported = self.import(&sandbox, &request, &mut incoming)?;
        let entry = Entry {
            source: self.source.clone().unwrap_or(source_of(&self.csv)),
            csv: self
                .csv
                .canonicalize()
                .with_context(|| format!("finding {}", self.csv.display()))?,
            map_sha256: Digest::of(&map),
            rows: imported.kept,
            id_key_sha256: key.as_ref().map(IdKey::digest),
        };
        let source = entry.source.clone();
        let named = match self.source {
            Some(_) => Named::ByPerson,
            None => Named::ByFile,
        };
        let splits = self.out.join(imports::name(Role::Splits));
        let had_splits = splits.exists();
        // The key first: numbers without it lead to nobody.
        if let Some(IdKey::New(seed)) = &key {
            durable::create_folder(&self.out)?;
            id_key::write(&key_path, seed)?;
            writeln!(
                out,
                "made {}: keep it, and apart from copies of the data; without it the same patients get other numbers",
                key_path.display()
            )?;
        }
        let replaced = imports
            .take(entry, named, &incoming)
            .with_context(|| format!("importing {}", self.csv.display()))?;
        if let Some(ids) = &imported.ids {
            let folder = self.out.join("ids");
            let path = folder.join(format!("{source}.csv"));
            durable::create_folder(&folder)?;
            durable::replace(&path, ids)?;
            writeln!(out, "{} tells which number is which id", path.display())?;
        }
        tell(&imported, &self.out, out)?;
        for path in replaced {
            writeln!(out, "replaced {} of an earlier import", path.display())?;
        }
        if !had_splits && splits.exists() {
            writeln!(
                out,
                "a site that was made before must name {} as splits under [data] in its host.toml",
                splits.display()
            )?;
        }
        Ok(())
    }

    /// The map, with a filter for each condition.
    fn map(&self) -> Result<Vec<u8>> {
        let mut map = durable::read(&self.map)?;
        for (column, value) in &self.conditions {
            let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
            let filter = format!(
                "\n[[filter]]\ncolumn = {}\nis = [{}]\n",
                quoted(column),
                quoted(value)
            );
            map.extend(filter.into_bytes());
        }
        Ok(map)
    }

    /// Gives the module the pieces that it wants, and keeps the parts that it makes.
    fn import(
        &self,
        sandbox: &Sandbox,
        request: &Request,
        incoming: &mut Incoming,
    ) -> Result<Imported> {
        let (mut csv, mut instance) = (Stream::new(&self.csv), sandbox.instance()?);
        let mut response = instance.ask(request)?;
        loop {
            let request = match response {
                Response::Read(piece) => Request::Piece(csv.read(piece.number)?.into()),
                Response::Part(part) => {
                    incoming.add(&part)?;
                    Request::Kept
                }
                Response::Imported(imported) => {
                    csv.done();
                    return Ok(imported);
                }
                _ => return Err(SandboxError::OtherAnswer.into()),
            };
            response = instance.ask(&request)?;
        }
    }
}

fn condition(text: &str) -> Result<(String, String), String> {
    let (column, value) = text.split_once('=').ok_or("want COLUMN=VALUE")?;
    Ok((column.to_owned(), value.to_owned()))
}

/// Whether a map says that ids are text. What cannot be read is left to the module, which says why.
fn ids_are_text(map: &[u8]) -> bool {
    let map = std::str::from_utf8(map).ok();
    let map = map.and_then(|map| map.parse::<toml::Table>().ok());
    let kind = map.as_ref().and_then(|map| map.get("subject")?.get("as"));
    kind.and_then(toml::Value::as_str) == Some("text")
}

/// Says what became of each row and column.
fn tell(imported: &Imported, folder: &Path, out: &mut dyn Write) -> Result<()> {
    let Imported {
        rows,
        kept,
        passed,
        later,
        dropped,
        ..
    } = imported;
    writeln!(out, "{kept} rows  {}", folder.display())?;
    if kept < rows {
        writeln!(out, "of {rows} rows in the file:")?;
    }
    for Counted { what, rows } in passed {
        writeln!(out, "  {rows} passed over by the filter: {what}")?;
    }
    if *later > 0 {
        writeln!(out, "  {later} not the first of their subject")?;
    }
    if *dropped > 0 {
        writeln!(out, "  {dropped} rows left out")?;
    }
    for Counted { what, rows } in &imported.dropped_by {
        writeln!(out, "    {rows}: {what}")?;
    }
    for reason in &imported.reasons {
        writeln!(out, "  left out: {reason}")?;
    }
    if !imported.unused.is_empty() {
        writeln!(out, "columns not used: {}", imported.unused.join(", "))?;
    }
    for note in &imported.notes {
        writeln!(out, "note: {note}")?;
    }
    Ok(())
}
