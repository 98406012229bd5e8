//! The study: one TOML file that every hospital approves, named by the SHA-256 of its bytes.
//!
//! The bytes themselves are what is approved, so `sha256sum study.toml` prints the study's name, and nothing that
//! people read, a comment included, can change under it.
//!
//! ```text
//! bytes ──Study::parse──▶ Study ──plan──▶ purposes of its rounds
//!                           └────layout(purpose)──▶ Layout: sections, noise, modulus
//! ```

mod accounting;
mod clustering;
mod cohort;
mod draw;
mod excess;
mod fellows;
mod graph;
mod histograms;
mod layout;
mod model;
mod moments;
mod privacy;
mod ranges;
mod refusal;
mod rounds;
mod span;
mod training;

pub use clustering::Clustering;
pub use cohort::{Cohort, Encoding, Feature, Modality, Normalisation, Shape, Split};
pub use excess::Part;
pub use fellows::Survivors;
pub use graph::{COMPLETE, Crowd, Graph};
pub use histograms::Histograms;
pub use layout::{Layout, Local, Section, SectionName};
pub use model::{Architecture, Head, Missingness, Model, Summary, Trained};
pub use moments::moments_from_sum;
pub use privacy::{AdaptiveClip, Aggregation, ExcessNoise, Member, Privacy};
pub use refusal::StudyError;
pub use rounds::Rounds;
pub use span::{Span, SpanError};
pub use training::{
    Algorithm, Averaging, Batch, ControlVariates, Optimizer, Participants, Personalisation,
    Stopping, Training, Weighting,
};

use serde::{Deserialize, Serialize};

use crate::id::{Digest, Header, IdentityKey, Purpose, SiteId};
use crate::lottery::Lottery;

/// What the file says, not yet checked: [`Study`] is a manifest that can be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// What a person calls the study.
    pub title: String,
    /// What the model is for.
    pub purpose: String,
    /// The digest of the module that all sites run.
    pub module: Digest,
    /// Which patients and measurements.
    pub cohort: Cohort,
    /// The model.
    pub model: Model,
    /// How it is trained.
    pub training: Training,
    /// How a site may go on by itself from the published model; without it, it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personalisation: Option<Personalisation>,
    /// Phenotypes to find after training; without it, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clustering: Option<Clustering>,
    /// How predicted probabilities are counted where the model is measured.
    #[serde(default)]
    pub metrics: Histograms,
    /// When rounds are answered, and how often they may be begun.
    #[serde(default)]
    pub rounds: Rounds,
    /// How vectors are added.
    pub aggregation: Aggregation,
    /// What patients are promised.
    pub privacy: Privacy,
    /// The sites; a site's number is its place here.
    pub roster: Vec<Member>,
}

/// A study that can be run: every limit that the module or the aggregator enforces comes from here.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    digest: Digest,
    manifest: Manifest,
    /// Of the roster's lots; there where rounds are of some sites.
    lottery: Option<Lottery>,
}

impl Study {
    /// Parses and checks the bytes of a `study.toml`.
    ///
    /// # Errors
    ///
    /// Bytes that are no manifest, and a manifest that cannot be run as it says: numbers that could overflow the
    /// modulus, noise that cannot reach its ε, a threshold not above half of the roster, and the like.
    pub fn parse(bytes: &[u8]) -> Result<Self, StudyError> {
        let text = std::str::from_utf8(bytes).map_err(|_| StudyError::NotText)?;
        let manifest: Manifest =
            toml::from_str(text).map_err(|error| StudyError::Malformed(error.to_string()))?;
        let lottery = refusal::check(&manifest)?;
        let study = Self {
            digest: Digest::of(bytes),
            manifest,
            lottery,
        };
        accounting::check(&study.manifest)?;
        Ok(study)
    }

    /// The study's name: the SHA-256 of its bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What the file says.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The sections of the vector that a round with this purpose adds; none where the plan has no such round.
    ///
    /// # Panics
    ///
    /// Never: a study whose layouts cannot be made is refused when it is parsed.
    #[must_use]
    pub fn layout(&self, purpose: Purpose) -> Layout {
        Layout::of(&self.manifest, purpose)
            .expect("every layout was made once when the study was parsed")
    }

    /// The purposes of the study's rounds in order, if none is abandoned.
    #[must_use]
    pub fn plan(&self) -> Vec<Purpose> {
        self.manifest.plan()
    }

    /// The site with this key, if it is in the roster.
    #[must_use]
    pub fn site(&self, key: &IdentityKey) -> Option<SiteId> {
        let place = self
            .manifest
            .roster
            .iter()
            .position(|member| member.key == *key)?;
        u16::try_from(place).ok().map(SiteId)
    }

    /// The member with this number, if there is one.
    #[must_use]
    pub fn member(&self, site: SiteId) -> Option<&Member> {
        self.manifest.roster.get(usize::from(site.0))
    }

    /// All sites in order.
    pub fn sites(&self) -> impl Iterator<Item = SiteId> {
        (0..self.manifest.roster.len()).filter_map(|place| u16::try_from(place).ok().map(SiteId))
    }

