//! How fast the parts of the data directory grow, and for how long there is room.

use super::Sizes;
use crate::config::Config;

/// What the settings let the parts take; the store has no limit.
pub(crate) struct Limits {
    pub(crate) journal: u64,
    pub(crate) kept: u64,
    pub(crate) logs: u64,
}

impl Limits {
    pub(crate) fn of(config: &Config) -> Self {
        let (latency, unstored) = (&config.latency, config.store.unstored_max_total);
        Self {
            journal: config.journal.max_bytes,
            kept: config.ingest.rejected_max_total.saturating_add(unstored),
            logs: latency
                .log_max_bytes
                .saturating_mul(latency.log_files as u64),
        }
    }
}

/// Bytes a second, by part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Paces {
    pub(crate) journal: f64,
    pub(crate) store: f64,
    pub(crate) kept: f64,
    pub(crate) logs: f64,
    pub(crate) appended: Option<f64>,
}

impl Paces {
    pub(crate) fn between(before: &Sizes, now: &Sizes, seconds: f64) -> Self {
        let pace = |before: u64, now: u64| (now as f64 - before as f64) / seconds.max(0.001);
        let appended = before.appended.zip(now.appended);
        Self {
            journal: pace(before.journal, now.journal),
            store: pace(before.store, now.store),
            kept: pace(before.kept, now.kept),
            logs: pace(before.logs, now.logs),
            appended: appended.map(|(before, now)| pace(before, now)),
        }
    }

    /// Hours until nothing is free; `None`: never. A part grows up to its limit, and one that
    /// shrinks makes no room for long.
    pub(crate) fn hours(&self, now: &Sizes, limits: &Limits) -> Option<f64> {
        let room = |limit: u64, size: u64| limit.saturating_sub(size) as f64;
        let mut parts = [
            (self.journal, room(limits.journal, now.journal)),
            (self.store, f64::INFINITY),
            (self.kept, room(limits.kept, now.kept)),
            (self.logs, room(limits.logs, now.logs)),
        ];
        let (mut free, mut seconds) = (now.free as f64, 0.0);
        loop {
            let growing = || {
                parts
                    .iter()
                    .filter(|(pace, room)| *pace > 0.0 && *room > 0.0)
            };
            let pace: f64 = growing().map(|it| it.0).sum();
            if pace < 1.0 {
                return None;
            }
            let until_limit = growing().map(|(pace, room)| room / pace);
            let step = until_limit.fold(f64::INFINITY, f64::min);
            if free <= pace * step {
                return Some((seconds + free / pace) / 3600.0);
            }
            seconds += step;
            free -= pace * step;
            for (pace, room) in &mut parts {
                let left = *room - pace.max(0.0) * step;
                // Below a byte it is rounding.
                *room = if left < 1.0 { 0.0 } else { left };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::sizes;
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_part_that_shrinks_is_no_room_for_another() {
        let before = Sizes {
            kept: 5 * GIB,
            ..sizes(GIB, GIB)
        };
        let now = sizes(2 * GIB, 5 * GIB);
        let paces = Paces::between(&before, &now, 1.0);
        let hours = paces.hours(&now, &Limits::of(&Config::default()));
        assert_eq!(hours, Some(5.0 / 3600.0));
        assert!(paces.kept < 0.0);
    }

    #[test]
    fn a_part_grows_to_its_limit_and_the_others_go_on() {
        let mut config = Config::default();
        config.journal.max_bytes = 2 * GIB;
        let limits = Limits::of(&config);
        let before = Sizes {
            journal: GIB - (100 << 20),
            ..sizes(GIB - (10 << 20), 6 * GIB)
        };
        let now = Sizes {
            journal: GIB,
            ..sizes(GIB, 6 * GIB)
        };
        let paces = Paces::between(&before, &now, 1.0);
        // 10.24 s until the journal is full, in which 1.1 GiB go; 4.9 GiB are left to 10 MiB/s.
        let seconds = paces.hours(&now, &limits).expect("the store has no limit") * 3600.0;
        assert!((511.0..513.0).contains(&seconds), "{seconds}");
        let journal_alone = Paces {
            store: 0.0,
            ..paces
        };
        assert_eq!(journal_alone.hours(&now, &limits), None);
    }
}
