//! The listening socket: TLS 1.3, or plain HTTP where nobody else can listen in.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::app;
use crate::service::Service;

/// Time between two looks at what is due.
const TICK: Duration = Duration::from_millis(250);

/// The longest that a shutdown waits for requests that are being answered.
const GRACE: Duration = Duration::from_secs(10);

/// The longest that a new connection may take to its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(30);

/// How bytes travel between sites and this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In clear, to other processes of this machine alone.
    Loopback,
    /// In clear, to a proxy in front of this process that speaks TLS to the sites.
    BehindTlsProxy,
    /// TLS 1.3.
    Tls {
        /// A PEM file: the certificate, then those between it and its root.
        certificate: PathBuf,
        /// A PEM file: the certificate's private key.
        key: PathBuf,
    },
}

/// A bound socket.
#[derive(Debug)]
pub struct Socket {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<RustlsConfig>,
}

/// Why the service cannot listen. The operator can act on each.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address can be reached from other machines, and nothing protects what is said there.
    #[error(
        "{0} can be reached from other machines, and without TLS anybody on the way could read one-time tokens and \
         alter what sites are told: give --tls-certificate and --tls-key, or --behind-tls-proxy where a proxy in \
         front of this process already speaks TLS to the sites"
    )]
    Clear(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A PEM file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Certificate and key do not fit together, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// The connections cannot be served.
    #[error("cannot serve: {0}")]
    Serve(#[from] io::Error),
}

impl Socket {
    /// Binds `address`; port 0 is any free one.
    ///
    /// # Errors
    ///
    /// An address that others can reach without TLS, one that cannot be bound, PEM files that cannot be used.
    pub fn bind(address: SocketAddr, transport: &Transport) -> Result<Self, ListenError> {
        let tls = match transport {
            Transport::Loopback if !address.ip().is_loopback() => {
                return Err(ListenError::Clear(address));
            }
            Transport::Loopback | Transport::BehindTlsProxy => None,
            Transport::Tls { certificate, key } => Some(tls(certificate, key)?),
        };
        let bind = |address| {
            let listener = TcpListener::bind(address)?;
            let bound = listener.local_addr()?;
            Ok((listener, bound))
        };
        let (listener, address) =
            bind(address).map_err(|source| ListenError::Bind { address, source })?;
        Ok(Self {
            listener,
            address,
            tls,
        })
    }

    /// The address that sites can use from this machine.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers requests and closes what is due, until `stop` is there; then ends what is being answered.
    ///
    /// # Errors
    ///
    /// A socket that fails.
    pub async fn serve(
        self,
        service: Arc<Service>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ListenError> {
        let handle = Handle::new();
        let router = app(Arc::clone(&service)).into_make_service();
        let plain = axum_server::from_tcp(self.listener)?.handle(handle.clone());
        let plain = plain.first_request_timeout(FIRST_REQUEST);
        let served = async {
            match self.tls {
                None => plain.serve(router).await,
                Some(tls) => {
                    let acceptor = axum_server::tls_rustls::RustlsAcceptor::new(tls);
                    plain.acceptor(acceptor).serve(router).await
                }
            }
        };
        let stopped = async {
            stop.await;
            tracing::info!("stopping");
            service.drain();
            handle.graceful_shutdown(Some(GRACE));
            // From here on the server decides when it ends.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            result = served => Ok(result?),
            () = keep_time(&service) => Ok(()),
            () = stopped => Ok(()),
        }
    }
}

/// Closes what is due, for ever.
async fn keep_time(service: &Service) {
    let Ok(running) = service.running() else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(TICK).await;
        if let Err(error) = running.tick().await {
            tracing::error!(%error, "a stage that is due cannot be closed; trying again");
        }
    }
}

fn tls(certificate: &Path, key: &Path) -> Result<RustlsConfig, ListenError> {
    let read = |path: &Path| fs::read(path).map_err(|error| pem(path, &error));
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| pem(certificate, &error))?;
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| pem(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, secret)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}

fn pem(path: &Path, problem: &dyn std::error::Error) -> ListenError {
    ListenError::Pem {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}
