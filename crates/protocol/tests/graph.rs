//! Rounds of many sites, in which not everyone is everyone's neighbour.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use protocol::api::Stage;
use protocol::door::{Inbox, Survivors};
use protocol::holders::Holders;
use protocol::id::{Purpose, SiteId};
use protocol::message::{MaskedInput, Shares, largest_body};
use protocol::site::AggregatorFault;
use protocol::study::{Crowd, Graph, Study, StudyError};
use testkit::round::{Dropouts, Play, Storage, run};
use testkit::{Draft, TestStudy};

const FIFTY: Crowd = Crowd {
    sites: 50,
    agreeing: 45,
    dishonest: 2,
};

fn draft(crowd: Crowd) -> Draft {
    Draft {
        sites: crowd.sites,
        threshold: crowd.agreeing,
        honest_survivors: crowd.agreeing - crowd.dishonest,
        graph: crowd.least(),
        ..Draft::default()
    }
}

fn vectors(kit: &TestStudy) -> Vec<Vec<i64>> {
    let length = kit.study.layout(Purpose::Train).length();
    let sites = 0..i64::try_from(kit.study.manifest().roster.len()).unwrap();
    sites.map(|site| vec![site - 20; length]).collect()
}

#[test]
fn the_sum_is_exact_whenever_sites_drop_out() {
    let kit = draft(FIFTY).make();
    let header = kit.header(1, Purpose::Train);
    let vectors = vectors(&kit);
    let dropouts = Dropouts::from([
        (SiteId(0), Stage::Advertise),
        (SiteId(7), Stage::Share),
        (SiteId(20), Stage::Mask),
        (SiteId(21), Stage::Mask),
        (SiteId(49), Stage::Unmask),
    ]);
    let sum = run(&kit, &header, &vectors, &dropouts, Storage::Restart).unwrap();
    let gone = [0, 7, 20, 21];
    let survivors: Vec<u16> = (0..50).filter(|site| !gone.contains(site)).collect();
    let want: i64 = survivors.iter().map(|site| i64::from(*site) - 20).sum();
    assert!(
        sum.values.iter().all(|value| *value == want),
        "{:?}",
        sum.values
    );
    assert_eq!(
        sum.survivors,
        survivors.into_iter().map(SiteId).collect::<Vec<_>>()
    );
    assert_eq!(sum.suspects, []);
}

#[test]
fn each_site_has_holders_of_its_own_choice_in_each_round() {
    let kit = draft(FIFTY).make();
    let graph = kit.study.manifest().aggregation.graph.unwrap();
    let vectors = vectors(&kit);
    let holders = |round| {
        let header = kit.header(round, Purpose::Train);
        let mut play = Play::new(&kit, &header, &vectors);
        play.honest_until(Stage::Share);
        Holders::of_adverts(&kit.study, &header, &play.round.adverts().unwrap()).unwrap()
    };
    let (one, next) = (holders(1), holders(2));
    let mut lists = BTreeSet::new();
    for site in kit.study.sites() {
        assert_eq!(one.of(site).len(), usize::from(graph.neighbours) + 1);
        assert!(one.holds(site, site) && !one.neighbours(site, site));
        assert_ne!(one.of(site), next.of(site));
        assert!(lists.insert(one.of(site).to_vec()));
        for other in kit.study.sites() {
            assert_eq!(one.neighbours(site, other), one.neighbours(other, site));
        }
    }
    assert_eq!(one.threshold(), usize::from(graph.threshold));
}

#[test]
fn bodies_fit_their_bounds_and_masks_are_of_neighbours_alone() {
    let kit = draft(FIFTY).make();
    let header = kit.header(1, Purpose::Train);
    let mut play = Play::new(&kit, &header, &vectors(&kit));
    for stage in Stage::ALL {
        for site in play.round.missing() {
            let signed = play.message(site).unwrap();
            assert!(
                signed.body.len() <= largest_body(&kit.study, &header, stage),
                "{stage}"
            );
            if stage == Stage::Share {
                let shares: Shares = protocol::codec::decode(&signed.body).unwrap();
                let graph = kit.study.graph(Purpose::Train).unwrap();
                assert_eq!(shares.sealed.len(), usize::from(graph.neighbours));
            }
            if stage == Stage::Mask {
                protocol::codec::decode::<MaskedInput>(&signed.body).unwrap();
            }
            play.round.accept(stage, signed).unwrap();
        }
        if stage != Stage::Unmask {
            play.next_stage();
        }
    }
}

