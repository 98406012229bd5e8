//! A model with all its weights, for programs that know nothing of the project: `docs/MODEL.md`.

use std::collections::HashMap;

use anyhow::{Context, Result};
use protocol::codec;
use protocol::door::{Moments, State};
use protocol::id::Digest;
use protocol::study::{Encoding, Normalisation, Study};
use protocol::weights::Weights;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;

use super::site::Chosen;

/// A model's weights by name, and what they mean.
#[derive(Debug, Serialize)]
pub(super) struct Tensors {
    metadata: HashMap<String, String>,
    tensors: Vec<Tensor>,
}

/// The weights of one block.
#[derive(Debug, Serialize)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    /// Row-major.
    values: Vec<f32>,
}

/// An input of the model.
#[derive(Serialize)]
struct Input<'a> {
    modality: &'a str,
    code: &'a str,
    name: &'a str,
    unit: &'a str,
    encoding: Encoding,
    low: f64,
    high: f64,
    mean: f64,
    sd: f64,
    /// Bins of time, the oldest first; 1 where it is static.
    bins: usize,
}

impl Tensors {
    /// The weights of the model that `state` encodes: those that the study starts from with the state's offset added.
    pub(super) fn of(chosen: &Chosen, state: &[u8]) -> Result<Self> {
        let exported = chosen.export(state, &[])?;
        let weights: Weights =
            codec::decode(&exported.weights).context("reading the model's weights")?;
        let size = |size: u32| usize::try_from(size).unwrap_or(usize::MAX);
        let tensors = weights.blocks.into_iter().zip(exported.shapes);
        let tensors = tensors.map(|(block, shape)| Tensor {
            name: block.name,
            shape: shape.into_iter().map(size).collect(),
            values: block.values,
        });
        Ok(Self {
            metadata: metadata(&chosen.study, state)?,
            tensors: tensors.collect(),
        })
    }

    /// As a file of safetensors: `float32`, and the metadata as its `__metadata__`.
    pub(super) fn safetensors(self) -> Result<Vec<u8>> {
        let bytes: Vec<Vec<u8>> = self
            .tensors
            .iter()
            .map(|tensor| {
                let values = tensor.values.iter();
                values.flat_map(|value| value.to_le_bytes()).collect()
            })
            .collect();
        let views = self.tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes);
            Ok((tensor.name.clone(), view.context("the model's shapes")?))
        });
        let views: Vec<_> = views.collect::<Result<_>>()?;
        safetensors::serialize(views, Some(self.metadata)).context("writing the weights")
    }

    /// As JSON: `{"metadata": {…}, "tensors": [{"name": …, "shape": […], "values": […]}]}`.
    pub(super) fn json(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }
}

/// What the weights mean; values are text, as safetensors wants them, and JSON where they are lists.
fn metadata(study: &Study, state: &[u8]) -> Result<HashMap<String, String>> {
    let manifest = study.manifest();
    let parsed: State = codec::decode(state).context("the model's file holds no model")?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let entries = [
        ("format", "wardround-model-1".into()),
        ("study", study.digest().to_string().into()),
        ("state", Digest::of(state).to_string().into()),
        ("title", manifest.title.clone().into()),
        (
            "architecture",
            serde_json::to_value(&manifest.model.architecture)?,
        ),
        ("head", serde_json::to_value(manifest.model.head)?),
        ("classes", serde_json::to_value(&manifest.cohort.classes)?),
        ("history-hours", manifest.cohort.history.in_hours().into()),
        (
            "features",
            serde_json::to_value(inputs(study, &parsed.normalisation))?,
        ),
    ];
    Ok(entries
        .map(|(name, value)| (name.to_owned(), text(value)))
        .into())
}

/// The study's features in the order of the model's inputs, with the mean and standard deviation that normalise them.
fn inputs<'a>(study: &'a Study, shared: &[Moments]) -> Vec<Input<'a>> {
    let cohort = &study.manifest().cohort;
    let mut shared = shared.iter();
    let mut inputs = Vec::new();
    for modality in &cohort.modalities {
        let bins = cohort.bins(modality.shape);
        for feature in &modality.features {
            let reference = Moments {
                mean: feature.mean,
                sd: feature.sd,
            };
            let Moments { mean, sd } = match cohort.normalisation {
                Normalisation::Reference => reference,
                Normalisation::Shared => shared.next().copied().unwrap_or(reference),
            };
            inputs.push(Input {
                modality: &modality.name,
                code: &feature.code,
                name: &feature.name,
                unit: &feature.unit,
                encoding: feature.encoding,
                low: feature.low,
                high: feature.high,
                mean,
                sd,
                bins,
            });
        }
    }
    inputs
}
