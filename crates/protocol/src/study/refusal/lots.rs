//! What makes a roster's lots a lottery that neither the study's author nor the aggregator has chosen.

use super::{StudyError, require};
use crate::lottery::{Entry, Lot, Lottery, RollCall};
use crate::study::{Manifest, Member, Participants};

/// The lottery of the roster, where its members have lots: every member, each for exactly this list.
pub(super) fn check(manifest: &Manifest) -> Result<Option<Lottery>, StudyError> {
    let roster = &manifest.roster;
    let with_lots = roster
        .iter()
        .filter_map(|member| Some((member, member.lot?)))
        .collect::<Vec<_>>();
    if with_lots.is_empty() {
        let is_drawn = matches!(manifest.training.participants, Participants::Random { .. });
        require(!is_drawn, LOT, || {
            "there is none, and training.participants.random draws sites by lot: close the roster with `aggregator \
             roster --close`, have every site run `host reveal`, and take the roster that `aggregator roster` prints then"
                .to_owned()
        })?;
        return Ok(None);
    }
    let without = roster.iter().filter(|member| member.lot.is_none());
    let without: Vec<&str> = without.map(|member| member.name.as_str()).collect();
    require(without.is_empty(), LOT, || {
        format!(
            "{} of {} sites have none ({}): want one of every site, or of none; `aggregator roster` says who has not run \
             `host reveal` yet",
            without.len(),
            roster.len(),
            shortened(&without)
        )
    })?;
    check_signatures(&with_lots)?;
    Ok(Some(Lottery::of(
        with_lots.iter().map(|(_, lot)| lot.nonce),
    )))
}

/// Refuses lots of another list: with names, keys, nonces or an order that not all of its sites signed.
fn check_signatures(members: &[(&Member, Lot)]) -> Result<(), StudyError> {
    let entries = members.iter().map(|(member, lot)| Entry {
        name: member.name.clone(),
        key: member.key,
        commitment: lot.nonce.commitment(&member.key),
    });
    let list =
        RollCall::new(entries.collect()).map_err(|error| StudyError::setting(LOT, &error))?;
    let list = list.digest();
    for (member, lot) in members {
        require(lot.is_by(&member.key, list), LOT, || {
            format!(
                "{} did not sign this list of {} sites: a site was left out, added, renamed, moved or given another nonce \
                 after the roster was closed; take the roster as `aggregator roster` prints it, or close it again",
                member.name,
                members.len()
            )
        })?;
    }
    Ok(())
}

/// The first few of many names.
fn shortened(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

const LOT: &str = "roster.lot";
