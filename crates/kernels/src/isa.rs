//! Which vector instructions this processor has, and loops compiled for each of them.
//!
//! Loops are written once, in plain Rust, inlined into one function for each instruction set and vectorized there by
//! the compiler. Each copy knows its instruction set as a constant, so that it can use fused multiply-add where that is
//! available.
//!
//! Kernels use the widest set that the processor has. `VERDICT_ISA` ([`VARIABLE`]) chooses another one for a process,
//! and [`Isa::run`] for a part of a thread's work. Results differ between [`BASELINE`] and the others, because fused
//! multiply-add rounds once.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;

/// Values in a block: one AVX-512 register of fp32.
pub const LANES: usize = 16;

/// [`Isa`] as a constant of a loop: what every processor of the target has.
pub const BASELINE: u8 = 0;
/// 256-bit vectors and fused multiply-add.
pub const AVX2: u8 = 1;
/// 512-bit vectors and fused multiply-add.
pub const AVX512: u8 = 2;

/// The environment variable that chooses the instruction set of a process: the name of one.
pub const VARIABLE: &str = "VERDICT_ISA";

/// Every instruction set that loops are compiled for, widest vectors first.
const ALL: [(u8, &str); 3] = [(AVX512, "avx512"), (AVX2, "avx2"), (BASELINE, "baseline")];

/// An instruction set that loops are compiled for and that this processor has. Safe code obtains one only from
/// detection or as the baseline, so loops compiled for an `Isa` may run.
///
/// ```compile_fail
/// let claimed = kernels::isa::Isa(kernels::isa::AVX512);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(u8);

/// Proof, for a loop that is compiled for the set `ISA`, that this processor has it. Only [`Isa::supported`] makes one.
///
/// ```compile_fail
/// let claimed = kernels::isa::Supported::<{ kernels::isa::AVX512 }>(());
/// ```
///
/// ```
/// use kernels::isa::{AVX512, Isa};
/// assert!(Isa::BASELINE.supported::<AVX512>().is_none());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Supported<const ISA: u8>(());

thread_local! {
    /// The set that [`Isa::run`] chose on this thread.
    static CHOSEN: Cell<Option<Isa>> = const { Cell::new(None) };
}

impl Isa {
    /// What every processor of the target has.
    pub const BASELINE: Isa = Isa(BASELINE);

    /// Every set that this processor has, widest vectors first.
    pub fn available() -> Vec<Isa> {
        ALL.iter().map(|(constant, _)| Isa(*constant)).filter(|isa| isa.is_detected()).collect()
    }

    fn is_detected(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            let avx2 = || has!("avx2") && has!("fma");
            let avx512 = || has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
            match self.0 {
                AVX512 => avx2() && avx512(),
                AVX2 => avx2(),
                _ => true,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Isa::BASELINE
        }
    }

    /// The set that kernels called on this thread use: that of [`run`](Self::run), of [`VARIABLE`], or the widest.
    ///
    /// # Panics
    /// If [`requested`](Self::requested) is an error. Programs report it when they start.
    pub fn selected() -> Isa {
        static OF_PROCESS: OnceLock<Isa> = OnceLock::new();
        let of_process = || match Self::requested() {
            Ok(requested) => requested.unwrap_or_else(|| Self::available()[0]),
            Err(error) => panic!("{error}"),
        };
        CHOSEN.get().unwrap_or_else(|| *OF_PROCESS.get_or_init(of_process))
    }

    /// The set that [`VARIABLE`] names; `None` if it is not set.
    ///
    /// # Errors
    /// A name that is unknown, or of a set that this processor does not have.
    pub fn requested() -> Result<Option<Isa>, UnavailableIsa> {
        std::env::var_os(VARIABLE).map(|name| Self::named(&name.to_string_lossy())).transpose()
    }

    /// The set that is used and, if [`VARIABLE`] chose it, what would be used without it; in words.
    pub fn description() -> String {
        let (selected, widest) = (Self::selected().name(), Self::available()[0].name());
        match std::env::var_os(VARIABLE) {
            Some(_) => format!("{selected}, as {VARIABLE} requests; without it, {widest}"),
            None => selected.to_owned(),
        }
    }

    fn named(name: &str) -> Result<Isa, UnavailableIsa> {
        let known = ALL.iter().find(|(_, known)| *known == name).map(|(constant, _)| Isa(*constant));
        match known {
            Some(isa) if isa.is_detected() => Ok(isa),
            _ => Err(UnavailableIsa { name: name.to_owned(), known: known.is_some() }),
        }
    }

    /// Runs `work`, in which the kernels that this thread calls use this set.
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        /// Restores the choice even if `work` panics.
        struct Restore(Option<Isa>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CHOSEN.set(self.0);
            }
        }
        let _restore = Restore(CHOSEN.replace(Some(self)));
        work()
    }

    /// The name in [`VARIABLE`], in messages and in the files of a run.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(constant, _)| *constant == self.0).map_or("baseline", |(_, name)| name)
    }

    /// The proof that a loop compiled for `ISA` needs, if this is that set.
    pub fn supported<const ISA: u8>(self) -> Option<Supported<ISA>> {
        (self.0 == ISA).then_some(Supported(()))
    }
}

impl Supported<BASELINE> {
    /// Every processor has the baseline.
    pub const BASELINE: Self = Supported(());
}

/// A value of [`VARIABLE`] that cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnavailableIsa {
    name: String,
    /// Whether there is such a set, which this processor does not have.
    known: bool,
}

impl fmt::Display for UnavailableIsa {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
        let (name, names) = (&self.name, names.join(", "));
        if self.known {
            write!(f, "{VARIABLE}={name}: this processor does not have {name}, only {names}")?;
        } else {
            write!(f, "{VARIABLE}={name}: expected one of {names}, found {name:?}")?;
        }
        write!(f, " (hint: without {VARIABLE}, the kernels use {})", Isa::available()[0].name())
    }
}

