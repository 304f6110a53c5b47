//! The number formats that products multiply, with the loops compiled for each.

use super::pack::{self, Interleaving, PackJob};
use super::tile_job::{self, TileJob};
use super::word_format::WordFormat;
use crate::element::Bf16;
use crate::isa::Isa;

/// A number format of matrices. Its loops are functions of their own, because generic ones would be compiled in the crate that
/// calls them, with the checks of that crate.
pub trait Factor: WordFormat {
    #[doc(hidden)]
    fn multiply_tiles(job: TileJob<Self>, isa: Isa);
    #[doc(hidden)]
    fn pack(job: PackJob<Self>, isa: Isa);
    #[doc(hidden)]
    fn interleave(job: Interleaving<Self>, isa: Isa);
}

macro_rules! implement_factor {
    ($format:ty) => {
        impl Factor for $format {
            fn multiply_tiles(job: TileJob<Self>, isa: Isa) {
                tile_job::multiply_tiles(job, isa);
            }
            fn pack(job: PackJob<Self>, isa: Isa) {
                pack::pack(job, isa);
            }
            fn interleave(job: Interleaving<Self>, isa: Isa) {
                pack::interleave(job, isa);
            }
        }
    };
}
implement_factor!(f32);
implement_factor!(Bf16);
