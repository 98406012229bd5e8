//! The scripts, by what they try.

use protocol::api::Stage;
use protocol::id::{Purpose, SiteId};

use crate::call::Call;
use crate::damage::Damage;
use crate::http::Fault;
use crate::kind::{Kind, TRIES, UNCHARGED};
use crate::relay::Relay;
use crate::script::{Asked, Lie, Moment, Named, Number, Opening, Place, Script};
use crate::state::Stated;

/// All scripts, by name.
pub(crate) fn all() -> Vec<(&'static str, Script)> {
    vec![
        ("honest", honest(Kind::Plain)),
        ("clip norms", clip_norms()),
        ("again without journals", again_without_journals()),
        ("bisection", bisection()),
        ("large weights", large_weights()),
        ("centres", centres()),
        ("one state, other survivors", one_state_other_survivors()),
        ("places", places()),
        ("repeats", repeats()),
        ("other headers", other_headers()),
        ("no ledger", no_ledger()),
        ("older ledger", older_ledger()),
        ("two folders", two_folders()),
        ("abandoned", abandoned()),
        ("abandoned at many places", abandoned_at_many_places()),
        ("far numbers", far_numbers(Kind::Scaffold)),
        ("false relays", false_relays()),
        ("false states", false_states()),
        ("nuisances", nuisances()),
        ("killed everywhere", killed_everywhere()),
    ]
}

/// A whole study without a lie.
pub(crate) fn honest(kind: Kind) -> Script {
    Script::of(kind, vec![Opening::honest(); rounds(kind)]).then(Lie::Finish)
}

/// Rounds of the plan.
fn rounds(kind: Kind) -> usize {
    match kind {
        Kind::Plain | Kind::Infinite | Kind::Adaptive | Kind::Scaffold | Kind::Lottery => 4,
        Kind::Shared => 5,
        // Enough: a script may end before its plan.
        Kind::Clustered => 2,
    }
}

/// Norms of which the square underflows or overflows, between honest rounds.
pub(crate) fn clip_norms() -> Script {
    let norms = [
        1e-165,
        1e-164,
        1e-166,
        1e-320,
        1e155,
        1e300,
        0.0,
        -1.0,
        f64::NAN,
    ];
    let lies = norms.map(|norm| Opening::from_state(Stated::ClipNorm(norm)));
    Script::of(Kind::Adaptive, [Opening::honest()])
        .then_rounds(lies)
        .then_rounds([Opening::honest()])
}

/// A study runs to its end; its journals are removed and it runs again from the first round, twice.
pub(crate) fn again_without_journals() -> Script {
    let again = |_| {
        let first = Opening {
            number: Number::Exact(0),
            place: Place::Exact(0),
            ..Opening::from_state(Stated::First)
        };
        let more = (1..3).map(|place| Opening {
            place: Place::Exact(place),
            ..Opening::honest()
        });
        [Lie::Damage(Damage::RemoveRounds), Lie::Open(first)]
            .into_iter()
            .chain(more.map(Lie::Open))
    };
    let mut script = Script::of(Kind::Plain, vec![Opening::honest(); rounds(Kind::Plain)]);
    script.lies.extend((0..2).flat_map(again));
    script
}

/// Standard deviations with which single precision overflows for ages above a threshold, in the square of a gradient's norm
/// or in the input: each answer halves where the oldest patient can be. An advert is answer enough, and is not charged.
pub(crate) fn bisection() -> Script {
    let norms =
        [150.0, 133.0, 118.0, 105.0].map(|threshold| (threshold, f64::from(f32::MAX).sqrt()));
    let inputs = [109.0, 64.0].map(|threshold| (threshold, f64::from(f32::MAX)));
    let lies = norms.into_iter().chain(inputs).map(|(threshold, largest)| {
        let sd = (threshold - 18.0) / largest;
        Opening {
            until: Stage::Advertise,
            ..Opening::from_state(Stated::LastFeature { mean: 18.0, sd })
        }
    });
    let others = [
        (65.0, 0.0),
        (65.0, -14.0),
        (65.0, 1e300),
        (1e300, 14.0),
        (f64::NAN, 14.0),
        (65.0, f64::INFINITY),
    ];
    let others = others.map(|(mean, sd)| Opening::from_state(Stated::LastFeature { mean, sd }));
    Script::of(Kind::Shared, [Opening::honest(), Opening::honest()])
        .then_rounds(lies)
        .then_rounds(others)
}

