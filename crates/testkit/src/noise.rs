//! The noise of a sum, measured.

use privacy::DiscreteGaussian;
use protocol::api::Stage;
use protocol::id::{Purpose, SiteId};

use crate::round::{Dropouts, Storage, run};
use crate::{Draft, TestStudy};

/// The standard deviation of an update's sum over that of the noise that the study promises.
///
/// It is measured in a round of training in which all sites add noise alone, and the last ones drop out until `survivors`
/// are left.
///
/// # Panics
///
/// On a draft that is refused or has no noise, and on fewer survivors than its threshold.
#[must_use]
pub fn excess(draft: &Draft, survivors: u16) -> f64 {
    let kit = draft.make();
    let values = opened(&kit, draft.sites, survivors);
    let layout = kit.study.layout(Purpose::Train);
    let update = &layout.sections[0];
    let values = &values[..update.length];
    let measured = values.iter().map(|value| square(*value)).sum::<f64>() / values.len() as f64;
    let mu = update.mu.expect("a draft with noise");
    let promised = update.sensitivity / mu.get() / update.grid;
    measured.sqrt() / promised
}

/// The sum of the survivors' noise in a round of training, in steps.
fn opened(kit: &TestStudy, sites: u16, survivors: u16) -> Vec<i64> {
    let layout = kit.study.layout(Purpose::Train);
    let mut vectors = Vec::new();
    for site in 0..sites {
        let mut rng = crate::rng(u64::from(site));
        let mut vector = Vec::with_capacity(layout.length());
        for section in &layout.sections {
            let variance = section.variance.expect("a draft with noise");
            let gaussian = DiscreteGaussian::new(variance).expect("the study was checked");
            vector.extend((0..section.length).map(|_| gaussian.sample(&mut rng)));
        }
        vectors.push(vector);
    }
    let dropouts: Dropouts = (survivors..sites)
        .map(|site| (SiteId(site), Stage::Mask))
        .collect();
    let header = kit.header(1, Purpose::Train);
    run(kit, &header, &vectors, &dropouts, Storage::Memory)
        .expect("enough sites survive")
        .values
}

#[expect(clippy::cast_precision_loss, reason = "a sum has at most 32 bits")]
fn square(value: i64) -> f64 {
    (value as f64).powi(2)
}
