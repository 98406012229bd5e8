//! A service on a bench: a folder, a clock that stands until it is moved, and sites in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aggregator::rounds::StageTimes;
use aggregator::store::{Journal, Store};
use aggregator::{Clock, Service, StartError, app};
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use protocol::api::{MissingChunks, Progress, RoundView, Stage, Status};
use protocol::codec;
use protocol::door::{Inbox, Messages, Survivors};
use protocol::id::{Header, Purpose, SiteId};
use protocol::message::Signed;
use protocol::study::SectionName;
use tempfile::TempDir;
use testkit::{Draft, FakeSite, TestStudy, decoded};
use tower::ServiceExt as _;

/// Times of the bench's service.
pub(crate) const TIMES: StageTimes = StageTimes {
    advertise: Duration::from_secs(1_000),
    others: Duration::from_secs(10),
};

/// The stage from which on a site sends nothing.
pub(crate) type Gone = BTreeMap<SiteId, Stage>;

/// A service, and all that it stands on.
pub(crate) struct Bench {
    pub(crate) kit: Arc<TestStudy>,
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<MockClock>,
    pub(crate) service: Arc<Service>,
    pub(crate) restarts: Restarts,
}

/// Whether the service is killed after each request that could change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restarts {
    Never,
    AfterEachChange,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// A clock that stands until it is moved.
#[derive(Debug)]
pub(crate) struct MockClock(Mutex<Instant>);

impl Clock for MockClock {
    fn now(&self) -> Instant {
        *self.0.lock().unwrap()
    }
}

/// Three sites of which two are enough, three weights, two steps.
pub(crate) fn draft() -> Draft {
    Draft {
        sites: 3,
        threshold: 2,
        parameters: 3,
        rounds: 2,
        ..Draft::default()
    }
}

/// The same with a finite ε.
pub(crate) fn noised() -> Draft {
    Draft {
        epsilon: 2.0,
        fraction_bits: 16,
        patients_per_site: 100,
        ..draft()
    }
}

impl Bench {
    pub(crate) fn new(draft: &Draft) -> Self {
        let (kit, folder) = (Arc::new(draft.make()), tempfile::tempdir().unwrap());
        let clock = Arc::new(MockClock(Mutex::new(Instant::now())));
        let service = Arc::new(start(&kit, folder.path(), &clock).unwrap());
        Self {
            kit,
            folder,
            clock,
            service,
            restarts: Restarts::Never,
        }
    }

    /// Kills the service and starts another from what is on the disk at this moment.
    pub(crate) fn kill(&mut self) {
        self.kill_and(|_| ());
    }

