//! From a site's real sums to the integers that are masked: rounding, noise, range.

use privacy::DiscreteGaussian;
use privacy::rounding;
use privacy::sampler::VarianceTooLarge;
use protocol::seed::Seed;
use protocol::study::{Layout, Section};

/// The vector of a round: each section's values over its grid, rounded stochastically, with this site's share of the
/// noise that stays in every sum, set to the section's bound where they lie beyond. No value is refused for what it is, since
/// values follow from patients: what is not a number, which no work makes, adds nothing.
///
/// `values` holds one list of real sums a section. Rounding and noise draw from streams of their own, so that one does
/// not shift the other.
///
/// # Errors
///
/// [`VectorError`]: lengths that do not fit, and noise that cannot be drawn; nothing that follows from patients.
pub(crate) fn noised(
    layout: &Layout,
    values: &[Vec<f64>],
    seed: &Seed,
) -> Result<Vec<i64>, VectorError> {
    let mut vector = Vec::with_capacity(layout.length());
    for (section, values) in layout.sections.iter().zip(values) {
        vector.append(&mut noised_section(section, values, seed)?);
    }
    Ok(vector)
}

/// One section of such a vector.
///
/// # Errors
///
/// As of [`noised`].
pub(crate) fn noised_section(
    section: &Section,
    values: &[f64],
    seed: &Seed,
) -> Result<Vec<i64>, VectorError> {
    let name = section.name.name();
    if values.len() != section.length {
        let (got, want) = (values.len(), section.length);
        return Err(VectorError::Length {
            section: name,
            got,
            want,
        });
    }
    let mut vector = Vec::with_capacity(values.len());
    let mut rounding = seed.derive(&format!("rounding of {name}")).rng();
    let mut noise = seed.derive(&format!("noise of {name}")).rng();
    let gaussian = section.variance.map(DiscreteGaussian::new).transpose()?;
    let bound = i64::try_from(section.bound).unwrap_or(i64::MAX);
    for &value in values {
        let rounded = rounding::round(on_grid(value, section.grid), &mut rounding)
            .expect("a finite number of steps below 2^62 can be rounded");
        let share = gaussian
            .as_ref()
            .map_or(0, |gaussian| gaussian.sample(&mut noise));
        vector.push(rounded.saturating_add(share).clamp(-bound, bound));
    }
    Ok(vector)
}

/// The value in steps of the grid, within the range of what can be rounded, which is far beyond every section's bound.
fn on_grid(value: f64, grid: f64) -> f64 {
    const MOST: f64 = (1_u64 << 61) as f64;
    let steps = value / grid;
    if steps.is_nan() {
        0.0
    } else {
        steps.clamp(-MOST, MOST)
    }
}

/// Why sums cannot be made a vector.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum VectorError {
    /// A section has another length than the layout gives it.
    #[error("section {section} has {got} values and the layout wants {want}")]
    Length {
        section: &'static str,
        got: usize,
        want: usize,
    },
    /// The layout asks for more noise than can be drawn.
    #[error(transparent)]
    Variance(#[from] VarianceTooLarge),
}

#[cfg(test)]
mod tests {
    use protocol::study::SectionName;

    use super::*;

    fn layout(variance: Option<u128>, length: usize) -> Layout {
        let section = Section {
            name: SectionName::Update,
            length,
            grid: 0.5,
            sensitivity: 1.0,
            variance,
            parts: Vec::new(),
            bound: 1_000,
            mu: None,
        };
        Layout {
            sections: vec![section],
            modulus_bits: 16,
            local: None,
            loss: privacy::Loss::Unprotected,
        }
    }

    #[test]
    fn without_noise_multiples_of_the_grid_are_exact() {
        let vector = noised(
            &layout(None, 3),
            &[vec![1.0, -2.5, 0.0]],
            &Seed::new([1; 32]),
        )
        .unwrap();
        assert_eq!(vector, [2, -5, 0]);
    }

    #[test]
    fn noise_has_the_variance_of_the_layout_and_no_mean() {
        let count = 20_000;
        let vector = noised(
            &layout(Some(400), count),
            &[vec![10.0; count]],
            &Seed::new([2; 32]),
        )
        .unwrap();
        let mean = vector.iter().sum::<i64>() as f64 / count as f64;
        let variance = vector
            .iter()
            .map(|v| (*v as f64 - mean).powi(2))
            .sum::<f64>()
            / count as f64;
        assert!((mean - 20.0).abs() < 0.6, "mean {mean}");
        assert!((variance / 400.0 - 1.0).abs() < 0.05, "variance {variance}");
    }

    #[test]
    fn a_value_beyond_the_range_is_set_to_its_end() {
        let vector = noised(&layout(None, 2), &[vec![1e9, -1e9]], &Seed::new([3; 32])).unwrap();
        assert_eq!(vector, [1_000, -1_000]);
    }

    #[test]
    fn no_sum_is_refused_for_its_values() {
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300];
        let vector = noised(&layout(None, 5), &[values.to_vec()], &Seed::new([4; 32])).unwrap();
        assert_eq!(vector, [0, 1_000, -1_000, 1_000, -1_000]);
    }
}
