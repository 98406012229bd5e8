//! How a site's key comes to the person who writes the roster.

use std::sync::Arc;

use aggregator::store::{Enrolled, Roster, RosterError, SiteName, Store};
use aggregator::{Service, app};
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{Request, StatusCode};
use protocol::api::{Enrol, Reveal};
use protocol::codec;
use protocol::id::{Digest, Nonce};
use protocol::identity::Identity;
use protocol::lottery::{Lot, RollCall, SecretNonce};
use ring::rand::SystemRandom;
use tempfile::TempDir;
use testkit::nonce;
use tower::ServiceExt as _;

use crate::bench::{Bench, draft};

/// A service without a study.
struct Desk {
    folder: TempDir,
    store: Store,
    service: Arc<Service>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path()).unwrap();
        let service = Arc::new(Service::enrolment_only(&store));
        Self {
            folder,
            store,
            service,
        }
    }

    fn token(&self, site: &str) -> String {
        let site: SiteName = site.parse().unwrap();
        let token = self
            .store
            .enrolment()
            .create_token(&site, &SystemRandom::new())
            .unwrap();
        token.reveal().to_owned()
    }

    async fn enrol(&self, request: &Enrol) -> (StatusCode, String) {
        self.post("enrol", codec::encode(request)).await
    }

    async fn reveal(&self, reveal: &Reveal) -> (StatusCode, String) {
        self.post("reveal", codec::encode(reveal)).await
    }

    /// The closed list, or the problem's kind.
    async fn roll_call(&self) -> Result<RollCall, String> {
        let (status, body) = self.ask(Request::get("/v1/roll-call"), Vec::new()).await;
        if status == StatusCode::OK {
            Ok(codec::decode(&body).unwrap())
        } else {
            Err(kind(&body))
        }
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> (StatusCode, String) {
        let (status, body) = self.ask(Request::post(format!("/v1/{path}")), body).await;
        (status, kind(&body))
    }

    async fn ask(&self, request: Builder, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
        let request = request.body(Body::from(body)).unwrap();
        let response = app(Arc::clone(&self.service))
            .oneshot(request)
            .await
            .unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        (status, body.to_vec())
    }

    fn sites(&self) -> Vec<Enrolled> {
        self.store.enrolment().roster().unwrap().sites().to_vec()
    }

    /// Kills the service and starts another from what is on the disk at this moment.
    fn kill(&mut self) {
        let copy = tempfile::tempdir().unwrap();
        let file = "enrolment.redb";
        std::fs::copy(self.folder.path().join(file), copy.path().join(file)).unwrap();
        self.store = Store::at(copy.path()).unwrap();
        self.service = Arc::new(Service::enrolment_only(&self.store));
        self.folder = copy;
    }

    /// Enrols a site whose nonce is the testkit's.
    async fn join(&self, name: &str, identity: &Identity) {
        let token = self.token(name);
        let enrolled = self.enrol(&request(&token, name, identity)).await;
        assert_eq!(enrolled, (StatusCode::NO_CONTENT, String::new()));
    }
}

/// The last part of a problem's type, or nothing.
fn kind(body: &[u8]) -> String {
    let problem: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let kind = problem["type"].as_str().unwrap_or_default();
    kind.replace("urn:wardround:problem:", "")
}

fn request(token: &str, name: &str, identity: &Identity) -> Enrol {
    committed(token, name, identity, &nonce(identity))
}

fn committed(token: &str, name: &str, identity: &Identity, nonce: &SecretNonce) -> Enrol {
    let commitment = nonce.commitment(&identity.key());
    let signature = identity.sign(&Enrol::signed_bytes(token, &commitment, name));
    Enrol {
        token: token.to_owned(),
        name: name.to_owned(),
        key: identity.key(),
        commitment,
        signature,
    }
}

fn reveal(list: &RollCall, identity: &Identity) -> Reveal {
    Reveal {
        key: identity.key(),
        list: list.digest(),
        lot: nonce(identity).reveal(list, identity),
    }
}

/// A nonce that is not the one of [`nonce`].
fn other_nonce() -> SecretNonce {
    SecretNonce::new([77; 32])
}

