//! A percentile curve, of a histogram or as an `.hgrm` file tells it: of this engine, or of any
//! HdrHistogram tool.
//!
//! The `histogram` command and the HTTP rooms feed it; [`super::plot`] draws it. It opens no file.
//! What the columns of the text mean is drawn in `hgrm`.

use hdrhistogram::Histogram;

use super::bins::max;

/// What is shown of a curve, besides mean and maximum.
pub(crate) const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// One line of the file, or one bin of the histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// The latency, in microseconds.
    pub value_us: f64,
    /// The part of all messages that took this long at most, 0 to 1.
    pub quantile: f64,
    /// How many messages that is.
    pub total: u64,
}

/// A percentile curve: neither value, quantile nor total ever goes down.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Curve {
    /// None for an empty histogram.
    points: Vec<Point>,
    /// In microseconds.
    mean_us: f64,
    max_us: f64,
    count: u64,
}

/// The text is no percentile file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CurveError {
    /// The heading is another one.
    #[error(
        "this is no HdrHistogram percentile file: its first line should name the columns Value, \
         Percentile and TotalCount; take a .hgrm file from data_dir/histograms/"
    )]
    Heading,
    /// A line is neither row nor footer.
    #[error(
        "line {line} is not \"value percentile count\" with none of them going down; write the \
         file again"
    )]
    Row {
        /// From 1.
        line: usize,
    },
    /// The rows and the last lines do not belong together, or these are missing.
    #[error("the last lines (Mean, Max, Total count) are missing or wrong: the file was cut off")]
    Footer,
}

impl Curve {
    /// The curve of a histogram whose values are of a unit of so many microseconds: a point a bin,
    /// so that its percentiles are as exact as the histogram.
    #[must_use]
    pub(crate) fn of(histogram: &Histogram<u64>, unit_us: f64) -> Self {
        let mut points = Vec::new();
        let mut total = 0;
        for bin in histogram.iter_recorded() {
            total += bin.count_at_value();
            let point = Point {
                value_us: bin.value_iterated_to() as f64 * unit_us,
                quantile: bin.quantile(),
                total,
            };
            if points.is_empty() {
                let quantile = 0.0;
                points.push(Point { quantile, ..point });
            }
            points.push(point);
        }
        Self {
            points,
            mean_us: histogram.mean() * unit_us,
            max_us: max(histogram) as f64 * unit_us,
            count: histogram.len(),
        }
    }

    /// Whether a text begins as `.hgrm` files do.
    #[must_use]
    pub(crate) fn is_heading(line: &str) -> bool {
        let columns = line
            .trim_start_matches('\u{feff}')
            .split_whitespace()
            .take(3);
        columns.eq(["Value", "Percentile", "TotalCount"])
    }

    /// The same curve, of values that were taken for microseconds and are of another unit.
    #[must_use]
    pub(crate) fn scaled(mut self, unit_us: f64) -> Self {
        for point in &mut self.points {
            point.value_us *= unit_us;
        }
        self.mean_us *= unit_us;
        self.max_us *= unit_us;
        self
    }

    /// Reads the text of a `.hgrm` file, or what another tool says around it: words before the
    /// heading, as wrk2 has them, and behind the last lines.
    ///
    /// # Errors
    /// It is another kind of file, or was cut off or changed.
    pub(crate) fn parse(text: &str) -> Result<Self, CurveError> {
        let lines = text.lines().map(str::trim).zip(1..);
        let mut lines = lines.skip_while(|(text, _)| !Self::is_heading(text));
        lines.next().ok_or(CurveError::Heading)?;
        let (mut points, mut footer) = (Vec::<Point>::new(), Footer::default());
        for (text, line) in lines.filter(|(text, _)| !text.is_empty()) {
            if text.starts_with('#') {
                footer.note(text);
                continue;
            }
            let point = match row(text) {
                Some(point) => point,
                None if footer.values().is_some() => break,
                None => return Err(CurveError::Row { line }),
            };
            if points.last().is_some_and(|last| !point.follows(last)) {
                return Err(CurveError::Row { line });
            }
            points.push(point);
        }
        let (mean_us, max_us, count) = footer.values().ok_or(CurveError::Footer)?;
        if points.last().map_or(0, |last| last.total) != count {
            return Err(CurveError::Footer);
        }
        Ok(Self {
            points,
            mean_us,
            max_us,
            count,
        })
    }

