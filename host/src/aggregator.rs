//! The aggregator's HTTP service ([`protocol::api`]) as a site sees it.
//!
//! A site only ever calls outward. What may be tried again is tried again with back-off and jitter: a call that did not
//! arrive, and an aggregator that is busy or restarting. All that is sent may be sent twice.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use participant::patience::Patience;
use participant::{Destination, Failure, Fetch, Outgoing};
use protocol::api::{Announcements, Enrol, Reveal, RoundView};
use protocol::codec::{self, DecodeError};
use protocol::id::{Digest, SiteId};
use protocol::lottery::RollCall;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use ureq::config::Config;
use ureq::http::{Response, StatusCode, Uri};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, TcpConnector};
use ureq::{Agent, Body};

use crate::help::Help;
use crate::tls::{TlsConnector, TlsFault, Trust, TrustError};

/// A connection to one aggregator.
pub struct Aggregator {
    agent: Agent,
    /// Without a slash at its end.
    base: String,
    patience: Patience,
    notice: Notice,
}

/// Told before each wait: what failed, and for how long the site waits.
pub type Notice = Box<dyn Fn(&AggregatorError, Duration)>;

impl Aggregator {
    /// A connection to the service at `url`; with `ca`, only the certificates in that PEM file may vouch for it.
    ///
    /// # Errors
    ///
    /// As [`Aggregator::trusting`].
    pub fn new(url: &str, ca: Option<&Path>, patience: Patience) -> Result<Self, AggregatorError> {
        let trust = Trust {
            ca: ca.map(Path::to_owned),
            certificates: Vec::new(),
        };
        Self::trusting(url, &trust, patience)
    }

    /// A connection to the service at `url`, over TLS 1.3 with whom the hospital trusts; plain on loopback.
    ///
    /// # Errors
    ///
    /// A URL that is none, plain HTTP to another computer, a file without certificates, and a system without authorities.
    pub fn trusting(url: &str, trust: &Trust, patience: Patience) -> Result<Self, AggregatorError> {
        let scheme = scheme(url)?;
        let mut config = Agent::config_builder()
            .https_only(scheme == Scheme::Https)
            .http_status_as_error(false)
            // The aggregator never redirects; who does is somebody else, and is told by the answer.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("wardround-host/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(STALL))
            .timeout_per_write(Some(STALL));
        if scheme == Scheme::LoopbackHttp {
            config = config.proxy(None);
        }
        Ok(Self {
            agent: agent(config.build(), scheme, trust)?,
            base: url.trim_end_matches('/').to_owned(),
            patience,
            notice: Box::new(|_, _| ()),
        })
    }

    /// The same connection, which tells `notice` before each wait.
    #[must_use]
    pub fn with_notice(self, notice: Notice) -> Self {
        Self { notice, ..self }
    }

    /// The study's bytes.
    ///
    /// # Errors
    ///
    /// As all calls: see [`AggregatorError`].
    pub fn study(&self) -> Result<Vec<u8>, AggregatorError> {
        self.get("study")
    }

    /// Where the study is: at once where that is news to who has `seen` a version, else after at most `wait`.
    ///
    /// # Errors
    ///
    /// As all calls: see [`AggregatorError`].
    pub fn view(&self, seen: u64, wait: Duration) -> Result<RoundView, AggregatorError> {
        self.decoded(&format!("round?seen={seen}&wait={}", wait.as_secs()))
    }

    /// The bytes of the state with this digest.
    ///
    /// # Errors
    ///
    /// Bytes with another digest; as all calls: see [`AggregatorError`].
    pub fn state(&self, digest: Digest) -> Result<Vec<u8>, AggregatorError> {
        let bytes = self.get(&format!("states/{digest}"))?;
        let got = Digest::of(&bytes);
        if got == digest {
            Ok(bytes)
        } else {
            Err(AggregatorError::OtherState { got, want: digest })
        }
    }

    /// Where the study is, as the aggregator's bytes: at once where that is news to who has `seen` a version, else after at
    /// most `wait`.
    ///
    /// # Errors
    ///
    /// As all calls: see [`AggregatorError`].
    pub fn poll(&self, seen: u64, wait: Duration) -> Result<Vec<u8>, AggregatorError> {
        self.get(&format!("round?seen={seen}&wait={}", wait.as_secs()))
    }

