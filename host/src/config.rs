//! `host.toml`: the one file that says what this site is and where its things are.
//!
//! Paths are relative to the folder of the file.

use std::path::{Path, PathBuf};

use protocol::door::{BadRows, Role};
use protocol::id::Digest;
use serde::Deserialize;

use crate::budget::PatientBudget;
use crate::dataset::{DataSet, DataSetError};
use crate::durable::{self, FileError};
use crate::retention::Retention;
use crate::tls::Trust;
use crate::vault::{KeySource, VaultSettings};

/// What the file says, with all paths resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The site's name, as the study's roster has it.
    pub site: String,
    /// The base URL of the aggregator.
    pub aggregator: String,
    /// Who may vouch for the aggregator, and which certificates may be its own.
    pub trust: Trust,
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
    /// The most that may be learned of one patient over all studies, as the file says it; what is in force is
    /// [`crate::decisions::budget_in_force`].
    pub patient_budget: PatientBudget,
    /// Where the key of secrets at rest is.
    pub vault: VaultSettings,
    /// How long recorded rounds and prepared patients are kept.
    pub retention: Retention,
}

/// A hospital's patients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Where they are.
    pub place: Place,
    /// The zone of the hospital's clocks: times that files keep in UTC become what these clocks showed.
    pub zone: Option<String>,
}

/// Where a hospital's patients are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder as [`crate::dataset`] describes it.
    Set {
        /// The root.
        folder: PathBuf,
        /// Which labels, where there are several.
        task: Option<String>,
    },
    /// Files that are named one by one: each a Parquet file, or a folder of Parquet files.
    Files {
        /// MEDS events.
        events: PathBuf,
        /// MEDS labels.
        labels: PathBuf,
        /// MEDS splits; without them, patients are split by a hash of their number.
        splits: Option<PathBuf>,
    },
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
        let text = String::from_utf8(bytes).map_err(|_| ConfigError::Malformed {
            path: path.to_owned(),
            reason: "it is not UTF-8".to_owned(),
        })?;
        Self::parse(path, &text)
    }

    /// What a file at `path` with this text says.
    ///
    /// # Errors
    ///
    /// A text that is no TOML, or that has an unknown, missing or impossible setting.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let malformed = |reason| ConfigError::Malformed {
            path: path.to_owned(),
            reason,
        };
        let file: File = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
        file.resolve(path.parent().unwrap_or(Path::new("")))
            .map_err(|(setting, problem)| ConfigError::Setting {
                path: path.to_owned(),
                setting,
                problem,
            })
    }

    /// The text of a new file for a site whose patients are in `data`.
    #[must_use]
    pub fn template(
        site: &str,
        aggregator: &str,
        data: &Data,
        key: &KeySource,
        budget: PatientBudget,
    ) -> String {
        format!(
            r#"# This site. Paths are relative to this file.
site = {site}
aggregator = {aggregator}
# Where only your own authority may vouch for the aggregator: its certificates, in PEM.
# ca = "ca.pem"
# Where the aggregator's own certificate is known: its SHA-256, and in time that of the next one.
# certificate-sha256 = ["{example}"]
identity = "identity.key"
state = "state"
{no_budget}
# Rows that cannot be used: "stop" names the first one, "drop" leaves them out and counts them.
on-bad-rows = "stop"

# What the module may use.
memory-mib = {MEMORY_MIB}
request-seconds = {REQUEST_SECONDS}

# MEDS: the root of a data set (data/, labels/TASK/, metadata/), or a folder with events.parquet, labels.parquet and, where
# there are splits, splits.parquet. Without splits, patients are split by a hash of their number. In place of the folder,
# events, labels and splits can be named, each a file or a folder of files.
[data]
{data}

# The key that recorded seeds are sealed with: a file outside the state folder (key-file), a systemd credential
# (credential), or passphrase = "ask". Change it with `host vault rekey`.
[vault]
{vault}

# How many days `host forget` keeps finished rounds, the states that they started from, and prepared patients. What is not
# named is kept. What was forgotten cannot be replayed; the ledger stays.
# [retention]
# journals-days = 3650
# states-days = 365
# cohorts-days = 365
{budget}"#,
            site = quoted(site),
            aggregator = quoted(aggregator),
            data = data_lines(data),
            example = "0".repeat(64),
            vault = vault_line(key),
            no_budget = no_budget_lines(budget),
            budget = budget_lines(budget),
        )
    }
}

