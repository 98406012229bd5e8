//! k-means in one place: of centres with weights at the aggregator, of patients in a comparison.

use rand_core::Rng;

use super::point::{Point, nearest, squared_distance};

/// A point that counts as often as its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted {
    /// The point.
    pub point: Point,
    /// Its weight, above 0.
    pub weight: f64,
}

/// Centres of `clusters` clusters, or of as many as there are different points: the best of several runs of Lloyd's
/// iteration, each begun by k-means++ ([AV07]).
///
/// The same points and random numbers give the same centres.
///
/// [AV07]: https://dl.acm.org/doi/10.5555/1283383.1283494
#[must_use]
pub fn kmeans(points: &[Weighted], clusters: usize, rng: &mut impl Rng) -> Vec<Point> {
    let runs = (0..RUNS).map(|_| {
        let mut centres = begin(points, clusters, rng);
        for _ in 0..MOST_STEPS {
            let next = step(points, &centres);
            if next == centres {
                break;
            }
            centres = next;
        }
        (inertia(points, &centres), centres)
    });
    let best = runs.min_by(|(one, _), (other, _)| one.total_cmp(other));
    best.map_or_else(Vec::new, |(_, centres)| centres)
}

/// Runs of which the best is kept: one run ends in a poor local optimum now and then.
const RUNS: usize = 16;

/// Lloyd's iteration is over long before.
const MOST_STEPS: usize = 100;

/// The first centres: each a point, drawn with a chance as its weight times its squared distance from those before.
fn begin(points: &[Weighted], clusters: usize, rng: &mut impl Rng) -> Vec<Point> {
    let mut centres: Vec<Point> = Vec::with_capacity(clusters);
    let mut masses: Vec<f64> = points.iter().map(|point| point.weight).collect();
    while centres.len() < clusters {
        let Some(place) = draw(&masses, rng) else {
            break;
        };
        let centre = points[place].point.clone();
        for (mass, point) in masses.iter_mut().zip(points) {
            let squared = squared_distance(&point.point, &centre);
            *mass = match centres.len() {
                0 => point.weight * squared,
                _ => mass.min(point.weight * squared),
            };
        }
        centres.push(centre);
    }
    centres
}

/// A place, with a chance as its mass; none where there is no mass.
fn draw(masses: &[f64], rng: &mut impl Rng) -> Option<usize> {
    let total: f64 = masses.iter().sum();
    let mut left = total * uniform(rng);
    let mut last = None;
    for (place, mass) in masses.iter().enumerate() {
        if *mass > 0.0 {
            last = Some(place);
            if left < *mass {
                return last;
            }
            left -= mass;
        }
    }
    last
}

/// The means of the points that each centre is nearest to; a centre of none stays.
fn step(points: &[Weighted], centres: &[Point]) -> Vec<Point> {
    let mut sums: Vec<Point> = centres
        .iter()
        .map(|centre| vec![0.0; centre.len()])
        .collect();
    let mut weights = vec![0.0; centres.len()];
    for point in points {
        let Some((place, _)) = nearest(&point.point, centres) else {
            break;
        };
        weights[place] += point.weight;
        for (sum, value) in sums[place].iter_mut().zip(&point.point) {
            *sum += point.weight * value;
        }
    }
    for ((sum, weight), centre) in sums.iter_mut().zip(weights).zip(centres) {
        if weight > 0.0 {
            for sum in sum {
                *sum /= weight;
            }
        } else {
            sum.clone_from(centre);
        }
    }
    sums
}

/// What k-means makes small: weighted squared distances from the nearest centres.
fn inertia(points: &[Weighted], centres: &[Point]) -> f64 {
    let of = |point: &Weighted| {
        let distance = nearest(&point.point, centres).map_or(0.0, |(_, distance)| distance);
        point.weight * distance * distance
    };
    points.iter().map(of).sum()
}

/// From 0 to below 1, in steps of 2^-53.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn uniform(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (-53_f64).exp2()
}

#[cfg(test)]
mod tests {
    use protocol::seed::Seed;

    use super::*;

    fn weighted(values: &[(f64, f64)]) -> Vec<Weighted> {
        let point = |(value, weight): &(f64, f64)| Weighted {
            point: vec![*value],
            weight: *weight,
        };
        values.iter().map(point).collect()
    }

    fn of(values: &[(f64, f64)], clusters: usize) -> Vec<f64> {
        let mut rng = Seed::new([1; 32]).rng();
        let mut centres = kmeans(&weighted(values), clusters, &mut rng).concat();
        centres.sort_by(f64::total_cmp);
        centres
    }

    #[test]
    fn separated_points_are_found() {
        let values: Vec<(f64, f64)> = (0..40)
            .map(|place| (f64::from(place % 4 * 10) + f64::from(place / 4) / 10.0, 1.0))
            .collect();
        for (centre, want) in of(&values, 4).iter().zip([0.45, 10.45, 20.45, 30.45]) {
            assert!((centre - want).abs() < 1e-9, "{centre}");
        }
    }

    #[test]
    fn a_point_counts_as_often_as_its_weight() {
        let centres = of(&[(0.0, 3.0), (1.0, 1.0), (10.0, 1.0)], 2);
        assert_eq!(centres, [0.25, 10.0]);
    }

    #[test]
    fn there_are_no_more_centres_than_different_points() {
        assert_eq!(of(&[(0.0, 1.0), (1.0, 2.0), (1.0, 1.0)], 3), [0.0, 1.0]);
        assert_eq!(of(&[], 3), [0.0; 0]);
    }
}
