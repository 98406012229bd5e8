//! A whole federation in memory: the participants that real hospitals run, with the module's code natively, and the
//! aggregator's rounds and course.
//!
//! Everything is as in the real programs but for transport, storage and the sandbox.
//!
//! ```text
//! hospital: participant ─steps─▶ module (a thread) · disk · files
//!                │                                               one turn each, stage by stage
//!                └─ poll, fetch, send ─▶ service: round ▸ course
//! ```

mod draft;
mod hospital;
mod module;
mod questions;
mod service;

use std::collections::BTreeMap;
use std::sync::Arc;

use aggregator::rounds::Figures;
use cohort::File;
use protocol::api::Metrics;
use protocol::door::{Role, State};
use protocol::id::{Purpose, SiteId};
use protocol::study::Study;
use synthetic::{Settings, synthesise};
use testkit::TestStudy;

use self::hospital::Hospital;
use self::service::Service;

/// A federation whose study has not begun.
pub(crate) struct Federation {
    pub(crate) kit: Arc<TestStudy>,
    hospitals: Vec<Hospital>,
    service: Service,
}

/// What became of a study.
pub(crate) struct Outcome {
    /// The published state.
    pub(crate) state: State,
    /// Metrics of the held-out patients, at the end.
    pub(crate) metrics: Metrics,
    /// What the rounds were for.
    pub(crate) purposes: Vec<Purpose>,
    /// The clip norm that each round started with.
    pub(crate) clip_norms: Vec<Option<f64>>,
}

impl Federation {
    /// Three synthetic hospitals that are to run a draft of `studies/`, with settings changed.
    pub(crate) fn synthetic(draft: &str, settings: &[(&str, &str)], patients: u32) -> Self {
        let settings_of_hospitals =
            Settings::new(3, patients, 6, 1).expect("the numbers are in their ranges");
        let hospitals = synthesise(settings_of_hospitals);
        Self::of(draft, settings, &hospitals.collect::<Vec<_>>())
    }

    /// Hospitals that are to run a draft, with settings changed.
    pub(crate) fn of(
        draft: &str,
        settings: &[(&str, &str)],
        hospitals: &[synthetic::Hospital],
    ) -> Self {
        let kit = draft::complete(draft, settings, hospitals.len());
        let files = hospitals.iter().map(|hospital| files(&kit.study, hospital));
        let files = files.collect();
        Self::start(kit, files)
    }

    /// Hospitals of which nothing but their MEDS files is known.
    pub(crate) fn of_files(
        draft: &str,
        settings: &[(&str, &str)],
        hospitals: Vec<Vec<File>>,
    ) -> Self {
        let kit = draft::complete(draft, settings, hospitals.len());
        Self::start(kit, hospitals)
    }

    /// Lets every hospital prepare its patients; then they wait for the first round.
    fn start(kit: TestStudy, files: Vec<Vec<File>>) -> Self {
        let mut service = Service::new(&kit);
        let kit = Arc::new(kit);
        let start = |(id, files)| {
            let mut hospital = Hospital::new(&kit, id, files);
            hospital.turn(&mut service);
            hospital
        };
        let hospitals = kit.study.sites().zip(files).map(start).collect();
        Self {
            kit,
            hospitals,
            service,
        }
    }

    /// Runs the study to its end, all sites taking part in every round but those that `absent` names for it.
    pub(crate) fn run(&mut self, absent: &BTreeMap<u32, SiteId>) -> Outcome {
        let (mut purposes, mut clip_norms) = (Vec::new(), Vec::new());
        let mut metrics = None;
        while let Some(purpose) = self.service.purpose() {
            purposes.push(purpose);
            clip_norms.push(self.service.state().clip_norm);
            metrics = self.round(purpose, absent).metrics.or(metrics);
        }
        self.publish();
        Outcome {
            state: self.service.state(),
            metrics: metrics.expect("every plan ends with an evaluation"),
            purposes,
            clip_norms,
        }
    }

    /// The state that training begins at, after the round of moments where the study has one.
    pub(crate) fn beginning(&mut self) -> State {
        while self.service.purpose() == Some(Purpose::Moments) {
            self.round(Purpose::Moments, &BTreeMap::new());
        }
        self.service.state()
    }

    /// What each site's module prepared of its patients.
    pub(crate) fn cohorts(&self) -> impl Iterator<Item = &[u8]> {
        let hospitals = self.hospitals.iter();
        hospitals.map(|hospital| hospital.cohort.as_slice())
    }

    fn round(&mut self, purpose: Purpose, absent: &BTreeMap<u32, SiteId>) -> Figures {
        let header = self.service.open(purpose);
        let away = absent.get(&header.number).copied();
        loop {
            for hospital in &mut self.hospitals {
                if Some(hospital.id) != away {
                    hospital.turn(&mut self.service);
                }
            }
            self.assert_heard(away);
            if let Some(figures) = self.service.close() {
                return figures;
            }
        }
    }

    /// Every site that is there has sent what the stage waits for.
    fn assert_heard(&mut self, away: Option<SiteId>) {
        let round = self.service.round();
        for site in round.missing() {
            let (number, stage) = (round.header().number, round.stage());
            assert_eq!(
                Some(site),
                away,
                "site {site} sent nothing at {stage} of round {number}: {}",
                self.hospitals[usize::from(site.0)].told()
            );
        }
    }

    /// Publishes the model, and every hospital takes it.
    fn publish(&mut self) {
        self.service.publish();
        for hospital in &mut self.hospitals {
            hospital.turn(&mut self.service);
            let (model, published) = (hospital.model(), self.service.published());
            assert_eq!(model.as_deref(), Some(published), "site {}", hospital.id);
        }
    }
}

/// Where the study splits off tuning patients, without the files of splits, which have none.
fn files(study: &Study, hospital: &synthetic::Hospital) -> Vec<File> {
    let file = |name: &str, role, bytes: &[u8]| File {
        name: name.to_owned(),
        role,
        bytes: bytes.to_vec(),
    };
    let mut files = vec![
        file("events", Role::Events, &hospital.events),
        file("labels", Role::Labels, &hospital.labels),
    ];
    if study.manifest().cohort.split.tuning <= 0.0 {
        files.push(file("splits", Role::Splits, &hospital.splits));
    }
    files
}