    /// The sites that take part in a round, in order.
    ///
    /// Where some are drawn, the lottery of the roster's nonces says who, by the round's place in the plan: nobody can steer
    /// it once the roster is closed, and every party draws for itself ([`crate::lottery`]).
    #[must_use]
    pub fn participants(&self, header: &Header) -> Vec<SiteId> {
        let participants = self.manifest.training.participants;
        match (header.purpose, participants, &self.lottery) {
            (Purpose::Train, Participants::Random { sites, .. }, Some(lottery)) => {
                lottery.draw(header.place, self.sites(), sites)
            }
            _ => self.sites().collect(),
        }
    }

    /// Whether a site takes part in a round: whether it is one of [`Study::participants`].
    #[must_use]
    pub fn takes_part(&self, site: SiteId, header: &Header) -> bool {
        match (header.purpose, self.manifest.training.participants) {
            (Purpose::Train, Participants::Random { .. }) => {
                self.participants(header).contains(&site)
            }
            _ => self.member(site).is_some(),
        }
    }

    /// The graph of a round with this purpose; `None` where every site is every other's neighbour.
    #[must_use]
    pub fn graph(&self, purpose: Purpose) -> Option<Graph> {
        let crowd = self.manifest.crowd(purpose);
        let graph = self.manifest.aggregation.graph;
        graph.filter(|_| crowd.sites > COMPLETE)
    }

    /// Sites that must agree before masks of a round with this purpose are opened.
    #[must_use]
    pub fn threshold(&self, purpose: Purpose) -> usize {
        usize::from(self.manifest.crowd(purpose).agreeing)
    }
}

impl Manifest {
    /// The purposes of the study's rounds in order, if none is abandoned.
    #[must_use]
    pub fn plan(&self) -> Vec<Purpose> {
        let training = &self.training;
        let mut plan = Vec::new();
        if self.cohort.normalisation == Normalisation::Shared {
            plan.push(Purpose::Moments);
        }
        for step in 1..=training.rounds {
            plan.push(Purpose::Train);
            if training
                .stopping
                .is_some_and(|stopping| step.is_multiple_of(stopping.every))
            {
                plan.push(Purpose::Tune);
            }
            let due = training.evaluate_every > 0 && step % training.evaluate_every == 0;
            if due || step == training.rounds {
                plan.push(Purpose::Evaluate);
            }
        }
        if let Some(clustering) = &self.clustering {
            let rounds = |purpose, rounds: u32| (0..rounds).map(move |_| purpose);
            plan.extend(rounds(Purpose::Seed, clustering.seed_rounds()));
            plan.extend(rounds(Purpose::Cluster, clustering.rounds));
        }
        plan
    }

    /// The sites of a round with this purpose. At most so many are dishonest as may be missing from those that agree without
    /// being missed in the noise.
    #[must_use]
    pub fn crowd(&self, purpose: Purpose) -> Crowd {
        let (sites, agreeing) = match (purpose, self.training.participants) {
            (Purpose::Train, Participants::Random { sites, threshold }) => (sites, threshold),
            _ => (
                u16::try_from(self.roster.len()).unwrap_or(u16::MAX),
                self.aggregation.threshold,
            ),
        };
        Crowd {
            sites,
            agreeing,
            dishonest: agreeing.saturating_sub(self.privacy.honest_survivors),
        }
    }

    /// Of the sites of any one round, how many may be dishonest and work together with a lying aggregator: `T − h`, whose
    /// noise is not counted on, but no more than leave one list of survivors, `2T − n − 1`.
    #[must_use]
    pub fn tolerates(&self) -> u16 {
        let crowds = [Purpose::Evaluate, Purpose::Train].map(|purpose| self.crowd(purpose));
        crowds.map(Crowd::tolerates).into_iter().min().unwrap_or(0)
    }

    /// The smallest graph for the study's rounds, where they have many sites and it states none; `None` too where only
    /// the complete graph will do.
    #[must_use]
    pub fn needed_graph(&self) -> Option<Graph> {
        let crowds = [Purpose::Evaluate, Purpose::Train].map(|purpose| self.crowd(purpose));
        let many = crowds.into_iter().filter(|crowd| crowd.sites > COMPLETE);
        let graphs = many.filter_map(Crowd::least);
        let largest = graphs.max_by_key(|graph| graph.neighbours);
        largest.filter(|_| self.aggregation.graph.is_none())
    }

    /// The standard deviation of the noise in each count of an evaluation that all sites survive; 0 where ε is infinite.
    ///
    /// # Errors
    ///
    /// Settings of which no layout can be made.
    pub fn metrics_deviation(&self) -> Result<f64, StudyError> {
        let layout = Layout::of(self, Purpose::Evaluate)?;
        let of = |section: &Section| section.deviation(self.roster.len());
        Ok(layout.sections.first().map_or(0.0, of))
    }

    /// Rounds of `plan` with this purpose.
    pub(crate) fn planned(&self, purpose: Purpose) -> u32 {
        let count = self
            .plan()
            .iter()
            .filter(|planned| **planned == purpose)
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}
