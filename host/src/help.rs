//! What a person can do where the aggregator cannot be reached.

use std::io::ErrorKind;

use rustls::{CertificateError, InvalidMessage};

/// What a person can do where the aggregator cannot be reached: all of these may pass, so the site tries again meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Help {
    /// Nobody whom this site trusts vouches for the server.
    #[error(
        "no authority that this site trusts vouches for the server's certificate: where the aggregator has an authority of its \
         own, name its certificate (PEM) as `ca` in host.toml; where it has not, a proxy or firewall opens connections in \
         between, and your network's operator can exempt this address"
    )]
    UnknownAuthority,
    /// The certificate was valid until some time ago.
    #[error(
        "the server's certificate has expired: ask the aggregator's operator to renew it, and check this computer's clock"
    )]
    Expired,
    /// The certificate will be valid.
    #[error(
        "the server's certificate is not valid yet: check this computer's clock, then ask the aggregator's operator"
    )]
    NotYetValid,
    /// The certificate is another server's.
    #[error(
        "the server's certificate is for another name: check `aggregator` in host.toml, which must be the name that the \
         operator gave"
    )]
    OtherName,
    /// What answers does not speak TLS.
    #[error(
        "what answers does not speak TLS: check the port of `aggregator` in host.toml; a service of plain HTTP stands behind a \
         port of its own"
    )]
    NotTls,
    /// What answers does not speak HTTP.
    #[error(
        "what answers does not speak plain HTTP: check the port of `aggregator` in host.toml, and write https:// where the \
         service speaks TLS"
    )]
    NotHttp,
    /// The proxy is not there.
    #[error(
        "calls go through the proxy {0}, which HTTPS_PROXY (or ALL_PROXY) names, and it is the proxy that does not answer: \
         correct that variable, or name the aggregator in NO_PROXY"
    )]
    DeadProxy(String),
    /// The proxy does not let the call through.
    #[error(
        "the proxy {0}, which HTTPS_PROXY (or ALL_PROXY) names, does not connect to the aggregator: ask its operator to allow \
         that, or name the aggregator in NO_PROXY"
    )]
    ProxyRefuses(String),
}

impl Help {
    /// What can be told of a failed call to `url` that goes through `proxy`.
    pub(crate) fn of(error: &ureq::Error, url: &str, proxy: Option<&str>) -> Option<Self> {
        let is_tls = url.starts_with("https:");
        match error {
            ureq::Error::Rustls(error) => Self::of_handshake(error),
            ureq::Error::Io(error) => {
                let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
                match (tls, proxy) {
                    (Some(tls), _) => Self::of_handshake(tls),
                    (None, Some(proxy)) if is_of_connect(error.kind()) => {
                        Some(Self::DeadProxy(proxy.to_owned()))
                    }
                    _ => None,
                }
            }
            ureq::Error::ConnectProxyFailed(_) => {
                proxy.map(|proxy| Self::ProxyRefuses(proxy.to_owned()))
            }
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                proxy.map(|proxy| Self::DeadProxy(proxy.to_owned()))
            }
            ureq::Error::Protocol(_) if !is_tls => Some(Self::NotHttp),
            _ => None,
        }
    }

    fn of_handshake(error: &rustls::Error) -> Option<Self> {
        match error {
            rustls::Error::InvalidCertificate(error) => match error {
                // Another authority of the same name: an old one, or one of a proxy.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    Some(Self::UnknownAuthority)
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Some(Self::Expired)
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Some(Self::NotYetValid)
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Some(Self::OtherName),
                _ => None,
            },
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Some(Self::NotTls),
            _ => None,
        }
    }
}

/// Whether no connection came to be.
fn is_of_connect(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable
            | ErrorKind::TimedOut
    )
}
