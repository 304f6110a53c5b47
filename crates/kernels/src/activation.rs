//! Activations of the feed-forward layer.

use crate::element::Element;
use crate::isa::{Isa, fma};
use crate::math::{exp, normal, tanh};
use crate::multiversion;
use crate::parallel;

/// Values that one thread processes at a time.
const VALUES_PER_JOB: usize = 1 << 14;

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationFunction {
    /// `x Phi(x)` (Hendrycks and Gimpel 2016), exact.
    Gelu,
    /// Its approximation `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x sigmoid(x)`.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
}

/// `y = f(x)`, element by element.
///
/// # Panics
/// If the lengths differ.
pub fn forward<T: Element>(activation: ActivationFunction, x: &[T], y: &mut [T]) {
    assert_eq!(x.len(), y.len());
    let isa = Isa::best();
    let chunks = x.chunks(VALUES_PER_JOB).zip(y.chunks_mut(VALUES_PER_JOB));
    parallel::for_each(chunks.map(|(x, y)| ActivationForward { activation, x, y }).collect(), |job| {
        run_forward(job, isa)
    });
}

/// Replaces the gradient of `y` in `dy_to_dx` by the gradient of `x`, and recomputes `y`, so that a backward pass that
/// needs both does not have to keep `y`.
///
/// # Panics
/// If the lengths differ.
pub fn backward<T: Element>(activation: ActivationFunction, x: &[T], dy_to_dx: &mut [T], y: &mut [T]) {
    assert!(x.len() == y.len() && x.len() == dy_to_dx.len());
    let isa = Isa::best();
    let chunks = x.chunks(VALUES_PER_JOB).zip(dy_to_dx.chunks_mut(VALUES_PER_JOB)).zip(y.chunks_mut(VALUES_PER_JOB));
    let jobs = chunks.map(|((x, gradient), y)| ActivationBackward { activation, x, gradient, y }).collect();
    parallel::for_each(jobs, |job| run_backward(job, isa));
}

struct ActivationForward<'a, T> {
    activation: ActivationFunction,
    x: &'a [T],
    y: &'a mut [T],
}

struct ActivationBackward<'a, T> {
    activation: ActivationFunction,
    x: &'a [T],
    gradient: &'a mut [T],
    y: &'a mut [T],
}

