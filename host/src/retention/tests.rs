use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use participant::journal::{Journal, Opened};
use protocol::codec;
use protocol::id::{Purpose, SiteId};
use tempfile::TempDir;
use testkit::TestStudy;

use super::*;

/// A state folder with recorded rounds, each a day older than the next; the one with number 0 is of day 100.
struct Site {
    folder: TempDir,
    kit: TestStudy,
}

impl Site {
    fn with_rounds(count: u32) -> Self {
        let site = Self {
            folder: tempfile::tempdir().unwrap(),
            kit: testkit::study(5, 3),
        };
        for number in 0..count {
            site.record(number);
        }
        site
    }

    fn state(&self) -> &Path {
        self.folder.path()
    }

    fn round(&self, number: u32) -> Round {
        let study = self.kit.study.digest();
        Round { study, number }
    }

    fn rounds(&self) -> PathBuf {
        let study = self.kit.study.digest();
        self.state().join(format!("studies/{study}/rounds"))
    }

    fn of_round(&self, number: u32) -> PathBuf {
        self.rounds().join(format!("{number:05}"))
    }

    /// Each round has patients of its own.
    fn cohort(number: u32) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    fn record(&self, number: u32) {
        let folder = self.of_round(number);
        let opened = Opened {
            header: self.kit.header(number, Purpose::Train),
            site: SiteId(0),
            module: Digest::of(b"module"),
            cohort: Self::cohort(number),
            seed: Digest::of(&[7; 32]),
            memory: Digest::of(&[]),
        };
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("state"), b"state").unwrap();
        std::fs::write(folder.join("journal"), Journal::begin(&opened)).unwrap();
        let cohorts = self.state().join("cohorts");
        std::fs::create_dir_all(&cohorts).unwrap();
        let digest = Self::cohort(number);
        for (name, text) in [
            (format!("{digest}.cbor"), String::new()),
            (Digest::of(&digest.0).to_string(), digest.to_string()),
        ] {
            let path = cohorts.join(name);
            std::fs::write(&path, text).unwrap();
            at_day(&path, 1);
        }
        at_day(&folder.join("journal"), 100 + u64::from(number));
    }

    fn older(&self, before: Before) -> Forgetting {
        Forgetting::older(self.state(), before).unwrap()
    }

    fn numbers(&self) -> Vec<u32> {
        let there = |number: &u32| self.of_round(*number).join("journal").exists();
        (0..20).filter(there).collect()
    }

    fn cohorts(&self) -> usize {
        std::fs::read_dir(self.state().join("cohorts"))
            .unwrap()
            .count()
    }
}

fn at_day(path: &Path, day: u64) {
    let file = File::options().append(true).open(path).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(day * SECONDS_OF_A_DAY);
    file.set_modified(time).unwrap();
}

fn day(day: u64) -> Option<u64> {
    Some(day * SECONDS_OF_A_DAY)
}

#[test]
fn old_rounds_are_forgotten_with_a_line_for_each_and_young_ones_stay() {
    let site = Site::with_rounds(5);
    let before = Before {
        journals: day(103),
        ..Before::default()
    };
    let forgetting = site.older(before);
    assert_eq!(forgetting.items.len(), 3);
    assert_eq!(
        site.numbers(),
        [0, 1, 2, 3, 4],
        "nothing is gone before it is carried out"
    );
    forgetting.carry_out(77).unwrap();
    assert_eq!((site.numbers(), site.cohorts()), (vec![3, 4], 10));
    assert!(!site.of_round(1).exists());
    let forgotten = Forgotten::read(site.state()).unwrap();
    assert_eq!(forgotten.round(site.round(1)), Some(77));
    assert_eq!(forgotten.round(site.round(3)), None);
    let text = std::fs::read_to_string(site.state().join("forgotten.jsonl")).unwrap();
    let header = Digest::of(&codec::encode(&site.kit.header(1, Purpose::Train)));
    assert!(text.contains(&header.to_string()), "{text}");
}

