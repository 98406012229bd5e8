//! A round's sum in real values.

use protocol::id::Purpose;
use protocol::study::{Section, SectionName, Study};

use super::error::Fault;

/// The sections of a sum, each entry times its grid.
#[derive(Clone, Debug)]
pub struct RealSum {
    purpose: Purpose,
    survivors: usize,
    values: Vec<f64>,
    sections: Vec<Section>,
}

impl RealSum {
    /// The sum of `survivors` sites' vectors, whose entries are in steps of the layout's grids.
    ///
    /// # Errors
    ///
    /// A number of entries that is not the layout's.
    pub fn new(
        study: &Study,
        purpose: Purpose,
        survivors: usize,
        steps: &[i64],
    ) -> Result<Self, Fault> {
        let layout = study.layout(purpose);
        if steps.len() != layout.length() {
            return Err(Fault::SumLength {
                got: steps.len(),
                want: layout.length(),
            });
        }
        let grids = layout
            .sections
            .iter()
            .flat_map(|section| std::iter::repeat_n(section.grid, section.length));
        let values = steps
            .iter()
            .zip(grids)
            .map(|(steps, grid)| real(*steps) * grid)
            .collect();
        Ok(Self {
            purpose,
            survivors,
            values,
            sections: layout.sections,
        })
    }

    /// What the round computed.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Sites in the sum.
    #[must_use]
    pub fn survivors(&self) -> usize {
        self.survivors
    }

    /// The values of a section; none where the round has no such section.
    #[must_use]
    pub fn section(&self, name: SectionName) -> &[f64] {
        let mut start = 0;
        for section in &self.sections {
            let end = start + section.length;
            if section.name == name {
                return &self.values[start..end];
            }
            start = end;
        }
        &[]
    }

    /// The standard deviation of the noise in each value of a section; 0 where there is none.
    #[must_use]
    pub fn noise(&self, name: SectionName) -> f64 {
        let mut sections = self.sections.iter();
        let section = sections.find(|section| section.name == name);
        section.map_or(0.0, |section| section.deviation(self.survivors))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a sum has at most 32 bits")]
fn real(steps: i64) -> f64 {
    steps as f64
}

#[expect(clippy::cast_precision_loss, reason = "sites are few")]
pub(super) fn real_count(sites: usize) -> f64 {
    sites as f64
}

#[cfg(test)]
mod tests {
    use testkit::Draft;

    use super::*;

    #[test]
    fn the_noise_told_is_what_stays_in_the_sum() {
        let noise = |excess_noise, survivors: usize| {
            let study = Draft {
                honest_survivors: 3,
                excess_noise,
                epsilon: 1.0,
                fraction_bits: 16,
                patients_per_site: 100,
                ..Draft::default()
            }
            .make()
            .study;
            let steps = vec![0; study.layout(Purpose::Train).length()];
            let sum = RealSum::new(&study, Purpose::Train, survivors, &steps).unwrap();
            sum.noise(SectionName::Update)
        };
        let promised = noise("kept", 3);
        assert!(promised > 0.0);
        for survivors in 3..=5 {
            let removed = noise("removed", survivors) / promised;
            assert!((removed - 1.0).abs() < 1e-3, "{survivors}: {removed}");
            let kept = noise("kept", survivors) / promised;
            assert!((kept - (real_count(survivors) / 3.0).sqrt()).abs() < 1e-3);
        }
    }
}
