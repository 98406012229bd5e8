//! Sums of very many vectors whose rounding one vector more or less cannot hide in.

/// A sum of vectors, added up in blocks.
///
/// A plain sum of n numbers of at most 1 is off by up to n² · 2⁻⁵³: for ten million of them by 0.01, which would count as
/// part of what one patient changes. In blocks of b the error is at most (b + n/b + 1) · n · 2⁻⁵³, in each coordinate for sums
/// of magnitudes and so in L2 norm for vectors of bounded norm: 2 · 10⁻⁵ for ten million.
///
/// The result depends on the vectors and their order alone, as long as [`BlockedSum::added`] is told of the same numbers in
/// the same order.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockedSum {
    /// Of all closed blocks.
    total: Vec<f64>,
    /// Of the vectors after those.
    block: Vec<f64>,
    /// Vectors in the block.
    count: usize,
}

impl BlockedSum {
    /// A block is closed once it has so many vectors.
    pub const BLOCK: usize = 1 << 13;

    /// The sum of no vectors, of `length` numbers each.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self {
            total: vec![0.0; length],
            block: vec![0.0; length],
            count: 0,
        }
    }

    /// The open block, `[length]`, to add vectors to: few at a time, each told of by [`BlockedSum::added`].
    pub fn block(&mut self) -> &mut [f64] {
        &mut self.block
    }

    /// Says that so many vectors were added to the block.
    pub fn added(&mut self, vectors: usize) {
        self.count += vectors;
        if self.count >= Self::BLOCK {
            self.close();
        }
    }

    /// The sum of all vectors so far, `[length]`.
    #[must_use]
    pub fn total(&self) -> Vec<f64> {
        let sums = self.total.iter().zip(&self.block);
        sums.map(|(total, block)| total + block).collect()
    }

    /// [`BlockedSum::total`], in place.
    #[must_use]
    pub fn into_total(mut self) -> Vec<f64> {
        self.close();
        self.total
    }

    /// Begins again with no vectors.
    pub fn clear(&mut self) {
        self.total.fill(0.0);
        self.block.fill(0.0);
        self.count = 0;
    }

    fn close(&mut self) {
        for (total, block) in self.total.iter_mut().zip(&mut self.block) {
            *total += *block;
            *block = 0.0;
        }
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten million patients, and one more; each adds a number that plain sums cannot hold beside what is there already.
    #[test]
    fn a_sum_of_ten_million_patients_is_right_to_a_thousandth_of_one() {
        const PATIENTS: u32 = 10_000_000;
        let value = 1.0 - 2.0_f64.powi(-33) * 3.0;
        let mut sum = BlockedSum::new(1);
        let mut plain = 0.0;
        for _ in 0..PATIENTS {
            sum.block()[0] += value;
            sum.added(1);
            plain += value;
        }
        // Exact: of 2⁻³³ there are fewer than 2⁵⁷, and what is lost of them here is below 2⁻²⁰.
        let exact = f64::from(PATIENTS) - f64::from(PATIENTS) * 3.0 * 2.0_f64.powi(-33);
        let error = (sum.total()[0] - exact).abs();
        assert!(error < 1.0 / 2_048.0, "{error}");
        assert!((plain - exact).abs() > 1.0 / 2_048.0, "{plain}");
    }

    #[test]
    fn few_vectors_are_added_as_they_always_were() {
        let values = [0.1, 0.2, 0.3, -0.7];
        let mut sum = BlockedSum::new(2);
        let mut plain = [0.0; 2];
        for value in values {
            for (sum, plain) in sum.block().iter_mut().zip(&mut plain) {
                *sum += value;
                *plain += value;
            }
            sum.added(1);
        }
        assert_eq!(sum.total(), plain);
        assert_eq!(sum.clone().into_total(), plain);
        sum.clear();
        assert_eq!(sum, BlockedSum::new(2));
    }
}
