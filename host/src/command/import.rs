//! `host import`

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use flate2::read::MultiGzDecoder;
use host::compiled::Compiled;
use host::durable;
use host::sandbox::{Sandbox, SandboxError};
use protocol::door::{self, BadRows, Request, Response, Role};

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
    /// The CSV file
    #[arg(value_name = "FILE")]
    csv: PathBuf,
    /// The map, in TOML
    #[arg(long, value_name = "FILE")]
    map: PathBuf,
    /// The module, which does the reading
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// The folder to write events.parquet, labels.parquet and, where the map says so, splits.parquet to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
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
        let sandbox = Sandbox::load(
            &durable::read(&self.module)?,
            self.limits.allowance(None),
            &Compiled::of_user(),
        )?;
        let request = Request::Import(door::Import {
            map: self.map()?.into(),
            name: self
                .csv
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            csv: self.csv()?.into(),
            bad_rows: if self.drop_bad_rows {
                BadRows::Drop
            } else {
                BadRows::Stop
            },
        });
        let Response::Imported(imported) = sandbox.instance()?.ask(&request)? else {
            return Err(SandboxError::OtherAnswer.into());
        };
        durable::create_folder(&self.out)?;
        for role in [Role::Events, Role::Labels, Role::Splits] {
            let mut files = imported.files.iter().filter(|file| file.role == role);
            let Some(file) = files.next() else { continue };
            if files.next().is_some() {
                bail!("the module gave two files of one kind");
            }
            let path = self.out.join(name(role));
            durable::replace(&path, &file.bytes)
                .with_context(|| format!("importing {}", self.csv.display()))?;
        }
        writeln!(out, "{} rows  {}", imported.rows, self.out.display())?;
        if imported.dropped > 0 {
            writeln!(out, "{} rows left out", imported.dropped)?;
        }
        for reason in &imported.reasons {
            writeln!(out, "  left out: {reason}")?;
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

    /// The CSV file, unpacked where it is packed with gzip.
    fn csv(&self) -> Result<Vec<u8>> {
        let bytes = durable::read(&self.csv)?;
        if !bytes.starts_with(&GZIP) {
            return Ok(bytes);
        }
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(bytes.as_slice())
            .read_to_end(&mut unpacked)
            .with_context(|| format!("unpacking {}", self.csv.display()))?;
        Ok(unpacked)
    }
}

fn condition(text: &str) -> Result<(String, String), String> {
    let (column, value) = text.split_once('=').ok_or("want COLUMN=VALUE")?;
    Ok((column.to_owned(), value.to_owned()))
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Events => "events.parquet",
        Role::Labels => "labels.parquet",
        Role::Splits => "splits.parquet",
    }
}

/// What a gzip file starts with (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
