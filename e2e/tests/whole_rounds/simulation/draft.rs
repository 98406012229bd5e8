//! A draft of a study, completed for hospitals of a test.

use host::compose::{Draft, Parts};
use protocol::codec;
use protocol::door::{Describe, Request, Response};
use protocol::id::Digest;
use protocol::identity::Identity;
use protocol::study::Study;
use testkit::{Lots, TestStudy};

/// The study that so many hospitals make of a draft, with settings changed.
pub(crate) fn complete(draft: &str, settings: &[(&str, &str)], sites: usize) -> TestStudy {
    let template = testkit::Draft::default().make();
    let mut draft = Draft::parse(draft).expect("a draft");
    for (name, value) in settings {
        draft.set(name, value).expect("a setting");
    }
    let identities: Vec<Identity> = (1..=sites)
        .map(|site| Identity::from_seed(&Digest::of(format!("site {site}").as_bytes()).0))
        .collect();
    let sites = (0..).zip(&identities);
    let sites = sites.map(|(place, identity)| (format!("hospital {place}"), identity));
    let is_drawn = settings
        .iter()
        .any(|(name, _)| *name == "training.participants");
    let lots = if is_drawn { Lots::Revealed } else { Lots::None };
    draft
        .complete(&Parts {
            module: Digest::of(b"a module"),
            aggregator: template.secret().public(),
            roster: &testkit::roster(&sites.collect::<Vec<_>>(), lots),
            weights: None,
            dishonest: None,
        })
        .expect("a complete draft");
    draft.state_parameters(1).expect("a draft of a model");
    draft
        .state_noise_multiplier()
        .expect("an ε that leaves room for noise");
    let parameters = parameters(&draft.text());
    draft
        .state_parameters(parameters)
        .expect("a draft of a model");
    let toml = draft.text();
    let study = Study::parse(toml.as_bytes()).expect("a study that can be run");
    TestStudy {
        toml,
        study,
        identities,
    }
}

/// The weights of a study's model, as the module counts them.
fn parameters(toml: &str) -> u32 {
    let describe = Describe {
        study: toml.as_bytes().to_vec().into(),
        weights: None,
    };
    let answer = client_wasm::handle(&codec::encode(&Request::Describe(describe)));
    match codec::decode(&answer).expect("the module answers in CBOR") {
        Response::Described(described) => described.parameters,
        other => panic!("the study is refused: {other:?}"),
    }
}