impl Data {
    /// The data set in a folder, of a MEDS tool or as `host import` and `host synth` write it.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            place: Place::Set {
                folder: folder.to_owned(),
                task: None,
            },
            zone: None,
        }
    }

    /// With the labels of a task.
    #[must_use]
    pub fn with_task(mut self, chosen: Option<String>) -> Self {
        if let Place::Set { task, .. } = &mut self.place {
            *task = chosen;
        }
        self
    }

    /// With the zone of the hospital's clocks.
    #[must_use]
    pub fn with_zone(mut self, zone: Option<String>) -> Self {
        self.zone = zone;
        self
    }

    /// The folder that the patients are in: of their events, where files are named one by one.
    #[must_use]
    pub fn folder(&self) -> &Path {
        match &self.place {
            Place::Set { folder, .. } => folder,
            Place::Files { events, .. } if events.is_dir() => events,
            Place::Files { events, .. } => events.parent().unwrap_or(Path::new("")),
        }
    }

    /// The files, as they are now.
    ///
    /// # Errors
    ///
    /// As [`DataSet::find`].
    pub fn find(&self) -> Result<DataSet, DataSetError> {
        match &self.place {
            Place::Set { folder, task } => DataSet::find(folder, task.as_deref()),
            Place::Files {
                events,
                labels,
                splits,
            } => {
                let mut paths = vec![
                    (Role::Events, events.as_path()),
                    (Role::Labels, labels.as_path()),
                ];
                paths.extend(splits.as_deref().map(|splits| (Role::Splits, splits)));
                DataSet::of_paths(&paths)
            }
        }
    }
}

fn data_lines(data: &Data) -> String {
    let file = |path: &Path| quoted(&path.to_string_lossy());
    let zone = data.zone.as_ref().map_or_else(
        || "# Where files keep times in UTC: the zone of the hospital's clocks.\n# zone = \"Europe/Berlin\"".to_owned(),
        |zone| format!("zone = {}", quoted(zone)),
    );
    let place = match &data.place {
        Place::Set { folder, task } => {
            let task = task.as_ref().map_or_else(
                || "# Where labels/ holds several tasks.\n# task = \"…\"".to_owned(),
                |task| format!("task = {}", quoted(task)),
            );
            format!("folder = {}\n{task}", file(folder))
        }
        Place::Files {
            events,
            labels,
            splits,
        } => {
            let splits = splits
                .as_ref()
                .map_or_else(String::new, |path| format!("\nsplits = {}", file(path)));
            format!(
                "events = {}\nlabels = {}{splits}",
                file(events),
                file(labels)
            )
        }
    };
    format!("{place}\n{zone}")
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
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
    #[serde(default)]
    certificate_sha256: Vec<String>,
    identity: PathBuf,
    state: PathBuf,
    #[serde(default)]
    on_bad_rows: OnBadRows,
    #[serde(default = "memory_mib")]
    memory_mib: u32,
    #[serde(default = "request_seconds")]
    request_seconds: u32,
    data: Files,
    patient_budget: Option<PatientBudget>,
    vault: Option<Key>,
    #[serde(default)]
    retention: Retention,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Files {
    folder: Option<PathBuf>,
    task: Option<String>,
    zone: Option<String>,
    events: Option<PathBuf>,
    labels: Option<PathBuf>,
    splits: Option<PathBuf>,
}

impl Files {
    fn resolve(self, place: impl Fn(PathBuf) -> PathBuf) -> Result<Data, (&'static str, String)> {
        let place = match (self.folder, self.events, self.labels) {
            (Some(folder), None, None) if self.splits.is_none() => Ok(Place::Set {
                folder: place(folder),
                task: self.task,
            }),
            (None, Some(events), Some(labels)) if self.task.is_none() => Ok(Place::Files {
                events: place(events),
                labels: place(labels),
                splits: self.splits.map(place),
            }),
            _ => Err((
                "[data]",
                "names too little or too much: want folder = \"…\" (and task = \"…\", where there are several), or \
                 events = \"…\" and labels = \"…\" (and splits = \"…\", where there are some)"
                    .to_owned(),
            )),
        };
        Ok(Data {
            place: place?,
            zone: self.zone,
        })
    }
}

/// Where the vault's key is: exactly one of these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Key {
    key_file: Option<PathBuf>,
    credential: Option<String>,
    passphrase: Option<Passphrase>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Passphrase {
    Ask,
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
        self.retention.check()?;
        let state = place(self.state);
        let trust = Trust {
            ca: self.ca.map(place),
            certificates: fingerprints(&self.certificate_sha256)?,
        };
        Ok(Config {
            site: self.site,
            aggregator: self.aggregator,
            trust,
            identity: place(self.identity),
            bad_rows: match self.on_bad_rows {
                OnBadRows::Stop => BadRows::Stop,
                OnBadRows::Drop => BadRows::Drop,
            },
            memory_mib: self.memory_mib,
            request_seconds: self.request_seconds,
            data: self.data.resolve(place)?,
            patient_budget: self
                .patient_budget
                .ok_or_else(|| ("patient-budget", NO_BUDGET.to_owned()))?,
            vault: VaultSettings {
                key: key_source(self.vault, folder)?,
                state: state.clone(),
            },
            retention: self.retention,
            state,
        })
    }
}

