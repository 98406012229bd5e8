//! Where each value of a patient stands.

use protocol::study::Cohort;

/// The order of a patient's values: modalities in the study's order; a series row by row, one row a bin, the oldest
/// first; a static modality as a single row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    blocks: Vec<Block>,
    len: usize,
}

/// The values of one modality: `[bins, features]`, row-major, from `offset` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The modality's first slot.
    pub offset: usize,
    /// Time bins, the oldest first; 1 for a static modality.
    pub bins: usize,
    /// Features.
    pub features: usize,
}

impl Slots {
    /// The slots of a study.
    #[must_use]
    pub fn of(cohort: &Cohort) -> Self {
        let mut blocks = Vec::with_capacity(cohort.modalities.len());
        let mut len = 0;
        for modality in &cohort.modalities {
            let block = Block {
                offset: len,
                bins: cohort.bins(modality.shape),
                features: modality.features.len(),
            };
            len += block.len();
            blocks.push(block);
        }
        Self { blocks, len }
    }

    /// One block a modality, in the study's order.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Values of one patient.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether a patient has no value at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// For each feature of the study in order: its slots, the oldest bin first.
    pub(crate) fn of_features(&self) -> impl Iterator<Item = impl Iterator<Item = usize> + Clone> {
        self.blocks.iter().flat_map(|block| {
            (0..block.features).map(move |feature| {
                (0..block.bins).map(move |bin| block.offset + bin * block.features + feature)
            })
        })
    }
}

impl Block {
    /// Values in the block.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a block of a checked study is never empty"
    )]
    pub fn len(&self) -> usize {
        self.bins * self.features
    }
}
