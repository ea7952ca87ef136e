//! All randomness of a run: each part of the world has dice of its own, thrown from the one seed, so
//! that a part that throws more often does not change what happens to the others.

use std::ops::RangeInclusive;

/// Dice of one part of the world.
#[derive(Debug)]
pub struct Dice(fastrand::Rng);

impl Dice {
    /// The dice of the part of this name.
    pub fn new(seed: u64, part: &str) -> Self {
        let mix = |mixed: u64, byte: u8| (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(fastrand::Rng::with_seed(part.bytes().fold(seed, mix)))
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.0.u32(0..1_000) < per_mille
    }

    /// True every second time.
    pub fn flip(&mut self) -> bool {
        self.0.bool()
    }

    /// A number of the range.
    pub fn pick(&mut self, range: RangeInclusive<usize>) -> usize {
        self.0.usize(range)
    }

    /// A number of the range.
    pub fn long(&mut self, range: RangeInclusive<u64>) -> u64 {
        self.0.u64(range)
    }

    /// One of several.
    pub fn of<T: Copy>(&mut self, several: &[T]) -> T {
        several[self.pick(0..=several.len() - 1)]
    }

    /// Mostly small, seldom large: each doubling up to `max` is as likely as any other.
    pub fn skewed(&mut self, max: usize) -> usize {
        let doublings = max.max(1).ilog2() as usize;
        let doubling = self.pick(0..=doublings);
        self.pick(1..=1 << doubling).min(max)
    }

    /// A seed for something that has randomness of its own.
    pub fn seed(&mut self) -> u64 {
        self.0.u64(..)
    }
}
