//! GELU (Hendrycks & Gimpel 2016), exact.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use burn_tensor::Tensor;

/// What the backward pass needs.
pub(super) struct GeluTape {
    x: Tensor<2>,
    /// Φ(x), the normal distribution function.
    phi: Tensor<2>,
}

/// `x · Φ(x)`, by `erf`: burn's own backward pass is the tanh approximation on some backends.
pub(super) fn forward(x: Tensor<2>) -> (Tensor<2>, GeluTape) {
    let phi = (x.clone() * FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
    let y = phi.clone() * x.clone();
    (y, GeluTape { x, phi })
}

/// The gradient of `x`: `Φ(x) + x · φ(x)` times that of `y`.
pub(super) fn backward(tape: GeluTape, dy: Tensor<2>) -> Tensor<2> {
    let density = (tape.x.clone().square() * -0.5).exp() * (FRAC_2_SQRT_PI * FRAC_1_SQRT_2 / 2.0);
    (density * tape.x + tape.phi) * dy
}
