//! What must never be so, whatever the aggregator does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use privacy::{Delta, Total};
use protocol::api::Stage;
use protocol::id::{Digest, Purpose};
use protocol::study::Study;

use crate::damage::Damage;
use crate::kind::{REPEATS, TRIES, UNCHARGED};
use crate::patients::Hospital;
use crate::performance::perform;
use crate::prepared::prepared;
use crate::record::{Line, Masked, Record, charges};
use crate::script::{Lie, Script};

/// Plays a script to a hospital and asserts that nothing is so that must never be.
#[track_caller]
pub(crate) fn holds(script: &Script, hospital: Hospital) -> Arc<Record> {
    let record = played(script, hospital);
    let violations = violations(script, &record);
    assert!(
        violations.is_empty(),
        "{}",
        report(script, &record, &violations)
    );
    record
}

/// Plays a script to a hospital, once: the record is kept for whoever plays it again.
#[track_caller]
pub(crate) fn played(script: &Script, hospital: Hospital) -> Arc<Record> {
    static KEPT: Mutex<BTreeMap<String, Slot>> = Mutex::new(BTreeMap::new());
    let slot = {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        Slot::clone(kept.entry(format!("{hospital:?} {script:?}")).or_default())
    };
    let record = slot.get_or_init(|| Arc::new(performed(script, hospital)));
    Arc::clone(record)
}

/// A record that may not be there yet: whoever comes second waits for it.
type Slot = Arc<OnceLock<Arc<Record>>>;

/// Plays a script to a hospital.
#[track_caller]
pub(crate) fn performed(script: &Script, hospital: Hospital) -> Record {
    perform(script, hospital).unwrap_or_else(|error| panic!("{error:#}\n{script:#?}"))
}

/// The script, what was wrong, and what was seen.
pub(crate) fn report(script: &Script, record: &Record, violations: &[String]) -> String {
    format!(
        "{}\n\nscript: {script:#?}\n\nseen:\n{}\n\nsaid:\n{}",
        violations.join("\n"),
        record.seen().join("\n"),
        record.words()
    )
}

/// All that was so in the record that must never be, each in a sentence.
pub(crate) fn violations(script: &Script, record: &Record) -> Vec<String> {
    let study = &prepared(script.kind, Hospital::Usual).kit.study;
    let mut found = Vec::new();
    found.extend(charged_before_it_left(record));
    found.extend(nothing_from_what_is_none_of_the_studys(study, record));
    found.extend(never_panicked(record));
    found.extend(said_what_to_do(record));
    found.extend(bounded(record));
    // A whole state folder that was put back knows nothing of what it did since: only the aggregator could tell it.
    if !script.lies.iter().any(is_restored) {
        found.extend(one_vector_a_number(record));
        found.extend(places_in_order(record));
        found.extend(within_the_plan(study, record));
        found.extend(no_state_too_often(study, record));
        found.extend(few_uncharged(record));
    }
    found
}

fn is_restored(lie: &Lie) -> bool {
    matches!(lie, Lie::Damage(Damage::RestoreState))
}

/// Every masked input that left has a line in the ledger at that moment, with its number, header and body.
fn charged_before_it_left(record: &Record) -> Vec<String> {
    let uncharged = |masked: &&Masked| {
        let fits = |line: &Line| {
            let header = masked.opened.header.digest();
            line.number == u64::from(masked.opened.header.number)
                && line.header == Some(header)
                && line.body == Some(masked.body)
        };
        !charges(&masked.ledger).iter().any(fits)
    };
    let vectors = record.masked.iter().filter(uncharged);
    vectors
        .map(|masked| {
            let number = masked.opened.header.number;
            format!("a masked input of round {number} left, and no line of the ledger is of it")
        })
        .collect()
}

/// No number has two masked inputs.
fn one_vector_a_number(record: &Record) -> Vec<String> {
    let mut numbers = BTreeMap::<u32, usize>::new();
    for masked in record.vectors() {
        *numbers.entry(masked.opened.header.number).or_default() += 1;
    }
    let twice = numbers.into_iter().filter(|(_, count)| *count > 1);
    twice
        .map(|(number, count)| format!("round {number} has {count} different masked inputs"))
        .collect()
}

/// Charged places only rise, are in the plan, and are for what the plan has there.
fn places_in_order(record: &Record) -> Vec<String> {
    let mut found = Vec::new();
    let mut last = None;
    for masked in record.vectors() {
        let header = &masked.opened.header;
        if last.is_some_and(|last| header.place <= last) {
            found.push(format!(
                "a masked input of place {} left (round {}) after one of place {}",
                header.place,
                header.number,
                last.unwrap_or_default()
            ));
        }
        last = last.max(Some(header.place));
    }
    found
}

