//! Who takes part in a round is drawn, and neither the study's author nor the aggregator can steer it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::identity::Identity;
use protocol::study::{Study, StudyError};
use testkit::{Draft, Lots, Random, roster};

/// Thirty sites, of which ten take part in a step.
fn draft() -> Draft {
    Draft {
        sites: 30,
        threshold: 20,
        random: Some(Random {
            sites: 10,
            threshold: 7,
        }),
        ..Draft::default()
    }
}

fn header(study: &Study, number: u32, place: u32) -> Header {
    Header {
        study: study.digest(),
        number,
        place,
        purpose: Purpose::Train,
        state: Digest::of(b"a state"),
    }
}

fn drawn(study: &Study, number: u32, place: u32) -> Vec<SiteId> {
    study.participants(&header(study, number, place))
}

/// Why a study with this roster in place of the draft's is refused.
#[track_caller]
fn refusal(toml: &str) -> String {
    match Study::parse(toml.as_bytes()) {
        Err(StudyError::Setting { setting, problem }) => {
            assert_eq!(setting, "roster.lot", "{problem}");
            problem
        }
        other => panic!("{other:?}"),
    }
}

/// The draft's text up to its roster, and its `[[roster]]` tables.
fn parts(draft: &Draft) -> (String, Vec<String>) {
    let toml = draft.toml();
    let (head, tables) = toml.split_once("\n[[roster]]").unwrap();
    let tables = tables.split("\n[[roster]]");
    (
        head.to_owned(),
        tables.map(|table| format!("\n[[roster]]{table}")).collect(),
    )
}

/// The attack that this lottery is there for: round 805,070 once drew seven of the dishonest sites for ten places.
#[test]
fn no_round_number_draws_other_sites_than_the_place_does() {
    let study = draft().make().study;
    for place in 0..4 {
        let want = drawn(&study, place, place);
        let numbers = (0..2_000).chain(804_070..806_070).chain([u32::MAX]);
        for number in numbers {
            assert_eq!(drawn(&study, number, place), want, "number {number}");
        }
    }
    assert_ne!(drawn(&study, 0, 0), drawn(&study, 0, 1));
}

#[test]
fn an_author_who_tries_titles_draws_the_same_sites() {
    let draft = draft();
    let study = draft.make().study;
    for title in 0..50 {
        let titled = draft.toml().replace(
            "title = \"a study of tests\"",
            &format!("title = \"try {title}\" # and a comment"),
        );
        let titled = Study::parse(titled.as_bytes()).unwrap();
        assert_ne!(titled.digest(), study.digest());
        for place in 0..4 {
            assert_eq!(drawn(&titled, 0, place), drawn(&study, 0, place));
        }
    }
    // Nor by how many take part: the draw is of one order of all sites.
    let more = draft.toml().replace("sites = 10,", "sites = 12,");
    let more = Study::parse(more.as_bytes()).unwrap();
    let more = drawn(&more, 0, 3);
    assert!(drawn(&study, 0, 3).iter().all(|site| more.contains(site)));
}

#[test]
fn an_author_who_changes_the_list_after_the_nonces_are_known_is_refused() {
    let (head, tables) = parts(&draft());
    let study = |tables: &[String]| format!("{head}{}", tables.concat());
    Study::parse(study(&tables).as_bytes()).unwrap();
    let mut fewer = tables.clone();
    fewer.remove(11);
    let mut swapped = tables.clone();
    swapped.swap(3, 4);
    let mut renamed = tables.clone();
    renamed[5] = renamed[5].replace("Hospital 5", "Hospital five");
    let newcomer = Identity::from_seed(&[9; 32]);
    let mut added = tables.clone();
    added.push(roster(
        &[("Newcomer".to_owned(), &newcomer)],
        Lots::Revealed,
    ));
    let mut replaced = tables;
    replaced[29] = roster(&[("Hospital 29".to_owned(), &newcomer)], Lots::Revealed);
    for (what, changed) in [
        ("fewer", fewer),
        ("swapped", swapped),
        ("renamed", renamed),
        ("added", added),
        ("replaced", replaced),
    ] {
        let problem = refusal(&study(&changed));
        assert!(
            problem.contains("did not sign this list"),
            "{what}: {problem}"
        );
    }
}

/// A dishonest site that saw all other nonces cannot take another one of its own: it committed to the first.
#[test]
fn a_nonce_is_the_one_that_was_committed_to_before_any_was_known() {
    let (head, tables) = parts(&draft());
    let identity = &draft().make().identities[29];
    let lot = testkit::nonce(identity);
    let nonce = hex::encode(lot.bytes());
    for byte in ["00", "01"] {
        let mut tables = tables.clone();
        tables[29] = tables[29].replace(&nonce[..2], byte);
        let problem = refusal(&format!("{head}{}", tables.concat()));
        assert!(problem.contains("did not sign this list"), "{problem}");
    }
}

#[test]
fn a_lottery_needs_a_lot_of_every_site_and_a_partly_filled_roster_is_refused() {
    let (head, tables) = parts(&draft());
    let without = |sites: std::ops::Range<usize>| {
        let mut tables = tables.clone();
        for table in &mut tables[sites] {
            let (kept, _) = table.split_once("lot = ").unwrap();
            *table = kept.to_owned();
        }
        format!("{head}{}", tables.concat())
    };
    let problem = refusal(&without(0..30));
    assert!(problem.contains("`host reveal`"), "{problem}");
    let problem = refusal(&without(0..7));
    assert!(
        problem.starts_with("7 of 30 sites have none (Hospital 0, ")
            && problem.contains("Hospital 4, …)"),
        "{problem}"
    );
    // Also where all sites take part: a list that some signed and some did not is no list.
    let all = "participants.random = { sites = 10, threshold = 7 }\n";
    refusal(&without(29..30).replace(all, ""));
    Study::parse(without(0..30).replace(all, "").as_bytes()).unwrap();
    Study::parse(draft().toml().replace(all, "").as_bytes()).unwrap();
}

#[test]
fn rounds_that_are_not_of_training_are_of_all_sites() {
    let study = draft().make().study;
    let header = Header {
        purpose: Purpose::Evaluate,
        ..header(&study, 0, 4)
    };
    assert_eq!(study.participants(&header).len(), 30);
    assert!(study.takes_part(SiteId(29), &header));
    assert!(!study.takes_part(SiteId(30), &header));
}
