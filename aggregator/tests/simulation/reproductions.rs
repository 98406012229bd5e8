//! Lists of operations that failed once, here or with a fault put in on purpose, cut down to what is needed.

use testkit::Draft;

use crate::operation::{Fault, Operation};
use crate::setting::{Network, Setting};
use crate::world::{Outcome, simulate};

/// The place of a call in a step at stage mask, after the view, the inbox, the announcement and what is missing.
const CHUNK: u8 = 4;
/// The place of a message in a step at any stage after advertise.
const MESSAGE: u8 = 2;

/// Three sites of which two are enough, one step of training and an evaluation.
fn draft() -> Draft {
    Draft {
        sites: 3,
        threshold: 2,
        parameters: 3,
        rounds: 1,
        ..Draft::default()
    }
}

fn run(operations: &[Operation]) -> Outcome {
    run_of(&draft(), operations)
}

fn run_of(draft: &Draft, operations: &[Operation]) -> Outcome {
    simulate(&Setting::of(draft, Network::Lossy, 0), operations)
}

/// All sites go on by a stage, of which the last meets a fault.
fn stage(faults: &[(u8, Fault)]) -> [Operation; 3] {
    let peaceful = |site| Operation::Step(site, Vec::new());
    [
        peaceful(0),
        peaceful(1),
        Operation::Step(2, faults.to_vec()),
    ]
}

/// With a round that adds a vector anew for each chunk that comes, the sum is another.
#[test]
fn a_chunk_that_comes_twice_counts_once() {
    let twice = stage(&[(CHUNK, Fault::Twice)]);
    let outcome = run(&[stage(&[]), stage(&[]), twice].concat());
    assert_eq!((outcome.finished, outcome.abandoned), (2, 0));
}

/// Its site has dropped out, and its key is opened.
#[test]
fn a_chunk_that_comes_after_its_stage_is_not_added() {
    let late = stage(&[(CHUNK, Fault::Delay)]);
    let mut operations = [stage(&[]), stage(&[]), late].concat();
    operations.push(Operation::Wait(11));
    operations.push(Operation::Late(0));
    operations.extend(stage(&[]));
    operations.push(Operation::Late(0));
    let outcome = run(&operations);
    assert_eq!((outcome.finished, outcome.abandoned), (2, 0));
}

#[test]
fn a_stage_whose_last_message_was_stored_before_a_crash_closes_after_it() {
    let crash = stage(&[(MESSAGE, Fault::CrashBetween)]);
    let chunk = stage(&[(CHUNK, Fault::CrashBetween)]);
    let adverts = stage(&[(MESSAGE, Fault::CrashBetween)]);
    let operations = [adverts, crash.clone(), chunk, crash.clone(), crash].concat();
    let outcome = run(&operations);
    assert_eq!((outcome.finished, outcome.abandoned), (2, 0));
}

/// The answer to the last opening is lost with the aggregator: the record is read back by all who ask again.
#[test]
fn a_record_is_the_same_after_a_restart() {
    let quiet = [stage(&[]), stage(&[]), stage(&[]), stage(&[])].concat();
    let crash = stage(&[(MESSAGE, Fault::CrashAfter)]).to_vec();
    let outcome = run(&[quiet, crash].concat());
    assert_eq!((outcome.finished, outcome.abandoned), (2, 0));
}

/// Moments were once tried a second time after masked inputs came in. Sites that paid for both could not pay for the last
/// round, and the study neither ended nor said why.
#[test]
fn a_study_whose_moments_are_lost_after_they_were_paid_for_comes_to_an_end() {
    let draft = Draft {
        threshold: 3,
        epsilon: 2.0,
        patients_per_site: 100,
        normalisation: "shared",
        ..draft()
    };
    let lost = stage(&[(MESSAGE, Fault::DropRequest)]).to_vec();
    let mut operations = [stage(&[]), stage(&[])].concat();
    operations.extend(lost);
    operations.push(Operation::Wait(11));
    assert_eq!(run_of(&draft, &operations).ended, 1);
}

/// A site pays before its vector leaves, and its announcement can still be on its way when the stage is over. The step was
/// once done again where no announcement had come: sites paid for it twice, and could not pay for the last round.
#[test]
fn a_study_whose_announcements_come_too_late_comes_to_an_end() {
    let draft = Draft {
        threshold: 3,
        epsilon: 2.0,
        patients_per_site: 100,
        ..draft()
    };
    let late = Operation::Step(2, vec![(MESSAGE, Fault::Delay)]);
    let mut operations = [stage(&[]), stage(&[])].concat();
    operations.extend([late, Operation::Wait(11), Operation::Late(0)]);
    let outcome = run_of(&draft, &operations);
    assert_eq!((outcome.ended, outcome.abandoned), (1, 1));
}
