//! Each instruction set against the definition in fp64, at sizes around those of tiles, panels and jobs.

use std::slice::from_ref;

use super::*;
use crate::activation::ActivationFunction;
use crate::isa::testing::with_each_isa;
use crate::parallel::testing::assert_independent_of_threads;

/// Values of changing magnitude, in a fixed order.
fn values(len: usize, seed: usize) -> Vec<f32> {
    let value = |i: usize| {
        let bits = (i + seed * 1_000_003).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((bits >> 40) as f32 / 8_388_608.0 - 1.0) * (1.0 + (i % 7) as f32)
    };
    (0..len).map(value).collect()
}

/// A row's whole numbers and scale, by the definition.
fn quantized(row: &[f32]) -> (Vec<f64>, f64) {
    let largest = row.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let factor = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    (row.iter().map(|x| f64::from((x * factor).round_ties_even())).collect(), f64::from(largest) / 127.0)
}

fn identity(x: f64) -> f64 {
    x
}

/// Compares with the definition, and returns the bits.
fn check(rows: usize, inputs: usize, outputs: &[usize], activation: Option<ActivationFunction>) -> Vec<u32> {
    let exact: fn(f64) -> f64 = match activation {
        None => identity,
        Some(ActivationFunction::Relu) => |x| x.max(0.0),
        Some(ActivationFunction::Tanh) => f64::tanh,
        Some(other) => panic!("no definition of {other:?} here"),
    };
    let width: usize = outputs.iter().sum();
    let (x, w, bias) = (values(rows * inputs, 1), values(width * inputs, 2), values(width, 3));
    let mut start = 0;
    let weights: Vec<_> = outputs
        .iter()
        .map(|&outputs| {
            start += outputs;
            QuantizedWeights::new(&w[(start - outputs) * inputs..start * inputs], outputs, inputs)
        })
        .collect();
    let mut y = vec![f32::NAN; rows * width];
    linear(&x, &weights, &bias, activation, &mut y);
    let w: Vec<_> = w.chunks(inputs).map(quantized).collect();
    for (row, y) in y.chunks(width).enumerate() {
        let (a, scale) = quantized(&x[row * inputs..][..inputs]);
        for (column, y) in y.iter().enumerate() {
            let (w, weight_scale) = &w[column];
            let sum: f64 = a.iter().zip(w).map(|(a, w)| a * w).sum();
            let product = sum * scale * weight_scale;
            let expected = exact(product + f64::from(bias[column]));
            let tolerance = 3e-7 * (product.abs() + f64::from(bias[column].abs()) + 1.0);
            assert!((f64::from(*y) - expected).abs() <= tolerance, "{row}, {column}: {y}, expected {expected}");
        }
    }
    y.iter().map(|y| y.to_bits()).collect()
}

#[test]
fn every_size_matches_the_definition_with_each_instruction_set() {
    for rows in [0, 1, 2, 5, 6, 7, 13, 47, 48, 49, 100] {
        for (inputs, outputs) in
            [(1, vec![1]), (4, vec![64]), (7, vec![65]), (32, vec![32, 32, 32]), (130, vec![3, 200])]
        {
            let mut first = None;
            with_each_isa(|_| {
                let bits = check(rows, inputs, &outputs, None);
                check(rows, inputs, &outputs, Some(ActivationFunction::Relu));
                // The cell is shared by the calls of a closure that can't be `FnMut`.
                let _ = &bits;
            });
            first.get_or_insert_with(|| check(rows, inputs, &outputs, Some(ActivationFunction::Tanh)));
        }
    }
}

#[test]
fn every_instruction_set_and_number_of_threads_gives_the_same_bits() {
    let results = || check(101, 100, &[96, 33], None);
    let expected = Isa::BASELINE.run(results);
    with_each_isa(|isa| assert!(results() == expected, "{}", isa.name()));
    assert_independent_of_threads("linear with int8 weights", results);
}

/// The extremes of all factors: sums that reach 127 * 127 * inputs.
#[test]
fn sums_do_not_overflow() {
    let inputs = 4096;
    for sign in [1.0, -1.0] {
        let (x, w) = (vec![sign; inputs], vec![-1.0; inputs]);
        let weights = QuantizedWeights::new(&w, 1, inputs);
        with_each_isa(|isa| {
            let mut y = [0.0];
            linear(&x, from_ref(&weights), &[0.0], None, &mut y);
            assert_eq!(y, [-sign * inputs as f32], "{}", isa.name());
        });
    }
}

#[test]
fn a_row_does_not_depend_on_the_others() {
    let (inputs, outputs) = (50, 70);
    let weights = QuantizedWeights::new(&values(inputs * outputs, 2), outputs, inputs);
    let (x, bias) = (values(61 * inputs, 1), values(outputs, 3));
    let run = |x: &[f32]| {
        let mut y = vec![0.0; x.len() / inputs * outputs];
        linear(x, from_ref(&weights), &bias, None, &mut y);
        y
    };
    let all = run(&x);
    for row in [0, 7, 60] {
        assert_eq!(run(&x[row * inputs..][..inputs]), all[row * outputs..][..outputs], "{row}");
    }
}

#[test]
fn what_is_not_finite_is_not_hidden() {
    let (inputs, outputs) = (33, 3);
    let bias = [0.5; 3];
    let run = |x: &[f32], w: &[f32]| {
        let mut y = vec![0.0; x.len() / inputs * outputs];
        linear(x, &[QuantizedWeights::new(w, outputs, inputs)], &bias, None, &mut y);
        y
    };
    let (x, w) = (values(2 * inputs, 1), values(inputs * outputs, 2));
    with_each_isa(|isa| {
        for (at, value) in [(3, f32::NAN), (32, f32::INFINITY), (20, f32::NEG_INFINITY)] {
            let (mut bad_x, mut bad_w) = (x.clone(), w.clone());
            bad_x[at] = value;
            bad_w[at] = value;
            let (y, of_weights) = (run(&bad_x, &w), run(&x, &bad_w));
            assert!(y[..outputs].iter().all(|y| y.is_nan()), "{}, {value}: {y:?}", isa.name());
            assert!(y[outputs..].iter().all(|y| y.is_finite()), "{}, {value}: {y:?}", isa.name());
            let nan: Vec<bool> = of_weights.iter().map(|y| y.is_nan()).collect();
            assert_eq!(nan, [true, false, false, true, false, false], "{}, {value}", isa.name());
        }
        // A row of zeros, and one whose factor would overflow.
        assert_eq!(run(&vec![0.0; inputs], &w), bias, "{}", isa.name());
        let tiny = run(&vec![1e-45; inputs], &w);
        assert_eq!(tiny, bias, "{}", isa.name());
    });
}

#[test]
fn values_at_the_middle_round_to_even_and_the_largest_fits() {
    let mut to = [1_i8; 8];
    let mut scale = 0.0;
    for isa in Isa::available() {
        quantize(
            Quantization { from: &[127.0, -127.0, 0.5, 1.5, 2.5, -0.5, -1.5], to: &mut to, scale: &mut scale },
            isa,
        );
        assert_eq!((to, scale), ([127, -127, 0, 2, 2, 0, -2, 0], 1.0), "{}", isa.name());
    }
}
