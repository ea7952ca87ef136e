//! The HdrHistogram percentile text (`.hgrm`), as the HdrHistogram plotter and its kin read it.
//!
//! [`super::write_all`] and the HTTP rooms feed it with histograms. It opens no file.
//!
//! ```text
//!        Value     Percentile TotalCount 1/(1-Percentile)
//!
//!        1.023 0.000000000000          1           1.00
//!      120.319 0.500000000000       5003           2.00
//!      910.335 1.000000000000      10000
//! #[Mean    =      131.072, StdDeviation   =       60.411]
//! #[Max     =      910.335, Total count    =        10000]
//! #[Buckets =           28, SubBuckets     =          256]
//! ```

use std::io::{self, Write};

use hdrhistogram::Histogram;

use super::bins::max;
use super::curve::Curve;

/// Steps for each halving of the distance to 100 %: what the other implementations take.
const TICKS_PER_HALVING: u32 = 5;

const NS_PER_US: f64 = 1_000.0;

/// Writes a histogram of nanoseconds as percentiles in microseconds.
///
/// # Errors
/// `out` fails.
pub fn write_hgrm(histogram: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut total = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALVING) {
        total += step.count_since_last_iteration();
        let value = step.value_iterated_to() as f64 / NS_PER_US;
        let quantile = step.quantile_iterated_to();
        write!(out, "{value:12.3} {quantile:14.12} {total:10}")?;
        if quantile < 1.0 {
            write!(out, " {:14.2}", 1.0 / (1.0 - quantile))?;
        }
        writeln!(out)?;
    }
    write_footer(histogram, out)
}

fn write_footer(histogram: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    let mean = histogram.mean() / NS_PER_US;
    let deviation = histogram.stdev() / NS_PER_US;
    let max = max(histogram) as f64 / NS_PER_US;
    let count = histogram.len();
    let buckets = histogram.buckets();
    let sub_buckets = super::bins::SUB_BUCKETS;
    writeln!(
        out,
        "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]"
    )?;
    writeln!(out, "#[Max     = {max:12.3}, Total count    = {count:12}]")?;
    writeln!(
        out,
        "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]"
    )
}

/// Writes a curve as percentiles of a unit of so many microseconds. Its points are the steps, at most
/// [`TICKS_PER_HALVING`] for each halving; mean and deviation are those of the points.
///
/// # Errors
/// `out` fails.
pub(crate) fn write_curve(curve: &Curve, unit_us: f64, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let points = curve.points();
    let mut next = 0.0;
    for (place, point) in (1..).zip(points) {
        let (quantile, is_last) = (point.quantile, place == points.len());
        if quantile < next && !is_last {
            continue;
        }
        let value = point.value_us / unit_us;
        write!(out, "{value:12.3} {quantile:14.12} {:10}", point.total)?;
        if quantile < 1.0 {
            write!(out, " {:14.2}", 1.0 / (1.0 - quantile))?;
        }
        writeln!(out)?;
        let halvings = -(1.0 - quantile).log2();
        let width = 0.5_f64.powf(halvings.floor() + 1.0) / f64::from(TICKS_PER_HALVING);
        next = quantile + width;
    }
    let (mean, max) = (curve.mean_us() / unit_us, curve.max_us() / unit_us);
    let (deviation, count) = (deviation_us(curve) / unit_us, curve.count());
    writeln!(
        out,
        "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]"
    )?;
    writeln!(out, "#[Max     = {max:12.3}, Total count    = {count:12}]")
}

