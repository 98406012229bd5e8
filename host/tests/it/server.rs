//! A small HTTP server for tests: one thread, one answer a request.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use testkit::Asked;

/// What the server does.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers with this status, type and body.
    Answer(u16, &'static str, Vec<u8>),
    /// Closes the connection without a word.
    HangUp,
}

impl Reply {
    /// A CBOR body.
    pub(crate) fn cbor(body: Vec<u8>) -> Self {
        Self::Answer(200, "application/cbor", body)
    }

    /// A problem of this kind.
    pub(crate) fn problem(status: u16, kind: &str) -> Self {
        let body = format!(
            r#"{{"type":"urn:wardround:problem:{kind}","title":"not now","status":{status},"detail":"because"}}"#
        );
        Self::Answer(status, "application/problem+json", body.into_bytes())
    }
}

/// A server on loopback, for as long as the test runs.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its base URL.
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers each request by what `reply` says.
    pub(crate) fn start(mut reply: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(request) = Asked::read(&stream) else {
                    continue;
                };
                log.lock().unwrap().push(request.clone());
                write(stream, reply(&request));
            }
        });
        Self { url, asked }
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn write(mut stream: TcpStream, reply: Reply) {
    let Reply::Answer(status, kind, body) = reply else {
        return;
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body));
}
