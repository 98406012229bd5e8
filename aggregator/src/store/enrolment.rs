//! One-time tokens, the sites that enrolled with them, and the closing of their list.
//!
//! ```text
//! aggregator token ──▶ tokens[SHA-256(token)] = name ──Enrol, in one transaction──▶ used tokens, sites[name] = key, commitment
//! roster --close   ──▶ roll call: the sites as they are now; nobody can enrol any more
//! host reveal      ──▶ lots[key]: the site's nonce, signed for exactly this list
//! roster --reopen  ──▶ no site, no list, no lots: all enrol again, with new nonces
//! ```
//!
//! The roster in the study is what counts: enrolment only carries a site's public key and its lot to the person who
//! writes it. Studies in which all sites take part need no list to be closed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread::sleep;
use std::time::Duration;

use protocol::api::{Enrol, Reveal};
use protocol::codec;
use protocol::id::{Digest, IdentityKey};
use protocol::lottery::{Entry, Lot, RollCall, RollCallError};
use redb::{Database, DatabaseError, ReadableTable as _, TableDefinition, WriteTransaction};
use ring::rand::SecureRandom;

use super::{StoreError, sync_folder_of};

/// The SHA-256 of a token that was not used yet → the name of the site that may use it.
const TOKENS: TableDefinition<'_, [u8; 32], &str> = TableDefinition::new("tokens");
/// The SHA-256 of a used token → the SHA-256 of the request that it was used with.
const USED: TableDefinition<'_, [u8; 32], [u8; 32]> =
    TableDefinition::new("used-tokens-by-request");
/// The name of a site → its key.
const SITES: TableDefinition<'_, &str, [u8; 32]> = TableDefinition::new("sites");
/// The name of a site → what binds it to its nonce.
const COMMITMENTS: TableDefinition<'_, &str, [u8; 32]> = TableDefinition::new("commitments");
/// The closed list, under one name.
const ROLL_CALL: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("roll-call");
/// The key of a site on the closed list → its lot.
const LOTS: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("lots");

const CLOSED: &str = "closed";

/// Times that the file is tried, at [`PAUSE`], while another process has it open for a moment.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// The file of tokens and enrolled sites; each call opens it, so that it blocks others for milliseconds alone.
#[derive(Clone, Debug)]
pub struct Enrolment {
    path: PathBuf,
}

/// A site that enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Its name.
    pub name: String,
    /// The key that it signs with.
    pub key: IdentityKey,
    /// What it revealed, once the list is closed and it did.
    pub lot: Option<Lot>,
}

/// The sites, and whether their list is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roster {
    /// Sites can enrol; they are in the order of their names.
    Open(Vec<Enrolled>),
    /// The list is closed; sites reveal their nonces. They are in the list's order.
    Closed(Vec<Enrolled>),
}

impl Roster {
    /// The sites.
    #[must_use]
    pub fn sites(&self) -> &[Enrolled] {
        match self {
            Self::Open(sites) | Self::Closed(sites) => sites,
        }
    }
}