/// Weights with which a patient's prediction overflows.
pub(crate) fn large_weights() -> Script {
    let weights = [1e3, 1e20, 1e38, -3e38];
    let lies = weights.map(|weight| Opening::from_state(Stated::Weight(weight)));
    Script::of(Kind::Plain, lies)
}

/// Centres outside of the ball in which patients are.
pub(crate) fn centres() -> Script {
    let lie = |centre| Opening {
        place: Place::Exact(2),
        purpose: Asked::Other(Purpose::Seed),
        ..Opening::from_state(Stated::Centre(centre))
    };
    Script::of(Kind::Clustered, [Opening::honest(), Opening::honest()])
        .then_rounds([1.5, 1e38, f32::NAN].map(lie))
}

/// At ε = ∞: the same state again, with another site left out.
pub(crate) fn one_state_other_survivors() -> Script {
    let again = Opening {
        gone: Some((SiteId(2), Stage::Advertise)),
        ..Opening::from_state(Stated::Same)
    };
    Script::of(Kind::Infinite, [Opening::honest(), again])
}

/// Places that go back, were charged, are beyond the plan, or are for something else.
pub(crate) fn places() -> Script {
    let at = |place| Opening {
        place,
        ..Opening::honest()
    };
    let left_out = Opening {
        gone: Some((SiteId(0), Stage::Agree)),
        ..Opening::honest()
    };
    let other = Opening {
        purpose: Asked::Other(Purpose::Evaluate),
        ..Opening::honest()
    };
    Script::of(
        Kind::Plain,
        [
            left_out,
            at(Place::Charged),
            Opening::honest(),
            at(Place::Exact(0)),
            other,
            at(Place::Exact(40)),
            at(Place::Skip(1)),
            at(Place::Exact(2)),
        ],
    )
}

/// The same state after its sum was read, as often as the plan has places.
pub(crate) fn repeats() -> Script {
    let again = vec![Opening::from_state(Stated::Same); 2];
    Script::of(Kind::Plain, [Opening::honest()]).then_rounds(again)
}

/// A number with another header, a number that goes back, another study.
pub(crate) fn other_headers() -> Script {
    let numbered = |number| Opening {
        number,
        ..Opening::honest()
    };
    let before_mask = Opening {
        until: Stage::Share,
        ..Opening::honest()
    };
    let stranger = Opening {
        study: Named::Another,
        ..Opening::honest()
    };
    Script::of(
        Kind::Plain,
        [
            before_mask,
            numbered(Number::Same),
            Opening::honest(),
            numbered(Number::Same),
            numbered(Number::Back(2)),
            stranger,
        ],
    )
}

/// The ledger is removed in the middle of a study.
pub(crate) fn no_ledger() -> Script {
    Script::of(Kind::Plain, [Opening::honest()])
        .then(Lie::Damage(Damage::RemoveLedger))
        .then_rounds([Opening::honest(), Opening::honest()])
}

/// The ledger is replaced by an older one in the middle of a study.
pub(crate) fn older_ledger() -> Script {
    Script::of(Kind::Plain, [Opening::honest()])
        .then(Lie::Damage(Damage::KeepCopy))
        .then_rounds([Opening::honest()])
        .then(Lie::Damage(Damage::RestoreLedger))
        .then_rounds([Opening::honest(), Opening::honest()])
}

/// A second state folder over the same patients.
pub(crate) fn two_folders() -> Script {
    let again = Opening {
        number: Number::Exact(0),
        place: Place::Exact(0),
        ..Opening::honest()
    };
    Script::of(Kind::Plain, [Opening::honest(), Opening::honest()])
        .then(Lie::Damage(Damage::SecondFolder))
        .then_rounds([again, Opening::honest()])
}

