//! What one patient has spent, would have spent with a study, and may spend, in plain words.

use std::io::Write;

use anyhow::{Result, bail};
use host::config::Config;
use host::{decisions, ledger};
use privacy::{Budget, Delta, Total};
use protocol::study::Study;

/// Writes what a study costs on top of all studies before, and refuses one that the patient budget does not cover.
pub(super) fn show(config: &Config, study: &Study, out: &mut dyn Write) -> Result<()> {
    let budget = decisions::budget_in_force(config)?;
    let spending = Spending::of(config, study, budget)?;
    let at = Delta::try_from(spending.delta(study, budget))?;
    let epsilon = |total: &Total| shown(total.epsilon(at));
    writeln!(out, "one patient, at δ {at}:")?;
    writeln!(
        out,
        "  so far    ε {} over all studies ({} releases)",
        epsilon(&spending.so_far),
        spending.releases
    )?;
    writeln!(
        out,
        "  study     ε {} for all its rounds",
        epsilon(&spending.study)
    )?;
    writeln!(out, "  together  ε {}", epsilon(&spending.together))?;
    let Some(budget) = budget else {
        writeln!(
            out,
            "  allowed   without limit: host.toml says patient-budget = \"none\", which is for experiments alone"
        )?;
        return Ok(());
    };
    writeln!(out, "  allowed   ε {} (the patient budget)", budget.epsilon)?;
    if budget.covers(&spending.together) {
        return Ok(());
    }
    refuse(&spending, budget)
}

/// What the releases of a site can tell of one patient.
struct Spending {
    /// All of them until now.
    so_far: Total,
    releases: usize,
    /// Those of the study, to its end.
    study: Total,
    /// Those of all other studies until now, and those of the study to its end.
    together: Total,
}

impl Spending {
    fn of(config: &Config, study: &Study, budget: Option<Budget>) -> Result<Self> {
        let (so_far, others, releases) = match ledger::read(&config.state, budget)? {
            Some(ledger) => {
                let others = ledger.without_study(study.digest());
                (ledger.total(), others, ledger.lines().len())
            }
            None => (Total::ZERO, Total::ZERO, 0),
        };
        let plan = study.plan();
        let costs = plan.iter().map(|purpose| study.cost(*purpose));
        Ok(Self {
            so_far,
            releases,
            study: Total::of(costs.clone()),
            together: costs.fold(others, Total::and),
        })
    }

    /// The δ at which ε is counted: the budget's, and where there is none the study's.
    fn delta(&self, study: &Study, budget: Option<Budget>) -> f64 {
        let of_study = study.manifest().privacy.delta;
        budget.map_or(of_study, |budget| budget.delta.get())
    }
}

fn refuse(spending: &Spending, budget: Budget) -> Result<()> {
    let epsilon = spending.together.epsilon(budget.delta);
    if epsilon.is_infinite() {
        bail!(
            "not approved: a release without noise is within no patient budget (ε {} at δ {}); a site for experiments alone \
             is made with `host init --patient-budget none`",
            budget.epsilon,
            budget.delta
        );
    }
    bail!(
        "not approved: with this study ε would be {} at δ {}, and the patient budget is {}. Take no part in it, ask its author \
         for a smaller ε, or record a decision: `host budget raise --epsilon {:.2} --reason …`",
        shown(epsilon),
        budget.delta,
        budget.epsilon,
        // Rounded up, so that the command suffices.
        (epsilon * 100.0).ceil() / 100.0
    )
}

fn shown(epsilon: f64) -> String {
    if epsilon.is_infinite() {
        "infinite (no noise is added)".to_owned()
    } else {
        format!("{epsilon:.4}")
    }
}