impl Enrolment {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes a token for the site with this name; only the token's digest is kept.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn create_token(
        &self,
        site: &SiteName,
        random: &dyn SecureRandom,
    ) -> Result<Token, StoreError> {
        let token = Token::draw(random).ok_or(StoreError::NoRandomness)?;
        self.change(|transaction| {
            transaction
                .open_table(TOKENS)?
                .insert(Digest::of(token.0.as_bytes()).0, site.0.as_str())?;
            Ok(Ok::<_, StoreError>(()))
        })?;
        Ok(token)
    }

    /// Takes a site's request: checks it, uses its token up and keeps its key and commitment, all or nothing.
    ///
    /// The same request once more is taken again without effect: the answer to the first may have been lost.
    ///
    /// # Errors
    ///
    /// A token that is unknown, used, or of another site; a signature by another key; a list that is closed; a database
    /// that fails.
    pub fn enrol(&self, request: &Enrol) -> Result<(), EnrolError> {
        let signed = Enrol::signed_bytes(&request.token, &request.commitment, &request.name);
        if !request.key.verifies(&signed, &request.signature) {
            return Err(EnrolError::Signature);
        }
        self.change(|transaction| enrol(transaction, request))
    }

    /// Closes the list of sites: from now on nobody can enrol, and sites reveal their nonces for exactly this list. A list
    /// that is closed stays as it is.
    ///
    /// # Errors
    ///
    /// A list without sites, and one with a site that enrolled before there were nonces; a database that fails.
    pub fn close(&self) -> Result<RollCall, RosterError> {
        self.change(|transaction| {
            if let Some(list) = closed(transaction)? {
                return Ok(list.map_err(RosterError::from));
            }
            let list = match list(transaction)? {
                Ok(list) => list,
                Err(error) => return Ok(Err(error)),
            };
            transaction
                .open_table(ROLL_CALL)?
                .insert(CLOSED, codec::encode(&list).as_slice())?;
            Ok(Ok(list))
        })
    }

    /// Forgets all sites, the closed list and what was revealed: all sites enrol again, each with a new token and a new
    /// nonce. Tokens that were not used stay.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn reopen(&self) -> Result<(), StoreError> {
        self.change(|transaction| {
            transaction.delete_table(SITES)?;
            transaction.delete_table(COMMITMENTS)?;
            transaction.delete_table(ROLL_CALL)?;
            transaction.delete_table(LOTS)?;
            Ok(Ok(()))
        })
    }

    /// The closed list.
    ///
    /// # Errors
    ///
    /// A list that is open; a database that fails.
    pub fn roll_call(&self) -> Result<RollCall, EnrolError> {
        self.look(|transaction| {
            let list = closed(transaction)?.ok_or(EnrolError::Open);
            Ok(list.and_then(|list| list.map_err(EnrolError::from)))
        })
    }

    /// Takes what a site reveals: checks it against the closed list and keeps it. The same once more is taken again
    /// without effect.
    ///
    /// # Errors
    ///
    /// A list that is open, or another one than the site signed; a site that is not on it; a nonce that it did not commit
    /// to; a signature that is not its own; a database that fails.
    pub fn reveal(&self, reveal: &Reveal) -> Result<(), EnrolError> {
        self.change(|transaction| {
            let list = match closed(transaction)? {
                Some(Ok(list)) => list,
                Some(Err(error)) => return Ok(Err(error.into())),
                None => return Ok(Err(EnrolError::Open)),
            };
            if let Err(error) = check(&list, reveal) {
                return Ok(Err(error));
            }
            let lot = codec::encode(&reveal.lot);
            transaction
                .open_table(LOTS)?
                .insert(reveal.key.0, lot.as_slice())?;
            Ok(Ok(()))
        })
    }

    /// All enrolled sites, and whether their list is closed.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn roster(&self) -> Result<Roster, StoreError> {
        self.look(|transaction| {
            let list = match closed(transaction)? {
                Some(Ok(list)) => list,
                Some(Err(error)) => return Ok(Err(error)),
                None => return Ok(Ok(Roster::Open(open_sites(transaction)?))),
            };
            let lots = transaction.open_table(LOTS)?;
            let mut sites = Vec::new();
            for Entry { name, key, .. } in list.entries() {
                let bytes = lots.get(key.0)?.map(|bytes| bytes.value().to_vec());
                let lot = match bytes.map(|bytes| decoded(&bytes, "lot")).transpose() {
                    Ok(lot) => lot,
                    Err(error) => return Ok(Err(error)),
                };
                sites.push(Enrolled {
                    name: name.clone(),
                    key: *key,
                    lot,
                });
            }
            Ok(Ok(Roster::Closed(sites)))
        })
    }

    /// Does `work` in one transaction, which takes effect where it succeeds, and leaves no trace where it does not.
    fn change<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<Result<T, E>, redb::Error>,
    ) -> Result<T, E> {
        let database = self.open()?;
        let run = || -> Result<Result<T, E>, redb::Error> {
            let transaction = database.begin_write()?;
            let done = work(&transaction)?;
            if done.is_ok() {
                transaction.commit()?;
            }
            Ok(done)
        };
        run().map_err(StoreError::from)?
    }

    /// As [`Self::change`], for what changes nothing: the transaction, in which tables that are missing are empty, is
    /// dropped.
    fn look<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<Result<T, E>, redb::Error>,
    ) -> Result<T, E> {
        let database = self.open()?;
        let run = || work(&database.begin_write()?);
        run().map_err(StoreError::from)?
    }

    fn open(&self) -> Result<Database, StoreError> {
        for _ in 1..TRIES {
            match Database::create(&self.path) {
                Err(DatabaseError::DatabaseAlreadyOpen) => sleep(PAUSE),
                opened => return self.opened(opened),
            }
        }
        self.opened(Database::create(&self.path))
    }

    fn opened(&self, opened: Result<Database, DatabaseError>) -> Result<Database, StoreError> {
        let database = opened.map_err(redb::Error::from)?;
        sync_folder_of(&self.path)?;
        Ok(database)
    }
}

