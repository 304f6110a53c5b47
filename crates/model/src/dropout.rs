//! Dropout masks as a pure function of `(seed, step, rank, site)`.
//!
//! libtorch's generator is a sequential stream whose state would have to be stored to resume a run, and it costs
//! more than a layer norm. Here a mask's bit is a hash of a key and its position: nothing is stored, and the loop
//! vectorises. The hash is the 32-bit integer mixer "lowbias32" found by Chris Wellons' search (2018); one hash
//! decides two elements by 16 bits each, so a probability is honoured to within 1 / 65,536.

use std::cell::Cell;

use tch::{Device, Kind, Tensor};

use crate::bf16::{Bf16, Element};

/// The source of all masks of one training step.
#[derive(Debug)]
pub struct DropoutStream {
    key: u64,
    site: Cell<u64>,
}

impl DropoutStream {
    /// The stream of one step of one rank (0 for a single process) under a seed.
    pub fn new(seed: u64, step: u64, rank: u64) -> Self {
        Self { key: mix64(mix64(mix64(seed) ^ step) ^ rank), site: Cell::new(0) }
    }

    /// The next mask: each element is 0 with probability `p`, else `1 / (1 - p)`. `None` for `p = 0`.
    ///
    /// Each call is a new site; the sites follow each other in the fixed order of the forward pass.
    pub(crate) fn mask(&self, shape: &[i64], p: f64, kind: Kind, device: Device) -> Option<Tensor> {
        if p == 0.0 {
            return None;
        }
        let site = self.site.replace(self.site.get() + 1);
        let key = mix64(self.key ^ mix64(site));
        if device != Device::Cpu {
            // The device's own generator, seeded for this site alone.
            tch::manual_seed((key >> 1) as i64);
            let mut keep = Tensor::empty(shape, (kind, device)).bernoulli_float_(1.0 - p);
            return Some(keep.g_mul_scalar_(1.0 / (1.0 - p)));
        }
        let mask = Tensor::empty(shape, (kind, device));
        let threshold = (p * 65536.0).round() as u32;
        let scale = (1.0 / (1.0 - p)) as f32;
        let length = mask.numel();
        let data = mask.data_ptr();
        // SAFETY: `mask` was just allocated here, contiguous, on the CPU, with `length` elements of `kind`, and no
        // other reference to its memory exists while the slice lives.
        match kind {
            Kind::BFloat16 => {
                let scale = Bf16::from_f32(scale);
                fill(unsafe { std::slice::from_raw_parts_mut(data.cast::<Bf16>(), length) }, key, threshold, scale);
            }
            _ => {
                debug_assert_eq!(kind, Kind::Float);
                fill(unsafe { std::slice::from_raw_parts_mut(data.cast::<f32>(), length) }, key, threshold, scale);
            }
        }
        Some(mask)
    }
}

/// Writes 0 or `scale` to each element, by its position and the key.
fn fill<T: Copy + Default>(mask: &mut [T], key: u64, threshold: u32, scale: T) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor has the features that the function is compiled for.
        return unsafe { fill_avx512(mask, key, threshold, scale) };
    }
    fill_generic(mask, key, threshold, scale);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn fill_avx512<T: Copy + Default>(mask: &mut [T], key: u64, threshold: u32, scale: T) {
    fill_generic(mask, key, threshold, scale);
}

#[inline(always)]
fn fill_generic<T: Copy + Default>(mask: &mut [T], key: u64, threshold: u32, scale: T) {
    let (low, high) = (key as u32, (key >> 32) as u32);
    let choose = |bits: u32| {
        if bits < threshold { T::default() } else { scale }
    };
    // Halves of a block take the two halves of each hash, so that both loads and stores are of full vectors.
    const HALF: usize = 32;
    let mut blocks = mask.chunks_exact_mut(2 * HALF);
    let mut counter = 0u32;
    for block in &mut blocks {
        let (first, second) = block.split_at_mut(HALF);
        for (lane, (a, b)) in first.iter_mut().zip(second).enumerate() {
            let bits = lowbias32((counter.wrapping_add(lane as u32) ^ low).wrapping_add(high));
            *a = choose(bits & 0xffff);
            *b = choose(bits >> 16);
        }
        counter = counter.wrapping_add(HALF as u32);
    }
    for (lane, element) in blocks.into_remainder().iter_mut().enumerate() {
        let bits = lowbias32((counter.wrapping_add(lane as u32) ^ low).wrapping_add(high));
        *element = choose(bits & 0xffff);
    }
}

#[inline(always)]
fn lowbias32(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// The finalizer of splitmix64 (Steele, Lea and Flood 2014).
pub(crate) fn mix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(seed: u64, step: u64, kind: Kind) -> Vec<f32> {
        let stream = DropoutStream::new(seed, step, 0);
        let mask = stream.mask(&[1000, 101], 0.1, kind, Device::Cpu).expect("p > 0");
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
    fn vector_and_scalar_code_agree() {
        let mut scalar = vec![0f32; 1003];
        let mut vector = scalar.clone();
        fill_generic(&mut scalar, 0x1234_5678_9abc_def0, 6554, 1.25);
        fill(&mut vector, 0x1234_5678_9abc_def0, 6554, 1.25);
        assert_eq!(scalar, vector);
    }

    #[test]
    fn the_share_of_zeros_and_the_mean_are_right() {
        let mask = mask(42, 7, Kind::Float);
        let zeros = mask.iter().filter(|&&x| x == 0.0).count() as f64;
        let n = mask.len() as f64;
        // Five standard deviations of a binomial.
        assert!((zeros - 0.1 * n).abs() < 5.0 * (0.09 * n).sqrt(), "{zeros} of {n}");
        assert!(mask.iter().all(|&x| x == 0.0 || x == (1.0f64 / 0.9) as f32));
        // Neighbours are independent: pairs of zeros are as frequent as chance has it.
        let pairs = mask.windows(2).filter(|pair| pair[0] == 0.0 && pair[1] == 0.0).count() as f64;
        assert!((pairs - 0.01 * n).abs() < 6.0 * (0.01 * n).sqrt(), "{pairs} of {n}");
    }

    #[test]
    fn sites_differ_and_zero_probability_is_no_site() {
        let stream = DropoutStream::new(1, 1, 0);
        assert!(stream.mask(&[8], 0.0, Kind::Float, Device::Cpu).is_none());
        let first = stream.mask(&[256], 0.5, Kind::Float, Device::Cpu).expect("mask");
        let second = stream.mask(&[256], 0.5, Kind::Float, Device::Cpu).expect("mask");
        assert!(!first.equal(&second));
    }
}
