//! What people do before a study can run, done once for all scripts: a hospital's folder with an approved study.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result};
use e2e::{Programs, finish};
use protocol::id::SiteId;
use protocol::identity::Identity;
use protocol::study::Study;
use testkit::{Lots, TestStudy};

use crate::kind::{DRAFT, Kind, LIMITS};
use crate::patients::Hospital;

/// An approved study at a hospital, and all that its aggregator knows.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The study and the keys of its other sites; the first identity is not the hospital's.
    pub(crate) kit: TestStudy,
    /// The folder of the hospital's configuration, key, state and patients; it is copied for each script.
    pub(crate) site: PathBuf,
    /// The study file.
    pub(crate) study: PathBuf,
    /// The programs.
    pub(crate) programs: Programs,
}

/// The real hospital's place in every roster.
pub(crate) const HOSPITAL: SiteId = SiteId(0);
/// Its name in every roster.
pub(crate) const NAME: &str = "the hospital";

/// The study of this kind at this hospital; made once, with the same key whatever the patients.
pub(crate) fn prepared(kind: Kind, hospital: Hospital) -> &'static Prepared {
    static MADE: Mutex<BTreeMap<(Kind, Hospital), &'static Prepared>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry((kind, hospital)).or_insert_with(|| {
        let prepared = prepare(kind, hospital)
            .unwrap_or_else(|error| panic!("preparing {kind:?} at {hospital:?}: {error:#}"));
        Box::leak(Box::new(prepared))
    })
}

/// The folder of this process's hospitals; those of processes that have ended are removed.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lying");
        let ours = all.join(std::process::id().to_string());
        fs::create_dir_all(&ours).unwrap();
        for entry in fs::read_dir(&all).unwrap().flatten() {
            let name = entry.file_name();
            if !Path::new("/proc").join(&name).exists() {
                // Another process may be removing it as well.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        ours
    });
    &FOLDER
}

fn prepare(kind: Kind, hospital: Hospital) -> Result<Prepared> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let programs = Programs::built(target.context("the folder of build results")?)?;
    let all = folder().join(format!("{kind:?}-{hospital:?}"));
    let site = all.join("site");
    let data = site.join("data");
    if all.exists() {
        // Left by a try that failed.
        fs::remove_dir_all(&all)?;
    }
    fs::create_dir_all(&data)?;
    for (name, bytes) in hospital.files().files {
        fs::write(data.join(name), bytes)?;
    }
    identify(&programs, &site)?;
    let study = all.join("study.toml");
    let kit = compose(&programs, kind, &all, &study)?;
    approve(&programs, &study, &site)?;
    Ok(Prepared {
        kit,
        site,
        study,
        programs,
    })
}

/// Makes the hospital's configuration, with the key that it has in all studies.
fn identify(programs: &Programs, site: &Path) -> Result<()> {
    let mut init = programs.host();
    init.arg("init").arg(site);
    init.args(["--site", NAME, "--data", "data"]);
    init.args(["--aggregator", NOWHERE, "--patient-budget", "none"]);
    finish(&mut init)?;
    let secret = folder().join("identity.key");
    if secret.exists() {
        fs::copy(&secret, site.join("identity.key"))?;
    } else {
        fs::copy(site.join("identity.key"), &secret)?;
    }
    Ok(())
}

/// Writes the study file of this kind.
fn compose(programs: &Programs, kind: Kind, all: &Path, out: &Path) -> Result<TestStudy> {
    let others = testkit::study(kind.sites(), kind.sites());
    let ours = Identity::from_pkcs8(&fs::read(folder().join("identity.key"))?)
        .context("`host init` writes a key")?;
    let made_up = others.identities.iter().enumerate().skip(1);
    let made_up = made_up.map(|(place, identity)| (format!("made up {place}"), identity));
    let sites: Vec<_> = [(NAME.to_owned(), &ours)]
        .into_iter()
        .chain(made_up)
        .collect();
    let lots = match kind {
        Kind::Lottery => Lots::Revealed,
        _ => Lots::None,
    };
    let roster = testkit::roster(&sites, lots);
    let (draft, list) = (all.join("draft.toml"), all.join("roster.toml"));
    fs::write(&draft, DRAFT)?;
    fs::write(&list, roster)?;
    let mut command = programs.host();
    command.arg("compose").arg(&draft).arg("--module");
    command.arg(&programs.module).arg("--roster").arg(&list);
    command.args(["--dishonest-sites", "0", "--aggregator-key"]);
    command.arg(others.secret().public().to_string());
    for setting in kind.settings().iter().chain(&LIMITS) {
        command.args(["--set", setting]);
    }
    finish(command.arg("--out").arg(out))?;
    let toml = fs::read_to_string(out)?;
    let study = Study::parse(toml.as_bytes())?;
    Ok(TestStudy {
        toml,
        study,
        identities: others.identities,
    })
}

/// Approves a study at a hospital.
pub(crate) fn approve(programs: &Programs, study: &Path, site: &Path) -> Result<()> {
    let mut command = programs.host();
    command.arg("approve").arg(study).arg("--module");
    command
        .arg(&programs.module)
        .args(["--yes", "--accept-doubts", "--config"]);
    finish(command.arg(site.join("host.toml")))?;
    Ok(())
}

/// The address in a configuration before there is an aggregator.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:1";
