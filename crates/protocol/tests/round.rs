//! Whole rounds of honest parties: the sum is exact, or there is none.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use protocol::api::Stage;
use protocol::id::{Purpose, SiteId};
use protocol::message::largest_body;
use protocol::round::{Accepted, AnyRound, HeaderError, RestoreError, Round, TooFewSites};
use protocol::study::Layout;
use testkit::round::{Abandoned, Dropouts, Play, Storage, run};
use testkit::{Draft, FakeSite, TestStudy};

/// What may happen in a round.
#[derive(Clone, Debug)]
struct Scenario {
    sites: u16,
    threshold: u16,
    purpose: Purpose,
    dropouts: Dropouts,
    storage: Storage,
    seed: u64,
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let purpose = prop_oneof![
        Just(Purpose::Moments),
        Just(Purpose::Train),
        Just(Purpose::Evaluate)
    ];
    let storage = prop_oneof![Just(Storage::Memory), Just(Storage::Restart)];
    (3..=8_u16).prop_flat_map(move |sites| {
        let threshold = sites / 2 + 1..=sites;
        // Most sites stay, or few rounds would get far.
        let leaves = prop::option::weighted(0.3, prop::sample::select(Stage::ALL.to_vec()));
        let dropouts = prop::collection::vec(leaves, usize::from(sites));
        (
            threshold,
            purpose.clone(),
            dropouts,
            storage.clone(),
            any::<u64>(),
        )
            .prop_map(move |(threshold, purpose, dropouts, storage, seed)| {
                let dropouts = (0..)
                    .map(SiteId)
                    .zip(dropouts)
                    .filter_map(|(site, at)| Some((site, at?)));
                Scenario {
                    sites,
                    threshold,
                    purpose,
                    dropouts: dropouts.collect(),
                    storage,
                    seed,
                }
            })
    })
}

impl Scenario {
    fn kit(&self) -> TestStudy {
        let Self {
            sites, threshold, ..
        } = *self;
        let honest_survivors = threshold.min(2);
        Draft {
            sites,
            threshold,
            honest_survivors,
            normalisation: "shared",
            ..Draft::default()
        }
        .make()
    }

    /// The sites that send their message of `stage`.
    fn active(&self, stage: Stage) -> Vec<SiteId> {
        let stays = |site: &SiteId| self.dropouts.get(site).is_none_or(|at| *at > stage);
        (0..self.sites).map(SiteId).filter(stays).collect()
    }

    /// Why the round cannot finish, if it cannot.
    fn too_few(&self) -> Option<TooFewSites> {
        let threshold = usize::from(self.threshold);
        let at = |stage| TooFewSites {
            stage,
            reported: self.active(stage).len(),
            threshold,
        };
        Stage::ALL
            .into_iter()
            .map(at)
            .find(|few| few.reported < threshold)
    }
}

/// A vector for each site, with entries up to the bounds of their sections.
fn vectors(layout: &Layout, sites: u16, seed: u64) -> Vec<Vec<i64>> {
    use rand_core::Rng;
    let mut rng = testkit::rng(seed);
    let mut entry = |bound: u64| {
        let bound = i64::try_from(bound).unwrap();
        match rng.next_u32() % 4 {
            0 => bound,
            1 => -bound,
            _ => i64::try_from(rng.next_u64() >> 1).unwrap() % (2 * bound + 1) - bound,
        }
    };
    let mut vector = || {
        let sections = layout.sections.iter();
        let entries = sections.flat_map(|section| vec![section.bound; section.length]);
        entries.map(&mut entry).collect()
    };
    (0..sites).map(|_| vector()).collect()
}

