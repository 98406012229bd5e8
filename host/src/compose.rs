//! From a draft to a study: what a study's author does before hospitals are asked.
//!
//! A draft is a study file without what only a machine knows: the module's digest, the aggregator's key, the roster and
//! the number of parameters. Comments and order of the draft are kept, for people will read the study.

mod quorum;
mod warning;

use std::collections::BTreeSet;

use learning::metrics;
use protocol::id::{AgreementKey, Digest};
use protocol::study::{Histograms, Manifest, Study, StudyError};
use toml_edit::{DocumentMut, InlineTable, Item, Table, TomlError, Value, value};

use self::quorum::Stated;
pub use self::warning::warning;

/// What a draft lacks.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The digest of the module.
    pub module: Digest,
    /// The aggregator's key.
    pub aggregator: AgreementKey,
    /// `[[roster]]` tables, as `aggregator roster` prints them.
    pub roster: &'a str,
    /// The digest of the public weights to start from, if there are any.
    pub weights: Option<Digest>,
    /// Dishonest sites that the study is to tolerate; where nobody says, a tenth of them, as far as its threshold allows.
    pub dishonest: Option<u16>,
}

/// A study in the making.
#[derive(Clone, Debug)]
pub struct Draft {
    document: DocumentMut,
    /// Paths of the settings that were replaced.
    replaced: BTreeSet<String>,
}

impl Draft {
    /// Reads a draft.
    ///
    /// # Errors
    ///
    /// A text that is no TOML.
    pub fn parse(text: &str) -> Result<Self, ComposeError> {
        Ok(Self {
            document: text.parse()?,
            replaced: BTreeSet::new(),
        })
    }

    /// Replaces a setting, named by its path (`privacy.epsilon`), by a TOML value.
    ///
    /// # Errors
    ///
    /// A path through something that is no table, and a value that is no TOML.
    pub fn set(&mut self, path: &str, text: &str) -> Result<(), ComposeError> {
        let parsed: Value = text.parse()?;
        self.replaced.insert(path.to_owned());
        self.put(path, value(parsed))
    }

    /// Adds what the draft lacks. Where it does not say them, the threshold becomes two thirds of the sites, rounded
    /// up, or more where that many dishonest sites need more; and the promised honest survivors those of the fewest that
    /// agree in a round that are not dishonest.
    ///
    /// # Errors
    ///
    /// A roster that is no TOML or names no site, and more dishonest sites than the rounds can tolerate.
    pub fn complete(&mut self, parts: &Parts<'_>) -> Result<(), ComposeError> {
        let roster: DocumentMut = parts.roster.parse()?;
        let roster = roster
            .get("roster")
            .and_then(Item::as_array_of_tables)
            .ok_or(ComposeError::NoRoster)?;
        let sites = u16::try_from(roster.len()).map_err(|_| ComposeError::NoRoster)?;
        self.put("module", value(parts.module.to_string()))?;
        self.put("aggregation.key", value(parts.aggregator.to_string()))?;
        if let Some(weights) = parts.weights {
            self.put("model.initial-weights", value(weights.to_string()))?;
        }
        self.state_quorum(sites, parts.dishonest)?;
        self.document.remove("roster");
        self.document
            .insert("roster", Item::ArrayOfTables(roster.clone()));
        Ok(())
    }

    /// What is stated stays, also where it is out of range: the study's reader says what would be right.
    fn state_quorum(&mut self, sites: u16, dishonest: Option<u16>) -> Result<(), ComposeError> {
        let count = |path| {
            self.number(path)
                .and_then(|number| u16::try_from(number).ok())
        };
        let random = "training.participants.random";
        let stated = Stated {
            sites,
            threshold: count(THRESHOLD),
            random: count(&format!("{random}.sites")).zip(count(&format!("{random}.threshold"))),
            honest: count(HONEST),
            dishonest,
        };
        let made = stated.complete()?;
        for (path, number) in [(THRESHOLD, made.threshold), (HONEST, made.honest)] {
            if self.number(path).is_none() {
                self.put(path, value(i64::from(number)))?;
            }
        }
        Ok(())
    }

