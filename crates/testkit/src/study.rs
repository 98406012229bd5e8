//! Small studies that can be run.

use std::sync::Arc;

use protocol::agreement::Secret;
use protocol::api::Stage;
use protocol::id::{Digest, Header, Purpose, SiteId};
use protocol::identity::Identity;
use protocol::message::Signed;
use protocol::round::Aggregator;
use protocol::study::{COMPLETE, Crowd, Graph, Study};

use crate::roster::{Lots, roster};

/// A study with this many sites and this threshold, and otherwise the settings of [`Draft::default`].
#[must_use]
pub fn study(sites: u16, threshold: u16) -> TestStudy {
    Draft {
        sites,
        threshold,
        ..Draft::default()
    }
    .make()
}

/// The settings of a study that tests want to choose.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Sites in the roster.
    pub sites: u16,
    /// Sites that must agree.
    pub threshold: u16,
    /// The sites of a round of training, where a lottery names some; `None` for all.
    pub random: Option<Random>,
    /// Picks of each site and shares that give a secret; `None` for the complete graph.
    pub graph: Option<Graph>,
    /// Weights of the model: entries of the update.
    pub parameters: u32,
    /// Steps of training.
    pub rounds: u32,
    /// The most patients a site may bring.
    pub patients_per_site: u32,
    /// Bits after the binary point.
    pub fraction_bits: u8,
    /// ε of the study; infinite for no noise.
    pub epsilon: f64,
    /// The clip norm.
    pub clip_norm: f64,
    /// Sites that are promised to survive honestly.
    pub honest_survivors: u16,
    /// `removed` or `kept`.
    pub excess_noise: &'static str,
    /// `reference` or `shared`.
    pub normalisation: &'static str,
    /// Seconds until sites answer a new round.
    pub floor_seconds: f64,
    /// Told apart from other studies by this.
    pub title: &'static str,
}

/// How many sites a lottery names for a round of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random {
    /// How many.
    pub sites: u16,
    /// Of these, how many must agree.
    pub threshold: u16,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            sites: 5,
            threshold: 3,
            random: None,
            graph: None,
            parameters: 6,
            rounds: 4,
            patients_per_site: 1_000,
            fraction_bits: 12,
            epsilon: f64::INFINITY,
            clip_norm: 1.0,
            honest_survivors: 2,
            excess_noise: "removed",
            normalisation: "reference",
            floor_seconds: 0.0,
            title: "a study of tests",
        }
    }
}

impl Draft {
    /// A study of the kind that is timed: 2^22 levels of an entry; among more sites than are all neighbours a tenth may
    /// vanish and a tenth be dishonest.
    #[must_use]
    pub fn timed(sites: u16, parameters: u32) -> Self {
        let tenth = sites / 10;
        let crowd = Crowd {
            sites,
            agreeing: sites - tenth,
            dishonest: tenth,
        };
        let small = Self {
            sites,
            threshold: (2 * sites).div_ceil(3),
            parameters,
            patients_per_site: 511,
            ..Self::default()
        };
        if sites <= COMPLETE {
            return small;
        }
        Self {
            threshold: crowd.agreeing,
            honest_survivors: crowd.agreeing - crowd.dishonest,
            graph: crowd.least(),
            ..small
        }
    }

