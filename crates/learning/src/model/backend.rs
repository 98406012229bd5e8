//! What computes tensors.

use burn_tensor::Device;

/// What computes tensors; the linear models need none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// burn's own kernels for processors: what the module runs.
    #[default]
    Flex,
    /// The `ndarray` crate's.
    #[cfg(feature = "ndarray")]
    NdArray,
}

impl Backend {
    pub(super) fn device(self) -> Device {
        match self {
            Self::Flex => Device::flex(),
            #[cfg(feature = "ndarray")]
            Self::NdArray => Device::ndarray(),
        }
    }
}
