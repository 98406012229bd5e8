//! Who has withdrawn from a round and sent nothing since.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use protocol::api::Withdrawn;
use protocol::id::SiteId;
use protocol::study::Study;
use protocol::withdrawal::Cause;

/// The sites that have withdrawn and sent nothing since: the round, and why.
#[derive(Debug, Default, Encode, Decode)]
pub(super) struct Withdrawals(#[n(0)] BTreeMap<SiteId, (u32, Cause)>);

impl Withdrawals {
    /// Notes that a site takes no further part in a round; gives whether that is news.
    pub(super) fn note(&mut self, site: SiteId, round: u32, cause: Cause) -> bool {
        self.0.insert(site, (round, cause)) != Some((round, cause))
    }

    /// Notes that a site takes part again; gives whether it had withdrawn.
    pub(super) fn take_back(&mut self, site: SiteId) -> bool {
        self.0.remove(&site).is_some()
    }

    pub(super) fn has(&self, site: SiteId) -> bool {
        self.0.contains_key(&site)
    }

    /// As people are told.
    pub(super) fn named(&self, study: &Study) -> Vec<Withdrawn> {
        let named = |(site, (round, cause)): (&SiteId, &(u32, Cause))| {
            Some(Withdrawn {
                site: study.member(*site)?.name.clone(),
                round: *round,
                cause: *cause,
            })
        };
        self.0.iter().filter_map(named).collect()
    }
}
