use super::*;
use crate::dropout::mix64;
use crate::element::Bf16;

fn random(seed: u64, len: usize) -> Vec<f32> {
    let of = |i: usize| (mix64(seed * 1_000_003 + i as u64) >> 40) as f32 / (1 << 22) as f32 - 2.0;
    (0..len).map(|i| Bf16::from_f32(of(i)).to_f32()).collect()
}

/// `context` and the gradients of query, key and value, by the definition, in fp64.
fn reference(
    [query, key, value, dcontext]: [&[f32]; 4],
    shape: AttentionShape,
    mask: Option<Mask>,
) -> (Vec<f64>, [Vec<f64>; 3]) {
    let width = shape.width();
    let scale = 1.0 / (shape.head_size as f64).sqrt();
    let mut context = vec![0.0; query.len()];
    let mut gradients = [vec![0.0; query.len()], vec![0.0; key.len()], vec![0.0; key.len()]];
    for sentence in 0..shape.cu_seqlens_q.len() - 1 {
        let keys: Vec<usize> = (shape.cu_seqlens_k[sentence]..shape.cu_seqlens_k[sentence + 1]).collect();
        for row in shape.cu_seqlens_q[sentence]..shape.cu_seqlens_q[sentence + 1] {
            for head in 0..shape.heads {
                let at = |row: usize, h: usize| row * width + head * shape.head_size + h;
                let dot = |a: &[f32], i: usize, b: &[f32], j: usize| {
                    (0..shape.head_size).map(|h| f64::from(a[at(i, h)]) * f64::from(b[at(j, h)])).sum::<f64>()
                };
                let e: Vec<f64> = keys.iter().map(|&j| (dot(query, row, key, j) * scale).exp()).collect();
                let sum: f64 = e.iter().sum();
                let mut factors = vec![1.0; keys.len()];
                if let Some(mask) = mask {
                    mask.row((row * shape.heads + head) as u64, &mut factors);
                }
                let p: Vec<f64> = e.iter().map(|e| e / sum).collect();
                let dp: Vec<f64> =
                    keys.iter().zip(&factors).map(|(&j, f)| dot(dcontext, row, value, j) * f64::from(*f)).collect();
                let total: f64 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
                for (k, &j) in keys.iter().enumerate() {
                    let (dropped, dscore) = (p[k] * f64::from(factors[k]), p[k] * (dp[k] - total) * scale);
                    for h in 0..shape.head_size {
                        context[at(row, h)] += dropped * f64::from(value[at(j, h)]);
                        gradients[0][at(row, h)] += dscore * f64::from(key[at(j, h)]);
                        gradients[1][at(j, h)] += dscore * f64::from(query[at(row, h)]);
                        gradients[2][at(j, h)] += dropped * f64::from(dcontext[at(row, h)]);
                    }
                }
            }
        }
    }
    (context, gradients)
}

fn assert_close(what: &str, ours: &[f32], reference: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), reference.len());
    let scale = reference.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
    for (ours, reference) in ours.iter().zip(reference) {
        let difference = (f64::from(*ours) - reference).abs();
        assert!(difference <= tolerance * scale, "{what}: {difference:e} of {scale}");
    }
}

fn cu_seqlens(lengths: &[usize]) -> Vec<usize> {
    let mut cu_seqlens = vec![0];
    lengths.iter().for_each(|length| cu_seqlens.push(cu_seqlens[cu_seqlens.len() - 1] + length));
    cu_seqlens
}

/// Rows of several matrices side by side.
fn concat_columns<V: Copy>(parts: &[&Vec<V>], rows: usize, width: usize) -> Vec<V> {
    let mut all = Vec::new();
    for row in 0..rows {
        parts.iter().for_each(|part| all.extend_from_slice(&part[row * width..][..width]));
    }
    all
}

