//! Where the files of a data set are: MEDS 0.4 as its tools write it, or three files side by side.
//!
//! ```text
//! MEDS                                        what `host import` and `host synth` write
//! data/{train,tuning,held_out}/0.parquet …    events.parquet, a file or a folder of one file a source
//! labels/TASK/…                               labels.parquet, alike
//! metadata/subject_splits.parquet             splits.parquet, alike, where there are splits
//! ```
//!
//! Both may be mixed: `data/` beside `labels.parquet`, say. Source: the Medical Event Data Standard, version 0.4.

use std::path::{Path, PathBuf};

use protocol::door::Role;

use crate::durable::{self, FileError};
use crate::imports::RECORD;
use crate::ledger::MARK;

/// The files of a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataSet {
    /// Each with what it holds, in the order of their names.
    pub files: Vec<DataFile>,
    /// What is in the folders and is not read.
    passed_over: Vec<String>,
}

/// A file of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Its name within the data set, with its folders.
    pub name: String,
    /// What it holds.
    pub role: Role,
    /// Where it is.
    pub path: PathBuf,
}

impl DataSet {
    /// The data set in `folder`, with the labels of `task` where it has several.
    ///
    /// # Errors
    ///
    /// A folder that cannot be read, without events or labels, with two sorts of the same, or with a choice of tasks.
    pub fn find(folder: &Path, task: Option<&str>) -> Result<Self, DataSetError> {
        if !folder.is_dir() {
            return Err(DataSetError::NoFolder(folder.to_owned()));
        }
        let events = one(folder, "events", &["events.parquet", "events", "data"])?;
        let labels = one(folder, "labels", &["labels.parquet", "labels"])?;
        let splits = one_or_none(
            folder,
            &["splits.parquet", "metadata/subject_splits.parquet"],
        )?;
        // As imports are kept, labels.parquet is a folder itself: of one file a source, all of one task.
        let has_tasks = labels.is_dir() && labels.ends_with("labels");
        let labels = match task {
            _ if has_tasks => labels_of(&labels, task)?,
            None => labels,
            Some(task) => {
                return Err(DataSetError::OneTask {
                    labels,
                    task: task.to_owned(),
                });
            }
        };
        let mut set = Self::default();
        set.add(folder, Role::Events, &events)?;
        set.add(folder, Role::Labels, &labels)?;
        if let Some(splits) = &splits {
            match set.add(folder, Role::Splits, splits) {
                // The last import may have had no splits, and taken away those before it.
                Err(DataSetError::Empty(_)) => {}
                added => added?,
            }
        }
        set.pass_over_others(folder)?;
        Ok(set)
    }

    /// The files that are named one by one, each a file or a folder of files.
    ///
    /// # Errors
    ///
    /// A folder that cannot be read, or that holds no Parquet file.
    pub fn of_paths(paths: &[(Role, &Path)]) -> Result<Self, DataSetError> {
        let mut set = Self::default();
        for (role, path) in paths {
            let root = path.parent().unwrap_or(Path::new(""));
            set.add(root, *role, path)?;
        }
        Ok(set)
    }

    /// A file, or all Parquet files in a folder and in those below it; names are relative to `root`.
    fn add(&mut self, root: &Path, role: Role, path: &Path) -> Result<(), DataSetError> {
        let (found, others) = if path.is_dir() {
            files_below(path)?
        } else {
            (vec![path.to_owned()], Vec::new())
        };
        if found.is_empty() {
            return Err(DataSetError::Empty(path.to_owned()));
        }
        let file = |path: PathBuf| DataFile {
            name: name(root, &path),
            role,
            path,
        };
        self.files.extend(found.into_iter().map(file));
        self.passed_over
            .extend(others.iter().map(|path| name(root, path)));
        Ok(())
    }

