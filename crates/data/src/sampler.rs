//! Which rows make up which batch.
//!
//! The order of an epoch is a pure function of `(seed, epoch)`, so a run that is resumed, or distributed over several
//! processes, has the same batches again and nothing random is ever stored.
//!
//! The generator is SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014). Its state
//! starts at `mix(mix(seed + GOLDEN) + epoch + GOLDEN)`; a row is drawn by Lemire's multiplication method with
//! rejection, so that every permutation is equally likely; the rows are shuffled by Fisher and Yates from the last to
//! the first. These rules are part of the format: a change of them changes what a seed means.
//!
//! With length grouping the shuffled rows are cut into pools of up to fifty batches, and each pool is sorted by token
//! count, longest first. Batches then hold texts of like length, while a pool is still a random draw from the whole. The
//! pool that has the longest text is moved to the front, so that memory runs out in the first step or never.

/// Groups the rows of a training split into batches, epoch after epoch.
#[derive(Debug, Clone)]
pub struct BatchSampler {
    token_counts: Vec<u32>,
    batch_size: usize,
    seed: u64,
    group_by_length: bool,
}

/// A pool holds this many batches when there are rows enough for four pools.
const POOL_BATCHES: usize = 50;

impl BatchSampler {
    /// A sampler over `token_counts.len()` rows.
    ///
    /// # Panics
    /// If `batch_size` is 0.
    pub fn new(token_counts: Vec<u32>, batch_size: usize, seed: u64, group_by_length: bool) -> Self {
        assert!(batch_size > 0, "batch_size must be at least 1");
        Self { token_counts, batch_size, seed, group_by_length }
    }

    /// The batches of one epoch, in order: each row once, each batch full but the last. Four bytes a row.
    ///
    /// # Panics
    /// If there are more rows than a `u32` counts.
    pub fn epoch(&self, epoch: u64) -> Batches {
        let count = u32::try_from(self.token_counts.len()).expect("no split has more rows than a u32 counts");
        let mut rows: Vec<u32> = (0..count).collect();
        SplitMix64::new(self.seed, epoch).shuffle(&mut rows);
        if self.group_by_length {
            self.group(&mut rows);
        }
        Batches { rows, batch_size: self.batch_size }
    }

    pub fn batches_per_epoch(&self) -> usize {
        self.token_counts.len().div_ceil(self.batch_size)
    }