fn hospitals() -> [(&'static str, Identity); 3] {
    ["North", "South", "West"].map(|name| {
        let seed = Digest::of(name.as_bytes()).0;
        (name, Identity::from_seed(&seed))
    })
}

const TAKEN: (StatusCode, String) = (StatusCode::NO_CONTENT, String::new());

#[tokio::test]
async fn a_token_enrols_one_site_with_one_key() {
    let desk = Desk::new();
    let (north, south) = (Identity::from_seed(&[1; 32]), Identity::from_seed(&[2; 32]));
    let token = desk.token("St. Mary's North");
    let first = request(&token, "St. Mary's North", &north);
    assert_eq!(
        desk.enrol(&first).await,
        (StatusCode::NO_CONTENT, String::new())
    );
    // The answer was lost: the same again is no second use.
    assert_eq!(
        desk.enrol(&first).await,
        (StatusCode::NO_CONTENT, String::new())
    );
    let second = request(&token, "St. Mary's North", &south);
    assert_eq!(
        desk.enrol(&second).await,
        (StatusCode::CONFLICT, "token-used".to_owned())
    );
    let other = committed(&token, "St. Mary's North", &north, &other_nonce());
    assert_eq!(
        desk.enrol(&other).await,
        (StatusCode::CONFLICT, "token-used".to_owned())
    );
    let sites = desk.sites();
    assert_eq!(sites.len(), 1);
    assert_eq!(
        (sites[0].name.as_str(), sites[0].key),
        ("St. Mary's North", north.key())
    );
}

#[tokio::test]
async fn enrolments_that_are_not_right_use_no_token_up() {
    let desk = Desk::new();
    let identity = Identity::from_seed(&[1; 32]);
    let token = desk.token("North");
    let unknown = request(&"0".repeat(64), "North", &identity);
    assert_eq!(
        desk.enrol(&unknown).await,
        (StatusCode::FORBIDDEN, "unknown-token".to_owned())
    );
    let other_name = request(&token, "South", &identity);
    assert_eq!(
        desk.enrol(&other_name).await,
        (StatusCode::FORBIDDEN, "other-name".to_owned())
    );
    let stolen = Enrol {
        key: Identity::from_seed(&[2; 32]).key(),
        ..request(&token, "North", &identity)
    };
    assert_eq!(
        desk.enrol(&stolen).await,
        (StatusCode::FORBIDDEN, "bad-signature".to_owned())
    );
    assert!(desk.sites().is_empty());
    assert_eq!(
        desk.enrol(&request(&token, "North", &identity)).await.0,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn a_new_token_of_a_site_lets_it_replace_its_key() {
    let desk = Desk::new();
    for seed in [[1; 32], [2; 32]] {
        let (token, identity) = (desk.token("North"), Identity::from_seed(&seed));
        assert_eq!(
            desk.enrol(&request(&token, "North", &identity)).await.0,
            StatusCode::NO_CONTENT
        );
        assert_eq!(desk.sites()[0].key, identity.key());
    }
}

#[tokio::test]
async fn a_closed_roster_takes_no_site_and_each_site_reveals_for_exactly_it() {
    let mut desk = Desk::new();
    let hospitals = hospitals();
    for (name, identity) in &hospitals {
        desk.join(name, identity).await;
    }
    let (late, late_token) = (Identity::from_seed(&[9; 32]), desk.token("Late"));
    let early = reveal(&RollCall::new(Vec::new()).unwrap(), &hospitals[0].1);
    let open = (StatusCode::CONFLICT, "roster-open".to_owned());
    assert_eq!(desk.reveal(&early).await, open);
    assert_eq!(desk.roll_call().await, Err(open.1));

    let list = desk.store.enrolment().close().unwrap();
    assert_eq!(desk.store.enrolment().close().unwrap(), list);
    let names = list.entries().iter().map(|entry| entry.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["North", "South", "West"]);
    assert_eq!(desk.roll_call().await.unwrap(), list);
    let closed = (StatusCode::CONFLICT, "roster-closed".to_owned());
    let joining = request(&late_token, "Late", &late);
    assert_eq!(desk.enrol(&joining).await, closed);
    let other_key = request(&desk.token("North"), "North", &late);
    assert_eq!(desk.enrol(&other_key).await, closed);

    for (_, identity) in &hospitals[..2] {
        assert_eq!(desk.reveal(&reveal(&list, identity)).await, TAKEN);
        desk.kill();
        // The answer was lost.
        assert_eq!(desk.reveal(&reveal(&list, identity)).await, TAKEN);
    }
    let Roster::Closed(sites) = desk.store.enrolment().roster().unwrap() else {
        panic!("the list is open");
    };
    let lots: Vec<Option<Lot>> = sites.iter().map(|site| site.lot).collect();
    let of = |place: usize| Some(reveal(&list, &hospitals[place].1).lot);
    assert_eq!(lots, [of(0), of(1), None]);
}

#[tokio::test]
async fn what_is_revealed_is_the_nonce_that_was_committed_to_signed_for_the_closed_list() {
    let desk = Desk::new();
    let hospitals = hospitals();
    for (name, identity) in &hospitals {
        desk.join(name, identity).await;
    }
    let list = desk.store.enrolment().close().unwrap();
    let north = &hospitals[0].1;
    let honest = reveal(&list, north);
    let shorter = RollCall::new(list.entries()[..2].to_vec()).unwrap();
    let other = Lot {
        nonce: Nonce([77; 32]),
        ..honest.lot
    };
    let stranger = Identity::from_seed(&[9; 32]);
    for (wrong, status, kind) in [
        (reveal(&shorter, north), 409, "other-list"),
        (
            Reveal {
                lot: reveal(&shorter, north).lot,
                ..honest.clone()
            },
            403,
            "bad-signature",
        ),
        (
            Reveal {
                lot: other,
                ..honest.clone()
            },
            403,
            "other-nonce",
        ),
        (
            Reveal {
                lot: reveal(&list, &hospitals[1].1).lot,
                ..honest.clone()
            },
            403,
            "other-nonce",
        ),
        (reveal(&list, &stranger), 403, "not-in-roster"),
    ] {
        let (got, said) = desk.reveal(&wrong).await;
        assert_eq!((got.as_u16(), said.as_str()), (status, kind));
    }
    assert!(desk.sites().iter().all(|site| site.lot.is_none()));
    assert_eq!(desk.reveal(&honest).await, TAKEN);
    let (status, said) = desk.post("reveal", vec![0; 257]).await;
    assert_eq!((status.as_u16(), said.as_str()), (413, "body-too-large"));
}

#[tokio::test]
async fn a_roster_that_is_opened_again_keeps_no_site_and_no_nonce() {
    let desk = Desk::new();
    let hospitals = hospitals();
    let mut first = Vec::new();
    for (name, identity) in &hospitals {
        let enrol = request(&desk.token(name), name, identity);
        assert_eq!(desk.enrol(&enrol).await, TAKEN);
        first.push(enrol);
    }
    let list = desk.store.enrolment().close().unwrap();
    assert_eq!(desk.reveal(&reveal(&list, &hospitals[0].1)).await, TAKEN);
    desk.store.enrolment().reopen().unwrap();
    assert_eq!(
        desk.store.enrolment().roster().unwrap(),
        Roster::Open(Vec::new())
    );
    assert!(matches!(
        desk.store.enrolment().close(),
        Err(RosterError::Empty)
    ));
    // Who repeats an old request brings no old commitment back.
    for enrol in &first {
        assert_eq!(
            desk.enrol(enrol).await,
            (StatusCode::CONFLICT, "token-used".to_owned())
        );
    }
    for (name, identity) in &hospitals {
        let token = desk.token(name);
        let enrol = committed(&token, name, identity, &other_nonce());
        assert_eq!(desk.enrol(&enrol).await, TAKEN);
    }
    let again = desk.store.enrolment().close().unwrap();
    assert_ne!(again.digest(), list.digest());
    assert_eq!(
        desk.reveal(&reveal(&list, &hospitals[0].1)).await.1,
        "other-list"
    );
    assert!(desk.sites().iter().all(|site| site.lot.is_none()));
}

#[tokio::test]
async fn an_enrolment_is_there_as_a_whole_after_a_kill_or_not_at_all() {
    let mut desk = Desk::new();
    let (name, identity) = &hospitals()[0];
    let enrol = request(&desk.token(name), name, identity);
    desk.kill();
    assert!(desk.sites().is_empty());
    assert_eq!(desk.enrol(&enrol).await, TAKEN);
    desk.kill();
    assert_eq!(desk.enrol(&enrol).await, TAKEN);
    let list = desk.store.enrolment().close().unwrap();
    desk.kill();
    // The list was closed with the commitment that came with the key.
    assert_eq!(desk.roll_call().await.unwrap(), list);
    assert_eq!(list.entries()[0].commitment, enrol.commitment);
    // The answer to the enrolment was lost until now.
    assert_eq!(desk.enrol(&enrol).await, TAKEN);
}

#[tokio::test]
async fn the_store_never_holds_a_token() {
    let desk = Desk::new();
    let token = desk.token("North");
    let identity = Identity::from_seed(&[1; 32]);
    desk.enrol(&request(&token, "North", &identity)).await;
    let bytes = std::fs::read(desk.folder.path().join("enrolment.redb")).unwrap();
    assert!(
        !bytes
            .windows(token.len())
            .any(|window| window == token.as_bytes())
    );
}

#[tokio::test]
async fn without_a_study_sites_can_enrol_and_no_more() {
    let desk = Desk::new();
    for path in ["study", "round", "progress", "rounds/0/adverts"] {
        let request = Request::get(format!("/v1/{path}"))
            .body(Body::empty())
            .unwrap();
        let response = app(Arc::clone(&desk.service))
            .oneshot(request)
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        assert!(String::from_utf8_lossy(&body).contains("urn:wardround:problem:no-study"));
    }
}

#[tokio::test]
async fn sites_can_enrol_while_a_study_runs() {
    let mut bench = Bench::new(&draft());
    let store = Store::at(bench.folder.path()).unwrap();
    let site: SiteName = "North".parse().unwrap();
    let token = store
        .enrolment()
        .create_token(&site, &SystemRandom::new())
        .unwrap();
    let enrol = request(token.reveal(), "North", &Identity::from_seed(&[1; 32]));
    assert_eq!(
        bench.post("enrol", codec::encode(&enrol)).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(store.enrolment().roster().unwrap().sites().len(), 1);
    bench
        .post("enrol", b"no CBOR".to_vec())
        .await
        .is(400, "malformed-message");
}

#[test]
fn names_that_toml_or_a_log_would_misread_are_refused() {
    for name in [
        "",
        " North",
        "North ",
        "No\"rth",
        "No\\rth",
        "No\nrth",
        &"n".repeat(101),
    ] {
        assert!(name.parse::<SiteName>().is_err(), "{name:?}");
    }
    assert!("Hôpital Saint-Louis (Paris)".parse::<SiteName>().is_ok());
}
