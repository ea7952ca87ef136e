//! The text `=== DELIVERY STATISTICS ===`.
//!
//! The monitor feeds it with counters and totals and prints it. Pure: figures in, text out.
//!
//! ```text
//! === DELIVERY STATISTICS ===
//! Total delivered:     10
//! Duplicates filtered: 2
//! Average latency:     120 us
//! ...
//! Priority 1 messages: 6
//! Customer table1:     6 (breakfast 3, lunch 3)
//! ```

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use super::destinations::time;
use super::shown::{Customer, Shown};
use crate::counters::{Counter, Snapshot};
use crate::destinations::Tracked;
use crate::escape::Escaped;
use crate::latency::{CustomerTotals, Names, Stage, Summary, View};
use crate::limits::CUSTOMERS_PRINTED_MAX;

/// Longest label that the others are aligned to; an id may be longer.
const LABEL_LEN_MAX: usize = 32;

/// What the text is made of; its `Display` is the text.
pub(crate) struct Statistics<'a> {
    pub(crate) counters: &'a Snapshot,
    /// Latencies and deliveries so far, and what waits for whom.
    pub(crate) shown: &'a Shown,
    /// What destinations and types are called.
    pub(crate) names: &'a dyn Names,
    /// The counters as they were a `period` ago.
    pub(crate) before: &'a Snapshot,
    /// The present time.
    pub(crate) at_us: u64,
    /// How long ago the text was printed last; at the end, how long the engine ran.
    pub(crate) period: Duration,
}

type Line = (String, String);

impl fmt::Display for Statistics<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![line("Time", time(self.at_us))];
        lines.extend(self.delivered());
        lines.extend(self.levels());
        lines.extend(self.ledger());
        lines.extend(self.customers());
        let lengths = lines.iter().map(|(label, _)| label.chars().count());
        let width = lengths.filter(|&it| it <= LABEL_LEN_MAX).max().unwrap_or(0);
        writeln!(f, "=== DELIVERY STATISTICS ===")?;
        for (label, value) in lines {
            writeln!(f, "{label:<width$} {value}")?;
        }
        Ok(())
    }
}

fn line(label: &str, value: impl fmt::Display) -> Line {
    (format!("{label}:"), value.to_string())
}

impl Statistics<'_> {
    fn delivered(&self) -> Vec<Line> {
        let latency = self.shown.totals.summary(View::Stage(Stage::Total));
        let figure = |ns: f64| human(latency, ns);
        vec![
            line("Total delivered", self.counters.get(Counter::Delivered)),
            line(
                "Duplicates filtered",
                self.counters.get(Counter::Duplicates),
            ),
            line("Average latency", figure(latency.mean_ns)),
            line("Latency p50", figure(latency.p50_ns as f64)),
            line("Latency p99", figure(latency.p99_ns as f64)),
            line("Latency p99.9", figure(latency.p999_ns as f64)),
            line("Latency max", figure(latency.max_ns as f64)),
        ]
    }

    fn levels(&self) -> Vec<Line> {
        let by_level = self.shown.totals.delivered_by_level();
        let levels = (1..=self.shown.totals.levels()).zip(by_level);
        levels
            .map(|(level, count)| line(&format!("Priority {level} messages"), count))
            .collect()
    }

    fn ledger(&self) -> Vec<Line> {
        let seconds = self.period.as_secs_f64();
        let since = |counter| (self.counters.get(counter)).saturating_sub(self.before.get(counter));
        let delivered = since(Counter::Delivered);
        let rate = delivered as f64 / seconds.max(0.001);
        let throughput = format!("{rate:.0} msg/s (over {seconds:.1} s)");
        let last = format!(
            "received {}, delivered {delivered}, duplicates {}, rejected {}",
            since(Counter::Received),
            since(Counter::Duplicates),
            since(Counter::Rejected),
        );
        vec![
            line("Rejected", self.counters.get(Counter::Rejected)),
            line("Queued", self.counters.get(Counter::Queued)),
            line("In flight", self.counters.get(Counter::InFlight)),
            line("Inversions", self.counters.get(Counter::Inversions)),
            line("Aged", self.counters.get(Counter::Aged)),
            line("Redelivered", self.counters.get(Counter::Redelivered)),
            line("Throughput", throughput),
            line(&format!("In the last {seconds:.1} s"), last),
        ]
    }

    /// Those that got something, or for which something waits.
    fn customers(&self) -> Vec<Line> {
        let is_told = |it: &Customer<'_>| it.totals.is_some() || it.tracked.is_some_and(waits);
        let mut all = self.shown.customers().filter(is_told);
        let first = all.by_ref().take(CUSTOMERS_PRINTED_MAX);
        let mut lines: Vec<_> = first.map(|it| self.customer(it)).collect();
        let more = all.count();
        if more > 0 {
            let more = format!("{more} (see /destinations)");
            lines.push(line("More customers", more));
        }
        lines
    }

    fn customer(&self, customer: Customer<'_>) -> Line {
        let name = self.names.destination(customer.index);
        let delivered = customer.totals.map(|it| delivered_words(it, self.names));
        let waiting = customer.tracked.filter(|it| waits(it)).map(waiting_words);
        let words: Vec<_> = delivered.into_iter().chain(waiting).collect();
        line(&format!("Customer {}", Escaped(name)), words.join("; "))
    }
}

