//! Quasi-random search: points of Sobol's sequence, scrambled, which cover the space evenly.
//!
//! Trial `n` takes point `n` of the sequence; of 2^k consecutive trials that start at a multiple of 2^k, one falls into
//! each of 2^k equal slices of every parameter, and boxes of several parameters are covered evenly. The scrambling is Owen's ("Randomly permuted
//! (t, m, s)-nets and (t, s)-sequences", 1995): each bit is flipped, or not, by a hash of seed, dimension and the bits
//! before it. It keeps those counts, and gives different points for each seed.

mod directions;

use super::generator::{Purpose, RandomGenerator, mix};
use super::{Sampler, random, unused_point};
use crate::error::Result;
use crate::space::{Space, SpaceError, UnitPoint, from_unit};
use crate::trial::{Params, StudyDirection, Trial};
use directions::DIRECTIONS;

/// Covers the space evenly; the best choice for a fixed number of trials that don't learn from each other.
#[derive(Debug, Clone, Copy)]
pub struct Sobol {
    pub seed: u64,
}

/// One dimension per parameter.
pub(super) const MAX_PARAMETERS: usize = DIRECTIONS.len() + 1;

impl Sampler for Sobol {
    fn sample(&self, space: &Space, trials: &[Trial], number: u64, _: StudyDirection) -> Result<Option<Params>> {
        let found = space.parameters().len();
        if found > MAX_PARAMETERS {
            return Err(SpaceError::SobolDimensions { found, max: MAX_PARAMETERS }.into());
        }
        let mut generator = RandomGenerator::new(self.seed, number, Purpose::Sobol);
        let point = unused_point(space, &space.points(trials), &mut generator, |attempt, generator| match attempt {
            0 => point(space, self.seed, number),
            // With discrete parameters neighbors may be equal; any unused point is as good.
            _ => random::draw(space, generator),
        });
        Ok(point.map(|point| space.params(&point)))
    }
}

pub(super) fn point(space: &Space, seed: u64, number: u64) -> UnitPoint {
    let unit = |dimension: usize| {
        let bits = scrambled(sobol(number as u32, dimension), mix(seed) ^ mix(dimension as u64 + 1));
        // The bits below those of the sequence are a hash too, so that no value is rounded to 32 bits.
        let below = mix(mix(seed ^ number) ^ dimension as u64) >> 43;
        (((u64::from(bits)) << 21) | below) as f64 / (1_u64 << 53) as f64
    };
    space.fill(|index| from_unit(&space.parameters()[index].distribution, unit(index)))
}

/// Coordinate `dimension` of point `number`, as 32 binary digits after the point.
fn sobol(number: u32, dimension: usize) -> u32 {
    if dimension == 0 {
        return number.reverse_bits();
    }
    let (inner, first) = DIRECTIONS[dimension - 1];
    let degree = first.len();
    let mut directions = [0_u32; 32];
    let mut coordinate = 0;
    for bit in 0..32 {
        directions[bit] = if bit < degree {
            first[bit] << (31 - bit)
        } else {
            let oldest = directions[bit - degree];
            let taps = (1..degree).filter(|tap| inner >> (degree - 1 - tap) & 1 == 1);
            taps.fold(oldest ^ (oldest >> degree), |sum, tap| sum ^ directions[bit - tap])
        };
        if number >> bit & 1 == 1 {
            coordinate ^= directions[bit];
        }
    }
    coordinate
}

/// Owen's scrambling: the digits before a digit, and the key, decide whether it is flipped.
fn scrambled(digits: u32, key: u64) -> u32 {
    (0..32).fold(0, |flips, place| {
        let before = u64::from(digits) >> (32 - place);
        let flip = mix(key ^ mix((1 << place) | before)) & 1;
        flips | ((flip as u32) << (31 - place))
    }) ^ digits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points in all dimensions, by scipy, which counts in Gray code.
    #[test]
    fn unscrambled_points_are_those_of_scipy() {
        let text = test_support::fixture_text("tune/sobol.txt");
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), 45);
        for line in lines {
            let numbers: Vec<u32> = line.split(' ').map(|number| number.parse().unwrap()).collect();
            let gray = numbers[0] ^ (numbers[0] >> 1);
            let found: Vec<u32> = (0..MAX_PARAMETERS).map(|dimension| sobol(gray, dimension) >> 2).collect();
            assert_eq!(found, numbers[1..], "point {}", numbers[0]);
        }
    }

    #[test]
    fn scrambling_keeps_one_point_in_each_slice() {
        for seed in 0..5 {
            for dimension in 0..MAX_PARAMETERS {
                for block in 0..4 {
                    let mut hit = [false; 64];
                    for number in block * 64..(block + 1) * 64 {
                        let digits = scrambled(sobol(number, dimension), mix(seed) ^ mix(dimension as u64 + 1));
                        hit[(digits >> 26) as usize] = true;
                    }
                    assert!(hit.iter().all(|hit| *hit), "seed {seed}, dimension {dimension}, block {block}");
                }
            }
        }
    }

    #[test]
    fn each_seed_gives_other_points() {
        let first = |seed| scrambled(sobol(0, 0), mix(seed) ^ mix(1));
        assert_ne!(first(1), first(2));
    }
}
