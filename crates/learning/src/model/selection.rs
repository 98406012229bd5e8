//! Which weights are trained.

use std::borrow::Cow;
use std::ops::Range;

use protocol::study::Trained;

use super::ModelError;
use super::parameter::Parameter;

/// The places of the trained weights in the flat vector of all.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// In order, apart from each other.
    ranges: Vec<Range<usize>>,
    length: usize,
}

impl Selection {
    /// The blocks that a study trains.
    ///
    /// # Errors
    ///
    /// A name that is no block's and begins none.
    pub(super) fn new(blocks: &[Parameter], trained: &Trained) -> Result<Self, ModelError> {
        let all = [String::new()];
        let names = match trained {
            Trained::All => &all[..],
            Trained::Blocks(names) => names,
        };
        check_names(blocks, names)?;
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for block in blocks {
            if !is_named(names, block) {
                continue;
            }
            match ranges.last_mut() {
                Some(last) if last.end == block.range.start => last.end = block.range.end,
                _ => ranges.push(block.range.clone()),
            }
        }
        let length = ranges.iter().map(Range::len).sum();
        Ok(Self { ranges, length })
    }

    /// Trained weights.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Whether a weight before this place is trained.
    pub(super) fn begins_before(&self, place: usize) -> bool {
        self.ranges.first().is_some_and(|range| range.start < place)
    }

    /// The place among the trained weights of the one at `place` among all; `None` where it is not trained.
    pub(super) fn place(&self, place: usize) -> Option<usize> {
        let mut before = 0;
        for range in &self.ranges {
            if range.contains(&place) {
                return Some(before + place - range.start);
            }
            before += range.len();
        }
        None
    }

    /// The trained ones of all weights' values, in order.
    pub(super) fn of<'a>(&self, values: &'a [f32]) -> Cow<'a, [f32]> {
        match &self.ranges[..] {
            [range] => Cow::Borrowed(&values[range.clone()]),
            ranges => Cow::Owned(
                ranges
                    .iter()
                    .flat_map(|range| &values[range.clone()])
                    .copied()
                    .collect(),
            ),
        }
    }

    /// The trained ones of all weights' values, in order, to change.
    pub(super) fn of_mut<'a>(&'a self, values: &'a mut [f32]) -> impl Iterator<Item = &'a mut f32> {
        let mut rest = values;
        let mut start = 0;
        self.ranges.iter().flat_map(move |range| {
            let (_, after) = std::mem::take(&mut rest).split_at_mut(range.start - start);
            let (chosen, after) = after.split_at_mut(range.len());
            rest = after;
            start = range.end;
            chosen
        })
    }
}

/// Refuses a name that is no block's and begins none.
pub(super) fn check_names(blocks: &[Parameter], names: &[String]) -> Result<(), ModelError> {
    let is_idle = |name: &&String| !blocks.iter().any(|block| stands_for(name, &block.name));
    match names.iter().find(is_idle) {
        Some(name) => Err(ModelError::Block { name: name.clone() }),
        None => Ok(()),
    }
}

/// Whether one of the names is the block's, or begins it.
pub(super) fn is_named(names: &[String], block: &Parameter) -> bool {
    names.iter().any(|name| stands_for(name, &block.name))
}

/// Whether `name` is the block's, or begins it; the empty name begins all.
fn stands_for(name: &str, block: &str) -> bool {
    block
        .strip_prefix(name)
        .is_some_and(|rest| name.is_empty() || rest.is_empty() || rest.starts_with('.'))
}
