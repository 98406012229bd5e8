//! Scalar products.

/// The scalar product; the products are exact. Eight sums beside each other, so that the compiler can use vectors without
/// another rounding.
pub(super) fn dot(left: &[f32], right: &[f32]) -> f64 {
    let mut sums = [0.0; 8];
    let (left_blocks, left_rest) = left.as_chunks::<8>();
    let (right_blocks, right_rest) = right.as_chunks::<8>();
    for (left, right) in left_blocks.iter().zip(right_blocks) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += f64::from(*left) * f64::from(*right);
        }
    }
    let rest = left_rest.iter().zip(right_rest);
    let rest: f64 = rest
        .map(|(left, right)| f64::from(*left) * f64::from(*right))
        .sum();
    sums.iter().sum::<f64>() + rest
}
