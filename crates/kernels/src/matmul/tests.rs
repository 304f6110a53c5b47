//! Each instruction set and format against the definition in fp64, at sizes around those of tiles, panels, blocks and jobs.

use super::*;
use crate::activation;
use crate::element::Bf16;
use crate::isa::testing::with_each_isa;
use crate::parallel::testing::assert_independent_of_threads;

/// Values between -1 and 1, in a fixed order.
fn values<T: Factor>(len: usize, seed: usize) -> Vec<T> {
    let value = |i: usize| {
        let bits = (i + seed * 1_000_003).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        T::from_f32((bits >> 40) as f32 / 8_388_608.0 - 1.0)
    };
    (0..len).map(value).collect()
}

fn in_fp32<T: Factor>(values: &[T]) -> Vec<f32> {
    values.iter().map(|value| value.to_f32()).collect()
}

/// The largest error of rounding a result to the format, as a share of it.
fn rounding<T: Factor>() -> f64 {
    if T::PER_WORD == 2 { f64::from(2.0_f32.powi(-8)) } else { 0.0 }
}

/// All four layouts, with and without a bias, against the definition; each gives the same bits, which are returned.
fn product<T: Factor>(rows: usize, inner: usize, columns: usize) -> Vec<f32> {
    let (a, b, bias) = (values::<T>(rows * inner, 1), values::<T>(inner * columns, 2), values::<T>(columns, 3));
    let transposed = |values: &[T], rows: usize, columns: usize| -> Vec<T> {
        (0..columns * rows).map(|i| values[i % rows * columns + i / rows]).collect()
    };
    let (a_t, b_t) = (transposed(&a, rows, inner), transposed(&b, inner, columns));
    let lefts = [Matrix::new(&a, rows, inner), Matrix::new(&a_t, inner, rows).transposed()];
    let rights = [Matrix::new(&b, inner, columns), Matrix::new(&b_t, columns, inner).transposed()];
    let mut results = Vec::new();
    for left in lefts {
        for right in rights {
            for bias in [None, Some(bias.as_slice())] {
                let mut c = vec![T::from_f32(f32::NAN); rows * columns];
                multiply(left, right, bias, &mut c);
                results.push(in_fp32(&c));
            }
        }
    }
    let (a, b, bias) = (in_fp32(&a), in_fp32(&b), in_fp32(&bias));
    for (index, c) in results.iter().enumerate() {
        assert!(*c == results[index % 2], "layout {index}");
        for row in 0..rows {
            for column in 0..columns {
                let terms = (0..inner).map(|k| f64::from(a[row * inner + k]) * f64::from(b[k * columns + column]));
                let start = if index % 2 == 1 { f64::from(bias[column]) } else { 0.0 };
                let (sum, size) = terms.fold((start, start.abs()), |(sum, size), term| (sum + term, size + term.abs()));
                let found = f64::from(c[row * columns + column]);
                let tolerance = 3e-6 * (size + 1.0) + rounding::<T>() * sum.abs();
                assert!((found - sum).abs() <= tolerance, "{row}, {column}: {found}, expected {sum}");
            }
        }
    }
    results.swap_remove(1)
}

#[test]
fn products_match_the_definition_with_each_instruction_set() {
    for (rows, inner, columns) in [
        (1, 1, 1),
        (1, 16, 32),
        (5, 3, 7),
        (6, 17, 65),
        (13, 31, 130),
        (24, 513, 16),
        (61, 40, 31),
        (7, 1030, 5),
        (0, 4, 4),
        (4, 0, 4),
        (4, 4, 0),
    ] {
        with_each_isa(|_| {
            product::<f32>(rows, inner, columns);
            product::<Bf16>(rows, inner, columns);
        });
    }
}

/// Packed matrices side by side, with an activation function, against [`multiply`] and the function.
fn packed<T: Factor + std::fmt::Debug + PartialEq>() {
    let (rows, inner, widths) = (29, 530, [33, 5, 64]);
    let columns = widths.iter().sum();
    let (x, w, bias) = (values::<T>(rows * inner, 1), values::<T>(columns * inner, 2), values::<T>(columns, 3));
    let matrix = |rows: usize, start: usize| Matrix::new(&w[start * inner..][..rows * inner], rows, inner).transposed();
    let mut start = 0;
    let packed = widths.map(|width| {
        start += width;
        PackedMatrix::new(matrix(width, start - width))
    });
    let mut products = vec![T::default(); rows * columns];
    multiply(Matrix::new(&x, rows, inner), matrix(columns, 0), Some(&bias), &mut products);
    for function in [None, Some(ActivationFunction::Relu), Some(ActivationFunction::Gelu)] {
        let (mut found, mut expected) = (vec![T::default(); rows * columns], products.clone());
        linear(&x, &packed, &bias, function, &mut found);
        if let Some(function) = function {
            activation::forward(function, &products, &mut expected);
        }
        for (found, expected) in found.iter().zip(&expected) {
            // Vectors round otherwise than the single values at the end of a row.
            let (found, expected) = (f64::from(found.to_f32()), f64::from(expected.to_f32()));
            let tolerance = if function.is_none() { 0.0 } else { (rounding::<T>() + 1e-6) * expected.abs() + 1e-6 };
            assert!((found - expected).abs() <= tolerance, "{function:?}: {found}, expected {expected}");
        }
    }
}

#[test]
fn packed_matrices_side_by_side_give_the_same_with_the_activation() {
    with_each_isa(|_| {
        packed::<f32>();
        packed::<Bf16>();
    });
}

#[test]
fn a_row_has_the_same_bits_alone_and_in_a_batch() {
    fn check<T: Factor>() {
        let (rows, inner, columns) = (29, 700, 50);
        let (a, b) = (values::<T>(rows * inner, 1), values::<T>(inner * columns, 2));
        let (mut all, mut one) = (vec![T::default(); rows * columns], vec![T::default(); columns]);
        let b = Matrix::new(&b, inner, columns);
        multiply(Matrix::new(&a, rows, inner), b, None, &mut all);
        for (a, expected) in a.chunks(inner).zip(all.chunks(columns)) {
            multiply(Matrix::new(a, 1, inner), b, None, &mut one);
            assert_eq!(in_fp32(&one), in_fp32(expected));
        }
    }
    check::<f32>();
    check::<Bf16>();
}

#[test]
fn the_number_of_threads_and_in_fp32_the_width_of_vectors_change_no_bit() {
    let results = || {
        let isas = Isa::available().into_iter().filter(|isa| *isa != Isa::BASELINE);
        let products: Vec<Vec<f32>> = isas.map(|isa| isa.run(|| product::<f32>(50, 530, 300))).collect();
        assert!(products.iter().all(|product| *product == products[0]), "instruction sets differ");
        (products, product::<Bf16>(50, 530, 300))
    };
    assert_independent_of_threads("matmul", results);
}

#[test]
fn values_that_are_not_finite_stay_in_their_row() {
    let (a, b) = ([f32::NAN, 1.0, 1.0, f32::INFINITY, 1.0, 1.0], [1.0; 4]);
    let mut c = [0.0; 6];
    multiply(Matrix::new(&a, 3, 2), Matrix::new(&b, 2, 2), None, &mut c);
    assert!(c[0].is_nan() && c[1].is_nan() && c[2..] == [f32::INFINITY, f32::INFINITY, 2.0, 2.0], "{c:?}");
}

#[test]
#[should_panic(expected = "the sum's length")]
fn sizes_must_fit() {
    multiply(Matrix::new(&[0.0; 6], 2, 3), Matrix::new(&[0.0; 4], 2, 2), None, &mut [0.0; 4]);
}
