//! Which vector instructions this processor has, and loops compiled for each of them.
//!
//! Loops are written once, in plain Rust, inlined into one function for each instruction set and vectorized there by
//! the compiler. Each copy knows its instruction set as a constant, so that it can use fused multiply-add where that is
//! available.

/// Values in a block: one AVX-512 register of fp32.
pub const LANES: usize = 16;

/// [`Isa`] as a constant of a loop: what every processor of the target has.
pub const BASELINE: u8 = 0;
/// 256-bit vectors and fused multiply-add.
pub const AVX2: u8 = 1;
/// 512-bit vectors and fused multiply-add.
pub const AVX512: u8 = 2;

/// An instruction set that loops are compiled for and that this processor has. Only [`Isa::available`] creates wider
/// ones than the baseline, so loops compiled for an `Isa` may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(u8);

impl Isa {
    /// What every processor of the target has.
    pub const BASELINE: Isa = Isa(BASELINE);

    /// Every set that this processor has, widest vectors first.
    pub fn available() -> Vec<Isa> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let fma = has!("avx2") && has!("fma");
            if fma && has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
                sets.push(Isa(AVX512));
            }
            if fma {
                sets.push(Isa(AVX2));
            }
        }
        sets.push(Isa::BASELINE);
        sets
    }

    /// The best set that this processor has.
    pub fn best() -> Isa {
        static BEST: std::sync::OnceLock<Isa> = std::sync::OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// [`BASELINE`], [`AVX2`] or [`AVX512`].
    pub fn constant(self) -> u8 {
        self.0
    }
}

/// `a * b + c`, rounded once where `ISA` has an instruction for it.
#[inline(always)]
pub(crate) fn fma<const ISA: u8>(a: f32, b: f32, c: f32) -> f32 {
    if ISA != BASELINE || cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c }
}

/// Defines `fn $name(argument: $type, isa: Isa)` that runs `$body::<ISA>` compiled for `isa`. `$body` must be a
/// function marked `#[inline(always)]`, as everything it calls, to be compiled with the wider vectors; it may be
/// generic over one type, which then comes before the constant.
#[macro_export]
macro_rules! multiversion {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident $(<$generic:ident: $bound:path>)? ($type:ty) = $body:ident) => {
        $(#[$attribute])*
        $visibility fn $name $(<$generic: $bound>)? (argument: $type, isa: $crate::isa::Isa) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            fn avx512 $(<$generic: $bound>)? (argument: $type) {
                $body::<$($generic,)? { $crate::isa::AVX512 }>(argument)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2 $(<$generic: $bound>)? (argument: $type) {
                $body::<$($generic,)? { $crate::isa::AVX2 }>(argument)
            }
            match isa.constant() {
                // SAFETY: such an `Isa` is created only by `Isa::available`, which has detected the features.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::AVX2 => unsafe { avx2(argument) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::AVX512 => unsafe { avx512(argument) },
                _ => $body::<$($generic,)? { $crate::isa::BASELINE }>(argument),
            }
        }
    };
}
