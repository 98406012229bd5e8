//! TLS, with a client that trusts one certificate.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use aggregator::Service;
use aggregator::serve::{ListenError, Socket, Transport};
use aggregator::store::Store;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, Stream};
use tokio::sync::oneshot;

fn certificate(folder: &Path) -> (Transport, RootCertStore) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    (Transport::Tls { certificate, key }, roots)
}

fn get_health(address: SocketAddr, roots: RootCertStore) -> (Option<ProtocolVersion>, String) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let mut stream = Stream::new(&mut connection, &mut socket);
    stream
        .write_all(b"GET /v1/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (connection.protocol_version(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn sites_speak_tls_1_3_with_the_certificate_of_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let (transport, roots) = certificate(folder.path());
    let socket = Socket::bind("127.0.0.1:0".parse().unwrap(), &transport).unwrap();
    let address: SocketAddr = socket
        .url()
        .strip_prefix("https://")
        .unwrap()
        .parse()
        .unwrap();
    let service = Service::enrolment_only(&Store::at(folder.path()).unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(socket.serve(Arc::new(service), async { drop(stopped.await) }));
    let asked = tokio::task::spawn_blocking(move || get_health(address, roots))
        .await
        .unwrap();
    assert_eq!(asked.0, Some(ProtocolVersion::TLSv1_3));
    assert!(asked.1.starts_with("HTTP/1.1 204"), "{}", asked.1);
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
}

#[test]
fn files_that_hold_no_certificate_with_its_key_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (transport, _) = certificate(folder.path());
    let Transport::Tls { certificate, key } = transport else {
        panic!("not the transport that was made")
    };
    let bind = |certificate: &Path, key: &Path| {
        let transport = Transport::Tls {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        Socket::bind("127.0.0.1:0".parse().unwrap(), &transport).map(|_| ())
    };
    assert!(bind(&certificate, &key).is_ok());
    assert!(matches!(
        bind(&folder.path().join("none"), &key),
        Err(ListenError::Pem { .. })
    ));
    assert!(matches!(
        bind(&certificate, &certificate),
        Err(ListenError::Pem { .. })
    ));
    let other = folder.path().join("other.pem");
    std::fs::write(&other, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(matches!(
        bind(&certificate, &other),
        Err(ListenError::Tls(_))
    ));
}
