//! A state is taken where every number of it follows from the study, and refused by name where one does not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::codec;
use protocol::door::{Moments, State};
use protocol::id::Purpose;
use protocol::state::StateError;
use protocol::study::Study;
use testkit::Draft;

const ADAPTIVE: (&str, &str) = (
    "clip-norm = 1\n",
    "clip-norm = 1\nadaptive-clip = { quantile = 0.5, rate = 0.2, share = 0.2 }\n",
);
const SCAFFOLD: (&str, &str) = (
    "algorithm.gradient = { batch = \"all\" }",
    "algorithm.averaging = { steps = 2, batch = \"all\", weighting = \"sites\", change-norm = 3.0, control-variates = \
     \"scaffold\", optimizer.momentum = { rate = 0.5, momentum = 0.0 } }",
);
const CLUSTERS: (&str, &str) = (
    "[aggregation]",
    "[clustering]\nclusters = 2\nrounds = 1\ndimensions = 2\nradius = 1.0\nshare = 0.2\n\n[aggregation]",
);

/// A study of four parameters, four rounds of training and two features.
fn study(normalisation: &'static str, settings: &[(&str, &str)]) -> Study {
    let draft = Draft {
        parameters: 4,
        rounds: 4,
        normalisation,
        ..Draft::default()
    };
    Study::parse(draft.toml_with(settings).as_bytes()).unwrap()
}

fn parsed(study: &Study, purpose: Purpose, state: &State) -> Result<State, StateError> {
    State::of(study, purpose, &codec::encode(state))
}

fn plain() -> State {
    State {
        offset: vec![0.5; 4],
        ..State::default()
    }
}

#[test]
fn weights_are_as_many_as_the_studys_and_within_their_bound() {
    let study = study("reference", &[]);
    for offset in [
        vec![0.0; 4],
        vec![
            State::MOST_WEIGHT,
            -State::MOST_WEIGHT,
            f32::MIN_POSITIVE,
            -0.0,
        ],
    ] {
        let state = State { offset, ..plain() };
        assert_eq!(parsed(&study, Purpose::Train, &state), Ok(state));
    }
    let odd = State {
        offset: vec![0.0; 5],
        ..plain()
    };
    assert_eq!(
        parsed(&study, Purpose::Train, &odd),
        Err(StateError::Weights { got: 5, want: 4 })
    );
    for value in [State::MOST_WEIGHT.next_up(), -1e30, f32::INFINITY, f32::NAN] {
        let odd = State {
            offset: vec![0.0, 0.0, value, 0.0],
            ..plain()
        };
        let refused = parsed(&study, Purpose::Evaluate, &odd).unwrap_err();
        assert!(
            matches!(refused, StateError::Weight { place: 2, .. }),
            "{refused}"
        );
        assert!(
            refused
                .to_string()
                .contains("not finite or beyond ±1000000"),
            "{refused}"
        );
    }
    let bytes = [codec::encode(&plain()), vec![0]].concat();
    assert!(matches!(
        State::of(&study, Purpose::Train, &bytes),
        Err(StateError::Decode(_))
    ));
}

#[test]
fn a_clip_norm_is_one_that_the_planned_rounds_can_get_to() {
    let kept = study("reference", &[]);
    let with = |norm| State {
        clip_norm: Some(norm),
        ..plain()
    };
    assert_eq!(
        parsed(&kept, Purpose::Train, &with(1.0)),
        Err(StateError::UnwantedClipNorm(1.0))
    );
    let adapted = study("reference", &[ADAPTIVE]);
    assert_eq!(
        parsed(&adapted, Purpose::Train, &plain()),
        Err(StateError::NoClipNorm)
    );
    // Four rounds, each by e^±0.1.
    let most = 0.4_f64.exp();
    for norm in [1.0, most, 1.0 / most] {
        assert!(
            parsed(&adapted, Purpose::Train, &with(norm)).is_ok(),
            "{norm}"
        );
    }
    for norm in [
        1.01 * most,
        0.99 / most,
        1e-166,
        0.0,
        -1.0,
        f64::NAN,
        f64::INFINITY,
    ] {
        let refused = parsed(&adapted, Purpose::Evaluate, &with(norm)).unwrap_err();
        assert!(matches!(refused, StateError::ClipNorm { .. }), "{refused}");
    }
}

