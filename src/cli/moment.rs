//! Moments on the command line: `2026-11-22`, `2026-11-22 07:00`, with an offset or `Z` if wanted,
//! or `2h`, so long ago.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config::parse_duration;

/// The moment that is meant; without an offset it is UTC.
///
/// # Errors
/// Says how a moment is written.
pub(super) fn parse(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let hint = || {
        "write a time (UTC), as in \"2026-11-22\" or \"2026-11-22 07:00\", or how long ago, as in \
         \"2h\""
            .to_owned()
    };
    match (parse_duration(text), text.parse::<Timestamp>()) {
        (Ok(ago), _) => now.checked_sub(ago).map_err(|_| hint()),
        (Err(_), Ok(moment)) => Ok(moment),
        (Err(_), Err(_)) => {
            let civil: DateTime = text.parse().map_err(|_| hint())?;
            let zoned = civil.to_zoned(TimeZone::UTC).map_err(|_| hint())?;
            Ok(zoned.timestamp())
        }
    }
}

/// A moment as the tables have it: UTC, to the microsecond.
pub(super) fn show(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_utc_whatever_they_are_written_in() {
        let now = Timestamp::from_second(1_700_000_000).expect("a moment");
        let cases = [
            ("2026-11-22", "2026-11-22T00:00:00Z"),
            ("2026-11-22 07:00", "2026-11-22T07:00:00Z"),
            ("2026-11-22T07:00:01.5Z", "2026-11-22T07:00:01.5Z"),
            ("2026-11-22T07:00:00+02:00", "2026-11-22T05:00:00Z"),
            ("2h", "2023-11-14T20:13:20Z"),
        ];
        for (text, moment) in cases {
            let parsed = parse(text, now).map(|it| it.to_string());
            assert_eq!(parsed.as_deref(), Ok(moment), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "7", "' OR 1=1 --"] {
            assert!(parse(text, now).is_err(), "{text}");
        }
    }
}
