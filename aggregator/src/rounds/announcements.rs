//! What sites announced at stage mask, shown to them again.

use std::time::Instant;

use protocol::api::Announcements;
use protocol::id::SiteId;
use protocol::message::MessageError;

use super::error::{RoundsError, SiteFault};
use super::{Memory, Rounds};

/// The most bytes of announcements in one answer.
const PAGE_BYTES: usize = 1 << 20;

impl Rounds {
    /// What a site announced in the rounds from number `from` on, as many as fit into one answer; none where there are no
    /// more.
    ///
    /// # Errors
    ///
    /// A site that is not in the roster; a store that fails.
    pub fn announcements(
        &mut self,
        site: SiteId,
        from: u32,
        now: Instant,
    ) -> Result<Announcements, RoundsError> {
        if self.study().member(site).is_none() {
            let fault = protocol::round::SiteFault::from(MessageError::NotInRoster(site));
            return Err(SiteFault::Refused(fault).into());
        }
        // What is in doubt is restored first, and the store with it.
        let position = self.take(now)?;
        let found = self.journal.announcements(site, from, PAGE_BYTES);
        self.memory = Memory::Current(position);
        Ok(found?)
    }
}
