//! Where the study is.

use std::time::Duration;

use protocol::api::{Announcements, RoundView, Status};
use protocol::codec;
use protocol::id::Digest;

use super::task::Task;
use super::{Call, Next, Taking, View};
use crate::reconcile;
use crate::state;
use crate::step::{Fetch, Now, Step};
use crate::stop::Stop;
use crate::writes::{Key, Tickets, Write};

impl Taking {
    /// Asks what this site announced before, as the aggregator has it: the ledger must have all of it.
    pub(super) fn ask_announced(&mut self, from: u32, owed: Vec<u32>) -> Step {
        let id = self.site.id;
        self.task = Task::Announced(from, owed);
        self.fetch(Fetch::Announcements(id, from))
    }

    pub(super) fn announced(
        &mut self,
        from: u32,
        mut owed: Vec<u32>,
        bytes: &[u8],
        now: Now,
    ) -> Next {
        let shown: Announcements = Self::decoded(bytes)?;
        let page = reconcile::page(&self.site.study, self.site.id, &self.ledger, from, &shown)?;
        owed.extend(page.owed.iter().map(|owed| owed.header.number));
        match page.next {
            Some(next) => Ok(self.ask_announced(next, owed)),
            None if owed.is_empty() => Ok(self.poll(now)),
            None => Err(Stop::LedgerBehind(owed)),
        }
    }

    /// Asks where the study is.
    pub(super) fn poll(&mut self, now: Now) -> Step {
        let (seen, wait) = (self.seen.unwrap_or(0), POLL);
        self.task = Task::Polling { asked: now.elapsed };
        self.call = Some(Call::Poll { seen, wait });
        Step::Poll { seen, wait }
    }

    pub(super) fn polled(
        &mut self,
        asked: Duration,
        bytes: &[u8],
        now: Now,
        tickets: &mut Tickets,
    ) -> Next {
        let view: RoundView =
            codec::decode(bytes).map_err(|error| Stop::Answer(error.to_string()))?;
        let is_news = self.seen.replace(view.version) != Some(view.version);
        match view.status {
            Status::Finished { state } => {
                self.task = Task::Model(state);
                Ok(self.fetch(Fetch::State(state)))
            }
            // An aggregator that does not hold polls is not to be asked without pause.
            Status::Open { .. } if !is_news && now.elapsed.saturating_sub(asked) < LULL => {
                self.task = Task::Lull;
                Ok(Step::Wait(LULL))
            }
            Status::Open {
                header,
                stage,
                waiting,
            } => self.enter(
                View {
                    header,
                    stage,
                    waiting,
                },
                now,
                tickets,
            ),
        }
    }

    /// Keeps the published model.
    pub(super) fn model(&mut self, digest: Digest, bytes: Vec<u8>, tickets: &mut Tickets) -> Next {
        check_digest(&bytes, digest)?;
        state::published(&self.site.study, &bytes)?;
        // A crash may have left chunks of the last round.
        let forgotten = self.plan.last().map(Write::ForgetChunks);
        let list = forgotten.into_iter().chain([Write::Put(Key::Model, bytes)]);
        let writes = tickets.writes(list.collect());
        self.task = Task::ModelStored(digest, writes.ticket());
        Ok(Step::Store(writes))
    }
}

/// Refuses a state under another name.
pub(super) fn check_digest(bytes: &[u8], want: Digest) -> Result<(), Stop> {
    let got = Digest::of(bytes);
    if got == want {
        Ok(())
    } else {
        Err(Stop::State(format!(
            "its SHA-256 is {got}, and it was asked for as {want}"
        )))
    }
}

/// How long the aggregator may hold a poll: proxies cut connections that are silent for a minute.
const POLL: Duration = Duration::from_secs(25);
/// The least time between two polls without news.
const LULL: Duration = Duration::from_millis(500);
