//! One-time tokens and the sites that enrolled with them.
//!
//! ```text
//! aggregator token ──▶ tokens[SHA-256(token)] = name ──Enrol, in one transaction──▶ used tokens, sites[name] = key
//! ```
//!
//! The roster in the study is what counts: enrolment only carries a site's public key to the person who writes it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread::sleep;
use std::time::Duration;

use protocol::api::Enrol;
use protocol::id::{Digest, IdentityKey};
use redb::{
    Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError,
};
use ring::rand::SecureRandom;

use super::{StoreError, sync_folder_of};

/// The SHA-256 of a token that was not used yet → the name of the site that may use it.
const TOKENS: TableDefinition<'_, [u8; 32], &str> = TableDefinition::new("tokens");
/// The SHA-256 of a used token → the name and key it was used with.
const USED: TableDefinition<'_, [u8; 32], (&str, [u8; 32])> = TableDefinition::new("used-tokens");
/// The name of a site → its key.
const SITES: TableDefinition<'_, &str, [u8; 32]> = TableDefinition::new("sites");

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
        let database = self.open()?;
        let write = || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            transaction
                .open_table(TOKENS)?
                .insert(Digest::of(token.0.as_bytes()).0, site.0.as_str())?;
            transaction.commit()?;
            Ok(())
        };
        write()?;
        Ok(token)
    }

    /// Takes a site's request: checks it, uses its token up and keeps its key, all or nothing.
    ///
    /// The same request once more is taken again without effect: the answer to the first may have been lost.
    ///
    /// # Errors
    ///
    /// A token that is unknown, used, or of another site; a signature by another key; a database that fails.
    pub fn enrol(&self, request: &Enrol) -> Result<(), EnrolError> {
        let signed = Enrol::signed_bytes(&request.token, &request.name);
        if !request.key.verifies(&signed, &request.signature) {
            return Err(EnrolError::Signature);
        }
        let digest = Digest::of(request.token.as_bytes()).0;
        let database = self.open()?;
        let take = || -> Result<Result<(), EnrolError>, redb::Error> {
            let transaction = database.begin_write()?;
            {
                let mut tokens = transaction.open_table(TOKENS)?;
                let mut used = transaction.open_table(USED)?;
                if let Some(entry) = used.get(digest)? {
                    let same = entry.value() == (request.name.as_str(), request.key.0);
                    return Ok(if same {
                        Ok(())
                    } else {
                        Err(EnrolError::TokenUsed)
                    });
                }
                let Some(name) = tokens.remove(digest)?.map(|entry| entry.value().to_owned())
                else {
                    return Ok(Err(EnrolError::UnknownToken));
                };
                if name != request.name {
                    return Ok(Err(EnrolError::OtherName {
                        sent: request.name.clone(),
                    }));
                }
                used.insert(digest, (request.name.as_str(), request.key.0))?;
                transaction
                    .open_table(SITES)?
                    .insert(request.name.as_str(), request.key.0)?;
            }
            transaction.commit()?;
            Ok(Ok(()))
        };
        take().map_err(StoreError::from)?
    }

    /// All enrolled sites by name.
    ///
    /// # Errors
    ///
    /// A database that fails.
    pub fn sites(&self) -> Result<Vec<Enrolled>, StoreError> {
        let database = self.open()?;
        let read = || -> Result<Vec<Enrolled>, redb::Error> {
            let table = match database.begin_read()?.open_table(SITES) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                table => table?,
            };
            let mut sites = Vec::new();
            for entry in table.iter()? {
                let (name, key) = entry?;
                sites.push(Enrolled {
                    name: name.value().to_owned(),
                    key: IdentityKey(key.value()),
                });
            }
            Ok(sites)
        };
        Ok(read()?)
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

/// Why a site was not enrolled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// No such token was given out.
    #[error("the token is unknown; ask the study's operator for one")]
    UnknownToken,
    /// The token was used with another name or key.
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
