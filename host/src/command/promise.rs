//! What a study promises to patients, and against whom, in words for those who approve it.

use std::io::Write;

use anyhow::Result;
use protocol::id::Purpose;
use protocol::study::{Participants, Study, Survivors};

/// Writes it, a line each.
pub(super) fn show(study: &Study, out: &mut dyn Write) -> Result<()> {
    epsilon(study, out)?;
    fellows(study, out)?;
    tolerated(study, out)
}

fn epsilon(study: &Study, out: &mut dyn Write) -> Result<()> {
    let privacy = &study.manifest().privacy;
    if privacy.epsilon.is_infinite() {
        writeln!(
            out,
            "privacy     NONE: no noise is added; the sums alone are hidden, and a hospital is hidden only while the same \
             hospitals are in every sum"
        )?;
    } else {
        writeln!(
            out,
            "privacy     ε {} at δ {} for each patient, over all rounds; {} honest sites are promised",
            privacy.epsilon, privacy.delta, privacy.honest_survivors
        )?;
    }
    Ok(())
}

/// What ε is against those that know the noise of their own hospitals.
fn fellows(study: &Study, out: &mut dyn Write) -> Result<()> {
    let manifest = study.manifest();
    let promised = manifest.privacy.epsilon;
    if promised.is_infinite() {
        return Ok(());
    }
    let crowd = manifest.crowd(Purpose::Evaluate);
    let (all, fewest) = (crowd.sites, crowd.agreeing);
    let told = |fellows| {
        let [stay, leave] = [Survivors::All, Survivors::Fewest]
            .map(|survivors| study.epsilon_against(fellows, survivors));
        if stay.max(leave) <= promised {
            format!("ε {promised}, as against everybody else")
        } else if fewest == all {
            format!("ε {stay:.2}")
        } else {
            format!(
                "ε {stay:.2} where all {all} stay in every sum, {leave:.2} where only {fewest} do"
            )
        }
    };
    writeln!(
        out,
        "fellows     against another hospital, which knows its own noise: {}",
        told(1)
    )?;
    writeln!(
        out,
        "            against all other hospitals together: {}",
        told(all.saturating_sub(1))
    )?;
    Ok(())
}

/// How many hospitals may be dishonest together with the aggregator.
fn tolerated(study: &Study, out: &mut dyn Write) -> Result<()> {
    let manifest = study.manifest();
    let crowd = manifest.crowd(Purpose::Evaluate);
    let tolerated = manifest.tolerates();
    writeln!(
        out,
        "tolerates   a lying aggregator that works together with up to {tolerated} dishonest hospitals of a round"
    )?;
    if tolerated == 0 {
        writeln!(
            out,
            "            so one dishonest hospital and the aggregator together can single out another hospital"
        )?;
    }
    if crowd.agreeing == crowd.sites {
        writeln!(
            out,
            "            no hospital may drop out: a round needs all {}",
            crowd.sites
        )?;
    }
    if let Participants::Random { sites, .. } = manifest.training.participants {
        writeln!(
            out,
            "            of the whole roster up to {}: then the chance that any training round draws more than it tolerates \
             among its {sites} is below 2^-40",
            manifest.tolerates_in_roster()
        )?;
    }
    Ok(())
}