/// What left is of the study and of what its plan has, not more often than planned, and the ledger adds up to no more
/// than the study's ε.
fn within_the_plan(study: &Study, record: &Record) -> Vec<String> {
    let (plan, mut found) = (study.plan(), Vec::new());
    for masked in record.vectors() {
        let header = &masked.opened.header;
        let planned = usize::try_from(header.place)
            .ok()
            .and_then(|place| plan.get(place));
        if planned != Some(&header.purpose) || header.study != study.digest() {
            found.push(format!(
                "a masked input left for round {} ({} at place {}), which is none of the plan's",
                header.number, header.purpose, header.place
            ));
        }
    }
    for purpose in Purpose::ALL {
        let of = |masked: &&&Masked| masked.opened.header.purpose == purpose;
        let (sent, planned) = (
            record.vectors().iter().filter(of).count(),
            plan.iter().filter(|planned| **planned == purpose).count(),
        );
        if sent > planned {
            found.push(format!(
                "{sent} masked inputs for {purpose} left, and the plan has {planned}"
            ));
        }
    }
    let promised = study.manifest().privacy.epsilon;
    let delta = Delta::try_from(study.manifest().privacy.delta).unwrap();
    let costs = charges(&record.ledger)
        .into_iter()
        .filter_map(|line| line.cost);
    let spent = Total::of(costs).epsilon(delta);
    if spent > promised {
        found.push(format!(
            "the ledger adds up to ε {spent}, and the study promises {promised}"
        ));
    }
    found
}

/// Nothing is computed from a state that is none of the study's.
fn nothing_from_what_is_none_of_the_studys(study: &Study, record: &Record) -> Vec<String> {
    let false_ones = record.opened.iter().filter(|opened| {
        opened.state.is_none_of_the_studys(study) && record.has_sent(opened.lie, Stage::Advertise)
    });
    false_ones
        .map(|opened| {
            format!(
                "round {} was begun from a state that is none of the study's: {:?}",
                opened.header.number, opened.state
            )
        })
        .collect()
}

/// A state of which a sum was read is not trained from again: at ε = ∞ a state of which a masked input left.
fn no_state_too_often(study: &Study, record: &Record) -> Vec<String> {
    let is_noised = study.manifest().privacy.epsilon.is_finite();
    let (mut given, mut found) = (BTreeMap::<Digest, usize>::new(), Vec::new());
    for masked in record.vectors() {
        let header = &masked.opened.header;
        if header.purpose != Purpose::Train {
            continue;
        }
        let count = given.entry(header.state).or_default();
        let most = if is_noised { REPEATS } else { 0 };
        if *count > most {
            found.push(format!(
                "round {} was trained from a state that was trained from before",
                header.number
            ));
        }
        let of_this = |opened: &&crate::record::Opened| opened.header == *header;
        let is_read = record
            .opened
            .iter()
            .filter(of_this)
            .any(|opened| opened.is_read);
        *count += usize::from(is_read || !is_noised);
    }
    found
}

/// Rounds that are begun and never charged are few, of a place and in all.
fn few_uncharged(record: &Record) -> Vec<String> {
    let charged: BTreeSet<Digest> = record
        .vectors()
        .iter()
        .map(|masked| masked.opened.header.digest())
        .collect();
    let (mut places, mut all) = (BTreeMap::<u32, usize>::new(), 0);
    for header in record.begun() {
        if !charged.contains(&header.digest()) {
            *places.entry(header.place).or_default() += 1;
            all += 1;
        }
    }
    let mut found = Vec::new();
    if all > UNCHARGED {
        found.push(format!(
            "{all} rounds were begun and never charged, and the study allows {UNCHARGED}"
        ));
    }
    let often = places.into_iter().filter(|(_, count)| *count > TRIES);
    found.extend(often.map(|(place, count)| {
        format!(
            "place {place} was begun {count} times without a charge, and the study allows {TRIES}"
        )
    }));
    found
}

/// Neither host nor module fell over.
fn never_panicked(record: &Record) -> Vec<String> {
    let words = record.words();
    let bad = words.lines().filter(|line| {
        ["panicked", "wasm trap", "the module stopped"]
            .iter()
            .any(|bad| line.contains(bad))
    });
    bad.map(|line| format!("it fell over: {line}")).collect()
}

/// A host that does not go on says what a person can do.
fn said_what_to_do(record: &Record) -> Vec<String> {
    let ends = record.ends.iter().filter(|(_, end)| !end.success);
    let last = ends.map(|(lie, end)| (lie, end.said.lines().last().unwrap_or("nothing")));
    last.filter(|(_, line)| {
        !line.starts_with("host: ") || !ADVICE.iter().any(|advice| line.contains(advice))
    })
    .map(|(lie, line)| format!("lie {lie}: its last word does not say what to do: {line}"))
    .collect()
}

/// Nothing takes for ever, nor all of the memory.
fn bounded(record: &Record) -> Vec<String> {
    let hung = record.hung.iter();
    let mut found: Vec<String> = hung
        .map(|lie| format!("lie {lie}: the host came to nothing in time"))
        .collect();
    if record.memory_kib > MEMORY_KIB {
        found.push(format!("the host used {} KiB of memory", record.memory_kib));
    }
    found
}

/// When an advert left, since its round was shown: of each round that was begun.
pub(crate) fn advert_times(record: &Record) -> Vec<Duration> {
    let adverts = record.sent.iter();
    adverts
        .filter(|sent| sent.call == crate::call::Call::Send(Stage::Advertise))
        .map(|sent| sent.since)
        .collect()
}

/// The most memory of a host, in KiB: the largest answer that it reads, the module, and as much again.
const MEMORY_KIB: u64 = 1 << 20;

/// What stands in an error that says what a person can do.
const ADVICE: [&str; 18] = [
    "`host ",
    "`aggregator ",
    "ask ",
    "look ",
    "run ",
    "start ",
    "restore",
    "approve",
    "check ",
    "tell ",
    "put ",
    "use ",
    "take ",
    "raise ",
    "remove ",
    "stop ",
    "wait ",
    "try ",
];