fn key_source(key: Option<Key>, folder: &Path) -> Result<KeySource, (&'static str, String)> {
    let Some(key) = key else {
        return Err(("[vault]", NO_VAULT.to_owned()));
    };
    match (key.key_file, key.credential, key.passphrase) {
        (Some(path), None, None) => Ok(KeySource::File(folder.join(path))),
        (None, Some(name), None) => Ok(KeySource::Credential(name)),
        (None, None, Some(Passphrase::Ask)) => Ok(KeySource::Passphrase),
        _ => Err((
            "[vault]",
            "names no key, or more than one; want one of key-file, credential, passphrase = \"ask\""
                .to_owned(),
        )),
    }
}

/// The digests, as a program or as `openssl` writes them: in small or capital digits, with colons or without.
fn fingerprints(texts: &[String]) -> Result<Vec<Digest>, (&'static str, String)> {
    let parse = |text: &String| {
        let digits = text.replace(':', "").to_ascii_lowercase();
        digits.parse().map_err(|_| {
            let problem = format!(
                "has `{text}`; want 64 hexadecimal digits, as `openssl x509 -in server.pem -noout -fingerprint -sha256` \
                 prints them"
            );
            ("certificate-sha256", problem)
        })
    };
    texts.iter().map(parse).collect()
}

/// The line under `[vault]` that names this key.
#[must_use]
pub fn vault_line(key: &KeySource) -> String {
    match key {
        KeySource::File(path) => format!("key-file = {}", quoted(&path.to_string_lossy())),
        KeySource::Credential(name) => format!("credential = {}", quoted(name)),
        KeySource::Passphrase => "passphrase = \"ask\"".to_owned(),
    }
}

/// Before the first table, for that is where a word must be.
fn no_budget_lines(budget: PatientBudget) -> &'static str {
    match budget {
        PatientBudget::Limit(_) => "",
        PatientBudget::None => {
            "
# For experiments alone: no limit on what may be learned of a patient.
patient-budget = \"none\"
"
        }
    }
}

fn budget_lines(budget: PatientBudget) -> String {
    budget.limit().map_or_else(String::new, |budget| {
        format!(
            "
# The most that may be learned of one patient over all studies, for good; nothing leaves once it is spent. A lower one can
# be written here; a higher one is a decision: `host budget raise --epsilon … --reason …`.
[patient-budget]
epsilon = {:?}
delta = {:?}
",
            budget.epsilon.get(),
            budget.delta.get()
        )
    })
}

/// What there is to say where the file is older than vaults.
const NO_VAULT: &str = "is missing, and without a key recorded seeds would be readable by anyone who has the disk: \
     `host vault init` makes a key and adds the lines";