    /// The number of parameters that the draft states.
    #[must_use]
    pub fn parameters(&self) -> Option<i64> {
        self.number(PARAMETERS)
    }

    /// States the number of parameters.
    ///
    /// # Errors
    ///
    /// A draft whose `model` is no table.
    pub fn state_parameters(&mut self, parameters: u32) -> Result<(), ComposeError> {
        self.put(PARAMETERS, value(i64::from(parameters)))
    }

    /// States the noise multiplier where the study needs one and does not state it; the number of parameters is stated
    /// before, though any will do.
    ///
    /// # Errors
    ///
    /// An ε that leaves nothing for sampled patients.
    pub fn state_noise_multiplier(&mut self) -> Result<(), ComposeError> {
        // What is no manifest is refused with its reasons when it is read as a study.
        let Ok(manifest) = toml::from_str::<Manifest>(&self.text()) else {
            return Ok(());
        };
        match manifest.needed_noise_multiplier()? {
            Some(multiplier) => self.put("privacy.noise-multiplier", value(multiplier.get())),
            None => Ok(()),
        }
    }

    /// States the bins of the score histograms, where the draft does not: those at which areas under the curve are off by
    /// the least, by the noise of the study's evaluations and by bins that are too wide.
    ///
    /// # Errors
    ///
    /// Settings of which no layout can be made.
    pub fn state_histograms(&mut self) -> Result<(), ComposeError> {
        // What is no manifest is refused with its reasons when it is read as a study.
        let Ok(manifest) = toml::from_str::<Manifest>(&self.text()) else {
            return Ok(());
        };
        if self.document.contains_key("metrics") {
            return Ok(());
        }
        let split = manifest.cohort.split;
        let held_out = (1.0 - split.train - split.tuning).max(0.0);
        let patients = f64::from(manifest.aggregation.patients_per_site)
            * manifest.roster.len() as f64
            * held_out;
        let Histograms {
            reach,
            bins_per_unit,
        } = metrics::choose(patients, manifest.metrics_deviation()?);
        self.put("metrics.reach", value(i64::from(reach)))?;
        self.put("metrics.bins-per-unit", value(i64::from(bins_per_unit)))
    }

    /// Where ε is infinite, states a clip norm that hardly any gradient is longer than, and as fine a grid as the modulus has
    /// room for; what was replaced by hand stays. Says what it stated.
    ///
    /// A clip norm bounds what one patient can change so that noise can hide it. Without noise it hides nothing, and only
    /// makes the model worse: at the norms that suit a small ε, most patients are clipped.
    ///
    /// # Errors
    ///
    /// A draft whose `privacy` or `aggregation` is no table.
    pub fn state_unclipped(&mut self) -> Result<Option<f64>, ComposeError> {
        // What is no manifest is refused with its reasons when it is read as a study.
        let Ok(manifest) = toml::from_str::<Manifest>(&self.text()) else {
            return Ok(None);
        };
        let privacy = &manifest.privacy;
        let is_stated = self.replaced.contains(CLIP_NORM) || privacy.adaptive_clip.is_some();
        if privacy.epsilon.is_finite() || is_stated || privacy.clip_norm >= UNCLIPPED {
            return Ok(None);
        }
        self.put(CLIP_NORM, value(UNCLIPPED))?;
        let bits = manifest.aggregation.fraction_bits;
        if !self.replaced.contains(FRACTION_BITS) {
            // As many more as keep the grid as fine as it was, or those for which there is room.
            for more in (0..=UNCLIPPED_BITS).rev() {
                self.put(FRACTION_BITS, value(i64::from(bits.saturating_add(more))))?;
                if Study::parse(self.text().as_bytes()).is_ok() {
                    break;
                }
            }
        }
        Ok(Some(UNCLIPPED))
    }

