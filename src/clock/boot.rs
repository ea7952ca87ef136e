//! How much time has passed since an earlier life of the engine: no more than can be known.
//!
//! The dedup window, ageing and retention must neither forget too early nor remember for as long as a
//! clock was ahead. So they go by the engine's own time, which goes on from the last time in the
//! journal plus what has passed since. The wall clock alone does not tell that: it may have been
//! ahead or behind in either life. What is known:
//!
//! | the journal's last life | has passed since its last record |
//! | --- | --- |
//! | ran since the same boot | what the machine's clock since boot says, suspend included: exact |
//! | ran before this boot, or on another machine | at most the time since this boot, and at most what the wall clock says |
//! | is not known, for lack of a boot id | at most what the wall clock says |
//!
//! "At most" is taken for all: a machine that was off counts as off for no time. Too little is the
//! safe error: an id is remembered a while longer, at most for one more window, and a message
//! ages a while later. Of a wall clock that went back, nothing is taken.
//!
//! ```text
//! segment header: boot id, engine's own time less time since boot      (the same in all lives of a boot)
//! ```

use std::fs;

/// This start of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Boot {
    /// The system's random id of it; zero: not known.
    pub id: u128,
    /// Time since then, suspend included, in us.
    pub age_us: u64,
}

impl Boot {
    /// Asks the system.
    #[must_use]
    pub fn read() -> Self {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let age = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Self {
            id: u128::from_str_radix(&id.trim().replace('-', ""), 16).unwrap_or(0),
            age_us: micros(age),
        }
    }
}

pub(super) fn micros(time: rustix::time::Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_nsec / 1_000).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(micros)
}

/// What ties the engine's own time to a start of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BootTie {
    /// The id of the boot; zero: there is no tie.
    pub boot: u128,
    /// The engine's own time less the time since boot, in us.
    pub offset_us: i64,
}

impl BootTie {
    /// The tie of an engine whose own time is `steady_us` now.
    #[must_use]
    pub fn new(boot: Boot, steady_us: u64) -> Self {
        Self {
            boot: boot.id,
            offset_us: steady_us.wrapping_sub(boot.age_us).cast_signed(),
        }
    }
}

/// What a journal says of the time at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Past {
    /// The engine's own time when the last message was recorded, in us; zero: none was.
    pub steady_us: u64,
    /// The wall clock of the last batch, in us since the epoch.
    pub wall_us: u64,
    /// The latest tie.
    pub tie: BootTie,
}

impl Past {
    /// Where the engine's own time goes on, in us. A new journal's begins at the wall clock.
    #[must_use]
    pub fn goes_on_at(&self, boot: Boot, wall_us: u64) -> u64 {
        if self.steady_us == 0 {
            return wall_us;
        }
        if self.tie.boot == boot.id && boot.id != 0 {
            let now_us = boot.age_us.wrapping_add_signed(self.tie.offset_us);
            return now_us.max(self.steady_us);
        }
        let by_wall_us = wall_us.saturating_sub(self.wall_us);
        let is_known = boot.id != 0 && self.tie.boot != 0;
        let by_boot_us = if is_known { boot.age_us } else { u64::MAX };
        self.steady_us.saturating_add(by_wall_us.min(by_boot_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: u64 = 3_600_000_000;
    const WALL_US: u64 = 1_700_000_000_000_000;

    fn boot(id: u128, age_us: u64) -> Boot {
        Boot { id, age_us }
    }

    /// Of a life that began 10 s after boot 7, and recorded its last message an hour later.
    fn past(wall_us: u64) -> Past {
        let steady_us = WALL_US + HOUR_US;
        Past {
            steady_us,
            wall_us,
            tie: BootTie::new(boot(7, 10_000_000), WALL_US),
        }
    }

    #[test]
    fn within_a_boot_exactly_what_passed_has_passed_whatever_the_wall_clocks_say() {
        let now = boot(7, 10_000_000 + 2 * HOUR_US);
        for wall_us in [0, WALL_US, 99 * WALL_US] {
            for wall_now_us in [0, WALL_US, 99 * WALL_US] {
                let steady_us = past(wall_us).goes_on_at(now, wall_now_us);
                assert_eq!(steady_us, WALL_US + 2 * HOUR_US);
            }
        }
    }

    #[test]
    fn across_boots_no_more_has_passed_than_both_clocks_say() {
        let up = |age_us, wall_now_us| past(WALL_US).goes_on_at(boot(8, age_us), wall_now_us);
        let last_us = past(0).steady_us;
        assert_eq!(
            up(40, WALL_US + HOUR_US),
            last_us + 40,
            "it was off for an hour"
        );
        assert_eq!(up(40, 2 * WALL_US), last_us + 40, "its clock was behind");
        assert_eq!(up(40, WALL_US - HOUR_US), last_us, "its clock was ahead");
        assert_eq!(
            up(99 * HOUR_US, WALL_US + 5),
            last_us + 5,
            "another machine's"
        );
    }

    #[test]
    fn without_boot_ids_the_wall_clock_is_all_there_is() {
        let unknown = |wall_us| past(WALL_US).goes_on_at(boot(0, 40), wall_us);
        assert_eq!(unknown(WALL_US + HOUR_US), past(0).steady_us + HOUR_US);
        assert_eq!(unknown(WALL_US - HOUR_US), past(0).steady_us);
    }

    #[test]
    fn a_new_journal_s_time_begins_at_the_wall_clock() {
        assert_eq!(Past::default().goes_on_at(boot(7, 5), WALL_US), WALL_US);
    }

    #[test]
    fn this_machine_was_started() {
        let boot = Boot::read();
        assert!(boot.age_us > 0 && boot.age_us <= Boot::read().age_us);
        assert_eq!(boot.id, Boot::read().id);
    }
}
