//! Random numbers as a pure function of keys: SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number
//! generators", 2014), seeded by a hash of seed, trial and purpose. Its state is never stored.

#[derive(Debug, Clone)]
pub(crate) struct RandomGenerator {
    state: u64,
}

/// The step of the state; odd, and near 2^64 over the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The use of a stream, so that two uses never share their numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Random = 1,
    Sobol = 2,
    Tpe = 3,
    Grid = 4,
    Forest = 5,
}

impl RandomGenerator {
    /// The stream of `purpose` for `seed` and `number`.
    pub(crate) fn new(seed: u64, number: u64, purpose: Purpose) -> Self {
        let state = mix(seed.wrapping_add(GOLDEN));
        let state = mix(state.wrapping_add(number).wrapping_add(GOLDEN));
        Self { state: mix(state ^ purpose as u64) }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// Uniform in [0, 1), a multiple of 2^-53.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in 0..n, for n above 0: Lemire's multiplication. Its bias is below n / 2^64.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// An index drawn with these probabilities, which sum to 1.
    pub(crate) fn pick(&mut self, probabilities: impl IntoIterator<Item = f64>) -> usize {
        let mut left = self.unit();
        let mut last = 0;
        for (index, probability) in probabilities.into_iter().enumerate() {
            last = index;
            left -= probability;
            if left < 0.0 {
                break;
            }
        }
        last
    }

    /// Fisher and Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// The finisher of SplitMix64: each bit of the result depends on each bit of the input.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_repeatable_and_differ_by_each_key() {
        let draw = |seed, number, purpose| RandomGenerator::new(seed, number, purpose).next();
        assert_eq!(draw(1, 2, Purpose::Tpe), draw(1, 2, Purpose::Tpe));
        let streams =
            [draw(1, 2, Purpose::Tpe), draw(2, 2, Purpose::Tpe), draw(1, 3, Purpose::Tpe), draw(1, 2, Purpose::Sobol)];
        for (index, one) in streams.iter().enumerate() {
            assert!(!streams[..index].contains(one));
        }
    }

    #[test]
    fn picks_follow_their_probabilities() {
        let mut generator = RandomGenerator::new(7, 0, Purpose::Random);
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            counts[generator.pick([0.5, 0.2, 0.3])] += 1;
        }
        assert!((4_800..5_200).contains(&counts[0]) && (1_800..2_200).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..50).collect();
        RandomGenerator::new(3, 1, Purpose::Grid).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
