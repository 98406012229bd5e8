//! Studies from their first round to the published model, in memory.

mod algorithms;
mod odd_hospitals;
mod phenotypes;
mod simulation;
