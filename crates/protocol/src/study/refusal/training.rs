//! What makes training and personalisation run.

use super::{StudyError, require};
use crate::study::{
    Algorithm, Averaging, Batch, ControlVariates, Optimizer, Personalisation, Training,
};

pub(super) fn check(training: &Training) -> Result<(), StudyError> {
    require(
        (1..=10_000).contains(&training.rounds),
        "training.rounds",
        || format!("{} is not from 1 to 10000", training.rounds),
    )?;
    require(
        training.weight_decay >= 0.0 && training.weight_decay.is_finite(),
        "training.weight-decay",
        || format!("{} is below 0 or not finite", training.weight_decay),
    )?;
    require(
        (0.0..=1.0).contains(&training.average_tail),
        "training.average-tail",
        || format!("{} is not from 0 to 1", training.average_tail),
    )?;
    if let Some(stopping) = training.stopping {
        require(
            stopping.every > 0 && stopping.patience > 0,
            "training.stopping",
            || "every and patience must be at least 1".to_owned(),
        )?;
        require(training.average_tail == 0.0, "training.stopping", || {
            "the best model is published, so average-tail must be 0".to_owned()
        })?;
    }
    check_optimizer(&training.optimizer, "training.optimizer")?;
    check_batch(training.algorithm.batch())?;
    match &training.algorithm {
        Algorithm::Gradient { batch } => require(
            !matches!(batch, Batch::Shuffled { .. }),
            "training.algorithm.batch",
            || "a gradient round has no mini-batches; take batch.sampled".to_owned(),
        ),
        Algorithm::Averaging(averaging) => check_averaging(averaging),
    }
}

fn check_optimizer(optimizer: &Optimizer, setting: &'static str) -> Result<(), StudyError> {
    let share = |value: f64| (0.0..1.0).contains(&value);
    let positive = |value: f64| value > 0.0 && value.is_finite();
    let fits = match *optimizer {
        Optimizer::Momentum { rate, momentum } => positive(rate) && share(momentum),
        Optimizer::Adam {
            rate,
            beta1,
            beta2,
            tau,
        }
        | Optimizer::Yogi {
            rate,
            beta1,
            beta2,
            tau,
        } => positive(rate) && share(beta1) && share(beta2) && positive(tau),
        Optimizer::Adagrad { rate, beta1, tau } => positive(rate) && share(beta1) && positive(tau),
    };
    require(fits, setting, || {
        format!("{optimizer:?}: want rate (and tau) above 0, the rest from 0 to below 1")
    })
}

fn check_batch(batch: Batch) -> Result<(), StudyError> {
    let fits = match batch {
        Batch::All => true,
        Batch::Sampled { rate } => rate > 0.0 && rate < 1.0,
        Batch::Shuffled { patients } => patients > 0,
    };
    require(fits, "training.algorithm.batch", || {
        format!("{batch:?}: want a rate between 0 and 1, or at least 1 patient")
    })
}

fn check_averaging(averaging: &Averaging) -> Result<(), StudyError> {
    let setting = "training.algorithm.averaging";
    require((1..=100_000).contains(&averaging.steps), setting, || {
        format!("{} steps; want 1 to 100000", averaging.steps)
    })?;
    check_optimizer(
        &averaging.optimizer,
        "training.algorithm.averaging.optimizer",
    )?;
    require(
        averaging.proximal >= 0.0 && averaging.proximal.is_finite(),
        setting,
        || format!("proximal {} is below 0 or not finite", averaging.proximal),
    )?;
    require(
        averaging.change_norm > 0.0 && averaging.change_norm <= 1e6,
        setting,
        || {
            format!(
                "change-norm {} is not above 0 and at most 1000000: the range of the sum depends on it",
                averaging.change_norm
            )
        },
    )?;
    let plain =
        matches!(averaging.optimizer, Optimizer::Momentum { momentum, .. } if momentum == 0.0);
    require(
        averaging.control_variates == ControlVariates::None || plain,
        setting,
        || {
            "control variates are of gradient descent: want optimizer.momentum with a momentum of 0"
                .to_owned()
        },
    )
}

pub(super) fn check_personalisation(personalisation: &Personalisation) -> Result<(), StudyError> {
    let Personalisation {
        steps,
        batch,
        optimizer,
        proximal,
    } = personalisation;
    require(
        (1..=100_000).contains(steps) && *proximal >= 0.0 && proximal.is_finite(),
        "personalisation",
        || {
            format!(
                "{steps} steps and a proximal term of {proximal}; want 1 to 100000, and 0 or above"
            )
        },
    )?;
    check_optimizer(optimizer, "personalisation.optimizer")?;
    check_batch(*batch)
}
