//! The discrete Fourier transform of a power-of-two length: radix 2, in place, without reordering.
//!
//! Our own because it is short, and because its bits must be the same in the module and on the
//! host: additions, multiplications and [`libm`] only, in one order, chosen by nothing but the
//! length.

use std::f64::consts::PI;

/// A complex number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Complex {
    pub(crate) re: f64,
    pub(crate) im: f64,
}

impl Complex {
    pub(crate) const ONE: Self = Self { re: 1.0, im: 0.0 };

    pub(crate) fn times(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    /// By repeated squaring: the error grows as `exponent`, relative.
    pub(crate) fn power(self, exponent: u64) -> Self {
        let (mut result, mut square, mut left) = (Self::ONE, self, exponent);
        while left > 0 {
            if left & 1 == 1 {
                result = result.times(square);
            }
            square = square.times(square);
            left >>= 1;
        }
        result
    }

    pub(crate) fn modulus(self) -> f64 {
        (self.re * self.re + self.im * self.im).sqrt()
    }

    fn plus(self, other: Self) -> Self {
        Self {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            re: self.re - other.re,
            im: self.im - other.im,
        }
    }

    fn conjugate(self) -> Self {
        Self {
            re: self.re,
            im: -self.im,
        }
    }
}

/// Transforms of one length.
#[derive(Debug)]
pub(crate) struct Fourier {
    /// exp(−2πik / length) for k below half the length.
    roots: Vec<Complex>,
}

impl Fourier {
    /// `length` is a power of two, at least 2.
    pub(crate) fn new(length: usize) -> Self {
        debug_assert!(length.is_power_of_two() && length >= 2);
        let angle = |k: usize| -2.0 * PI * k as f64 / length as f64;
        let root = |k: usize| Complex {
            re: libm::cos(angle(k)),
            im: libm::sin(angle(k)),
        };
        Self {
            roots: (0..length / 2).map(root).collect(),
        }
    }

    pub(crate) fn length(&self) -> usize {
        2 * self.roots.len()
    }

    /// A bound of the relative error of each entry of either transform, of the sum of the moduli of
    /// what went in: each of log₂ N levels is a rounded multiplication and an addition.
    pub(crate) fn error(&self) -> f64 {
        8.0 * f64::from(self.length().ilog2()) * f64::EPSILON
    }

    /// The transform of a sequence, in the order of reversed bits. Decimation in frequency (Cooley
    /// & Tukey, with the sum first).
    pub(crate) fn forward(&self, values: &mut [Complex]) {
        let mut half = values.len() / 2;
        while half > 0 {
            let stride = self.roots.len() / half;
            for block in values.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                let roots = self.roots.iter().step_by(stride);
                for ((a, b), root) in low.iter_mut().zip(high).zip(roots) {
                    let difference = a.minus(*b);
                    *a = a.plus(*b);
                    *b = difference.times(*root);
                }
            }
            half /= 2;
        }
    }

    /// The sequence whose transform, in the order of reversed bits, this is; not yet divided by the
    /// length.
    pub(crate) fn backward(&self, values: &mut [Complex]) {
        let mut half = 1;
        while half < values.len() {
            let stride = self.roots.len() / half;
            for block in values.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                let roots = self.roots.iter().step_by(stride);
                for ((a, b), root) in low.iter_mut().zip(high).zip(roots) {
                    let turned = b.times(root.conjugate());
                    *b = a.minus(turned);
                    *a = a.plus(turned);
                }
            }
            half *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(length: usize) -> Vec<Complex> {
        let value = |k: usize| Complex {
            re: libm::sin(k as f64 * 1.7) + 0.3,
            im: libm::cos(k as f64 * 0.9),
        };
        (0..length).map(value).collect()
    }

    #[test]
    fn the_transform_is_the_definition() {
        for bits in 1..8_u32 {
            let length = 1_usize << bits;
            let fourier = Fourier::new(length);
            let before = sequence(length);
            let mut after = before.clone();
            fourier.forward(&mut after);
            let size: f64 = before.iter().map(|value| value.modulus()).sum();
            for (place, got) in after.iter().enumerate() {
                let k = place.reverse_bits() >> (usize::BITS - bits);
                let mut want = Complex { re: 0.0, im: 0.0 };
                for (j, value) in before.iter().enumerate() {
                    let angle = -2.0 * PI * ((j * k) % length) as f64 / length as f64;
                    want = want.plus(value.times(Complex {
                        re: libm::cos(angle),
                        im: libm::sin(angle),
                    }));
                }
                assert!(got.minus(want).modulus() <= fourier.error() * size);
            }
            fourier.backward(&mut after);
            for (got, want) in after.iter().zip(&before) {
                let got = Complex {
                    re: got.re / length as f64,
                    im: got.im / length as f64,
                };
                assert!(got.minus(*want).modulus() <= 2.0 * fourier.error() * size);
            }
        }
    }

    #[test]
    fn a_power_is_a_product() {
        let z = Complex { re: 0.6, im: 0.79 };
        let product = (0..13).fold(Complex::ONE, |product, _| product.times(z));
        assert!(product.minus(z.power(13)).modulus() < 1e-14);
        assert_eq!(z.power(0), Complex::ONE);
    }
}
