//! One honest round, played once: what all seeds of messages are taken from.

use std::sync::OnceLock;

use protocol::api::Stage;
use protocol::id::Purpose;
use protocol::message::Signed;
use protocol::round::AnyRound;
use testkit::round::{Dropouts, Play, Storage};
use testkit::{Draft, FakeSite, TestStudy};

/// A round at the beginning of a stage.
pub(crate) struct At {
    /// The aggregator's side.
    pub(crate) round: AnyRound,
    /// What honest sites send at the stage, in their order.
    pub(crate) signed: Vec<Signed>,
}

/// The study of the round: three sites, all of which must agree but one, with noise.
pub(crate) fn kit() -> &'static TestStudy {
    static KIT: OnceLock<TestStudy> = OnceLock::new();
    KIT.get_or_init(|| {
        let draft = Draft {
            sites: 3,
            threshold: 2,
            epsilon: 5.0,
            ..Draft::default()
        };
        draft.make()
    })
}

/// The round at each of its stages, in order.
pub(crate) fn played() -> &'static [At] {
    static PLAYED: OnceLock<Vec<At>> = OnceLock::new();
    PLAYED.get_or_init(|| Stage::ALL.map(at).into())
}

/// The round at stage mask, with every vector announced and none sent.
pub(crate) struct Announced {
    /// The aggregator's side, stored.
    pub(crate) round: Vec<u8>,
    /// The one chunk of each site's vector, in the sites' order.
    pub(crate) chunks: Vec<Vec<u8>>,
}

pub(crate) fn announced() -> &'static Announced {
    static ANNOUNCED: OnceLock<Announced> = OnceLock::new();
    ANNOUNCED.get_or_init(|| {
        let mut play = begun();
        play.honest_until(Stage::Mask);
        let signed = messages(&mut play);
        for signed in signed {
            let accepted = play.round.accept(Stage::Mask, signed);
            accepted.expect("an honest site is refused nothing");
        }
        Announced {
            round: play.round.to_bytes(),
            chunks: play.sites.iter().flat_map(FakeSite::chunks).collect(),
        }
    })
}

/// The round at its last stage with every message in.
pub(crate) fn complete() -> AnyRound {
    let mut play = begun();
    play.honest_until(Stage::Unmask);
    play.stage(&Dropouts::new(), Storage::Memory)
        .expect("honest parties refuse nothing");
    play.round
}

fn at(stage: Stage) -> At {
    let mut play = begun();
    play.honest_until(stage);
    let signed = messages(&mut play);
    At {
        round: play.round,
        signed,
    }
}

fn begun() -> Play<'static> {
    let kit = kit();
    let header = kit.header(1, Purpose::Train);
    let vector = vec![0; kit.study.layout(Purpose::Train).length()];
    Play::new(kit, &header, &vec![vector; kit.identities.len()])
}

/// What every site sends now.
fn messages(play: &mut Play<'_>) -> Vec<Signed> {
    let sites = play.round.missing().into_iter();
    let message = |site| {
        play.message(site)
            .expect("an honest aggregator is refused nothing")
    };
    sites.map(message).collect()
}
