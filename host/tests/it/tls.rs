//! The client's TLS, against real servers that differ in version and certificate.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use host::aggregator::{Aggregator, AggregatorError};
use host::tls::{TlsFault, Trust};
use participant::Fetch;
use participant::patience::Patience;
use protocol::codec;
use protocol::door::Survivors;
use protocol::id::Digest;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use tempfile::TempDir;

const QUICK: Patience = Patience {
    first: Duration::from_millis(2),
    longest: Duration::from_millis(8),
    total: Duration::from_millis(60),
};

/// An authority, and a certificate for a server on this machine.
struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(parameters, key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    fn pem(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate for these names, and its key.
    fn certify(&self, names: &[&str]) -> (CertificateDer<'static>, Vec<u8>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(names).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), key.serialize_der())
    }

    /// A certificate for `localhost` that is no longer valid.
    fn expired(&self) -> (CertificateDer<'static>, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2019, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), key.serialize_der())
    }

    fn trust(&self, certificates: &[Digest]) -> Trust {
        Trust {
            ca: Some(self.pem()),
            certificates: certificates.to_vec(),
        }
    }
}

/// A server on loopback, for as long as the test runs: it answers each call with the survivors of a round.
fn serve(
    certificate: &(CertificateDer<'static>, Vec<u8>),
    version: &'static SupportedProtocolVersion,
) -> String {
    let (certificate, key) = certificate.clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key).into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            answer(StreamOwned::new(connection, stream));
        }
    });
    format!("https://localhost:{port}")
}

fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        asked.push(byte[0]);
    }
    let body = codec::encode(&survivors());
    let head = format!(
        "HTTP/1.1 200 X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

fn survivors() -> Survivors {
    Survivors {
        sites: Vec::new(),
        inputs: Vec::new(),
    }
}

fn ask(url: &str, trust: &Trust) -> Result<Vec<u8>, AggregatorError> {
    Aggregator::trusting(url, trust, QUICK)
        .unwrap()
        .fetch(Fetch::Survivors(1))
}

#[test]
fn a_server_that_offers_tls_1_3_and_is_vouched_for_is_spoken_with() {
    let authority = Authority::new();
    let url = serve(&authority.certify(&["localhost"]), &TLS13);
    assert_eq!(
        ask(&url, &authority.trust(&[])).unwrap(),
        codec::encode(&survivors())
    );
}

#[test]
fn a_server_that_offers_nothing_newer_than_tls_1_2_is_refused() {
    let authority = Authority::new();
    let url = serve(&authority.certify(&["localhost"]), &TLS12);
    let error = ask(&url, &authority.trust(&[])).unwrap_err();
    assert!(
        matches!(
            error,
            AggregatorError::Tls {
                fault: TlsFault::OldVersion,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("ask the aggregator's operator to offer TLS 1.3"),
        "{error}"
    );
    assert!(!error.may_pass());
}

#[test]
fn only_the_pinned_certificate_is_accepted_from_those_that_are_vouched_for() {
    let authority = Authority::new();
    let (ours, theirs) = (
        authority.certify(&["localhost"]),
        authority.certify(&["localhost"]),
    );
    let [pin, other] = [&ours, &theirs].map(|(certificate, _)| Digest::of(certificate));
    let url = serve(&ours, &TLS13);
    assert!(ask(&url, &authority.trust(&[pin])).is_ok());
    assert!(ask(&url, &authority.trust(&[other, pin])).is_ok());
    let error = ask(&url, &authority.trust(&[other])).unwrap_err();
    assert!(
        matches!(&error, AggregatorError::Tls { fault, .. } if *fault == TlsFault::OtherCertificate(pin)),
        "{error}"
    );
    assert!(!error.may_pass());
}

#[test]
fn a_pinned_certificate_must_be_vouched_for_and_have_the_servers_name_as_well() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let pinned = |certificate: &(CertificateDer<'static>, Vec<u8>)| [Digest::of(&certificate.0)];
    for certificate in [
        stranger.certify(&["localhost"]),
        authority.certify(&["elsewhere.example"]),
    ] {
        let url = serve(&certificate, &TLS13);
        let error = ask(&url, &authority.trust(&pinned(&certificate))).unwrap_err();
        assert!(
            matches!(error, AggregatorError::Unreachable { .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains("invalid peer certificate"),
            "{error}"
        );
    }
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_with_what_to_do() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (certificate, wanted) in [
        (stranger.certify(&["localhost"]), "as `ca` in host.toml"),
        (authority.expired(), "has expired"),
        (
            authority.certify(&["elsewhere.example"]),
            "is for another name",
        ),
    ] {
        let url = serve(&certificate, &TLS13);
        let error = ask(&url, &authority.trust(&[])).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(error.may_pass(), "a proxy in between may go away");
    }
}

#[test]
fn a_port_of_plain_http_and_one_of_tls_are_told_from_each_other() {
    let authority = Authority::new();
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = plain.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in plain.incoming().flatten() {
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let url = format!("https://localhost:{port}");
    let error = ask(&url, &authority.trust(&[])).unwrap_err();
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
    let url = serve(&authority.certify(&["localhost"]), &TLS13);
    let error = ask(&url.replace("https:", "http:"), &authority.trust(&[])).unwrap_err();
    assert!(
        error.to_string().contains("does not speak plain HTTP"),
        "{error}"
    );
}
