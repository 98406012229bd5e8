//! Rényi divergences of one release, at any order.
//!
//! Mironov 2017 ([arXiv 1702.07476]) for the definition and the composition, Mironov, Talwar & Zhang
//! 2019 ([arXiv 1908.10530]) for the sampled Gaussian. Their sum over binomial coefficients is exact
//! at integer orders; here the integral itself is taken by the trapezoid rule, which converges
//! exponentially for an analytic integrand on the whole line (Trefethen & Weideman 2014) and knows
//! no special orders. The tests hold the two against each other.
//!
//! The cross-check of the loss distributions, and what they are steered by: the tilt and the window
//! in [`crate::composition`] come from here.
//!
//! [arXiv 1702.07476]: https://arxiv.org/abs/1702.07476
//! [arXiv 1908.10530]: https://arxiv.org/abs/1908.10530

use crate::step::{Direction, Step};

/// ln E exp(λ · loss) of one release, λ > 0: (α − 1) times the Rényi divergence of order α = λ + 1.
/// Infinite where it overflows.
pub(crate) fn cumulant(step: Step, direction: Direction, lambda: f64) -> f64 {
    // E over the density without the patient of ratio^order.
    let order = match direction {
        Direction::Remove => lambda + 1.0,
        Direction::Add => -lambda,
    };
    Integral::new(step, order).map_or(f64::INFINITY, |integral| integral.log())
}

/// E ratio(z)^order over z ~ N(0, 1).
struct Integral {
    step: Step,
    order: f64,
    /// Where the integrand is not negligible.
    from: f64,
    to: f64,
    /// The logarithm of the greatest integrand seen.
    peak: f64,
}

impl Integral {
    /// `None` when it overflows.
    fn new(step: Step, order: f64) -> Option<Self> {
        let [near, far] = modes(step, order);
        let mut integral = Self {
            step,
            order,
            from: 0.0,
            to: 0.0,
            peak: 0.0,
        };
        let (low, high) = (integral.exponent(near), integral.exponent(far));
        if !(low.is_finite() && high.is_finite()) {
            return None;
        }
        integral.peak = low.max(high);
        let relevant = |exponent: f64| exponent > integral.peak - NEGLIGIBLE;
        // Between the places where no sample and where every sample is like the patient, the integrand
        // can fall more slowly than the normal density.
        let lowest = if relevant(low) { near } else { far };
        let from = near.min(0.0).max(lowest - 4.0 * REACH);
        let highest = if relevant(high) { far } else { near };
        let to = far
            .max(order * step.mu())
            .min(near + 4.0 * REACH)
            .max(highest);
        integral.from = from - REACH;
        integral.to = to + REACH;
        Some(integral)
    }

    fn exponent(&self, z: f64) -> f64 {
        self.order * self.step.log_ratio(z) - 0.5 * z * z
    }

    fn log(&self) -> f64 {
        let mu = self.step.mu();
        // The ratio is 0 at a distance of π/μ from the line; a high order narrows its peaks.
        let narrow = (1.0 + 0.25 * self.order.abs() * mu * mu).sqrt();
        let width = 0.25_f64.min(0.5 / mu) / narrow;
        let density = width / (2.0 * std::f64::consts::PI).sqrt();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count that saturates"
        )]
        let count = ((self.to - self.from) / width).ceil() as u64;
        if count > MOST_NODES {
            return f64::INFINITY;
        }
        let nodes = (0..=count).map(|k| self.from + width * k as f64);
        let whole = |z| libm::exp(self.exponent(z) - self.peak);
        let log = self.peak + libm::log(nodes.clone().map(whole).sum::<f64>() * density);
        if log > 0.5 {
            return log;
        }
        // E ratio = 1, so this sum is that of ratio^order − 1, with no digits lost near 1.
        let above = nodes.map(|z| self.above_linear(z)).sum::<f64>() * density;
        libm::log1p(above.max(0.0))
    }

    /// (ratio^order − 1 − order · (ratio − 1)) exp(−z²/2), which is not negative.
    fn above_linear(&self, z: f64) -> f64 {
        let log_ratio = self.step.log_ratio(z);
        let weight = libm::exp(-0.5 * z * z);
        if (self.order * log_ratio).abs() < 1.0 && log_ratio.abs() < 1.0 {
            let power = libm::expm1(self.order * log_ratio);
            return weight * (power - self.order * libm::expm1(log_ratio));
        }
        let ratio = libm::exp(log_ratio - 0.5 * z * z);
        libm::exp(self.exponent(z)) - (1.0 - self.order) * weight - self.order * ratio
    }
}