fn sum(vectors: &[Vec<i64>], survivors: &[SiteId]) -> Vec<i64> {
    let entries = 0..vectors[0].len();
    entries
        .map(|entry| {
            survivors
                .iter()
                .map(|site| vectors[usize::from(site.0)][entry])
                .sum()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_sum_is_exact_or_the_round_is_refused(scenario in scenario()) {
        let kit = scenario.kit();
        let header = kit.header(1, scenario.purpose);
        let vectors = vectors(&kit.study.layout(scenario.purpose), scenario.sites, scenario.seed);
        let result = run(&kit, &header, &vectors, &scenario.dropouts, scenario.storage);
        match scenario.too_few() {
            Some(few) => prop_assert_eq!(result, Err(Abandoned::TooFewSites(few))),
            None => {
                let survivors = scenario.active(Stage::Mask);
                let result = result.unwrap();
                prop_assert_eq!(&result.values, &sum(&vectors, &survivors));
                prop_assert_eq!(&result.survivors, &survivors);
                prop_assert_eq!(&result.suspects, &[]);
            }
        }
    }
}

#[test]
fn a_round_with_noise_in_its_bounds_adds_up() {
    let draft = Draft {
        epsilon: 1.0,
        fraction_bits: 16,
        patients_per_site: 100,
        ..Draft::default()
    };
    let kit = draft.make();
    let layout = kit.study.layout(Purpose::Train);
    assert!(
        layout
            .sections
            .iter()
            .all(|section| section.variance.is_some())
    );
    let vectors = vectors(&layout, 5, 7);
    let header = kit.header(0, Purpose::Train);
    let result = run(&kit, &header, &vectors, &Dropouts::new(), Storage::Memory).unwrap();
    assert_eq!(result.values, sum(&vectors, &result.survivors));
}

#[test]
fn the_same_inputs_give_the_same_messages_and_another_round_gives_others() {
    let kit = testkit::study(3, 2);
    let advert = |number| {
        let header = kit.header(number, Purpose::Train);
        let seed = protocol::seed::Seed::new([5; 32]);
        protocol::site::Advertising::begin(&kit.study, header, SiteId(0), &seed)
            .unwrap()
            .0
    };
    assert_eq!(advert(1), advert(1));
    assert_ne!(advert(1), advert(2));
}

#[test]
fn bodies_are_no_larger_than_announced() {
    for (sites, threshold, epsilon) in [
        (3, 2, f64::INFINITY),
        (40, 21, f64::INFINITY),
        (3, 2, 1.0),
        (40, 21, 1.0),
    ] {
        let kit = Draft {
            sites,
            threshold,
            epsilon,
            fraction_bits: 16,
            patients_per_site: 100,
            ..Draft::default()
        }
        .make();
        let header = kit.header(0, Purpose::Train);
        let vector = vec![0; kit.study.layout(Purpose::Train).length()];
        let mut most = BTreeMap::new();
        for_each_message(&kit, &vector, |stage, body| {
            assert!(
                body <= largest_body(&kit.study, &header, stage),
                "{stage}: {body} bytes"
            );
            let so_far = most.entry(stage).or_insert(0);
            *so_far = body.max(*so_far);
        });
        let slack = |stage| largest_body(&kit.study, &header, stage) - most[&stage];
        assert_eq!(slack(Stage::Advertise), 0);
        // Heads of up to five bytes, of which short lengths take one or two.
        assert!(slack(Stage::Mask) <= 4);
    }
}

/// Runs a round without dropouts, shows the length of each body.
fn for_each_message(kit: &TestStudy, vector: &[i64], mut show: impl FnMut(Stage, usize)) {
    let vectors = vec![vector.to_vec(); kit.identities.len()];
    let mut play = Play::new(kit, &kit.header(0, Purpose::Train), &vectors);
    for stage in Stage::ALL {
        play.honest_until(stage);
        for site in play.round.missing() {
            let signed = play.message(site).unwrap();
            show(stage, signed.body.len());
            play.round.accept(stage, signed).unwrap();
            if stage == Stage::Mask {
                play.upload(site).unwrap();
            }
        }
    }
}

#[test]
fn a_stored_round_is_restored_exactly_and_damage_is_seen() {
    let kit = testkit::study(3, 2);
    let other = Draft {
        title: "another study",
        sites: 3,
        threshold: 2,
        ..Draft::default()
    }
    .make();
    let mut round = Round::begin(kit.aggregator(), kit.header(0, Purpose::Train)).unwrap();
    let mut site = FakeSite::new(&kit, round.header(), SiteId(1), Vec::new());
    round.accept(site.advertise().unwrap()).unwrap();
    let bytes = AnyRound::Advertising(round).to_bytes();

    let restored = AnyRound::from_bytes(kit.aggregator(), &bytes).unwrap();
    assert_eq!(restored.to_bytes(), bytes);
    assert_eq!(restored.reported(), [SiteId(1)]);
    assert_eq!(restored.missing(), [SiteId(0), SiteId(2)]);
    assert!(matches!(
        AnyRound::from_bytes(other.aggregator(), &bytes),
        Err(RestoreError::Header(HeaderError::OtherStudy { .. }))
    ));
    for length in 0..bytes.len() {
        AnyRound::from_bytes(kit.aggregator(), &bytes[..length]).unwrap_err();
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(
        AnyRound::from_bytes(kit.aggregator(), &longer).unwrap_err(),
        RestoreError::Length
    );
}

#[test]
fn a_message_is_accepted_again_after_its_stage() {
    let kit = testkit::study(3, 2);
    let header = kit.header(0, Purpose::Train);
    let mut round = Round::begin(kit.aggregator(), header.clone()).unwrap();
    let mut adverts = Vec::new();
    for site in [SiteId(0), SiteId(1)] {
        let mut site = FakeSite::new(&kit, &header, site, Vec::new());
        let signed = site.advertise().unwrap();
        assert_eq!(round.accept(signed.clone()), Ok(Accepted::New));
        assert_eq!(round.accept(signed.clone()), Ok(Accepted::Again));
        adverts.push(signed);
    }
    assert_eq!(round.missing(), [SiteId(2)]);
    assert!(round.ready());
    let mut round = AnyRound::Sharing(round.close().unwrap());
    assert_eq!(
        round.accept(Stage::Advertise, adverts[0].clone()),
        Ok(Accepted::Again)
    );
    assert_eq!(round.missing(), [SiteId(0), SiteId(1)]);
}

#[test]
fn the_aggregator_wants_the_secret_of_the_study_and_rounds_of_its_plan() {
    let kit = testkit::study(3, 2);
    let wrong = protocol::round::Secret::new([1; 32]);
    protocol::round::Aggregator::new(kit.study.clone(), wrong).unwrap_err();
    let moments = Round::begin(kit.aggregator(), kit.header(0, Purpose::Moments));
    assert_eq!(
        moments.unwrap_err(),
        HeaderError::NotPlanned(Purpose::Moments)
    );
    assert!(kit.study.layout(Purpose::Moments).sections.is_empty());
}
