//! Fewer dimensions, so that noise is in fewer of them.

use rand_core::Rng;

use super::Point;
use super::point::dot;

/// A random matrix of signs over √to: on average it keeps squared lengths and distances ([Ach03], theorem 1.1).
///
/// [Ach03]: https://doi.org/10.1016/S0022-0000(03)00025-4
#[derive(Clone, Debug)]
pub struct Projection {
    /// One row for each dimension that it leads to; none where all are kept as they are.
    rows: Vec<Point>,
}

impl Projection {
    /// From `from` to `to` dimensions, the same for the same random numbers; `None` where there are fewer to begin with.
    #[must_use]
    pub fn new(from: usize, to: usize, rng: &mut impl Rng) -> Option<Self> {
        if from < to {
            return None;
        }
        let kept = if from == to { 0 } else { to };
        let rows = (0..kept).map(|_| signs(from, rng)).collect();
        Some(Self { rows })
    }

    /// `point` in fewer dimensions.
    #[must_use]
    pub fn apply(&self, point: Point) -> Point {
        if self.rows.is_empty() {
            return point;
        }
        let scale = count(self.rows.len()).sqrt();
        let row = |row: &Point| dot(row, &point) / scale;
        self.rows.iter().map(row).collect()
    }
}

/// 1 or -1, each as often.
pub(super) fn signs(dimensions: usize, rng: &mut impl Rng) -> Point {
    (0..dimensions)
        .map(|_| if rng.next_u32() >> 31 == 0 { 1.0 } else { -1.0 })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "dimensions are few")]
fn count(dimensions: usize) -> f64 {
    dimensions as f64
}

#[cfg(test)]
mod tests {
    use protocol::seed::Seed;

    use super::*;

    #[test]
    fn squared_lengths_are_kept_on_average() {
        let mut rng = Seed::new([1; 32]).rng();
        let point: Point = (0..20).map(f64::from).collect();
        let mean = (0..2_000)
            .map(|_| {
                let projection = Projection::new(20, 5, &mut rng).unwrap();
                let projected = projection.apply(point.clone());
                assert_eq!(projected.len(), 5);
                dot(&projected, &projected) / dot(&point, &point)
            })
            .sum::<f64>()
            / 2_000.0;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
    }

    #[test]
    fn as_many_dimensions_stay_as_they_are_and_more_are_none() {
        let mut rng = Seed::new([1; 32]).rng();
        let same = Projection::new(2, 2, &mut rng).unwrap();
        assert_eq!(same.apply(vec![3.0, 4.0]), [3.0, 4.0]);
        assert!(Projection::new(2, 3, &mut rng).is_none());
    }
}
