//! How far two partitions agree.

use std::collections::BTreeMap;

/// The adjusted Rand index of two partitions of the same things ([HA85], equation 5): 1 where they are the same whatever
/// the clusters are called, 0 on average by chance; below 0 is worse than chance.
///
/// Two partitions that are both of one cluster, or both of singletons, are the same: 1.
///
/// # Panics
///
/// Where they are not of the same number of things.
///
/// [HA85]: https://doi.org/10.1007/BF01908075
#[must_use]
pub fn adjusted_rand_index<T: Ord, U: Ord>(one: &[T], other: &[U]) -> f64 {
    assert_eq!(one.len(), other.len(), "partitions of the same things");
    let both = pairs_together(one.iter().zip(other));
    let (in_one, in_other) = (pairs_together(one.iter()), pairs_together(other.iter()));
    let expected = in_one * in_other / pairs(one.len()).max(1.0);
    let most = f64::midpoint(in_one, in_other);
    if most > expected {
        (both - expected) / (most - expected)
    } else {
        1.0
    }
}

/// Pairs of things that have the same label.
fn pairs_together<L: Ord>(labels: impl Iterator<Item = L>) -> f64 {
    let mut counts = BTreeMap::new();
    for label in labels {
        *counts.entry(label).or_insert(0_usize) += 1;
    }
    counts.into_values().map(pairs).sum()
}

#[expect(clippy::cast_precision_loss, reason = "things are far fewer than 2^52")]
fn pairs(count: usize) -> f64 {
    let count = count as f64;
    count * (count - 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clusters_do_not_matter() {
        let index = adjusted_rand_index(&[0, 0, 1, 1, 2], &["b", "b", "c", "c", "a"]);
        assert!((index - 1.0).abs() < 1e-12);
    }

    /// Six things: of 15 pairs 6 are together in one, 3 in the other and 2 in both, where chance expects 1.2 of 4.5.
    #[test]
    fn an_example_by_hand() {
        let index = adjusted_rand_index(&[0, 0, 0, 1, 1, 1], &[0, 0, 1, 1, 2, 2]);
        assert!((index - 0.8 / 3.3).abs() < 1e-12, "{index}");
        let crossed = adjusted_rand_index(&[0, 0, 1, 1], &[0, 1, 0, 1]);
        assert!((crossed + 0.5).abs() < 1e-12, "{crossed}");
    }

    #[test]
    fn one_cluster_tells_nothing() {
        assert!(adjusted_rand_index(&[0, 0, 0, 0], &[0, 0, 1, 1]).abs() < 1e-12);
        assert!((adjusted_rand_index(&[0, 0], &[1, 1]) - 1.0).abs() < 1e-12);
        assert!((adjusted_rand_index::<u32, u32>(&[], &[]) - 1.0).abs() < 1e-12);
    }
}