    /// Takes note of what lies beside the files that are read, but for what MEDS keeps there.
    fn pass_over_others(&mut self, folder: &Path) -> Result<(), DataSetError> {
        for path in durable::files_in(folder)? {
            let name = name(folder, &path);
            let used = self
                .files
                .iter()
                .any(|file| Path::new(&file.name).starts_with(&name));
            if !used && !KNOWN.contains(&name.as_str()) {
                self.passed_over.push(name);
            }
        }
        Ok(())
    }

    /// What is not read, in words; nothing where all is read.
    #[must_use]
    pub fn passed_over(&self) -> Option<String> {
        let (named, rest) = self
            .passed_over
            .split_at(self.passed_over.len().min(MOST_NAMED));
        let more = match rest.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!named.is_empty()).then(|| {
            format!(
                "not read: {}{more}. Read are files that end in .parquet, and no hidden ones",
                named.join(", ")
            )
        })
    }
}

/// Names that a message lists.
const MOST_NAMED: usize = 10;

/// What lies beside the patients and is no file of theirs: MEDS's own metadata, the record of imports, the mark.
const KNOWN: [&str; 3] = ["metadata", RECORD, MARK];

/// Folders of MEDS's splits.
const SPLITS: [&str; 3] = ["train", "tuning", "held_out"];

/// Why there is no data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataSetError {
    /// A folder could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no folder.
    #[error("{} is not a folder: name the root of a MEDS data set, with data/ and labels/ in it, or a folder with events.parquet and labels.parquet", .0.display())]
    NoFolder(PathBuf),
    /// A folder holds no Parquet file.
    #[error("{} holds no .parquet file", .0.display())]
    Empty(PathBuf),
    /// There is nothing of this kind.
    #[error("{} holds no {what}: want {want}; it holds {found}", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// What is missing.
        what: &'static str,
        /// Where it can be.
        want: String,
        /// What there is.
        found: String,
    },
    /// There is more than one of a kind.
    #[error("{} holds both {first} and {second}: remove one, or name the files under [data] in host.toml", folder.display())]
    Both {
        /// The folder.
        folder: PathBuf,
        /// The one.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// Several tasks, none of them chosen.
    #[error("{} holds labels of the tasks {}: choose one by task = \"…\" under [data] in host.toml, or by --task", labels.display(), tasks.join(", "))]
    Tasks {
        /// The folder of labels.
        labels: PathBuf,
        /// The tasks.
        tasks: Vec<String>,
    },
    /// A task that is not there.
    #[error("{} holds no labels of the task {task}; there are {}", labels.display(), tasks.join(", "))]
    NoTask {
        /// The folder of labels.
        labels: PathBuf,
        /// What was wanted.
        task: String,
        /// The tasks.
        tasks: Vec<String>,
    },
    /// A task is named, and there is nothing to choose.
    #[error("{} holds the labels of one task, so leave out the task {task}", labels.display())]
    OneTask {
        /// The labels.
        labels: PathBuf,
        /// What was wanted.
        task: String,
    },
}

/// The only one of `names` in `folder`.
fn one(folder: &Path, what: &'static str, names: &[&'static str]) -> Result<PathBuf, DataSetError> {
    if let Some(path) = one_or_none(folder, names)? {
        return Ok(path);
    }
    let mut found: Vec<String> = durable::files_in(folder)?
        .iter()
        .map(|path| name(folder, path))
        .collect();
    found.truncate(MOST_NAMED);
    let found = if found.is_empty() {
        "nothing".to_owned()
    } else {
        found.join(", ")
    };
    Err(DataSetError::Missing {
        folder: folder.to_owned(),
        what,
        want: names.join(" or "),
        found,
    })
}

