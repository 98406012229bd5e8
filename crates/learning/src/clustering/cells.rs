//! What a round counts and adds up: clusters, or halves of them.

use rand_core::Rng;

use super::point::{Point, clip, dot, nearest};
use super::projection::signs;

/// A partition of the ball; each point is in one cell.
#[derive(Clone, Debug)]
pub struct Cells {
    centres: Vec<Point>,
    /// A normal for each centre where its cluster is cut in two; else none.
    normals: Vec<Point>,
}

impl Cells {
    /// A cell for each centre: the points that it is nearest to. Without centres, one cell of all points.
    #[must_use]
    pub fn clusters(centres: Vec<Point>) -> Self {
        Self {
            centres,
            normals: Vec::new(),
        }
    }

    /// The same, each cut in two by a random hyperplane through its centre.
    #[must_use]
    pub fn halves(centres: Vec<Point>, rng: &mut impl Rng) -> Self {
        // The first ones cut fewer centres in a round before: no normal is used twice.
        for centre in &centres {
            signs(centre.len(), rng);
        }
        let normals = centres.iter().map(|centre| signs(centre.len(), rng));
        Self {
            normals: normals.collect(),
            centres,
        }
    }

    /// The number of cells.
    #[must_use]
    pub fn count(&self) -> usize {
        (self.centres.len() + self.normals.len()).max(1)
    }

    /// The cell that `point` is in.
    #[must_use]
    pub fn of(&self, point: &[f64]) -> usize {
        let Some((place, _)) = nearest(point, &self.centres) else {
            return 0;
        };
        let Some(normal) = self.normals.get(place) else {
            return place;
        };
        if dot(point, normal) < dot(&self.centres[place], normal) {
            2 * place
        } else {
            2 * place + 1
        }
    }

    /// Counts `point` in its cell, and adds it there.
    ///
    /// # Shapes
    ///
    /// - `members`: at least [`Cells::count`]
    /// - `sums`: as many points one after the other
    ///
    /// # Panics
    ///
    /// Where they are shorter.
    pub fn add(&self, point: &[f64], members: &mut [f64], sums: &mut [f64]) {
        let cell = self.of(point);
        members[cell] += 1.0;
        let start = cell * point.len();
        for (sum, value) in sums[start..].iter_mut().zip(point) {
            *sum += value;
        }
    }
}

/// The mean of a cell's points.
#[derive(Clone, Debug, PartialEq)]
pub struct Mean {
    /// The mean, in the ball.
    pub point: Point,
    /// How many points it is of, noise included.
    pub members: f64,
}

/// The mean of each cell; `None` where it has fewer than `floor` members, which is above 0.
///
/// # Shapes
///
/// - `members`: `[cells]`
/// - `sums`: `[cells, dimensions]`
#[must_use]
pub fn means(members: &[f64], sums: &[f64], floor: f64) -> Vec<Option<Mean>> {
    let dimensions = (sums.len() / members.len().max(1)).max(1);
    let mean = |(members, sum): (&f64, &[f64])| {
        (*members >= floor).then(|| {
            let mut point = sum.iter().map(|sum| sum / members).collect();
            clip(&mut point);
            Mean {
                point,
                members: *members,
            }
        })
    };
    members
        .iter()
        .zip(sums.chunks_exact(dimensions))
        .map(mean)
        .collect()
}

#[cfg(test)]
mod tests {
    use protocol::seed::Seed;

    use super::*;

    #[test]
    fn without_centres_all_points_are_in_one_cell() {
        let mut rng = Seed::new([1; 32]).rng();
        for cells in [
            Cells::clusters(Vec::new()),
            Cells::halves(Vec::new(), &mut rng),
        ] {
            assert_eq!((cells.count(), cells.of(&[0.5, 0.5])), (1, 0));
        }
    }

    #[test]
    fn a_point_and_its_mirror_image_are_in_different_halves_of_a_cluster() {
        let mut rng = Seed::new([1; 32]).rng();
        let centres = vec![vec![0.5, 0.1, 0.0], vec![-0.5, 0.0, 0.2]];
        let cells = Cells::halves(centres.clone(), &mut rng);
        assert_eq!(cells.count(), 4);
        for (place, centre) in centres.iter().enumerate() {
            let moved = |by: f64| {
                let point: Point = [0.11, 0.05, 0.02]
                    .iter()
                    .zip(centre)
                    .map(|(step, value)| value + by * step)
                    .collect();
                cells.of(&point)
            };
            let mut halves = [moved(1.0), moved(-1.0)];
            halves.sort_unstable();
            assert_eq!(halves, [2 * place, 2 * place + 1]);
        }
    }

    #[test]
    fn means_are_of_the_points_that_were_added() {
        let cells = Cells::clusters(vec![vec![0.5, 0.0], vec![-0.5, 0.0]]);
        let (mut members, mut sums) = ([0.0; 3], [0.0; 6]);
        for point in [[0.4, 0.2], [0.6, 0.4], [-0.1, 0.0]] {
            cells.add(&point, &mut members, &mut sums);
        }
        let means = means(&members, &sums, 1.0);
        let first = means[0].as_ref().unwrap();
        assert!((first.members - 2.0).abs() < 1e-12);
        assert!((first.point[0] - 0.5).abs() < 1e-12 && (first.point[1] - 0.3).abs() < 1e-12);
        assert_eq!(means[1].as_ref().unwrap().point, [-0.1, 0.0]);
        assert_eq!(means[2], None);
    }

    #[test]
    fn noise_moves_no_mean_out_of_the_ball() {
        let means = means(&[2.0, 0.5], &[30.0, 40.0, 1.0, 1.0], 1.0);
        assert_eq!(means[0].as_ref().unwrap().point, [0.6, 0.8]);
        assert_eq!(means[1], None);
    }
}
