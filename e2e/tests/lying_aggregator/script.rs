//! What the aggregator does: lie by lie.

use protocol::api::Stage;
use protocol::id::{Purpose, SiteId};

use crate::call::Call;
use crate::damage::Damage;
use crate::http::Fault;
use crate::kind::Kind;
use crate::relay::Relay;
use crate::state::Stated;

/// All that the aggregator does in a study.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// The study.
    pub(crate) kind: Kind,
    /// In order.
    pub(crate) lies: Vec<Lie>,
}

/// A step of a script.
#[derive(Clone, Debug)]
pub(crate) enum Lie {
    /// A round is opened.
    Open(Opening),
    /// The host is killed, something happens to its folders, and it is started again.
    Damage(Damage),
    /// The aggregator says that the study is finished.
    Finish,
}

/// A round that is opened, and how it is conducted. [`Opening::honest`] is one without a lie.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    /// Its number.
    pub(crate) number: Number,
    /// Its place in the study's plan.
    pub(crate) place: Place,
    /// What it computes.
    pub(crate) purpose: Asked,
    /// The study that its header names.
    pub(crate) study: Named,
    /// The state that it starts from.
    pub(crate) state: Stated,
    /// The last stage that is shown; after it, the round is dropped without a word.
    pub(crate) until: Stage,
    /// What the site is told of the other sites at a stage, where that is not the truth.
    pub(crate) relay: Option<(Stage, Relay)>,
    /// A site that is left out from a stage on.
    pub(crate) gone: Option<(SiteId, Stage)>,
    /// What is wrong with the first answers to a call, and how many of them.
    pub(crate) fault: Option<(Call, Fault, u32)>,
    /// The calls at which the host is killed and started again, each once.
    pub(crate) kills: Vec<(Call, Moment)>,
}

/// A round's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// One above the last one.
    Next,
    /// So many above the last one.
    Ahead(u32),
    /// The last one.
    Same,
    /// So many below the last one.
    Back(u32),
    /// This one.
    Exact(u32),
}

/// A round's place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The first one that the site has not charged.
    Next,
    /// So many after that.
    Skip(u32),
    /// The last one that the site has charged; the first where there is none.
    Charged,
    /// This one.
    Exact(u32),
}

/// What a round is said to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// What the plan has at the place.
    Planned,
    /// This.
    Other(Purpose),
}

/// The study in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// The one that was approved.
    Approved,
    /// Another one.
    Another,
}

/// When, in a call, the host is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the aggregator has taken the request.
    Before,
    /// After that, before the host has the answer.
    After,
}

impl Opening {
    /// A round of an honest aggregator.
    pub(crate) fn honest() -> Self {
        Self {
            number: Number::Next,
            place: Place::Next,
            purpose: Asked::Planned,
            study: Named::Approved,
            state: Stated::Fresh,
            until: Stage::Unmask,
            relay: None,
            gone: None,
            fault: None,
            kills: Vec::new(),
        }
    }

    /// A round that starts from `state`, and is honest otherwise.
    pub(crate) fn from_state(state: Stated) -> Self {
        Self {
            state,
            ..Self::honest()
        }
    }
}

impl Script {
    /// These rounds, in a study of this kind.
    pub(crate) fn of(kind: Kind, openings: impl IntoIterator<Item = Opening>) -> Self {
        Self {
            kind,
            lies: openings.into_iter().map(Lie::Open).collect(),
        }
    }

    /// The same script with more to it.
    pub(crate) fn then(mut self, lie: Lie) -> Self {
        self.lies.push(lie);
        self
    }

    /// The same script with more rounds.
    pub(crate) fn then_rounds(mut self, openings: impl IntoIterator<Item = Opening>) -> Self {
        self.lies.extend(openings.into_iter().map(Lie::Open));
        self
    }
}
