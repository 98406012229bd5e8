//! `kill -9` in every step of a site, before it, in the middle of what it stores, and after it.

use std::collections::BTreeSet;

use participant::StepKind;
use testkit::Draft;

use crate::setting::{Network, Setting};
use crate::site::{Kill, Moment};
use crate::world::kill_first_site;

#[test]
fn a_site_killed_in_any_step_goes_on_and_charges_nothing_twice() {
    let draft = Draft {
        sites: 3,
        threshold: 2,
        epsilon: 1.0,
        rounds: 2,
        patients_per_site: 100,
        normalisation: "shared",
        floor_seconds: 0.25,
        ..Draft::default()
    };
    let setting = Setting::of(&draft, Network::Lossy, 1);
    let steps = kill_first_site(&setting, Kill::Never);
    // A new kind of step is forgotten neither here nor below.
    let kinds: BTreeSet<StepKind> = steps.iter().copied().collect();
    assert_eq!(kinds, StepKind::ALL.into_iter().collect());
    for number in 0..steps.len() {
        for moment in Moment::ALL {
            let again = kill_first_site(&setting, Kill::At(number, moment));
            assert_eq!(
                again.last(),
                Some(&StepKind::Finished),
                "step {number}, {moment:?}"
            );
        }
    }
}
