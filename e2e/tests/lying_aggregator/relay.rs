//! What the site is told of the other sites, where that is not the truth.

use protocol::api::Stage;
use protocol::codec;
use protocol::door::{Inbox, Messages, Survivors};
use protocol::id::SiteId;

/// A change to what is relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relay {
    /// Without what this site sent.
    Without(SiteId),
    /// With a bit flipped in what the last site sent.
    Altered,
    /// What the last site sent stands twice.
    Twice,
    /// What was relayed at the same stage of an earlier round.
    Earlier,
}

/// The bytes that the site is given in place of `truth` at `stage`; `earlier` is what an earlier round relayed then.
pub(crate) fn changed(relay: Relay, stage: Stage, truth: &[u8], earlier: Option<&[u8]>) -> Vec<u8> {
    if relay == Relay::Earlier {
        return earlier.unwrap_or(truth).to_vec();
    }
    match stage {
        Stage::Mask => inbox(relay, codec::decode(truth).unwrap()),
        Stage::Agree => survivors(relay, codec::decode(truth).unwrap()),
        Stage::Advertise | Stage::Share | Stage::Unmask => {
            messages(relay, codec::decode(truth).unwrap())
        }
    }
}

fn messages(relay: Relay, mut messages: Messages) -> Vec<u8> {
    let list = &mut messages.messages;
    match relay {
        Relay::Without(site) => {
            list.retain(|bytes| {
                let signed: protocol::message::Signed = codec::decode(bytes).unwrap();
                signed.site != site
            });
        }
        Relay::Altered => flip(list.last_mut().unwrap()),
        Relay::Twice => list.extend(list.last().cloned()),
        Relay::Earlier => {}
    }
    codec::encode(&messages)
}

fn inbox(relay: Relay, mut inbox: Inbox) -> Vec<u8> {
    match relay {
        Relay::Without(site) => {
            inbox.shares.retain(|sealed| sealed.site != site);
            inbox.sharers.retain(|sharer| *sharer != site);
        }
        Relay::Altered => {
            if let Some(sealed) = inbox.shares.last_mut() {
                flip(&mut sealed.bytes);
            }
        }
        Relay::Twice => inbox.shares.extend(inbox.shares.last().cloned()),
        Relay::Earlier => {}
    }
    codec::encode(&inbox)
}

fn survivors(relay: Relay, mut survivors: Survivors) -> Vec<u8> {
    match relay {
        Relay::Without(site) => {
            if let Some(place) = survivors
                .sites
                .iter()
                .position(|survivor| *survivor == site)
            {
                survivors.sites.remove(place);
                survivors.inputs.remove(place);
            }
        }
        Relay::Altered => flip(survivors.inputs.last_mut().unwrap()),
        Relay::Twice => {
            survivors.sites.extend(survivors.sites.last().copied());
            survivors.inputs.extend(survivors.inputs.last().cloned());
        }
        Relay::Earlier => {}
    }
    codec::encode(&survivors)
}

fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}
