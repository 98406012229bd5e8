//! What the aggregator's HTTP service says and takes, under `/v1`.
//!
//! Bodies are CBOR ([`crate::codec`], `application/cbor`) unless noted; errors are problem details (RFC 9457).
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `POST enrol` | [`Enrol`] | 204, and again: 204; a roster that is closed: 409 |
//! | `GET roll-call` | | [`RollCall`]: the sites of the closed roster; a roster that is open: 409 |
//! | `POST reveal` | [`Reveal`] | 204, and again: 204; a lot for another list: 409 |
//! | `GET study` | | `study.toml` as it is (`application/toml`) |
//! | `GET round?seen=V&wait=S` | | [`RoundView`], at once where its version is above `V`, else after at most `S` seconds |
//! | `GET states/{digest}` | | the encoded [`crate::door::State`] with this digest |
//! | `POST rounds/{number}/{stage}` | [`crate::message::Signed`] | 204; the same message again: 204; another: 409 |
//! | `PUT rounds/{number}/chunks/{site}/{chunk}` | a sealed chunk as it is ([`crate::chunk`]) | 204, and again: 204 |
//! | `GET rounds/{number}/chunks/{site}` | | [`MissingChunks`], at stage mask once the site has announced them |
//! | `POST withdraw` | [`Withdrawal`] | 204, and again: 204; a round that is not open: 410 or 404 |
//! | `GET rounds/{number}/adverts` | | [`crate::door::Messages`], from stage share on |
//! | `GET rounds/{number}/shares/{site}` | | [`crate::door::Inbox`], from stage mask on |
//! | `GET rounds/{number}/survivors` | | [`crate::door::Survivors`], from stage agree on |
//! | `GET rounds/{number}/statements` | | [`crate::door::Messages`], from stage unmask on |
//! | `GET announcements/{site}?from=N` | | [`Announcements`] of the rounds from number `N` on, as many as fit; none: the end |
//! | `GET progress` | | [`Progress`] as JSON: every round so far |
//! | `GET health` | | 204 |

use std::fmt;
use std::str::FromStr;

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::id::{Digest, Header, IdentityKey, Purpose, SiteId};
use crate::lottery::Lot;
#[cfg(doc)]
use crate::lottery::RollCall;
use crate::message::{MaskedInput, MessageError, Signed};
use crate::study::Study;
use crate::withdrawal::Cause;
#[cfg(doc)]
use crate::withdrawal::Withdrawal;

/// The stages in which sites send something, in order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(index_only)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Sites train, then send public keys.
    #[n(0)]
    Advertise,
    /// Sites send encrypted shares of their secrets.
    #[n(1)]
    Share,
    /// Sites announce masked, sealed vectors and send them in chunks.
    #[n(2)]
    Mask,
    /// Sites sign the list of survivors.
    #[n(3)]
    Agree,
    /// Sites send the shares that open the sum's masks.
    #[n(4)]
    Unmask,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 5] = [
        Self::Advertise,
        Self::Share,
        Self::Mask,
        Self::Agree,
        Self::Unmask,
    ];

    /// The one before it; none before stage advertise.
    #[must_use]
    pub fn before(self) -> Option<Self> {
        match self {
            Self::Advertise => None,
            Self::Share => Some(Self::Advertise),
            Self::Mask => Some(Self::Share),
            Self::Agree => Some(Self::Mask),
            Self::Unmask => Some(Self::Agree),
        }
    }

    /// Its name in paths and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Advertise => "advertise",
            Self::Share => "share",
            Self::Mask => "mask",
            Self::Agree => "agree",
            Self::Unmask => "unmask",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(text: &str) -> Result<Self, UnknownStage> {
        Self::ALL
            .into_iter()
            .find(|stage| stage.name() == text)
            .ok_or(UnknownStage)
    }
}

/// The text names no stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such stage; want advertise, share, mask, agree or unmask")]
pub struct UnknownStage;

/// A site's request to be put into the roster.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Enrol {
    /// The one-time token that the operator gave.
    #[n(0)]
    pub token: String,
    /// The site's name.
    #[n(1)]
    pub name: String,
    /// The site's identity key.
    #[n(2)]
    pub key: IdentityKey,
    /// What binds the site to its nonce in the lottery ([`crate::id::Nonce::commitment`]).
    #[n(3)]
    pub commitment: Digest,
    /// Ed25519 signature by that key over [`Enrol::signed_bytes`]: the sender holds the key.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub signature: [u8; 64],
}