    /// What the aggregator has for a site, as its bytes.
    ///
    /// # Errors
    ///
    /// As all calls: see [`AggregatorError`].
    pub fn fetch(&self, fetch: Fetch) -> Result<Vec<u8>, AggregatorError> {
        self.get(&match fetch {
            Fetch::State(digest) => format!("states/{digest}"),
            Fetch::Adverts(round) => format!("rounds/{round}/adverts"),
            Fetch::Shares(round, site) => format!("rounds/{round}/shares/{site}"),
            Fetch::Survivors(round) => format!("rounds/{round}/survivors"),
            Fetch::Statements(round) => format!("rounds/{round}/statements"),
            Fetch::MissingChunks(round, site) => format!("rounds/{round}/chunks/{site}"),
            Fetch::Announcements(site, from) => format!("announcements/{site}?from={from}"),
        })
    }

    /// Sends, as the site with this number, what may leave; the same may be sent again.
    ///
    /// # Errors
    ///
    /// As all calls: see [`AggregatorError`].
    pub fn send(&self, site: SiteId, outgoing: &Outgoing) -> Result<(), AggregatorError> {
        let bytes = outgoing.bytes();
        match outgoing.destination() {
            Destination::Message { round, stage } => {
                self.post(&format!("rounds/{round}/{stage}"), bytes)
            }
            Destination::Withdrawal { .. } => self.post("withdraw", bytes),
            Destination::Chunk { round, chunk } => {
                let url = self.url(&format!("rounds/{round}/chunks/{site}/{chunk}"));
                self.persist(|| {
                    let request = self.agent.put(&url);
                    let request = request.content_type("application/octet-stream");
                    self.accepted(&url, request.send(bytes))
                })
                .map(drop)
            }
        }
    }

    /// Asks to be put into the roster.
    ///
    /// # Errors
    ///
    /// As all calls: see [`AggregatorError`].
    pub fn enrol(&self, enrol: &Enrol) -> Result<(), AggregatorError> {
        self.post("enrol", &codec::encode(enrol))
    }

    /// The closed list of the sites that enrolled.
    ///
    /// # Errors
    ///
    /// As all calls: see [`AggregatorError`].
    pub fn roll_call(&self) -> Result<RollCall, AggregatorError> {
        self.decoded("roll-call")
    }

    /// Reveals this site's nonce for the closed list; the same may be sent again.
    ///
    /// # Errors
    ///
    /// As all calls: see [`AggregatorError`].
    pub fn reveal(&self, reveal: &Reveal) -> Result<(), AggregatorError> {
        self.post("reveal", &codec::encode(reveal))
    }

    /// What a site announced at stage mask in the rounds from number `from` on, in ascending order: one page of it. The next
    /// page is from the number after its last one; a page without any is the end.
    ///
    /// That an announcement is the site's own, [`protocol::api::Announcement::open`] says.
    ///
    /// # Errors
    ///
    /// [`AggregatorError::Order`] where numbers do not ascend from `from` on, so that every page brings the end nearer; as
    /// all calls: see [`AggregatorError`].
    pub fn announcements(&self, site: SiteId, from: u32) -> Result<Announcements, AggregatorError> {
        let path = format!("announcements/{site}?from={from}");
        let page: Announcements = self.decoded(&path)?;
        let mut least = Some(from);
        for announcement in &page.announcements {
            let number = announcement.header.number;
            if least.is_none_or(|least| number < least) {
                return Err(AggregatorError::Order { number });
            }
            least = number.checked_add(1);
        }
        Ok(page)
    }

    fn decoded<T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>>(
        &self,
        path: &str,
    ) -> Result<T, AggregatorError> {
        codec::decode(&self.get(path)?).map_err(AggregatorError::Answer)
    }

    fn get(&self, path: &str) -> Result<Vec<u8>, AggregatorError> {
        let url = self.url(path);
        self.persist(|| {
            let response = self.agent.get(&url).call();
            self.accepted(&url, response)
        })
    }

    fn post(&self, path: &str, body: &[u8]) -> Result<(), AggregatorError> {
        let url = self.url(path);
        self.persist(|| self.post_once(&url, body)).map(drop)
    }

    fn post_once(&self, url: &str, body: &[u8]) -> Result<Vec<u8>, AggregatorError> {
        let request = self.agent.post(url).content_type("application/cbor");
        self.accepted(url, request.send(body))
    }

    /// The body of an accepted call.
    fn accepted(
        &self,
        url: &str,
        response: Result<Response<Body>, ureq::Error>,
    ) -> Result<Vec<u8>, AggregatorError> {
        let unreachable = |reason| self.unreachable(url, reason);
        let mut response = response.map_err(unreachable)?;
        let body = response
            .body_mut()
            .with_config()
            .limit(LARGEST)
            .read_to_vec()
            .map_err(unreachable)?;
        let status = response.status();
        if let Some(page) = Page::of(&response, &body) {
            return Err(AggregatorError::Page {
                url: url.to_owned(),
                page,
            });
        }
        if status.is_success() {
            return Ok(body);
        }
        Err(AggregatorError::Refused {
            url: url.to_owned(),
            problem: Problem::of(status, &body),
        })
    }

