//! An aggregator or a site that lies: each attempt is refused, with its reason, by the party it is tried on.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aggregator;
mod agreeing;
mod masking;
mod noise;
mod sharing;
mod sum;
mod unmasking;

use protocol::api::Stage;
use protocol::codec::{decode, encode};
use protocol::id::{Header, Purpose, SiteId};
use protocol::message::{MessageError, OpenedShare, Signed};
use protocol::site::{AggregatorFault, SiteError};
use testkit::round::Play;
use testkit::{Draft, TestStudy, decoded};

const ALICE: SiteId = SiteId(0);
const BOB: SiteId = SiteId(1);
const CAROL: SiteId = SiteId(2);
const DAVE: SiteId = SiteId(3);
const ERIN: SiteId = SiteId(4);
const SITES: [SiteId; 5] = [ALICE, BOB, CAROL, DAVE, ERIN];

/// Five sites, of which three must agree.
fn kit() -> TestStudy {
    testkit::study(5, 3)
}

/// The same with noise, of which a part goes off the sum with each survivor above three.
fn noised_kit() -> TestStudy {
    noised(5, 3).make()
}

fn noised(sites: u16, threshold: u16) -> Draft {
    Draft {
        sites,
        threshold,
        honest_survivors: threshold,
        epsilon: 1.0,
        fraction_bits: 16,
        patients_per_site: 100,
        ..Draft::default()
    }
}

fn header(kit: &TestStudy) -> Header {
    kit.header(7, Purpose::Train)
}

/// A round at the start of `stage`, with everybody in it.
fn at(kit: &TestStudy, stage: Stage) -> Play<'_> {
    let length = kit.study.layout(Purpose::Train).length();
    let vectors = vec![vec![3; length]; kit.identities.len()];
    let mut play = Play::new(kit, &header(kit), &vectors);
    play.honest_until(stage);
    play
}

fn adverts(play: &Play<'_>) -> Vec<Signed> {
    decoded(&play.round.adverts().unwrap())
}

/// The message that `site` signs instead of its honest one.
fn forged<T: minicbor::Encode<()>>(
    kit: &TestStudy,
    stage: Stage,
    site: SiteId,
    body: &T,
) -> Signed {
    kit.sign(&header(kit), stage, site, encode(body))
}

/// Flips a bit of a share.
fn flip(opened: &mut OpenedShare) {
    let mut bytes = encode(&opened.share);
    *bytes.last_mut().unwrap() ^= 1;
    opened.share = decode(&bytes).unwrap();
}

fn bad_signature(site: SiteId, stage: Stage) -> SiteError {
    AggregatorFault::Message(MessageError::Signature { site, stage }).into()
}
