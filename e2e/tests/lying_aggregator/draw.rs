//! Scripts from a seed.

use chacha20::ChaCha20Rng;
use protocol::api::Stage;
use protocol::id::{Purpose, SiteId};
use rand_core::Rng as _;

use crate::call::Call;
use crate::damage::Damage;
use crate::http::Fault;
use crate::kind::Kind;
use crate::relay::Relay;
use crate::script::{Asked, Lie, Moment, Named, Number, Opening, Place, Script};
use crate::state::Stated;

/// The script of this seed.
pub(crate) fn script(seed: u64) -> Script {
    let mut dice = Dice(testkit::rng(seed));
    let kind = dice.one_of(&Kind::ALL);
    let mut lies = vec![Lie::Open(Opening::honest())];
    for _ in 0..=dice.below(5) {
        lies.push(if dice.percent(15) {
            Lie::Damage(dice.damage())
        } else {
            Lie::Open(dice.opening())
        });
    }
    if dice.percent(30) {
        lies.push(Lie::Finish);
    }
    Script { kind, lies }
}

/// Random draws from one seed.
struct Dice(ChaCha20Rng);

impl Dice {
    /// A number below `end`, which is above 0. The bias of the remainder is of no consequence here.
    fn below(&mut self, end: u32) -> u32 {
        self.0.next_u32() % end
    }

    fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let count = u32::try_from(choices.len()).expect("choices are few");
        choices[usize::try_from(self.below(count)).expect("32 bits are an index")]
    }

    /// One of the choices, so often in a hundred times; else `usual`.
    fn seldom<T: Copy>(&mut self, chance: u32, usual: T, choices: &[T]) -> T {
        if self.percent(chance) {
            self.one_of(choices)
        } else {
            usual
        }
    }

    fn damage(&mut self) -> Damage {
        self.one_of(&[
            Damage::Nothing,
            Damage::RemoveRounds,
            Damage::RemoveLedger,
            Damage::KeepCopy,
            Damage::RestoreLedger,
            Damage::RestoreState,
            Damage::SecondFolder,
        ])
    }

    fn opening(&mut self) -> Opening {
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
        let purpose = self.one_of(&Purpose::ALL);
        Opening {
            number: self.seldom(25, honest.number, &numbers),
            place: self.seldom(25, honest.place, &places),
            purpose: self.seldom(10, honest.purpose, &[Asked::Other(purpose)]),
            study: self.seldom(3, honest.study, &[Named::Another]),
            state: self.state(),
            until: self.seldom(40, honest.until, &Stage::ALL),
            relay: self.percent(15).then(|| self.relay()),
            gone: self.percent(20).then(|| self.gone()),
            fault: self.percent(15).then(|| self.fault()),
            kills: (0..self.seldom(25, 0, &[1, 2, 3]))
                .map(|_| self.kill())
                .collect(),
        }
    }

    fn state(&mut self) -> Stated {
        if self.percent(55) {
            return Stated::Fresh;
        }
        let norm = self.one_of(&[1e-165, 1e-320, 0.0, 1e155, f64::INFINITY]);
        let weight = self.one_of(&[1e20, 1e38, -3e38, f32::NAN, f32::MIN_POSITIVE]);
        let sd = self.one_of(&[0.0, 1e-37, 2e-37, 1e-300, 1e300, f64::NAN]);
        self.one_of(&[
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

    fn relay(&mut self) -> (Stage, Relay) {
        let stages = [Stage::Share, Stage::Mask, Stage::Agree, Stage::Unmask];
        let relays = [
            Relay::Without(SiteId(0)),
            Relay::Without(SiteId(1)),
            Relay::Without(SiteId(2)),
            Relay::Altered,
            Relay::Twice,
            Relay::Earlier,
        ];
        (self.one_of(&stages), self.one_of(&relays))
    }

    fn gone(&mut self) -> (SiteId, Stage) {
        self.one_of(&[
            (SiteId(0), Stage::Agree),
            (SiteId(1), Stage::Advertise),
            (SiteId(2), Stage::Mask),
            (SiteId(2), Stage::Agree),
        ])
    }

    fn call(&mut self) -> Call {
        let stage = self.one_of(&Stage::ALL);
        self.one_of(&[
            Call::View,
            Call::State,
            Call::Fetch(stage),
            Call::Send(stage),
            Call::Send(stage),
            Call::Missing,
            Call::Chunk,
        ])
    }

    fn fault(&mut self) -> (Call, Fault, u32) {
        let fault = self.one_of(&[
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
        (self.call(), fault, 1 + self.below(3))
    }

    fn kill(&mut self) -> (Call, Moment) {
        (self.call(), self.one_of(&[Moment::Before, Moment::After]))
    }
}
