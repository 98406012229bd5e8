//! Requests as a server of tests reads them.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

/// What a client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Method and path.
    pub line: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// The request that a client sends (RFC 9112 § 2, its body by `Content-Length`); `None` where it sends none.
    #[must_use]
    pub fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut first = String::new();
        reader.read_line(&mut first).ok()?;
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).ok()? == 0 {
                return None;
            }
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let line = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        Some(Self { line, body })
    }
}
