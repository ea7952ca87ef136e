//! Fuzzing of latency files: read, shown and drawn, as `flipped-lb histogram` does.

use super::Named;
use super::input::{Kind, parse};
use super::table::table;
use crate::latency::curve::Curve;
use crate::latency::plot::plot;

/// Tags whose curves are drawn.
const DRAWN_MAX: usize = 4;

/// A file of percentiles, or an interval log.
pub fn latency_files(input: &[u8]) {
    let Ok(kind) = parse(&String::from_utf8_lossy(input)) else {
        return;
    };
    let curves: Vec<Named> = match kind {
        Kind::Percentiles(curve) => vec![("curve".to_owned(), curve)],
        Kind::Log(mut log) => {
            let intervals = log.intervals();
            let is_small = log.tags().count() <= DRAWN_MAX;
            if is_small && log.merge(log.clone()).is_ok() {
                assert_eq!(log.intervals(), 2 * intervals);
            }
            let tags = log.tags().take(DRAWN_MAX);
            tags.map(|(tag, it)| (tag.to_owned(), Curve::of(it, 0.001)))
                .collect()
        }
    };
    for (_, curve) in &curves {
        assert!(
            curve
                .points()
                .windows(2)
                .all(|it| it[0].value_us <= it[1].value_us)
        );
    }
    assert_eq!(table(&curves, None).lines().count(), 1 + curves.len());
    let _ = plot("Latency by percentile", &curves);
}