    /// From the shortest to the longest.
    #[must_use]
    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    /// How many messages there are.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Their mean, in microseconds.
    #[must_use]
    pub(crate) fn mean_us(&self) -> f64 {
        self.mean_us
    }

    /// Their maximum, in microseconds.
    #[must_use]
    pub(crate) fn max_us(&self) -> f64 {
        self.max_us
    }

    /// How many messages took longer than this, in microseconds. Of an `.hgrm` file, which has steps, at
    /// most a step too many.
    #[must_use]
    pub(crate) fn count_over(&self, value_us: f64) -> u64 {
        let within = self.points.iter().rev().find(|it| it.value_us <= value_us);
        self.count - within.map_or(0, |it| it.total)
    }

    /// What that many per cent of the messages took at most, in microseconds; none of an empty
    /// histogram. An `.hgrm` file has steps, so this is at most one step above the truth, never
    /// below.
    #[must_use]
    pub(crate) fn percentile_us(&self, percent: f64) -> Option<f64> {
        // Without the slack, 99 % of 100 would be the 100th: 99.00000000000001.
        let rank = (self.count as f64 * percent / 100.0 - 1e-6).ceil().max(1.0);
        let step = self.points.iter().find(|it| it.total as f64 >= rank);
        step.map(|it| it.value_us)
    }
}

impl Point {
    fn follows(&self, last: &Point) -> bool {
        self.value_us >= last.value_us && self.quantile >= last.quantile && self.total >= last.total
    }
}

fn row(text: &str) -> Option<Point> {
    let mut columns = text.split_whitespace();
    let point = Point {
        value_us: columns.next()?.parse().ok()?,
        quantile: columns.next()?.parse().ok()?,
        total: columns.next()?.parse().ok()?,
    };
    let fine = point.value_us >= 0.0
        && point.value_us.is_finite()
        && (0.0..=1.0).contains(&point.quantile);
    fine.then_some(point)
}

/// The last lines, as far as they were read.
#[derive(Debug, Default)]
struct Footer {
    mean: Option<f64>,
    max: Option<f64>,
    count: Option<f64>,
}

impl Footer {
    /// Takes a line that begins with `#`.
    fn note(&mut self, line: &str) {
        let named = |name: &str| {
            let (_, behind) = line.split_once(name)?;
            let value = behind.trim_start().strip_prefix('=')?;
            let value = value.split([',', ']']).next()?.trim().parse::<f64>().ok()?;
            // Some tools write NaN as the mean of nothing.
            Some(if value.is_finite() { value } else { 0.0 })
        };
        self.mean = named("Mean").or(self.mean);
        self.max = named("Max").or(self.max);
        // The Python library writes it as one word, with two digits behind the point.
        let count = named("Total count").or_else(|| named("TotalCount"));
        self.count = count.or(self.count);
    }