/// Uses a token up and keeps its site, whose signature was checked.
fn enrol(
    transaction: &WriteTransaction,
    request: &Enrol,
) -> Result<Result<(), EnrolError>, redb::Error> {
    let digest = Digest::of(request.token.as_bytes()).0;
    let whole = Digest::of(&codec::encode(request)).0;
    let mut tokens = transaction.open_table(TOKENS)?;
    let mut used = transaction.open_table(USED)?;
    let mut sites = transaction.open_table(SITES)?;
    let mut commitments = transaction.open_table(COMMITMENTS)?;
    if let Some(entry) = used.get(digest)? {
        let is_same = entry.value() == whole;
        let kept = commitments.get(request.name.as_str())?;
        // After the list was opened again, an old request is no enrolment any more.
        let is_kept = kept.is_some_and(|kept| kept.value() == request.commitment.0);
        return Ok(if is_same && is_kept {
            Ok(())
        } else {
            Err(EnrolError::TokenUsed)
        });
    }
    if closed(transaction)?.is_some() {
        return Ok(Err(EnrolError::Closed));
    }
    let Some(name) = tokens.remove(digest)?.map(|entry| entry.value().to_owned()) else {
        return Ok(Err(EnrolError::UnknownToken));
    };
    if name != request.name {
        return Ok(Err(EnrolError::OtherName {
            sent: request.name.clone(),
        }));
    }
    used.insert(digest, whole)?;
    sites.insert(request.name.as_str(), request.key.0)?;
    commitments.insert(request.name.as_str(), request.commitment.0)?;
    Ok(Ok(()))
}

/// Whether what a site reveals is its own, for this list.
fn check(list: &RollCall, reveal: &Reveal) -> Result<(), EnrolError> {
    let digest = list.digest();
    if reveal.list != digest {
        return Err(EnrolError::OtherList {
            signed: reveal.list,
            closed: digest,
        });
    }
    let entry = list.entry(&reveal.key).ok_or(EnrolError::NotListed)?;
    if reveal.lot.nonce.commitment(&entry.key) != entry.commitment {
        return Err(EnrolError::OtherNonce);
    }
    if !reveal.lot.is_by(&entry.key, digest) {
        return Err(EnrolError::Signature);
    }
    Ok(())
}

/// The closed list, if it is closed.
fn closed(
    transaction: &WriteTransaction,
) -> Result<Option<Result<RollCall, StoreError>>, redb::Error> {
    let table = transaction.open_table(ROLL_CALL)?;
    let bytes = table.get(CLOSED)?.map(|bytes| bytes.value().to_vec());
    Ok(bytes.map(|bytes| decoded(&bytes, "roll call")))
}

/// The list of the sites as they are now.
fn list(transaction: &WriteTransaction) -> Result<Result<RollCall, RosterError>, redb::Error> {
    let commitments = transaction.open_table(COMMITMENTS)?;
    let mut entries = Vec::new();
    let mut without = Vec::new();
    for Enrolled { name, key, .. } in open_sites(transaction)? {
        match commitments.get(name.as_str())? {
            Some(commitment) => entries.push(Entry {
                commitment: Digest(commitment.value()),
                name,
                key,
            }),
            None => without.push(name),
        }
    }
    Ok(if !without.is_empty() {
        Err(RosterError::NoCommitment(without))
    } else if entries.is_empty() {
        Err(RosterError::Empty)
    } else {
        RollCall::new(entries).map_err(RosterError::List)
    })
}

