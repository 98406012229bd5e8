//! Statements on which a site is to open shares.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use protocol::api::Stage;
use protocol::codec::decode;
use protocol::door::Survivors;
use protocol::id::{Purpose, SiteId};
use protocol::message::{Agreement, Opening, Signed};
use protocol::site::{AggregatorFault, PeerFault, SiteError};
use testkit::round::{Dropouts, Storage};
use testkit::{TestStudy, decoded};

use crate::{ALICE, BOB, CAROL, DAVE, ERIN, SITES, at, bad_signature, forged, header, kit, noised};

/// What Alice, who agreed on all but Erin, says to these statements.
fn open(change: impl FnOnce(&TestStudy, &mut Vec<Signed>)) -> Result<Opening, SiteError> {
    let kit = kit();
    let mut play = at(&kit, Stage::Mask);
    play.stage(&Dropouts::from([(ERIN, Stage::Mask)]), Storage::Memory)
        .unwrap();
    play.next_stage();
    play.honest_until(Stage::Unmask);
    let mut statements = decoded(&play.round.statements().unwrap());
    change(&kit, &mut statements);
    play.sites[0]
        .unmask(&statements)
        .map(|signed| decode(&signed.body).unwrap())
}

#[test]
fn one_share_a_site_is_opened_of_what_the_sum_needs() {
    let opening = open(|_, _| ()).unwrap();
    let sites = |opened: &[protocol::message::OpenedShare]| -> Vec<SiteId> {
        opened.iter().map(|opened| opened.site).collect()
    };
    assert_eq!(sites(&opening.seeds), [ALICE, BOB, CAROL, DAVE]);
    assert_eq!(sites(&opening.keys), [ERIN]);
}

#[test]
fn nothing_is_opened_below_the_threshold_of_statements() {
    open(|_, statements| statements.truncate(3)).unwrap();
    let few = AggregatorFault::TooFew {
        stage: Stage::Unmask,
        got: 2,
        threshold: 3,
    };
    assert_eq!(
        open(|_, statements| statements.truncate(2)),
        Err(few.into())
    );
    let twice = AggregatorFault::Twice {
        stage: Stage::Agree,
        site: BOB,
    };
    let error = open(|_, statements| {
        statements.truncate(2);
        statements.push(statements[1].clone());
    });
    assert_eq!(error, Err(twice.into()));
}

#[test]
fn statements_must_be_signed_for_this_round_and_stage() {
    let error = open(|kit, statements| {
        let body = statements[1].body.to_vec();
        statements[1] = kit.sign(&header(kit), Stage::Advertise, BOB, body);
    });
    assert_eq!(error, Err(bad_signature(BOB, Stage::Agree)));
    let error = open(|kit, statements| {
        let body = statements[1].body.to_vec();
        statements[1] = kit.sign(&kit.header(6, Purpose::Train), Stage::Agree, BOB, body);
    });
    assert_eq!(error, Err(bad_signature(BOB, Stage::Agree)));
}

#[test]
fn a_statement_on_other_survivors_is_refused_by_name() {
    let error = open(|kit, statements| {
        let agreement = Agreement::on(&SITES.into());
        statements[1] = forged(kit, Stage::Agree, BOB, &agreement);
    });
    assert_eq!(error, Err(PeerFault::OtherSurvivors(BOB).into()));
}

#[test]
fn a_site_that_dropped_out_has_no_say() {
    let error = open(|kit, statements| {
        let agreement = Agreement::on(&[ALICE, BOB, CAROL, DAVE].into());
        statements.push(forged(kit, Stage::Agree, ERIN, &agreement));
    });
    assert_eq!(
        error,
        Err(AggregatorFault::Stranger {
            stage: Stage::Agree,
            site: ERIN
        }
        .into())
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The aggregator tells each site one of two lists, collects what they sign, and asks each site to open
    /// with whatever statements it likes; each it can ask once.
    #[test]
    fn no_secrets_of_one_site_can_both_be_put_together_nor_noise_be_had_of_another_list(
        sites in 3..=7_u16,
        above in 0..3_u16,
        one in prop::collection::btree_set(0..7_u16, 3..7),
        other in prop::collection::btree_set(0..7_u16, 3..7),
        told in prop::collection::vec(any::<bool>(), 7),
        shown in prop::collection::vec(prop::option::of(0..128_u8), 7),
    ) {
        let threshold = (sites / 2 + 1 + above).min(sites);
        let kit = noised(sites, threshold).make();
        let layout = kit.study.layout(Purpose::Train);
        let mut play = at(&kit, Stage::Agree);
        let all = play.round.survivors().unwrap();
        let list = |list: &BTreeSet<u16>| {
            let named = all.sites.iter().zip(&all.inputs).filter(|(site, _)| list.contains(&site.0));
            let (sites, inputs) = named.map(|(site, input)| (*site, input.clone())).unzip();
            Survivors { sites, inputs }
        };
        let lists = [list(&one), list(&other)];
        let ids: Vec<SiteId> = kit.study.sites().collect();
        let mut statements = Vec::new();
        let mut agreed = BTreeSet::new();
        for site in &ids {
            let place = usize::from(site.0);
            if let Ok(statement) = play.sites[place].agree(&lists[usize::from(told[place])]) {
                statements.push(statement);
                agreed.insert(*site);
            }
        }
        let threshold = usize::from(threshold);
        let mut given = vec![(0, 0); usize::from(sites)];
        // Openings by the number of survivors they are for, and shares by dealer and last part that they open.
        let mut openings = BTreeMap::new();
        let mut noise = BTreeMap::new();
        for site in agreed {
            let place = usize::from(site.0);
            let is_shown = |signer: usize| match shown[place] {
                // The best it can do: all who signed the same list.
                None => told[signer] == told[place],
                Some(signers) => signers & (1 << signer) != 0,
            };
            let choice = statements.iter().filter(|signed| is_shown(usize::from(signed.site.0)));
            let choice: Vec<Signed> = choice.cloned().collect();
            let Ok(signed) = play.sites[place].unmask(&choice) else { continue };
            let opening: Opening = decode(&signed.body).unwrap();
            let mut once = BTreeSet::new();
            for opened in &opening.seeds {
                prop_assert!(once.insert(opened.site));
                given[usize::from(opened.site.0)].0 += 1;
            }
            let survivors = opening.seeds.len();
            *openings.entry(survivors).or_insert(0) += 1;
            for opened in &opening.noise {
                let part = layout.parts_off(survivors);
                *noise.entry((opened.site, part)).or_insert(0) += 1;
            }
            for opened in &opening.keys {
                prop_assert!(once.insert(opened.site));
                given[usize::from(opened.site.0)].1 += 1;
            }
        }
        for (seeds, keys) in given {
            prop_assert!(seeds < threshold || keys < threshold, "{seeds} seeds and {keys} keys");
        }
        let sums = openings.into_iter().filter(|(_, openings)| *openings >= threshold);
        for (survivors, _) in sums {
            for ((site, part), shares) in &noise {
                prop_assert!(
                    *shares < threshold || *part <= layout.parts_off(survivors),
                    "part {part} of the noise of {site} goes off a sum of {survivors}"
                );
            }
        }
    }
}
