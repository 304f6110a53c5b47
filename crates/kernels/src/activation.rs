//! Activations of the feed-forward layer.

use crate::element::Element;
use crate::isa::{Isa, Supported, fma};
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
    let isa = Isa::selected();
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
    let isa = Isa::selected();
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
fn forward_inline<T: Element, const ISA: u8>(job: ActivationForward<T>, _: Supported<ISA>) {
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
fn backward_inline<T: Element, const ISA: u8>(job: ActivationBackward<T>, _: Supported<ISA>) {
    let ActivationBackward { activation, x, gradient, y } = job;
    match activation {
        ActivationFunction::Gelu => map_elements_backward(x, gradient, y, gelu::<ISA>),
        ActivationFunction::GeluTanh => map_elements_backward(x, gradient, y, gelu_tanh::<ISA>),
        ActivationFunction::Relu => map_elements_backward(x, gradient, y, relu),
        ActivationFunction::Silu => map_elements_backward(x, gradient, y, silu::<ISA>),
        ActivationFunction::Tanh => map_elements_backward(x, gradient, y, tanh_and_derivative::<ISA>),
    }
}

multiversion!(/// Replaces each value by that of the function, on this thread.
    pub(crate) fn apply((ActivationFunction, &mut [f32])) = apply_inline);

#[inline(always)]
fn apply_inline<const ISA: u8>((activation, values): (ActivationFunction, &mut [f32]), _: Supported<ISA>) {
    match activation {
        ActivationFunction::Gelu => replace_elements(values, |x| gelu::<ISA>(x).0),
        ActivationFunction::GeluTanh => replace_elements(values, |x| gelu_tanh::<ISA>(x).0),
        ActivationFunction::Relu => replace_elements(values, |x| relu(x).0),
        ActivationFunction::Silu => replace_elements(values, |x| silu::<ISA>(x).0),
        ActivationFunction::Tanh => replace_elements(values, |x| tanh_and_derivative::<ISA>(x).0),
    }
}

#[inline(always)]
fn replace_elements(values: &mut [f32], f: impl Fn(f32) -> f32) {
    for value in values {
        *value = f(*value);
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
mod tests;
