//! The study's file, and the public weights that it may name.

use std::sync::OnceLock;

use learning::model::Network;
use protocol::codec;
use protocol::id::Digest;
use protocol::study::Study;
use protocol::weights::Weights;
use testkit::{Draft, Random};

use super::message::one_form;
use super::play::kit;

/// A study is refused, or everything that follows from it does.
pub(crate) fn parse(input: &[u8]) {
    let Ok(study) = Study::parse(input) else {
        return;
    };
    assert_eq!(study.digest(), Digest::of(input), "a study is its bytes");
    let manifest = study.manifest();
    for purpose in study.plan().into_iter().take(8) {
        let _ = study.layout(purpose);
        let crowd = manifest.crowd(purpose);
        assert!(
            2 * crowd.agreeing > crowd.sites,
            "two halves could both agree"
        );
    }
    if let Ok(network) = Network::new(&manifest.cohort, &manifest.model) {
        let _ = network.trained();
    }
}

pub(crate) fn files() -> Vec<Vec<u8>> {
    let plain = Draft::default();
    let private = Draft {
        epsilon: 1.0,
        normalisation: "shared",
        ..Draft::default()
    };
    let drawn = Draft {
        random: Some(Random {
            sites: 4,
            threshold: 3,
        }),
        ..Draft::default()
    };
    let drafts = [plain, private, drawn].map(|draft| draft.toml().into_bytes());
    let shipped = SHIPPED.map(|text| text.as_bytes().to_vec());
    drafts.into_iter().chain(shipped).collect()
}

/// A file of weights is refused, or is of the network.
pub(crate) fn weights(input: &[u8]) {
    one_form::<Weights>(input);
    let Ok(file) = codec::decode::<Weights>(input) else {
        return;
    };
    let network = network();
    if let Ok(weights) = network.start(&file, 1) {
        assert_eq!(weights.len(), network.parameters());
        assert!(weights.iter().all(|weight| weight.is_finite()));
    }
}

pub(crate) fn weight_files() -> Vec<Vec<u8>> {
    let network = network();
    let file = network.file(&network.initial(1), &[]);
    let file = file.expect("the weights are of the network");
    vec![codec::encode(&file)]
}

fn network() -> &'static Network {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    NETWORK.get_or_init(|| {
        let manifest = kit().study.manifest();
        let network = Network::new(&manifest.cohort, &manifest.model);
        network.expect("the study's model fits its features")
    })
}

/// Drafts, which lack what `host compose` adds, and are as such refused; their tables are those of every study.
const SHIPPED: [&str; 2] = [
    include_str!("../../../studies/heart-disease.toml"),
    include_str!("../../../studies/readmission-transformer.toml"),
];
