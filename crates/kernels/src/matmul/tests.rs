//! Each instruction set against the definition in fp64, at sizes around those of tiles, panels, blocks and jobs.

use super::*;
use crate::isa::testing::with_each_isa;
use crate::parallel::testing::assert_independent_of_threads;

/// Values between -1 and 1, in a fixed order.
fn values(len: usize, seed: usize) -> Vec<f32> {
    let value = |i: usize| {
        let bits = (i + seed * 1_000_003).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (bits >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..len).map(value).collect()
}

/// `[rows, columns]` from the values of a matrix that may be a transpose.
fn at(matrix: Matrix, row: usize, column: usize) -> f64 {
    let index = if matrix.row_major { row * matrix.columns + column } else { column * matrix.rows + row };
    f64::from(matrix.values[index])
}

/// All four layouts, with and without a bias; every result is the same bits, which are returned.
fn product(rows: usize, inner: usize, columns: usize) -> Vec<f32> {
    let (a, b, bias) = (values(rows * inner, 1), values(inner * columns, 2), values(columns, 3));
    let transposed = |values: &[f32], rows: usize, columns: usize| -> Vec<f32> {
        (0..columns * rows).map(|i| values[i % rows * columns + i / rows]).collect()
    };
    let (a_t, b_t) = (transposed(&a, rows, inner), transposed(&b, inner, columns));
    let a = [Matrix::new(&a, rows, inner), Matrix::new(&a_t, inner, rows).transposed()];
    let b = [Matrix::new(&b, inner, columns), Matrix::new(&b_t, columns, inner).transposed()];
    let mut results = Vec::new();
    for a in a {
        for b in b {
            for bias in [None, Some(bias.as_slice())] {
                let mut c = vec![f32::NAN; rows * columns];
                multiply(a, b, bias, &mut c);
                results.push(c);
            }
        }
    }
    for (index, c) in results.iter().enumerate() {
        assert!(*c == results[index % 2], "layout {index}");
        for row in 0..rows {
            for column in 0..columns {
                let terms = (0..inner).map(|k| at(a[0], row, k) * at(b[0], k, column));
                let start = if index % 2 == 1 { f64::from(bias[column]) } else { 0.0 };
                let (sum, size) = terms.fold((start, start.abs()), |(sum, size), term| (sum + term, size + term.abs()));
                let found = f64::from(c[row * columns + column]);
                assert!((found - sum).abs() <= 3e-6 * (size + 1.0), "{row}, {column}: {found}, expected {sum}");
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
        (12, 17, 33),
        (13, 31, 130),
        (24, 513, 16),
        (60, 40, 31),
        (0, 4, 4),
        (4, 0, 4),
        (4, 4, 0),
    ] {
        with_each_isa(|_| _ = product(rows, inner, columns));
    }
}

#[test]
fn packed_matrices_side_by_side_give_the_same_bits_with_the_activation() {
    let (rows, inner, widths) = (29, 530, [33, 5, 64]);
    let columns = widths.iter().sum();
    let (x, w, bias) = (values(rows * inner, 1), values(columns * inner, 2), values(columns, 3));
    let matrix = |rows: usize, start: usize| Matrix::new(&w[start * inner..][..rows * inner], rows, inner).transposed();
    with_each_isa(|isa| {
        let mut start = 0;
        let packed = widths.map(|width| {
            start += width;
            PackedMatrix::new(matrix(width, start - width))
        });
        let mut expected = vec![f32::NAN; rows * columns];
        multiply(Matrix::new(&x, rows, inner), matrix(columns, 0), Some(&bias), &mut expected);
        for activation in [None, Some(ActivationFunction::Relu), Some(ActivationFunction::Gelu)] {
            let mut found = vec![f32::NAN; rows * columns];
            linear(&x, &packed, &bias, activation, &mut found);
            let mut expected = expected.clone();
            if let Some(activation) = activation {
                expected.chunks_mut(columns).for_each(|row| {
                    let mut start = 0;
                    for width in widths {
                        // Panel after panel, as vectors round otherwise than single values.
                        row[start..start + width].chunks_mut(TileShape::of(isa).columns()).for_each(|part| {
                            apply((activation, part), isa);
                        });
                        start += width;
                    }
                });
            }
            assert_eq!(found, expected, "{activation:?}");
        }
    });
}

#[test]
fn a_row_has_the_same_bits_alone_and_in_a_batch() {
    let (rows, inner, columns) = (29, 700, 50);
    let (a, b) = (values(rows * inner, 1), values(inner * columns, 2));
    let (mut all, mut one) = (vec![0.0; rows * columns], vec![0.0; columns]);
    let b = Matrix::new(&b, inner, columns);
    multiply(Matrix::new(&a, rows, inner), b, None, &mut all);
    for (a, expected) in a.chunks(inner).zip(all.chunks(columns)) {
        multiply(Matrix::new(a, 1, inner), b, None, &mut one);
        assert_eq!(one, expected);
    }
}

#[test]
fn the_number_of_threads_and_the_width_of_vectors_change_no_bit() {
    let results = || {
        let isas = Isa::available().into_iter().filter(|isa| *isa != Isa::BASELINE);
        let products: Vec<Vec<f32>> = isas.map(|isa| isa.run(|| product(50, 530, 300))).collect();
        assert!(products.iter().all(|product| *product == products[0]), "instruction sets differ");
        products
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
