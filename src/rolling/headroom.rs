//! Headroom: what a rolling log leaves free on its disk, for the journal and the store that share it.

use crate::limits::{
    KEPT_HEADROOM_SEGMENTS, KEPT_HEADROOM_SHARE, KEPT_HEADROOM_SHARE_MAX, REFUSED_HEADROOM_PART,
};

/// How much is left free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headroom {
    /// Bytes for segments of the journal, on a disk of any size.
    pub(super) segments_len: u64,
    /// One part in so many of all of it, see [`Headroom::of`]; zero: nothing is left free.
    pub(super) part: u64,
}

impl Headroom {
    /// Nothing is left free.
    pub const NONE: Self = Self {
        segments_len: 0,
        part: 0,
    };

    /// What rejected lines leave.
    #[must_use]
    pub fn of_rejected(segment_len: u64) -> Self {
        Self {
            segments_len: KEPT_HEADROOM_SEGMENTS * segment_len,
            part: 1,
        }
    }

    /// What refused rows leave.
    #[must_use]
    pub fn of_refused(segment_len: u64) -> Self {
        Self {
            part: REFUSED_HEADROOM_PART,
            ..Self::of_rejected(segment_len)
        }
    }

    /// Bytes of a disk of so many: the segments and a share of the disk, half of it at most.
    #[must_use]
    pub fn of(self, disk_len: u64) -> u64 {
        let share = (disk_len / KEPT_HEADROOM_SHARE).min(KEPT_HEADROOM_SHARE_MAX);
        let all = (self.segments_len + share).min(disk_len / 2);
        all.checked_div(self.part).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_disk_is_left_segments_and_a_share_and_half_of_it_at_most() {
        let rejected = Headroom::of_rejected(64 * MIB);
        for (disk_mib, left_mib) in [
            (0, 0),
            (64, 32),
            (192, 96),
            (1_600, 292),
            (1 << 20, 192 + 1_024),
        ] {
            assert_eq!(
                rejected.of(disk_mib * MIB),
                left_mib * MIB,
                "{disk_mib} MiB"
            );
            let refused = Headroom::of_refused(64 * MIB);
            assert_eq!(
                refused.of(disk_mib * MIB),
                left_mib * MIB / 2,
                "{disk_mib} MiB"
            );
            assert_eq!(Headroom::NONE.of(disk_mib * MIB), 0);
        }
    }
}
