//! What computes a Transformer.

use burn_tensor::Device;

/// What computes a Transformer; the linear models need none.
///
/// All compute the same function, but round differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// This crate's own loops, one patient at a time: what the module runs.
    #[default]
    Fused,
    /// burn's tensors, on its own kernels for processors: what the loops are compared with.
    Flex,
    /// The `ndarray` crate's, which burn means to give up: a second opinion for tests.
    #[cfg(feature = "ndarray")]
    NdArray,
}

impl Backend {
    #[cfg_attr(
        feature = "ndarray",
        expect(deprecated, reason = "the second opinion while burn still has it")
    )]
    /// Where burn computes, if it does.
    pub(super) fn device(self) -> Option<Device> {
        match self {
            Self::Fused => None,
            Self::Flex => Some(Device::flex()),
            #[cfg(feature = "ndarray")]
            Self::NdArray => Some(Device::ndarray()),
        }
    }
}
