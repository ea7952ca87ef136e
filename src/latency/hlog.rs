//! The HdrHistogram interval log (`.hlog`), as the Java library's `HistogramLogWriter` writes it and
//! its kin read it: its first lines, and a line a histogram.
//!
//! `interval_log` and the HTTP rooms feed it with histograms. It opens no file; what is read
//! back is `log_reader`'s business.
//!
//! ```text
//! #[Histogram log format version 1.3]
//! #[Values and Interval_Max are nanoseconds]
//! #[StartTime: 1790000000.250 (seconds since epoch)]
//! #[BaseTime: 1790000000.250 (seconds since epoch)]
//! "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
//! Tag=total,10.001,10.000,1003519.000,HISTFAAAAEV42pNpmSzMwMCg...
//! Tag=total-level1,10.001,10.000,...
//! ```
//!
//! Timestamps are seconds since BaseTime by a clock that never jumps; the histogram is base64 of the
//! crate's V2 encoding, deflated.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

const VERSION: &str = "[Histogram log format version 1.3]";
const UNITS: &str = "[Values and Interval_Max are nanoseconds]";
const LEGEND: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// A time within a run: when it began, since BaseTime, and how long it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Since BaseTime.
    pub start: Duration,
    /// How long.
    pub length: Duration,
}

/// Turns histograms of nanoseconds into lines; keeps its buffers.
#[derive(Default)]
pub struct HlogEncoder {
    serializer: V2DeflateSerializer,
}

impl HlogEncoder {
    /// The first lines of a log whose timestamps count from `base`.
    #[must_use]
    pub fn header(&mut self, base: SystemTime) -> Vec<u8> {
        let mut text = Vec::new();
        let written = IntervalLogWriterBuilder::new()
            .add_comment(VERSION)
            .add_comment(UNITS)
            .with_start_time(base)
            .with_base_time(base)
            .begin_log_with(&mut text, &mut self.serializer)
            .map(drop);
        written.expect("a Vec takes everything");
        text.extend_from_slice(LEGEND.as_bytes());
        text
    }

    /// The line of one histogram.
    ///
    /// # Panics
    /// `tag` has a comma, a space or the end of a line in it, or a count is beyond 63 bits: bugs.
    #[must_use]
    pub fn line(&mut self, tag: &str, span: Span, histogram: &Histogram<u64>) -> Vec<u8> {
        let mut text = Vec::new();
        let tag = Tag::new(tag).expect("names of views are made without what divides columns");
        let written = IntervalLogWriterBuilder::new()
            .begin_log_with(&mut text, &mut self.serializer)
            .map(|mut log| log.write_histogram(histogram, span.start, span.length, Some(tag)));
        let written = written.expect("a Vec takes everything");
        written.expect("a Vec takes everything, and no count comes near 63 bits");
        text
    }
}

impl std::fmt::Debug for HlogEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HlogEncoder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::latency::bins;

    #[test]
    fn a_log_has_the_lines_that_the_java_library_writes() {
        let mut encoder = HlogEncoder::default();
        let base = UNIX_EPOCH + Duration::from_millis(1_790_000_000_250);
        let header = String::from_utf8(encoder.header(base)).unwrap();
        let expected = "\
#[Histogram log format version 1.3]
#[Values and Interval_Max are nanoseconds]
#[StartTime: 1790000000.250 (seconds since epoch)]
#[BaseTime: 1790000000.250 (seconds since epoch)]
\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"
";
        assert_eq!(header, expected);
        let mut histogram = bins::histogram();
        histogram.record(1_000_000).unwrap();
        let span = Span {
            start: Duration::from_millis(10_001),
            length: Duration::from_secs(10),
        };
        let line = String::from_utf8(encoder.line("total-level1", span, &histogram)).unwrap();
        // "HIST" is how base64 of the cookie begins; other readers tell the encoding by it.
        let begins = "Tag=total-level1,10.001,10.000,1003519.000,HIST";
        assert!(line.starts_with(begins) && line.ends_with('\n'), "{line}");
        assert_eq!(line.matches('\n').count(), 1);
    }
}
