//! What was imported into a folder of patients, by source.
//!
//! ```text
//! data/imports.toml                  which CSV each source is, by which map, and how many rows of it were kept
//! data/events.parquet/labs.parquet   a folder of one file a source; readers take all of them
//! data/labels.parquet/stays.parquet
//! data/splits.parquet/stays.parquet
//! ```
//!
//! Importing a source again replaces its own files and no others.

use std::path::{Path, PathBuf};

use protocol::door::{Part, Role};
use protocol::id::Digest;
use serde::{Deserialize, Serialize};

use crate::durable::{self, FileError};

const ROLES: [Role; 3] = [Role::Events, Role::Labels, Role::Splits];

/// A folder that patients are imported into.
#[derive(Debug)]
pub struct Imports {
    folder: PathBuf,
    written: Written,
}

/// The file `imports.toml`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, rename = "import")]
    imports: Vec<Entry>,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entry {
    /// Its name, and that of its files.
    pub source: String,
    /// The CSV file.
    pub csv: PathBuf,
    /// The SHA-256 of the map, with the conditions of the command.
    pub map_sha256: Digest,
    /// Rows that the files are made of.
    pub rows: u64,
    /// The SHA-256 of the key that made numbers of ids, where ids are text.
    pub id_key_sha256: Option<Digest>,
}

/// Who chose a source's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// The person who imports: whatever has the name is replaced.
    ByPerson,
    /// The CSV file: what has the name must come from the same file.
    ByFile,
}

/// Why files are not taken into a folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportsError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The record of imports cannot be read.
    #[error("{} cannot be read: {problem}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A name that no file can have.
    #[error(
        "`{0}` is not a name for a source: want one without `/` that does not begin with a dot"
    )]
    Name(String),
    /// Another CSV has the same name.
    #[error(
        "{source_name} was imported from {}, and this is {}: name this one with --source, or repeat the name with --source {source_name} to replace the other",
        before.display(), now.display()
    )]
    OtherCsv {
        /// The name of both.
        source_name: String,
        /// The CSV file before.
        before: PathBuf,
        /// The CSV file now.
        now: PathBuf,
    },
    /// A file that no import made is in the way.
    #[error(
        "{} is a file that no import made, and would be replaced: import into another folder, or make a folder of this name and move the file into it",
        .0.display()
    )]
    InTheWay(PathBuf),
    /// Labels without splits beside splits of another import.
    #[error(
        "the map makes labels and no splits, and {} holds the splits of another import, which do not know these patients: add [split] to the map, or remove that file and import its table without splits",
        .0.display()
    )]
    OtherSplits(PathBuf),
    /// Ids of text were numbered with another key.
    #[error(
        "{source_name} in this folder has ids numbered with another key, so the same patient would have two numbers: give that key with --id-key"
    )]
    OtherKey {
        /// A source with that key.
        source_name: String,
    },
}

