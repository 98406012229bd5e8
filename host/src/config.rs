//! `host.toml`: the one file that says what this site is and where its things are.
//!
//! Paths are relative to the folder of the file.

use std::path::{Path, PathBuf};

use privacy::Budget;
use protocol::door::BadRows;
use serde::Deserialize;

use crate::durable::{self, FileError};

/// What the file says, with all paths resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The site's name, as the study's roster has it.
    pub site: String,
    /// The base URL of the aggregator.
    pub aggregator: String,
    /// A PEM file of certificates: where there is one, only these may vouch for the aggregator.
    pub ca: Option<PathBuf>,
    /// The site's identity key.
    pub identity: PathBuf,
    /// The folder of journals, ledger, approved studies and prepared patients.
    pub state: PathBuf,
    /// What to do with rows that cannot be used.
    pub bad_rows: BadRows,
    /// The most memory that the module may use, in MiB.
    pub memory_mib: u32,
    /// The longest time for one request to the module, in seconds.
    pub request_seconds: u32,
    /// The hospital's patients.
    pub data: Data,
    /// The most that may be learned of one patient over all studies, if the hospital sets a limit.
    pub patient_budget: Option<Budget>,
}

/// Where a hospital's patients are: each a Parquet file, or a folder of Parquet files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// MEDS events.
    pub events: PathBuf,
    /// MEDS labels.
    pub labels: PathBuf,
    /// MEDS splits; without them, patients are split by a hash of their number.
    pub splits: Option<PathBuf>,
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, that is no TOML, or that has an unknown, missing or impossible setting.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = durable::read(path).map_err(|error| {
            if error.is_missing() {
                ConfigError::Missing(path.to_owned())
            } else {
                error.into()
            }
        })?;
        let malformed = |reason| ConfigError::Malformed {
            path: path.to_owned(),
            reason,
        };
        let text = String::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8".to_owned()))?;
        let file: File = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        file.resolve(path.parent().unwrap_or(Path::new("")))
            .map_err(|(setting, problem)| ConfigError::Setting {
                path: path.to_owned(),
                setting,
                problem,
            })
    }

    /// The text of a new file for a site whose patients are in `data`.
    #[must_use]
    pub fn template(site: &str, aggregator: &str, data: &Data) -> String {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let file = |path: &Path| quoted(&path.to_string_lossy());
        let splits = data.splits.as_ref().map_or_else(
            || "# splits = \"data/splits.parquet\"".to_owned(),
            |path| format!("splits = {}", file(path)),
        );
        format!(
            r#"# This site. Paths are relative to this file.
site = {site}
aggregator = {aggregator}
# Where only your own authority may vouch for the aggregator: its certificates, in PEM.
# ca = "ca.pem"
identity = "identity.key"
state = "state"

# Rows that cannot be used: "stop" names the first one, "drop" leaves them out and counts them.
on-bad-rows = "stop"

# What the module may use.
memory-mib = {MEMORY_MIB}
request-seconds = {REQUEST_SECONDS}

# MEDS Parquet: a file, or a folder of files, each. Without splits, patients are split by a hash of their number.
[data]
events = {events}
labels = {labels}
{splits}

# The most that may be learned of one patient over all studies; nothing leaves once it is spent.
# [patient-budget]
# epsilon = 4.0
# delta = 1e-6
"#,
            site = quoted(site),
            aggregator = quoted(aggregator),
            events = file(&data.events),
            labels = file(&data.labels),
        )
    }
}