impl Enrol {
    /// The bytes that [`Enrol::signature`] signs: `"wardround/1 enrol" ‖ SHA-256(token) ‖ commitment ‖ name`.
    #[must_use]
    pub fn signed_bytes(token: &str, commitment: &Digest, name: &str) -> Vec<u8> {
        let token = Digest::of(token.as_bytes());
        let context = b"wardround/1 enrol".as_slice();
        [context, &token.0, &commitment.0, name.as_bytes()].concat()
    }
}

/// What a site reveals once the roster is closed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Reveal {
    /// The site's identity key.
    #[n(0)]
    pub key: IdentityKey,
    /// The digest of the list that the site signed.
    #[n(1)]
    pub list: Digest,
    /// Its nonce and its signature.
    #[n(2)]
    pub lot: Lot,
}

/// What a site announced at stage mask in rounds of a study: what it charged its ledger for, with its own signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Announcements {
    /// By number, ascending; none where there are no more.
    #[n(0)]
    pub announcements: Vec<Announcement>,
}

/// That a site sent a masked input in a round.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Announcement {
    /// The round.
    #[n(0)]
    pub header: Header,
    /// The encoded [`Signed`] of stage mask.
    #[n(1)]
    pub message: ByteVec,
}

impl Announcement {
    /// What `site` announced, where it is that site's and of this study: whoever hands it over cannot have made it up.
    ///
    /// # Errors
    ///
    /// A round of another study, and a message that is not one of this site for that round.
    pub fn open(&self, study: &Study, site: SiteId) -> Result<MaskedInput, AnnouncementError> {
        let Self { header, message } = self;
        if header.study != study.digest() {
            return Err(AnnouncementError::Study(header.study));
        }
        let signed: Signed = codec::decode(message).map_err(AnnouncementError::Malformed)?;
        if signed.site != site {
            return Err(AnnouncementError::Site {
                got: signed.site,
                want: site,
            });
        }
        Ok(signed.open(study, header, Stage::Mask)?)
    }
}

/// Why an announcement is not what a site sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnouncementError {
    /// Of another study.
    #[error("the announcement is of study {0}, not of this one")]
    Study(Digest),
    /// Of another site.
    #[error("the announcement is of site {got}, not of site {want}")]
    Site {
        /// Whose it is.
        got: SiteId,
        /// Whose it was to be.
        want: SiteId,
    },
    /// The bytes are no signed message.
    #[error("the announcement is not a signed message: {0}")]
    Malformed(codec::DecodeError),
    /// The site did not sign it for this round.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// Which chunks of a site's masked vector are still to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct MissingChunks {
    /// Their numbers, in ascending order; none once the vector is in the sum.
    #[n(0)]
    pub chunks: Vec<u32>,
}

/// Where the study is, as a site needs to know it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RoundView {
    /// Rises with every change.
    #[n(0)]
    pub version: u64,
    /// What is going on.
    #[n(1)]
    pub status: Status,
}

/// What is going on in a study.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Status {
    /// A round is open at `stage`.
    #[n(0)]
    Open {
        /// The round.
        #[n(0)]
        header: Header,
        /// What sites may send now.
        #[n(1)]
        stage: Stage,
        /// The sites that this stage waits for: those that took part in the one before.
        #[n(2)]
        waiting: Vec<SiteId>,
    },
    /// The last round is over; the model is the state with this digest.
    #[n(1)]
    Finished {
        /// The digest of the published state.
        #[n(0)]
        state: Digest,
    },
}

/// Every round so far, for people and dashboards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Progress {
    /// The study's digest.
    pub study: Digest,
    /// Its title.
    pub title: String,
    /// Rounds that the plan has, if none is abandoned.
    pub planned: u32,
    /// The open round's stage, if a round is open.
    pub stage: Option<Stage>,
    /// The sites that have withdrawn and not come back.
    pub withdrawn: Vec<Withdrawn>,
    /// The rounds that are over, in order.
    pub rounds: Vec<RoundRecord>,
    /// Digest of the published model, once the study is finished.
    pub model: Option<Digest>,
    /// Why the study cannot go on, if it cannot.
    pub stopped: Option<String>,
    /// What to know before the model is used, in words; none where there is nothing.
    pub warnings: Vec<String>,
}

