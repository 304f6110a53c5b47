//! Dropout masks as a pure function of `(seed, step, site, row)`.
//!
//! A generator that runs through a training is a sequential stream whose state would have to be stored to resume a run.
//! Here each site (one place in the model that applies dropout) has a key, from which alone its mask follows. The CPU
//! kernels compute masks from a hash of the key ([`kernels::dropout`]), in the forward and in the backward pass: nothing
//! is stored, and it costs less than a layer norm. With libtorch's operations the same hash would be some twenty of
//! them. There a mask is drawn once, by libtorch's generator, seeded with the key, and kept for the backward pass, one
//! byte per element.
//!
//! The factor `1 / (1 - p)` is applied in fp32 in both, whatever the format of the activations: rounded to bf16, it would
//! be 1.1094 instead of 1.1111 for `p = 0.1`. `native_dropout` rounds it on a CPU; `native_dropout_backward` does not.

use std::cell::Cell;

use kernels::dropout::{Mask, mix64};
use tch::{Device, Kind, Tensor};

use crate::backend::Backend;
use crate::device::device_name;
use crate::error::ModelError;
use crate::generator::draw_with_seed;
use crate::inputs::RowSelection;

/// The source of all masks of one training step.
#[derive(Debug)]
pub struct DropoutStream {
    key: u64,
    first: FirstRows,
    site: Cell<u64>,
}

/// Where a part of a batch begins in the whole batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FirstRows {
    pub token: u64,
    pub sentence: u64,
}

/// One place that applies dropout, in one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DropoutSite {
    key: u64,
    first_row: u64,
    p: f64,
    backend: Backend,
}

/// A mask that was applied to a tensor, for the gradient of that tensor.
#[derive(Debug)]
pub(crate) struct KeptMask {
    /// bool: the elements that were not dropped.
    keep: Tensor,
    /// `1 / (1 - p)`.
    scale: f64,
}

impl DropoutStream {
    /// The stream of one step under a seed.
    pub fn new(seed: u64, step: u64) -> Self {
        Self { key: mix64(mix64(mix64(seed) ^ step)), first: FirstRows::default(), site: Cell::new(0) }
    }

    /// The stream of a part of the step's batch. With the kernels its masks are the rows of the whole batch's masks, so that
    /// several processes drop out the same as one. libtorch's generator draws a tensor at a time; there the masks of parts
    /// only differ from each other.
    #[must_use]
    pub fn of_part(self, first: FirstRows) -> Self {
        Self { first, ..self }
    }

    /// The next site, of a tensor with those rows, where an element becomes 0 with probability `p` and otherwise is multiplied by `1 / (1 - p)`.
    /// `None` for `p = 0`.
    ///
    /// Each call is a new site; the sites follow each other in the fixed order of the forward pass.
    pub(crate) fn site(&self, p: f64, rows: RowSelection, backend: Backend) -> Option<DropoutSite> {
        if p == 0.0 {
            return None;
        }
        let site = self.site.replace(self.site.get() + 1);
        let first_row = match rows {
            RowSelection::All => self.first.token,
            RowSelection::Cls => self.first.sentence,
        };
        Some(DropoutSite { key: mix64(self.key ^ mix64(site)), first_row, p, backend })
    }
}

impl DropoutSite {
    /// The mask for the kernels.
    pub(crate) fn mask(&self) -> Option<Mask> {
        Some(Mask::new(self.key, self.p)?.starting_at(self.first_row))
    }

    /// The same for the kernels of attention, whose masks have a row for each head of each row.
    pub(crate) fn mask_of_heads(&self, heads: i64) -> Option<Mask> {
        Some(Mask::new(self.key, self.p)?.starting_at(self.first_row * heads as u64))
    }

