//! What makes a model one that can be trained.

use super::{StudyError, require, unique};
use crate::study::{Architecture, Model, Trained};

pub(super) fn check(model: &Model) -> Result<(), StudyError> {
    require(
        (1..=16_777_216).contains(&model.parameters),
        "model.parameters",
        || format!("{} is not from 1 to 16777216", model.parameters),
    )?;
    if let Trained::Blocks(names) = &model.trained {
        require(!names.is_empty(), "model.trained.blocks", || {
            "is empty: name at least one block, as \"head\"".to_owned()
        })?;
        unique(names.iter(), "model.trained.blocks")?;
    }
    match model.architecture {
        Architecture::Linear { .. } => Ok(()),
        Architecture::Mlp { hidden, .. } => require(
            (1..=4_096).contains(&hidden),
            "model.architecture.mlp.hidden",
            || format!("{hidden} is not from 1 to 4096"),
        ),
        Architecture::Transformer {
            width,
            heads,
            layers,
            feed_forward,
            ..
        } => check_transformer(width, heads, layers, feed_forward),
    }
}

fn check_transformer(
    width: u32,
    heads: u32,
    layers: u32,
    feed_forward: u32,
) -> Result<(), StudyError> {
    let fits = (1..=1_024).contains(&width) && heads > 0 && width.is_multiple_of(heads);
    require(fits, "model.architecture.transformer", || {
        format!("{heads} heads do not divide a width of {width} (1 to 1024)")
    })?;
    require(
        (1..=16).contains(&layers),
        "model.architecture.transformer.layers",
        || format!("{layers} is not from 1 to 16"),
    )?;
    require(
        (1..=4_096).contains(&feed_forward),
        "model.architecture.transformer.feed-forward",
        || format!("{feed_forward} is not from 1 to 4096"),
    )
}
