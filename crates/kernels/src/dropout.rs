//! Dropout masks as pure functions of a key and an element's row and column.
//!
//! A mask is never stored: the backward pass recomputes it, which costs less than reading it would. Each row has a key
//! of its own; in a row, the hash of a column determines two elements by 16 bits each, so a probability is accurate to
//! within 1 / 65,536. The hash is the 32-bit integer mixer "lowbias32" found by Chris Wellons' search (2018).

use crate::isa::LANES;

/// The mask of one dropout site (one place in the model) in one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mask {
    key: u64,
    first_row: u64,
    threshold: u32,
    scale: f32,
}

impl Mask {
    /// The mask with that key: an element is 0 with probability `p`, otherwise `1 / (1 - p)`. `None` for `p = 0`.
    pub fn new(key: u64, p: f64) -> Option<Self> {
        let threshold = (p * 65536.0).round() as u32;
        (p > 0.0).then_some(Self { key, first_row: 0, threshold, scale: (1.0 / (1.0 - p)) as f32 })
    }

    /// The mask of a tensor that is a part of a larger one, from its row `first_row` on: rows are counted from there.
    #[must_use]
    pub fn starting_at(self, first_row: u64) -> Self {
        Self { first_row, ..self }
    }

    /// Writes the factors of the columns of one row. The length of `factors` doesn't change any of them.
    #[inline(always)]
    pub fn row(&self, row: u64, factors: &mut [f32]) {
        let key = mix64(self.key ^ mix64(self.first_row + row));
        let (low, high) = (key as u32, (key >> 32) as u32);
        let choose = |bits: u32| if bits < self.threshold { 0.0 } else { self.scale };
        let mut counter = 0_u32;
        // The two halves of each hash go to the two halves of a block, so that loads and stores are of full vectors.
        let (blocks, rest) = factors.as_chunks_mut::<{ 2 * LANES }>();
        let fill = |block: &mut [f32; 2 * LANES], counter: u32| {
            for lane in 0..LANES {
                let bits = lowbias32((counter.wrapping_add(lane as u32) ^ low).wrapping_add(high));
                block[lane] = choose(bits & 0xffff);
                block[lane + LANES] = choose(bits >> 16);
            }
        };
        for block in blocks {
            fill(block, counter);
            counter = counter.wrapping_add(LANES as u32);
        }
        if !rest.is_empty() {
            let mut block = [0.0; 2 * LANES];
            fill(&mut block, counter);
            rest.copy_from_slice(&block[..rest.len()]);
        }
    }

    /// The factors of `rows` rows of `width` columns each, one after another.
    pub fn to_vec(&self, rows: usize, width: usize) -> Vec<f32> {
        let mut factors = vec![0.0; rows * width];
        if width > 0 {
            factors.chunks_exact_mut(width).enumerate().for_each(|(row, factors)| self.row(row as u64, factors));
        }
        factors
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
#[inline(always)]
pub fn mix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Supported;
    use crate::isa::testing::with_each_isa;
    use crate::multiversion;

    multiversion!(fn row((&Mask, u64, &mut [f32])) = row_inline);

    #[inline(always)]
    fn row_inline<const ISA: u8>((mask, row, factors): (&Mask, u64, &mut [f32]), _: Supported<ISA>) {
        mask.row(row, factors);
    }

    #[test]
    fn each_element_is_that_of_the_definition_on_each_instruction_set() {
        let mask = Mask::new(42, 0.3).expect("p > 0");
        with_each_isa(|isa| {
            for width in [1, 15, 16, 31, 32, 100, 384] {
                let mut factors = vec![f32::NAN; width];
                row((&mask, 5, &mut factors), isa);
                for (column, factor) in factors.into_iter().enumerate() {
                    let key = mix64(42 ^ mix64(5));
                    let (block, place) = (column / (2 * LANES), column % (2 * LANES));
                    let counter = (block * LANES + place % LANES) as u32;
                    let hash = lowbias32((counter ^ key as u32).wrapping_add((key >> 32) as u32));
                    let bits = if place < LANES { hash & 0xffff } else { hash >> 16 };
                    let expected =
                        if f64::from(bits) < (0.3_f64 * 65536.0).round() { 0.0 } else { (1.0 / 0.7_f64) as f32 };
                    assert_eq!(factor, expected, "column {column} of {width}, {isa:?}");
                }
            }
        });
    }

    fn mask(key: u64, rows: usize, width: usize) -> Vec<f32> {
        Mask::new(key, 0.1).expect("p > 0").to_vec(rows, width)
    }

    #[test]
    fn the_share_of_zeros_and_the_mean_are_right() {
        let mask = mask(42, 1000, 101);
        let zeros = mask.iter().filter(|&&x| x == 0.0).count() as f64;
        let n = mask.len() as f64;
        // Five standard deviations of a binomial.
        assert!((zeros - 0.1 * n).abs() < 5.0 * (0.09 * n).sqrt(), "{zeros} of {n}");
        assert!(mask.iter().all(|&x| x == 0.0 || x == (1.0f64 / 0.9) as f32));
        // Neighbours are independent, along a row, across the halves of a hash, and from row to row.
        for distance in [1, LANES, 101] {
            let pairs = mask.iter().zip(&mask[distance..]).filter(|(a, b)| **a == 0.0 && **b == 0.0).count() as f64;
            assert!((pairs - 0.01 * n).abs() < 6.0 * (0.01 * n).sqrt(), "{pairs} of {n} at {distance}");
        }
    }

    #[test]
    fn a_pure_function_of_key_row_and_column() {
        let (short, long) = (mask(7, 9, 40), mask(7, 9, 200));
        for row in 0..9 {
            assert_eq!(short[row * 40..][..40], long[row * 200..][..40]);
        }
        assert_ne!(mask(7, 9, 200), mask(8, 9, 200));
        assert_ne!(long[..200], long[200..400]);
        assert!(Mask::new(7, 0.0).is_none());
        let part = Mask::new(7, 0.1).expect("p > 0").starting_at(3).to_vec(6, 200);
        assert_eq!(part, long[3 * 200..], "a part has the rows of the whole");
    }
}