/// The enrolled sites by name.
fn open_sites(transaction: &WriteTransaction) -> Result<Vec<Enrolled>, redb::Error> {
    let table = transaction.open_table(SITES)?;
    let mut sites = Vec::new();
    for entry in table.iter()? {
        let (name, key) = entry?;
        sites.push(Enrolled {
            name: name.value().to_owned(),
            key: IdentityKey(key.value()),
            lot: None,
        });
    }
    Ok(sites)
}

fn decoded<T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>>(
    bytes: &[u8],
    what: &'static str,
) -> Result<T, StoreError> {
    codec::decode(bytes).map_err(|source| StoreError::Unreadable { what, source })
}

/// Why a site was not enrolled, or what it reveals was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// No such token was given out.
    #[error("the token is unknown; ask the study's operator for one")]
    UnknownToken,
    /// The token was used with another name, key or nonce, or before the list was opened again.
    #[error("the token was used before; ask the study's operator for a new one")]
    TokenUsed,
    /// The token is for another name.
    #[error("the token is not for a site named {sent:?}")]
    OtherName {
        /// The name in the request.
        sent: String,
    },
    /// The signature is not by the key in the request.
    #[error("the signature is not by the key that the request names")]
    Signature,
    /// The list is closed: a site that joined now could choose its nonce by those of the others.
    #[error(
        "the roster is closed, and no site can join it; ask the study's operator to open it again (`aggregator roster \
         --reopen`), after which all sites enrol again"
    )]
    Closed,
    /// The list is not closed yet.
    #[error(
        "the roster is not closed: nothing is revealed before; wait until the study's operator has closed it \
         (`aggregator roster --close`)"
    )]
    Open,
    /// The site signed another list.
    #[error("the site signed the list {signed}, and the roster that is closed is {closed}")]
    OtherList {
        /// The digest of the list that it signed.
        signed: Digest,
        /// The digest of the closed list.
        closed: Digest,
    },
    /// The site is not on the list.
    #[error("no site on the closed roster has this key")]
    NotListed,
    /// The site committed to another nonce.
    #[error("the nonce is not the one that the site committed to when it enrolled")]
    OtherNonce,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the list of sites is not closed. The operator can act on each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RosterError {
    /// No site has enrolled.
    #[error(
        "no site has enrolled: give each site a token (`aggregator token --site NAME`) and wait until it has enrolled"
    )]
    Empty,
    /// Sites without a commitment.
    #[error(
        "these sites enrolled without a nonce for the lottery: {}; give each a new token (`aggregator token --site NAME`), \
         with which it enrols again", .0.join(", ")
    )]
    NoCommitment(Vec<String>),
    /// Two sites with one key.
    #[error(
        "{0}; open the roster again (`aggregator roster --reopen`) and have each site enrol once"
    )]
    List(RollCallError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A one-time token: 64 hexadecimal digits.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    fn draw(random: &dyn SecureRandom) -> Option<Self> {
        let mut bytes = [0; 32];
        random.fill(&mut bytes).ok()?;
        Some(Self(hex::encode(bytes)))
    }

    /// The token itself, for the one person it is for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

/// A site's name: 1 to 100 characters that stand in TOML and in logs as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteName(String);

impl FromStr for SiteName {
    type Err = SiteNameError;

    fn from_str(text: &str) -> Result<Self, SiteNameError> {
        let plain = |letter: char| !letter.is_control() && letter != '"' && letter != '\\';
        let fits = (1..=100).contains(&text.chars().count()) && text.trim() == text;
        if fits && text.chars().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SiteNameError)
        }
    }
}

/// The text is no name of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "want 1 to 100 characters without quotes, backslashes and control characters, no space at either end"
)]
pub struct SiteNameError;
