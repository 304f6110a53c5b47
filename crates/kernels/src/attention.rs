//! Multi-head attention over packed sentences, `softmax(Q K^T / sqrt(H)) V` per head (Vaswani et al. 2017).
//!
//! Sentences are stored one after another without padding, and each job is one head of one sentence: its matrices fit
//! into the cache. Scores and probabilities exist for a block of queries at a time and are never stored; the backward
//! pass recomputes them from the log-sum-exp of each softmax, as Dao et al. (2022) do for long sequences.

mod job;
#[cfg(test)]
mod tests;

use crate::dropout::Mask;
use crate::element::Element;
use crate::isa::Isa;
use crate::parallel::{self, SharedSlice};

use job::{AttentionBackward, AttentionForward, run_backward, run_forward};

/// Vectors of all heads, row by row: element `h` of head `n` in row `r` at `r * stride + offset + n * H + h`.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a, T> {
    /// The memory that contains them, possibly with others in between.
    pub data: &'a [T],
    /// Distance from one row to the next.
    pub stride: usize,
    /// Offset of the first head in a row.
    pub offset: usize,
}

/// Queries, keys and values.
#[derive(Debug, Clone, Copy)]
pub struct Projections<'a, T> {
    /// `[Rq, N, H]`.
    pub query: Vectors<'a, T>,
    /// `[R, N, H]`.
    pub key: Vectors<'a, T>,
    /// `[R, N, H]`.
    pub value: Vectors<'a, T>,
}

/// Which rows form a sentence, and how they are divided into heads.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape<'a> {
    /// `cu_seqlens` of the queries: sentence `b` has the query rows `cu_seqlens_q[b]..cu_seqlens_q[b + 1]`.
    pub cu_seqlens_q: &'a [usize],
    /// `cu_seqlens` of keys and values: sentence `b` has the rows `cu_seqlens_k[b]..cu_seqlens_k[b + 1]`.
    pub cu_seqlens_k: &'a [usize],
    /// `N`.
    pub heads: usize,
    /// `H`.
    pub head_size: usize,
}

impl AttentionShape<'_> {
    fn width(&self) -> usize {
        self.heads * self.head_size
    }

    fn check<T: Element>(&self, projections: &Projections<T>) {
        let rows = |cu_seqlens: &[usize]| {
            assert!(
                cu_seqlens.first() == Some(&0) && cu_seqlens.is_sorted(),
                "{cu_seqlens:?} does not divide the rows into sentences"
            );
            cu_seqlens[cu_seqlens.len() - 1]
        };
        let (queries, keys) = (rows(self.cu_seqlens_q), rows(self.cu_seqlens_k));
        assert!(self.cu_seqlens_q.len() == self.cu_seqlens_k.len() && self.heads > 0 && self.head_size > 0);
        for (vectors, rows) in [(projections.query, queries), (projections.key, keys), (projections.value, keys)] {
            self.check_vectors(vectors.data.len(), (vectors.stride, vectors.offset), rows);
        }
    }

    fn check_vectors(&self, len: usize, (stride, offset): (usize, usize), rows: usize) {
        assert!(
            stride >= offset + self.width(),
            "expected rows of at least {} values from {offset} on, found {stride}",
            self.width()
        );
        assert!(
            rows == 0 || len >= (rows - 1) * stride + offset + self.width(),
            "{len} values are fewer than {rows} rows"
        );
    }

    fn query_rows(&self) -> usize {
        self.cu_seqlens_q[self.cu_seqlens_q.len() - 1]
    }

    /// By job index: a head of a sentence, with the first row and the number of rows of its queries and keys.
    fn heads_of_sentences(&self) -> impl Fn(usize) -> SentenceHead + Sync {
        |index| {
            let (sentence, head) = (index / self.heads, index % self.heads);
            let rows = |cu_seqlens: &[usize]| (cu_seqlens[sentence], cu_seqlens[sentence + 1] - cu_seqlens[sentence]);
            SentenceHead { head, queries: rows(self.cu_seqlens_q), keys: rows(self.cu_seqlens_k) }
        }
    }

    fn job_count(&self) -> usize {
        (self.cu_seqlens_q.len() - 1) * self.heads
    }
}

/// One head of one sentence.
#[derive(Debug, Clone, Copy)]
struct SentenceHead {
    head: usize,
    /// First row and number of rows.
    queries: (usize, usize),
    keys: (usize, usize),
}

