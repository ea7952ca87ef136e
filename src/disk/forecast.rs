//! How long the disk lasts at the present pace, while an engine runs.
//!
//! ```text
//! samples   |-- 30 s --|-- 30 s --| ... |          the pace is that between the oldest and the newest
//!           oldest, 10 minutes before              newest
//! ```
//! The monitor asks it each tick; it samples when it is time. A core over sizes and the time; only
//! [`Forecast::sample_if_due`] looks at the disk.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Limits, Paces, Sizes};
use crate::config::Config;
use crate::limits::{DISK_SAMPLE_INTERVAL, DISK_SAMPLES_MAX};

/// The last samples, and what they say.
#[derive(Debug)]
pub(crate) struct Forecast {
    config: Config,
    samples: VecDeque<(Duration, Sizes)>,
}

/// What the samples say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outlook {
    pub(crate) sizes: Sizes,
    /// `None`: there is one sample only.
    pub(crate) pace: Option<Pace>,
}

/// How fast the parts have grown, and over what time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    pub(crate) by_part: Paces,
    pub(crate) over: Duration,
    /// Until nothing is free; `None`: never.
    pub(crate) lasts_seconds: Option<f64>,
}

impl Forecast {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            config: config.clone(),
            samples: VecDeque::new(),
        }
    }

    /// Takes a sample where it is time, so long after the start; what is known then.
    pub(crate) fn sample_if_due(&mut self, now: Duration) -> Option<Outlook> {
        let last = self.samples.back();
        if last.is_some_and(|it| now.saturating_sub(it.0) < DISK_SAMPLE_INTERVAL) {
            return None;
        }
        let sizes = Sizes::now(&self.config)?;
        Some(self.note(now, sizes))
    }

    fn note(&mut self, now: Duration, sizes: Sizes) -> Outlook {
        if self.samples.len() == DISK_SAMPLES_MAX {
            self.samples.pop_front();
        }
        let oldest = self.samples.front().copied();
        self.samples.push_back((now, sizes));
        let pace = oldest.map(|(then, before)| {
            let over = now.saturating_sub(then);
            let by_part = Paces::between(&before, &sizes, over.as_secs_f64());
            let hours = by_part.hours(&sizes, &Limits::of(&self.config));
            Pace {
                by_part,
                over,
                lasts_seconds: hours.map(|it| it * 3600.0),
            }
        });
        Outlook { sizes, pace }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::sizes;
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_pace_is_that_of_the_last_samples_and_says_how_long_the_rest_lasts() {
        let mut forecast = Forecast::new(&Config::default());
        let at = |n: u64| DISK_SAMPLE_INTERVAL * n as u32;
        assert_eq!(forecast.note(at(0), sizes(0, 900 * MIB)).pace, None);
        let seconds = DISK_SAMPLE_INTERVAL.as_secs();
        let outlook = forecast.note(at(1), sizes(seconds * MIB, 600 * MIB));
        let pace = outlook.pace.expect("there are two");
        assert_eq!(pace.by_part.store, MIB as f64);
        let lasts = pace.lasts_seconds.expect("the store has no limit");
        assert!((599.9..600.1).contains(&lasts), "{lasts}");
        let still = sizes(seconds * MIB, 600 * MIB);
        for n in 2..=DISK_SAMPLES_MAX as u64 {
            forecast.note(at(n), still);
        }
        let pace = forecast.note(at(99), still).pace.expect("there are many");
        assert_eq!((pace.by_part.store, pace.lasts_seconds), (0.0, None));
    }

    #[test]
    fn the_disk_is_looked_at_now_and_then() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let in_folder = |data_dir| Config {
            data_dir,
            ..Config::default()
        };
        let mut forecast = Forecast::new(&in_folder(home.path().join("absent")));
        assert_eq!(
            forecast.sample_if_due(Duration::ZERO),
            None,
            "not there yet"
        );
        let mut forecast = Forecast::new(&in_folder(home.path().to_owned()));
        let outlook = forecast.sample_if_due(Duration::ZERO).expect("the first");
        assert!(outlook.sizes.free > 0 && outlook.pace.is_none());
        let soon = DISK_SAMPLE_INTERVAL - Duration::from_millis(1);
        assert_eq!(forecast.sample_if_due(soon), None);
        assert!(forecast.sample_if_due(DISK_SAMPLE_INTERVAL).is_some());
    }
}
