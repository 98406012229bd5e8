//! What a site asks of the aggregator.

use protocol::api::Stage;

/// A kind of request ([`protocol::api`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// Where the study is.
    View,
    /// The bytes of a state.
    State,
    /// What the other sites sent, as far as this stage needs it.
    Fetch(Stage),
    /// The site's message of a stage.
    Send(Stage),
    /// Which chunks are missing.
    Missing,
    /// A chunk.
    Chunk,
    /// The site takes no further part in a round.
    Withdraw,
    /// Anything else.
    Other,
}

impl Call {
    /// The call whose request line this is, without the version of HTTP.
    pub(crate) fn of(line: &str) -> Self {
        let (method, url) = line.split_once(' ').unwrap_or((line, ""));
        let path = url.split_once('?').map_or(url, |(path, _)| path);
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match (method, parts.as_slice()) {
            ("GET", ["v1", "round"]) => Self::View,
            ("GET", ["v1", "states", _]) => Self::State,
            ("GET", ["v1", "rounds", _, "adverts"]) => Self::Fetch(Stage::Share),
            ("GET", ["v1", "rounds", _, "shares", _]) => Self::Fetch(Stage::Mask),
            ("GET", ["v1", "rounds", _, "survivors"]) => Self::Fetch(Stage::Agree),
            ("GET", ["v1", "rounds", _, "statements"]) => Self::Fetch(Stage::Unmask),
            ("GET", ["v1", "rounds", _, "chunks", _]) => Self::Missing,
            ("PUT", ["v1", "rounds", _, "chunks", _, _]) => Self::Chunk,
            ("POST", ["v1", "withdraw"]) => Self::Withdraw,
            ("POST", ["v1", "rounds", _, stage]) => stage.parse().map_or(Self::Other, Self::Send),
            _ => Self::Other,
        }
    }
}