    /// Mean, maximum and count; `None`: something is missing.
    fn values(&self) -> Option<(f64, f64, u64)> {
        Some((self.mean?, self.max?, self.count? as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::{bins, write_hgrm};

    fn written(values_us: impl IntoIterator<Item = u64>) -> String {
        let mut histogram = bins::histogram();
        for value in values_us {
            histogram.record(value * 1_000).unwrap();
        }
        let mut bytes = Vec::new();
        write_hgrm(&histogram, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_the_engine_writes_is_read() {
        let curve = Curve::parse(&written(1..=10_000)).unwrap();
        assert_eq!(curve.count(), 10_000);
        assert!((curve.max_us() - 10_000.0).abs() < 100.0, "{curve:?}");
        assert!((curve.mean_us() - 5_000.0).abs() < 50.0, "{curve:?}");
        for percent in PERCENTILES {
            let found = curve.percentile_us(percent).unwrap();
            let truth = percent * 100.0;
            // A bin is 1 % wide; a step of the file is a fifth of a halving, at most 10 % here.
            assert!(
                found >= truth * 0.99 && found <= truth * 1.11,
                "{percent}: {found}"
            );
        }
    }

    #[test]
    fn the_curve_of_a_histogram_has_its_percentiles() {
        let mut histogram = bins::histogram();
        for value in 1..=10_000_u64 {
            histogram.record(value * value).unwrap();
        }
        let curve = Curve::of(&histogram, 0.001);
        for percent in PERCENTILES {
            let ns = curve.percentile_us(percent).unwrap() * 1_000.0;
            let truth = histogram.value_at_quantile(percent / 100.0) as f64;
            assert!((ns - truth).abs() < 0.5, "{percent}: {ns} {truth}");
        }
        assert_eq!((curve.count(), curve.points()[0].quantile), (10_000, 0.0));
        let ordered = |pair: &[Point]| pair[1].follows(&pair[0]);
        assert!(curve.points().windows(2).all(ordered));
        assert!((curve.mean_us() - histogram.mean() / 1_000.0).abs() < 1e-6);
        assert_eq!(Curve::of(&bins::histogram(), 0.001).points(), []);
        let seconds = curve.clone().scaled(1e6);
        assert!((seconds.max_us() / curve.max_us() - 1e6).abs() < 1.0);
        let over = [0.0, curve.percentile_us(99.0).unwrap(), curve.max_us()];
        let over = over.map(|it| curve.count_over(it));
        // The bin of the 9,900th has a few more.
        assert!(
            over[0] == 10_000 && (95..=100).contains(&over[1]) && over[2] == 0,
            "{over:?}"
        );
    }

    #[test]
    fn an_empty_histogram_has_no_percentiles() {
        let curve = Curve::parse(&written([])).unwrap();
        assert_eq!((curve.count(), curve.percentile_us(50.0)), (0, None));
    }

    #[test]
    fn one_message_is_every_percentile() {
        let curve = Curve::parse(&written([7])).unwrap();
        for percent in PERCENTILES {
            assert_eq!(curve.percentile_us(percent), Some(curve.max_us()));
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_or_whole() {
        let text = written((1..=1_000).map(|it| it * it));
        let whole = Curve::parse(&text).unwrap();
        for end in 0..text.len() {
            if let Ok(curve) = Curve::parse(&text[..end]) {
                // Only in the last line, which says nothing of latencies.
                assert_eq!(curve, whole, "cut at {end}");
                assert!(text[end..].lines().count() <= 2, "cut at {end}");
            }
        }
    }

    #[test]
    fn what_the_python_library_writes_is_read() {
        let text = "\
       Value     Percentile TotalCount 1/(1-Percentile)

        9.86 0.000000000000          1           1.00
       18.82 0.500000000000          2           2.00
       18.82 1.000000000000          2
#[Mean    =        14.33, StdDeviation   =      4480.00]
#[Max     =        18.82, TotalCount     =         2.00]
#[Buckets =           28, SubBuckets     =          256]
";
        let curve = Curve::parse(text).unwrap();
        assert_eq!((curve.count(), curve.max_us()), (2, 18.82));
    }

    #[test]
    fn what_wrk2_says_around_its_percentiles_is_passed_over() {
        let text = "\
Running 30s test @ http://127.0.0.1:80/index.html
  2 threads and 100 connections
  Latency Distribution (HdrHistogram - Recorded Latency)
 50.000%    0.92ms
  Detailed Percentile spectrum:
       Value   Percentile   TotalCount 1/(1-Percentile)

       0.921     0.500000            1         2.00
       2.769     1.000000            2          inf
  #[Mean    =        1.845, StdDeviation   =        0.924]
  #[Max     =        2.769, Total count    =            2]
  #[Buckets =           27, SubBuckets     =         2048]
----------------------------------------------------------
  2 requests in 30.00s, 19.09MB read
";
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            let curve = Curve::parse(&text).unwrap();
            assert_eq!((curve.count(), curve.max_us()), (2, 2.769));
            assert_eq!(curve.mean_us(), 1.845);
        }
    }

    #[test]
    fn wrong_files_are_told_by_their_line() {
        assert_eq!(Curve::parse(""), Err(CurveError::Heading));
        assert_eq!(Curve::parse("#[StartTime: 0]"), Err(CurveError::Heading));
        let good = written([1, 2, 3]);
        let noise = good.replacen("0.500000000000", "a.500000000000", 1);
        assert!(matches!(Curve::parse(&noise), Err(CurveError::Row { line }) if line > 2));
        let backwards = format!("{good}   0.001   0.1   1\n");
        assert!(matches!(
            Curve::parse(&backwards),
            Err(CurveError::Row { .. })
        ));
    }
}