    fn unreachable(&self, url: &str, reason: ureq::Error) -> AggregatorError {
        let url = url.to_owned();
        match TlsFault::of(&reason) {
            Some(fault) => AggregatorError::Tls { url, fault },
            None => {
                let proxy = proxy_of(self.agent.config(), &url);
                AggregatorError::Unreachable {
                    help: Help::of(&reason, &url, proxy.as_deref()),
                    url,
                    reason,
                }
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.base)
    }

    /// Repeats `call` while its failure may pass.
    fn persist<T>(
        &self,
        call: impl Fn() -> Result<T, AggregatorError>,
    ) -> Result<T, AggregatorError> {
        for wait in self.patience.waits(random) {
            match call() {
                Err(error) if error.may_pass() => {
                    (self.notice)(&error, wait);
                    std::thread::sleep(wait);
                }
                done => return done,
            }
        }
        call()
    }
}

impl fmt::Debug for Aggregator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aggregator")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

/// Why the aggregator gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AggregatorError {
    /// The URL is none.
    #[error("`{0}` is no URL of an aggregator: want https://name or https://name:port")]
    NoUrl(String),
    /// Plain HTTP would show the network who takes part when.
    #[error(
        "{0} is plain HTTP to another computer: use https; http is for loopback addresses alone"
    )]
    PlainHttp(String),
    /// Nobody can be trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The server is none that this site speaks with.
    #[error("{url}: {fault}")]
    Tls {
        /// What was called.
        url: String,
        /// What is wrong with it.
        fault: TlsFault,
    },
    /// The call did not get through.
    #[error("{url} cannot be reached: {reason}{}", shown(help.as_ref()))]
    Unreachable {
        /// What was called.
        url: String,
        /// Why not.
        reason: ureq::Error,
        /// What a person can do, where that can be told.
        help: Option<Help>,
    },
    /// Something else answered: a proxy, or a page to sign in at.
    #[error(
        "{url}: a proxy or sign-in page answered in the aggregator's place ({page}): open the address in a browser on this \
         computer, sign in where it asks for that, or ask your network's operator to let this address through"
    )]
    Page {
        /// What was called.
        url: String,
        /// What it answered.
        page: Page,
    },
    /// The aggregator said no.
    #[error("{url}: {problem}")]
    Refused {
        /// What was called.
        url: String,
        /// Its reason.
        problem: Problem,
    },
    /// The aggregator's answer is none.
    #[error("the aggregator's answer cannot be read: {0}")]
    Answer(DecodeError),
    /// Announcements that are not in order.
    #[error("the aggregator gave the announcement of round {number} out of order")]
    Order {
        /// The round's number.
        number: u32,
    },
    /// The aggregator's answer is not what its name says.
    #[error("the aggregator gave a state whose SHA-256 is {got} for the one named {want}")]
    OtherState {
        /// The digest of the bytes.
        got: Digest,
        /// Their name.
        want: Digest,
    },
}

impl AggregatorError {
    /// What a participant is told.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let text = self.to_string();
        match self {
            _ if self.may_pass() => Failure::Unreachable(text),
            Self::Refused { problem, .. } if problem.is_too_late() => {
                Failure::TooLate(problem.to_string())
            }
            Self::Refused { problem, .. } if problem.is_conflict() => Failure::Conflict(text),
            // Without a kind it is not the aggregator's: a proxy answers, or a page to log in at.
            Self::Refused { problem, .. } if problem.kind.is_empty() => Failure::Unreachable(text),
            _ => Failure::Refused(text),
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            // Whoever signs in, or waits for the proxy, gets through.
            Self::Page { .. } => true,
            Self::Unreachable { reason, .. } => matches!(
                reason,
                ureq::Error::Io(_)
                    | ureq::Error::Timeout(_)
                    | ureq::Error::HostNotFound
                    | ureq::Error::ConnectionFailed
                    | ureq::Error::ConnectProxyFailed(_)
                    | ureq::Error::Protocol(_)
            ),
            Self::Refused { problem, .. } => {
                matches!(problem.status, 408 | 429 | 500..=599) || problem.is_not_started()
            }
            _ => false,
        }
    }
}

