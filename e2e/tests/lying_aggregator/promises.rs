//! One script for each promise, and what it must show.

use std::time::Duration;

use protocol::api::Stage;
use protocol::id::{Digest, Header, Purpose, SiteId};

use crate::checks::{advert_times, holds, played, report};
use crate::damage::Damage;
use crate::hospital::Site;
use crate::kind::{FLOOR_SECONDS, Kind};
use crate::patients::Hospital;
use crate::prepared::{HOSPITAL, prepared};
use crate::record::{Record, charges};
use crate::script::{Lie, Number, Opening, Place, Script};
use crate::scripts;

/// The lies of which a masked input left.
fn answered(record: &Record) -> Vec<usize> {
    let mut lies: Vec<usize> = record
        .masked
        .iter()
        .map(|masked| masked.opened.lie)
        .collect();
    lies.dedup();
    lies
}

#[test]
fn an_honest_aggregator_leads_a_hospital_through_its_study() {
    for kind in [Kind::Plain, Kind::Infinite, Kind::Scaffold, Kind::Shared] {
        let script = scripts::honest(kind);
        let record = holds(&script, Hospital::Usual);
        let plan = prepared(kind, Hospital::Usual).kit.study.plan().len();
        let words = report(&script, &record, &[]);
        assert_eq!(record.vectors().len(), plan, "{words}");
        assert_eq!(charges(&record.ledger).len(), plan, "{words}");
        assert!(record.opened.iter().all(|opened| opened.is_read), "{words}");
        let [(_, end)] = record.ends.as_slice() else {
            panic!("{words}")
        };
        assert!(end.success, "{words}");
    }
}

#[test]
fn no_clip_norm_that_underflows_or_overflows_is_trained_with() {
    let record = holds(&scripts::clip_norms(), Hospital::Usual);
    assert_eq!(answered(&record).first(), Some(&0));
}

#[test]
fn a_study_that_was_charged_once_does_not_run_thrice() {
    let script = scripts::again_without_journals();
    let record = holds(&script, Hospital::Usual);
    let plan = prepared(script.kind, Hospital::Usual)
        .kit
        .study
        .plan()
        .len();
    assert_eq!(record.vectors().len(), plan);
}

#[test]
fn a_missing_ledger_is_not_shown_as_an_empty_one() {
    let prepared = prepared(Kind::Plain, Hospital::Usual);
    let mut site = Site::new(prepared, "127.0.0.1:1").unwrap();
    let journals = site.journals().unwrap();
    std::fs::create_dir_all(journals.join("00000")).unwrap();
    site.damage(Damage::RemoveLedger).unwrap();
    let error = site.show_ledger().unwrap_err().to_string();
    assert!(error.contains("ledger"), "{error}");
}

#[test]
fn whether_a_site_answers_does_not_depend_on_the_values_of_its_patients() {
    compare(Hospital::Odd);
}

#[test]
fn whether_a_site_answers_does_not_depend_on_how_many_patients_it_has() {
    compare(Hospital::Crowded);
}

