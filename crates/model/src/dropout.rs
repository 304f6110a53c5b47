//! Dropout masks as a pure function of `(seed, step, rank, site)`.
//!
//! libtorch's generator is a sequential stream whose state would have to be stored to resume a run, and it costs more
//! than a layer norm. Here each site (one place in the model that applies dropout) has a key, from which the
//! forward and the backward pass compute the same mask ([`kernels::dropout`]): neither state nor masks are stored.

use std::cell::Cell;

use kernels::dropout::{Mask, mix64};
use tch::{Device, Kind, Tensor};

use crate::inputs::{Inputs, RowSelection};

/// The source of all masks of one training step.
#[derive(Debug)]
pub struct DropoutStream {
    key: u64,
    site: Cell<u64>,
}

/// One place that applies dropout, in one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DropoutSite {
    key: u64,
    p: f64,
}

impl DropoutStream {
    /// The stream of one step of one rank (0 for a single process) under a seed.
    pub fn new(seed: u64, step: u64, rank: u64) -> Self {
        Self { key: mix64(mix64(mix64(seed) ^ step) ^ rank), site: Cell::new(0) }
    }

    /// The next site, where an element becomes 0 with probability `p` and otherwise is multiplied by `1 / (1 - p)`.
    /// `None` for `p = 0`.
    ///
    /// Each call is a new site; the sites follow each other in the fixed order of the forward pass.
    pub(crate) fn site(&self, p: f64) -> Option<DropoutSite> {
        if p == 0.0 {
            return None;
        }
        let site = self.site.replace(self.site.get() + 1);
        Some(DropoutSite { key: mix64(self.key ^ mix64(site)), p })
    }
}

impl DropoutSite {
    pub(crate) fn mask(&self) -> Option<Mask> {
        Mask::new(self.key, self.p)
    }

    /// The mask as a tensor: `[rows, width]`.
    pub(crate) fn tensor(&self, [rows, width]: [i64; 2], kind: Kind, device: Device) -> Tensor {
        match self.mask() {
            Some(mask) if device == Device::Cpu => {
                let factors = mask.to_vec(rows as usize, width as usize);
                Tensor::from_slice(&factors).view([rows, width]).to_kind(kind)
            }
            _ => self.sample_on_device(&[rows, width], kind, device),
        }
    }

    /// The mask of attention's probabilities: `[B, N, Sq, S]`. Its values for padded queries or keys are not used.
    pub(crate) fn attention_tensor(
        &self,
        inputs: &Inputs,
        rows: RowSelection,
        heads: i64,
        kind: Kind,
        device: Device,
    ) -> Tensor {
        let (batch, max_seqlen) = (inputs.batch_size(), inputs.max_seqlen());
        let queries = if rows == RowSelection::All { max_seqlen } else { 1 };
        let shape = [batch, heads, queries, max_seqlen];
        let Some(mask) = self.mask().filter(|_| device == Device::Cpu) else {
            return self.sample_on_device(&shape, kind, device);
        };
        let cu_seqlens = inputs.cu_seqlens_of(rows);
        let mut factors = vec![0f32; shape.iter().product::<i64>() as usize];
        for (index, factors) in factors.chunks_exact_mut(max_seqlen as usize).enumerate() {
            let (head, query) = (index as i64 / queries % heads, index as i64 % queries);
            let sentence = index as i64 / queries / heads;
            let row = cu_seqlens[sentence as usize] as i64 + query;
            mask.row((row * heads + head) as u64, factors);
        }
        Tensor::from_slice(&factors).view(shape).to_kind(kind)
    }

    /// A mask from the device's own generator, seeded for this site alone.
    fn sample_on_device(&self, shape: &[i64], kind: Kind, device: Device) -> Tensor {
        tch::manual_seed((self.key >> 1) as i64);
        let mut keep = Tensor::empty(shape, (kind, device)).bernoulli_float_(1.0 - self.p);
        keep.g_mul_scalar_(1.0 / (1.0 - self.p))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(seed: u64, step: u64, kind: Kind) -> Vec<f32> {
        let site = DropoutStream::new(seed, step, 0).site(0.1).expect("p > 0");
        let mask = site.tensor([1000, 101], kind, Device::Cpu);
        Vec::try_from(mask.to_kind(Kind::Float).flatten(0, -1)).expect("floats")
    }

    #[test]
    fn a_pure_function_of_seed_and_step() {
        assert_eq!(mask(1, 2, Kind::Float), mask(1, 2, Kind::Float));
        let zeros = |mask: Vec<f32>| mask.into_iter().map(|x| x == 0.0).collect::<Vec<_>>();
        assert_eq!(zeros(mask(1, 2, Kind::Float)), zeros(mask(1, 2, Kind::BFloat16)));
        assert_ne!(mask(1, 2, Kind::Float), mask(1, 3, Kind::Float));
        assert_ne!(mask(1, 2, Kind::Float), mask(2, 2, Kind::Float));
    }

    #[test]
    fn sites_differ_and_zero_probability_is_no_site() {
        let stream = DropoutStream::new(1, 1, 0);
        assert!(stream.site(0.0).is_none());
        let draw = || stream.site(0.5).expect("a site").tensor([2, 128], Kind::Float, Device::Cpu);
        assert!(!draw().equal(&draw()));
    }

    #[test]
    fn a_devices_own_generator_is_seeded_by_the_site() {
        let site = DropoutStream::new(1, 1, 0).site(0.25).expect("a site");
        let draw = |site: &DropoutSite| site.sample_on_device(&[100, 100], Kind::Float, Device::Cpu);
        let (first, again) = (draw(&site), draw(&site));
        assert!(first.equal(&again));
        let kept = f64::try_from(first.gt(0.0).to_kind(Kind::Float).mean(Kind::Float)).expect("a number");
        assert!((kept - 0.75).abs() < 0.03, "{kept}");
    }
}