/// What answered in the aggregator's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// Where it sends who asks, if it does.
    pub location: Option<String>,
}

impl Page {
    /// The aggregator answers in CBOR or, for programs, JSON; its study is TOML. It never redirects and has no pages.
    fn of(response: &Response<Body>, body: &[u8]) -> Option<Self> {
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let is_redirect = response.status().is_redirection();
        let is_html = header("content-type").is_some_and(|kind| kind.starts_with("text/html"))
            || body.trim_ascii_start().first() == Some(&b'<');
        (is_redirect || is_html).then(|| Self {
            status: response.status().as_u16(),
            location: header("location").map(str::to_owned),
        })
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => {
                write!(f, "HTTP {} to {}", self.status, printable(location))
            }
            None => write!(f, "HTML with status {}", self.status),
        }
    }
}

/// Problem details of a refused call (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What kind of problem it is, for programs: a URN.
    pub kind: String,
    /// What it is, for a person.
    pub title: String,
    /// What is wrong in this case.
    pub detail: String,
}

impl Problem {
    fn of(status: StatusCode, body: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        struct Document {
            #[serde(default, rename = "type")]
            kind: String,
            #[serde(default)]
            title: String,
            #[serde(default)]
            detail: String,
        }
        let document: Document = serde_json::from_slice(body).unwrap_or_default();
        Self {
            status: status.as_u16(),
            kind: document.kind,
            title: document.title,
            detail: document.detail,
        }
    }

    /// Whether the round goes on without this message: its stage, or its round, is not what this site thought.
    fn is_too_late(&self) -> bool {
        self.is_any_of(&[
            "stage-closed",
            "stage-not-open",
            "not-awaited",
            "round-over",
            "unknown-round",
        ])
    }

    fn is_conflict(&self) -> bool {
        self.is_any_of(&["different-message"])
    }

    /// Whether the aggregator runs without a study so far.
    fn is_not_started(&self) -> bool {
        self.is_any_of(&["no-study"])
    }

    fn is_any_of(&self, names: &[&str]) -> bool {
        self.kind
            .strip_prefix("urn:wardround:problem:")
            .is_some_and(|kind| names.contains(&kind))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}", self.status)?;
        for text in [&self.title, &self.detail] {
            if !text.is_empty() {
                write!(f, ": {}", printable(text))?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Https,
    LoopbackHttp,
}

fn scheme(url: &str) -> Result<Scheme, AggregatorError> {
    let no_url = || AggregatorError::NoUrl(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| no_url())?;
    let host = uri.host().ok_or_else(no_url)?;
    if uri.query().is_some() {
        return Err(no_url());
    }
    match uri.scheme_str() {
        Some("https") => Ok(Scheme::Https),
        Some("http") if is_loopback(host) => Ok(Scheme::LoopbackHttp),
        Some("http") => Err(AggregatorError::PlainHttp(url.to_owned())),
        _ => Err(no_url()),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// TLS where the URL asks for it; on loopback there is none to set up, so no authority is looked for.
fn agent(config: Config, scheme: Scheme, trust: &Trust) -> Result<Agent, TrustError> {
    let plain = ().chain(ConnectProxyConnector::default()).chain(TcpConnector::default());
    let resolver = DefaultResolver::default();
    Ok(match scheme {
        Scheme::Https => {
            Agent::with_parts(config, plain.chain(TlsConnector::new(trust)?), resolver)
        }
        Scheme::LoopbackHttp => Agent::with_parts(config, plain, resolver),
    })
}

/// The address of the proxy that calls to `url` go through, where the environment names one. Never its password.
fn proxy_of(config: &Config, url: &str) -> Option<String> {
    let proxy = config.proxy()?;
    let uri: Uri = url.parse().ok()?;
    (!proxy.is_no_proxy(&uri)).then(|| format!("{}:{}", proxy.host(), proxy.port()))
}

/// The beginning of what a peer says: shown, never obeyed, so no control character reaches the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_TEXT)
        .collect()
}

fn shown(help: Option<&Help>) -> String {
    help.map_or(String::new(), |help| format!(": {help}"))
}

/// Jitter needs no secrecy; without randomness, a wait is just not spread.
fn random() -> u8 {
    let mut byte = [255];
    let _ = SystemRandom::new().fill(&mut byte);
    byte[0]
}

const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection may be silent: longer than any poll waits.
const STALL: Duration = Duration::from_secs(90);
/// Bytes of the largest answer: a state of the largest model that a study may have.
const LARGEST: u64 = 128 << 20;
/// Characters of a problem's text that are shown.
const LONGEST_TEXT: usize = 500;
