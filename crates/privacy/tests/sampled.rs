//! The accountant of sampled releases against answers that were computed elsewhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::num::NonZeroU32;
use std::path::Path;

use privacy::{Delta, Mu, Planned, Sampled, Total};
use serde_json::Value;

#[test]
fn epsilon_is_that_of_dp_accounting_and_below_that_of_renyi() {
    let Some(reference) = reference() else { return };
    let mut compared = 0;
    for row in rows(&reference, "epsilon") {
        // Its grid, and its table, leave out an ε above 50.
        let Some(want) = row["pld_dp_accounting"].as_f64() else {
            continue;
        };
        let total = Total::ZERO.and_sampled(kind(row), row["steps"].as_u64().unwrap());
        let delta: Delta = number(row, "delta").try_into().unwrap();
        let got = total.epsilon(delta);
        assert!(
            got >= want * (1.0 - 1e-3) && got <= want * (1.0 + 1e-2),
            "{got:e}: {row}"
        );
        let by_renyi = total.epsilon_by_renyi(delta);
        // Its table has coarse orders, of which no best one can be far better.
        let other = row["rdp_opacus"][0].as_f64().unwrap_or(f64::INFINITY);
        assert!(
            got <= by_renyi * (1.0 + 1e-9) && by_renyi <= other * 1.01,
            "{got:e} {by_renyi:e}: {row}"
        );
        compared += 1;
    }
    assert!(compared > 400, "{compared}");
}

#[test]
fn at_the_edges_of_what_is_accepted_epsilon_is_the_one_of_exact_integers() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/sampled.json")).unwrap();
    for row in rows(&vectors, "epsilon") {
        let total = Total::ZERO.and_sampled(kind(row), row["steps"].as_u64().unwrap());
        let delta: Delta = number(row, "delta").try_into().unwrap();
        let (got, want) = (total.epsilon(delta), number(row, "epsilon"));
        // What is absolutely tiny is relatively less exact.
        assert!(
            got >= want * (1.0 - 1e-5) && got <= want * (1.0 + 4e-3) + 6e-5,
            "{got:e}: {row}"
        );
        let there = total.delta(want.try_into().unwrap());
        assert!(there >= delta.get() * (1.0 - 1e-3), "{there:e}: {row}");
    }
}

#[test]
fn delta_at_the_epsilon_found_is_the_one_asked_for() {
    let Some(reference) = reference() else { return };
    for row in rows(&reference, "epsilon").iter().step_by(17) {
        // What is larger protects nobody, and the table ends before.
        if row["pld_dp_accounting"].is_null() {
            continue;
        }
        let total = Total::ZERO.and_sampled(kind(row), row["steps"].as_u64().unwrap());
        let want = number(row, "delta");
        let epsilon = total.epsilon(want.try_into().unwrap());
        let got = total.delta(epsilon.try_into().unwrap());
        assert!((got / want - 1.0).abs() < 2e-2, "{epsilon} {got:e}: {row}");
    }
}

#[test]
fn divergences_are_the_integrals_of_the_reference() {
    let Some(reference) = reference() else { return };
    for row in rows(&reference, "rdp_per_step") {
        let orders = row["orders"].as_array().unwrap();
        let exact = row["exact"].as_array().unwrap();
        for (order, want) in orders.iter().zip(exact) {
            let (order, want) = (order.as_f64().unwrap(), want.as_f64().unwrap());
            let got = kind(row).renyi_divergence(order);
            // Theirs is exact to about 1e-10, and to 1e-16 where the divergence is as small as that.
            assert!(
                (got - want).abs() <= 1e-8 * want + 1e-15,
                "order {order}, {got:e}, want {want:e}: {row}"
            );
        }
    }
}

#[test]
fn calibrated_noise_is_that_of_dp_accounting() {
    let Some(reference) = reference() else { return };
    for row in rows(&reference, "calibration") {
        let planned = Planned {
            steps: NonZeroU32::try_from(u32::try_from(row["steps"].as_u64().unwrap()).unwrap())
                .unwrap(),
            rate: number(row, "sampling_rate").try_into().unwrap(),
            rest: Mu::ZERO,
        };
        let epsilon = number(row, "target_epsilon").try_into().unwrap();
        let got = planned
            .noise_multiplier(epsilon, number(row, "delta").try_into().unwrap())
            .unwrap()
            .get();
        let want = number(row, "pld_dp_accounting");
        assert!((got / want - 1.0).abs() <= 1e-3, "{got}: {row}");
    }
}

#[expect(clippy::print_stderr, reason = "a skipped check has to be seen")]
fn reference() -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/reference/accountant_vectors.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!(
            "skipped: {} is not there (it is not part of the repository)",
            path.display()
        );
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

fn kind(row: &Value) -> Sampled {
    Sampled {
        noise_multiplier: number(row, "noise_multiplier").try_into().unwrap(),
        rate: rate(row).try_into().unwrap(),
    }
}

fn rate(row: &Value) -> f64 {
    let rate = row.get("rate").unwrap_or(&row["sampling_rate"]);
    rate.as_f64().unwrap()
}

fn rows<'a>(vectors: &'a Value, name: &str) -> &'a [Value] {
    let rows = vectors[name].as_array().unwrap();
    assert!(!rows.is_empty());
    rows
}

fn number(row: &Value, name: &str) -> f64 {
    row[name].as_f64().unwrap()
}
