//! The sampler's output against the distribution it claims, with fixed seeds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chacha20::ChaCha20Rng;
use privacy::DiscreteGaussian;
use privacy::sampler::MAX_VARIANCE;
use rand_core::SeedableRng;
use serde_json::Value;

const SAMPLES: usize = 200_000;

fn samples(variance: u128, seed: u8) -> Vec<i64> {
    let gaussian = DiscreteGaussian::new(variance).unwrap();
    let mut rng = ChaCha20Rng::from_seed([seed; 32]);
    (0..SAMPLES).map(|_| gaussian.sample(&mut rng)).collect()
}

/// exp(−y² / 2σ²), normalised over the integers.
fn pmf(variance: u128) -> impl Fn(i64) -> f64 {
    let weight = move |y: i64| (-((y * y) as f64) / (2.0 * variance as f64)).exp();
    let reach = 40 * i64::try_from(variance.isqrt() + 1).unwrap();
    let normal: f64 = (-reach..=reach).map(weight).sum();
    move |y| weight(y) / normal
}

#[test]
fn samples_are_those_of_an_independent_program_on_the_same_stream() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/sampler.json")).unwrap();
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    for row in vectors["rows"].as_array().unwrap() {
        let gaussian = DiscreteGaussian::new(row["variance"].as_u64().unwrap().into()).unwrap();
        for want in row["samples"].as_array().unwrap() {
            assert_eq!(
                Some(gaussian.sample(&mut rng)),
                want.as_i64(),
                "σ² {}",
                gaussian.variance()
            );
        }
    }
}

#[test]
fn mean_and_variance_are_those_of_the_distribution() {
    for (seed, variance) in (0..).zip([1, 2, 4, 5, 16, 100, 10_007, 1 << 40, 1 << 50, MAX_VARIANCE])
    {
        let (count, sigma2) = (SAMPLES as f64, variance as f64);
        let samples = samples(variance, seed);
        let mean = samples.iter().map(|y| *y as f64).sum::<f64>() / count;
        let square = samples.iter().map(|y| (*y as f64).powi(2)).sum::<f64>() / count;
        assert!(
            mean.abs() <= 4.0 * (sigma2 / count).sqrt(),
            "σ² {variance}: mean {mean}"
        );
        // The fourth moment is 3σ⁴, so a square has a standard deviation of √2 σ².
        assert!(
            (square / sigma2 - 1.0).abs() <= 4.0 * (2.0 / count).sqrt(),
            "σ² {variance}: variance {square}"
        );
    }
}

#[test]
fn small_variances_have_the_exact_probabilities_by_chi_square() {
    for (seed, variance) in (20..).zip([1, 2, 4, 7, 25, 100]) {
        let (samples, pmf) = (samples(variance, seed), pmf(variance));
        // Outcomes expected at least ten times are a cell each, the two tails together one more.
        let widest = (0..)
            .take_while(|y| pmf(*y) * SAMPLES as f64 >= 10.0)
            .last()
            .unwrap();
        let count = |want: i64| samples.iter().filter(|y| **y == want).count() as f64;
        let term = |got: f64, want: f64| (got - want).powi(2) / want;
        let cells: Vec<(f64, f64)> = (-widest..=widest)
            .map(|y| (count(y), pmf(y) * SAMPLES as f64))
            .collect();
        let (got, want) = cells
            .iter()
            .fold((0.0, 0.0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
        let tails = term(SAMPLES as f64 - got, (SAMPLES as f64 - want).max(1.0));
        let statistic = tails
            + cells
                .iter()
                .map(|(got, want)| term(*got, *want))
                .sum::<f64>();
        // Mean k and variance 2k for k degrees of freedom.
        let freedom = cells.len() as f64;
        assert!(
            statistic <= freedom + 4.0 * (2.0 * freedom).sqrt(),
            "σ² {variance}: χ² {statistic} for {freedom}"
        );
    }
}

#[test]
fn large_variances_have_the_right_shape_by_kolmogorov_and_smirnov() {
    for (seed, variance) in (40..).zip([10_000, 1 << 30, 1 << 40, (1 << 50) - 3, MAX_VARIANCE]) {
        let mut samples = samples(variance, seed);
        samples.sort_unstable();
        let deviation = (variance as f64).sqrt();
        // The sum of a discrete Gaussian up to y is the continuous integral up to y + ½, to 1 /
        // 24σ² (midpoint rule).
        let cdf = |y: i64| 0.5 * libm::erfc(-(y as f64 + 0.5) / (deviation * 2.0_f64.sqrt()));
        let distance =
            samples
                .chunk_by(|a, b| a == b)
                .fold((0_usize, 0.0_f64), |(seen, worst), equal| {
                    let seen = seen + equal.len();
                    (
                        seen,
                        worst.max((seen as f64 / SAMPLES as f64 - cdf(equal[0])).abs()),
                    )
                });
        // 1.95 / √n is passed once in a thousand by the true distribution.
        assert!(
            distance.1 <= 1.95 / (SAMPLES as f64).sqrt(),
            "σ² {variance}: distance {}",
            distance.1
        );
    }
}

#[test]
fn neighbouring_samples_are_not_correlated() {
    let samples = samples(1 << 20, 60);
    let product: f64 = samples
        .windows(2)
        .map(|pair| (pair[0] * pair[1]) as f64)
        .sum();
    let correlation = product / (SAMPLES as f64 * (1 << 20) as f64);
    assert!(
        correlation.abs() <= 4.0 / (SAMPLES as f64).sqrt(),
        "{correlation}"
    );
}