/// Compares forward and backward pass on `T` with the reference, with queries, keys and values in one slice where every
/// row is a query, and separate otherwise.
fn check<T: Element>(
    lengths: &[usize],
    query_length: Option<usize>,
    (heads, head_size): (usize, usize),
    tolerance: f64,
) {
    let query_lengths: Vec<usize> = lengths.iter().map(|&length| query_length.unwrap_or(length)).collect();
    let (queries, keys) = (cu_seqlens(&query_lengths), cu_seqlens(lengths));
    let shape = AttentionShape { cu_seqlens_q: &queries, cu_seqlens_k: &keys, heads, head_size };
    let width = shape.width();
    let (query_rows, rows) = (queries[queries.len() - 1], keys[keys.len() - 1]);
    let [query, key, value] = [(1, query_rows), (2, rows), (3, rows)].map(|(seed, rows)| random(seed, rows * width));
    let dcontext = random(4, query_rows * width);
    let cast = |values: &[f32]| values.iter().map(|&x| T::from_f32(x)).collect::<Vec<T>>();
    let back = |values: &[T]| values.iter().map(|x| x.to_f32()).collect::<Vec<f32>>();
    for mask in [None, Mask::new(11, 0.25)] {
        let expected = reference([&query, &key, &value, &dcontext], shape, mask);
        let fused = query_length.is_none();
        let first = cast(&if fused { concat_columns(&[&query, &key, &value], rows, width) } else { query.clone() });
        let second = cast(&concat_columns(&[&key, &value], rows, width));
        let projections = if fused {
            let part = |index| Vectors { data: &first[..], stride: 3 * width, offset: index * width };
            Projections { query: part(0), key: part(1), value: part(2) }
        } else {
            let part = |index| Vectors { data: &second[..], stride: 2 * width, offset: index * width };
            Projections { query: Vectors { data: &first[..], stride: width, offset: 0 }, key: part(0), value: part(1) }
        };
        let (mut context, mut log_sums) = (vec![T::default(); query_rows * width], vec![0.0; query_rows * heads]);
        forward(projections, shape, mask, &mut context, Some(&mut log_sums));
        assert_close("context", &back(&context), &expected.0, tolerance);
        let (mut dfirst, mut dsecond) = (vec![T::default(); first.len()], vec![T::default(); second.len()]);
        let gradients = if fused {
            AttentionGradients::Fused(VectorsMut {
                data: &mut dfirst,
                stride: 3 * width,
                offsets: &[0, width, 2 * width],
            })
        } else {
            AttentionGradients::Separate(
                VectorsMut { data: &mut dfirst, stride: width, offsets: &[0] },
                VectorsMut { data: &mut dsecond, stride: 2 * width, offsets: &[0, width] },
            )
        };
        backward(projections, shape, mask, &log_sums, &cast(&dcontext), gradients);
        let [dquery, dkey, dvalue] = &expected.1;
        if fused {
            assert_close(
                "all gradients",
                &back(&dfirst),
                &concat_columns(&[dquery, dkey, dvalue], rows, width),
                tolerance,
            );
        } else {
            assert_close("query's gradient", &back(&dfirst), dquery, tolerance);
            assert_close("other gradients", &back(&dsecond), &concat_columns(&[dkey, dvalue], rows, width), tolerance);
        }
    }
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    for heads in [(1, 1), (3, 8), (2, 32), (2, 64), (1, 20)] {
        for lengths in [&[1][..], &[5, 1, 17], &[16, 32], &[33, 70]] {
            check::<f32>(lengths, None, heads, 2e-6);
            check::<f32>(lengths, Some(1), heads, 2e-6);
            check::<Bf16>(lengths, None, heads, 1e-2);
            check::<Bf16>(lengths, Some(1), heads, 1e-2);
        }
    }
}

#[test]
fn large_scores_do_not_overflow() {
    let keys = [0, 2];
    let shape = AttentionShape { cu_seqlens_q: &keys, cu_seqlens_k: &keys, heads: 1, head_size: 1 };
    let data = [1e4_f32, -1e4];
    let vectors = Vectors { data: &data[..], stride: 1, offset: 0 };
    let mut context = [0.0; 2];
    forward(Projections { query: vectors, key: vectors, value: vectors }, shape, None, &mut context, None);
    assert_eq!(context, [1e4, -1e4]);
}

#[test]
#[should_panic(expected = "values are fewer than")]
fn short_slices_panic() {
    let keys = [0, 2];
    let shape = AttentionShape { cu_seqlens_q: &keys, cu_seqlens_k: &keys, heads: 1, head_size: 2 };
    let vectors = Vectors { data: &[0f32; 3][..], stride: 2, offset: 0 };
    forward(Projections { query: vectors, key: vectors, value: vectors }, shape, None, &mut [0.0; 4], None);
}
