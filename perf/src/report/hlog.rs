//! The latencies of all rounds as an `HdrHistogram` interval log, an interval a round, a tag a party:
//! `flipped-lb histogram` and the usual tools read it, and add a party's rounds up.

use std::time::Duration;

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::curve::Curve;

/// Rounds have no common clock: the n-th stands at the n-th second.
const ROUND: Duration = Duration::from_secs(1);

pub(super) fn render(latencies: &[(String, Vec<Curve>)]) -> String {
    let (mut text, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[Values and Interval_Max are nanoseconds; an interval is a round]")
        .begin_log_with(&mut text, &mut serializer);
    let mut log = log.expect("a Vec takes everything");
    for (tag, rounds) in latencies {
        for (round, curve) in (0..).zip(rounds) {
            let tag = Tag::new(tag).expect("it has no comma and no blank");
            let written = log.write_histogram(&curve.histogram(), ROUND * round, ROUND, Some(tag));
            written.expect("a Vec takes everything, and no count comes near 63 bits");
        }
    }
    String::from_utf8(text).expect("an interval log is text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn every_round_of_every_party_is_an_interval() {
        let mut histogram = crate::curve::histogram();
        histogram.saturating_record(1_000_000);
        let curve = Curve::new(&histogram);
        let parties = ["10000-engine", "10000-relay"];
        let text = render(&parties.map(|it| (it.to_owned(), vec![curve.clone(); 2])));
        let entries = IntervalLogIterator::new(text.as_bytes());
        let tags = entries.filter_map(|it| match it.expect("a log") {
            LogEntry::Interval(it) => it.tag().map(|it| it.as_str().to_owned()),
            _ => None,
        });
        let [engine, relay] = parties;
        assert_eq!(tags.collect::<Vec<_>>(), [engine, engine, relay, relay]);
    }
}