multiversion!(fn run_forward<T: Element>(ActivationForward<'_, T>) = forward_inline);
multiversion!(fn run_backward<T: Element>(ActivationBackward<'_, T>) = backward_inline);

// The function is selected outside of the loops, so that each loop is simple enough to be vectorized.
#[inline(always)]
fn forward_inline<T: Element, const ISA: u8>(job: ActivationForward<T>) {
    let ActivationForward { activation, x, y } = job;
    match activation {
        ActivationFunction::Gelu => map_elements(x, y, |x| gelu::<ISA>(x).0),
        ActivationFunction::GeluTanh => map_elements(x, y, |x| gelu_tanh::<ISA>(x).0),
        ActivationFunction::Relu => map_elements(x, y, |x| relu(x).0),
        ActivationFunction::Silu => map_elements(x, y, |x| silu::<ISA>(x).0),
        ActivationFunction::Tanh => map_elements(x, y, |x| tanh_and_derivative::<ISA>(x).0),
    }
}

#[inline(always)]
fn backward_inline<T: Element, const ISA: u8>(job: ActivationBackward<T>) {
    let ActivationBackward { activation, x, gradient, y } = job;
    match activation {
        ActivationFunction::Gelu => map_elements_backward(x, gradient, y, gelu::<ISA>),
        ActivationFunction::GeluTanh => map_elements_backward(x, gradient, y, gelu_tanh::<ISA>),
        ActivationFunction::Relu => map_elements_backward(x, gradient, y, relu),
        ActivationFunction::Silu => map_elements_backward(x, gradient, y, silu::<ISA>),
        ActivationFunction::Tanh => map_elements_backward(x, gradient, y, tanh_and_derivative::<ISA>),
    }
}

#[inline(always)]
fn map_elements<T: Element>(x: &[T], y: &mut [T], f: impl Fn(f32) -> f32) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = T::from_f32(f(x.to_f32()));
    }
}

#[inline(always)]
fn map_elements_backward<T: Element>(x: &[T], gradient: &mut [T], y: &mut [T], f: impl Fn(f32) -> (f32, f32)) {
    for ((gradient, y), x) in gradient.iter_mut().zip(y).zip(x) {
        let (value, derivative) = f(x.to_f32());
        *y = T::from_f32(value);
        *gradient = T::from_f32(gradient.to_f32() * derivative);
    }
}

/// The value and the derivative, as for the functions below.
#[inline(always)]
fn gelu<const ISA: u8>(x: f32) -> (f32, f32) {
    let (cdf, density) = normal::<ISA>(x);
    (x * cdf, fma::<ISA>(x, density, cdf))
}

#[inline(always)]
fn gelu_tanh<const ISA: u8>(x: f32) -> (f32, f32) {
    const ROOT_2_OVER_PI: f32 = 0.797_884_6;
    const CUBIC: f32 = 0.044_715;
    let inner = ROOT_2_OVER_PI * x * fma::<ISA>(CUBIC * x, x, 1.0);
    let inner_derivative = ROOT_2_OVER_PI * fma::<ISA>(3.0 * CUBIC * x, x, 1.0);
    let t = tanh::<ISA>(inner);
    (0.5 * x * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner_derivative)
}

#[inline(always)]
fn relu(x: f32) -> (f32, f32) {
    // Written so that NaN stays NaN.
    if x <= 0.0 { (0.0, 0.0) } else { (x, 1.0) }
}

#[inline(always)]
fn silu<const ISA: u8>(x: f32) -> (f32, f32) {
    let sigmoid = 1.0 / (1.0 + exp::<ISA>(-x));
    (x * sigmoid, sigmoid * (1.0 + x * (1.0 - sigmoid)))
}

#[inline(always)]
fn tanh_and_derivative<const ISA: u8>(x: f32) -> (f32, f32) {
    let t = tanh::<ISA>(x);
    (t, 1.0 - t * t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Bf16;

    const ALL: [ActivationFunction; 5] = [
        ActivationFunction::Gelu,
        ActivationFunction::GeluTanh,
        ActivationFunction::Relu,
        ActivationFunction::Silu,
        ActivationFunction::Tanh,
    ];

    #[test]
    fn derivatives_match_finite_differences() {
        let x: Vec<f32> = (-4000..4000).map(|i| i as f32 / 500.0 + 0.001).collect();
        let value = |activation, shift: f32| {
            let shifted: Vec<f32> = x.iter().map(|x| x + shift).collect();
            let mut y = vec![0.0; x.len()];
            forward(activation, &shifted, &mut y);
            y
        };
        for activation in ALL {
            let (mut dx, mut y) = (vec![2.0; x.len()], vec![0.0; x.len()]);
            backward(activation, &x, &mut dx, &mut y);
            assert_eq!(y, value(activation, 0.0), "{activation:?}");
            let (above, below) = (value(activation, 1e-3), value(activation, -1e-3));
            for i in 0..x.len() {
                let derivative = (above[i] - below[i]) / 2e-3;
                let kink = activation == ActivationFunction::Relu && x[i].abs() <= 1e-3;
                assert!(
                    (dx[i] / 2.0 - derivative).abs() < 2e-3 || kink,
                    "{activation:?} at {}: {} {derivative}",
                    x[i],
                    dx[i]
                );
            }
        }
    }

    #[test]
    fn literal_values() {
        // torch.nn.functional's, in fp64, at -1 and 2.
        for (activation, expected) in [
            (ActivationFunction::Gelu, [-0.158_655_25, 1.954_499_7]),
            (ActivationFunction::GeluTanh, [-0.158_808, 1.954_597_7]),
            (ActivationFunction::Relu, [0.0, 2.0]),
            (ActivationFunction::Silu, [-0.268_941_43, 1.761_594_2]),
            (ActivationFunction::Tanh, [-0.761_594_2, 0.964_027_6]),
        ] {
            let mut y = [0.0; 2];
            forward(activation, &[-1.0, 2.0], &mut y);
            let close = y.iter().zip(expected).all(|(y, expected): (&f32, f32)| (y - expected).abs() < 1e-6);
            assert!(close, "{activation:?}: {y:?}");
        }
    }

    #[test]
    fn instruction_sets_and_formats_agree() {
        let x: Vec<f32> = (-3000..3000).map(|i| i as f32 / 250.0).collect();
        for activation in ALL {
            let of = |isa| {
                let mut y = vec![0.0; x.len()];
                run_forward(ActivationForward { activation, x: &x, y: &mut y }, isa);
                y
            };
            let reference = of(Isa::BASELINE);
            for isa in Isa::available() {
                let close = of(isa).iter().zip(&reference).all(|(a, b)| (a - b).abs() <= 1e-6 * b.abs().max(1.0));
                assert!(close, "{activation:?} on {isa:?}");
            }
            let rounded: Vec<Bf16> = x.iter().map(|&x| Bf16::from_f32(x)).collect();
            let mut y = vec![Bf16::default(); x.len()];
            forward(activation, &rounded, &mut y);
            let exact: Vec<f32> = rounded.iter().map(|x| x.to_f32()).collect();
            let mut reference = vec![0.0; x.len()];
            forward(activation, &exact, &mut reference);
            assert!(y.iter().zip(reference).all(|(y, reference)| *y == Bf16::from_f32(reference)), "{activation:?}");
        }
    }
}
