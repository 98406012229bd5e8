//! TLS to the aggregator: version 1.3 alone, and only to whom the hospital trusts.
//!
//! ```text
//! ca                  the authorities that may vouch for the aggregator; without it, those of the system
//! certificate-sha256  the aggregator's own certificate is one of these, and is vouched for and has its name
//! ```
//!
//! What is pinned is the certificate, not its key: its digest is what `openssl x509 -noout -fingerprint -sha256` prints, and
//! a change of the certificate is announced by naming the next one as well. The HTTP client's own connector would
//! offer TLS 1.2 as well and would pin nothing, so this file has one, which adds nothing else.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::id::Digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct,
    OtherError, PeerIncompatible, RootCertStore, SignatureScheme, StreamOwned,
};
use rustls_platform_verifier::Verifier as SystemVerifier;
use ureq::tls::{PemItem, parse_pem};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use crate::durable::{self, FileError};

/// Who may vouch for the aggregator, and which certificates may be its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// A PEM file of authorities: where there is one, only these may vouch; otherwise those of the system.
    pub ca: Option<PathBuf>,
    /// SHA-256 of the certificates (DER) that may be the aggregator's own; where there is none, any may that is vouched for.
    pub certificates: Vec<Digest>,
}

/// Wraps connections to `https` addresses in TLS 1.3.
#[derive(Debug)]
pub(crate) struct TlsConnector {
    config: Arc<ClientConfig>,
}

impl TlsConnector {
    /// One that trusts as it is told.
    ///
    /// # Errors
    ///
    /// A file without certificates, one that cannot be read, and a system without authorities where there is no file.
    pub(crate) fn new(trust: &Trust) -> Result<Self, TrustError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(Pinned {
            vouched: vouched(trust.ca.as_deref(), &provider)?,
            certificates: trust.certificates.clone(),
        });
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .expect("the provider has suites of TLS 1.3")
            // Not dangerous: it asks the usual verifier first, and then for more.
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
        })
    }
}

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file holds no certificate.
    #[error("{} holds no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    /// The system's authorities, or those in the file, cannot be used.
    #[error(
        "no authority can vouch for the aggregator ({0}): name a PEM file of certificates as `ca` in host.toml"
    )]
    NoAuthority(String),
}

/// Why a connection is refused for good: waiting changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// The server does not offer TLS 1.3, or something between says so.
    #[error(
        "the server does not speak TLS 1.3, and this site speaks nothing older: ask the aggregator's operator to offer \
         TLS 1.3, and your network's whether a proxy or firewall opens connections in between"
    )]
    OldVersion,
    /// Another certificate than those pinned.
    #[error(
        "its certificate has SHA-256 {0}, which certificate-sha256 in host.toml does not name: ask the aggregator's \
         operator, by another way than this connection, whether it is theirs; then add it"
    )]
    OtherCertificate(Digest),
}

impl TlsFault {
    /// The fault that ended a call, where it is one of these.
    pub(crate) fn of(error: &ureq::Error) -> Option<Self> {
        match error {
            ureq::Error::Io(error) => {
                Self::of_handshake(error.get_ref()?.downcast_ref::<rustls::Error>()?)
            }
            ureq::Error::Rustls(error) => Self::of_handshake(error),
            _ => None,
        }
    }

    fn of_handshake(error: &rustls::Error) -> Option<Self> {
        match error {
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
            | rustls::Error::PeerIncompatible(
                PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            ) => Some(Self::OldVersion),
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
                other.downcast_ref::<Self>().cloned()
            }
            _ => None,
        }
    }
}

/// Asks whether the certificate is vouched for and, where some are pinned, whether it is one of them.
#[derive(Debug)]
struct Pinned {
    vouched: Arc<dyn ServerCertVerifier>,
    certificates: Vec<Digest>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let vouched = self.vouched.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        let digest = Digest::of(end_entity);
        if self.certificates.is_empty() || self.certificates.contains(&digest) {
            return Ok(vouched);
        }
        let fault = OtherError(Arc::new(TlsFault::OtherCertificate(digest)));
        Err(CertificateError::Other(fault).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.vouched.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.vouched.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.vouched.supported_verify_schemes()
    }
}

fn vouched(
    ca: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TrustError> {
    let Some(ca) = ca else {
        let system = SystemVerifier::new(Arc::clone(provider))
            .map_err(|error| TrustError::NoAuthority(error.to_string()))?;
        return Ok(Arc::new(system));
    };
    let roots = Arc::new(authorities(ca)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| TrustError::NoAuthority(error.to_string()))?;
    Ok(verifier)
}

fn authorities(ca: &Path) -> Result<RootCertStore, TrustError> {
    let pem = durable::read(ca)?;
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => {
            Some(CertificateDer::from(certificate.der().to_vec()))
        }
        _ => None,
    });
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(TrustError::NoCertificate(ca.to_owned()));
    }
    Ok(roots)
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name(details)?)?;
        let boxed: Box<dyn Transport> = Box::new(transport);
        let mut socket = TransportAdapter::new(boxed, Arc::clone(&details.current_time));
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let config = details.config;
        Ok(Some(Either::B(TlsTransport {
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            stream: StreamOwned::new(connection, socket),
        })))
    }
}

/// The name that the certificate must be for.
fn name(details: &ConnectionDetails<'_>) -> Result<ServerName<'static>, ureq::Error> {
    let host = details.uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned())
        .map_err(|_| ureq::Error::Tls("the URL's host is not a name that a certificate can have"))
}

/// A connection with TLS 1.3.
pub(crate) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

/// The only version that is offered.
const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];
