//! The resamples of a bootstrap: rows drawn with repetition, each resample a pure function of a seed and its number.
//!
//! The generator is SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014), begun at a state
//! that is mixed from seed and number, so that any resample can be drawn without those before it, on any thread.
//! `tests/fixtures/statistics/make_statistics.py` draws the same ones for scipy.

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The row numbers of one resample, without end.
pub(crate) struct RowDraws {
    state: u64,
    rows: u64,
    /// 2^64 modulo `rows`: products whose lower half is below it would make some rows more likely than others.
    rejected: u64,
}

impl RowDraws {
    /// Draws from `rows` rows, which are at least one.
    pub(crate) fn new(seed: u64, number: u64, rows: usize) -> Self {
        let rows = rows as u64;
        let state = mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(number).wrapping_add(GOLDEN));
        Self { state, rows, rejected: rows.wrapping_neg() % rows }
    }

    /// A row, each equally likely (Lemire, "Fast random integer generation in an interval", 2019).
    #[inline]
    pub(crate) fn draw(&mut self) -> u32 {
        loop {
            self.state = self.state.wrapping_add(GOLDEN);
            let product = u128::from(mix(self.state)) * u128::from(self.rows);
            if product as u64 >= self.rejected {
                return (product >> 64) as u32;
            }
        }
    }
}

/// The output function of SplitMix64: each bit of the result depends on each bit of the input.
#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, number: u64, rows: usize, count: usize) -> Vec<u32> {
        let mut draws = RowDraws::new(seed, number, rows);
        (0..count).map(|_| draws.draw()).collect()
    }

    #[test]
    fn a_resample_follows_from_its_seed_and_number() {
        let first = draw(0, 0, 1000, 50);
        assert_eq!(first, draw(0, 0, 1000, 50));
        assert_ne!(first, draw(0, 1, 1000, 50));
        assert_ne!(first, draw(1, 0, 1000, 50));
    }

    #[test]
    fn rows_are_equally_likely() {
        // 7 x 10,000 draws: a count has a standard deviation of 92.6.
        let mut counts = [0u32; 7];
        for number in 0..1000 {
            for row in draw(3, number, 7, 70) {
                counts[row as usize] += 1;
            }
        }
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 460), "{counts:?}");
        assert_eq!(draw(0, 0, 1, 3), [0, 0, 0]);
    }
}