/// Whether something waits for a customer.
fn waits(tracked: &Tracked) -> bool {
    tracked.state.queued() > 0 || tracked.state.in_flight > 0
}

fn waiting_words(tracked: &Tracked) -> String {
    let (queued, in_flight) = (tracked.state.queued(), tracked.state.in_flight);
    let mut words = format!("{queued} queued, {in_flight} in flight");
    if let Some(ns) = tracked.oldest_wait_ns {
        let _ = write!(words, ", the oldest for {:.1} s", ns as f64 / 1e9);
    }
    if let Some(reason) = tracked.waits_for {
        let since = time(tracked.waits_since_us);
        let _ = write!(words, ": {} since {since}", reason.words());
    }
    if let Some(peer) = tracked.state.subscriber.and_then(|it| it.peer) {
        let _ = write!(words, " (subscriber {peer})");
    }
    words
}

fn delivered_words(customer: &CustomerTotals, names: &dyn Names) -> String {
    let types = by_type(customer, names).into_iter();
    let types: Vec<_> = types
        .map(|(name, count)| format!("{} {count}", Escaped(name)))
        .collect();
    format!("{} ({})", customer.delivered, types.join(", "))
}

/// A customer's messages by the type's name; several indexes may share one.
pub(super) fn by_type(customer: &CustomerTotals, names: &dyn Names) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for &(message_type, count) in &customer.by_type {
        *counts.entry(names.message_type(message_type)).or_default() += count;
    }
    if customer.other_types > 0 {
        *counts.entry("(others)".to_owned()).or_default() += customer.other_types;
    }
    counts
}

/// A latency in the unit that suits it; a dash where there was none.
fn human(latency: Summary, ns: f64) -> String {
    match ns {
        _ if latency.count == 0 => "-".to_owned(),
        ..1e3 => format!("{ns:.0} ns"),
        ..1e5 => format!("{:.1} us", ns / 1e3),
        ..1e6 => format!("{:.0} us", ns / 1e3),
        ..1e9 => format!("{:.2} ms", ns / 1e6),
        _ => format!("{:.2} s", ns / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::latency::{Interval, Totals};

    fn text(totals: Totals) -> String {
        let counters = testing::counters().snapshot();
        let statistics = Statistics {
            counters: &counters,
            shown: &testing::shown(totals),
            names: &testing::Restaurant,
            before: &crate::counters::Counters::default().snapshot(),
            at_us: 1_700_000_003_000_000,
            period: Duration::from_millis(2_500),
        };
        statistics.to_string()
    }

    #[test]
    fn the_text_is_known() {
        let expected = "\
=== DELIVERY STATISTICS ===
Time:                2023-11-14T22:13:23Z
Total delivered:     10
Duplicates filtered: 2
Average latency:     120 us
Latency p50:         120 us
Latency p99:         120 us
Latency p99.9:       120 us
Latency max:         120 us
Priority 1 messages: 6
Priority 2 messages: 4
Priority 3 messages: 0
Rejected:            3
Queued:              4
In flight:           1
Inversions:          0
Aged:                0
Redelivered:         0
Throughput:          4 msg/s (over 2.5 s)
In the last 2.5 s:   received 20, delivered 10, duplicates 2, rejected 3
Customer table1:     6 (breakfast 3, lunch 3)
Customer table2:     4 (breakfast 2, lunch 2); 4 queued, 0 in flight, the oldest for 2.5 s: no subscriber since 2023-11-14T22:13:21Z
";
        assert_eq!(text(testing::totals()), expected);
    }

    #[test]
    fn without_latencies_there_are_dashes() {
        let text = text(Totals::new(3, 4));
        assert!(text.contains("Average latency:     -\n"), "{text}");
    }

    #[test]
    fn many_customers_are_summed_up() {
        let mut interval = Interval::new(3, 100);
        for destination in 0..CUSTOMERS_PRINTED_MAX as u32 + 7 {
            let mut it = testing::delivery(1, 0);
            it.destination = destination;
            interval.delivered(it);
        }
        let mut totals = Totals::new(3, 100);
        totals.merge(&interval);
        let text = text(totals);
        assert_eq!(
            text.matches("Customer table").count(),
            CUSTOMERS_PRINTED_MAX
        );
        assert!(
            text.contains("More customers:      7 (see /destinations)"),
            "{text}"
        );
    }

    #[test]
    fn latencies_have_the_unit_that_suits_them() {
        let some = Summary {
            count: 1,
            ..Summary::default()
        };
        let shown = [127.0, 1_500.0, 120_000.0, 1_234_567.0, 2.5e9].map(|ns| human(some, ns));
        assert_eq!(shown, ["127 ns", "1.5 us", "120 us", "1.23 ms", "2.50 s"]);
    }
}
