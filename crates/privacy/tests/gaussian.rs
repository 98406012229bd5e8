//! The accountant against answers that were computed elsewhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZeroU32;
use std::path::Path;

use privacy::{Delta, Epsilon, Mu};
use serde_json::Value;

#[test]
fn delta_epsilon_and_mu_are_the_mpmath_ones_rounded_the_safe_way() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/gaussian.json")).unwrap();
    for row in rows(&vectors, "delta") {
        let got = mu(&row["mu"]).delta(epsilon(&row["epsilon"]));
        assert_just_above(got, number(&row["delta"]), 1e-9, row);
    }
    for row in rows(&vectors, "epsilon") {
        let got = mu(&row["mu"]).epsilon(delta(&row["delta"]));
        assert_just_above(got, number(&row["epsilon"]), 1e-9, row);
    }
    for row in rows(&vectors, "mu") {
        let got = Mu::calibrate(epsilon(&row["epsilon"]), delta(&row["delta"])).get();
        assert_just_above(number(&row["mu"]), got, 1e-10, row);
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped check has to be seen")]
fn every_row_of_the_shared_reference_is_met() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/gaussian_exact.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!(
            "skipped: {} is not there (it is not part of the repository)",
            path.display()
        );
        return;
    };
    let reference: Value = serde_json::from_str(&text).unwrap();
    for row in rows(&reference, "epsilon") {
        let step = Mu::from_noise_multiplier(number(&row["noise_multiplier"])).unwrap();
        let got = Mu::compose(std::iter::repeat_n(step, steps(row).get() as usize))
            .epsilon(delta(&row["delta"]));
        let want = number(&row["epsilon"]);
        assert!(
            got >= want - 1e-9 && got <= want * (1.0 + 1e-6),
            "{got}: {row}"
        );
    }
    for row in rows(&reference, "calibration") {
        let loss = Mu::calibrate(epsilon(&row["target_epsilon"]), delta(&row["delta"]));
        let (got, want) = (
            loss.noise_multiplier(steps(row)),
            number(&row["noise_multiplier"]),
        );
        assert!(
            got >= want * (1.0 - 1e-9) && got <= want * (1.0 + 1e-6),
            "{got}: {row}"
        );
    }
}

/// `upper` is at least `lower`, up to the rounding of the vectors themselves, and at most `excess`
/// above it, relative.
fn assert_just_above(upper: f64, lower: f64, excess: f64, row: &Value) {
    let printed = lower * (1.0 - f64::EPSILON);
    assert!(
        upper >= printed && upper <= lower * (1.0 + excess) + f64::MIN_POSITIVE,
        "{upper:e}, {lower:e}: {row}"
    );
}

fn rows<'a>(vectors: &'a Value, name: &str) -> &'a [Value] {
    let rows = vectors[name].as_array().unwrap();
    assert!(!rows.is_empty());
    rows
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn mu(value: &Value) -> Mu {
    Mu::try_from(number(value)).unwrap()
}

fn epsilon(value: &Value) -> Epsilon {
    Epsilon::try_from(number(value)).unwrap()
}

fn delta(value: &Value) -> Delta {
    Delta::try_from(number(value)).unwrap()
}

fn steps(row: &Value) -> NonZeroU32 {
    u32::try_from(row["steps"].as_u64().unwrap())
        .unwrap()
        .try_into()
        .unwrap()
}