/// Rounds of one place that are dropped before anything is charged, more often than the study allows.
pub(crate) fn abandoned() -> Script {
    let dropped = Opening {
        until: Stage::Share,
        ..Opening::honest()
    };
    Script::of(Kind::Plain, vec![dropped; TRIES + 3])
}

/// The same at several places, each not too often.
pub(crate) fn abandoned_at_many_places() -> Script {
    let dropped = |place| Opening {
        place: Place::Exact(place),
        until: Stage::Advertise,
        ..Opening::honest()
    };
    let each = UNCHARGED.div_ceil(3) + 1;
    let lies = (0..3).flat_map(|place| vec![dropped(place); each]);
    Script::of(Kind::Plain, lies)
}

/// Numbers near the largest.
pub(crate) fn far_numbers(kind: Kind) -> Script {
    let numbered = |number| Opening {
        number: Number::Exact(number),
        ..Opening::honest()
    };
    Script::of(
        kind,
        [
            Opening::honest(),
            numbered(4_000_000_000),
            numbered(u32::MAX),
        ],
    )
}

/// What other sites sent, changed at each stage.
pub(crate) fn false_relays() -> Script {
    let relays = [
        (Stage::Share, Relay::Without(SiteId(0))),
        (Stage::Share, Relay::Altered),
        (Stage::Share, Relay::Earlier),
        (Stage::Mask, Relay::Altered),
        (Stage::Mask, Relay::Without(SiteId(1))),
        (Stage::Agree, Relay::Without(SiteId(2))),
        (Stage::Unmask, Relay::Altered),
    ];
    let lies = relays.map(|(stage, relay)| Opening {
        relay: Some((stage, relay)),
        ..Opening::honest()
    });
    Script::of(Kind::Plain, lies)
}

/// States that are none.
pub(crate) fn false_states() -> Script {
    let states = [
        Stated::Garbage,
        Stated::OtherBytes,
        Stated::Longer(1),
        Stated::Longer(-1),
        Stated::Weight(f32::NAN),
        Stated::ClipNorm(1.0),
        Stated::Centre(0.5),
        Stated::LastFeature {
            mean: 65.0,
            sd: 14.0,
        },
    ];
    Script::of(Kind::Plain, states.map(Opening::from_state)).then_rounds([Opening::honest()])
}

/// Answers that fail, stop, flood and drip.
pub(crate) fn nuisances() -> Script {
    let at = |call, fault, times| Opening {
        fault: Some((call, fault, times)),
        ..Opening::honest()
    };
    Script::of(
        Kind::Plain,
        [
            at(Call::Send(Stage::Mask), Fault::Status(503), 2),
            at(Call::Fetch(Stage::Share), Fault::CutShort, 1),
            at(Call::State, Fault::Flood(300 << 20), 1),
            at(Call::Send(Stage::Unmask), Fault::HangUp, 2),
            at(Call::Fetch(Stage::Mask), Fault::Garbage, 1),
            at(Call::State, Fault::Drip(5), 1),
        ],
    )
}

/// The host is killed at every call of every round of a study, before and after the aggregator takes it.
pub(crate) fn killed_everywhere() -> Script {
    let calls = [
        Call::State,
        Call::Send(Stage::Advertise),
        Call::Fetch(Stage::Share),
        Call::Send(Stage::Share),
        Call::Fetch(Stage::Mask),
        Call::Send(Stage::Mask),
        Call::Missing,
        Call::Chunk,
        Call::Fetch(Stage::Agree),
        Call::Send(Stage::Agree),
        Call::Fetch(Stage::Unmask),
        Call::Send(Stage::Unmask),
    ];
    let moments = calls
        .into_iter()
        .flat_map(|call| [(call, Moment::Before), (call, Moment::After)]);
    let opening = Opening {
        kills: moments.collect(),
        ..Opening::honest()
    };
    Script::of(Kind::Shared, [opening.clone(), opening])
        .then_rounds(vec![Opening::honest(); 3])
        .then(Lie::Finish)
}
