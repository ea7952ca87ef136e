//! `--since` and `--until`: which intervals of the logs are wanted.

use jiff::Timestamp;

use crate::cli::{Failure, moment};
use crate::latency::log_reader::Entry;
use crate::latency::readable_time;

/// A time, in us since the epoch. An interval is in it if a part of it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Period {
    pub(super) since_us: Option<u64>,
    pub(super) until_us: Option<u64>,
}

impl Period {
    /// Reads what the user wrote.
    pub(super) fn parse(
        since: Option<&str>,
        until: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let us = |name: &str, text: Option<&str>| {
            let moment = text.map(|it| moment::parse(it, now)).transpose();
            let moment = moment.map_err(|why| Failure::Usage(format!("--{name}: {why}")))?;
            Ok::<_, Failure>(moment.map(|it| u64::try_from(it.as_microsecond()).unwrap_or(0)))
        };
        let (since_us, until_us) = (us("since", since)?, us("until", until)?);
        match (since_us, until_us) {
            (Some(since), Some(until)) if since >= until => {
                let words = "--since is not before --until: nothing can be between them";
                Err(Failure::Usage(words.to_owned()))
            }
            _ => Ok(Self { since_us, until_us }),
        }
    }

    /// Whether anything is left out.
    pub(super) fn is_bounded(self) -> bool {
        self.since_us.is_some() || self.until_us.is_some()
    }

    pub(super) fn includes(self, entry: &Entry<'_>) -> bool {
        self.since_us.is_none_or(|since| entry.end_us() > since)
            && self.until_us.is_none_or(|until| entry.start_us < until)
    }

    /// Nothing was in it; the logs have another time.
    pub(super) fn missed((start_us, end_us): (u64, u64)) -> Failure {
        let [start, end] = [start_us, end_us].map(|it| readable_time(it, true));
        Failure::Failed(format!(
            "the logs have nothing of that time; they go from {start} to {end}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_so_long_ago() {
        let now = Timestamp::from_second(1_700_000_000).expect("a moment");
        let period = Period::parse(Some("10m"), Some("2023-11-14T22:13:00Z"), now).expect("times");
        assert_eq!(period.since_us, Some(1_699_999_400_000_000));
        assert_eq!(period.until_us, Some(1_699_999_980_000_000));
        let wrong = Period::parse(Some("1m"), Some("2m"), now).expect_err("in the wrong order");
        assert_eq!(wrong.exit_code(), 2);
        let wrong = Period::parse(Some("then"), None, now).expect_err("no time");
        assert!(
            wrong.to_string().starts_with("--since: write a time"),
            "{wrong}"
        );
    }
}
