//! What computes tensors.

use burn_tensor::Device;

/// What computes tensors; the linear models need none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// burn's own kernels for processors: what the module runs.
    #[default]
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
    pub(super) fn device(self) -> Device {
        match self {
            Self::Flex => Device::flex(),
            #[cfg(feature = "ndarray")]
            Self::NdArray => Device::ndarray(),
        }
    }
}