/// A site that has withdrawn from a round and sent nothing since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Withdrawn {
    /// Its name.
    pub site: String,
    /// The round's number.
    pub round: u32,
    /// Why.
    pub cause: Cause,
}

/// A round that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RoundRecord {
    /// Its number.
    pub number: u32,
    /// What it computed.
    pub purpose: Purpose,
    /// Names of the sites in the sum; empty where the round was abandoned.
    pub survivors: Vec<String>,
    /// Why it was abandoned, if it was.
    pub abandoned: Option<String>,
    /// Labels of training patients in the sum; of training rounds in which sites count them.
    pub patients: Option<Count>,
    /// L2 norm of the mean update; of training rounds.
    pub update_norm: Option<Figure>,
    /// Of evaluations.
    pub metrics: Option<Metrics>,
}

/// A number that was released with noise: the true one is within 1.96 deviations of it 95 times in 100.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Count {
    /// What was released; noise can make it negative.
    pub value: f64,
    /// The standard deviation of the noise in it; 0 where the study has none.
    pub deviation: f64,
}

/// A figure computed from noised counts: in JSON either what is known of it or, as `withheld`, why it is not shown.
///
/// Whether it is withheld follows from the study and from noised numbers of patients, never from its own value: figures
/// that were chosen by their value would be wrong more often than their intervals say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Figure {
    /// It is shown.
    Shown(Estimate),
    /// It is not.
    Withheld {
        /// Why, and what would show it.
        withheld: String,
    },
}

/// What is known of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Estimate {
    /// The likeliest value.
    pub value: f64,
    /// The standard deviation of what noise does to it; 0 where the study has none.
    pub deviation: f64,
    /// The lower end of the 95 % interval of the figure that the same patients have without noise.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Estimate {
    /// Half of a 95 % interval, in standard deviations of normal noise.
    pub const HALF: f64 = 1.96;
}

impl Figure {
    /// What is known of it, where it is shown.
    #[must_use]
    pub fn shown(&self) -> Option<&Estimate> {
        match self {
            Self::Shown(estimate) => Some(estimate),
            Self::Withheld { .. } => None,
        }
    }
}

/// As people read it: `0.812 (0.790 to 0.834)`, or why it is not shown.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shown(Estimate {
                value, low, high, ..
            }) => write!(f, "{value:.3} ({low:.3} to {high:.3})"),
            Self::Withheld { withheld } => write!(f, "withheld: {withheld}"),
        }
    }
}

/// Figures on held-out patients from a sum of counts, each with its noise. Of nobody, a figure is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Metrics {
    /// Labels that were counted.
    pub patients: Count,
    /// Share of patients whose most probable class is the true one.
    pub accuracy: Option<Figure>,
    /// Mean over the classes of the area under the ROC curve of one class against the rest.
    pub macro_auc: Option<Figure>,
    /// Mean over the classes of the harmonic mean of precision and recall.
    pub macro_f1: Option<Figure>,
    /// Rows: true class; columns: predicted class.
    pub confusion: Vec<Vec<Count>>,
    /// For each class the area under the ROC curve against the rest; none where nobody or everybody is in it.
    pub class_auc: Vec<Option<Figure>>,
    /// For each class its reliability diagram: a group for each unit of the log-odds of its probability, from below −5 to
    /// above 5; only groups that the study's bins have.
    pub reliability: Vec<Vec<Reliability>>,
    /// Mean over the classes of the expected calibration error: the sum over the groups of the difference between the
    /// patients that the probabilities expect in the class and those that are in it, over all patients (classwise ECE, Kull
    /// et al. 2019).
    pub calibration_error: Option<Figure>,
}

/// A group of a reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Reliability {
    /// The predicted probability in the group's middle.
    pub predicted: f64,
    /// Patients whose probability is in the group.
    pub patients: Count,
    /// Of these, those in the class.
    pub in_class: Count,
}