    /// Kills the service; what it wrote last, before it could go on, is `change`.
    pub(crate) fn kill_and(&mut self, change: impl FnOnce(&Journal)) {
        // A copy is what a new process would find: the old one has no chance to tidy up.
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir(copy.path().join("studies")).unwrap();
        for folder in ["", "studies"] {
            for entry in fs::read_dir(self.folder.path().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    fs::copy(
                        &path,
                        copy.path().join(folder).join(path.file_name().unwrap()),
                    )
                    .unwrap();
                }
            }
        }
        change(
            &Store::at(copy.path())
                .unwrap()
                .journal(self.kit.study.digest())
                .unwrap(),
        );
        self.service = Arc::new(start(&self.kit, copy.path(), &self.clock).unwrap());
        self.folder = copy;
    }

    /// Lets time pass, and the service see it.
    pub(crate) async fn wait(&self, time: Duration) {
        *self.clock.0.lock().unwrap() += time;
        self.service.running().unwrap().tick().await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.request(Method::GET, path, Vec::new()).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: Vec<u8>) -> Answer {
        self.request(Method::POST, path, body).await
    }

    pub(crate) async fn request(&mut self, method: Method, path: &str, body: Vec<u8>) -> Answer {
        let changes = method == Method::POST || method == Method::PUT;
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/{path}"))
            .body(Body::from(body))
            .unwrap();
        let response = app(Arc::clone(&self.service))
            .oneshot(request)
            .await
            .unwrap();
        let status = response.status();
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type
            .map_or("", |kind| kind.to_str().unwrap())
            .to_owned();
        let body = to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap()
            .to_vec();
        if changes && self.restarts == Restarts::AfterEachChange {
            self.kill();
        }
        Answer {
            status,
            content_type,
            body,
        }
    }

    pub(crate) async fn view(&mut self) -> RoundView {
        let answer = self.get("round").await;
        assert_eq!(
            (answer.status, answer.content_type.as_str()),
            (StatusCode::OK, "application/cbor")
        );
        codec::decode(&answer.body).unwrap()
    }

    pub(crate) async fn progress(&mut self) -> Progress {
        let answer = self.get("progress").await;
        assert_eq!(
            (answer.status, answer.content_type.as_str()),
            (StatusCode::OK, "application/json")
        );
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// The open round.
    pub(crate) async fn open(&mut self) -> (Header, Stage, Vec<SiteId>) {
        match self.view().await.status {
            Status::Open {
                header,
                stage,
                waiting,
            } => (header, stage, waiting),
            Status::Finished { state } => panic!("the study is finished, with {state}"),
        }
    }

    /// Plays the open round with all sites but those that are gone, to its end.
    pub(crate) async fn play(&mut self, gone: &Gone) {
        let kit = Arc::clone(&self.kit);
        let mut sites = Sites::of(&kit, &self.open().await.0);
        self.play_until(&mut sites, gone, |_| false).await;
    }

    /// Whether the study stopped before its end.
    pub(crate) async fn is_stopped(&mut self) -> bool {
        self.get("round").await.kind() == "study-stopped"
    }

    /// Plays the open round until `stop` says so of the stage that is open, or to its end.
    pub(crate) async fn play_until(
        &mut self,
        sites: &mut Sites<'_>,
        gone: &Gone,
        stop: impl Fn(Stage) -> bool,
    ) {
        while !self.is_stopped().await {
            let Status::Open {
                header,
                stage,
                waiting,
            } = self.view().await.status
            else {
                return;
            };
            if header.number != sites.header.number || stop(stage) {
                return;
            }
            for site in waiting {
                if gone.get(&site).is_some_and(|from| *from <= stage) {
                    continue;
                }
                let signed = self.message(sites, stage, site).await;
                self.report(sites, stage, &signed).await;
            }
            let still_here = matches!(
                self.view().await.status,
                Status::Open { header: now, stage: at, .. } if now == header && at == stage
            );
            if still_here {
                self.wait(if stage == Stage::Advertise {
                    TIMES.advertise
                } else {
                    TIMES.others
                })
                .await;
            }
        }
    }

    /// What an honest site sends at this stage, given what the service has for it.
    pub(crate) async fn message(
        &mut self,
        sites: &mut Sites<'_>,
        stage: Stage,
        site: SiteId,
    ) -> Signed {
        let number = sites.header.number;
        let fake = sites.sites.get_mut(&site).unwrap();
        let message = match stage {
            Stage::Advertise => fake.advertise(),
            Stage::Share => {
                let adverts: Messages = self.fetch(&format!("rounds/{number}/adverts")).await;
                fake.share(&decoded(&adverts))
            }
            Stage::Mask => {
                let inbox: Inbox = self.fetch(&format!("rounds/{number}/shares/{site}")).await;
                fake.mask(&inbox)
            }
            Stage::Agree => {
                let survivors: Survivors = self.fetch(&format!("rounds/{number}/survivors")).await;
                fake.agree(&survivors)
            }
            Stage::Unmask => {
                let statements: Messages = self.fetch(&format!("rounds/{number}/statements")).await;
                fake.unmask(&decoded(&statements))
            }
        };
        message.unwrap()
    }

    /// Sends a message that is accepted, and at stage mask all chunks that it announces.
    pub(crate) async fn report(&mut self, sites: &Sites<'_>, stage: Stage, signed: &Signed) {
        let answer = self.send(&sites.header, stage, signed).await;
        let site = signed.site;
        answer.is_taken(&format!("{stage} of {site}"));
        if stage == Stage::Mask {
            let chunks: Vec<Vec<u8>> = sites.sites[&site].chunks().collect();
            for (number, chunk) in (0..).zip(chunks) {
                let answer = self.put_chunk(&sites.header, site, number, chunk).await;
                answer.is_taken(&format!("chunk {number} of {site}"));
            }
        }
    }

    pub(crate) async fn put_chunk(
        &mut self,
        header: &Header,
        site: SiteId,
        number: u32,
        chunk: Vec<u8>,
    ) -> Answer {
        let path = format!("rounds/{}/chunks/{site}/{number}", header.number);
        self.request(Method::PUT, &path, chunk).await
    }

    /// The chunks of a site that the service says are missing.
    pub(crate) async fn missing(&mut self, header: &Header, site: SiteId) -> Vec<u32> {
        let path = format!("rounds/{}/chunks/{site}", header.number);
        self.fetch::<MissingChunks>(&path).await.chunks
    }

    pub(crate) async fn send(&mut self, header: &Header, stage: Stage, signed: &Signed) -> Answer {
        self.post(
            &format!("rounds/{}/{stage}", header.number),
            codec::encode(signed),
        )
        .await
    }

    async fn fetch<T>(&mut self, path: &str) -> T
    where
        T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
    {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.kind());
        codec::decode(&answer.body).unwrap()
    }
}