/// Two places, in rising order, that have every local maximum of the integrand at or between them: it
/// has one near 0 and, at a high order, one where the patient explains what is seen.
fn modes(step: Step, order: f64) -> [f64; 2] {
    let next = |z: f64| order * step.mu() * step.responsibility(z);
    if order < 0.0 {
        // The integrand is log-concave: one mode, where z = next(z), which falls.
        let (mut low, mut high) = (order * step.mu(), 0.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if next(middle) > middle {
                low = middle;
            } else {
                high = middle;
            }
        }
        return [high, high];
    }
    // next() rises, so the iteration climbs to the first fixed point and falls to the last.
    let settle = |start: f64| (0..100).fold(start, |z, _| next(z));
    [settle(0.0), settle(order * step.mu())]
}

/// From a peak, this far down, a logarithm no longer counts.
const NEGLIGIBLE: f64 = 80.0;

/// exp(−9²/2) is 3e-18; outwards, no peak is wider than the normal density.
const REACH: f64 = 9.0;

/// An order that needs more is far from any that is of use.
const MOST_NODES: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// Mironov, Talwar & Zhang 2019, section 3.3, at an integer order: ln of the sum of
    /// C(α, k) (1 − q)^(α − k) q^k exp(k(k − 1) μ²/2), less its 1 = the sum without the exponentials.
    fn binomial(mu: f64, rate: f64, order: u32) -> f64 {
        let mut weight = libm::pow(1.0 - rate, f64::from(order));
        let mut above = 0.0;
        for k in 0..=order {
            let pairs = f64::from(k) * (f64::from(k) - 1.0);
            above += weight * libm::expm1(pairs * mu * mu / 2.0);
            weight *= f64::from(order - k) / f64::from(k + 1) * rate / (1.0 - rate);
        }
        libm::log1p(above)
    }

    #[test]
    fn at_integer_orders_the_integral_is_the_sum_of_binomials() {
        for (mu, rate) in [
            (2.0, 0.001),
            (1.0, 0.01),
            (0.25, 0.1),
            (0.03, 0.5),
            (0.5, 0.9),
            (3.0, 0.2),
        ] {
            for order in [2, 3, 4, 8, 16, 33, 64] {
                let step = Step::new(mu, rate);
                let got = cumulant(step, Direction::Remove, f64::from(order - 1));
                let want = binomial(mu, rate, order);
                // The sum, as it is written, overflows where divergences are above 700.
                if want.is_infinite() {
                    continue;
                }
                assert!(
                    (got / want - 1.0).abs() < 1e-9,
                    "μ {mu}, q {rate}, α {order}: {got:e} {want:e}"
                );
            }
        }
    }

    #[test]
    fn without_sampling_both_directions_are_the_gaussian_one() {
        for (mu, lambda) in [(1e-3, 3.0), (0.3, 40.0), (1.0, 0.01), (2.5, 7.3)] {
            let want = 0.5 * lambda * (lambda + 1.0) * mu * mu;
            for direction in Direction::BOTH {
                let got = cumulant(Step::new(mu, 1.0), direction, lambda);
                assert!(
                    (got / want - 1.0).abs() < 1e-9,
                    "μ {mu}, λ {lambda}: {got:e} {want:e}"
                );
            }
        }
    }

    #[test]
    fn removing_tells_more_than_adding() {
        for (mu, rate) in [(2.0, 0.001), (0.5, 0.1), (1.0, 0.9)] {
            for lambda in [0.5, 1.0, 4.0, 30.0] {
                let step = Step::new(mu, rate);
                let [remove, add] = Direction::BOTH.map(|one| cumulant(step, one, lambda));
                assert!(remove >= add * (1.0 - 1e-9), "μ {mu}, q {rate}, λ {lambda}");
            }
        }
    }
}
