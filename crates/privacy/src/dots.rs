//! The privacy loss of one release, moved to a grid without ever making it smaller.
//!
//! *Connect the dots* (Doroshenko, Ghazi, Kamath, Kumar & Manurangsi 2022, [arXiv 2207.04380]): of
//! all distributions on the grid that give at least the true δ at every ε, this one gives the least.
//! A mass p at the loss l = i·h + t, 0 ≤ t ≤ h, is split over the grid's neighbours i and i + 1 so
//! that the probability under both densities stays what it was:
//!
//! ```text
//! to i + 1:  p (1 − e^−t) / (1 − e^−h)          to i:  the rest
//! ```
//!
//! As a function of e^ε the δ of one mass is convex, and that of the two masses is its chord between
//! the grid's points, so it lies above. The mean of e^−l does not change, which is why the error is
//! of second order in h, where rounding up (Koskela et al. 2020, [arXiv 1906.03049]) has one of first
//! order for each release.
//!
//! The masses of a cell are integrals of smooth positive functions: Gauss & Legendre's rule on
//! panels so narrow that it is exact to a few units in the last place.
//!
//! [arXiv 1906.03049]: https://arxiv.org/abs/1906.03049
//! [arXiv 2207.04380]: https://arxiv.org/abs/2207.04380

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use crate::step::{Direction, Step};

/// The losses that are told apart; smaller ones are moved up, greater ones count as infinite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    /// Losses above count as infinite.
    pub(crate) greatest: f64,
    /// So does what is further out than this, in standard deviations of the noise.
    pub(crate) reach: f64,
    /// Losses are moved up from where exp(tilt · loss) times the probability of such a loss is below
    /// exp(−depth).
    pub(crate) depth: f64,
    /// See `depth`.
    pub(crate) tilt: f64,
}

impl Range {
    /// The place of the smallest loss that is told apart.
    fn safe(&self, step: Step, direction: Direction) -> f64 {
        let deep = |z: f64| {
            let loss = match direction {
                Direction::Remove => step.log_ratio(z),
                Direction::Add => -step.log_ratio(z),
            };
            0.5 * z * z - self.tilt * loss >= self.depth
        };
        let furthest = (2.0 * self.depth).sqrt();
        let (mut shallow, mut end) = match direction {
            Direction::Remove => (0.0, -furthest),
            Direction::Add => (0.0, 0.5 * step.mu() + furthest),
        };
        for _ in 0..30 {
            let middle = 0.5 * (shallow + end);
            if deep(middle) {
                end = middle;
            } else {
                shallow = middle;
            }
        }
        end
    }
}

/// The distribution of one release's loss on the multiples of a grid.
#[derive(Debug)]
pub(crate) struct Dots {
    /// The multiple that the first of `masses` is at.
    pub(crate) first: i64,
    /// The probabilities.
    pub(crate) masses: Vec<f64>,
    /// The probability of an infinite loss.
    pub(crate) infinite: f64,
}

impl Dots {
    /// The loss of `step` in this direction on a grid of `width`.
    pub(crate) fn new(step: Step, direction: Direction, width: f64, range: Range) -> Self {
        let cells = Cells::new(step, direction, width, range);
        let last = cells.index(cells.last).max(cells.index(cells.first)) + 1;
        let mut dots = Self {
            first: cells.index(cells.first).min(cells.index(cells.last)),
            masses: Vec::new(),
            infinite: 0.0,
        };
        dots.masses
            .resize(usize::try_from(last - dots.first + 1).unwrap_or(0), 0.0);
        let mut begin = cells.from;
        for cell in cells.first..=cells.last {
            let end = if cell == cells.last {
                cells.to
            } else {
                cells.edge(cell + 1)
            };
            let [stays, up] = cells.split(cell, begin, end);
            begin = end;
            let place = usize::try_from(cells.index(cell) - dots.first)
                .expect("no index is below the first");
            dots.masses[place] += stays;
            dots.masses[place + 1] += up;
        }
        let [below, above] = cells.tails();
        let (far, near) = match direction {
            Direction::Remove => (above, below),
            Direction::Add => (below, above),
        };
        dots.infinite = far;
        // The top of the lowest cell is at least as high as any loss beyond it.
        dots.masses[1] += near;
        dots
    }
}