fn one_or_none(folder: &Path, names: &[&'static str]) -> Result<Option<PathBuf>, DataSetError> {
    let mut found = names.iter().filter(|name| folder.join(name).exists());
    match (found.next(), found.next()) {
        (Some(first), Some(second)) => Err(DataSetError::Both {
            folder: folder.to_owned(),
            first,
            second,
        }),
        (first, _) => Ok(first.map(|name| folder.join(name))),
    }
}

/// The labels of a task, a folder or a file in a folder of labels; all of them where there is one task.
fn labels_of(labels: &Path, task: Option<&str>) -> Result<PathBuf, DataSetError> {
    let tasks: Vec<(String, PathBuf)> = durable::files_in(labels)?
        .into_iter()
        .filter(|path| !is_hidden(path) && (path.is_dir() || is_parquet(path)))
        .map(|path| (stem(&path), path))
        .collect();
    // Shards of one task: folders of the splits, or files with numbers.
    let shard =
        |name: &str| SPLITS.contains(&name) || name.bytes().all(|byte| byte.is_ascii_digit());
    let only_shards = tasks.iter().all(|(name, _)| shard(name));
    let names = || tasks.iter().map(|(name, _)| name.clone()).collect();
    match (task, tasks.as_slice()) {
        (None, _) if only_shards => Ok(labels.to_owned()),
        (None, [(_, path)]) => Ok(path.clone()),
        (None, _) => Err(DataSetError::Tasks {
            labels: labels.to_owned(),
            tasks: names(),
        }),
        (Some(task), _) if only_shards => Err(DataSetError::OneTask {
            labels: labels.to_owned(),
            task: task.to_owned(),
        }),
        (Some(task), _) => {
            let found = tasks.iter().find(|(name, _)| name == task);
            found
                .map(|(_, path)| path.clone())
                .ok_or_else(|| DataSetError::NoTask {
                    labels: labels.to_owned(),
                    task: task.to_owned(),
                    tasks: names(),
                })
        }
    }
}

/// The Parquet files in a folder and in those below it, and what else is there, in the order of their paths.
fn files_below(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), DataSetError> {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in durable::files_in(&folder)? {
            if is_hidden(&path) {
                others.push(path);
            } else if path.is_dir() {
                folders.push(path);
            } else if is_parquet(&path) {
                found.push(path);
            } else {
                others.push(path);
            }
        }
    }
    found.sort();
    others.sort();
    others.retain(|path| !path.ends_with(MARK));
    Ok((found, others))
}

fn is_parquet(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with('.')
}

