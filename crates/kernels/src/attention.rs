//! Multi-head attention over packed sentences, `softmax(Q K^T / sqrt(H)) V` a head (Vaswani et al. 2017).
//!
//! Sentences lie one after another without padding, and each job is one head of one sentence: its matrices fit into the
//! cache. Scores and probabilities exist for a block of queries at a time and are never stored; the backward pass makes
//! them again from the logarithm of each softmax's sum, as Dao et al. (2022) do for long sequences.

mod job;
#[cfg(test)]
mod tests;

use crate::dropout::Mask;
use crate::element::Element;
use crate::isa::Isa;
use crate::parallel::{self, Shared};

use job::{AttentionBackward, AttentionForward, run_backward, run_forward};

/// Vectors of all heads, row by row: element `h` of head `n` in row `r` at `r * stride + offset + n * H + h`.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a, T> {
    /// Where they lie, perhaps among others.
    pub data: &'a [T],
    /// From one row to the next.
    pub stride: usize,
    /// Of the first head in a row.
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

/// Which rows belong together, and how they divide into heads.
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
        let rows = |limits: &[usize]| {
            assert!(limits.first() == Some(&0) && limits.is_sorted(), "{limits:?} does not cut rows into sentences");
            limits[limits.len() - 1]
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

    /// Each head of each sentence: its number, and first row and number of rows of queries and keys.
    fn heads_of_sentences(&self) -> impl Fn(usize) -> SentenceHead + Sync {
        |index| {
            let (sentence, head) = (index / self.heads, index % self.heads);
            let rows = |limits: &[usize]| (limits[sentence], limits[sentence + 1] - limits[sentence]);
            SentenceHead { head, queries: rows(self.cu_seqlens_q), keys: rows(self.cu_seqlens_k) }
        }
    }

    fn jobs(&self) -> usize {
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

/// Writes `context`, `[Rq, N * H]`, and, where [`backward`] will need it, `log_sums`, `[Rq, N]`: the logarithm of each
/// softmax's sum. `mask` drops out probabilities; its row is `query row * N + head`, its column the key within the sentence.
///
/// # Panics
/// If a slice is too short, or the rows aren't cut into sentences.
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
    let isa = Isa::best();
    let (context, log_sums) = (Shared::new(context), log_sums.map(Shared::new));
    let sentence_head = shape.heads_of_sentences();
    parallel::for_each_index(shape.jobs(), |index| {
        let at = sentence_head(index);
        run_forward(
            AttentionForward { projections, shape, at, mask, context: &context, log_sums: log_sums.as_ref() },
            isa,
        );
    });
}

/// Vectors of all heads to be written, as [`Vectors`].
#[derive(Debug)]
pub struct VectorsMut<'a, T> {
    /// Where they lie, perhaps among others.
    pub data: &'a mut [T],
    /// From one row to the next.
    pub stride: usize,
    /// Offsets of the first heads of what is written here: of the query's gradients, or the key's and the value's.
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
        let parts = vectors.offsets.windows(2).all(|pair| pair[0] + shape.width() <= pair[1]);
        assert!(parts, "gradients at {:?} overlap", vectors.offsets);
        for offset in vectors.offsets {
            shape.check_vectors(vectors.data.len(), (vectors.stride, *offset), rows);
        }
    };
    let joint;
    let (first, second);
    let (query, key, value) = match gradients {
        AttentionGradients::Fused(vectors) => {
            check(&vectors, 3, query_rows.max(key_rows));
            joint = Shared::new(vectors.data);
            let part = |index: usize| (&joint, vectors.stride, vectors.offsets[index]);
            (part(0), part(1), part(2))
        }
        AttentionGradients::Separate(queries, others) => {
            check(&queries, 1, query_rows);
            check(&others, 2, key_rows);
            (first, second) = (Shared::new(queries.data), Shared::new(others.data));
            let part = |index: usize| (&second, others.stride, others.offsets[index]);
            ((&first, queries.stride, queries.offsets[0]), part(0), part(1))
        }
    };
    let isa = Isa::best();
    let sentence_head = shape.heads_of_sentences();
    parallel::for_each_index(shape.jobs(), |index| {
        let at = sentence_head(index);
        run_backward(AttentionBackward { projections, shape, at, mask, log_sums, dcontext, query, key, value }, isa);
    });
}