/// Plays all scripts to the usual hospital and to another one: what the aggregator sees must be the same.
#[track_caller]
fn compare(other: Hospital) {
    let mut differences = Vec::new();
    for (name, script) in scripts::all() {
        let [usual, other] =
            [Hospital::Usual, other].map(|hospital| played(&script, hospital).seen());
        if usual != other {
            let place = usual.iter().zip(&other).take_while(|(one, two)| one == two);
            let place = place.count();
            differences.push(format!(
                "{name}: after {place} events, {:?} and {:?}",
                usual.get(place),
                other.get(place)
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn no_shared_normalisation_tells_ages_apart_by_who_answers() {
    let script = scripts::bisection();
    let [usual, odd] = [Hospital::Usual, Hospital::Odd].map(|hospital| holds(&script, hospital));
    assert_eq!(answered(&usual), [0, 1]);
    assert_eq!(usual.seen(), odd.seen());
}

#[test]
fn without_noise_no_state_is_trained_from_twice() {
    let record = holds(&scripts::one_state_other_survivors(), Hospital::Usual);
    assert_eq!(answered(&record), [0]);
}

#[test]
fn a_place_that_was_charged_is_never_answered_again() {
    holds(&scripts::places(), Hospital::Usual);
}

#[test]
fn a_state_of_which_a_sum_was_read_is_not_trained_from_too_often() {
    holds(&scripts::repeats(), Hospital::Usual);
}

#[test]
fn a_number_with_another_header_is_refused() {
    let record = holds(&scripts::other_headers(), Hospital::Usual);
    let before: Vec<usize> = record
        .opened
        .iter()
        .filter(|opened| record.has_sent(opened.lie, Stage::Advertise))
        .map(|opened| opened.lie)
        .collect();
    assert_eq!(before, [0, 2]);
}

/// Of two numbers of which today's draw takes one and leaves the other, both are answered or neither.
#[test]
fn numbers_do_not_decide_who_takes_part() {
    let study = &prepared(Kind::Lottery, Hospital::Usual).kit.study;
    let takes_part = |number| {
        let header = Header {
            study: study.digest(),
            number,
            place: 0,
            purpose: Purpose::Train,
            state: Digest::of(b"a state"),
        };
        study.takes_part(HOSPITAL, &header)
    };
    let first = takes_part(0);
    let other = (1..1_000).find(|number| takes_part(*number) != first);
    let answers = [0, other.unwrap_or(1)].map(|number| {
        let opening = Opening {
            number: Number::Exact(number),
            until: Stage::Advertise,
            ..Opening::honest()
        };
        let script = Script::of(Kind::Lottery, [opening]);
        holds(&script, Hospital::Usual).has_sent(0, Stage::Advertise)
    });
    assert_eq!(answers[0], answers[1], "rounds 0 and {other:?}");
}

#[test]
fn a_ledger_that_was_removed_is_not_begun_again() {
    let record = holds(&scripts::no_ledger(), Hospital::Usual);
    assert_eq!(answered(&record), [0]);
}

#[test]
fn a_ledger_older_than_the_journals_is_refused() {
    let record = holds(&scripts::older_ledger(), Hospital::Usual);
    assert_eq!(answered(&record), [0, 2]);
}

#[test]
fn two_state_folders_over_the_same_patients_are_not_two_ledgers() {
    let record = holds(&scripts::two_folders(), Hospital::Usual);
    assert_eq!(answered(&record), [0, 1]);
}

#[test]
fn rounds_of_a_place_that_are_begun_and_never_charged_are_few() {
    holds(&scripts::abandoned(), Hospital::Usual);
}

#[test]
fn rounds_of_a_study_that_are_begun_and_never_charged_are_few() {
    holds(&scripts::abandoned_at_many_places(), Hospital::Usual);
}

#[test]
fn an_advert_leaves_no_sooner_than_the_studys_floor_whatever_the_patients() {
    for hospital in [Hospital::Usual, Hospital::Odd, Hospital::Crowded] {
        let times = advert_times(&played(&scripts::honest(Kind::Plain), hospital));
        let floor = Duration::from_secs_f64(FLOOR_SECONDS);
        assert!(!times.is_empty(), "{hospital:?} sent no advert");
        assert!(
            times.iter().all(|time| *time >= floor),
            "{hospital:?}: {times:?}"
        );
    }
}

#[test]
fn a_round_number_near_the_end_is_answered_at_once() {
    for kind in [Kind::Scaffold, Kind::Plain] {
        let record = holds(&scripts::far_numbers(kind), Hospital::Usual);
        let times = advert_times(&record);
        assert!(
            times.iter().all(|time| *time < Duration::from_secs(10)),
            "{times:?}"
        );
    }
}

#[test]
fn no_weights_make_a_hospital_fall_over() {
    holds(&scripts::large_weights(), Hospital::Odd);
}

#[test]
fn centres_outside_of_the_ball_are_refused() {
    let record = holds(&scripts::centres(), Hospital::Usual);
    assert!(answered(&record).iter().all(|lie| *lie < 2));
}

#[test]
fn states_that_are_none_of_the_studys_are_not_trained_from() {
    holds(&scripts::false_states(), Hospital::Usual);
}

#[test]
fn nothing_is_opened_for_a_false_word_on_the_other_sites() {
    let record = holds(&scripts::false_relays(), Hospital::Usual);
    assert!(record.opened.iter().all(|opened| !opened.is_read));
}

#[test]
fn answers_that_fail_stop_flood_or_drip_do_no_harm() {
    holds(&scripts::nuisances(), Hospital::Usual);
}

#[test]
fn a_hospital_that_is_killed_at_every_call_sends_what_it_sent_before() {
    let script = scripts::killed_everywhere();
    let record = holds(&script, Hospital::Usual);
    let words = report(&script, &record, &[]);
    assert!(record.opened.iter().all(|opened| opened.is_read), "{words}");
    assert!(record.ends.iter().all(|(_, end)| end.success), "{words}");
}

/// Also where the aggregator says that this site was not in the sum, its round is charged and its place is over.
#[test]
fn a_charge_names_what_left() {
    let left_out = Opening {
        gone: Some((SiteId(0), Stage::Agree)),
        ..Opening::honest()
    };
    let next = Opening {
        place: Place::Next,
        ..Opening::honest()
    };
    let script = Script::of(Kind::Plain, [left_out, next]).then(Lie::Damage(Damage::Nothing));
    let record = holds(&script, Hospital::Usual);
    let lines = charges(&record.ledger);
    assert_eq!(lines.len(), record.vectors().len());
    for (line, masked) in lines.iter().zip(record.vectors()) {
        assert_eq!(line.header, Some(masked.opened.header.digest()));
        assert_eq!(line.body, Some(masked.body));
    }
}
