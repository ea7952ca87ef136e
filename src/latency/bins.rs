//! Which bin of a histogram a latency falls into: HdrHistogram's own geometry, worked out at
//! compile time for the one range of this engine.
//!
//! Why not `hdrhistogram::Histogram<u32>` on the path: its constructor writes zeros to every bin,
//! so 5 stages x 8 levels x 65 destinations x 14.5 KiB = 37 MiB would be resident in each interval
//! though a message touches five cells. Here all cells share one array that the kernel zeroes page
//! by page as it is touched. Reading (quantiles, means, files) is the crate's; a test ties the two.
//!
//! [`super::grid`] feeds it and is fed by it. It does not count.
//!
//! ```text
//! bins   0 ..  256   one for each 128 ns          0 ..  32.8 us   (1 % from 12.8 us on)
//! bins 256 ..  384   one for each 256 ns       32.8 ..  65.5 us
//! bins 384 ..  512   one for each 512 ns       65.5 ..   131 us
//! ...                each 128 bins double their width and their reach, up to 73 minutes
//! ```

use hdrhistogram::Histogram;

use crate::limits::{LATENCY_DIGITS, LATENCY_NS_MAX, LATENCY_NS_MIN};

const UNIT_BITS: u32 = LATENCY_NS_MIN.trailing_zeros();

/// Bins of the first bucket: two digits are kept up to 2 x 10^2, rounded up to a power of two.
pub(super) const SUB_BUCKETS: u64 = (2 * 10_u64.pow(LATENCY_DIGITS as u32)).next_power_of_two();

/// Later buckets use only the upper half: the lower one is what earlier buckets told apart better.
const HALF_BITS: u32 = SUB_BUCKETS.trailing_zeros() - 1;

/// Bins of one histogram: 29 x 128 = 3,712.
pub(super) const BINS: usize = ((index(LATENCY_NS_MAX) >> HALF_BITS) + 1) << HALF_BITS;

/// The bin of a latency; what is longer than [`LATENCY_NS_MAX`] counts as that.
#[inline]
pub(super) const fn index(ns: u64) -> usize {
    let clamped = if ns < LATENCY_NS_MAX {
        ns
    } else {
        LATENCY_NS_MAX
    };
    let units = clamped >> UNIT_BITS;
    let unit_bits = u64::BITS - (units | (SUB_BUCKETS - 1)).leading_zeros();
    let bucket = unit_bits - (HALF_BITS + 1);
    ((bucket as usize) << HALF_BITS) + (units >> bucket) as usize
}

/// The shortest latency of a bin, in nanoseconds.
pub(super) const fn lowest_ns(bin: usize) -> u64 {
    let bucket = (bin >> HALF_BITS).saturating_sub(1);
    ((bin - (bucket << HALF_BITS)) as u64) << (bucket as u32 + UNIT_BITS)
}

/// An empty histogram of the same bins.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, LATENCY_DIGITS)
        .expect("the range is constant and a test makes one")
}

/// The longest latency by the end of its bin, as percentiles are told; 0 of nothing. The crate tells
/// the first bin by its beginning instead, and then 100 % were above the maximum.
pub(super) fn max(histogram: &Histogram<u64>) -> u64 {
    match histogram.is_empty() {
        true => 0,
        false => histogram.highest_equivalent(histogram.max()),
    }
}

const _: () = assert!(BINS == 3_712, "the arithmetic in the comments");
const _: () = assert!(BINS <= u16::MAX as usize, "bins are named by 16 bits");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_are_as_many_bins_as_the_crate_makes() {
        assert_eq!(histogram().distinct_values(), BINS);
    }

    #[test]
    fn each_bin_begins_where_the_one_before_it_ends() {
        for bin in 1..=index(LATENCY_NS_MAX) {
            assert_eq!(index(lowest_ns(bin)), bin);
            assert_eq!(index(lowest_ns(bin) - 1), bin - 1);
        }
    }

    #[test]
    fn too_long_counts_as_the_longest() {
        assert_eq!(index(u64::MAX), index(LATENCY_NS_MAX));
        assert!(index(u64::MAX) < BINS);
    }

    proptest! {
        #[test]
        fn bins_are_the_crates_bins(bits in 0_u32..42, low in any::<u64>()) {
            let ns = (low >> (64 - bits.max(1))).min(LATENCY_NS_MAX);
            prop_assert_eq!(lowest_ns(index(ns)), histogram().lowest_equivalent(ns));
        }
    }
}
