//! What left the host, and how it fared.

use std::time::Duration;

use privacy::Cost;
use protocol::api::Stage;
use protocol::id::{Digest, Header};
use protocol::withdrawal::Cause;
use serde_json::Value;

use crate::call::Call;
use crate::hospital::End;
use crate::state::Stated;

/// All that left a host while a script was played.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The rounds that were opened, in order.
    pub(crate) opened: Vec<Opened>,
    /// All requests, in order.
    pub(crate) sent: Vec<Sent>,
    /// All masked inputs, in order; the same one may have come several times.
    pub(crate) masked: Vec<Masked>,
    /// The site's withdrawals: the place of the lie in the script, and the cause.
    pub(crate) withdrawn: Vec<(usize, Cause)>,
    /// How hosts ended by themselves: the place of the lie in the script, and how.
    pub(crate) ends: Vec<(usize, End)>,
    /// The lies that a host did not come to the end of in time.
    pub(crate) hung: Vec<usize>,
    /// All that hosts said that were killed.
    pub(crate) said: String,
    /// The ledger at the end.
    pub(crate) ledger: String,
    /// The most memory of a host, in KiB.
    pub(crate) memory_kib: u64,
    /// How long it took.
    pub(crate) time: Duration,
}

/// A round that was opened.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// The lie's place in the script.
    pub(crate) lie: usize,
    /// What the aggregator said that the round is.
    pub(crate) header: Header,
    /// What its state was said to be.
    pub(crate) state: Stated,
    /// Whether the site sent its openings, so that the sum could be read.
    pub(crate) is_read: bool,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The place of the lie in the script.
    pub(crate) lie: usize,
    /// What kind of request it is.
    pub(crate) call: Call,
    /// Method and path.
    pub(crate) line: String,
    /// Bytes of its body.
    pub(crate) length: usize,
    /// Since the round was first shown to this host.
    pub(crate) since: Duration,
}

/// A masked input.
#[derive(Clone, Debug)]
pub(crate) struct Masked {
    /// Of the round that was open.
    pub(crate) opened: Opened,
    /// Of its unsigned body.
    pub(crate) body: Digest,
    /// The ledger when it arrived.
    pub(crate) ledger: String,
}

impl Record {
    /// The masked inputs, each once.
    pub(crate) fn vectors(&self) -> Vec<&Masked> {
        let mut vectors: Vec<&Masked> = Vec::new();
        for masked in &self.masked {
            let known = |other: &&Masked| {
                other.opened.header == masked.opened.header && other.body == masked.body
            };
            if !vectors.iter().any(known) {
                vectors.push(masked);
            }
        }
        vectors
    }

    /// The headers of which an advert left, each once.
    pub(crate) fn begun(&self) -> Vec<&Header> {
        let mut begun: Vec<&Header> = Vec::new();
        for opened in &self.opened {
            if self.has_sent(opened.lie, Stage::Advertise) && !begun.contains(&&opened.header) {
                begun.push(&opened.header);
            }
        }
        begun
    }

    /// Whether the site sent its message of a stage during a lie.
    pub(crate) fn has_sent(&self, lie: usize, stage: Stage) -> bool {
        self.sent
            .iter()
            .any(|sent| sent.lie == lie && sent.call == Call::Send(stage))
    }

    /// What an aggregator sees of a site: kinds, order and lengths of all but polls, and whether it went on.
    pub(crate) fn seen(&self) -> Vec<String> {
        let mut seen = Vec::new();
        for sent in self.sent.iter().filter(|sent| sent.call != Call::View) {
            seen.push((sent.lie, format!("{} ({} bytes)", sent.line, sent.length)));
        }
        let ends = self.ends.iter().map(|(lie, end)| {
            let how = if end.success { "well" } else { "with an error" };
            (*lie, format!("the host ended {how}"))
        });
        seen.extend(ends);
        // Stable: what was sent in a lie stays before how the host ended.
        seen.sort_by_key(|(lie, _)| *lie);
        seen.into_iter()
            .map(|(lie, what)| format!("{lie}: {what}"))
            .collect()
    }

    /// All that hosts said.
    pub(crate) fn words(&self) -> String {
        let ends = self.ends.iter().map(|(_, end)| end.said.as_str());
        ends.chain([self.said.as_str()]).collect()
    }
}

/// A line of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The round's number.
    pub(crate) number: u64,
    /// Of the round's header, where the ledger says it.
    pub(crate) header: Option<Digest>,
    /// Of the unsigned body of the masked input, where the ledger says it.
    pub(crate) body: Option<Digest>,
    /// What it costs one patient, where the ledger says it.
    pub(crate) cost: Option<Cost>,
}

/// The charges in a ledger's text: the lines that have a round's number.
pub(crate) fn charges(text: &str) -> Vec<Line> {
    let parse = |line: &str| serde_json::from_str::<Value>(line).ok();
    text.lines()
        .filter_map(parse)
        .filter_map(|line| charge(&line))
        .collect()
}

fn charge(line: &Value) -> Option<Line> {
    let digest = |name: &str| line["round"][name].as_str()?.parse().ok();
    let part = |name: &str| line[name].clone();
    let loss = serde_json::from_value(part("loss")).ok();
    let discreteness = serde_json::from_value(part("discreteness")).ok().flatten();
    Some(Line {
        number: line["number"].as_u64()?,
        header: digest("header"),
        body: digest("body"),
        cost: loss.and_then(|loss| Cost::of_parts(loss, discreteness).ok()),
    })
}