    /// Applies the site's mask to `x`, `[rows, width]` or with libtorch of any shape, by operations of libtorch. Returns
    /// the result, in the format of `x`, and the mask.
    pub(crate) fn apply(&self, x: &Tensor) -> (Tensor, KeptMask) {
        let keep = match self.mask().filter(|_| self.backend == Backend::Kernels) {
            None => {
                let mut keep = Tensor::empty(x.size(), (Kind::Bool, x.device()));
                draw_with_seed(self.key ^ self.first_row, || keep.bernoulli_float_(1.0 - self.p))
            }
            Some(mask) => {
                let [rows, width] = x.size()[..] else { panic!("expected a matrix, found {:?}", x.size()) };
                let factors = mask.to_vec(rows as usize, width as usize);
                Tensor::from_slice(&factors).view([rows, width]).ne(0.0)
            }
        };
        let mask = KeptMask { keep, scale: 1.0 / (1.0 - self.p) };
        (mask.apply(x), mask)
    }
}

impl KeptMask {
    /// Applies the mask to a tensor of the same shape, in its format.
    pub(crate) fn apply(&self, x: &Tensor) -> Tensor {
        Tensor::native_dropout_backward(x, &self.keep, self.scale)
    }
}

/// Applies a site's mask to `x` as [`DropoutSite::apply`]; without a site, `x` is unchanged.
pub(crate) fn apply_site(x: &Tensor, site: Option<DropoutSite>) -> (Tensor, Option<KeptMask>) {
    match site {
        None => (x.shallow_clone(), None),
        Some(site) => {
            let (y, mask) = site.apply(x);
            (y, Some(mask))
        }
    }
}

/// Applies a mask that was kept; without one, `x` is unchanged.
pub(crate) fn apply_mask(x: &Tensor, mask: Option<&KeptMask>) -> Tensor {
    mask.map_or_else(|| x.shallow_clone(), |mask| mask.apply(x))
}

