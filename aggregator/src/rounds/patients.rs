//! How many training patients a sum of gradients is of, from weights that have noise.

use minicbor::{Decode, Encode};

/// The mean number of training patients a site, over all rounds so far.
///
/// A round's own weight has noise that can be a large part of it, and dividing by it would scale each step at random.
/// Patients do not change from round to round, so the mean over rounds is the same number with less noise. It is kept
/// per site, since sites drop out: exact for sites of one size, else off by as much as the absent differ from the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Encode, Decode)]
pub struct PatientCount {
    /// Sum of the rounds' weights.
    #[n(0)]
    weights: f64,
    /// Sum of the rounds' numbers of sites.
    #[n(1)]
    sites: f64,
    /// Variance of the noise in `weights`.
    #[n(2)]
    variance: f64,
}

impl PatientCount {
    /// Takes a round's weight in, which has noise of standard deviation `noise`, and gives the patients that the round's
    /// sum is to be divided by: at least one a site, and at least what the noise alone could have made.
    ///
    /// Without noise that is the weight itself.
    pub fn add(&mut self, weight: f64, survivors: usize, noise: f64) -> f64 {
        let survivors = u32::try_from(survivors)
            .map_or(f64::MAX, f64::from)
            .max(1.0);
        if noise <= 0.0 {
            return weight.max(survivors);
        }
        self.weights += weight;
        self.sites += survivors;
        self.variance += noise * noise;
        let rounds_like_this = survivors / self.sites;
        let floor = survivors.max(self.variance.sqrt() * rounds_like_this);
        (self.weights * rounds_like_this).max(floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-9, "{got} is not {want}");
    }

    #[test]
    fn without_noise_the_weight_itself_counts() {
        let mut count = PatientCount::default();
        assert_near(count.add(900.0, 3, 0.0), 900.0);
        assert_near(count.add(100.0, 2, 0.0), 100.0);
        assert_near(count.add(0.0, 2, 0.0), 2.0);
    }

    #[test]
    fn noise_is_averaged_away_over_rounds() {
        let mut count = PatientCount::default();
        assert_near(count.add(1_000.0, 3, 50.0), 1_000.0);
        assert_near(count.add(800.0, 3, 50.0), 900.0);
    }

    #[test]
    fn a_round_with_fewer_sites_has_fewer_patients() {
        let mut count = PatientCount::default();
        count.add(900.0, 3, 10.0);
        assert_near(count.add(600.0, 2, 10.0), 600.0);
    }

    #[test]
    fn a_weight_that_noise_could_have_made_does_not_blow_a_step_up() {
        let mut count = PatientCount::default();
        assert_near(count.add(-40.0, 3, 100.0), 100.0);
        assert_near(count.add(0.0, 3, 100.0), 100.0 * 2.0_f64.sqrt() / 2.0);
    }
}