fn deviation_us(curve: &Curve) -> f64 {
    let (mut before, mut squares) = (0, 0.0);
    for point in curve.points() {
        let off = point.value_us - curve.mean_us();
        squares += off * off * (point.total - before) as f64;
        before = point.total;
    }
    (squares / curve.count().max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::bins;

    fn text(histogram: &Histogram<u64>) -> String {
        let mut bytes = Vec::new();
        write_hgrm(histogram, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// The rows as the HdrHistogram plotter takes them: trimmed, split at spaces, four columns.
    fn plotted(text: &str) -> Vec<(f64, f64, u64, f64)> {
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        rows.filter_map(|line| {
            let columns: Vec<_> = line.split_whitespace().collect();
            let [value, percentile, count, inverse] = columns[..] else {
                return None;
            };
            Some((
                value.parse().ok()?,
                percentile.parse().ok()?,
                count.parse().ok()?,
                inverse.parse().ok()?,
            ))
        })
        .collect()
    }

    #[test]
    fn known_values_give_the_known_text() {
        let mut histogram = bins::histogram();
        // 1,000 ns lies in the bin 896..=1,023; 1,000,000 ns in 999,424..=1,003,519.
        histogram.record_n(1_000, 2).unwrap();
        histogram.record(1_000_000).unwrap();
        // Written without a continuation, which would eat the leading spaces.
        let expected = r"       Value     Percentile TotalCount 1/(1-Percentile)

       1.023 0.000000000000          2           1.00
       1.023 0.100000000000          2           1.11
       1.023 0.200000000000          2           1.25
       1.023 0.300000000000          2           1.43
       1.023 0.400000000000          2           1.67
       1.023 0.500000000000          2           2.00
       1.023 0.550000000000          2           2.22
       1.023 0.600000000000          2           2.50
       1.023 0.650000000000          2           2.86
    1003.519 0.700000000000          3           3.33
    1003.519 1.000000000000          3
#[Mean    =      334.464, StdDeviation   =      471.646]
#[Max     =     1003.519, Total count    =            3]
#[Buckets =           28, SubBuckets     =          256]
";
        assert_eq!(text(&histogram), expected);
    }

    #[test]
    fn what_was_written_reads_back() {
        let mut histogram = bins::histogram();
        for number in 1..=10_000_u64 {
            histogram.record(number * 1_000).unwrap();
        }
        let text = text(&histogram);
        let rows = plotted(&text);
        assert!(rows.len() > 20);
        for pair in rows.windows(2) {
            assert!(pair[0].0 <= pair[1].0 && pair[0].1 < pair[1].1 && pair[0].2 <= pair[1].2);
        }
        for (value, percentile, count, inverse) in rows {
            let truth = (percentile * 10_000.0).max(1.0);
            assert!(
                (value - truth).abs() <= 0.13_f64.max(truth * 0.01),
                "{value} {truth}"
            );
            assert!(count as f64 >= truth.floor());
            assert!((1.0 / (1.0 - percentile) - inverse).abs() <= inverse * 0.01);
        }
        assert!(text.contains("Total count    =        10000]"));
    }

    #[test]
    fn the_maximum_of_the_shortest_latencies_is_not_below_their_percentiles() {
        let mut histogram = bins::histogram();
        histogram.record_n(60, 3).unwrap();
        let text = text(&histogram);
        assert!(
            text.contains("\n       0.127 1.000000000000          3\n"),
            "{text}"
        );
        assert!(text.contains("#[Max     =        0.127, Total count    =            3]"));
    }

    #[test]
    fn an_empty_histogram_is_a_valid_file() {
        let text = text(&bins::histogram());
        assert!(plotted(&text).is_empty());
        assert!(text.contains("#[Max     =        0.000, Total count    =            0]"));
    }

    #[test]
    fn a_curve_is_written_so_that_it_is_read_again() {
        let mut histogram = bins::histogram();
        (1..=100_000_u64).for_each(|it| histogram.record(it * 100).unwrap());
        let curve = Curve::of(&histogram, 0.001);
        let mut bytes = Vec::new();
        write_curve(&curve, 1.0, &mut bytes).unwrap();
        let again = Curve::parse(&String::from_utf8(bytes).unwrap()).unwrap();
        assert_eq!(again.count(), curve.count());
        assert!(again.points().len() < curve.points().len() / 2);
        for percent in [50.0, 99.0, 99.99] {
            let (found, truth) = (again.percentile_us(percent), curve.percentile_us(percent));
            let ratio = found.unwrap() / truth.unwrap();
            assert!((1.0..1.11).contains(&ratio), "{percent}: {ratio}");
        }
        let deviation = deviation_us(&curve);
        assert!(
            (deviation / (histogram.stdev() / 1e3) - 1.0).abs() < 0.02,
            "{deviation}"
        );
    }
}
