//! A session with the module: opened, worked through, then asked.

use std::time::{Duration, Instant};

use protocol::door::{Baseline, Open, Progress, Request, Response, State, Work};

use crate::sandbox::{Instance, Sandbox, SandboxError};

/// An instance of the module in the middle of a round or of a training of its own.
#[derive(Debug)]
pub struct Session {
    instance: Instance,
}

impl Session {
    /// Opens a round and does its work.
    ///
    /// # Errors
    ///
    /// As [`Instance::ask`].
    pub fn open(
        sandbox: &Sandbox,
        open: Open,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, SandboxError> {
        Self::begin(sandbox, &Request::Open(open), progress)
    }

    /// Trains on cohorts alone; gives the state that training ends in.
    ///
    /// # Errors
    ///
    /// As [`Instance::ask`].
    pub fn baseline(
        sandbox: &Sandbox,
        baseline: Baseline,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<State, SandboxError> {
        let mut session = Self::begin(sandbox, &Request::Baseline(baseline), progress)?;
        match session.instance.ask(&Request::Finish)? {
            Response::Finished(state) => Ok(state),
            _ => Err(SandboxError::OtherAnswer),
        }
    }

    /// Asks for the body of a message.
    ///
    /// # Errors
    ///
    /// As [`Instance::ask`].
    pub fn body(&mut self, request: &Request) -> Result<Vec<u8>, SandboxError> {
        match self.instance.ask(request)? {
            Response::Send(body) => Ok(body.into()),
            _ => Err(SandboxError::OtherAnswer),
        }
    }

    fn begin(
        sandbox: &Sandbox,
        request: &Request,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, SandboxError> {
        let mut instance = sandbox.instance()?;
        let mut state = stand(&instance.ask(request)?)?;
        let mut patients = FIRST_PIECE;
        while state.done < state.total {
            let started = Instant::now();
            state = stand(&instance.ask(&Request::Work(Work { patients }))?)?;
            progress(state);
            // The answer does not depend on how the work is cut, so it may depend on the time.
            if started.elapsed() < PIECE / 2 {
                patients = patients.saturating_mul(2);
            } else if started.elapsed() > PIECE * 2 {
                patients = (patients / 2).max(1);
            }
        }
        Ok(Self { instance })
    }
}

fn stand(response: &Response) -> Result<Progress, SandboxError> {
    match response {
        Response::Progress(progress) => Ok(*progress),
        _ => Err(SandboxError::OtherAnswer),
    }
}

/// Long beside the cost of a request, short beside a person's patience.
const PIECE: Duration = Duration::from_millis(300);
/// Patients of the first piece.
const FIRST_PIECE: u32 = 16;
