//! The number formats of products, in words of 32 bits.

use crate::element::{Bf16, Element};
use crate::isa::{AVX512, Isa, has_avx512_bf16};

/// A number format of matrices, as its words are read.
pub trait WordFormat: Element {
    /// Values in a word of 32 bits.
    const PER_WORD: usize;
    /// Words of a sum that are added before that sum is added to `C`: with fp32, a block of a panel stays in the
    /// second-level cache. A sum that is added to bf16 would be rounded first, so there it is one block.
    const LONGEST_BLOCK: usize;

    /// Whether the selected instruction set has what fast products need: fused multiply-add; for bf16 its instruction.
    fn has_fast_products() -> bool;

    /// The word of two neighbors along `k`; of `first` alone, if a word has one value.
    fn word(first: Self, second: Self) -> u32;

    /// The values of a word in fp32, the second one zero if there is one.
    fn values(word: u32) -> [f32; 2];
}

impl WordFormat for f32 {
    const PER_WORD: usize = 1;
    const LONGEST_BLOCK: usize = 512;

    fn has_fast_products() -> bool {
        Isa::selected() != Isa::BASELINE
    }

    #[inline(always)]
    fn word(first: f32, _: f32) -> u32 {
        first.to_bits()
    }

    #[inline(always)]
    fn values(word: u32) -> [f32; 2] {
        [f32::from_bits(word), 0.0]
    }
}

impl WordFormat for Bf16 {
    const PER_WORD: usize = 2;
    const LONGEST_BLOCK: usize = usize::MAX;

    fn has_fast_products() -> bool {
        Isa::selected().supported::<AVX512>().is_some() && has_avx512_bf16()
    }

    #[inline(always)]
    fn word(first: Bf16, second: Bf16) -> u32 {
        u32::from(first.0) | (u32::from(second.0) << 16)
    }

    #[inline(always)]
    fn values(word: u32) -> [f32; 2] {
        [f32::from_bits(word << 16), f32::from_bits(word & 0xffff_0000)]
    }
}