/// Writes `context`, `[Rq, N * H]`, and, where [`backward`] will need it, `log_sums`, `[Rq, N]`: the log-sum-exp of
/// each softmax. `mask` drops out probabilities; its row is `query row * N + head`, its column the key within the
/// sentence.
///
/// # Panics
/// If a slice is too short, or `cu_seqlens` does not divide the rows into sentences.
pub fn forward<T: Element>(
    projections: Projections<T>,
    shape: AttentionShape,
    mask: Option<Mask>,
    context: &mut [T],
    log_sums: Option<&mut [f32]>,
) {
    shape.check(&projections);
    assert_eq!(context.len(), shape.query_rows() * shape.width());
    assert!(log_sums.as_ref().is_none_or(|sums| sums.len() == shape.query_rows() * shape.heads));
    let isa = Isa::selected();
    let (context, log_sums) = (SharedSlice::new(context), log_sums.map(SharedSlice::new));
    let sentence_heads = shape.heads_of_sentences();
    parallel::for_each_index(shape.job_count(), |index| {
        let sentence_head = sentence_heads(index);
        run_forward(
            AttentionForward {
                projections,
                shape,
                sentence_head,
                mask,
                context: &context,
                log_sums: log_sums.as_ref(),
            },
            isa,
        );
    });
}

/// Vectors of all heads to be written, laid out as in [`Vectors`].
#[derive(Debug)]
pub struct VectorsMut<'a, T> {
    /// The memory that contains them, possibly with others in between.
    pub data: &'a mut [T],
    /// Distance from one row to the next.
    pub stride: usize,
    /// Offsets of the first heads of the gradients that are written here: query, key and value, or a part of these.
    pub offsets: &'a [usize],
}

/// What [`backward`] writes: the gradients of queries, keys and values, in one slice or in two.
#[derive(Debug)]
pub enum AttentionGradients<'a, T> {
    /// All three in one slice; three offsets.
    Fused(VectorsMut<'a, T>),
    /// Queries by themselves (one offset), then keys and values (two offsets).
    Separate(VectorsMut<'a, T>, VectorsMut<'a, T>),
}

/// The gradients of queries, keys and values from `dcontext`, `[Rq, N * H]`.
///
/// # Panics
/// As [`forward`].
pub fn backward<T: Element>(
    projections: Projections<T>,
    shape: AttentionShape,
    mask: Option<Mask>,
    log_sums: &[f32],
    dcontext: &[T],
    gradients: AttentionGradients<T>,
) {
    shape.check(&projections);
    assert_eq!(dcontext.len(), shape.query_rows() * shape.width());
    assert_eq!(log_sums.len(), shape.query_rows() * shape.heads);
    let (query_rows, key_rows) = (shape.query_rows(), shape.cu_seqlens_k[shape.cu_seqlens_k.len() - 1]);
    let check = |vectors: &VectorsMut<T>, offsets: usize, rows| {
        assert_eq!(vectors.offsets.len(), offsets);
        let disjoint = vectors.offsets.windows(2).all(|pair| pair[0] + shape.width() <= pair[1]);
        assert!(disjoint, "gradients at {:?} overlap", vectors.offsets);
        for offset in vectors.offsets {
            shape.check_vectors(vectors.data.len(), (vectors.stride, *offset), rows);
        }
    };
    let fused;
    let (first, second);
    let (query, key, value) = match gradients {
        AttentionGradients::Fused(vectors) => {
            check(&vectors, 3, query_rows.max(key_rows));
            fused = SharedSlice::new(vectors.data);
            let part = |index: usize| (&fused, vectors.stride, vectors.offsets[index]);
            (part(0), part(1), part(2))
        }
        AttentionGradients::Separate(queries, others) => {
            check(&queries, 1, query_rows);
            check(&others, 2, key_rows);
            (first, second) = (SharedSlice::new(queries.data), SharedSlice::new(others.data));
            let part = |index: usize| (&second, others.stride, others.offsets[index]);
            ((&first, queries.stride, queries.offsets[0]), part(0), part(1))
        }
    };
    let isa = Isa::selected();
    let sentence_heads = shape.heads_of_sentences();
    parallel::for_each_index(shape.job_count(), |index| {
        let sentence_head = sentence_heads(index);
        run_backward(
            AttentionBackward { projections, shape, sentence_head, mask, log_sums, dcontext, query, key, value },
            isa,
        );
    });
}