    /// The study's file; it need not be one that is accepted.
    ///
    /// # Panics
    ///
    /// Never: each site has its own name and key.
    #[must_use]
    pub fn toml(&self) -> String {
        let Self {
            title,
            parameters,
            rounds,
            threshold,
            clip_norm,
            epsilon,
            ..
        } = self;
        let Self {
            patients_per_site,
            fraction_bits,
            honest_survivors,
            excess_noise,
            normalisation,
            floor_seconds,
            ..
        } = self;
        let (module, key) = (Digest::of(b"client.wasm"), aggregator_secret().public());
        let graph = self.graph.map_or_else(String::new, |graph| {
            let Graph {
                neighbours,
                threshold,
            } = graph;
            format!("graph = {{ neighbours = {neighbours}, threshold = {threshold} }}")
        });
        let participants = self.random.map_or_else(String::new, |random| {
            let Random { sites, threshold } = random;
            format!("participants.random = {{ sites = {sites}, threshold = {threshold} }}\n")
        });
        let moments_share = if *normalisation == "shared" { 0.1 } else { 0.0 };
        let mut toml = format!(
            r#"title = "{title}"
purpose = "To be computed in a test."
module = "{module}"

[cohort]
history-days = 30
classes = ["low", "medium", "high"]
normalisation = "{normalisation}"
split = {{ train = 0.7, tuning = 0.1 }}

[[cohort.modality]]
name = "vitals"
shape.series = {{ bin-days = 5, bins-per-token = 1 }}
feature = [
  {{ code = "LOINC//8867-4", name = "heart rate", unit = "/min", low = 20, high = 250, mean = 75, sd = 12 }},
  {{ code = "LOINC//59408-5", name = "SpO2", unit = "%", low = 50, high = 100, mean = 97, sd = 2 }},
]

[model]
architecture.linear.summary = "mean-and-trend"
head = "ordinal"
initial-seed = 1
parameters = {parameters}

[training]
rounds = {rounds}
algorithm.gradient = {{ batch = "all" }}
optimizer.momentum = {{ rate = 0.5, momentum = 0.9 }}
{participants}
[rounds]
floor-seconds = {floor_seconds:?}

[aggregation]
key = "{key}"
threshold = {threshold}
{graph}
patients-per-site = {patients_per_site}
fraction-bits = {fraction_bits}

[privacy]
epsilon = {epsilon}
delta = 1e-6
clip-norm = {clip_norm}
honest-survivors = {honest_survivors}
excess-noise = "{excess_noise}"
moments-share = {moments_share}
metrics-share = 0.1
weight-share = 0.1
"#
        );
        let identities: Vec<Identity> = (0..self.sites).map(identity).collect();
        let sites = (0..self.sites).map(|site| format!("Hospital {site}"));
        let lots = if self.random.is_some() {
            Lots::Revealed
        } else {
            Lots::None
        };
        toml.push_str(&roster(&sites.zip(&identities).collect::<Vec<_>>(), lots));
        toml
    }

    /// The study's file with other text in place of some of its lines.
    ///
    /// # Panics
    ///
    /// Where the file lacks one of these lines.
    #[must_use]
    pub fn toml_with(&self, settings: &[(&str, &str)]) -> String {
        let mut toml = self.toml();
        for (line, with) in settings {
            assert!(toml.contains(line), "the draft has {line}");
            toml = toml.replace(line, with);
        }
        toml
    }

    /// The study, with all the keys that belong to it.
    ///
    /// # Panics
    ///
    /// On settings that a study is refused for.
    #[must_use]
    pub fn make(&self) -> TestStudy {
        let toml = self.toml();
        let study = Study::parse(toml.as_bytes()).expect("the draft is of a study that can be run");
        TestStudy {
            toml,
            study,
            identities: (0..self.sites).map(identity).collect(),
        }
    }
}

/// A study, with all the keys that belong to it.
#[derive(Debug)]
pub struct TestStudy {
    /// The study's file.
    pub toml: String,
    /// The study.
    pub study: Study,
    /// The identities of its sites, in order.
    pub identities: Vec<Identity>,
}

impl TestStudy {
    /// The header of a round that starts from some state, at the place of its number where the plan has such a round
    /// there, else at the first place that has.
    #[must_use]
    pub fn header(&self, number: u32, purpose: Purpose) -> Header {
        let plan = self.study.plan();
        let at = |place: u32| plan.get(usize::try_from(place).ok()?).copied();
        let places = std::iter::once(number).chain(0..);
        let planned = places
            .take(plan.len() + 1)
            .find(|place| at(*place) == Some(purpose));
        Header {
            study: self.study.digest(),
            number,
            place: planned.unwrap_or(number),
            purpose,
            state: Digest::of(b"a state"),
        }
    }

    /// The aggregator's secret.
    #[must_use]
    pub fn secret(&self) -> Secret {
        aggregator_secret()
    }

    /// The aggregator of the study.
    ///
    /// # Panics
    ///
    /// Never: the study names the key of [`TestStudy::secret`].
    #[must_use]
    pub fn aggregator(&self) -> Arc<Aggregator> {
        let aggregator = Aggregator::new(self.study.clone(), self.secret());
        Arc::new(aggregator.expect("the study names the key of the secret"))
    }

    /// The message that a site's host makes of a body.
    ///
    /// # Panics
    ///
    /// On a site that is not in the roster.
    #[must_use]
    pub fn sign(&self, header: &Header, stage: Stage, site: SiteId, body: Vec<u8>) -> Signed {
        let identity = &self.identities[usize::from(site.0)];
        let signature = identity.sign(&Signed::bytes_to_sign(header, stage, site, &body));
        Signed {
            site,
            body: body.into(),
            signature,
        }
    }
}

fn identity(site: u16) -> Identity {
    Identity::from_seed(&Digest::of(format!("identity of site {site}").as_bytes()).0)
}

fn aggregator_secret() -> Secret {
    Secret::new(Digest::of(b"secret of the aggregator").0)
}
