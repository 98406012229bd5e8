//! The privacy loss of many releases together.
//!
//! The loss of independent releases is the sum of their losses, so its distribution is a convolution
//! (Sommer, Meiser & Mohammadi 2019), and the δ at an ε is the mean of max(0, 1 − e^(ε − loss)).
//! Each release's loss is put on one grid by [`crate::dots`], which never makes a δ smaller; from
//! there on nothing is approximated but what is listed below, and each item of it is added to δ.
//!
//! ```text
//! parts ──▶ Dots on a grid ──▶ × exp(λ loss − κ) ──▶ transform ──▶ power, product ──▶ back
//!                                                                                      │
//!                              ε or δ ◀── running sum from the top ◀── × exp(K − λ loss)
//! ```
//!
//! # The tilt
//!
//! Convolved as they are (Koskela et al. 2020; Gopi, Lee & Wutschitz 2021), distributions come out
//! with an error of about 1e-16 of their *greatest* probability, which drowns a small δ. So every
//! mass is first multiplied by exp(λ · loss − κ), κ the [cumulant](crate::renyi), and the result by
//! the inverse. That changes nothing in exact arithmetic. With the λ of the best Rényi bound, the
//! bulk of the tilted distribution is where the losses are that make up δ, and the error is 1e-11 of
//! δ itself, whatever δ is.
//!
//! # What is added to δ
//!
//! - A loss that counts as infinite, per release: its probability, once for each release.
//! - Losses beyond the window: Chernoff's bound with the grid's own masses at a second tilt. The
//!   window is chosen so that it is 1e-5 of δ.
//! - What wraps around from below the window: the transform's sum is circular, so it is in already.
//!   It is at most exp(−λ · window) in all, again 1e-5 of δ.
//! - Rounding: each entry of the transform is off by at most [`Fourier::error`] of the sum of what
//!   went in (each entry is a balanced sum), and powers multiply that by their exponents.
//!   What this makes of one probability is added to each. Other roundings are covered by 64 units in
//!   the last place for each release.

use crate::directed::up;
use crate::dots::{Dots, Range};
use crate::renyi::cumulant;
use crate::spectrum::{Complex, Fourier};
use crate::step::{Direction, Step};

/// Releases that are composed: each kind with how often it happened.
#[derive(Clone, Debug)]
pub(crate) struct Composition {
    parts: Vec<(Step, u64)>,
}

impl Composition {
    pub(crate) fn new(parts: Vec<(Step, u64)>) -> Self {
        Self { parts }
    }

    /// An upper bound of the least ε at `delta`, in \[0, ∞\].
    pub(crate) fn epsilon(&self, delta: f64) -> f64 {
        let remove = self.epsilon_towards(Direction::Remove, delta);
        // Mostly the smaller one; where Rényi's bound says so, that is enough.
        if self.renyi_epsilon(Direction::Add, delta).1 <= remove {
            return remove;
        }
        remove.max(self.epsilon_towards(Direction::Add, delta))
    }

    /// An upper bound of the least δ at `epsilon`, in \[`f64::MIN_POSITIVE`, 1\].
    pub(crate) fn delta(&self, epsilon: f64) -> f64 {
        let remove = self.delta_towards(Direction::Remove, epsilon);
        let add = libm::exp(self.renyi_delta(Direction::Add, epsilon).1);
        let greatest = if add <= remove {
            remove
        } else {
            remove.max(self.delta_towards(Direction::Add, epsilon))
        };
        greatest.clamp(f64::MIN_POSITIVE, 1.0)
    }

    fn epsilon_towards(&self, direction: Direction, delta: f64) -> f64 {
        let log_delta = libm::log(delta);
        let (tilt, mut epsilon) = self.renyi_epsilon(direction, delta);
        // Were the loss normal, ε would be within a standard deviation below the bound.
        let deviation = (-2.0 * log_delta).sqrt() / tilt;
        let mut goal = Goal {
            tilt,
            log_delta,
            from: (epsilon - 2.0 * deviation).max(0.0),
            near: epsilon,
            width: f64::INFINITY,
        };
        for _ in 0..ATTEMPTS {
            if epsilon <= 0.0 {
                return 0.0;
            }
            let Some(plan) = Plan::new(self, direction, goal) else {
                break;
            };
            let curve = plan.curve();
            epsilon = epsilon.min(curve.epsilon(delta));
            if epsilon <= curve.from() && goal.from > 0.0 {
                goal.from = 0.0;
            } else if plan.width > epsilon / COARSE && plan.length < MOST_POINTS {
                goal.from = 0.0;
                goal.width = epsilon / (2.0 * COARSE);
            } else {
                break;
            }
        }
        epsilon
    }

