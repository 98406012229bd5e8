//! The demo's hospitals and their files.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::{Programs, Site, finish};

use super::{Arguments, Model, draft};
use crate::shell::say;

/// Hospitals with their files on disk, and the study that suits them.
#[derive(Clone, Debug)]
pub(crate) struct Hospitals {
    /// The sites.
    pub(crate) sites: Vec<Site>,
    /// The draft of their study.
    pub(crate) draft: std::path::PathBuf,
    /// The best accuracy that any model can have, where the hospitals are synthetic.
    pub(crate) best_accuracy: Option<f64>,
    /// Published figures to read beside ours.
    pub(crate) published: &'static [&'static str],
}

/// Writes the files of the hospitals that the arguments ask for.
pub(crate) fn make(programs: &Programs, arguments: &Arguments, folder: &Path) -> Result<Hospitals> {
    match &arguments.data {
        None => synthetic(programs, arguments, folder),
        Some(data) => heart_disease(programs, data, folder),
    }
}

fn synthetic(programs: &Programs, arguments: &Arguments, folder: &Path) -> Result<Hospitals> {
    say(&format!(
        "writing {} synthetic hospitals of {} patients, seed {}",
        arguments.hospitals, arguments.patients, arguments.seed
    ));
    let mut synth = programs.host();
    synth.args(["synth", "--hospitals", &arguments.hospitals.to_string()]);
    synth.args([
        "--patients",
        &arguments.patients.to_string(),
        "--seed",
        &arguments.seed.to_string(),
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
    let draft = draft(match arguments.model {
        Model::Linear => "readmission.toml",
        Model::Transformer => "readmission-transformer.toml",
    });
    Ok(Hospitals {
        sites,
        draft,
        best_accuracy: Some(best.trim().parse()?),
        published: &[],
    })
}

fn heart_disease(programs: &Programs, data: &Path, folder: &Path) -> Result<Hospitals> {
    let split = data.join("flamby_split.csv");
    ensure!(
        split.is_file(),
        "{} is not there: --data wants the folder of UCI Heart Disease with FLamby's split",
        split.display()
    );
    let map = crate::shell::root().join("maps/heart-disease.toml");
    let mut sites = Vec::new();
    for name in ["cleveland", "hungarian", "switzerland", "va"] {
        let out = folder.join(name);
        let mut import = programs.host();
        import
            .args(["import", "csv"])
            .arg(&split)
            .arg("--map")
            .arg(&map)
            .arg("--where")
            .arg(format!("site={name}"));
        finish(
            import
                .arg("--module")
                .arg(&programs.module)
                .arg("--out")
                .arg(&out),
        )?;
        sites.push(Site {
            name: name.to_owned(),
            data: out,
        });
    }
    Ok(Hospitals {
        sites,
        draft: draft("heart-disease.toml"),
        best_accuracy: None,
        published: FLAMBY,
    })
}

/// `FLamby`'s own rows on this split (Ogier du Terrail et al. 2022, results of its repository, mean of 5 seeds).
const FLAMBY: &[&str] = &[
    "published by FLamby, accuracy on the pooled test, mean of 5 seeds:",
    "  pooled training .795   FedAvg .748   FedProx .748   Scaffold .748   FedAdam .779   FedYogi .779   Cyclic .785",
    "  not like for like: FLamby's federated models are trained on inputs normalised by each hospital's own means and",
    "  tested on inputs normalised by the pooled ones; ours share securely summed means and are tested by the same.",
];