impl std::error::Error for UnavailableIsa {}

/// Whether this processor has the instructions for bf16 products, fast or slow. Every one with AMX has them too.
pub fn has_avx512_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// `a * b + c`, rounded once where `ISA` has an instruction for it.
#[inline(always)]
pub(crate) fn fma<const ISA: u8>(a: f32, b: f32, c: f32) -> f32 {
    if ISA != BASELINE || cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c }
}

/// Defines `fn $name(argument: $type, isa: Isa)` that runs `$body(argument, supported)` compiled for `isa`, with a
/// `Supported<ISA>` of that set. `$body` must be a function marked `#[inline(always)]`, as everything it calls, to be
/// compiled with the wider vectors; it may be generic over one type, which then comes before the constant.
#[macro_export]
macro_rules! multiversion {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident $(<$generic:ident: $bound:path>)? ($type:ty) = $body:ident) => {
        $(#[$attribute])*
        $visibility fn $name $(<$generic: $bound>)? (argument: $type, isa: $crate::isa::Isa) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            fn avx512 $(<$generic: $bound>)? (
                argument: $type,
                supported: $crate::isa::Supported<{ $crate::isa::AVX512 }>,
            ) {
                $body(argument, supported)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2 $(<$generic: $bound>)? (argument: $type, supported: $crate::isa::Supported<{ $crate::isa::AVX2 }>) {
                $body(argument, supported)
            }
            #[cfg(target_arch = "x86_64")]
            if let Some(supported) = isa.supported() {
                // SAFETY: a `Supported<AVX512>` is made only from an `Isa` of which `Isa::is_detected` has found
                // exactly the features that `avx512` enables.
                return unsafe { avx512(argument, supported) };
            }
            #[cfg(target_arch = "x86_64")]
            if let Some(supported) = isa.supported() {
                // SAFETY: a `Supported<AVX2>` is made only from an `Isa` of which `Isa::is_detected` has found exactly
                // the features that `avx2` enables.
                return unsafe { avx2(argument, supported) };
            }
            $body(argument, $crate::isa::Supported::BASELINE)
        }
    };
}

#[cfg(test)]
pub(crate) mod testing {
    use std::io::Write as _;
    use std::sync::Once;

    use super::*;

    /// Runs a test once with each instruction set that this processor has. What it lacks is printed once.
    pub(crate) fn with_each_isa(test: impl Fn(Isa)) {
        static MISSING: Once = Once::new();
        MISSING.call_once(|| {
            for (constant, name) in ALL.into_iter().filter(|(constant, _)| !Isa(*constant).is_detected()) {
                debug_assert_ne!(constant, BASELINE);
                // Directly, because the test harness hides the output of a passing test.
                let _ = writeln!(std::io::stderr(), "this processor has no {name}, so no kernel is tested with it");
            }
        });
        Isa::available().into_iter().for_each(|isa| isa.run(|| test(isa)));
    }

    /// Asserts that `results` are the same bits with every set that has fused multiply-add, and others without it, so
    /// that the set that was asked for is the one that ran.
    pub(crate) fn assert_that_the_choice_reaches(what: &str, results: impl Fn() -> Vec<f32>) {
        let bits = |isa: Isa| isa.run(|| results().iter().map(|x| x.to_bits()).collect::<Vec<_>>());
        let (baseline, widest) = (bits(Isa::BASELINE), bits(Isa::available()[0]));
        for isa in Isa::available().into_iter().filter(|isa| *isa != Isa::BASELINE) {
            assert!(bits(isa) != baseline, "{what}: {} gives the bits of the baseline", isa.name());
            assert!(bits(isa) == widest, "{what}: {} gives other bits than the widest set", isa.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    multiversion!(fn constant(&mut u8) = constant_inline);

    #[inline(always)]
    fn constant_inline<const ISA: u8>(constant: &mut u8, _: Supported<ISA>) {
        *constant = ISA;
    }

    #[test]
    fn each_set_runs_the_loop_that_is_compiled_for_it() {
        for isa in Isa::available() {
            let mut found = u8::MAX;
            constant(&mut found, isa);
            assert_eq!((found, isa.name()), (isa.0, ALL.iter().find(|(constant, _)| *constant == found).unwrap().1));
        }
        assert_eq!(Isa::available().last(), Some(&Isa::BASELINE));
    }

    #[test]
    fn a_choice_lasts_as_long_as_the_work_even_if_it_panics() {
        let before = Isa::selected();
        Isa::BASELINE.run(|| {
            assert_eq!(Isa::selected(), Isa::BASELINE);
            Isa::available()[0].run(|| assert_eq!(Isa::selected(), Isa::available()[0]));
            assert_eq!(Isa::selected(), Isa::BASELINE);
        });
        assert!(std::panic::catch_unwind(|| Isa::BASELINE.run(|| panic!("in between"))).is_err());
        assert_eq!(Isa::selected(), before);
    }

    #[test]
    fn names_are_those_of_available_sets_and_others_are_explained() {
        for isa in Isa::available() {
            assert_eq!(Isa::named(isa.name()), Ok(isa));
        }
        for name in ["", "AVX2", "sse", "avx512 "] {
            let error = Isa::named(name).unwrap_err().to_string();
            assert!(error.contains("expected one of ") && error.contains("baseline, found"), "{error}");
        }
        let error = UnavailableIsa { name: "avx512".to_owned(), known: true }.to_string();
        assert!(error.starts_with("VERDICT_ISA=avx512: this processor does not have avx512, only "), "{error}");
    }
}
