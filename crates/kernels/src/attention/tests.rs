use super::*;
use crate::dropout::mix64;
use crate::element::Bf16;
use crate::isa::testing::{assert_that_the_choice_reaches, with_each_isa};
use crate::parallel::testing::assert_independent_of_threads;

/// What [`Case::results`] returns, in order; the last is empty where all gradients are in one slice.
const NAMES: [&str; 3] = ["context", "gradients of queries, or of all", "gradients of keys and values"];

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

/// Attention over some sentences, with queries, keys and values in one slice where every row is a query, and separate
/// otherwise.
struct Case {
    /// `cu_seqlens` of queries and of keys.
    queries: Vec<usize>,
    keys: Vec<usize>,
    heads: usize,
    head_size: usize,
    fused: bool,
    mask: Option<Mask>,
    /// `[Rq, D]`, `[R, D]`, `[R, D]`, `[Rq, D]`
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    dcontext: Vec<f32>,
}

impl Case {
    fn new(
        lengths: &[usize],
        query_length: Option<usize>,
        (heads, head_size): (usize, usize),
        mask: Option<Mask>,
    ) -> Self {
        let query_lengths: Vec<usize> = lengths.iter().map(|&length| query_length.unwrap_or(length)).collect();
        let (queries, keys) = (cu_seqlens(&query_lengths), cu_seqlens(lengths));
        let values = |seed, cu_seqlens: &[usize]| random(seed, cu_seqlens[cu_seqlens.len() - 1] * heads * head_size);
        let [query, key, value] = [(1, &queries), (2, &keys), (3, &keys)].map(|(seed, rows)| values(seed, rows));
        let dcontext = values(4, &queries);
        Self { queries, keys, heads, head_size, fused: query_length.is_none(), mask, query, key, value, dcontext }
    }

    fn shape(&self) -> AttentionShape<'_> {
        let Self { queries, keys, heads, head_size, .. } = self;
        AttentionShape { cu_seqlens_q: queries, cu_seqlens_k: keys, heads: *heads, head_size: *head_size }
    }

    /// `context`, with the forward pass on `of_forward`, and the gradients as they are stored: in one slice, or of the
    /// queries and of keys and values.
    fn results<T: Element>(&self, of_forward: Isa) -> [Vec<f32>; 3] {
        let (shape, width, rows) = (self.shape(), self.shape().width(), self.keys[self.keys.len() - 1]);
        let cast = |values: &[f32]| values.iter().map(|&x| T::from_f32(x)).collect::<Vec<T>>();
        let Self { query, key, value, .. } = self;
        let first = cast(&if self.fused { concat_columns(&[query, key, value], rows, width) } else { query.clone() });
        let second = cast(&concat_columns(&[key, value], rows, width));
        let projections = if self.fused {
            let part = |index| Vectors { data: &first[..], stride: 3 * width, offset: index * width };
            Projections { query: part(0), key: part(1), value: part(2) }
        } else {
            let part = |index| Vectors { data: &second[..], stride: 2 * width, offset: index * width };
            Projections { query: Vectors { data: &first[..], stride: width, offset: 0 }, key: part(0), value: part(1) }
        };
        let mut context = vec![T::default(); query.len()];
        let mut log_sums = vec![0.0; query.len() / self.head_size];
        of_forward.run(|| forward(projections, shape, self.mask, &mut context, Some(&mut log_sums)));
        let (mut dfirst, mut dsecond) = (vec![T::default(); first.len()], vec![T::default(); second.len()]);
        let gradients = if self.fused {
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
        backward(projections, shape, self.mask, &log_sums, &cast(&self.dcontext), gradients);
        if self.fused {
            dsecond.clear();
        }
        [context, dfirst, dsecond].map(|values| values.iter().map(|x| x.to_f32()).collect())
    }

    /// Compares both passes on `T` with the reference, on each instruction set and with several numbers of threads.
    fn check<T: Element>(&self, tolerance: f64) {
        let (width, rows) = (self.shape().width(), self.keys[self.keys.len() - 1]);
        let inputs = [&self.query[..], &self.key, &self.value, &self.dcontext];
        let (context, [dquery, dkey, dvalue]) = reference(inputs, self.shape(), self.mask);
        let (dfirst, dsecond) = if self.fused {
            (concat_columns(&[&dquery, &dkey, &dvalue], rows, width), vec![])
        } else {
            (dquery, concat_columns(&[&dkey, &dvalue], rows, width))
        };
        with_each_isa(|isa| {
            let ours = self.results::<T>(isa);
            for ((what, ours), expected) in NAMES.iter().zip(&ours).zip([&context, &dfirst, &dsecond]) {
                assert_close(&format!("{what}, {isa:?}"), ours, expected, tolerance);
            }
            assert_independent_of_threads("attention", || self.results::<T>(isa));
        });
    }
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    for heads in [(1, 1), (3, 8), (2, 32), (2, 64), (1, 20)] {
        for lengths in [&[1][..], &[5, 1, 17], &[16, 32], &[33, 70]] {
            for query_length in [None, Some(1)] {
                for mask in [None, Mask::new(11, 0.25)] {
                    let case = Case::new(lengths, query_length, heads, mask);
                    case.check::<f32>(2e-6);
                    case.check::<Bf16>(1e-2);
                }
            }
        }
    }
}

#[test]
fn both_directions_run_on_the_chosen_instruction_set() {
    let case = Case::new(&[33, 70], None, (2, 32), Mask::new(11, 0.25));
    assert_that_the_choice_reaches("context", || case.results::<f32>(Isa::selected())[0].clone());
    assert_that_the_choice_reaches("gradients", || case.results::<f32>(Isa::BASELINE)[1].clone());
}

#[test]
fn large_scores_do_not_overflow() {
    let keys = [0, 2];
    let shape = AttentionShape { cu_seqlens_q: &keys, cu_seqlens_k: &keys, heads: 1, head_size: 1 };
    let data = [1e4_f32, -1e4];
    let vectors = Vectors { data: &data[..], stride: 1, offset: 0 };
    with_each_isa(|isa| {
        let mut context = [0.0; 2];
        forward(Projections { query: vectors, key: vectors, value: vectors }, shape, None, &mut context, None);
        assert_eq!(context, [1e4, -1e4], "{isa:?}");
    });
}

#[test]
#[should_panic(expected = "values are fewer than")]
fn short_slices_panic() {
    let keys = [0, 2];
    let shape = AttentionShape { cu_seqlens_q: &keys, cu_seqlens_k: &keys, heads: 1, head_size: 2 };
    let vectors = Vectors { data: &[0f32; 3][..], stride: 2, offset: 0 };
    forward(Projections { query: vectors, key: vectors, value: vectors }, shape, None, &mut [0.0; 4], None);
}
