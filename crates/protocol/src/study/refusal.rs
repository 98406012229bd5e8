//! What makes a manifest one that can be run.

use std::collections::BTreeSet;

use super::graph::{self, COMPLETE, MOST_HOLDERS};
use super::{
    AdaptiveClip, Algorithm, Architecture, Averaging, Batch, Clustering, Cohort, ControlVariates,
    Crowd, Graph, Manifest, Model, Normalisation, Optimizer, Participants, Personalisation,
    Privacy, Shape, Trained, Training,
};
use crate::agreement;
use crate::id::Purpose;

/// Why a study file is refused. The study's author can act on each.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The file is not UTF-8.
    #[error("the study is not a UTF-8 text file")]
    NotText,
    /// The file is no TOML of a manifest.
    #[error("the study cannot be read: {0}")]
    Malformed(String),
    /// A setting is out of its range, or does not fit another.
    #[error("{setting}: {problem}")]
    Setting {
        /// The setting's name in the file.
        setting: &'static str,
        /// What is wrong, with the values, and what would be right.
        problem: String,
    },
    /// The sum of all sites' values could pass the modulus.
    #[error(
        "section {section} needs a modulus of {bits} bits and 32 is the most: lower aggregation.fraction-bits or \
         aggregation.patients-per-site"
    )]
    Overflow {
        /// The section of the vector.
        section: &'static str,
        /// Bits that it would need.
        bits: u32,
    },
    /// The grid is so coarse against the noise that discrete noise cannot stand for continuous noise.
    #[error(
        "the grid is too coarse for the noise: ε would have to rise by {excess:.2e}, above a thousandth of it; raise \
         aggregation.fraction-bits"
    )]
    Coarse {
        /// By how much ε would have to rise.
        excess: f64,
    },
    /// No noise that can be added in this layout gives the budget.
    #[error("section {section}: {problem}")]
    Noise {
        /// The section of the vector.
        section: &'static str,
        /// What is wrong.
        problem: String,
    },
}

impl StudyError {
    /// A setting with a problem.
    pub(super) fn setting(setting: &'static str, problem: &impl ToString) -> Self {
        Self::Setting {
            setting,
            problem: problem.to_string(),
        }
    }
}

/// Refuses a manifest that cannot be run as it says. Overflow and noise are checked with the layouts.
pub(super) fn check(manifest: &Manifest) -> Result<(), StudyError> {
    check_cohort(&manifest.cohort)?;
    check_model(&manifest.model)?;
    check_training(&manifest.training)?;
    if let Some(personalisation) = &manifest.personalisation {
        check_personalisation(personalisation)?;
    }
    if let Some(clustering) = &manifest.clustering {
        check_clustering(clustering)?;
    }
    check_privacy(&manifest.privacy, manifest.cohort.normalisation)?;
    check_shares(manifest)?;
    check_accounting(manifest)?;
    check_roster(manifest)
}

fn check_cohort(cohort: &Cohort) -> Result<(), StudyError> {
    let days = cohort.history_days;
    require((1..=3_660).contains(&days), "cohort.history-days", || {
        format!("{days} is not from 1 to 3660")
    })?;
    require(
        (2..=16).contains(&cohort.classes.len()),
        "cohort.classes",
        || format!("{} classes; want 2 to 16", cohort.classes.len()),
    )?;
    unique(cohort.classes.iter(), "cohort.classes")?;
    let split = cohort.split;
    let shares_fit = split.train > 0.0 && split.tuning >= 0.0 && split.train + split.tuning <= 1.0;
    require(shares_fit, "cohort.split", || {
        format!(
            "train {} and tuning {} are no shares that add to at most 1",
            split.train, split.tuning
        )
    })?;
    let labels = cohort.labels_per_patient;
    require(
        (1..=Cohort::MOST_LABELS).contains(&labels),
        "cohort.labels-per-patient",
        || format!("{labels} is not from 1 to {}", Cohort::MOST_LABELS),
    )?;
    require(!cohort.modalities.is_empty(), "cohort.modality", || {
        "want at least one".to_owned()
    })?;
    unique(
        cohort.modalities.iter().map(|modality| &modality.name),
        "cohort.modality.name",
    )?;
    for modality in &cohort.modalities {
        let name = &modality.name;
        require(
            (1..=4_096).contains(&modality.features.len()),
            "cohort.modality.feature",
            || {
                format!(
                    "{name} has {} features; want 1 to 4096",
                    modality.features.len()
                )
            },
        )?;
        if let Shape::Series {
            bin_days,
            bins_per_token,
        } = modality.shape
        {
            let bins_fit = bin_days > 0 && days.is_multiple_of(bin_days);
            require(bins_fit, "cohort.modality.shape.series.bin-days", || {
                format!("{name}: bins of {bin_days} days do not divide a history of {days} days")
            })?;
            let tokens_fit = bins_per_token > 0 && (days / bin_days).is_multiple_of(bins_per_token);
            require(
                tokens_fit,
                "cohort.modality.shape.series.bins-per-token",
                || {
                    format!(
                        "{name}: {bins_per_token} does not divide its {} bins",
                        days / bin_days
                    )
                },
            )?;
        }
    }
    for feature in cohort.features() {
        let finite = [feature.low, feature.high, feature.mean, feature.sd]
            .iter()
            .all(|v| v.is_finite());
        require(
            finite && feature.low < feature.high && feature.sd > 0.0,
            "cohort.modality.feature",
            || {
                format!(
                    "{}: want low < high and sd > 0, all finite; has low {}, high {}, mean {}, sd {}",
                    feature.code, feature.low, feature.high, feature.mean, feature.sd
                )
            },
        )?;
    }
    unique(
        cohort.features().map(|feature| &feature.code),
        "cohort.modality.feature.code",
    )
}

