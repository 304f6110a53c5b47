//! The products of a linear layer with weights `[N, K]`, forward and backward.
//!
//! On a CPU they are multiplied by the kernels or by libtorch, whichever was measured to be faster
//! ([`ProductRates`](crate::ProductRates)); elsewhere by libtorch.

use kernels::matmul::{self, Factor, Matrix};
use tch::Tensor;

use crate::backend::Backend;
use crate::parameters::Parameters;
use crate::profile::{Phase, timed};
use crate::tensor_slice::{TensorElement, empty, slice, slice_mut, with_float};

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
        Backend::Kernels => with_float!(dy, T => multiply::<T>(matrix(dy), matrix(weight), None)),
        Backend::Libtorch => dy.mm(weight),
    })
}

/// `dy^T x`: `[R, N]` and `[R, K]` to `[N, K]`, into `to`.
pub(crate) fn weight_gradient(dy: &Tensor, x: &Tensor, to: &Tensor, parameters: &Parameters) {
    timed(Phase::Gemm, || match multiplier(x, parameters) {
        Backend::Kernels => with_float!(x, T => {
            let mut to = to.shallow_clone();
            matmul::multiply::<T>(matrix(dy).transposed(), matrix(x), None, slice_mut(&mut to));
        }),
        Backend::Libtorch => drop(dy.tr().mm_out(to, x)),
    });
}

/// [`linear`] by the kernels.
pub(crate) fn linear_with_kernels(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    with_float!(x, T => multiply::<T>(matrix(x), matrix(weight).transposed(), Some(slice(bias))))
}

fn multiplier(x: &Tensor, parameters: &Parameters) -> Backend {
    // The head of a bf16 model computes in fp32, on a row for each sentence: its rate was not measured.
    if x.kind() == parameters.compute_kind() { parameters.multiplier() } else { Backend::Libtorch }
}

/// A contiguous tensor of two dimensions.
fn matrix<T: TensorElement + Factor>(tensor: &Tensor) -> Matrix<'_, T> {
    let (rows, columns) = tensor.size2().expect("a matrix");
    Matrix::new(slice(tensor), rows as usize, columns as usize)
}

fn multiply<T: TensorElement + Factor>(a: Matrix<T>, b: Matrix<T>, bias: Option<&[T]>) -> Tensor {
    let mut c = empty::<T>(&[a.rows() as i64, b.columns() as i64]);
    matmul::multiply(a, b, bias, slice_mut(&mut c));
    c
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::test_tensors::normal;

    #[test]
    fn both_libraries_give_the_same_products() {
        for (kind, tolerance) in [(Kind::Float, 2e-6), (Kind::BFloat16, 8e-3)] {
            let mut parameters = Parameters::new(Vec::new(), Device::Cpu, Backend::Kernels, kind, |_| unreachable!());
            let of = |sizes: &[i64], seed| normal(sizes, seed).to_kind(kind);
            let (x, w, b, dy) = (of(&[37, 70], 1), of(&[90, 70], 2), of(&[90], 3), of(&[37, 90], 4));
            let mut products = |backend| {
                parameters.set_multiplier(backend);
                assert_eq!(parameters.multiplier(), backend);
                let dw = w.zeros_like();
                weight_gradient(&dy, &x, &dw, &parameters);
                [linear(&x, &w, &b, &parameters), input_gradient(&dy, &w, &parameters), dw]
            };
            let (ours, theirs) = (products(Backend::Kernels), products(Backend::Libtorch));
            for (name, (ours, theirs)) in ["y", "dx", "dW"].iter().zip(ours.iter().zip(&theirs)) {
                let theirs = theirs.to_kind(Kind::Float);
                let worst = f64::try_from((ours - &theirs).abs().max() / theirs.abs().max()).unwrap();
                assert!(worst < tolerance, "{kind:?}, {name}: {worst:e} of the largest");
            }
        }
    }
}
