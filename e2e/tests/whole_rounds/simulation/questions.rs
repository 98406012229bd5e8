//! What a hospital's module is asked besides rounds, or for a round that no aggregator opened.

use minicbor::bytes::ByteVec;
use protocol::codec;
use protocol::door::{Baseline, Open, Predict, Prediction, Refusal, Request, Response, State};
use protocol::id::{Digest, Header, Purpose, SiteId};

use super::Federation;
use super::hospital::session_seed;
use super::service::Service;

impl Federation {
    /// Trains on all sites' patients in one place.
    pub(crate) fn pooled(&self) -> State {
        finished(self.trained(self.all(), None))
    }

    /// What a site makes of a model for itself.
    pub(crate) fn personal(&self, site: usize, state: &State) -> State {
        let cohort = self.hospitals[site].cohort.clone();
        finished(self.trained(vec![cohort], Some(state)))
    }

    /// What a site's module makes of all patients in one place, or of a state for itself, or why it does not.
    pub(crate) fn try_baseline(&self, state: Option<&State>) -> Response {
        self.trained(self.all(), state)
    }

    fn all(&self) -> Vec<ByteVec> {
        let hospitals = self.hospitals.iter();
        hospitals.map(|hospital| hospital.cohort.clone()).collect()
    }

    fn trained(&self, cohorts: Vec<ByteVec>, state: Option<&State>) -> Response {
        let module = &self.hospitals[0].module;
        let worked = module.work(&Request::Baseline(Baseline {
            study: self.kit.toml.clone().into_bytes().into(),
            cohorts,
            weights: None,
            state: state.map(|state| codec::encode(state).into()),
        }));
        match worked {
            Response::Progress(_) => module.ask(&Request::Finish),
            other => other,
        }
    }

    /// What the module says of each site's patients.
    pub(crate) fn predict(&self, state: &State) -> Vec<Vec<Prediction>> {
        let predicted = |site| match self.try_predict(site, state) {
            Response::Predicted(predicted) => predicted.patients,
            other => panic!("no predictions: {other:?}"),
        };
        (0..self.hospitals.len()).map(predicted).collect()
    }

    /// What a site's module says of its patients with this state, or why not.
    pub(crate) fn try_predict(&self, site: usize, state: &State) -> Response {
        let hospital = &self.hospitals[site];
        hospital.module.ask(&Request::Predict(Predict {
            study: self.kit.toml.clone().into_bytes().into(),
            cohort: hospital.cohort.clone(),
            state: codec::encode(state).into(),
            weights: None,
        }))
    }

    /// What a site's module makes of a round that starts from this state: the progress of its work, or why not.
    pub(crate) fn try_round(&self, site: usize, purpose: Purpose, state: &State) -> Response {
        let state = codec::encode(state);
        let header = Header {
            state: Digest::of(&state),
            ..self.kit.header(1, purpose)
        };
        let id = self.hospitals[site].id;
        let open = self.opening(header, state, id);
        self.hospitals[site].module.work(&Request::Open(open))
    }

    /// What a site's module says to a request that it refuses.
    ///
    /// # Panics
    ///
    /// If it does not refuse.
    pub(crate) fn refusal(&self, site: usize, request: &Request) -> Refusal {
        match self.hospitals[site].module.ask(request) {
            Response::Refused(refusal) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Opens a site's part in the study's first round, and lets it work until it has something to send.
    pub(crate) fn begin(&self, site: usize) {
        let hospital = &self.hospitals[site];
        let open = self.first_round(hospital.id);
        match hospital.module.work(&Request::Open(open)) {
            Response::Progress(_) => {}
            other => panic!("no progress: {other:?}"),
        }
    }

    /// What opens a site's part in the study's first round.
    fn first_round(&self, site: SiteId) -> Open {
        let mut service = Service::new(&self.kit);
        let purpose = service.purpose().expect("a study has rounds");
        let header = service.open(purpose);
        self.opening(header, service.published().to_vec(), site)
    }

    fn opening(&self, header: Header, state: Vec<u8>, site: SiteId) -> Open {
        let hospital = &self.hospitals[usize::from(site.0)];
        Open {
            study: self.kit.toml.clone().into_bytes().into(),
            cohort: hospital.cohort.clone(),
            seed: session_seed(site, header.number),
            header,
            state: state.into(),
            site,
            memory: hospital.memory().into(),
            weights: None,
        }
    }
}

fn finished(response: Response) -> State {
    match response {
        Response::Finished(state) => state,
        other => panic!("no state: {other:?}"),
    }
}