impl Imports {
    /// What was imported into a folder, which need not be there.
    ///
    /// # Errors
    ///
    /// A record that cannot be read.
    pub fn of(folder: &Path) -> Result<Self, ImportsError> {
        let path = folder.join(RECORD);
        let record = |problem: String| ImportsError::Record {
            path: path.clone(),
            problem,
        };
        let written = match durable::read(&path) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes).map_err(|error| record(error.to_string()))?;
                toml::from_str(&text).map_err(|error| record(error.to_string()))?
            }
            Err(error) if error.is_missing() => Written::default(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            folder: folder.to_owned(),
            written,
        })
    }

    /// A source whose ids were numbered with a key, if there is one.
    #[must_use]
    pub fn with_key(&self) -> Option<&Entry> {
        let mut imports = self.written.imports.iter();
        imports.find(|entry| entry.id_key_sha256.is_some())
    }

    /// Takes in the files of a source; gives the files of an earlier import that they replace.
    ///
    /// # Errors
    ///
    /// Files that do not fit what is in the folder: nothing is changed then. A disk that does not take them.
    ///
    /// # Panics
    ///
    /// Never: strings and numbers are TOML.
    pub fn take(
        &mut self,
        entry: Entry,
        named: Named,
        files: &Incoming,
    ) -> Result<Vec<PathBuf>, ImportsError> {
        self.admit(&entry, named, &files.roles)?;
        let mut replaced = Vec::new();
        for role in ROLES {
            let path = self.path(role, &entry.source);
            let before = path.exists();
            if files.roles.contains(&role) {
                durable::create_folder(&self.folder.join(name(role)))?;
                durable::put(&files.path(role), &path)?;
            } else {
                durable::remove(&path)?;
            }
            replaced.extend(before.then_some(path));
        }
        let imports = &mut self.written.imports;
        imports.retain(|other| other.source != entry.source);
        imports.push(entry);
        imports.sort_by(|one, other| one.source.cmp(&other.source));
        let text = toml::to_string(&self.written).expect("strings and numbers are TOML");
        durable::replace(&self.folder.join(RECORD), text.as_bytes())?;
        Ok(replaced)
    }

    fn admit(&self, entry: &Entry, named: Named, roles: &[Role]) -> Result<(), ImportsError> {
        let source = &entry.source;
        if source.is_empty() || source.starts_with('.') || source.contains(['/', '\0']) {
            return Err(ImportsError::Name(source.clone()));
        }
        let before = self.written.imports.iter();
        let mut before = before.filter(|other| other.source == *source);
        if let Some(other) = before.next()
            && named == Named::ByFile
            && other.csv != entry.csv
        {
            return Err(ImportsError::OtherCsv {
                source_name: source.clone(),
                before: other.csv.clone(),
                now: entry.csv.clone(),
            });
        }
        for role in roles {
            let path = self.folder.join(name(*role));
            if path.is_file() {
                return Err(ImportsError::InTheWay(path));
            }
        }
        let makes = |role| roles.contains(&role);
        if makes(Role::Labels) && !makes(Role::Splits) {
            let splits = self.folder.join(name(Role::Splits));
            if splits.is_file() {
                return Err(ImportsError::OtherSplits(splits));
            }
            let own = self.path(Role::Splits, source);
            let others = durable::files_in(&splits)?;
            if let Some(other) = others.into_iter().find(|path| *path != own) {
                return Err(ImportsError::OtherSplits(other));
            }
        }
        let others = self.written.imports.iter();
        let mut others = others.filter(|other| other.source != *source);
        let other_key = |other: &&Entry| {
            other.id_key_sha256.is_some()
                && entry.id_key_sha256.is_some()
                && other.id_key_sha256 != entry.id_key_sha256
        };
        match others.find(other_key) {
            Some(other) => Err(ImportsError::OtherKey {
                source_name: other.source.clone(),
            }),
            None => Ok(()),
        }
    }

    fn path(&self, role: Role, source: &str) -> PathBuf {
        self.folder
            .join(name(role))
            .join(format!("{source}.parquet"))
    }
}

/// Files on their way into a folder, in a folder of their own beside where they are to be. What is not taken in is removed.
#[derive(Debug)]
pub struct Incoming {
    folder: PathBuf,
    roles: Vec<Role>,
}

impl Incoming {
    /// Files for `folder`, which need not be there; what another import left on its way is removed.
    ///
    /// # Errors
    ///
    /// What another import left and cannot be removed.
    pub fn for_folder(folder: &Path) -> Result<Self, FileError> {
        let folder = folder.join(INCOMING);
        durable::remove_folder(&folder)?;
        Ok(Self {
            folder,
            roles: Vec::new(),
        })
    }

    /// Adds a part to the end of its file.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn add(&mut self, part: &Part) -> Result<(), FileError> {
        if !self.roles.contains(&part.role) {
            durable::create_folder(&self.folder)?;
            self.roles.push(part.role);
        }
        durable::append(&self.path(part.role), &part.bytes)
    }

    fn path(&self, role: Role) -> PathBuf {
        self.folder.join(name(role))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // What stays is removed by the next import.
        let _ = durable::remove_folder(&self.folder);
    }
}

/// Where files are while they are made.
const INCOMING: &str = ".importing";

/// What a source is called where nobody names it: the CSV file without its endings.
#[must_use]
pub fn source_of(csv: &Path) -> String {
    let name = csv.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = Path::new(name).file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

/// The folder of a role's files.
#[must_use]
pub fn name(role: Role) -> &'static str {
    match role {
        Role::Events => "events.parquet",
        Role::Labels => "labels.parquet",
        Role::Splits => "splits.parquet",
    }
}