/// The aggregator drops the holders of one site, so that it would be alone in the sum with sites it shares no mask with.
#[test]
fn a_site_is_not_singled_out_by_dropping_its_neighbours() {
    let kit = draft(Crowd {
        sites: 200,
        agreeing: 170,
        dishonest: 5,
    })
    .make();
    let header = kit.header(1, Purpose::Train);
    let mut play = Play::new(&kit, &header, &vectors(&kit));
    play.honest_until(Stage::Share);
    let adverts = play.round.adverts().unwrap();
    let holders = Holders::of_adverts(&kit.study, &header, &adverts).unwrap();
    let (victim, witness) = (SiteId(0), SiteId(1));
    let signed = testkit::decoded(&adverts);
    // The witness checks for the victim as for itself: it needs the shares of those who picked it, and no others.
    let mut shares = Vec::new();
    for dealer in kit
        .study
        .sites()
        .filter(|dealer| holders.holds(witness, *dealer))
    {
        let message = play.sites[usize::from(dealer.0)].share(&signed).unwrap();
        let all: Shares = protocol::codec::decode(&message.body).unwrap();
        let for_witness = all.sealed.into_iter().find(|sealed| sealed.site == witness);
        shares.extend(for_witness.map(|mut sealed| {
            sealed.site = dealer;
            sealed
        }));
    }
    let sharers: Vec<SiteId> = kit.study.sites().collect();
    let inbox = Inbox {
        shares,
        sharers: sharers.clone(),
    };
    play.sites[1].mask(&inbox).unwrap();
    let gone: Vec<SiteId> = holders
        .of(victim)
        .iter()
        .copied()
        .filter(|site| ![victim, witness].contains(site))
        .take(30)
        .collect();
    let sites: Vec<SiteId> = sharers
        .into_iter()
        .filter(|site| !gone.contains(site))
        .collect();
    assert_eq!(sites.len(), 170);
    let refused = play.sites[1].agree(&Survivors { sites }).unwrap_err();
    assert_eq!(refused, AggregatorFault::Lonely(victim).into());
}

#[test]
fn a_graph_that_hides_too_little_is_refused_with_the_chance() {
    let least = FIFTY.least().unwrap();
    let problem = |graph| {
        let toml = Draft {
            graph: Some(graph),
            ..draft(FIFTY)
        }
        .toml();
        match Study::parse(toml.as_bytes()) {
            Err(StudyError::Setting {
                setting: "aggregation.graph",
                problem,
            }) => problem,
            other => panic!("{other:?}"),
        }
    };
    let exposed = problem(Graph {
        threshold: 4,
        ..least
    });
    assert!(
        exposed.contains("exposed with a chance of up to 2^0.0"),
        "{exposed}"
    );
    let stuck = problem(Graph {
        threshold: least.neighbours,
        ..least
    });
    assert!(
        stuck.contains("abandoned with a chance of up to 2^"),
        "{stuck}"
    );
    for graph in [
        Graph {
            neighbours: 50,
            threshold: 20,
        },
        Graph {
            neighbours: 20,
            threshold: 21,
        },
        Graph {
            neighbours: 20,
            threshold: 1,
        },
    ] {
        assert!(problem(graph).contains("want neighbours below 50"));
    }
    let few = Draft {
        honest_survivors: 5,
        ..draft(FIFTY)
    }
    .toml();
    let error = Study::parse(few.as_bytes()).unwrap_err().to_string();
    assert!(
        error.contains("two lists of survivors could both be signed"),
        "{error}"
    );
    let none = Draft {
        sites: 256,
        threshold: 200,
        ..Draft::default()
    }
    .toml();
    let error = Study::parse(none.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("256 sites need one"), "{error}");
}

#[test]
fn few_sites_are_all_neighbours_whatever_the_study_says() {
    let kit = Draft {
        sites: 32,
        threshold: 20,
        graph: FIFTY.least(),
        ..Draft::default()
    }
    .make();
    assert_eq!(kit.study.graph(Purpose::Train), None);
}
