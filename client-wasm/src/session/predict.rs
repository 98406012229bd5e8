//! What a trained model says of each patient; it stays at the site.

use cohort::{Candidates, Normaliser};
use protocol::door::{Predict, Predicted, Prediction, State};
use protocol::study::Study;

use super::embedding::Embedding;
use super::error::SessionError;
use super::inputs::{Inputs, moments, network, rows, weights};

/// The class probabilities of every label of the cohort, by patient, then by prediction time; and the phenotype of its
/// patient, where the study has them and the state the centres.
pub(crate) fn predict(request: &Predict) -> Result<Predicted, SessionError> {
    let study = Study::parse(&request.study)?;
    let state = State::published(&study, &request.state)?;
    let patients = Candidates::decode(&request.cohort, &study.manifest().cohort)?;
    let network = network(&study)?;
    let weights = weights(&network, &study, request.weights.as_ref(), &state)?;
    let normaliser = Normaliser::new(&study.manifest().cohort, &moments(&study, &state))?;
    let classes = study.manifest().cohort.classes.len();
    let embedding = Embedding::of(&study, &network)?.filter(|_| !state.centres.is_empty());
    let centres = match &embedding {
        Some(embedding) => embedding.centres(&state),
        None => Vec::new(),
    };
    let inputs = Inputs::new(patients, normaliser, None);
    let mut predictions = Vec::with_capacity(inputs.labels());
    let mut done = 0;
    while done < inputs.len() {
        let portion = inputs.portion(done..inputs.len());
        done += portion.patients.len();
        let probabilities = network.probabilities(&weights, rows(&portion.values))?;
        let phenotypes = match &embedding {
            Some(embedding) => embedding
                .points(&network, &weights, &portion)?
                .iter()
                .map(|point| embedding.phenotype(point.as_ref()?, &centres))
                .collect(),
            None => vec![None; portion.patients.len()],
        };
        let of_labels = phenotypes
            .iter()
            .zip(&portion.patients)
            .flat_map(|(phenotype, labels)| std::iter::repeat_n(*phenotype, *labels));
        for (((&place, label), row), phenotype) in portion
            .places
            .iter()
            .zip(portion.labels)
            .zip(probabilities.chunks_exact(classes))
            .zip(of_labels)
        {
            predictions.push(Prediction {
                subject: inputs.patients().subjects()[place],
                split: inputs.patients().splits()[place],
                label,
                probabilities: row.to_vec(),
                phenotype,
                time: inputs.patients().times()[place],
            });
        }
    }
    Ok(Predicted {
        patients: predictions,
    })
}
