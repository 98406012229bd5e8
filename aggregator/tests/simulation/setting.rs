//! The study of a simulation, and the network that it runs over.

use std::fmt::Write as _;

use protocol::id::{Digest, Header, SiteId};
use protocol::study::{Crowd, Layout, Study};
use testkit::{Draft, Random, TestStudy};

use testkit::Dice;

/// What stays the same through a simulation.
pub(crate) struct Setting {
    pub(crate) kit: TestStudy,
    pub(crate) network: Network,
    /// The sites' vectors follow from it.
    seed: u64,
}

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// It loses, repeats and delays.
    Lossy,
    /// It also alters and makes up.
    Hostile,
}

/// How large a simulated study is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Few sites, short vectors.
    Small,
    /// More sites than the complete graph is for.
    Crowd,
    /// Vectors of two chunks.
    Long,
}

impl Setting {
    pub(crate) fn of(draft: &Draft, network: Network, seed: u64) -> Self {
        Self {
            kit: draft.make(),
            network,
            seed,
        }
    }

    pub(crate) fn draw(seed: u64, size: Size, dice: &mut Dice) -> Self {
        let kit = match size {
            Size::Small => varied(&small(dice), dice),
            Size::Crowd => crowd(dice).make(),
            Size::Long => long(dice).make(),
        };
        Self {
            kit,
            network: dice.one_of(&[Network::Lossy, Network::Hostile]),
            seed,
        }
    }

    pub(crate) fn sites(&self) -> u16 {
        u16::try_from(self.kit.identities.len()).expect("a roster has at most 255 sites")
    }

    pub(crate) fn rounds(&self) -> usize {
        self.kit.study.plan().len()
    }

    /// What a site adds in a round: mostly small numbers, sometimes as large as they may be.
    pub(crate) fn vector(&self, header: &Header, site: SiteId) -> Vec<i64> {
        let words = format!("{} {} {site}", self.seed, header.number);
        let seed = Digest::of(words.as_bytes()).0;
        let mut dice = Dice::new(u64::from_le_bytes(
            *seed.first_chunk().expect("a digest has 32 bytes"),
        ));
        let layout = self.kit.study.layout(header.purpose);
        if dice.percent(5) {
            return extremes(&layout, &mut dice);
        }
        let mut vector = Vec::with_capacity(layout.length());
        for section in &layout.sections {
            let most = i64::try_from(section.bound).expect("an entry has at most 32 bits");
            let small = |dice: &mut Dice| i64::from(dice.below(2_001)) - 1_000;
            vector.extend((0..section.length).map(|_| small(&mut dice).clamp(-most, most)));
        }
        vector
    }
}

fn extremes(layout: &Layout, dice: &mut Dice) -> Vec<i64> {
    let mut vector = Vec::with_capacity(layout.length());
    for section in &layout.sections {
        let most = i64::try_from(section.bound).expect("an entry has at most 32 bits");
        vector.extend((0..section.length).map(|_| dice.one_of(&[-most, most])));
    }
    vector
}

fn small(dice: &mut Dice) -> Draft {
    let sites = dice.one_of(&[3, 3, 3, 3, 3, 3, 3, 4, 4, 5, 6, 8]);
    let threshold = dice.within(sites / 2 + 1, sites);
    let draft = Draft {
        sites,
        threshold,
        honest_survivors: dice.within(1, threshold),
        parameters: dice.below(12) + 1,
        rounds: dice.one_of(&[1, 1, 1, 2]),
        normalisation: dice.one_of(&["reference", "reference", "shared"]),
        excess_noise: dice.one_of(&["removed", "kept"]),
        ..Draft::default()
    };
    // Without noise, a study ends where a step is lost.
    if dice.percent(40) {
        Draft {
            epsilon: 2.0,
            patients_per_site: 100,
            ..draft
        }
    } else {
        draft
    }
}

/// The draft's study, some with evaluations between its steps, some with other participants in each step.
fn varied(draft: &Draft, dice: &mut Dice) -> TestStudy {
    let mut words = String::from("rounds = ");
    write!(words, "{}", draft.rounds).expect("writing into a string cannot fail");
    let plain = words.clone();
    if dice.percent(40) {
        words.push_str("\nevaluate-every = 1");
    }
    let random = (draft.sites > 4 && dice.percent(30)).then_some(Random {
        sites: draft.sites - 1,
        threshold: draft.sites - 2,
    });
    let draft = Draft {
        random,
        honest_survivors: draft
            .honest_survivors
            .min(draft.sites.saturating_sub(2).max(1)),
        ..draft.clone()
    };
    let kit = draft.make();
    let toml = kit.toml.replacen(&plain, &words, 1);
    let study = Study::parse(toml.as_bytes()).expect("the variation can be run");
    TestStudy { toml, study, ..kit }
}

fn crowd(dice: &mut Dice) -> Draft {
    let sites = dice.within(34, 40);
    let agreeing = sites - dice.within(2, 5);
    let crowd = Crowd {
        sites,
        agreeing,
        dishonest: dice.within(0, 1),
    };
    Draft {
        sites,
        threshold: agreeing,
        honest_survivors: agreeing - crowd.dishonest,
        graph: crowd.least(),
        rounds: 1,
        ..Draft::default()
    }
}

fn long(dice: &mut Dice) -> Draft {
    Draft {
        sites: dice.within(3, 4),
        threshold: 3,
        parameters: 66_000,
        rounds: 1,
        ..Draft::default()
    }
}
