//! Studies that make no model are refused; the others have the sizes that are known.
#![cfg(feature = "burn")]

mod study;

use learning::model::{ModelError, Network};
use protocol::study::{Architecture, Head, Missingness, Model, Shape, Span, Summary, Trained};
use study::{cohort, modality, reference_cohort, reference_model};

fn linear(summary: Summary, head: Head) -> Model {
    Model {
        architecture: Architecture::Linear { summary },
        ..with_head(head)
    }
}

fn with_head(head: Head) -> Model {
    Model {
        head,
        ..reference_model()
    }
}

fn transformer(width: u32, heads: u32, layers: u32, feed_forward: u32) -> Model {
    let missingness = Missingness::Omit;
    let architecture = Architecture::Transformer {
        width,
        heads,
        layers,
        feed_forward,
        missingness,
    };
    Model {
        architecture,
        ..reference_model()
    }
}

#[test]
fn models_have_the_known_numbers_of_weights() {
    for (model, weights) in [
        (reference_model(), 22_467),
        (with_head(Head::Ordinal), 22_467 - 3 * 33 + 32 + 2),
        (linear(Summary::MeanAndTrend, Head::Softmax), 351),
        (linear(Summary::MeanAndTrend, Head::Ordinal), 118),
        (linear(Summary::Mean, Head::Ordinal), 98),
    ] {
        assert_eq!(
            Network::new(&reference_cohort(), &model)
                .unwrap()
                .parameters(),
            weights
        );
    }
}

#[test]
fn blocks_lie_one_after_the_other() {
    let network = Network::new(&reference_cohort(), &reference_model()).unwrap();
    let mut end = 0;
    for block in network.blocks() {
        assert_eq!(block.range.start, end);
        assert_eq!(block.range.len(), block.shape.iter().product::<usize>());
        end = block.range.end;
    }
    assert_eq!(end, network.parameters());
}

#[test]
fn settings_that_make_no_model_are_refused() {
    for (model, want) in [
        (
            transformer(32, 5, 1, 8),
            "heads is 5, which must be a divisor of the width",
        ),
        (
            transformer(32, 4, 0, 8),
            "layers is 0, which must be from 1 to 64",
        ),
        (
            transformer(0, 4, 1, 8),
            "width or feed-forward is 0, which must be at least 1",
        ),
        (
            transformer(u32::MAX, 1, 1, 8),
            "the model has more than 16777216 weights",
        ),
    ] {
        assert_eq!(
            Network::new(&reference_cohort(), &model)
                .unwrap_err()
                .to_string(),
            want
        );
    }
}

#[test]
fn cohorts_that_cannot_be_cut_are_refused() {
    let series = |bin, bins_per_token| Shape::Series {
        bin: Span::days(bin),
        bins_per_token,
    };
    for (modality, want) in [
        (
            modality("labs", series(5, 1), 1),
            "hours of a bin of labs is 120, which must be a divisor of the history's",
        ),
        (
            modality("labs", series(7, 5), 1),
            "bins-per-token of labs is 5, which must be a divisor of the number of bins",
        ),
        (
            modality("labs", series(0, 1), 1),
            "hours of a bin of labs is 0, which must be a divisor of the history's",
        ),
        (
            modality("labs", Shape::Static, 0),
            "the number of features of labs is 0, which must be at least 1",
        ),
    ] {
        let refused = Network::new(&cohort(182, vec![modality]), &reference_model()).unwrap_err();
        assert_eq!(refused.to_string(), want);
    }
    let mut one_class = reference_cohort();
    one_class.classes.truncate(1);
    let refused = Network::new(&one_class, &reference_model()).unwrap_err();
    assert!(matches!(refused, ModelError::Setting { got: 1, .. }));
}

#[test]
fn a_study_without_series_has_no_positions() {
    let cohort = cohort(1, vec![modality("fixed", Shape::Static, 3)]);
    let network = Network::new(&cohort, &reference_model()).unwrap();
    let patients = study::Patients::random(&network, 2, 1);
    let mut sum = vec![0.0; network.parameters()];
    let weights = study::weights(&network, 2);
    network
        .clipped_sum(&weights, patients.batch(), &patients.labels, 1.0, &mut sum)
        .unwrap();
    assert!(sum.iter().all(|value| value.is_finite()));
}

fn trained(names: &[&str]) -> Trained {
    Trained::Blocks(names.iter().map(|name| (*name).to_owned()).collect())
}

fn partly(names: &[&str]) -> Network {
    let model = Model {
        trained: trained(names),
        ..reference_model()
    };
    Network::new(&reference_cohort(), &model).expect("the study makes a model")
}

#[test]
fn a_name_stands_for_a_block_and_for_those_that_it_begins() {
    for (names, weights) in [
        (&["head"][..], 3 * 33),
        (&["head.bias"], 3),
        // `norm` is the last one, not `layers.0.norm1`.
        (&["norm", "head"], 3 * 33 + 2 * 32),
        (&["layers.0.norm1", "layers.1.norm2.bias"], 3 * 32),
    ] {
        assert_eq!(partly(names).trained(), weights, "{names:?}");
        assert_eq!(partly(names).parameters(), 22_467);
    }
}

#[test]
fn a_trained_block_that_the_model_does_not_have_is_refused() {
    for name in ["heads", "hea", "layers.2", "omics"] {
        let model = Model {
            trained: trained(&["head", name]),
            ..reference_model()
        };
        let refused = Network::new(&reference_cohort(), &model).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("no block of the model's weights is {name:?} or begins with it")
        );
    }
}

#[test]
fn weights_come_back_from_their_file_and_blocks_that_it_leaves_out_from_the_seed() {
    let network = partly(&["head"]);
    let weights = study::weights(&network, 3);
    let whole = network.file(&weights, &[]).unwrap();
    assert_eq!(network.start(&whole, 9).unwrap(), weights);

    let encoder = network.file(&weights, &["head".to_owned()]).unwrap();
    let started = network.start(&encoder, 9).unwrap();
    let head = network.parameters() - network.trained();
    assert_eq!(started[..head], weights[..head]);
    assert_eq!(started[head..], network.initial(9)[head..]);
    assert!(network.file(&weights, &["feet".to_owned()]).is_err());
}

#[test]
fn a_file_of_another_model_is_refused() {
    let network = partly(&["head"]);
    let mut file = network.file(&network.initial(1), &[]).unwrap();
    let last = file.blocks.len() - 1;
    file.blocks[last].values.pop();
    assert_eq!(
        network.start(&file, 1).unwrap_err().to_string(),
        "the public weights are of another model: they have 2 of \"head.bias\", and this model has 3"
    );
    file.blocks[last].values.push(f32::NAN);
    assert!(matches!(
        network.start(&file, 1),
        Err(ModelError::Weight { .. })
    ));
    file.blocks[last].name = "tail".to_owned();
    let refused = network.start(&file, 1).unwrap_err();
    assert!(matches!(refused, ModelError::Start { wanted: 0, .. }));
}