#[test]
fn a_control_variate_is_one_that_the_planned_rounds_can_get_to() {
    let with = |control| State { control, ..plain() };
    let without = study("reference", &[]);
    assert_eq!(
        parsed(&without, Purpose::Train, &with(vec![0.0; 4])),
        Err(StateError::Control { got: 4, want: 0 })
    );
    let study = study("reference", &[SCAFFOLD]);
    assert_eq!(
        parsed(&study, Purpose::Train, &plain()),
        Err(StateError::Control { got: 0, want: 4 })
    );
    // Four rounds, each by at most twice a change norm of 3 over two steps at a rate of a half.
    assert!(parsed(&study, Purpose::Train, &with(vec![24.0, -24.0, 0.0, 1.0])).is_ok());
    for value in [24.1, -1e30, f32::NAN] {
        let refused =
            parsed(&study, Purpose::Train, &with(vec![0.0, value, 0.0, 0.0])).unwrap_err();
        assert!(
            matches!(refused, StateError::ControlValue { place: 1, .. }),
            "{refused}"
        );
    }
}

#[test]
fn moments_are_those_of_plausible_values_and_there_from_the_second_round_on() {
    let shared = study("shared", &[]);
    let with = |mean, sd| State {
        normalisation: vec![
            Moments { mean, sd },
            Moments {
                mean: 97.0,
                sd: 2.0,
            },
        ],
        ..plain()
    };
    assert!(parsed(&shared, Purpose::Moments, &plain()).is_ok());
    assert!(matches!(
        parsed(&shared, Purpose::Moments, &with(75.0, 12.0)),
        Err(StateError::Moments { got: 2, want: 0 })
    ));
    assert!(matches!(
        parsed(&shared, Purpose::Train, &plain()),
        Err(StateError::Moments { got: 0, want: 2 })
    ));
    assert!(matches!(
        parsed(&study("reference", &[]), Purpose::Train, &with(75.0, 12.0)),
        Err(StateError::Moments { got: 2, want: 0 })
    ));
    // From 20 to 250, with a standard deviation of 12.
    for (mean, sd) in [(75.0, 12.0), (20.0, 3.0), (250.0, 230.0)] {
        assert!(
            parsed(&shared, Purpose::Train, &with(mean, sd)).is_ok(),
            "{mean} {sd}"
        );
    }
    for (mean, sd) in [
        (19.9, 12.0),
        (250.1, 12.0),
        (f64::NAN, 12.0),
        (75.0, 2.9),
        (75.0, 230.1),
        (75.0, 1e-37),
        (75.0, f64::NAN),
    ] {
        let refused = parsed(&shared, Purpose::Train, &with(mean, sd)).unwrap_err();
        assert!(matches!(refused, StateError::Moment { .. }), "{refused}");
        assert!(refused.to_string().contains("LOINC//8867-4"), "{refused}");
    }
}

#[test]
fn centres_are_in_the_ball_and_no_more_than_the_round_can_have() {
    let with = |centres| State { centres, ..plain() };
    let without = study("reference", &[]);
    assert_eq!(
        parsed(&without, Purpose::Train, &with(vec![0.0; 2])),
        Err(StateError::NoClustering(2))
    );
    // Two clusters wanted, so eight candidates, of which four are cut.
    let study = study("reference", &[CLUSTERS]);
    for (purpose, most) in [
        (Purpose::Seed, 4),
        (Purpose::Cluster, 2),
        (Purpose::Train, 0),
    ] {
        assert!(
            parsed(&study, purpose, &with(vec![0.1; 2 * most])).is_ok(),
            "{purpose}"
        );
        for length in [2 * most + 2, 2 * most + 1] {
            let refused = parsed(&study, purpose, &with(vec![0.1; length])).unwrap_err();
            assert!(matches!(refused, StateError::Centres { .. }), "{refused}");
        }
    }
    assert!(parsed(&study, Purpose::Seed, &with(vec![0.6, 0.8, 0.0, 1.0])).is_ok());
    for far in [[0.7, 0.8], [1e30, 0.0], [f32::NAN, 0.0]] {
        let refused =
            parsed(&study, Purpose::Seed, &with(vec![0.0, 0.0, far[0], far[1]])).unwrap_err();
        assert!(
            matches!(refused, StateError::Centre { centre: 1, .. }),
            "{refused}"
        );
    }
}

#[test]
fn a_published_state_may_lack_what_only_rounds_need_and_nothing_else() {
    let study = study("shared", &[SCAFFOLD, CLUSTERS]);
    let state = State {
        normalisation: vec![
            Moments {
                mean: 75.0,
                sd: 12.0,
            },
            Moments {
                mean: 97.0,
                sd: 2.0,
            },
        ],
        ..plain()
    };
    let published = |state: &State| State::published(&study, &codec::encode(state));
    assert!(published(&state).is_ok());
    let whole = State {
        control: vec![0.0; 4],
        centres: vec![0.1; 4],
        ..state.clone()
    };
    assert!(published(&whole).is_ok());
    for odd in [
        plain(),
        State {
            control: vec![0.0; 3],
            ..state.clone()
        },
        State {
            centres: vec![0.1; 6],
            ..state.clone()
        },
        State {
            clip_norm: Some(1.0),
            ..state
        },
    ] {
        assert!(published(&odd).is_err(), "{odd:?}");
    }
}
