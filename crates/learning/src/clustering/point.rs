//! Points of the unit ball.

use std::num::NonZeroUsize;

/// A patient's embedding or a centre, in radii.
pub type Point = Vec<f64>;

/// Scales `point` down to an L2 norm of 1 where it is longer.
pub fn clip(point: &mut Point) {
    let norm = dot(point, point).sqrt();
    if norm > 1.0 {
        for value in point {
            *value /= norm;
        }
    }
}

/// The place of the centre that is nearest to `point`, the first of several, and its distance; `None` without centres.
#[must_use]
pub fn nearest(point: &[f64], centres: &[Point]) -> Option<(usize, f64)> {
    let distances = centres.iter().map(|centre| squared_distance(point, centre));
    distances
        .enumerate()
        .min_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(place, squared)| (place, squared.sqrt()))
}

/// The centres of a published state, which has them one after the other.
#[must_use]
pub fn centres(flat: &[f32], dimensions: NonZeroUsize) -> Vec<Point> {
    flat.chunks_exact(dimensions.get())
        .map(|centre| centre.iter().copied().map(f64::from).collect())
        .collect()
}

/// Centres as a published state has them.
#[must_use]
pub fn flat(centres: &[Point]) -> Vec<f32> {
    centres.iter().flatten().copied().map(narrow).collect()
}

pub(super) fn squared_distance(one: &[f64], other: &[f64]) -> f64 {
    let square = |(a, b): (&f64, &f64)| (a - b) * (a - b);
    one.iter().zip(other).map(square).sum()
}

pub(super) fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "states hold f32, and a centre's values are at most 1"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_points_are_scaled_to_the_ball_and_others_stay() {
        let mut points = [vec![3.0, 4.0], vec![0.3, 0.4]];
        points.iter_mut().for_each(clip);
        assert_eq!(points, [vec![0.6, 0.8], vec![0.3, 0.4]]);
    }

    #[test]
    fn the_nearest_centre_is_the_first_of_equals() {
        let centres = [vec![1.0, 0.0], vec![-1.0, 0.0], vec![1.0, 0.0]];
        assert_eq!(nearest(&[0.0, 1.0], &centres).unwrap().0, 0);
        assert_eq!(nearest(&[-4.0, 4.0], &centres), Some((1, 5.0)));
        assert_eq!(nearest(&[0.0, 1.0], &[]), None);
    }

    #[test]
    fn centres_survive_their_flat_form() {
        let points = vec![vec![0.5, -0.25], vec![0.0, 1.0]];
        let two = NonZeroUsize::new(2).unwrap();
        assert_eq!(centres(&flat(&points), two), points);
    }
}