impl Answer {
    /// The last part of the problem's type, or nothing.
    pub(crate) fn kind(&self) -> String {
        if self.content_type != "application/problem+json" {
            return String::new();
        }
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem["status"], self.status.as_u16());
        assert!(problem["title"].is_string());
        problem["type"]
            .as_str()
            .unwrap()
            .replace("urn:wardround:problem:", "")
    }

    /// Asserts that what was sent was taken.
    #[track_caller]
    pub(crate) fn is_taken(&self, what: &str) {
        assert_eq!(
            self.status,
            StatusCode::NO_CONTENT,
            "{what}: {}",
            self.kind()
        );
    }

    /// Asserts that it is this problem.
    #[track_caller]
    pub(crate) fn is(&self, status: u16, kind: &str) {
        assert_eq!((self.status.as_u16(), self.kind().as_str()), (status, kind));
    }
}

/// The sites of one round.
pub(crate) struct Sites<'a> {
    pub(crate) header: Header,
    pub(crate) sites: BTreeMap<SiteId, FakeSite<'a>>,
}

impl<'a> Sites<'a> {
    pub(crate) fn of(kit: &'a TestStudy, header: &Header) -> Self {
        let fake = |site| {
            (
                site,
                FakeSite::new(kit, header, site, vector(kit, header.purpose, site)),
            )
        };
        Self {
            header: header.clone(),
            sites: kit.study.sites().map(fake).collect(),
        }
    }
}

/// What a site adds: patients and sums that depend on its number alone, so that results can be computed by hand.
#[expect(clippy::cast_possible_truncation, reason = "the values are small")]
pub(crate) fn vector(kit: &TestStudy, purpose: Purpose, site: SiteId) -> Vec<i64> {
    let patients = 10.0 * (f64::from(site.0) + 1.0);
    let mut vector = Vec::new();
    for section in kit.study.layout(purpose).sections {
        let mut values = vec![0.0; section.length];
        match section.name {
            // Of each feature: patients, half of them at the low end of the range and half at the high one.
            SectionName::Moments => {
                for feature in values.chunks_exact_mut(3) {
                    feature.copy_from_slice(&[patients, 0.0, patients]);
                }
            }
            // The first weight's gradient is half the clip norm for each patient.
            SectionName::Update => values[0] = patients / 2.0,
            SectionName::Weight => values[0] = patients,
            SectionName::Control
            | SectionName::Short
            | SectionName::Members
            | SectionName::Embeddings => {}
            // All patients are of the first class; 4 of 5 are predicted so.
            SectionName::Metrics => {
                values[0] = patients * 0.8;
                values[1] = patients * 0.2;
            }
        }
        vector.extend(
            values
                .into_iter()
                .map(|value| (value / section.grid).round() as i64),
        );
    }
    vector
}

pub(crate) fn start(
    kit: &TestStudy,
    folder: &Path,
    clock: &Arc<MockClock>,
) -> Result<Service, StartError> {
    let store = Store::at(folder)?;
    let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    Service::with_study(
        &store,
        kit.toml.clone().into_bytes(),
        kit.secret(),
        TIMES,
        clock,
    )
}