/// The line, cut where ln ratio is a multiple of the grid.
struct Cells {
    step: Step,
    direction: Direction,
    width: f64,
    /// Places between which the loss is told apart.
    from: f64,
    to: f64,
    /// Multiples: cell j has the ln ratios from j to j + 1 widths.
    first: i64,
    last: i64,
}

impl Cells {
    fn new(step: Step, direction: Direction, width: f64, range: Range) -> Self {
        let (from, to) = match direction {
            Direction::Remove => (
                range.safe(step, direction),
                step.place(range.greatest).min(step.mu() + range.reach),
            ),
            Direction::Add => (
                step.place(-range.greatest).max(-range.reach),
                range.safe(step, direction),
            ),
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the composition keeps a grid from having more than 2^24 cells"
        )]
        let cell = |z: f64| (step.log_ratio(z) / width).floor() as i64;
        let to = to.max(from);
        let (first, last) = (cell(from), cell(to));
        Self {
            step,
            direction,
            width,
            from,
            to,
            first,
            last,
        }
    }

    /// The multiple of the grid at the bottom of the losses of a cell.
    fn index(&self, cell: i64) -> i64 {
        match self.direction {
            Direction::Remove => cell,
            Direction::Add => -cell - 1,
        }
    }

    /// Where a cell other than the first begins.
    fn edge(&self, cell: i64) -> f64 {
        self.step
            .place(cell as f64 * self.width)
            .clamp(self.from, self.to)
    }

    /// The masses that go to the bottom and to the top of a cell's losses.
    fn split(&self, cell: i64, begin: f64, end: f64) -> [f64; 2] {
        let whole = -libm::expm1(-self.width);
        let furthest = begin.abs().max(end.abs());
        let extent = (end - begin) * (8.0 + 2.0 * (self.step.mu() + furthest));
        let (panels, rule) = if extent <= 0.125 {
            (1.0, LEGENDRE_3.as_slice())
        } else {
            (extent.ceil(), LEGENDRE_5.as_slice())
        };
        let half = 0.5 * (end - begin) / panels;
        let mut split = [0.0; 2];
        let mut panel = 0.0;
        while panel < panels {
            let middle = begin + (2.0 * panel + 1.0) * half;
            for (place, weight) in rule {
                let z = middle + half * place;
                let (density, above) = self.at(z, cell);
                let mass = half * weight * density;
                let up = mass * -libm::expm1(-above) / whole;
                split[1] += up;
                split[0] += mass - up;
            }
            panel += 1.0;
        }
        split.map(|mass| mass.max(0.0))
    }

    /// The density at `z`, and how far above the bottom of the cell its loss is.
    fn at(&self, z: f64, cell: i64) -> (f64, f64) {
        let log_ratio = self.step.log_ratio(z);
        let (exponent, above) = match self.direction {
            Direction::Remove => (log_ratio, log_ratio - cell as f64 * self.width),
            Direction::Add => (0.0, (cell + 1) as f64 * self.width - log_ratio),
        };
        let density = libm::exp(exponent - 0.5 * z * z) * ROOT_2PI_INVERSE;
        (density, above.clamp(0.0, self.width))
    }

    /// The probabilities below `from` and above `to`.
    fn tails(&self) -> [f64; 2] {
        let upper = |z: f64| 0.5 * libm::erfc(z * FRAC_1_SQRT_2);
        let (mu, rate) = (self.step.mu(), self.step.rate());
        match self.direction {
            Direction::Add => [upper(-self.from), upper(self.to)],
            Direction::Remove => [
                (1.0 - rate) * upper(-self.from) + rate * upper(mu - self.from),
                (1.0 - rate) * upper(self.to) + rate * upper(self.to - mu),
            ],
        }
    }
}

/// 1 / √(2π).
const ROOT_2PI_INVERSE: f64 = 0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI;

/// Places and weights of Gauss & Legendre's rules on \[−1, 1\] (Abramowitz & Stegun, table 25.4).
const LEGENDRE_5: [(f64, f64); 5] = [
    (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
    (-0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
    (0.0, 0.568_888_888_888_888_9),
    (0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
    (0.906_179_845_938_664, 0.236_926_885_056_189_1),
];

const LEGENDRE_3: [(f64, f64); 3] = [
    (-0.774_596_669_241_483_4, 0.555_555_555_555_555_6),
    (0.0, 0.888_888_888_888_889),
    (0.774_596_669_241_483_4, 0.555_555_555_555_555_6),
];
