//! The lines of an interval log (`.hlog`), one by one: tag, time, and the histogram still packed.
//!
//! `log_reader` and `timeline` feed it with text and take the lines that they want. It adds nothing
//! up; the histograms' own bytes are the business of `encodings`.
//!
//! ```text
//! #[StartTime: 1790000000.250 (seconds since epoch)]     both are optional
//! #[BaseTime: 1790000000.250 (seconds since epoch)]      timestamps count from here
//! Tag=total,10.001,10.000,1003519.000,HISTFAAAAEV42p...
//! ```

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry, LogIteratorError};

use super::encodings::as_v2;

/// What lines without a tag are called here.
pub const UNTAGGED: &str = "untagged";

/// Timestamps this far before StartTime count from it; others are times of their own. It is what the
/// Java library does where a log has no BaseTime.
const RELATIVE: Duration = Duration::from_secs(365 * 24 * 3600);

/// The text is no interval log, or a damaged one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HlogError {
    /// A line is neither comment, legend nor interval.
    #[error(
        "line {line} is no line of an HdrHistogram interval log \
         (Tag=TAG,start,length,max,histogram)"
    )]
    Line {
        /// From 1.
        line: usize,
    },
    /// An interval's histogram cannot be unpacked.
    #[error("the histogram in line {line} cannot be read: {why}")]
    Histogram {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// A line that has a histogram.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) tag: &'a str,
    /// In us since the epoch; where the log does not say when it began, since then.
    pub(crate) start_us: u64,
    pub(crate) length_us: u64,
    line: usize,
    packed: &'a str,
}

impl Entry<'_> {
    /// Its last moment.
    pub(crate) fn end_us(&self) -> u64 {
        self.start_us.saturating_add(self.length_us)
    }

    /// What was measured in this time.
    pub(crate) fn histogram(&self) -> Result<Histogram<u64>, HlogError> {
        unpack(self.packed).map_err(|why| self.refused(why))
    }

    /// The histogram is not to be used.
    pub(crate) fn refused(&self, why: String) -> HlogError {
        let line = self.line;
        HlogError::Histogram { line, why }
    }
}

/// Passes on each line that has a histogram. Returns whether a last line was cut off; it is left out.
pub(crate) fn each_entry(
    text: &str,
    mut take: impl FnMut(&Entry<'_>) -> Result<(), HlogError>,
) -> Result<bool, HlogError> {
    let text = text.trim_start_matches('\u{feff}');
    let (whole, rest) = match text.rfind('\n') {
        Some(last) => text.split_at(last + 1),
        None => ("", text),
    };
    let mut clock = LogClock::default();
    let lines = whole.lines().zip(1..);
    for (text, line) in lines.filter(|(text, _)| !text.trim().is_empty()) {
        let text = format!("{text}\n");
        for entry in IntervalLogIterator::new(text.as_bytes()) {
            match entry.map_err(|LogIteratorError::ParseError { .. }| HlogError::Line { line })? {
                LogEntry::StartTime(at) => clock.start = Some(at),
                LogEntry::BaseTime(at) => clock.base = Some(at),
                LogEntry::Interval(interval) => take(&Entry {
                    tag: interval.tag().map_or(UNTAGGED, |it| it.as_str()),
                    start_us: clock.us(interval.start_timestamp()),
                    length_us: us(interval.duration()),
                    line,
                    packed: interval.encoded_histogram(),
                })?,
            }
        }
    }
    Ok(!rest.trim().is_empty())
}

/// What a log says of its time.
#[derive(Debug, Default)]
struct LogClock {
    start: Option<Duration>,
    base: Option<Duration>,
}

impl LogClock {
    fn us(&self, timestamp: Duration) -> u64 {
        let base = match (self.base, self.start) {
            (Some(base), _) => base,
            (None, Some(start)) if timestamp.saturating_add(RELATIVE) < start => start,
            (None, _) => Duration::ZERO,
        };
        us(base.saturating_add(timestamp))
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn unpack(encoded: &str) -> Result<Histogram<u64>, String> {
    let bytes = BASE64
        .decode(encoded.trim())
        .map_err(|it| format!("it is not base64: {it}"))?;
    let plain = as_v2(bytes)?;
    Deserializer::new()
        .deserialize(&mut plain.as_slice())
        .map_err(|it| it.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(head: &str, timestamps: [&str; 2]) -> Vec<u64> {
        let lines = timestamps.map(|it| format!("{it},1.500,0.0,HISTFAAA\n"));
        let mut starts = Vec::new();
        let torn = each_entry(&(head.to_owned() + &lines.concat()), |it| {
            assert_eq!(it.end_us(), it.start_us + 1_500_000);
            starts.push(it.start_us);
            Ok(())
        });
        assert_eq!(torn, Ok(false));
        starts
    }

    #[test]
    fn times_count_from_what_the_log_says() {
        let (base, start) = ("#[BaseTime: 2000.5 ", "#[StartTime: 1403476110.183 ");
        let [base, start] = [base, start].map(|it| it.to_owned() + "(seconds since epoch)]\n");
        assert_eq!(
            starts(&base, ["1.0", "2.0"]),
            [2_001_500_000, 2_002_500_000]
        );
        let both = format!("{start}{base}");
        assert_eq!(starts(&both, ["1.0", "2.0"])[0], 2_001_500_000);
        let from_start = 1_403_476_110_183_000;
        assert_eq!(starts(&start, ["0.0", "1.0"])[1], from_start + 1_000_000);
        let own = ["1403476111.0", "1403476112.0"];
        assert_eq!(starts(&start, own)[0], 1_403_476_111_000_000);
        assert_eq!(starts("", ["0.0", "1.0"]), [0, 1_000_000]);
    }
}
