//! The activation of the feed-forward layer, by a kernel or by libtorch.

use kernels::activation as kernel;
use tch::Tensor;

use crate::backend::Backend;
use crate::config::Activation;
use crate::profile::{Phase, timed};
use crate::tensor_slice::{empty, slice, slice_mut, with_float};

impl Activation {
    pub(crate) fn forward(self, x: &Tensor, backend: Backend) -> Tensor {
        timed(Phase::Activation, || {
            if backend == Backend::Libtorch {
                return self.forward_aten(x);
            }
            with_float!(x, T => {
                let mut y = empty::<T>(&x.size());
                kernel::forward::<T>(self.kernel(), slice(x), slice_mut(&mut y));
                y
            })
        })
    }

    /// The gradient of the input `x`, in the memory of `dy`, the gradient of the output; and the recomputed output.
    pub(crate) fn backward(self, mut dy: Tensor, x: &Tensor, backend: Backend) -> (Tensor, Tensor) {
        timed(Phase::Activation, || {
            if backend == Backend::Libtorch {
                return (self.backward_aten(&dy, x), self.forward_aten(x));
            }
            with_float!(x, T => {
                let mut y = empty::<T>(&x.size());
                kernel::backward::<T>(self.kernel(), slice(x), slice_mut(&mut dy), slice_mut(&mut y));
                (dy, y)
            })
        })
    }

    pub(crate) fn forward_aten(self, x: &Tensor) -> Tensor {
        match self {
            Activation::Gelu => x.gelu("none"),
            Activation::GeluNew => x.gelu("tanh"),
            Activation::Relu => x.relu(),
            Activation::Silu => x.silu(),
            Activation::Tanh => x.tanh(),
        }
    }

    pub(crate) fn backward_aten(self, dy: &Tensor, x: &Tensor) -> Tensor {
        match self {
            Activation::Gelu => x.gelu_backward(dy, "none"),
            Activation::GeluNew => x.gelu_backward(dy, "tanh"),
            Activation::Relu => x.threshold_backward(dy, 0),
            Activation::Silu => x.silu_backward(dy),
            Activation::Tanh => Tensor::tanh_backward(dy, &x.tanh()),
        }
    }

    pub(crate) fn kernel(self) -> kernel::ActivationFunction {
        match self {
            Activation::Gelu => kernel::ActivationFunction::Gelu,
            Activation::GeluNew => kernel::ActivationFunction::GeluTanh,
            Activation::Relu => kernel::ActivationFunction::Relu,
            Activation::Silu => kernel::ActivationFunction::Silu,
            Activation::Tanh => kernel::ActivationFunction::Tanh,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_tensors::normal;
    use tch::Kind;

    #[test]
    fn the_kernels_agree_with_aten() {
        for activation in [Activation::Gelu, Activation::GeluNew, Activation::Relu, Activation::Silu, Activation::Tanh]
        {
            let (x, dy) = (normal(&[37, 100], 1) * 2.0, normal(&[37, 100], 2) * 2.0);
            // In fp64, so that any error is the kernel's.
            let (exact, exact_dy) = (x.to_kind(Kind::Double), dy.to_kind(Kind::Double));
            let (reference, dx) = (activation.forward_aten(&exact), activation.backward_aten(&exact_dy, &exact));
            let close = |what: &str, ours: &Tensor, reference: &Tensor| {
                let worst = f64::try_from((ours - reference).abs().max()).expect("a number");
                assert!(worst < 4e-6, "{activation:?}, {what}: {worst:e}");
            };
            close("forward", &activation.forward(&x, Backend::Kernels), &reference);
            let (ours, y) = activation.backward(dy, &x, Backend::Kernels);
            close("forward again", &y, &reference);
            close("backward", &ours, &dx);
        }
    }
}
