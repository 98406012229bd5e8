//! What makes sites and thresholds ones that hide a site among the others.

use super::{StudyError, require, unique};
use crate::agreement;
use crate::id::Purpose;
use crate::study::graph::{self, COMPLETE, MOST_HOLDERS};
use crate::study::{Crowd, Graph, Manifest, Participants};

pub(super) fn check(manifest: &Manifest) -> Result<(), StudyError> {
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
                 {dishonest} that may be dishonest: else raise aggregation.threshold, or allow for fewer"
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
    let tolerated = crowd.most_dishonest().is_some_and(|most| dishonest <= most);
    require(tolerated, GRAPH, || {
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
