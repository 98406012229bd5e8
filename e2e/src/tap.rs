//! A wire between a host and the aggregator that can be cut at a given request.
//!
//! ```text
//! host ──▶ tap ──▶ aggregator       Cut::Before: the request never arrives
//!      ◀──     ◀──                  Cut::After: the answer never arrives
//! ```
//!
//! At the cut it reports, so that a test can kill either end exactly there, and then carries on for new connections.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

/// Where a wire is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the request reaches the aggregator.
    Before,
    /// After the aggregator answered, before the host has the answer.
    After,
}

/// A wire to the aggregator.
#[derive(Debug)]
pub struct Tap {
    address: String,
    plan: Arc<Mutex<Option<(String, Cut)>>>,
    cuts: Receiver<()>,
}

impl Tap {
    /// A wire to the aggregator at `aggregator`, for as long as the process lives.
    ///
    /// # Errors
    ///
    /// No free port.
    pub fn to(aggregator: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listening for the tap")?;
        let address = listener
            .local_addr()
            .context("asking for the tap's address")?
            .to_string();
        let plan = Arc::new(Mutex::new(None));
        let (sender, cuts) = channel();
        let (shared, aggregator) = (Arc::clone(&plan), aggregator.to_owned());
        std::thread::spawn(move || {
            for host in listener.incoming().flatten() {
                let (plan, sender, aggregator) =
                    (Arc::clone(&shared), sender.clone(), aggregator.clone());
                // A wire that breaks is what this is for.
                std::thread::spawn(move || drop(carry(host, &aggregator, &plan, &sender)));
            }
        });
        Ok(Self {
            address,
            plan,
            cuts,
        })
    }

    /// The address that the host is given.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Cuts the wire once, at the first request whose first line starts with `request`.
    pub fn cut_at(&self, request: &str, cut: Cut) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some((request.to_owned(), cut));
    }

    /// Waits until the wire has been cut; `false` if it was not within `limit`.
    #[must_use]
    pub fn was_cut(&self, limit: Duration) -> bool {
        self.cuts.recv_timeout(limit).is_ok()
    }
}

/// Carries one connection, request by request, until an end closes it or it is cut.
fn carry(
    mut host: TcpStream,
    aggregator: &str,
    plan: &Mutex<Option<(String, Cut)>>,
    cuts: &Sender<()>,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(aggregator)?;
    let mut answers = server.try_clone()?;
    let mut back = host.try_clone()?;
    let cutter = cuts.clone();
    let armed = Arc::new(AtomicBool::new(false));
    let cut_answer = Arc::clone(&armed);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = answers.read(&mut buffer) {
            if cut_answer.load(Ordering::SeqCst) {
                // The host is left waiting: it is about to be killed, or will time out and ask again.
                let _ = back.shutdown(Shutdown::Both);
                let _ = cutter.send(());
                return;
            }
            if back.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = host.read(&mut buffer) {
        let due = {
            let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
            let found = plan
                .as_ref()
                .is_some_and(|(request, _)| buffer[..length].starts_with(request.as_bytes()));
            if found { plan.take() } else { None }
        };
        match due {
            Some((_, Cut::Before)) => {
                let _ = cuts.send(());
                return host.shutdown(Shutdown::Both);
            }
            Some((_, Cut::After)) => armed.store(true, Ordering::SeqCst),
            None => {}
        }
        server.write_all(&buffer[..length])?;
    }
    server.shutdown(Shutdown::Both)
}