/// What there is to say where the file is older than budgets that everyone has.
const NO_BUDGET: &str = "is missing. Add these lines at the end of the file, which are what a new site gets:\n\n\
     [patient-budget]\nepsilon = 3.0\ndelta = 1e-5\n\n\
     or, for experiments alone, patient-budget = \"none\" before its first table. Then `host budget record --reason …` \
     records it";

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
        let Place::Set { folder: data, .. } = &mut config.data.place else {
            panic!("a template names a folder");
        };
        for place in [&mut config.identity, &mut config.state, data] {
            *place = place.strip_prefix(folder.path()).unwrap().to_owned();
        }
        Ok(config)
    }

    fn template() -> String {
        template_with(PatientBudget::of_new_site())
    }

    fn template_with(budget: PatientBudget) -> String {
        Config::template(
            "St. \"Anna\"",
            "http://127.0.0.1:7000",
            &Data::in_folder(Path::new("data")),
            &KeySource::File("vault.key".into()),
            budget,
        )
    }

    #[test]
    fn the_template_is_a_configuration() {
        let config = read(&template()).unwrap();
        assert_eq!(config.site, "St. \"Anna\"");
        assert_eq!(config.bad_rows, BadRows::Stop);
        assert_eq!(config.state, Path::new("state"));
        assert_eq!(config.data, Data::in_folder(Path::new("data")));
        assert_eq!(config.trust, Trust::default());
        assert_eq!(config.patient_budget, PatientBudget::of_new_site());
        assert_eq!(config.retention, Retention::default());
        let all = [
            "ca",
            "certificate",
            "task",
            "zone",
            "[retention",
            "journals",
            "states",
            "cohorts",
        ]
        .iter()
        .fold(template(), |text, name| {
            text.replace(&format!("\n# {name}"), &format!("\n{name}"))
        })
        .replace("stop\"\n", "drop\"\n");
        let config = read(&all).unwrap();
        let task = Some("…".to_owned());
        assert_eq!(
            config.data,
            Data::in_folder(Path::new("data"))
                .with_task(task)
                .with_zone(Some("Europe/Berlin".to_owned()))
        );
        assert!(config.trust.ca.is_some());
        assert_eq!(config.trust.certificates, [Digest([0; 32])]);
        assert_eq!(config.retention.journals_days, Some(3_650));
        assert_eq!(config.bad_rows, BadRows::Drop);
        let none = read(&template_with(PatientBudget::None)).unwrap();
        assert_eq!(none.patient_budget, PatientBudget::None);
    }

    #[test]
    fn a_file_of_an_older_version_is_refused_with_what_helps() {
        let text = template();
        let budget = text.find("\n[patient-budget]").unwrap();
        let error = read(&text[..budget]).unwrap_err().to_string();
        for wanted in [
            "patient-budget is missing",
            "[patient-budget]\nepsilon = 3.0",
            "host budget record",
        ] {
            assert!(error.contains(wanted), "{error}");
        }
        let vault = text.replace("[vault]\nkey-file = \"vault.key\"\n", "");
        let error = read(&vault).unwrap_err().to_string();
        assert!(
            error.contains("[vault] is missing") && error.contains("`host vault init`"),
            "{error}"
        );
    }

    #[test]
    fn the_vault_has_exactly_one_key() {
        for (line, wanted) in [
            (
                "credential = \"wardround\"",
                KeySource::Credential("wardround".to_owned()),
            ),
            ("passphrase = \"ask\"", KeySource::Passphrase),
        ] {
            let text = template().replace("key-file = \"vault.key\"", line);
            assert_eq!(read(&text).unwrap().vault.key, wanted);
        }
        for line in ["", "key-file = \"a\"\ncredential = \"b\""] {
            let text = template().replace("key-file = \"vault.key\"", line);
            let error = read(&text).unwrap_err().to_string();
            assert!(
                error.contains("want one of key-file, credential"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_certificate_is_named_as_openssl_prints_it() {
        let fingerprint = vec!["AB"; 32].join(":");
        let text = template().replace(
            "\nidentity",
            &format!("\ncertificate-sha256 = [\"{fingerprint}\"]\nidentity"),
        );
        assert_eq!(
            read(&text).unwrap().trust.certificates,
            [Digest([0xab; 32])]
        );
        let error = read(&text.replace("AB:", "")).unwrap_err().to_string();
        assert!(
            error.contains("certificate-sha256 has `AB`; want 64"),
            "{error}"
        );
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
            ("folder = ", "# folder = ", "[data] names too little"),
            (
                "folder = ",
                "events = \"e\"\nfolder = ",
                "or too much: want folder",
            ),
            ("folder = ", "labels = ", "want folder = \"…\""),
            (
                "# [retention]\n# journals-days = 3650",
                "[retention]\njournals-days = 0",
                "journals-days is 0; want at least 1",
            ),
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
            let budget = template()
                .replace("epsilon = 3.0", &format!("epsilon = {epsilon}"))
                .replace("delta = 1e-5", &format!("delta = {delta}"))
                .replace("delta = 0.00001", &format!("delta = {delta}"));
            let error = read(&budget).unwrap_err().to_string();
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
