//! The host from outside: its command line, its client of the aggregator, and whole rounds.

#[cfg(test)]
mod aggregator;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod nonce;
#[cfg(test)]
mod prediction;
#[cfg(test)]
mod run;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tape;
#[cfg(test)]
mod tls;