    /// States who shares masks with whom, where the study has many sites and does not say.
    ///
    /// # Errors
    ///
    /// A draft whose `aggregation` is no table.
    pub fn state_graph(&mut self) -> Result<(), ComposeError> {
        // What is no manifest is refused with its reasons when it is read as a study.
        let manifest = toml::from_str::<Manifest>(&self.text()).ok();
        let Some(graph) = manifest.and_then(|manifest| manifest.needed_graph()) else {
            return Ok(());
        };
        let mut table = InlineTable::new();
        table.insert("neighbours", i64::from(graph.neighbours).into());
        table.insert("threshold", i64::from(graph.threshold).into());
        self.put("aggregation.graph", value(table))
    }

    /// The study's file.
    #[must_use]
    pub fn text(&self) -> String {
        self.document.to_string()
    }

    fn number(&self, path: &str) -> Option<i64> {
        let mut item = self.document.as_item();
        for name in path.split('.') {
            item = item.get(name)?;
        }
        item.as_integer()
    }

    fn put(&mut self, path: &str, new: Item) -> Result<(), ComposeError> {
        let no_table = || ComposeError::NoTable(path.to_owned());
        let (folders, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut table = self.document.as_item_mut();
        for folder in folders.split('.').filter(|folder| !folder.is_empty()) {
            let inner = table.as_table_like_mut().ok_or_else(no_table)?;
            table = inner
                .entry(folder)
                .or_insert_with(|| Item::Table(Table::new()));
        }
        table
            .as_table_like_mut()
            .ok_or_else(no_table)?
            .insert(name, new);
        Ok(())
    }
}

/// Why a draft does not become a study.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// A text is no TOML.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// A setting's path goes through a value.
    #[error("{0}: a part of this path is a value, no table")]
    NoTable(String),
    /// No noise multiplier is enough.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// Nobody takes part.
    #[error("the roster has no [[roster]] table")]
    NoRoster,
    /// More sites are to be dishonest than any threshold tolerates.
    #[error(
        "at most {most} of {sites} sites can be dishonest, not {dishonest}: someone has to add noise"
    )]
    TooManyDishonest {
        /// Dishonest sites that are to be tolerated.
        dishonest: u16,
        /// Sites of a round.
        sites: u16,
        /// The most that can be.
        most: u16,
    },
    /// More sites are to be dishonest than the stated threshold tolerates.
    #[error(
        "{dishonest} dishonest sites are too many for rounds of {sites} sites of which {agreeing} agree, since two lists \
         of survivors could both be signed: take {setting} = {needed}, or at most {most} dishonest"
    )]
    LowThreshold {
        /// Dishonest sites that are to be tolerated.
        dishonest: u16,
        /// Sites of a round.
        sites: u16,
        /// Those that agree.
        agreeing: u16,
        /// The setting that says so.
        setting: &'static str,
        /// What it would have to be.
        needed: u32,
        /// What it tolerates.
        most: u16,
    },
    /// The honest sites that the draft promises are not those that are left.
    #[error(
        "{dishonest} dishonest sites leave {honest} honest ones of the {fewest} that agree at the fewest, and the draft \
         states privacy.honest-survivors = {stated}: state one of the two"
    )]
    OtherHonest {
        /// Dishonest sites that are to be tolerated.
        dishonest: u16,
        /// The fewest sites that agree in a round.
        fewest: u16,
        /// Honest ones among them.
        honest: u16,
        /// Those that the draft states.
        stated: u16,
    },
}

const THRESHOLD: &str = "aggregation.threshold";
const HONEST: &str = "privacy.honest-survivors";
const PARAMETERS: &str = "model.parameters";
const CLIP_NORM: &str = "privacy.clip-norm";
const FRACTION_BITS: &str = "aggregation.fraction-bits";

/// The clip norm of a study without noise: gradients of the made-up patients and of both public data sets are shorter than a
/// tenth of it. A power of two, so that scaling by it is exact.
const UNCLIPPED: f64 = 1_024.0;

