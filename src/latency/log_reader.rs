//! Reads HdrHistogram interval logs (`.hlog`), of this engine or of any HdrHistogram tool, and adds
//! their intervals up by tag.
//!
//! The `histogram` command feeds it with text. It opens no file, and trusts none; `log_lines` takes the
//! lines apart.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

pub(crate) use super::log_lines::{Entry, each_entry};
pub use super::log_lines::{HlogError, UNTAGGED};
use crate::limits::LATENCY_COUNTS_MAX;

/// The histograms of one or more logs, by tag.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistogramLog {
    by_tag: BTreeMap<String, Histogram<u64>>,
    intervals: usize,
    /// Counts of all histograms, empty or not.
    counts: usize,
    /// From the first line's beginning to the last one's end, those that were left out included.
    extent_us: Option<(u64, u64)>,
    /// The last line has no end: the writer was killed, or is writing it now.
    torn: bool,
}

impl HistogramLog {
    /// Reads a log. A last line that was cut off is left out; [`HistogramLog::is_torn`] tells.
    ///
    /// # Errors
    /// It is another kind of file, or damaged before its last line.
    pub fn parse(text: &str) -> Result<Self, HlogError> {
        Self::parse_some(text, |_| true)
    }

    /// Reads those lines of a log that are wanted.
    ///
    /// # Errors
    /// As [`HistogramLog::parse`].
    pub(crate) fn parse_some(
        text: &str,
        is_wanted: impl Fn(&Entry<'_>) -> bool,
    ) -> Result<Self, HlogError> {
        let mut log = Self::default();
        log.torn = each_entry(text, |entry| {
            log.extent_us = join(log.extent_us, Some((entry.start_us, entry.end_us())));
            if !is_wanted(entry) {
                return Ok(());
            }
            log.intervals += 1;
            log.add(entry.tag, entry.histogram()?)
                .map_err(|why| entry.refused(why))
        })?;
        Ok(log)
    }

    fn add(&mut self, tag: &str, histogram: Histogram<u64>) -> Result<(), String> {
        let before = self.by_tag.get(tag).map_or(Some(0), total);
        let sum = before.zip(total(&histogram));
        if sum.is_none_or(|(before, more)| before.checked_add(more).is_none()) {
            return Err("its counts add up to more than 64 bits hold".to_owned());
        }
        match self.by_tag.get_mut(tag) {
            Some(sum) => {
                self.counts -= sum.distinct_values();
                sum.add(histogram).map_err(|it| it.to_string())?;
                self.counts += sum.distinct_values();
            }
            None => {
                let mut histogram = histogram;
                // Another log's histograms may reach further.
                histogram.auto(true);
                self.counts += histogram.distinct_values();
                self.by_tag.insert(tag.to_owned(), histogram);
            }
        }
        match self.counts {
            0..=LATENCY_COUNTS_MAX => Ok(()),
            _ => Err("all tags together have more counts than fit into memory".to_owned()),
        }
    }

    /// Adds the intervals of another log: of the next file of a run, say.
    ///
    /// # Errors
    /// The values of one tag do not fit into one histogram.
    pub fn merge(&mut self, other: Self) -> Result<(), String> {
        for (tag, histogram) in other.by_tag {
            self.add(&tag, histogram)
                .map_err(|why| format!("{tag}: {why}"))?;
        }
        self.intervals += other.intervals;
        self.extent_us = join(self.extent_us, other.extent_us);
        self.torn |= other.torn;
        Ok(())
    }

    /// The tags with their histograms, in the order of the tags.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &Histogram<u64>)> {
        self.by_tag.iter().map(|(tag, it)| (tag.as_str(), it))
    }

    /// The sum of a tag's intervals.
    #[must_use]
    pub fn histogram(&self, tag: &str) -> Option<&Histogram<u64>> {
        self.by_tag.get(tag)
    }

    /// How many lines held a histogram.
    #[must_use]
    pub fn intervals(&self) -> usize {
        self.intervals
    }

    /// From the first line's beginning to the last one's end, in us as [`Entry`] has them; `None`: there
    /// are no lines.
    pub(crate) fn extent_us(&self) -> Option<(u64, u64)> {
        self.extent_us
    }

    /// Whether a last line was cut off and left out.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.torn
    }
}

/// All counts together, as whoever draws or prints adds them up; `None`: more than 64 bits hold.
fn total(histogram: &Histogram<u64>) -> Option<u64> {
    let mut counts = histogram.iter_recorded().map(|bin| bin.count_at_value());
    counts.try_fold(0_u64, |sum, count| sum.checked_add(count))
}

