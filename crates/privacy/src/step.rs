//! One release as a pair of densities on a line, and its privacy loss there.

/// N(0, 1) without the patient; with them N(μ, 1) with probability q, else N(0, 1) as before.
///
/// No pair of neighbours is told apart better by a sampled Gaussian release than these two
/// densities are, whatever else is in the data (Zhu, Dong & Wang 2022, theorem 11, [arXiv
/// 2106.08567]). q = 1 is the release without sampling.
///
/// [arXiv 2106.08567]: https://arxiv.org/abs/2106.08567
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    mu: f64,
    rate: f64,
}

/// Which of two neighbours the release is made of; the other is what it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The one with the patient: the comparison removes them.
    Remove,
    /// The one without the patient: the comparison adds them.
    Add,
}

impl Direction {
    pub(crate) const BOTH: [Self; 2] = [Self::Remove, Self::Add];
}

impl Step {
    /// `mu` is finite and above 0, `rate` above 0 and at most 1.
    pub(crate) fn new(mu: f64, rate: f64) -> Self {
        debug_assert!(mu > 0.0 && mu.is_finite() && rate > 0.0 && rate <= 1.0);
        Self { mu, rate }
    }

    pub(crate) const fn rate(self) -> f64 {
        self.rate
    }

    pub(crate) const fn mu(self) -> f64 {
        self.mu
    }

    /// ln of the density with the patient over that without, at `z`: ln(1 − q + q exp(μz − μ²/2)).
    /// It rises with `z`, from ln(1 − q).
    pub(crate) fn log_ratio(self, z: f64) -> f64 {
        let exponent = self.mu * (z - 0.5 * self.mu);
        let without = 1.0 - self.rate;
        if self.rate >= 1.0 {
            exponent
        } else if exponent > 30.0 {
            exponent + libm::log(self.rate + without * libm::exp(-exponent))
        } else if self.rate > 0.5 && exponent < -1.0 {
            // Here 1 + q (e^x − 1) would lose the digits of 1 − q.
            libm::log(without + self.rate * libm::exp(exponent))
        } else {
            libm::log1p(self.rate * libm::expm1(exponent))
        }
    }

    /// Where [`Step::log_ratio`] is `value`; −∞ where it is above that everywhere.
    pub(crate) fn place(self, value: f64) -> f64 {
        let without = 1.0 - self.rate;
        let exponent = if self.rate >= 1.0 {
            value
        } else if value > 30.0 {
            value + libm::log((1.0 - without * libm::exp(-value)) / self.rate)
        } else {
            let grown = libm::expm1(value) / self.rate;
            if grown <= -1.0 {
                return f64::NEG_INFINITY;
            }
            libm::log1p(grown)
        };
        exponent / self.mu + 0.5 * self.mu
    }

    /// The part of [`Step::log_ratio`] that is due to the patient: q exp(μz − μ²/2) over the ratio,
    /// from 0 to 1.
    pub(crate) fn responsibility(self, z: f64) -> f64 {
        let exponent = self.mu * (z - 0.5 * self.mu);
        self.rate / (self.rate + (1.0 - self.rate) * libm::exp(-exponent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_ratio_is_where_it_came_from() {
        for (mu, rate) in [
            (2.0, 1e-6),
            (0.3, 0.01),
            (1.0, 0.5),
            (0.05, 0.9),
            (3.0, 1.0),
        ] {
            let step = Step::new(mu, rate);
            for z in -20..60 {
                let z = f64::from(z) / 4.0;
                let back = step.place(step.log_ratio(z));
                assert!((back - z).abs() < 1e-6, "μ {mu}, q {rate}: {z} {back}");
            }
        }
    }

    #[test]
    fn the_ratio_is_the_definition() {
        for (mu, rate) in [
            (2.0, 1e-6),
            (0.3, 0.01),
            (1.0, 0.5),
            (0.05, 0.9),
            (40.0, 0.99),
        ] {
            let step = Step::new(mu, rate);
            for z in [-3.0, -0.1, 0.0, 0.7, 5.0] {
                let patient = libm::exp(mu * z - mu * mu / 2.0);
                let want = libm::log(1.0 - rate + rate * patient);
                assert!((step.log_ratio(z) - want).abs() < 1e-13, "{mu} {rate} {z}");
            }
        }
        assert!(Step::new(1.0, 0.5).place(-1.0).is_infinite());
    }
}
