//! The module's door: one request in, one response out, both in CBOR ([`crate::codec`]).
//!
//! ```text
//! Prepare ─▶ (Read ─▶ Piece)… ─▶ cohort bytes (kept by the host, never sent)
//! Import ─▶ (Read ─▶ Piece | Part ─▶ Kept)… ─▶ Imported
//! Open ─▶ Work… ─▶ Advertise ─▶ Share ─▶ Mask ─▶ Chunk… ─▶ Agree ─▶ Remember ─▶ Unmask   one instance, one round
//! Baseline ─▶ Work… ─▶ Finish                                          trains on this site alone, sends nothing
//! Check ─▶ (Read ─▶ Piece)… ─▶ Checked
//! Predict, Export, Describe                                                  need no session
//! ```
//!
//! Byte for byte in `docs/MODULE.md`. All randomness comes from the 32-byte seed of [`Open`].

mod check;
mod pieces;
mod report;

pub use check::{
    Check, Checked, Distribution, Explained, ExplainedLabel, ExplainedRow, Spike, Use,
};
pub use pieces::{PIECE, Piece, ask_with_pieces, piece};
pub use report::{CodeCount, Coverage, Report};

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::id::{Digest, Header, SiteId};
use crate::seed::Seed;

/// What the host asks of the module.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Request {
    /// Checks a study against the module's own model.
    #[n(0)]
    Describe(#[n(0)] Describe),
    /// Parses a hospital's files into the model's inputs; their bytes are asked for with [`Response::Read`].
    #[n(1)]
    Prepare(#[n(0)] Prepare),
    /// Starts a round.
    #[n(2)]
    Open(#[n(0)] Open),
    /// Does a piece of the work that was begun; repeated until it is done.
    #[n(3)]
    Work(#[n(0)] Work),
    /// Asks for the round's public keys.
    #[n(4)]
    Advertise,
    /// Gives all adverts; asks for the encrypted shares.
    #[n(5)]
    Share(#[n(0)] Messages),
    /// Gives the shares that were sent to this site; asks for the announcement of the masked vector.
    #[n(6)]
    Mask(#[n(0)] Inbox),
    /// Gives the survivors; asks for the statement to sign.
    #[n(7)]
    Agree(#[n(0)] Survivors),
    /// Gives the signed statements; asks for the shares that open the sum's masks.
    #[n(8)]
    Unmask(#[n(0)] Messages),
    /// Starts training on this site's patients alone, without noise: for the site's own comparison, or its own model.
    #[n(9)]
    Baseline(#[n(0)] Baseline),
    /// Asks for the state that a finished baseline ends in.
    #[n(10)]
    Finish,
    /// Asks for the class probabilities of patients.
    #[n(11)]
    Predict(#[n(0)] Predict),
    /// Asks for the MEDS files that hold what a CSV file holds, whose bytes are asked for with [`Response::Read`].
    #[n(12)]
    Import(#[n(0)] Import),
    /// Asks for what the site is to keep for its next round; any time after [`Request::Advertise`].
    #[n(13)]
    Remember,
    /// Asks for all weights of a model: of a published one, to use it elsewhere; of one of public patients, to start other
    /// studies from.
    #[n(14)]
    Export(#[n(0)] Export),
    /// Asks for a sealed chunk of the masked vector ([`crate::chunk`]) by its number; any number of times between
    /// [`Request::Mask`] and [`Request::Agree`].
    #[n(15)]
    Chunk(#[n(0)] u32),
    /// Asks what a hospital's files hold and what a study, or a draft of one, would use of them.
    #[n(16)]
    Check(#[n(0)] Check),
    /// The bytes that [`Response::Read`] asked for: [`PIECE`] of them, or fewer at the file's end.
    #[n(17)]
    Piece(#[n(0)] ByteVec),
    /// The part of a file that [`Response::Part`] gave is kept.
    #[n(18)]
    Kept,
}

/// What the module answers.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Response {
    /// The request was refused; the session is as before, or gone where [`Refusal::fatal`] says so.
    #[n(0)]
    Refused(#[n(0)] Refusal),
    /// To [`Request::Describe`].
    #[n(1)]
    Described(#[n(0)] Described),
    /// To [`Request::Prepare`].
    #[n(2)]
    Prepared(#[n(0)] Prepared),
    /// To [`Request::Open`], [`Request::Work`] and [`Request::Baseline`].
    #[n(3)]
    Progress(#[n(0)] Progress),
    /// To [`Request::Advertise`], [`Request::Share`], [`Request::Mask`], [`Request::Agree`] and
    /// [`Request::Unmask`]: the body of the message to sign and send.
    #[n(4)]
    Send(#[n(0)] ByteVec),
    /// To [`Request::Finish`].
    #[n(5)]
    Finished(#[n(0)] State),
    /// To [`Request::Predict`].
    #[n(6)]
    Predicted(#[n(0)] Predicted),
    /// To [`Request::Import`].
    #[n(7)]
    Imported(#[n(0)] Imported),
    /// To [`Request::Remember`]: patient data, for the host to keep at the site; empty where the study keeps nothing.
    #[n(8)]
    Memory(#[n(0)] ByteVec),
    /// To [`Request::Export`].
    #[n(9)]
    Exported(#[n(0)] Exported),
    /// To [`Request::Chunk`]: the sealed chunk, to be sent as it is.
    #[n(10)]
    Chunk(#[n(0)] ByteVec),
    /// To [`Request::Check`]: patient data, for people at the site.
    #[n(11)]
    Checked(#[n(0)] Checked),
    /// To [`Request::Prepare`], [`Request::Check`] and [`Request::Import`], before their own answers: a piece of a file is
    /// wanted, with [`Request::Piece`].
    #[n(12)]
    Read(#[n(0)] Piece),
    /// To [`Request::Import`]: a part of a file that is made, to be kept behind its parts before; [`Request::Kept`] goes on.
    #[n(13)]
    Part(#[n(0)] Part),
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Refusal {
    /// The reason, for a person: lower case, no full stop.
    #[n(0)]
    pub reason: String,
    /// Whether the session is gone.
    #[n(1)]
    pub fatal: bool,
}

/// Of [`Request::Describe`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Describe {
    /// The bytes of `study.toml`.
    #[n(0)]
    pub study: ByteVec,
    /// The bytes of the file of public weights that the study names ([`crate::weights::Weights`]); none where it names
    /// none.
    #[n(1)]
    pub weights: Option<ByteVec>,
}

/// Of [`Response::Described`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Described {
    /// The digest of the study's bytes.
    #[n(0)]
    pub study: Digest,
    /// Trained weights of the study's model; [`Request::Open`] wants the study to say the same number.
    #[n(1)]
    pub parameters: u32,
    /// The module's name and version.
    #[n(2)]
    pub module: String,
}

/// Of [`Request::Prepare`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Prepare {
    /// The bytes of `study.toml`.
    #[n(0)]
    pub study: ByteVec,
    /// The hospital's files, in any order.
    #[n(1)]
    pub files: Vec<Source>,
    /// What to do with rows that cannot be used.
    #[n(2)]
    pub bad_rows: BadRows,
    /// Which labels are wanted.
    #[n(3)]
    pub outcomes: Outcomes,
}

/// Which labels preparation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Outcomes {
    /// Those whose outcome is known, as many of a patient as the study uses: to train on, and to measure by.
    #[n(0)]
    Known,
    /// All of each patient, whether the outcome is known or not: for [`Request::Predict`] alone.
    #[n(1)]
    Any,
}

/// A file of a hospital, whose bytes are asked for: Parquet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Source {
    /// Its name, for messages.
    #[n(0)]
    pub name: String,
    /// What it holds.
    #[n(1)]
    pub role: Role,
    /// How many bytes it has.
    #[n(2)]
    pub bytes: u64,
    /// The zone of the hospital's clocks: `Europe/Berlin`, `+01:00` or `UTC`. Times that the file keeps in UTC become what these
    /// clocks showed; without it they stay in UTC.
    #[n(3)]
    pub zone: Option<String>,
}

/// A part of a file that is made.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Part {
    /// Which file: what it holds.
    #[n(0)]
    pub role: Role,
    /// The part's bytes: patient data, for the host to keep at the site.
    #[n(1)]
    pub bytes: ByteVec,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// MEDS events: `subject_id, time, code, numeric_value`.
    #[n(0)]
    Events,
    /// MEDS labels: `subject_id, prediction_time, …_value`.
    #[n(1)]
    Labels,
    /// MEDS splits: `subject_id, split` (`train`, `tuning`, `held_out`).
    #[n(2)]
    Splits,
}

/// What to do with rows that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum BadRows {
    /// Stop with an error that names file, row and column.
    #[n(0)]
    Stop,
    /// Leave them out and count them.
    #[n(1)]
    Drop,
}

/// Of [`Response::Prepared`].
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Prepared {
    /// The model's inputs of every patient: patient data, for the host to keep at the site.
    #[n(0)]
    pub cohort: ByteVec,
    /// What was read, for a person at the site.
    #[n(1)]
    pub report: Report,
}

/// Where training stands: what the aggregator publishes after each round, and all sites start the next from.
///
/// Whoever is given one parses it with [`State::of`] or [`State::published`], which know what each number can be.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct State {
    /// What has been added to the initial weights so far; all 0 at the start. Length: the study's parameters.
    #[n(0)]
    pub offset: Vec<f32>,
    /// Mean and standard deviation of each feature where the study shares them; empty before that.
    #[n(1)]
    pub normalisation: Vec<Moments>,
    /// The control variate that all sites share, where the study has them; else empty.
    #[n(2)]
    pub control: Vec<f32>,
    /// The clip norm of the next step, where the study adapts it.
    #[n(3)]
    pub clip_norm: Option<f64>,
    /// The centres of clusters, one after the other, in radii, none outside the ball; empty before the first is found.
    /// In rounds of [`crate::id::Purpose::Seed`] those that are to be split.
    #[n(4)]
    pub centres: Vec<f32>,
}

/// Mean and standard deviation of one feature.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct Moments {
    /// The mean, in the feature's unit.
    #[n(0)]
    pub mean: f64,
    /// The standard deviation, in the feature's unit, above 0.
    #[n(1)]
    pub sd: f64,
}

/// Of [`Request::Open`].
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Open {
    /// The bytes of `study.toml`.
    #[n(0)]
    pub study: ByteVec,
    /// What [`Prepared`] gave.
    #[n(1)]
    pub cohort: ByteVec,
    /// The round.
    #[n(2)]
    pub header: Header,
    /// The encoded [`State`], whose digest the header names.
    #[n(3)]
    pub state: ByteVec,
    /// This site.
    #[n(4)]
    pub site: SiteId,
    /// All of the session's randomness.
    #[n(5)]
    pub seed: Seed,
    /// What [`Response::Memory`] gave in the site's last round of this study; empty before.
    #[n(6)]
    pub memory: ByteVec,
    /// The bytes of the file of public weights that the study names ([`crate::weights::Weights`]); none where it names
    /// none.
    #[n(7)]
    pub weights: Option<ByteVec>,
}

/// Of [`Request::Work`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Work {
    /// Patients to do before answering; the answer does not depend on how the work is cut.
    #[n(0)]
    pub patients: u32,
}

/// How far the session's work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Progress {
    /// Patients done, over all steps.
    #[n(0)]
    pub done: u64,
    /// Patients to do.
    #[n(1)]
    pub total: u64,
    /// Patients so far of whom the model makes no finite number: they add nothing, and are evaluated as if nothing were
    /// known of them. Of several steps, as many as in the one that had the most. For the site's own people; it never
    /// leaves the site, and no answer depends on it.
    #[n(2)]
    pub unusable: u64,
}

/// Signed messages of sites ([`crate::message::Signed`]), encoded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Messages {
    /// One a site.
    #[n(0)]
    pub messages: Vec<ByteVec>,
}

/// Encrypted shares that were sent to this site, and who shared.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Inbox {
    /// One a sender.
    #[n(0)]
    pub shares: Vec<Sealed>,
    /// All sites that shared their secrets, with this site or others, in ascending order, this one among them.
    #[n(1)]
    pub sharers: Vec<SiteId>,
}

/// Shares from one site to another, encrypted between the two.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sealed {
    /// The other site: the recipient in a message that is sent, the sender in an inbox.
    #[n(0)]
    pub site: SiteId,
    /// The ciphertext.
    #[n(1)]
    pub bytes: ByteVec,
}

/// The sites whose masked inputs the aggregator holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Survivors {
    /// In ascending order, each once.
    #[n(0)]
    pub sites: Vec<SiteId>,
    /// Their signed messages of stage mask ([`crate::message::Signed`]), encoded, in the same order.
    #[n(1)]
    pub inputs: Vec<ByteVec>,
}

/// Of [`Request::Baseline`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Baseline {
    /// The bytes of `study.toml`.
    #[n(0)]
    pub study: ByteVec,
    /// What [`Prepared`] gave, of one or more sites: their patients are pooled.
    #[n(1)]
    pub cohorts: Vec<ByteVec>,
    /// The bytes of the file of public weights that the study names ([`crate::weights::Weights`]); none where it names
    /// none.
    #[n(2)]
    pub weights: Option<ByteVec>,
    /// The encoded [`State`] to go on from by the study's `[personalisation]`; none to train from the start.
    #[n(3)]
    pub state: Option<ByteVec>,
}

/// Of [`Request::Predict`].
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Predict {
    /// The bytes of `study.toml`.
    #[n(0)]
    pub study: ByteVec,
    /// What [`Prepared`] gave.
    #[n(1)]
    pub cohort: ByteVec,
    /// The encoded [`State`].
    #[n(2)]
    pub state: ByteVec,
    /// The bytes of the file of public weights that the study names ([`crate::weights::Weights`]); none where it names
    /// none.
    #[n(3)]
    pub weights: Option<ByteVec>,
}

/// Of [`Request::Export`].
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Export {
    /// The bytes of `study.toml`.
    #[n(0)]
    pub study: ByteVec,
    /// The encoded [`State`].
    #[n(1)]
    pub state: ByteVec,
    /// The bytes of the file of public weights that the study names ([`crate::weights::Weights`]); none where it names
    /// none.
    #[n(2)]
    pub weights: Option<ByteVec>,
    /// Blocks to leave out, as `model.trained.blocks` names them: a study with other classes has a head of its own.
    #[n(3)]
    pub without: Vec<String>,
}

/// Of [`Response::Exported`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Exported {
    /// The encoded [`crate::weights::Weights`]: a file that a study can name.
    #[n(0)]
    pub weights: ByteVec,
    /// The shape of each of its blocks, in the same order; a linear layer is `[outputs, inputs]`.
    #[n(1)]
    pub shapes: Vec<Vec<u32>>,
}

/// Of [`Response::Predicted`].
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Predicted {
    /// One per label, by patient, then by prediction time.
    #[n(0)]
    pub patients: Vec<Prediction>,
}

/// What the model says of one patient at one prediction time.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Prediction {
    /// The hospital's own number of the patient.
    #[n(0)]
    pub subject: i64,
    /// Which part of the cohort the patient is in.
    #[n(1)]
    pub split: Split,
    /// Index of the true class; none where the outcome is not known.
    #[n(2)]
    pub label: Option<u32>,
    /// Probability of each class, adding to 1.
    #[n(3)]
    pub probabilities: Vec<f32>,
    /// The patient's phenotype, where the state has centres: the same for all labels of a patient.
    #[n(4)]
    pub phenotype: Option<Phenotype>,
    /// The prediction time: microseconds since 1970-01-01T00:00:00, on the hospital's clock.
    #[n(5)]
    pub time: i64,
}

/// The cluster that a patient is in.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct Phenotype {
    /// The place of its centre in [`State::centres`].
    #[n(0)]
    pub cluster: u32,
    /// How far the patient is from it, in the embedding's unit.
    #[n(1)]
    pub distance: f64,
}

/// Of [`Request::Import`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Import {
    /// The bytes of the map, in TOML: which column is what.
    #[n(0)]
    pub map: ByteVec,
    /// The name of the CSV file, for messages.
    #[n(1)]
    pub name: String,
    /// What to do with rows that cannot be used.
    #[n(2)]
    pub bad_rows: BadRows,
    /// The site's key for ids of text, where the map has such.
    #[n(3)]
    pub id_key: Option<Seed>,
    /// The memory that the module may use, in MiB: a table with more events than fit is read several times. The files that are
    /// made do not depend on it.
    #[n(4)]
    pub memory_mib: u32,
}

/// Of [`Response::Imported`], once all parts of the files are kept. `rows` is the sum of `kept`, `passed`, `later` and `dropped`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Imported {
    /// Rows read.
    #[n(0)]
    pub rows: u64,
    /// Rows left out.
    #[n(1)]
    pub dropped: u64,
    /// The first few reasons, each naming file, row and column.
    #[n(2)]
    pub reasons: Vec<String>,
    /// Rows that the files are made of.
    #[n(3)]
    pub kept: u64,
    /// Rows that a filter of the map passed over, by filter.
    #[n(4)]
    pub passed: Vec<Counted>,
    /// Rows that are not the first of their subject, where the map keeps only that.
    #[n(5)]
    pub later: u64,
    /// Rows left out, by reason.
    #[n(6)]
    pub dropped_by: Vec<Counted>,
    /// Columns of the table that the map does not use.
    #[n(7)]
    pub unused: Vec<String>,
    /// What a person should know of how the table was read.
    #[n(8)]
    pub notes: Vec<String>,
    /// For ids of text: a CSV file of `subject_id,id`, the way back from the numbers. Patient data.
    #[n(9)]
    pub ids: Option<ByteVec>,
}

/// So many rows of something.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Counted {
    /// Of what.
    #[n(0)]
    pub what: String,
    /// How many.
    #[n(1)]
    pub rows: u64,
}

/// Which part of the cohort a patient is in (MEDS names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Split {
    /// Trained on.
    #[n(0)]
    Train,
    /// Chosen by.
    #[n(1)]
    Tuning,
    /// Held out.
    #[n(2)]
    HeldOut,
}