fn check_model(model: &Model) -> Result<(), StudyError> {
    require(
        (1..=16_777_216).contains(&model.parameters),
        "model.parameters",
        || format!("{} is not from 1 to 16777216", model.parameters),
    )?;
    if let Trained::Blocks(names) = &model.trained {
        require(!names.is_empty(), "model.trained.blocks", || {
            "is empty: name at least one block, as \"head\"".to_owned()
        })?;
        unique(names.iter(), "model.trained.blocks")?;
    }
    match model.architecture {
        Architecture::Linear { .. } => Ok(()),
        Architecture::Mlp { hidden, .. } => require(
            (1..=4_096).contains(&hidden),
            "model.architecture.mlp.hidden",
            || format!("{hidden} is not from 1 to 4096"),
        ),
        Architecture::Transformer {
            width,
            heads,
            layers,
            feed_forward,
            ..
        } => check_transformer(width, heads, layers, feed_forward),
    }
}

fn check_transformer(
    width: u32,
    heads: u32,
    layers: u32,
    feed_forward: u32,
) -> Result<(), StudyError> {
    let fits = (1..=1_024).contains(&width) && heads > 0 && width.is_multiple_of(heads);
    require(fits, "model.architecture.transformer", || {
        format!("{heads} heads do not divide a width of {width} (1 to 1024)")
    })?;
    require(
        (1..=16).contains(&layers),
        "model.architecture.transformer.layers",
        || format!("{layers} is not from 1 to 16"),
    )?;
    require(
        (1..=4_096).contains(&feed_forward),
        "model.architecture.transformer.feed-forward",
        || format!("{feed_forward} is not from 1 to 4096"),
    )
}