fn stem(path: &Path) -> String {
    let name = if path.is_dir() {
        path.file_name()
    } else {
        path.file_stem()
    };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

fn name(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    relative.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    fn found(files: &[&str], task: Option<&str>) -> Result<DataSet, String> {
        let folder = folder(files);
        DataSet::find(folder.path(), task).map_err(|error| {
            error
                .to_string()
                .replace(&*folder.path().to_string_lossy(), "SET")
        })
    }

    fn names(set: &DataSet, role: Role) -> Vec<&str> {
        let files = set.files.iter().filter(|file| file.role == role);
        files.map(|file| file.name.as_str()).collect()
    }

    const MEDS: [&str; 8] = [
        "data/train/0.parquet",
        "data/tuning/0.parquet",
        "data/held_out/0.parquet",
        "labels/death/train/0.parquet",
        "labels/death/held_out/0.parquet",
        "metadata/codes.parquet",
        "metadata/dataset.json",
        "metadata/subject_splits.parquet",
    ];

    #[test]
    fn a_data_set_of_meds_is_found_by_its_root() {
        let set = found(&MEDS, None).unwrap();
        assert_eq!(
            names(&set, Role::Events),
            [
                "data/held_out/0.parquet",
                "data/train/0.parquet",
                "data/tuning/0.parquet"
            ]
        );
        assert_eq!(
            names(&set, Role::Labels),
            [
                "labels/death/held_out/0.parquet",
                "labels/death/train/0.parquet"
            ]
        );
        assert_eq!(
            names(&set, Role::Splits),
            ["metadata/subject_splits.parquet"]
        );
        assert_eq!(set.passed_over(), None);
    }

    #[test]
    fn three_files_side_by_side_are_a_data_set() {
        let files = ["events.parquet", "labels.parquet", "splits.parquet", MARK];
        let set = found(&files, None).unwrap();
        assert_eq!(names(&set, Role::Events), ["events.parquet"]);
        assert_eq!(names(&set, Role::Splits), ["splits.parquet"]);
        assert_eq!(set.passed_over(), None);
        let set = found(&files[..2], None).unwrap();
        assert_eq!(names(&set, Role::Splits), [""; 0]);
    }

    #[test]
    fn imports_of_several_sources_are_a_data_set() {
        let files = [
            "events.parquet/labs.parquet",
            "events.parquet/stays.parquet",
            "labels.parquet/clinic.parquet",
            "labels.parquet/stays.parquet",
            "imports.toml",
        ];
        let set = found(&files, None).unwrap();
        assert_eq!(
            names(&set, Role::Events),
            [
                "events.parquet/labs.parquet",
                "events.parquet/stays.parquet"
            ]
        );
        assert_eq!(names(&set, Role::Labels).len(), 2);
        assert_eq!(set.passed_over(), None);
    }

    #[test]
    fn one_of_several_tasks_is_to_be_chosen() {
        let files = [&MEDS[..], &["labels/stay/0.parquet", "labels/fall.parquet"]].concat();
        let error = found(&files, None).unwrap_err();
        assert_eq!(
            error,
            "SET/labels holds labels of the tasks death, fall, stay: choose one by task = \"…\" under [data] in host.toml, \
             or by --task"
        );
        for (task, file) in [
            ("stay", "labels/stay/0.parquet"),
            ("fall", "labels/fall.parquet"),
        ] {
            assert_eq!(
                names(&found(&files, Some(task)).unwrap(), Role::Labels),
                [file]
            );
        }
        let error = found(&files, Some("dead")).unwrap_err();
        assert_eq!(
            error,
            "SET/labels holds no labels of the task dead; there are death, fall, stay"
        );
        let shards = [
            "data/0.parquet",
            "labels/train/0.parquet",
            "labels/1.parquet",
        ];
        let set = found(&shards, None).unwrap();
        assert_eq!(
            names(&set, Role::Labels),
            ["labels/1.parquet", "labels/train/0.parquet"]
        );
        assert!(
            found(&shards, Some("death"))
                .unwrap_err()
                .contains("leave out the task death")
        );
    }

    #[test]
    fn what_is_not_read_is_told() {
        let files = [
            "data/train/0.parquet",
            "data/train/1.parquet.gz",
            "data/.1.parquet.crc",
            "data/2.PARQUET",
            "labels.parquet",
            "notes.txt",
        ];
        let set = found(&files, None).unwrap();
        assert_eq!(
            names(&set, Role::Events),
            ["data/2.PARQUET", "data/train/0.parquet"]
        );
        assert_eq!(
            set.passed_over().unwrap(),
            "not read: data/.1.parquet.crc, data/train/1.parquet.gz, notes.txt. Read are files that end in .parquet, and no \
             hidden ones"
        );
    }

    #[test]
    fn what_is_missing_or_there_twice_is_named() {
        for (files, message) in [
            (
                &["train/0.parquet", "tuning/0.parquet"][..],
                "SET holds no events: want events.parquet or events or data; it holds train, tuning",
            ),
            (
                &["data/0.parquet"],
                "SET holds no labels: want labels.parquet or labels; it holds data",
            ),
            (
                &["data/0.parquet", "events.parquet", "labels.parquet"],
                "SET holds both events.parquet and data: remove one, or name the files under [data] in host.toml",
            ),
            (
                &["data/0.csv", "labels.parquet"],
                "SET/data holds no .parquet file",
            ),
        ] {
            assert_eq!(found(files, None).unwrap_err(), message);
        }
    }
}
