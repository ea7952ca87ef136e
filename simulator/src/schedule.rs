//! When lines are due: at a human pace, at a rate, or at once.
//!
//! `stream` asks it for the next line that is due by now. It never sleeps and reads no clock. At a
//! rate it is open loop: a line is due when the rate says so, whether or not the peer kept up, so a
//! slow peer gets late lines with early timestamps, never fewer lines.

const MS: u64 = 1_000_000;
const SECOND: f64 = 1e9;

/// How fast one server makes lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// One to three orders, 0.1 to 0.5 s apart, every 1 to 3 s; it rests while nobody is connected.
    Human,
    /// Open loop, from the first connection on: the schedule goes on through slow and lost
    /// connections.
    Rate {
        /// Lines a second, on average.
        per_second: f64,
        /// Lines due at the same moment; 1 spreads them evenly.
        burst: u32,
    },
    /// As fast as the peer takes them.
    FlatOut,
}

/// One server's timetable. Times are ns since the epoch.
#[derive(Debug)]
pub(crate) struct Schedule {
    pace: Pace,
    due_ns: u64,
    /// Lines due at `due_ns` (at a rate), or left in this group of orders (human).
    left: u32,
    /// At a rate: when it began, and ticks passed since.
    origin_ns: Option<u64>,
    ticks: u64,
    rng: fastrand::Rng,
}

impl Schedule {
    pub(crate) fn new(pace: Pace, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed ^ 0x7363_6865_6475_6c65);
        Self {
            pace,
            due_ns: 0,
            left: 0,
            origin_ns: None,
            ticks: 0,
            rng,
        }
    }

    /// Somebody is there: a rate begins at the first connection, a human pace afresh at each.
    pub(crate) fn connected(&mut self, now_ns: u64) {
        match self.pace {
            Pace::Human => {
                self.left = self.rng.u32(1..=3);
                self.due_ns = now_ns + self.gap_ns();
            }
            Pace::Rate { burst, .. } if self.origin_ns.is_none() => {
                self.origin_ns = Some(now_ns);
                self.due_ns = now_ns;
                self.left = burst;
            }
            Pace::Rate { .. } | Pace::FlatOut => {}
        }
    }

    /// Takes the next line due by now; gives the time at which it was due.
    #[inline]
    pub(crate) fn take(&mut self, now_ns: u64) -> Option<u64> {
        if self.pace == Pace::FlatOut {
            return Some(now_ns);
        }
        if self.due_ns > now_ns {
            return None;
        }
        let due_ns = self.due_ns;
        self.left -= 1;
        if self.left == 0 {
            self.next_tick();
        } else if self.pace == Pace::Human {
            self.due_ns += self.gap_ns();
        }
        Some(due_ns)
    }

    /// When the next line is due: in the past where the peer is behind.
    pub(crate) fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// Computed from the origin, not added up: no rounding error grows over months.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and below 2^53 ns: a hundred days at full precision"
    )]
    fn next_tick(&mut self) {
        if let Pace::Rate { per_second, burst } = self.pace {
            self.ticks += 1;
            let since = self.ticks as f64 * f64::from(burst) * SECOND / per_second;
            self.due_ns = self.origin_ns.unwrap_or(0) + since as u64;
            self.left = burst;
        } else {
            self.due_ns += self.rng.u64(1_000..=3_000) * MS;
            self.left = self.rng.u32(1..=3);
        }
    }

    fn gap_ns(&mut self) -> u64 {
        self.rng.u64(100..=500) * MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: u64 = 1_693_123_456_789_000_000;

    fn started(pace: Pace) -> Schedule {
        let mut schedule = Schedule::new(pace, 1);
        schedule.connected(T0);
        schedule
    }

    fn take_all(schedule: &mut Schedule, now_ns: u64) -> Vec<u64> {
        std::iter::from_fn(|| schedule.take(now_ns)).collect()
    }

    #[test]
    fn a_rate_spreads_its_lines_evenly_and_keeps_the_mean() {
        let mut schedule = started(Pace::Rate {
            per_second: 1_000.0,
            burst: 1,
        });
        let dues = take_all(&mut schedule, T0 + 10_000 * MS - 1);
        assert_eq!(dues.len(), 10_000);
        assert!(
            dues.iter()
                .enumerate()
                .all(|(n, due)| *due == T0 + n as u64 * MS)
        );
    }

    #[test]
    fn a_peer_that_was_slow_or_away_does_not_move_the_schedule() {
        let mut steady = started(Pace::Rate {
            per_second: 333.0,
            burst: 1,
        });
        let mut late = started(Pace::Rate {
            per_second: 333.0,
            burst: 1,
        });
        let by_steps: Vec<u64> = (0..5_000)
            .flat_map(|ms| take_all(&mut steady, T0 + ms * MS))
            .collect();
        late.connected(T0 + 4_000 * MS);
        assert_eq!(take_all(&mut late, T0 + 4_999 * MS), by_steps);
    }

    #[test]
    fn a_burst_comes_at_once_and_keeps_the_mean() {
        let mut schedule = started(Pace::Rate {
            per_second: 1_000.0,
            burst: 50,
        });
        assert_eq!(take_all(&mut schedule, T0), vec![T0; 50]);
        assert_eq!(schedule.due_ns(), T0 + 50 * MS);
        assert_eq!(take_all(&mut schedule, T0 + 1_000 * MS - 1).len(), 950);
    }

    #[test]
    fn flat_out_is_always_due_now() {
        let mut schedule = started(Pace::FlatOut);
        assert_eq!(
            [schedule.take(T0), schedule.take(T0 + 5)],
            [Some(T0), Some(T0 + 5)]
        );
    }

    #[test]
    fn the_human_pace_keeps_its_bounds() {
        let mut schedule = started(Pace::Human);
        let dues = take_all(&mut schedule, T0 + 600_000 * MS);
        assert!((T0 + 100 * MS..=T0 + 500 * MS).contains(&dues[0]));
        let mut group = 1;
        for pair in dues.windows(2) {
            let gap_ms = (pair[1] - pair[0]) / MS;
            assert!((100..=500).contains(&gap_ms) || (1_000..=3_000).contains(&gap_ms));
            group = if gap_ms >= 1_000 { 1 } else { group + 1 };
            assert!(group <= 3);
        }
        let per_minute = dues.len() / 10;
        assert!(
            (30..=60).contains(&per_minute),
            "{per_minute} orders a minute"
        );
    }

    #[test]
    fn the_human_pace_rests_while_nobody_is_connected() {
        let mut schedule = started(Pace::Human);
        schedule.connected(T0 + 3_600_000 * MS);
        assert!(take_all(&mut schedule, T0 + 3_600_000 * MS).is_empty());
    }
}