fn check_training(training: &Training) -> Result<(), StudyError> {
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

fn check_personalisation(personalisation: &Personalisation) -> Result<(), StudyError> {
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

/// Refuses algorithm and privacy settings that no accountant here covers together.
fn check_accounting(manifest: &Manifest) -> Result<(), StudyError> {
    let training = &manifest.training;
    if let Some(AdaptiveClip {
        quantile,
        rate,
        share,
    }) = manifest.privacy.adaptive_clip
    {
        let between = |value: f64| value > 0.0 && value < 1.0;
        require(
            between(quantile) && between(share) && rate > 0.0 && rate.is_finite(),
            "privacy.adaptive-clip",
            || {
                format!(
                    "want quantile {quantile} and share {share} between 0 and 1, and rate {rate} above 0"
                )
            },
        )?;
        require(
            matches!(training.algorithm, Algorithm::Gradient { .. }),
            "privacy.adaptive-clip",
            || "only gradients are counted; averaging has no adaptive clip norm".to_owned(),
        )?;
    }
    if manifest.privacy.epsilon.is_infinite() {
        return Ok(());
    }
    require(
        !matches!(training.algorithm.batch(), Batch::Shuffled { .. }),
        "training.algorithm.batch",
        || {
            "shuffled mini-batches have no proved ε; take batch = \"all\" or batch.sampled, or epsilon = inf"
                .to_owned()
        },
    )
}

fn check_privacy(privacy: &Privacy, normalisation: Normalisation) -> Result<(), StudyError> {
    require(privacy.epsilon > 0.0, "privacy.epsilon", || {
        format!("{} is not above 0; `inf` means no noise", privacy.epsilon)
    })?;
    require(
        privacy.delta > 0.0 && privacy.delta < 1.0,
        "privacy.delta",
        || format!("{} is not between 0 and 1", privacy.delta),
    )?;
    require(
        privacy.clip_norm > 0.0 && privacy.clip_norm <= 1e6,
        "privacy.clip-norm",
        || {
            format!(
                "{} is not above 0 and at most 1000000: the range of the sum depends on it",
                privacy.clip_norm
            )
        },
    )?;
    let shares = [
        privacy.moments_share,
        privacy.metrics_share,
        privacy.weight_share,
    ];
    let fits = shares.iter().all(|share| (0.0..1.0).contains(share));
    require(fits, "privacy", || {
        format!(
            "moments-share {}, metrics-share {} and weight-share {} must each be from 0 to below 1",
            shares[0], shares[1], shares[2]
        )
    })?;
    if privacy.epsilon.is_infinite() {
        return Ok(());
    }
    require(
        privacy.metrics_share > 0.0 && privacy.weight_share > 0.0,
        "privacy",
        || {
            "metrics-share and weight-share must be above 0: what they pay for is always released"
                .to_owned()
        },
    )?;
    let moments_released = normalisation == Normalisation::Shared;
    require(
        moments_released == (privacy.moments_share > 0.0),
        "privacy.moments-share",
        || {
            format!(
                "{} does not fit {normalisation:?} normalisation: above 0 where moments are shared, else 0",
                privacy.moments_share
            )
        },
    )
}

/// Refuses shares that leave nothing of the budget to training.
fn check_shares(manifest: &Manifest) -> Result<(), StudyError> {
    let privacy = &manifest.privacy;
    let clustering = manifest
        .clustering
        .map_or(0.0, |clustering| clustering.share);
    let together = privacy.moments_share + privacy.metrics_share + clustering;
    require(together < 1.0, "privacy", || {
        format!(
            "moments-share {}, metrics-share {} and clustering.share {clustering} add to {together}, which leaves \
             nothing for training: they must add to less than 1",
            privacy.moments_share, privacy.metrics_share
        )
    })
}

fn check_clustering(clustering: &Clustering) -> Result<(), StudyError> {
    let most = Clustering::MOST_CLUSTERS;
    require(
        (2..=most).contains(&clustering.clusters),
        "clustering.clusters",
        || format!("{} is not from 2 to {most}", clustering.clusters),
    )?;
    require(
        (1..=1_000).contains(&clustering.rounds),
        "clustering.rounds",
        || format!("{} is not from 1 to 1000", clustering.rounds),
    )?;
    require(
        (1..=1_024).contains(&clustering.dimensions),
        "clustering.dimensions",
        || format!("{} is not from 1 to 1024", clustering.dimensions),
    )?;
    require(
        clustering.radius > 0.0 && clustering.radius <= 1e6,
        "clustering.radius",
        || format!("{} is not above 0 and at most 1000000", clustering.radius),
    )?;
    require(
        clustering.share > 0.0 && clustering.share < 1.0,
        "clustering.share",
        || format!("{} is not between 0 and 1", clustering.share),
    )
}

fn check_roster(manifest: &Manifest) -> Result<(), StudyError> {
    let sites = manifest.roster.len();
    require((3..=MOST_SITES).contains(&sites), "roster", || {
        format!(
            "{sites} sites; want 3 to {MOST_SITES}: with two, each would see the other's vector in the sum"
        )
    })?;
    unique(
        manifest.roster.iter().map(|member| &member.name),
        "roster.name",
    )?;
    unique(
        manifest.roster.iter().map(|member| &member.key),
        "roster.key",
    )?;
    let aggregation = &manifest.aggregation;
    require(
        agreement::check(&aggregation.key).is_ok(),
        "aggregation.key",
        || {
            format!(
                "{} is of small order or not in canonical form: anybody could open what is sealed to it",
                aggregation.key
            )
        },
    )?;
    let threshold = usize::from(aggregation.threshold);
    require(
        threshold * 2 > sites && threshold <= sites,
        "aggregation.threshold",
        || format!("{threshold} is not above half of {sites} sites and at most all"),
    )?;
    let mut least = threshold;
    if let Participants::Random {
        sites: some,
        threshold,
    } = manifest.training.participants
    {
        let (some, agreeing) = (usize::from(some), usize::from(threshold));
        require(
            (3..=sites).contains(&some) && agreeing * 2 > some && agreeing <= some,
            "training.participants",
            || {
                format!(
                    "{some} of {sites} sites with a threshold of {agreeing}: want 3 sites to all, and a threshold above \
                     half of them"
                )
            },
        )?;
        least = least.min(agreeing);
    }
    let honest = usize::from(manifest.privacy.honest_survivors);
    require(
        (1..=least).contains(&honest),
        "privacy.honest-survivors",
        || {
            format!(
                "{honest} is not from 1 to the threshold, {least}: no round with fewer sites than that is opened"
            )
        },
    )?;
    for purpose in [Purpose::Evaluate, Purpose::Train] {
        let crowd = manifest.crowd(purpose);
        check_graph(crowd, aggregation.graph.filter(|_| crowd.sites > COMPLETE))?;
    }
    require(
        (1..=10_000_000).contains(&aggregation.patients_per_site),
        "aggregation.patients-per-site",
        || {
            format!(
                "{} is not from 1 to 10000000",
                aggregation.patients_per_site
            )
        },
    )?;
    require(
        (1..=24).contains(&aggregation.fraction_bits),
        "aggregation.fraction-bits",
        || format!("{} is not from 1 to 24", aggregation.fraction_bits),
    )
}

/// Refuses a graph in which a site could be told from the others, or with which rounds would often fail.
fn check_graph(crowd: Crowd, graph: Option<Graph>) -> Result<(), StudyError> {
    let Crowd {
        sites,
        agreeing,
        dishonest,
    } = crowd;
    let Some(graph) = graph else {
        return require(sites <= MOST_HOLDERS, GRAPH, || {
            format!(
                "{sites} sites need one; `host compose` computes it, where one is enough for {agreeing} that agree and \
                 {dishonest} that may be dishonest: else raise aggregation.threshold, or stand fewer"
            )
        });
    };
    let Graph {
        neighbours,
        threshold,
    } = graph;
    require(
        (2..sites.min(MOST_HOLDERS)).contains(&neighbours) && (2..=neighbours).contains(&threshold),
        GRAPH,
        || {
            format!(
                "{neighbours} neighbours and a threshold of {threshold}: want neighbours below {}, and a threshold from 2 \
                 to the neighbours",
                sites.min(MOST_HOLDERS)
            )
        },
    )?;
    let stands = crowd.most_dishonest().is_some_and(|most| dishonest <= most);
    require(stands, GRAPH, || {
        format!(
            "{agreeing} of {sites} sites agree and {dishonest} of them need not be honest: two lists of survivors could \
             both be signed; raise aggregation.threshold or privacy.honest-survivors"
        )
    })?;
    let chance = |what: &str, chance: f64| {
        require(chance <= graph::TARGET, GRAPH, || {
            let chance = chance.min(0.0);
            format!(
                "{what} with a chance of up to 2^{chance:.1}, above 2^-40; `host compose` computes a graph that will do"
            )
        })
    };
    chance("some sites could be exposed", crowd.exposed(graph))?;
    chance("a round would be abandoned", crowd.stuck(graph))
}

const GRAPH: &str = "aggregation.graph";

/// The most sites of a study: each computes the graph of all.
const MOST_SITES: usize = 4_096;

fn unique<T: Ord + std::fmt::Display>(
    values: impl Iterator<Item = T>,
    setting: &'static str,
) -> Result<(), StudyError> {
    let mut seen = BTreeSet::new();
    for value in values {
        if seen.contains(&value) {
            return Err(StudyError::setting(
                setting,
                &format!("{value} stands twice"),
            ));
        }
        seen.insert(value);
    }
    Ok(())
}

#[expect(
    clippy::fn_params_excessive_bools,
    reason = "the condition itself, not a mode"
)]
fn require(
    holds: bool,
    setting: &'static str,
    problem: impl FnOnce() -> String,
) -> Result<(), StudyError> {
    if holds {
        Ok(())
    } else {
        Err(StudyError::setting(setting, &problem()))
    }
}
