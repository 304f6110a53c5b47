use super::*;
use crate::element::Bf16;
use crate::isa::testing::{assert_that_the_choice_reaches, with_each_isa};
use crate::math::testing::phi;
use crate::parallel::testing::assert_independent_of_threads;

const ALL: [ActivationFunction; 5] = [
    ActivationFunction::Gelu,
    ActivationFunction::GeluTanh,
    ActivationFunction::Relu,
    ActivationFunction::Silu,
    ActivationFunction::Tanh,
];

/// Value and derivative in fp64, by the definition.
fn reference(activation: ActivationFunction, x: f64) -> (f64, f64) {
    let tanh_and_derivative = |x: f64| (x.tanh(), 1.0 - x.tanh().powi(2));
    match activation {
        ActivationFunction::Gelu => {
            let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            (x * phi(x), phi(x) + x * density)
        }
        ActivationFunction::GeluTanh => {
            let root = (2.0 / std::f64::consts::PI).sqrt();
            let (t, derivative) = tanh_and_derivative(root * (x + 0.044_715 * x.powi(3)));
            let inner_derivative = root * (1.0 + 3.0 * 0.044_715 * x * x);
            (x / 2.0 * (1.0 + t), (1.0 + t) / 2.0 + x / 2.0 * derivative * inner_derivative)
        }
        ActivationFunction::Relu => (x.max(0.0), if x > 0.0 { 1.0 } else { 0.0 }),
        ActivationFunction::Silu => {
            let sigmoid = 1.0 / (1.0 + (-x).exp());
            (x * sigmoid, sigmoid * (1.0 + x * (1.0 - sigmoid)))
        }
        ActivationFunction::Tanh => tanh_and_derivative(x),
    }
}

/// Values of both signs and more than two jobs of them, the last one not full; 0 is among them.
fn inputs<T: Element>() -> Vec<T> {
    let count = 2 * VALUES_PER_JOB as i32 + 77;
    (-count / 2..count - count / 2).map(|i| T::from_f32(i as f32 / 1370.0)).collect()
}

/// The results of both directions, with 2 as the gradient of `y`: values, gradients, and values again.
fn results<T: Element>(activation: ActivationFunction, x: &[T]) -> [Vec<f32>; 3] {
    let (mut y, mut dx, mut again) =
        (vec![T::default(); x.len()], vec![T::from_f32(2.0); x.len()], vec![T::default(); x.len()]);
    forward(activation, x, &mut y);
    backward(activation, x, &mut dx, &mut again);
    [y, dx, again].map(|list| list.iter().map(|x| x.to_f32()).collect())
}

fn check<T: Element>(activation: ActivationFunction, tolerance: f64) {
    let x = inputs::<T>();
    with_each_isa(|isa| {
        let [y, dx, again] = results(activation, &x);
        assert_eq!(y, again, "{activation:?}, {isa:?}: the backward pass recomputes the forward pass");
        for (i, x) in x.iter().enumerate() {
            let x = f64::from(x.to_f32());
            let (value, derivative) = reference(activation, x);
            for (what, ours, expected) in [("value", y[i], value), ("gradient", dx[i], 2.0 * derivative)] {
                let difference = (f64::from(ours) - expected).abs();
                let allowed = tolerance * expected.abs().max(1.0);
                assert!(difference <= allowed, "{activation:?}, {isa:?}: {what} at {x}: {ours} {expected}");
            }
        }
        assert_independent_of_threads("activation", || results(activation, &x));
    });
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    for activation in ALL {
        check::<f32>(activation, 3e-6);
        check::<Bf16>(activation, 4.5e-3);
    }
}

#[test]
fn both_directions_run_on_the_chosen_instruction_set() {
    let x = inputs::<f32>();
    for activation in ALL.into_iter().filter(|activation| *activation != ActivationFunction::Relu) {
        assert_that_the_choice_reaches("activation forward", || results(activation, &x)[0].clone());
        assert_that_the_choice_reaches("activation backward", || results(activation, &x)[1].clone());
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
fn bf16_is_fp32_rounded_once() {
    for activation in ALL {
        let rounded = inputs::<Bf16>();
        let exact: Vec<f32> = rounded.iter().map(|x| x.to_f32()).collect();
        let (ours, reference) = (results(activation, &rounded), results(activation, &exact));
        let rounds_to = |ours: &f32, reference: &f32| *ours == Bf16::from_f32(*reference).to_f32();
        for (ours, reference) in ours.iter().zip(&reference) {
            assert!(ours.iter().zip(reference).all(|(a, b)| rounds_to(a, b)), "{activation:?}");
        }
    }
}
