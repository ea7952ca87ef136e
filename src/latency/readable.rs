//! Latencies and times as people read them, in tables and in pictures.

use jiff::Timestamp;

use crate::clock::utc;

/// Times before this count from the beginning of a log that does not say when it began, in us: a year.
const RELATIVE_US: u64 = 365 * 24 * 3_600_000_000;

/// Three digits of a latency, and the unit that suits it.
pub(crate) fn readable(us: f64) -> (String, &'static str) {
    let (value, unit) = match us {
        ..1.0 => (us * 1e3, "ns"),
        ..999.5 => (us, "us"),
        ..999_500.0 => (us / 1e3, "ms"),
        _ => (us / 1e6, "s"),
    };
    let digits = match value {
        _ if unit == "ns" => 0,
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    (format!("{value:.digits$}"), unit)
}

/// A time in us since the epoch, in UTC, or since a log's beginning, in seconds. To the second where
/// that tells enough.
pub(crate) fn readable_time(us: u64, to_the_second: bool) -> String {
    if us < RELATIVE_US {
        return match to_the_second {
            true => format!("{}s", us / 1_000_000),
            false => format!("{:.3}s", us as f64 / 1e6),
        };
    }
    if to_the_second {
        return utc(us);
    }
    let time = Timestamp::from_microsecond(us as i64).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_three_digits_and_a_unit() {
        let cases = [
            (0.0, "0 ns"),
            (0.127, "127 ns"),
            (1.023, "1.02 us"),
            (19.7, "19.7 us"),
            (229.4, "229 us"),
            (999.7, "1.00 ms"),
            (5_767.2, "5.77 ms"),
            (250_000.0, "250 ms"),
            (9_568_300.0, "9.57 s"),
            (3_600_000_000.0, "3600 s"),
        ];
        for (us, expected) in cases {
            let (value, unit) = readable(us);
            assert_eq!(format!("{value} {unit}"), expected);
        }
    }

    #[test]
    fn times_are_utc_or_seconds_since_the_beginning() {
        let us = 1_700_000_000_250_000;
        assert_eq!(readable_time(us, true), "2023-11-14T22:13:20Z");
        assert_eq!(readable_time(us, false), "2023-11-14T22:13:20.250Z");
        assert_eq!(readable_time(61_500_000, true), "61s");
        assert_eq!(readable_time(61_500_000, false), "61.500s");
        assert!(readable_time(u64::MAX, true).ends_with('Z'));
    }
}
