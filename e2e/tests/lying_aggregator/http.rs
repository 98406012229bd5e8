//! HTTP as an aggregator speaks it, and as one does that wants to be a nuisance.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use testkit::Asked;

/// An answer.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    kind: &'static str,
    body: Vec<u8>,
}

/// What is wrong with the way in which an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is this status, without a reason.
    Status(u16),
    /// It is a problem of this kind, with this status.
    Problem(u16, &'static str),
    /// The connection is closed instead.
    HangUp,
    /// It ends in its middle.
    CutShort,
    /// It is bytes that mean nothing.
    Garbage,
    /// It is so many bytes, all of them 0.
    Flood(u64),
    /// It comes in this many pieces, each after a tenth of a second.
    Drip(u32),
}

impl Answer {
    /// A body in CBOR, or bytes as they are.
    pub(crate) fn body(body: Vec<u8>) -> Self {
        Self {
            status: 200,
            kind: "application/cbor",
            body,
        }
    }

    /// What was sent was taken.
    pub(crate) fn taken() -> Self {
        Self {
            status: 204,
            kind: "application/cbor",
            body: Vec::new(),
        }
    }

    /// A problem of this kind.
    pub(crate) fn problem(status: u16, kind: &str) -> Self {
        let body = format!(
            r#"{{"type":"urn:wardround:problem:{kind}","title":"not so","status":{status},"detail":"the script says so"}}"#
        );
        Self {
            status,
            kind: "application/problem+json",
            body: body.into_bytes(),
        }
    }
}

/// The request that a client sends; none where it sends none.
pub(crate) fn read(stream: &TcpStream) -> Option<Asked> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    Asked::read(stream)
}

/// Sends an answer; a client that has gone is none of the aggregator's business.
pub(crate) fn answer(stream: &TcpStream, answer: &Answer, fault: Option<Fault>) {
    let _ = match fault {
        None => whole(stream, answer),
        Some(Fault::HangUp) => Ok(()),
        Some(Fault::Status(status)) => whole(
            stream,
            &Answer {
                status,
                kind: "text/plain",
                body: Vec::new(),
            },
        ),
        Some(Fault::Problem(status, kind)) => whole(stream, &Answer::problem(status, kind)),
        Some(Fault::Garbage) => whole(stream, &Answer::body(vec![0xff; 100])),
        Some(Fault::CutShort) => head(stream, answer, length(answer) + 1)
            .and_then(|()| (&mut &*stream).write_all(&answer.body)),
        Some(Fault::Flood(bytes)) => flood(stream, answer, bytes),
        Some(Fault::Drip(pieces)) => drip(stream, answer, pieces),
    };
}

fn whole(mut stream: &TcpStream, answer: &Answer) -> io::Result<()> {
    head(stream, answer, length(answer))?;
    stream.write_all(&answer.body)
}

fn flood(mut stream: &TcpStream, answer: &Answer, bytes: u64) -> io::Result<()> {
    head(stream, answer, bytes)?;
    let piece = vec![0; 1 << 20];
    for _ in 0..bytes / length_of(&piece) {
        stream.write_all(&piece)?;
    }
    Ok(())
}

fn drip(mut stream: &TcpStream, answer: &Answer, pieces: u32) -> io::Result<()> {
    head(stream, answer, length(answer))?;
    let size = (answer.body.len() / usize::try_from(pieces).unwrap_or(1)).max(1);
    for piece in answer.body.chunks(size) {
        std::thread::sleep(Duration::from_millis(100));
        stream.write_all(piece)?;
        stream.flush()?;
    }
    Ok(())
}

fn head(mut stream: &TcpStream, answer: &Answer, length: u64) -> io::Result<()> {
    let Answer { status, kind, .. } = answer;
    let length = if *status == 204 {
        String::new()
    } else {
        format!("content-length: {length}\r\n")
    };
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{length}connection: close\r\n\r\n");
    stream.write_all(head.as_bytes())
}

fn length(answer: &Answer) -> u64 {
    length_of(&answer.body)
}

fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// How long either end may be silent in the middle of a request.
const PATIENCE: Duration = Duration::from_secs(20);