/// Bits of [`UNCLIPPED`] over a clip norm of 1.
const UNCLIPPED_BITS: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const DRAFT: &str = "# Read me.\ntitle = \"t\" # short\n\n[model]\nhead = \"ordinal\"\n\n[aggregation]\nfraction-bits = 16\n\n\
                         [privacy]\nepsilon = inf\n";
    const ROSTER: &str = "[[roster]]\nname = \"a\"\nkey = \"00\"\n\n[[roster]]\nname = \"b\"\nkey = \"01\"\n\n\
                          [[roster]]\nname = \"c\"\nkey = \"02\"\n\n[[roster]]\nname = \"d\"\nkey = \"03\"\n";

    fn parts() -> Parts<'static> {
        Parts {
            module: Digest([1; 32]),
            aggregator: AgreementKey([2; 32]),
            roster: ROSTER,
            weights: Some(Digest([3; 32])),
            dishonest: None,
        }
    }

    #[test]
    fn a_draft_keeps_its_comments_and_gets_what_it_lacks() {
        let mut draft = Draft::parse(DRAFT).unwrap();
        assert_eq!(draft.parameters(), None);
        draft.set("privacy.epsilon", "1.0").unwrap();
        draft.set("training.rounds", "20").unwrap();
        draft.complete(&parts()).unwrap();
        draft.state_parameters(77).unwrap();
        let text = draft.text();
        assert!(
            text.starts_with("# Read me.\ntitle = \"t\" # short\n"),
            "{text}"
        );
        let study: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(study["module"].as_str(), Some("01".repeat(32).as_str()));
        assert_eq!(
            study["aggregation"]["key"].as_str(),
            Some("02".repeat(32).as_str())
        );
        assert_eq!(study["aggregation"]["threshold"].as_integer(), Some(3));
        assert_eq!(study["privacy"]["honest-survivors"].as_integer(), Some(2));
        assert_eq!(study["privacy"]["epsilon"].as_float(), Some(1.0));
        assert_eq!(study["training"]["rounds"].as_integer(), Some(20));
        assert_eq!(
            study["model"]["initial-weights"].as_str(),
            Some("03".repeat(32).as_str())
        );
        assert_eq!(study["model"]["parameters"].as_integer(), Some(77));
        assert_eq!(study["roster"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn what_a_draft_says_is_kept() {
        let mut draft = Draft::parse(DRAFT).unwrap();
        draft.set("aggregation.threshold", "4").unwrap();
        draft.complete(&parts()).unwrap();
        let study: toml::Table = toml::from_str(&draft.text()).unwrap();
        assert_eq!(study["aggregation"]["threshold"].as_integer(), Some(4));
        assert_eq!(study["privacy"]["honest-survivors"].as_integer(), Some(3));
    }

    #[test]
    fn a_study_tolerates_the_dishonest_sites_that_are_asked_for() {
        for (dishonest, random, want) in [
            (0, None, (3, 3)),
            (2, None, (4, 2)),
            (1, Some("{ sites = 3, threshold = 3 }"), (3, 2)),
        ] {
            let mut draft = Draft::parse(DRAFT).unwrap();
            if let Some(random) = random {
                draft.set("training.participants.random", random).unwrap();
            }
            let dishonest = Some(dishonest);
            draft
                .complete(&Parts {
                    dishonest,
                    ..parts()
                })
                .unwrap();
            let made = (draft.number(THRESHOLD), draft.number(HONEST));
            let (threshold, honest) = want;
            assert_eq!(made, (Some(threshold), Some(honest)));
        }
        let mut draft = Draft::parse(DRAFT).unwrap();
        let dishonest = Some(4);
        let too_many = draft.complete(&Parts {
            dishonest,
            ..parts()
        });
        assert!(matches!(
            too_many,
            Err(ComposeError::TooManyDishonest { most: 3, .. })
        ));
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        let mut draft = Draft::parse(DRAFT).unwrap();
        assert!(matches!(
            draft.set("title.length", "1"),
            Err(ComposeError::NoTable(_))
        ));
        assert!(matches!(
            draft.set("title", "one two"),
            Err(ComposeError::Toml(_))
        ));
        let empty = Parts {
            roster: "",
            ..parts()
        };
        assert!(matches!(
            draft.complete(&empty),
            Err(ComposeError::NoRoster)
        ));
    }

    #[test]
    fn many_sites_get_a_graph_and_few_do_not() {
        for (sites, stated) in [(32, false), (60, true)] {
            let toml = testkit::Draft {
                sites,
                threshold: sites - 5,
                honest_survivors: sites - 6,
                ..testkit::Draft::default()
            }
            .toml();
            let mut draft = Draft::parse(&toml).unwrap();
            draft.state_graph().unwrap();
            let study = protocol::study::Study::parse(draft.text().as_bytes()).unwrap();
            assert_eq!(study.manifest().aggregation.graph.is_some(), stated);
        }
    }

    fn composed(epsilon: f64) -> Draft {
        let draft = testkit::Draft {
            epsilon,
            fraction_bits: 12,
            ..testkit::Draft::default()
        };
        Draft::parse(&draft.toml()).unwrap()
    }

    #[test]
    fn histograms_are_stated_by_the_noise_and_a_draft_that_states_them_is_kept() {
        let bins = |epsilon| {
            let mut draft = composed(epsilon);
            draft.state_histograms().unwrap();
            let study = Study::parse(draft.text().as_bytes()).unwrap();
            study.manifest().metrics.bins()
        };
        assert!(bins(f64::INFINITY) > 500 && bins(1.0) < 100);
        let mut draft = composed(1.0);
        draft.set("metrics.bins-per-unit", "5").unwrap();
        draft.set("metrics.reach", "4").unwrap();
        draft.state_histograms().unwrap();
        let study = Study::parse(draft.text().as_bytes()).unwrap();
        assert_eq!(study.manifest().metrics.bins(), 40);
    }

    #[test]
    fn without_noise_gradients_are_not_clipped_and_the_grid_stays_as_fine() {
        let mut draft = composed(f64::INFINITY);
        draft.set("privacy.clip-norm", "1.0").unwrap();
        assert_eq!(draft.state_unclipped().unwrap(), None);
        let mut draft = composed(1.0);
        assert_eq!(draft.state_unclipped().unwrap(), None);

        let mut draft = Draft::parse(
            &composed(f64::INFINITY)
                .text()
                .replace("clip-norm = ", "clip-norm = 1.0 # "),
        )
        .unwrap();
        assert_eq!(draft.state_unclipped().unwrap(), Some(UNCLIPPED));
        let study = Study::parse(draft.text().as_bytes()).unwrap();
        let manifest = study.manifest();
        assert!((manifest.privacy.clip_norm - UNCLIPPED).abs() < f64::EPSILON);
        // As many as there is room for.
        let bits = manifest.aggregation.fraction_bits;
        assert!(bits > 12, "{bits}");
        draft
            .put(FRACTION_BITS, value(i64::from(bits) + 1))
            .unwrap();
        assert!(Study::parse(draft.text().as_bytes()).is_err());
    }

    #[test]
    fn sampled_patients_get_their_noise_whether_or_not_the_parameters_were_stated() {
        let draft = testkit::Draft {
            epsilon: 1.0,
            fraction_bits: 16,
            ..testkit::Draft::default()
        };
        let toml = draft
            .toml()
            .replace("batch = \"all\"", "batch.sampled = { rate = 0.1 }");
        let mut draft = Draft::parse(&toml).unwrap();
        assert!(draft.parameters().is_some());
        assert!(protocol::study::Study::parse(draft.text().as_bytes()).is_err());
        draft.state_noise_multiplier().unwrap();
        let study = protocol::study::Study::parse(draft.text().as_bytes()).unwrap();
        assert!(study.manifest().privacy.noise_multiplier.is_some());
    }
}
