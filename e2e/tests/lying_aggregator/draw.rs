//! Scripts from a seed.

use protocol::api::Stage;
use protocol::id::{Purpose, SiteId};
use testkit::Dice;

use crate::call::Call;
use crate::damage::Damage;
use crate::http::Fault;
use crate::kind::Kind;
use crate::relay::Relay;
use crate::script::{Asked, Lie, Moment, Named, Number, Opening, Place, Script};
use crate::state::Stated;

/// The script of this seed.
pub(crate) fn script(seed: u64) -> Script {
    let mut dice = Dice::new(seed);
    let kind = dice.one_of(&Kind::ALL);
    let mut lies = vec![Lie::Open(Opening::honest())];
    for _ in 0..=dice.below(5) {
        lies.push(if dice.percent(15) {
            Lie::Damage(damage(&mut dice))
        } else {
            Lie::Open(opening(&mut dice))
        });
    }
    if dice.percent(30) {
        lies.push(Lie::Finish);
    }
    Script { kind, lies }
}

fn damage(dice: &mut Dice) -> Damage {
    dice.one_of(&[
        Damage::Nothing,
        Damage::RemoveRounds,
        Damage::RemoveLedger,
        Damage::KeepCopy,
        Damage::RestoreLedger,
        Damage::RestoreState,
        Damage::SecondFolder,
    ])
}

fn opening(dice: &mut Dice) -> Opening {
    let honest = Opening::honest();
    let numbers = [
        Number::Same,
        Number::Ahead(1_000),
        Number::Back(1),
        Number::Exact(0),
        Number::Exact(4_000_000_000),
        Number::Exact(u32::MAX),
    ];
    let places = [
        Place::Skip(1),
        Place::Charged,
        Place::Exact(0),
        Place::Exact(2),
        Place::Exact(u32::MAX),
    ];
    let purpose = dice.one_of(&Purpose::ALL);
    Opening {
        number: dice.seldom(25, honest.number, &numbers),
        place: dice.seldom(25, honest.place, &places),
        purpose: dice.seldom(10, honest.purpose, &[Asked::Other(purpose)]),
        study: dice.seldom(3, honest.study, &[Named::Another]),
        state: state(dice),
        until: dice.seldom(40, honest.until, &Stage::ALL),
        relay: dice.percent(15).then(|| relay(dice)),
        gone: dice.percent(20).then(|| gone(dice)),
        fault: dice.percent(15).then(|| fault(dice)),
        kills: (0..dice.seldom(25, 0, &[1, 2, 3]))
            .map(|_| kill(dice))
            .collect(),
    }
}

fn state(dice: &mut Dice) -> Stated {
    if dice.percent(55) {
        return Stated::Fresh;
    }
    let norm = dice.one_of(&[1e-165, 1e-320, 0.0, 1e155, f64::INFINITY]);
    let weight = dice.one_of(&[1e20, 1e38, -3e38, f32::NAN, f32::MIN_POSITIVE]);
    let sd = dice.one_of(&[0.0, 1e-37, 2e-37, 1e-300, 1e300, f64::NAN]);
    dice.one_of(&[
        Stated::Same,
        Stated::Same,
        Stated::First,
        Stated::ClipNorm(norm),
        Stated::Weight(weight),
        Stated::LastFeature { mean: 18.0, sd },
        Stated::Centre(1.5),
        Stated::Longer(1),
        Stated::Longer(-1),
        Stated::Garbage,
        Stated::OtherBytes,
    ])
}

fn relay(dice: &mut Dice) -> (Stage, Relay) {
    let stages = [Stage::Share, Stage::Mask, Stage::Agree, Stage::Unmask];
    let relays = [
        Relay::Without(SiteId(0)),
        Relay::Without(SiteId(1)),
        Relay::Without(SiteId(2)),
        Relay::Altered,
        Relay::Twice,
        Relay::Earlier,
    ];
    (dice.one_of(&stages), dice.one_of(&relays))
}

fn gone(dice: &mut Dice) -> (SiteId, Stage) {
    dice.one_of(&[
        (SiteId(0), Stage::Agree),
        (SiteId(1), Stage::Advertise),
        (SiteId(2), Stage::Mask),
        (SiteId(2), Stage::Agree),
    ])
}

fn call(dice: &mut Dice) -> Call {
    let stage = dice.one_of(&Stage::ALL);
    dice.one_of(&[
        Call::View,
        Call::State,
        Call::Fetch(stage),
        Call::Send(stage),
        Call::Send(stage),
        Call::Missing,
        Call::Chunk,
    ])
}

fn fault(dice: &mut Dice) -> (Call, Fault, u32) {
    let fault = dice.one_of(&[
        Fault::Status(500),
        Fault::Status(403),
        Fault::Problem(409, "stage-closed"),
        Fault::Problem(409, "different-message"),
        Fault::Problem(410, "round-over"),
        Fault::HangUp,
        Fault::CutShort,
        Fault::Garbage,
        Fault::Flood(300 << 20),
        Fault::Drip(4),
    ]);
    (call(dice), fault, 1 + dice.below(3))
}

fn kill(dice: &mut Dice) -> (Call, Moment) {
    (call(dice), dice.one_of(&[Moment::Before, Moment::After]))
}