    fn delta_towards(&self, direction: Direction, epsilon: f64) -> f64 {
        let (tilt, log_delta) = self.renyi_delta(direction, epsilon);
        let goal = Goal {
            tilt,
            // The truth is below the bound.
            log_delta: log_delta - 3.0,
            from: epsilon,
            near: epsilon,
            width: epsilon / COARSE,
        };
        let bound = libm::exp(log_delta.min(0.0));
        let curve = Plan::new(self, direction, goal).map(|plan| plan.curve());
        curve.map_or(bound, |curve| curve.delta(epsilon).min(bound))
    }

    /// The least ε that Rényi divergences prove at `delta`, over both directions; at least 0.
    pub(crate) fn epsilon_by_renyi(&self, delta: f64) -> f64 {
        let [remove, add] = Direction::BOTH.map(|direction| self.renyi_epsilon(direction, delta).1);
        up(remove.max(add).max(0.0))
    }

    /// The least ln δ that Rényi divergences prove at `epsilon`, over both directions.
    pub(crate) fn log_delta_by_renyi(&self, epsilon: f64) -> f64 {
        let [remove, add] = Direction::BOTH.map(|direction| self.renyi_delta(direction, epsilon).1);
        remove.max(add)
    }

    /// The best order − 1, and the ε it proves.
    fn renyi_epsilon(&self, direction: Direction, delta: f64) -> (f64, f64) {
        let log_delta = libm::log(delta);
        least(FINE, |lambda| {
            (self.cumulant(direction, lambda) + conversion(lambda) - log_delta) / lambda
        })
    }

    /// The best order − 1, and the ln δ it proves.
    fn renyi_delta(&self, direction: Direction, epsilon: f64) -> (f64, f64) {
        least(FINE, |lambda| {
            self.cumulant(direction, lambda) - lambda * epsilon + conversion(lambda)
        })
    }

    /// Whether rounding errors, of 1e-13 of the tilted masses, are small against δ at this tilt.
    fn is_precise(&self, direction: Direction, tilt: f64, goal: Goal) -> bool {
        let log_scale = self.cumulant(direction, tilt) - tilt * goal.near;
        tilt >= goal.tilt || log_scale - goal.log_delta < NEGLIGIBLE
    }

    /// The window that losses need at a tilt, and a greater tilt that shows it.
    fn window(&self, direction: Direction, tilt: f64, goal: Goal) -> (f64, f64) {
        let negligible = goal.log_delta - NEGLIGIBLE;
        // A loss beyond the window comes back at its lower end, exp(tilt · window) times as probable.
        let (further, wrapped) = least(ROUGH, |further| {
            let far_tilt = tilt + further;
            (self.cumulant(direction, far_tilt) - far_tilt * goal.from - negligible) / further
        });
        (tilt + further, wrapped.max(-negligible / tilt))
    }

    fn cumulant(&self, direction: Direction, lambda: f64) -> f64 {
        let one = |(step, count): &(Step, u64)| *count as f64 * cumulant(*step, direction, lambda);
        self.parts.iter().map(one).sum()
    }

    fn count(&self) -> f64 {
        self.parts.iter().map(|(_, count)| *count as f64).sum()
    }
}

/// ln of the greatest (1 − e^−x) e^−λx over x: what Markov's inequality is spared because a loss just
/// above ε hardly adds to δ (Canonne, Kamath & Steinke 2020, proposition 12).
fn conversion(lambda: f64) -> f64 {
    -libm::log1p(lambda) - lambda * libm::log1p(1.0 / lambda)
}

/// The argument above 0 at which the function is least, and its value there; near enough, since any
/// argument gives a bound.
fn least(gain: f64, function: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut best = (LEAST_TILT, function(LEAST_TILT));
    while best.0 < GREATEST_TILT {
        let next = 2.0 * best.0;
        let value = function(next);
        // Towards the greatest loss of all, ever higher orders gain ever less.
        if value.is_nan() || value > best.1 - gain * best.1.abs() {
            break;
        }
        best = (next, value);
    }
    let mut factor = core::f64::consts::SQRT_2;
    while factor > 1.0 + gain.sqrt() {
        for next in [best.0 * factor, best.0 / factor] {
            let value = function(next);
            if value < best.1 {
                best = (next, value);
            }
        }
        factor = factor.sqrt();
    }
    best
}

/// What one direction of a composition is computed for.
#[derive(Clone, Copy, Debug)]
struct Goal {
    /// λ.
    tilt: f64,
    /// The δ that counts, as a logarithm.
    log_delta: f64,
    /// The least ε that counts.
    from: f64,
    /// The ε that `tilt` is the best for.
    near: f64,
    /// The coarsest grid.
    width: f64,
}