/// Checks what gradients and resuming rely on: that the device's generator draws the same mask again for the same site,
/// and that the factor is not rounded to bf16. Takes some operations on a small tensor.
///
/// # Errors
/// [`ModelError::Dropout`] if one of them is not so.
pub fn check_dropout(device: Device) -> Result<(), ModelError> {
    let Some(site) = DropoutStream::new(1, 1).site(0.1, RowSelection::All, Backend::Libtorch) else { return Ok(()) };
    let failed = |what| Err(ModelError::Dropout { device: device_name(device), what });
    let x = Tensor::arange(64_000, (Kind::Float, device)).view([64, 1000]).to_kind(Kind::BFloat16);
    let ((y, mask), (_, again)) = (site.apply(&x), site.apply(&x));
    if !mask.keep.equal(&again.keep) {
        return failed("drew two different masks for the same seed");
    }
    if !y.equal(&mask.apply(&x.to_kind(Kind::Float)).to_kind(Kind::BFloat16)) {
        return failed("rounded dropout's factor to bf16");
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::inputs::Inputs;
    use crate::test_tensors::normal;

    const BACKENDS: [Backend; 2] = [Backend::Kernels, Backend::Libtorch];

    impl DropoutSite {
        /// The kernels' mask of attention's probabilities, for padded operations: `[B, N, Sq, S]`. Its values for padded
        /// queries or keys are not used.
        pub(crate) fn attention_mask(&self, inputs: &Inputs, rows: RowSelection, heads: i64) -> KeptMask {
            let (batch, max_seqlen) = (inputs.batch_size(), inputs.max_seqlen());
            let queries = if rows == RowSelection::All { max_seqlen } else { 1 };
            let shape = [batch, heads, queries, max_seqlen];
            let (mask, cu_seqlens) = (self.mask_of_heads(heads).expect("p > 0"), inputs.cu_seqlens_of(rows));
            let mut factors = vec![0f32; shape.iter().product::<i64>() as usize];
            for (index, factors) in factors.chunks_exact_mut(max_seqlen as usize).enumerate() {
                let (head, query) = (index as i64 / queries % heads, index as i64 % queries);
                let sentence = index as i64 / queries / heads;
                let row = cu_seqlens[sentence as usize] as i64 + query;
                mask.row((row * heads + head) as u64, factors);
            }
            KeptMask { keep: Tensor::from_slice(&factors).view(shape).ne(0.0), scale: 1.0 / (1.0 - self.p) }
        }
    }

    fn site(seed: u64, step: u64, p: f64, backend: Backend) -> DropoutSite {
        DropoutStream::new(seed, step).site(p, RowSelection::All, backend).expect("p > 0")
    }

    fn dropped(seed: u64, step: u64, kind: Kind, backend: Backend) -> Vec<bool> {
        let (y, _) = site(seed, step, 0.1, backend).apply(&Tensor::ones([1000, 101], (kind, Device::Cpu)));
        Vec::try_from(y.eq(0.0).flatten(0, -1)).expect("bools")
    }

    #[test]
    fn a_pure_function_of_seed_and_step() {
        for backend in BACKENDS {
            let mask = |seed, step, kind| dropped(seed, step, kind, backend);
            assert_eq!(mask(1, 2, Kind::Float), mask(1, 2, Kind::Float));
            assert_eq!(mask(1, 2, Kind::Float), mask(1, 2, Kind::BFloat16));
            assert_ne!(mask(1, 2, Kind::Float), mask(1, 3, Kind::Float));
            assert_ne!(mask(1, 2, Kind::Float), mask(2, 2, Kind::Float));
        }
    }

    #[test]
    fn sites_differ_and_zero_probability_is_no_site() {
        for backend in BACKENDS {
            let stream = DropoutStream::new(1, 1);
            assert!(stream.site(0.0, RowSelection::All, backend).is_none());
            let ones = Tensor::ones([2, 128], (Kind::Float, Device::Cpu));
            let draw = || stream.site(0.5, RowSelection::All, backend).expect("a site").apply(&ones).0;
            assert!(!draw().equal(&draw()));
        }
    }

    #[test]
    fn the_share_of_dropped_elements_is_p() {
        for backend in BACKENDS {
            let count = dropped(1, 1, Kind::Float, backend).iter().filter(|&&dropped| dropped).count() as f64;
            // Five standard deviations of a binomial.
            assert!((count - 10_100.0).abs() < 5.0 * (0.09f64 * 101_000.0).sqrt(), "{backend:?}: {count}");
        }
    }

    /// In bf16 1 / 0.9 is 1.109375, so a mask with rounded factors would reduce the sum by 0.16 %. A rounded product is as
    /// often too large as too small.
    #[test]
    fn in_bf16_the_scale_is_not_rounded() {
        let x = (normal(&[400, 500], 7).abs() + 0.1).to_kind(Kind::BFloat16);
        for (backend, p) in BACKENDS.into_iter().flat_map(|backend| [0.05, 0.1, 0.15].map(|p| (backend, p))) {
            let (y, mask) = site(1, 1, p, backend).apply(&x);
            let gradient = mask.apply(&x);
            assert!(y.equal(&gradient), "{backend:?}: both passes apply the same mask and scale");
            let sum = |t: &Tensor| f64::try_from(t.to_kind(Kind::Double).sum(Kind::Double)).expect("a number");
            let ratio = sum(&y) / sum(&(&x * &mask.keep)) * (1.0 - p);
            assert!((ratio - 1.0).abs() < 1e-4, "{backend:?}, p = {p}: {ratio}");
        }
    }

    /// The gradient of a norm is fp32, its input bf16.
    #[test]
    fn the_backward_pass_applies_the_forward_pass_mask_in_another_format() {
        for backend in BACKENDS {
            let x = normal(&[50, 100], 8).abs() + 0.1;
            let (y, mask) = site(1, 1, 0.3, backend).apply(&x.to_kind(Kind::BFloat16));
            let in_fp32 = mask.apply(&x);
            assert!(y.ne(0.0).equal(&in_fp32.ne(0.0)), "{backend:?}");
            assert!((in_fp32 - &x * &mask.keep / 0.7).abs().max().double_value(&[]) < 1e-6, "{backend:?}");
        }
    }

    #[test]
    fn the_generator_of_the_cpu_passes_the_check() {
        check_dropout(Device::Cpu).expect("the same masks");
    }
}