/// The record of imports in a folder of patients.
pub(crate) const RECORD: &str = "imports.toml";

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(source: &str, csv: &str) -> Entry {
        Entry {
            source: source.to_owned(),
            csv: csv.into(),
            map_sha256: Digest([1; 32]),
            rows: 3,
            id_key_sha256: None,
        }
    }

    type Files = Vec<(Role, u8)>;

    fn files(roles: &[Role], byte: u8) -> Files {
        roles.iter().map(|role| (*role, byte)).collect()
    }

    fn take(folder: &Path, entry: Entry, named: Named, files: &Files) -> Result<usize, String> {
        let mut imports = Imports::of(folder).unwrap();
        let mut incoming = Incoming::for_folder(folder).unwrap();
        for (role, byte) in files {
            let part = Part {
                role: *role,
                bytes: vec![*byte].into(),
            };
            incoming.add(&part).unwrap();
        }
        let replaced = imports.take(entry, named, &incoming);
        drop(incoming);
        assert!(!folder.join(INCOMING).exists());
        replaced
            .map(|replaced| replaced.len())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn sources_stand_beside_each_other_and_replace_their_own_files() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let there = |name: &str| std::fs::read(folder.join(name)).ok();
        let (labs, vitals) = (
            entry("labs", "/a/labs.csv"),
            entry("vitals", "/a/vitals.csv"),
        );
        let events = |byte| files(&[Role::Events], byte);
        assert_eq!(take(folder, labs.clone(), Named::ByFile, &events(1)), Ok(0));
        assert_eq!(take(folder, vitals, Named::ByFile, &events(2)), Ok(0));
        assert_eq!(take(folder, labs, Named::ByFile, &events(3)), Ok(1));
        assert_eq!(there("events.parquet/labs.parquet"), Some(vec![3]));
        assert_eq!(there("events.parquet/vitals.parquet"), Some(vec![2]));
        let other = entry("labs", "/b/labs.csv");
        let error = take(folder, other.clone(), Named::ByFile, &events(4)).unwrap_err();
        assert!(error.contains("--source"), "{error}");
        assert_eq!(take(folder, other, Named::ByPerson, &events(4)), Ok(1));
        let error = take(folder, entry("../x", "x"), Named::ByPerson, &events(4)).unwrap_err();
        assert!(error.contains("not a name"), "{error}");
    }

    #[test]
    fn splits_do_not_outlive_their_labels() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let stays = entry("stays", "stays.csv");
        let both = files(&[Role::Labels, Role::Splits], 1);
        let labels = files(&[Role::Labels], 2);
        assert_eq!(take(folder, stays.clone(), Named::ByFile, &both), Ok(0));
        let error = take(folder, entry("new", "new.csv"), Named::ByFile, &labels).unwrap_err();
        assert!(error.contains("splits.parquet/stays.parquet"), "{error}");
        assert!(!folder.join("labels.parquet/new.parquet").exists());
        // Its own splits go with its labels.
        assert_eq!(take(folder, stays, Named::ByFile, &labels), Ok(2));
        assert!(!folder.join("splits.parquet/stays.parquet").exists());
        assert_eq!(
            take(folder, entry("new", "new.csv"), Named::ByFile, &labels),
            Ok(0)
        );
    }

    #[test]
    fn files_of_others_and_ids_of_another_key_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::write(folder.join("events.parquet"), "old").unwrap();
        let events = files(&[Role::Events], 1);
        let error = take(folder, entry("a", "a"), Named::ByFile, &events).unwrap_err();
        assert!(error.contains("no import made"), "{error}");
        std::fs::remove_file(folder.join("events.parquet")).unwrap();
        let keyed = |name: &str, byte| Entry {
            id_key_sha256: Some(Digest([byte; 32])),
            ..entry(name, name)
        };
        assert_eq!(take(folder, keyed("a", 1), Named::ByFile, &events), Ok(0));
        assert!(take(folder, keyed("b", 2), Named::ByFile, &events).is_err());
        assert_eq!(take(folder, keyed("b", 1), Named::ByFile, &events), Ok(0));
        assert_eq!(source_of(Path::new("x/labs.2024.csv.gz")), "labs.2024");
    }
}