    fn group(&self, rows: &mut [u32]) {
        let tokens = |row: u32| self.token_counts[row as usize];
        let batches_per_pool = (rows.len() / (self.batch_size * 4)).clamp(1, POOL_BATCHES);
        let pool = batches_per_pool * self.batch_size;
        // Rows of the same length stay shuffled: their places are part of the keys.
        let mut keys: Vec<u64> = Vec::with_capacity(pool);
        let mut shuffled = Vec::with_capacity(pool);
        for pool in rows.chunks_mut(pool) {
            keys.clear();
            keys.extend(pool.iter().zip(0_u64..).map(|(&row, at)| u64::from(u32::MAX - tokens(row)) << 32 | at));
            keys.sort_unstable();
            shuffled.clear();
            shuffled.extend_from_slice(pool);
            pool.iter_mut().zip(&keys).for_each(|(row, key)| *row = shuffled[*key as u32 as usize]);
        }
        let whole_pools = rows.len() / pool;
        let longest = (0..rows.len().div_ceil(pool)).max_by_key(|&at| (tokens(rows[at * pool]), usize::MAX - at));
        match longest {
            Some(at) if at < whole_pools => rows[..(at + 1) * pool].rotate_right(pool),
            // The last pool is short: moved to the front whole it would leave a short batch in the middle of the epoch,
            // so only its longest row changes places with the first pool's.
            Some(at) => rows.swap(0, at * pool),
            None => {}
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batches {
    rows: Vec<u32>,
    batch_size: usize,
}

impl Batches {
    pub fn iter(&self) -> std::slice::Chunks<'_, u32> {
        self.rows.chunks(self.batch_size)
    }

    pub fn len(&self) -> usize {
        self.rows.len().div_ceil(self.batch_size)
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn rows(&self) -> &[u32] {
        &self.rows
    }
}

/// SplitMix64; see the module's documentation.
struct SplitMix64(u64);

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl SplitMix64 {
    fn new(seed: u64, epoch: u64) -> Self {
        Self(mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(epoch).wrapping_add(GOLDEN)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number below `bound`, each equally likely (Lemire, "Fast random integer generation in an interval", 2019).
    fn below(&mut self, bound: u64) -> u64 {
        loop {
            let product = u128::from(self.next()) * u128::from(bound);
            let (high, low) = ((product >> 64) as u64, product as u64);
            if low >= bound.wrapping_neg() % bound {
                return high;
            }
        }
    }

    fn shuffle(&mut self, rows: &mut [u32]) {
        for last in (1..rows.len()).rev() {
            rows.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(rows: usize) -> Vec<u32> {
        (0..rows as u64).map(|row| 3 + (mix(row) % 60) as u32).collect()
    }

    proptest! {
        #[test]
        fn every_row_comes_exactly_once(rows in 0usize..700, batch_size in 1usize..40, seed: u64, grouped: bool) {
            let sampler = BatchSampler::new(counts(rows), batch_size, seed, grouped);
            let batches = sampler.epoch(3);
            prop_assert_eq!(batches.len(), sampler.batches_per_epoch());
            prop_assert_eq!(batches.iter().len(), batches.len());
            for (at, batch) in batches.iter().enumerate() {
                prop_assert!(batch.len() == batch_size || (at + 1 == batches.len() && !batch.is_empty()));
            }
            if grouped && rows > 0 {
                let first = batches.rows()[0] as usize;
                prop_assert_eq!(sampler.token_counts[first], *sampler.token_counts.iter().max().unwrap());
            }
            let mut seen = batches.rows().to_vec();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..rows as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn epochs_and_seeds_differ_and_repeat() {
        for grouped in [false, true] {
            let sampler = BatchSampler::new(counts(500), 16, 42, grouped);
            assert_eq!(sampler.epoch(1), BatchSampler::new(counts(500), 16, 42, grouped).epoch(1));
            assert_ne!(sampler.epoch(0), sampler.epoch(1));
            assert_ne!(sampler.epoch(0), BatchSampler::new(counts(500), 16, 43, grouped).epoch(0));
        }
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs from state 1234567, as the reference implementation gives them.
        let mut generator = SplitMix64(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423_u64];
        assert_eq!(expected.map(|_| generator.next()), expected);
    }

    #[test]
    fn grouping_starts_with_the_longest_and_groups_similar_lengths() {
        let counts = counts(5000);
        let grouped = BatchSampler::new(counts.clone(), 16, 7, true).epoch(0);
        assert_eq!(counts[grouped.rows()[0] as usize], *counts.iter().max().unwrap());
        let padding = |batches: &Batches| -> u32 {
            let waste = |batch: &[u32]| {
                let longest = batch.iter().map(|&row| counts[row as usize]).max().unwrap_or(0);
                batch.iter().map(|&row| longest - counts[row as usize]).sum::<u32>()
            };
            batches.iter().map(waste).sum()
        };
        let shuffled = BatchSampler::new(counts.clone(), 16, 7, false).epoch(0);
        assert!(padding(&grouped) * 10 < padding(&shuffled), "{} {}", padding(&grouped), padding(&shuffled));
    }

    /// Worked out by another implementation of the module's rules; a resumed run relies on them.
    #[test]
    fn the_order_never_changes_between_versions() {
        let sampler = BatchSampler::new(vec![5; 10], 4, 42, false);
        let expected: [&[u32]; 3] = [&[5, 1, 9, 6], &[7, 2, 4, 0], &[8, 3]];
        assert_eq!(sampler.epoch(0).iter().collect::<Vec<_>>(), expected);
        assert_eq!(sampler.epoch(1).rows(), [6, 2, 0, 7, 8, 3, 9, 5, 4, 1]);
        let grouped = BatchSampler::new(vec![5; 10], 4, 42, true).epoch(0);
        assert_eq!(grouped, sampler.epoch(0), "equal lengths: grouping changes nothing");
    }

    /// The same for lengths that differ, against the rule as the module's documentation words it.
    #[test]
    fn a_pool_is_a_stable_sort_from_long_to_short() {
        let counts = counts(1000);
        let sampler = BatchSampler::new(counts.clone(), 4, 9, true);
        let mut expected: Vec<u32> = BatchSampler::new(counts.clone(), 4, 9, false).epoch(2).rows().to_vec();
        let pool = 50 * 4;
        let tokens = |row: &u32| counts[*row as usize];
        expected.chunks_mut(pool).for_each(|pool| pool.sort_by_key(|row| std::cmp::Reverse(tokens(row))));
        let first = |at: usize| tokens(&expected[at * pool]);
        let longest = (0..5).rev().max_by_key(|&at| first(at)).unwrap();
        expected[..(longest + 1) * pool].rotate_right(pool);
        assert_eq!(sampler.epoch(2).rows(), expected);
    }
}