/// How it is computed.
#[derive(Debug)]
struct Plan<'a> {
    composition: &'a Composition,
    direction: Direction,
    /// λ.
    tilt: f64,
    /// A greater one, for what is beyond the window.
    far_tilt: f64,
    /// How many grid points the window has.
    length: usize,
    /// Their distance.
    width: f64,
    /// The multiple of the grid that the window begins at.
    first: i64,
    range: Range,
}

impl<'a> Plan<'a> {
    /// `None` where no window can be found: a loss that overflows.
    fn new(composition: &'a Composition, direction: Direction, goal: Goal) -> Option<Self> {
        let (count, negligible) = (composition.count(), goal.log_delta - NEGLIGIBLE);
        let (tilt, far_tilt, window) = TILTS
            .into_iter()
            .map(|part| part * goal.tilt)
            .filter(|tilt| composition.is_precise(direction, *tilt, goal))
            .map(|tilt| {
                let (far_tilt, window) = composition.window(direction, tilt, goal);
                (tilt, far_tilt, window)
            })
            .min_by(|one, other| one.2.total_cmp(&other.2))?;
        let fitting = (12.0 * GRID_ERROR / (count * goal.tilt * (goal.tilt + 1.0))).sqrt();
        let width = fitting.min(goal.width);
        if !(window.is_finite() && window > 0.0 && width.is_finite() && width > 0.0) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number, capped below 2^53"
        )]
        let points = (window / width).min(MOST_POINTS as f64).ceil() as usize;
        let length = points.next_power_of_two().clamp(LEAST_POINTS, MOST_POINTS);
        let width = window / length as f64;
        #[expect(clippy::cast_possible_truncation, reason = "checked")]
        let first = (goal.from / width).floor() as i64;
        if first > MOST_FIRST {
            return None;
        }
        Some(Self {
            composition,
            direction,
            tilt,
            far_tilt,
            length,
            width,
            first,
            range: Range {
                greatest: goal.from + window,
                reach: (2.0 * (libm::log(count) - negligible)).sqrt(),
                depth: libm::log(count) + 2.0 * NEGLIGIBLE,
                tilt,
            },
        })
    }

    fn curve(&self) -> Curve {
        let fourier = Fourier::new(self.length);
        let mut product = vec![Complex::ONE; self.length];
        let mut moduli = vec![1.0; self.length];
        let mut slopes = vec![0.0; self.length];
        let (mut log_scale, mut log_beyond, mut infinite) = (0.0, 0.0, 0.0);
        for (step, count) in &self.composition.parts {
            let part = self.part(*step);
            let times = *count as f64;
            log_scale += times * part.cumulant;
            log_beyond += times * part.far_cumulant;
            infinite += times * part.infinite;
            let error = (fourier.error() + 16.0 * f64::EPSILON) * part.sum;
            let mut values = part.tilted;
            fourier.forward(&mut values);
            for (k, value) in values.into_iter().enumerate() {
                let modulus = value.modulus() + error;
                product[k] = product[k].times(value.power(*count));
                moduli[k] *= Complex {
                    re: modulus,
                    im: 0.0,
                }
                .power(*count)
                .re;
                slopes[k] += times * error / modulus;
            }
        }
        let spread: f64 = moduli
            .iter()
            .zip(&slopes)
            .map(|(modulus, slope)| modulus * slope)
            .sum();
        let total: f64 = moduli.iter().sum();
        fourier.backward(&mut product);
        let points = self.length as f64;
        let end = self.width * (self.first as f64 + points);
        let slack = 64.0
            * f64::EPSILON
            * (self.composition.count() + log_scale.abs() + self.far_tilt * end);
        Curve {
            tilt: self.tilt,
            width: self.width,
            first: self.first,
            log_scale: log_scale + slack,
            tilted: product.into_iter().map(|value| value.re / points).collect(),
            error: (spread + fourier.error() * total) / points,
            lost: up(infinite + libm::exp(log_beyond - self.far_tilt * end + slack)),
        }
    }

    fn part(&self, step: Step) -> Part {
        let dots = Dots::new(step, self.direction, self.width, self.range);
        let scale = cumulant(step, self.direction, self.tilt);
        let far_scale = cumulant(step, self.direction, self.far_tilt);
        let mut tilted = vec![Complex { re: 0.0, im: 0.0 }; self.length];
        let (mut sum, mut far_sum) = (0.0, 0.0);
        for (index, mass) in (dots.first..).zip(&dots.masses) {
            let loss = index as f64 * self.width;
            let value = mass * libm::exp(self.tilt * loss - scale);
            tilted[place(index, self.length)].re += value;
            sum += value;
            far_sum += mass * libm::exp(self.far_tilt * loss - far_scale);
        }
        Part {
            tilted,
            sum,
            cumulant: scale,
            far_cumulant: far_scale + libm::log(far_sum),
            infinite: dots.infinite,
        }
    }
}

