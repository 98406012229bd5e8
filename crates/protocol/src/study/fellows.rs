//! What a study promises against fellow hospitals, which know their own noise.
//!
//! The study's ε is against everybody who knows nobody's noise, and against up to `c = T − h` sites that do: the noise of `h`
//! others is in every sum of the fewest, and what `s` survivors keep of theirs, `σ² / (s − c)` each, is enough without `c` of
//! them. Against `k` sites that know their own noise there are `(s − k) / (s − c)` of the promised variance. So it is less
//! where `k > c`, and a study with `c = 0` promises less to each hospital's patients against any other hospital.
//!
//! The sites meant here follow the protocol; those that do not are bounded by [`super::Manifest::tolerates`].

use privacy::{Cost, Total};

use super::layout::{Layout, Noise};
use super::{Crowd, Section, Study};
use crate::id::Purpose;

/// How many sites survive each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// All that take part.
    All,
    /// As many as have to agree, and no more.
    Fewest,
}

impl Study {
    /// The ε, at the study's δ and for all of its rounds, that holds for a patient of one hospital against `fellows` other ones
    /// that put together what they know of their own noise; rounded up. The study's own ε where that is enough, infinite where
    /// nothing is noised.
    ///
    /// The fellows are taken to be in every round, and to be at most all survivors but one.
    #[must_use]
    pub fn epsilon_against(&self, fellows: u16, survivors: Survivors) -> f64 {
        let Some(promise) = self.promise() else {
            return f64::INFINITY;
        };
        let costs = Purpose::ALL.map(|purpose| {
            let cost = self.cost_against(purpose, fellows, survivors);
            (purpose, cost)
        });
        if costs.iter().all(|(_, cost)| cost.is_none()) {
            return promise.epsilon.get();
        }
        let total = costs
            .into_iter()
            .fold(Total::ZERO, |total, (purpose, cost)| {
                let one = Total::of([cost.unwrap_or_else(|| self.cost(purpose))]);
                total.and_total(one.times(self.manifest.planned(purpose)))
            });
        total.epsilon(promise.delta).max(promise.epsilon.get())
    }

    /// What a round costs against them; `None` where the noise that they do not know is as much as the study promises.
    fn cost_against(&self, purpose: Purpose, fellows: u16, survivors: Survivors) -> Option<Cost> {
        let crowd = self.manifest.crowd(purpose);
        let layout = self.layout(purpose);
        // A site's own steps carry all of the noise that its patients are promised.
        if layout.local.is_some() {
            return None;
        }
        let survivors = survivors.of(crowd);
        let sites = survivors.saturating_sub(fellows).max(1);
        let lack = layout.lack(survivors, sites)?;
        let noise = Noise {
            sites,
            all: crowd.sites,
            lack,
        };
        Some(Cost {
            loss: layout.loss.weaker(lack),
            discreteness: layout.discreteness(noise),
        })
    }
}

impl Survivors {
    fn of(self, crowd: Crowd) -> u16 {
        match self {
            Self::All => crowd.sites,
            Self::Fewest => crowd.agreeing,
        }
    }
}

impl Layout {
    /// The promised variance over that of the noise of `sites` of the survivors, the greatest of all sections; `None` where it
    /// is not above 1.
    fn lack(&self, survivors: u16, sites: u16) -> Option<f64> {
        let of = |section: &Section| {
            let there = section.site_variance(survivors.into())? as f64 * f64::from(sites);
            Some(section.promised_variance()? as f64 / there)
        };
        let greatest = self.sections.iter().filter_map(of).fold(0.0, f64::max);
        (greatest > 1.0).then_some(greatest)
    }
}
