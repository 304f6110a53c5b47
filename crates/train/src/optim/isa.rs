//! Which vector instructions this processor has.
//!
//! Loops are written once, in plain Rust over blocks of [`LANES`] values, inlined into one function for each
//! instruction set and vectorised there by the compiler. No loop uses fused multiply-add, so every instruction set gives
//! the same bits, and a run can be continued on another processor.

/// Values in a block: one AVX-512 register of fp32.
pub(super) const LANES: usize = 16;

/// An instruction set that the loops are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isa {
    /// What every processor of the target has.
    Baseline,
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// Every set that this processor has, widest vectors first.
    pub(super) fn available() -> Vec<Isa> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
                sets.push(Isa::Avx512);
            }
            if has!("avx2") {
                sets.push(Isa::Avx2);
            }
        }
        sets.push(Isa::Baseline);
        sets
    }

    /// The best set that this processor has.
    pub(super) fn best() -> Isa {
        Self::available()[0]
    }
}

/// Defines `fn $name(argument: $type, isa: Isa)` that runs `$body` compiled for `isa`. `$body` must be a function
/// marked `#[inline(always)]`, as everything it calls, to be compiled with the wider vectors.
macro_rules! multiversion {
    ($(#[$attribute:meta])* $visibility:vis $name:ident, $body:path, $type:ty) => {
        $(#[$attribute])*
        $visibility fn $name(argument: $type, isa: $crate::optim::isa::Isa) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512(argument: $type) {
                $body(argument)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2(argument: $type) {
                $body(argument)
            }
            match isa {
                $crate::optim::isa::Isa::Baseline => $body(argument),
                // SAFETY: an `Isa` of these comes from `Isa::available` alone, which found the features.
                #[cfg(target_arch = "x86_64")]
                $crate::optim::isa::Isa::Avx2 => unsafe { avx2(argument) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::optim::isa::Isa::Avx512 => unsafe { avx512(argument) },
            }
        }
    };
}
pub(super) use multiversion;