#[test]
fn the_last_round_of_a_study_stays_however_old_it_is() {
    let site = Site::with_rounds(3);
    let forgetting = site.older(Before::all(u64::MAX));
    assert_eq!(forgetting.kept[0].round, site.round(2));
    forgetting.carry_out(77).unwrap();
    assert_eq!((site.numbers(), site.cohorts()), (vec![2], 2));
    let error = Forgetting::one(site.state(), site.round(2)).unwrap_err();
    assert!(error.to_string().contains("may be open"), "{error}");
}

#[test]
fn states_and_patients_are_forgotten_by_themselves() {
    let site = Site::with_rounds(4);
    let states = Before {
        states: day(102),
        ..Before::default()
    };
    site.older(states).carry_out(77).unwrap();
    let has_state = |number| site.of_round(number).join("state").exists();
    assert_eq!([0, 1, 2, 3].map(has_state), [false, false, true, true]);
    assert!(
        site.older(states).items.is_empty(),
        "they are forgotten once"
    );

    // Old patients stay as long as a round used them that is young enough.
    let cohorts = Before {
        cohorts: day(102),
        ..Before::default()
    };
    let forgetting = site.older(cohorts);
    let items = forgetting.items.iter();
    let mut replays: Vec<Round> = items.flat_map(|item| item.replays.clone()).collect();
    replays.sort();
    assert_eq!(replays, [site.round(0), site.round(1)]);
    forgetting.carry_out(78).unwrap();
    assert_eq!((site.numbers(), site.cohorts()), (vec![0, 1, 2, 3], 4));
    let forgotten = Forgotten::read(site.state()).unwrap();
    assert_eq!(forgotten.state_of(site.round(0)), Some(77));
    assert_eq!(forgotten.cohort(Site::cohort(1)), Some(78));
    assert_eq!(forgotten.cohort(Site::cohort(2)), None);
}

#[test]
fn what_says_what_was_released_and_decided_is_never_forgotten() {
    let site = Site::with_rounds(4);
    let study = format!("studies/{}", site.kit.study.digest());
    let names = [
        "ledger.jsonl",
        "decisions.jsonl",
        "approved",
        "vault.toml",
        "lock",
    ];
    let of_study = ["study.toml", "client.wasm", "register", "model.cbor"];
    let kept: Vec<PathBuf> = names
        .iter()
        .map(|name| site.state().join(name))
        .chain(
            of_study
                .iter()
                .map(|name| site.state().join(&study).join(name)),
        )
        .collect();
    for path in &kept {
        std::fs::write(path, "kept").unwrap();
        at_day(path, 1);
    }
    site.older(Before::all(u64::MAX)).carry_out(77).unwrap();
    for path in &kept {
        assert_eq!(std::fs::read(path).unwrap(), b"kept", "{}", path.display());
    }
}

#[test]
fn a_damaged_journal_is_left_for_people_to_look_at() {
    let site = Site::with_rounds(3);
    let path = site.of_round(0).join("journal");
    let bytes = std::fs::read(&path).unwrap();
    let mut twice = [bytes.as_slice(), &bytes].concat();
    twice[20] ^= 1;
    std::fs::write(&path, twice).unwrap();
    at_day(&path, 1);
    let forgetting = site.older(Before::all(u64::MAX));
    assert!(
        forgetting
            .kept
            .iter()
            .any(|kept| kept.round == site.round(0))
    );
    forgetting.carry_out(77).unwrap();
    assert_eq!(site.numbers(), [0, 2]);
}

#[test]
fn without_a_setting_all_is_kept_for_good() {
    assert_eq!(Retention::default().at(1_000_000_000), None);
    let days = Retention {
        journals_days: Some(2),
        ..Retention::default()
    };
    let before = days.at(10 * SECONDS_OF_A_DAY).unwrap();
    assert_eq!((before.journals, before.states), (day(8), None));
}
