//! Public weights for the Transformer.
//!
//! Public patients are made of another population than the hospitals that train, with other outcomes. All choices here were
//! made on synthetic hospitals of other seeds than those that are reported.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use e2e::{Programs, finish};
use protocol::id::Digest;

use crate::shell::{say, target};

/// Public hospitals.
const SYNTH: [&str; 9] = [
    "synth",
    "--population",
    "shifted",
    "--hospitals",
    "20",
    "--patients",
    "1200",
    "--seed",
    "9001",
];

/// What pre-training changes in the draft: other outcomes, and small steps over a few patients each. A federation of one
/// goes where its steps lead.
const SETTINGS: [&str; 5] = [
    "model.head=\"softmax\"",
    "training.rounds=20",
    "training.algorithm={ averaging = { steps = 150, batch = { shuffled = { patients = 64 } }, \
     optimizer = { adam = { rate = 0.003, beta1 = 0.9, beta2 = 0.99, tau = 1e-6 } }, \
     weighting = \"sites\", change-norm = 64.0 } }",
    "training.optimizer={ momentum = { rate = 1.0, momentum = 0.0 } }",
    "training.average-tail=0.3",
];

/// Outcomes that public hospitals label; a class is the set of those that a patient had.
const OUTCOMES: u32 = 4;

/// The file of weights that public patients gave the draft's encoder. It is made once for the same module, draft and
/// settings.
pub(crate) fn public_weights(programs: &Programs, module: &str, draft: &Path) -> Result<PathBuf> {
    let text = std::fs::read(draft).with_context(|| format!("reading {}", draft.display()))?;
    let inputs = [
        module.as_bytes(),
        &text,
        SYNTH.join(" ").as_bytes(),
        SETTINGS.join(" ").as_bytes(),
    ]
    .concat();
    let folder = target().join("pretrained");
    let file = folder.join(format!("{}.cbor", Digest::of(&inputs)));
    if file.is_file() {
        say(&format!("public weights from {}", file.display()));
        return Ok(file);
    }
    say("pre-training on public synthetic patients of another population");
    let data = folder.join("data");
    std::fs::create_dir_all(&data).with_context(|| format!("creating {}", data.display()))?;
    let mut synth = programs.host();
    finish(synth.args(SYNTH).arg("--out").arg(&data))?;
    let mut pretrain = programs.host();
    pretrain
        .arg("pretrain")
        .arg(draft)
        .arg("--module")
        .arg(&programs.module);
    let classes: Vec<String> = (0..1 << OUTCOMES)
        .map(|bits| format!("\"outcomes {bits:04b}\""))
        .collect();
    let classes = format!("cohort.classes=[{}]", classes.join(", "));
    for setting in SETTINGS.iter().chain([&classes.as_str()]) {
        pretrain.args(["--set", setting]);
    }
    let entries =
        std::fs::read_dir(&data).with_context(|| format!("reading {}", data.display()))?;
    let mut hospitals = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(|| format!("reading {}", data.display()))?;
    // The order of a folder is chance, and the order of patients matters to the bit.
    hospitals.sort();
    for hospital in hospitals {
        pretrain.arg("--data").arg(hospital);
    }
    finish(pretrain.args(["--without", "head", "--out"]).arg(&file))?;
    std::fs::remove_dir_all(&data).with_context(|| format!("removing {}", data.display()))?;
    Ok(file)
}