impl Data {
    /// The files of a folder as `host import` and `host synth` write it; splits where there are some.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        let splits = folder.join("splits.parquet");
        Self {
            events: folder.join("events.parquet"),
            labels: folder.join("labels.parquet"),
            splits: splits.exists().then_some(splits),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no such file.
    #[error(
        "{} is not there: `host init` writes one, and --config names one elsewhere", .0.display()
    )]
    Missing(PathBuf),
    /// The file is no configuration.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A setting is impossible.
    #[error("{}: {setting} {problem}", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting's name.
        setting: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// What the file says, as it says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    site: String,
    aggregator: String,
    ca: Option<PathBuf>,
    identity: PathBuf,
    state: PathBuf,
    #[serde(default)]
    on_bad_rows: OnBadRows,
    #[serde(default = "memory_mib")]
    memory_mib: u32,
    #[serde(default = "request_seconds")]
    request_seconds: u32,
    data: Files,
    patient_budget: Option<Budget>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Files {
    events: PathBuf,
    labels: PathBuf,
    splits: Option<PathBuf>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OnBadRows {
    #[default]
    Stop,
    Drop,
}

impl File {
    fn resolve(self, folder: &Path) -> Result<Config, (&'static str, String)> {
        let place = |path: PathBuf| folder.join(path);
        if self.site.trim().is_empty() {
            return Err((
                "site",
                "is empty; want the site's name in the study's roster".to_owned(),
            ));
        }
        if !(16..=4_096).contains(&self.memory_mib) {
            return Err((
                "memory-mib",
                format!(
                    "is {}; want 16 to 4096, what a module can address",
                    self.memory_mib
                ),
            ));
        }
        if self.request_seconds == 0 {
            return Err(("request-seconds", "is 0; want at least 1".to_owned()));
        }
        Ok(Config {
            site: self.site,
            aggregator: self.aggregator,
            ca: self.ca.map(place),
            identity: place(self.identity),
            state: place(self.state),
            bad_rows: match self.on_bad_rows {
                OnBadRows::Stop => BadRows::Stop,
                OnBadRows::Drop => BadRows::Drop,
            },
            memory_mib: self.memory_mib,
            request_seconds: self.request_seconds,
            data: Data {
                events: place(self.data.events),
                labels: place(self.data.labels),
                splits: self.data.splits.map(place),
            },
            patient_budget: self.patient_budget,
        })
    }
}

/// Room for a thousand patients many times over, and little beside a server's memory.
pub const MEMORY_MIB: u32 = 1_024;
/// Far longer than any request takes, so that only a module that hangs is stopped.
pub const REQUEST_SECONDS: u32 = 600;

fn memory_mib() -> u32 {
    MEMORY_MIB
}

fn request_seconds() -> u32 {
    REQUEST_SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.toml");
        std::fs::write(&path, text).unwrap();
        let mut config = Config::read(&path)?;
        for place in [
            &mut config.identity,
            &mut config.state,
            &mut config.data.events,
        ] {
            *place = place.strip_prefix(folder.path()).unwrap().to_owned();
        }
        Ok(config)
    }

    fn template() -> String {
        Config::template(
            "St. \"Anna\"",
            "http://127.0.0.1:7000",
            &Data::in_folder(Path::new("data")),
        )
    }

    #[test]
    fn the_template_is_a_configuration() {
        let config = read(&template()).unwrap();
        assert_eq!(config.site, "St. \"Anna\"");
        assert_eq!(config.bad_rows, BadRows::Stop);
        assert_eq!(config.state, Path::new("state"));
        assert_eq!(config.data.events, Path::new("data/events.parquet"));
        assert_eq!(
            (config.data.splits, config.patient_budget, config.ca),
            (None, None, None)
        );
        let all = template()
            .replace("\n# ca", "\nca")
            .replace("\n# [pat", "\n[pat")
            .replace("\n# eps", "\neps");
        let all = all
            .replace("\n# delta", "\ndelta")
            .replace("\n# splits", "\nsplits")
            .replace("stop\"\n", "drop\"\n");
        let config = read(&all).unwrap();
        assert!((config.patient_budget.unwrap().epsilon.get() - 4.0).abs() < 1e-12);
        assert!(config.data.splits.is_some() && config.ca.is_some());
        assert_eq!(config.bad_rows, BadRows::Drop);
    }

    #[test]
    fn an_impossible_setting_is_named() {
        for (from, to, wanted) in [
            ("site = ", "sight = ", "unknown field `sight`"),
            ("\"St. \\\"Anna\\\"\"", "\" \"", "site is empty"),
            ("'St. \"Anna\"'", "\" \"", "site is empty"),
            (
                "memory-mib = 1024",
                "memory-mib = 5",
                "memory-mib is 5; want 16 to 4096",
            ),
            (
                "request-seconds = 600",
                "request-seconds = 0",
                "request-seconds is 0",
            ),
            (
                "\"stop\"\n",
                "\"skip\"\n",
                "unknown variant `skip`, expected `stop` or `drop`",
            ),
            ("events = ", "# events = ", "missing field `events`"),
        ] {
            let text = template().replace(from, to);
            if text == template() {
                continue;
            }
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        for (epsilon, delta, wanted) in [
            ("-1", "1e-6", "ε must be above 0 and at most 100, got -1"),
            ("101", "1e-6", "ε must be above 0 and at most 100, got 101"),
            ("1", "1e-13", "δ must be from 1e-12 to below 1"),
        ] {
            let budget = format!("[patient-budget]\nepsilon = {epsilon}\ndelta = {delta}\n");
            let error = read(&(template() + &budget)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_missing_file_says_what_to_do() {
        let error = Config::read(Path::new("nowhere/host.toml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("host init") && error.contains("--config"),
            "{error}"
        );
    }
}