/// The time that covers both.
fn join(one: Option<(u64, u64)>, other: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match (one, other) {
        (Some((start, end)), Some((from, until))) => Some((start.min(from), end.max(until))),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use proptest::prelude::*;

    use super::*;
    use crate::latency::bins;
    use crate::latency::encodings::{HEADER_LEN, V2_COOKIE};
    use crate::latency::hlog::{HlogEncoder, Span};
    use crate::latency::log_lines::unpack;

    fn span(second: u64) -> Span {
        Span {
            start: Duration::from_secs(second),
            length: Duration::from_secs(1),
        }
    }

    fn histogram(values: &[u64]) -> Histogram<u64> {
        let mut histogram = bins::histogram();
        values.iter().for_each(|&it| histogram.record(it).unwrap());
        histogram
    }

    fn written(lines: &[(&str, &[u64])]) -> String {
        let mut encoder = HlogEncoder::default();
        let mut text = encoder.header(UNIX_EPOCH);
        for ((tag, values), second) in lines.iter().zip(0..) {
            text.extend(encoder.line(tag, span(second), &histogram(values)));
        }
        String::from_utf8(text).unwrap()
    }

    /// As jHiccup begins its logs.
    const OTHERS: &str = "\
#[Logged with jHiccup version 2.0.3-SNAPSHOT]
#[Histogram log format version 1.01]
#[StartTime: 1403476110.183 (seconds since epoch), Sun Jun 22 15:28:30 PDT 2014]
\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"
";

    #[test]
    fn intervals_are_added_up_by_tag() {
        let text = written(&[("a", &[1_000, 2_000]), ("b", &[5]), ("a", &[9_000_000])]);
        let mut log = HistogramLog::parse(&text).unwrap();
        assert_eq!(
            log.histogram("a"),
            Some(&histogram(&[1_000, 2_000, 9_000_000]))
        );
        assert_eq!(log.histogram("b").unwrap().len(), 1);
        assert_eq!((log.intervals(), log.is_torn()), (3, false));
        log.merge(HistogramLog::parse(&written(&[("b", &[7]), ("c", &[8])])).unwrap())
            .unwrap();
        let tags: Vec<_> = log.tags().map(|(tag, it)| (tag, it.len())).collect();
        assert_eq!(tags, [("a", 3), ("b", 2), ("c", 1)]);
    }

    #[test]
    fn logs_of_other_precision_and_range_are_added() {
        let mut wide = Histogram::<u64>::new_with_bounds(1, 1_000_000_000_000_000, 3).unwrap();
        wide.record(900_000_000_000_000).unwrap();
        let line = |it: &Histogram<u64>| {
            let line = HlogEncoder::default().line("a", span(0), it);
            String::from_utf8(line).unwrap().replace("Tag=a,", "")
        };
        let text = format!("{OTHERS}{}\r\n{}", line(&histogram(&[1_000])), line(&wide));
        let log = HistogramLog::parse(&text).unwrap();
        let sum = log.histogram(UNTAGGED).unwrap();
        assert_eq!(sum.len(), 2);
        assert!(sum.max() > 890_000_000_000_000, "{}", sum.max());
    }

    #[test]
    fn a_log_cut_anywhere_loses_its_last_line_only() {
        let text = written(&[("a", &[1_000]), ("b", &[2_000])]);
        for end in 0..text.len() {
            let log = HistogramLog::parse(&text[..end]).unwrap();
            let whole = text[..end].lines().filter(|it| it.starts_with("Tag="));
            let torn = !text[..end].is_empty() && !text[..end].ends_with('\n');
            let lines = whole.count();
            let cut = usize::from(torn && text[..end].lines().last().unwrap().starts_with("Tag="));
            assert_eq!(
                (log.intervals(), log.is_torn()),
                (lines - cut, torn),
                "{end}"
            );
        }
    }

    #[test]
    fn tags_that_claim_more_than_fits_into_memory_are_refused() {
        let mut encoder = HlogEncoder::default();
        let exact = Histogram::<u64>::new_with_bounds(1, u64::MAX, 5).unwrap();
        let lines = LATENCY_COUNTS_MAX / exact.distinct_values() + 1;
        let text: Vec<_> = (0..lines)
            .flat_map(|it| encoder.line(&it.to_string(), span(0), &exact))
            .collect();
        let error = HistogramLog::parse(&String::from_utf8(text).unwrap());
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains(&format!("line {lines}")) && error.contains("memory"),
            "{error}"
        );
    }

    #[test]
    fn damage_is_named_by_its_line() {
        let good = written(&[("a", &[1_000]), ("b", &[2_000])]);
        let noise = good.replacen("Tag=a,0.000", "Tag=a,zero", 1);
        assert_eq!(
            HistogramLog::parse(&noise),
            Err(HlogError::Line { line: 6 })
        );
        let noise = good.replacen("HIST", "HI!T", 1);
        let error = HistogramLog::parse(&noise).unwrap_err().to_string();
        assert!(
            error.contains("line 6") && error.contains("base64"),
            "{error}"
        );
        let old = good.replacen("HIST", "AIST", 1);
        let error = HistogramLog::parse(&old).unwrap_err().to_string();
        assert!(error.contains("encoding"), "{error}");
        assert!(HistogramLog::parse("hello\nworld\n").is_err());
    }

    proptest! {
        #[test]
        fn hostile_histograms_are_refused_or_read_but_never_panic(
            mut plain in proptest::collection::vec(any::<u8>(), 40..80),
            digits in 0..8_u8,
            deflated in any::<bool>(),
        ) {
            plain[..4].copy_from_slice(&V2_COOKIE.to_be_bytes());
            let counts = plain.len() as u32 - HEADER_LEN as u32;
            plain[4..8].copy_from_slice(&counts.to_be_bytes());
            plain[8..15].fill(0);
            plain[15] = digits;
            // Values from 1 to something that fits into memory, and no scaling.
            plain[16..24].copy_from_slice(&1_u64.to_be_bytes());
            plain[24..29].fill(0);
            plain[32..40].copy_from_slice(&1_f64.to_be_bytes());
            let mut bytes = plain.clone();
            if deflated {
                let mut encoder =
                    flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                std::io::Write::write_all(&mut encoder, &plain).unwrap();
                bytes = (V2_COOKIE + 1).to_be_bytes().to_vec();
                bytes.extend([0; 4]);
                bytes.extend(encoder.finish().unwrap());
            }
            let _ = unpack(&BASE64.encode(&bytes));
        }
    }
}
