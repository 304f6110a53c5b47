//! The products of a linear layer with weights `[N, K]`, forward and backward.
//!
//! Products in fp32 on a CPU are multiplied by the kernels or by libtorch, whichever was measured to be faster
//! ([`ProductRates`](crate::ProductRates)); all others by libtorch.

use kernels::matmul::{self, Matrix};
use tch::{Kind, Tensor};

use crate::backend::Backend;
use crate::parameters::Parameters;
use crate::profile::{Phase, timed};
use crate::tensor_slice::{empty, slice, slice_mut};

/// `x W^T + b`: `[R, K]` to `[R, N]`.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor, parameters: &Parameters) -> Tensor {
    timed(Phase::Gemm, || match multiplier(x, parameters) {
        Backend::Kernels => linear_with_kernels(x, weight, bias),
        Backend::Libtorch => x.linear(weight, Some(bias)),
    })
}

/// `dy W`: `[R, N]` to `[R, K]`.
pub(crate) fn input_gradient(dy: &Tensor, weight: &Tensor, parameters: &Parameters) -> Tensor {
    timed(Phase::Gemm, || match multiplier(dy, parameters) {
        Backend::Kernels => multiply(matrix(dy), matrix(weight), None),
        Backend::Libtorch => dy.mm(weight),
    })
}

/// `dy^T x`: `[R, N]` and `[R, K]` to `[N, K]`.
pub(crate) fn weight_gradient(dy: &Tensor, x: &Tensor, parameters: &Parameters) -> Tensor {
    timed(Phase::Gemm, || match multiplier(x, parameters) {
        Backend::Kernels => multiply(matrix(dy).transposed(), matrix(x), None),
        Backend::Libtorch => dy.tr().mm(x),
    })
}

/// [`linear`] by the kernels, in fp32.
pub(crate) fn linear_with_kernels(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    multiply(matrix(x), matrix(weight).transposed(), Some(slice(bias)))
}

fn multiplier(x: &Tensor, parameters: &Parameters) -> Backend {
    if x.kind() == Kind::Float { parameters.fp32_products() } else { Backend::Libtorch }
}

/// A contiguous fp32 tensor of two dimensions.
fn matrix(tensor: &Tensor) -> Matrix<'_> {
    let (rows, columns) = tensor.size2().expect("a matrix");
    Matrix::new(slice(tensor), rows as usize, columns as usize)
}

fn multiply(a: Matrix, b: Matrix, bias: Option<&[f32]>) -> Tensor {
    let mut c = empty::<f32>(&[a.rows() as i64, b.columns() as i64]);
    matmul::multiply(a, b, bias, slice_mut(&mut c));
    c
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::test_tensors::normal;

    #[test]
    fn both_libraries_give_the_same_products() {
        let mut parameters =
            Parameters::new(Vec::new(), Device::Cpu, Backend::Kernels, Kind::Float, |_| unreachable!());
        let (x, w, b) = (normal(&[37, 70], 1), normal(&[90, 70], 2), normal(&[90], 3));
        let dy = normal(&[37, 90], 4);
        let mut products = |backend| {
            parameters.set_fp32_products(backend);
            assert_eq!(parameters.fp32_products(), backend);
            let parameters = &parameters;
            [linear(&x, &w, &b, parameters), input_gradient(&dy, &w, parameters), weight_gradient(&dy, &x, parameters)]
        };
        let (ours, theirs) = (products(Backend::Kernels), products(Backend::Libtorch));
        for (name, (ours, theirs)) in ["y", "dx", "dW"].iter().zip(ours.iter().zip(&theirs)) {
            let worst = f64::try_from((ours - theirs).abs().max()).unwrap();
            assert!(worst < 2e-5, "{name}: {worst:e}");
        }
    }
}
