//! Random choices of tests, which are the same for the same seed.

/// SplitMix64: small, and the same on every machine.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers that belong to a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The numbers that belong to mutant `number` of a target.
    pub(crate) fn of_mutant(seed: u64, target: &str, number: u64) -> Self {
        let mut random = Self(seed);
        for part in target.bytes().map(u64::from).chain([number]) {
            random.0 = random.next() ^ part;
        }
        random
    }

    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, 0 for an `end` of 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// One of `all`, which has some.
    pub(crate) fn one<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A part of something `length` long, short ones more often than long ones.
    pub(crate) fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let most = length >> self.below(8);
        let size = 1 + self.below(most);
        let start = self.below(length.saturating_sub(size) + 1);
        start.min(length)..(start + size).min(length)
    }
}
