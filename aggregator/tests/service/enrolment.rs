//! How a site's key comes to the person who writes the roster.

use std::sync::Arc;

use aggregator::store::{SiteName, Store};
use aggregator::{Service, app};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use protocol::api::Enrol;
use protocol::codec;
use protocol::identity::Identity;
use ring::rand::SystemRandom;
use tempfile::TempDir;
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
        let request = Request::post("/v1/enrol")
            .body(Body::from(codec::encode(request)))
            .unwrap();
        let response = app(Arc::clone(&self.service))
            .oneshot(request)
            .await
            .unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        (
            status,
            problem["type"]
                .as_str()
                .unwrap_or_default()
                .replace("urn:wardround:problem:", ""),
        )
    }
}

fn request(token: &str, name: &str, identity: &Identity) -> Enrol {
    let signature = identity.sign(&Enrol::signed_bytes(token, name));
    Enrol {
        token: token.to_owned(),
        name: name.to_owned(),
        key: identity.key(),
        signature,
    }
}

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
    let sites = desk.store.enrolment().sites().unwrap();
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
    assert!(desk.store.enrolment().sites().unwrap().is_empty());
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
        assert_eq!(
            desk.store.enrolment().sites().unwrap()[0].key,
            identity.key()
        );
    }
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
    assert_eq!(store.enrolment().sites().unwrap().len(), 1);
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
