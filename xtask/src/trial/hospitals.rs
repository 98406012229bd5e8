//! Hospitals and their files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use e2e::{Programs, Site, finish};
use serde::Serialize;

use super::diabetes;
use crate::shell::{root, say};

/// Where hospitals come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Source {
    /// Made by a generator.
    Synthetic {
        /// Hospitals.
        hospitals: u16,
        /// Patients of each.
        patients: u32,
        /// The generator's seed.
        seed: u64,
    },
    /// The four hospitals of UCI Heart Disease on `FLamby`'s split.
    HeartDisease {
        /// The folder of `flamby_split.csv`.
        folder: PathBuf,
    },
    /// Diabetes 130-US, cut into simulated hospitals.
    Diabetes {
        /// The folder of `diabetic_data.csv.gz` and `folds5_grouped.csv.gz`.
        folder: PathBuf,
        /// The fold that is held out, from 0 to 4.
        fold: u8,
        /// Which stays are used.
        stays: Stays,
    },
}

/// Which stays of Diabetes 130-US are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Stays {
    /// All of the file.
    All,
    /// Those that did not end in death or hospice.
    Survived,
}

/// Hospitals with their files on disk.
#[derive(Clone, Debug)]
pub(crate) struct Hospitals {
    /// The sites.
    pub(crate) sites: Vec<Site>,
    /// The best accuracy that any model can have, where the hospitals are synthetic.
    pub(crate) best_accuracy: Option<f64>,
}

impl Source {
    /// The data in `folder`, told by its files.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self> {
        let folder = folder.to_path_buf();
        if folder.join(HEART).is_file() {
            Ok(Self::HeartDisease { folder })
        } else if folder.join(diabetes::STAYS).is_file() {
            Ok(Self::Diabetes {
                folder,
                fold: 0,
                stays: Stays::All,
            })
        } else {
            bail!(
                "{} holds neither {HEART} (UCI Heart Disease with FLamby's split) nor {} (Diabetes 130-US)",
                folder.display(),
                diabetes::STAYS
            )
        }
    }

    /// The files that the hospitals' own are made of; none where they are synthetic.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Synthetic { .. } => Vec::new(),
            Self::HeartDisease { folder } => vec![folder.join(HEART), root().join(HEART_MAP)],
            Self::Diabetes { folder, .. } => vec![
                folder.join(diabetes::STAYS),
                folder.join(diabetes::FOLDS),
                root().join(diabetes::MAP),
            ],
        }
    }
}

impl Hospitals {
    /// Writes the hospitals' files into `folder`.
    pub(crate) fn make(programs: &Programs, source: &Source, folder: &Path) -> Result<Self> {
        match source {
            Source::Synthetic {
                hospitals,
                patients,
                seed,
            } => synthetic(programs, *hospitals, *patients, *seed, folder),
            Source::HeartDisease { folder: data } => {
                let sites = ["cleveland", "hungarian", "switzerland", "va"];
                let map = root().join(HEART_MAP);
                import(programs, &data.join(HEART), &map, &sites, folder)
            }
            Source::Diabetes {
                folder: data,
                fold,
                stays,
            } => {
                let cut = diabetes::cut(data, *fold, *stays, folder)?;
                import(programs, &cut.stays, &cut.map, &diabetes::SITES, folder)
            }
        }
    }
}

fn synthetic(
    programs: &Programs,
    hospitals: u16,
    patients: u32,
    seed: u64,
    folder: &Path,
) -> Result<Hospitals> {
    say(&format!(
        "writing {hospitals} synthetic hospitals of {patients} patients, seed {seed}"
    ));
    let mut synth = programs.host();
    synth.args(["synth", "--hospitals", &hospitals.to_string()]);
    synth.args([
        "--patients",
        &patients.to_string(),
        "--seed",
        &seed.to_string(),
    ]);
    let said = finish(synth.arg("--out").arg(folder))?;
    let best = said
        .lines()
        .find_map(|line| line.strip_prefix("best possible accuracy "));
    let best = best.context("the generator did not say its best possible accuracy")?;
    let mut sites = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?
    {
        let entry = entry.context("reading the hospitals' folder")?;
        if entry.path().is_dir() {
            let name = entry.file_name().to_string_lossy().into_owned();
            sites.push(Site {
                name,
                data: entry.path(),
            });
        }
    }
    sites.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Hospitals {
        sites,
        best_accuracy: Some(best.trim().parse()?),
    })
}

/// Imports the rows of each site, which the table names in its column `site`.
fn import(
    programs: &Programs,
    table: &Path,
    map: &Path,
    names: &[&str],
    folder: &Path,
) -> Result<Hospitals> {
    let mut sites = Vec::new();
    for name in names {
        let out = folder.join(name);
        let mut import = programs.host();
        import.args(["import", "csv"]).arg(table);
        import.arg("--map").arg(map);
        import.arg("--where").arg(format!("site={name}"));
        import.arg("--module").arg(&programs.module);
        finish(import.arg("--out").arg(&out))?;
        sites.push(Site {
            name: (*name).to_owned(),
            data: out,
        });
    }
    Ok(Hospitals {
        sites,
        best_accuracy: None,
    })
}

/// UCI Heart Disease with `FLamby`'s rows and split.
const HEART: &str = "flamby_split.csv";

const HEART_MAP: &str = "maps/heart-disease.toml";