/// One release's loss, tilted and wrapped into the window.
struct Part {
    tilted: Vec<Complex>,
    /// Of `tilted`: 1, but for what the grid adds.
    sum: f64,
    /// κ.
    cumulant: f64,
    /// ln of the mean of exp(loss times the far tilt), on the grid.
    far_cumulant: f64,
    /// The probability of an infinite loss.
    infinite: f64,
}

/// δ as a function of ε.
#[derive(Debug)]
struct Curve {
    tilt: f64,
    width: f64,
    /// The multiple of the grid that the window begins at.
    first: i64,
    log_scale: f64,
    /// The probability of the loss at each grid point times exp(tilt · loss − `log_scale`); where in
    /// the list a point is, says [`place`].
    tilted: Vec<f64>,
    /// A bound of the error of each of `tilted`.
    error: f64,
    /// The probability of losses that are not on the grid.
    lost: f64,
}

impl Curve {
    fn delta(&self, epsilon: f64) -> f64 {
        let cell = self.cells().find(|cell| cell.from <= epsilon);
        let Some(cell) = cell else {
            return 1.0;
        };
        let over = (cell.from + self.width - epsilon).clamp(0.0, self.width);
        up(cell.delta - libm::expm1(-over) * cell.slope)
    }

    fn epsilon(&self, delta: f64) -> f64 {
        if self.lost >= delta {
            return f64::INFINITY;
        }
        let cell = self.cells().find(|cell| self.delta_at_start(cell) > delta);
        let Some(cell) = cell else {
            return self.from().max(0.0);
        };
        let over = -libm::log1p(-(delta - cell.delta) / cell.slope);
        up((cell.from + self.width - over).max(0.0))
    }

    /// The least ε at which δ is known.
    fn from(&self) -> f64 {
        (self.first as f64 * self.width).max(0.0)
    }

    fn delta_at_start(&self, cell: &Cell) -> f64 {
        cell.delta - libm::expm1(-self.width) * cell.slope
    }

    /// The stretches between the grid points, from the top.
    fn cells(&self) -> impl Iterator<Item = Cell> {
        let shrink = libm::exp(-self.width);
        let last = self.first + self.tilted.len() as i64 - 1;
        let mut above: Option<Cell> = None;
        let next = move |index: i64| {
            let loss = index as f64 * self.width;
            let tilted = self.tilted[place(index, self.tilted.len())].max(0.0) + self.error;
            let (delta, slope) = above.as_ref().map_or((self.lost, 0.0), |above| {
                (self.delta_at_start(above), above.slope * shrink)
            });
            let cell = Cell {
                from: loss - self.width,
                delta,
                slope: slope + tilted * libm::exp(self.log_scale - self.tilt * loss),
            };
            above = Some(cell.clone());
            cell
        };
        (self.first + 1..=last).rev().map(next)
    }
}

/// Where in a circular list of this length, a power of two, a multiple of the grid is.
fn place(index: i64, length: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "two's complement keeps the lower bits, also of a negative index"
    )]
    let bits = index as usize;
    bits & (length - 1)
}

/// A stretch between two grid points, on which δ falls linearly in e^ε.
#[derive(Clone, Debug)]
struct Cell {
    /// Its lower end, an ε.
    from: f64,
    /// δ at its upper end.
    delta: f64,
    /// The sum of the probabilities of losses from its upper end, each times exp(upper end − loss).
    slope: f64,
}

/// ln 1e5: what is lost or added at a window's ends is this much below δ.
const NEGLIGIBLE: f64 = 11.6;

/// What the grid may add to ln δ, about.
pub(crate) const GRID_ERROR: f64 = 3e-4;

/// How much less a minimum has to get for the search to go on, relative.
const FINE: f64 = 1e-4;
const ROUGH: f64 = 1e-2;

/// The tilts that are tried, in parts of the one of the best Rényi bound: at a smaller one, less comes
/// back from beyond the window.
const TILTS: [f64; 4] = [1.0, 0.9, 0.75, 0.5];

/// An ε is at least this many grid points above 0.
const COARSE: f64 = 64.0;

/// How often an ε is computed until the grid fits it.
const ATTEMPTS: usize = 5;

/// So far up, a grid point is not exact.
const MOST_FIRST: i64 = 1 << 50;

const LEAST_POINTS: usize = 1 << 8;

/// With more releases than some millions the grid is no finer, and the bound above the truth by more
/// than [`GRID_ERROR`].
const MOST_POINTS: usize = 1 << 20;

const LEAST_TILT: f64 = 1.0 / (1 << 20) as f64;

const GREATEST_TILT: f64 = (1_u64 << 40) as f64;
