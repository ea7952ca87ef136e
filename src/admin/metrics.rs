//! `/metrics`: the counters and latencies in Prometheus' text format, version 0.0.4.
//!
//! The HTTP server asks for it. The names and HELP lines are the catalogue's own ([`Counter`]), which
//! is why it is written here and not registered a second time with a metrics library. It keeps no
//! state between two scrapes.

use std::fmt::{self, Display, Write};

use super::{AdminState, Names, Shown, lock};
use crate::counters::{Counter, Snapshot};
use crate::destinations::{Tracked, WaitsFor};
use crate::latency::{Stage, Totals, View};
use crate::limits::CUSTOMERS_SHOWN_MAX;
use crate::message::Reason;

/// What the answer's `Content-Type` says.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const PREFIX: &str = "flipped_lb";

const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 1.0];

pub(super) fn metrics(state: &AdminState) -> String {
    let mut page = Page(String::new());
    let written = page
        .counters(&state.counters.snapshot())
        .and_then(|()| page.totals(&lock(&state.shown).totals))
        .and_then(|()| page.destinations(&lock(&state.shown), &*state.names))
        .and_then(|()| page.facts(state));
    written.expect("a string takes everything");
    page.0
}

/// A figure of each destination.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&Tracked) -> f64,
}

const FAMILIES: [Family; 6] = [
    Family {
        name: "destination_in_flight",
        kind: "gauge",
        help: "Messages handed to the destination's subscriber and not yet settled.",
        value: |it| f64::from(it.state.in_flight),
    },
    Family {
        name: "destination_oldest_wait_seconds",
        kind: "gauge",
        help: "How long the oldest message that waits for the destination, or stands still in flight, has waited; 0: none waits.",
        value: |it| it.oldest_wait_ns.unwrap_or(0) as f64 / 1e9,
    },
    Family {
        name: "destination_subscribers",
        kind: "gauge",
        help: "Subscribers of the destination, standbys included.",
        value: |it| {
            f64::from(it.state.standbys) + f64::from(u8::from(it.state.subscriber.is_some()))
        },
    },
    Family {
        name: "destination_accepted_total",
        kind: "counter",
        help: "Messages accepted for the destination.",
        value: |it| it.state.accepted as f64,
    },
    Family {
        name: "destination_settled_total",
        kind: "counter",
        help: "Messages of the destination that need no more work.",
        value: |it| it.state.settled as f64,
    },
    Family {
        name: "destination_redelivered_total",
        kind: "counter",
        help: "Messages taken back from the destination's subscribers that went.",
        value: |it| it.state.redelivered as f64,
    },
];

/// A label's value as the format wants it.
fn label(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) -> fmt::Result {
        writeln!(self.0, "# HELP {PREFIX}_{name} {help}")?;
        writeln!(self.0, "# TYPE {PREFIX}_{name} {kind}")
    }

    /// `labels` is `{a="b"}` or nothing.
    fn sample(&mut self, name: &str, labels: &str, value: impl Display) -> fmt::Result {
        writeln!(self.0, "{PREFIX}_{name}{labels} {value}")
    }

    fn counters(&mut self, counters: &Snapshot) -> fmt::Result {
        for (counter, value) in counters.iter() {
            let (name, kind) = match counter.is_gauge() {
                true => (counter.label().to_owned(), "gauge"),
                false => (format!("{}_total", counter.label()), "counter"),
            };
            self.head(&name, kind, counter.meaning())?;
            match counter {
                Counter::Rejected => self.rejected(&name, counters)?,
                _ => self.sample(&name, "", value)?,
            }
        }
        Ok(())
    }

    /// By reason; queries can sum them.
    fn rejected(&mut self, name: &str, counters: &Snapshot) -> fmt::Result {
        for reason in Reason::ALL {
            let labels = format!("{{reason=\"{}\"}}", reason.label());
            self.sample(name, &labels, counters.rejected(reason))?;
        }
        Ok(())
    }

    fn totals(&mut self, totals: &Totals) -> fmt::Result {
        let help = "Messages delivered, by effective priority.";
        self.head("delivered_by_level_total", "counter", help)?;
        for (level, count) in (1..=totals.levels()).zip(totals.delivered_by_level()) {
            let labels = format!("{{level=\"{level}\"}}");
            self.sample("delivered_by_level_total", &labels, count)?;
        }
        let help = "Time that messages took in each stage, since the start.";
        self.head("latency_seconds", "summary", help)?;
        Stage::ALL
            .iter()
            .try_for_each(|&stage| self.stage(totals, stage))
    }

    fn stage(&mut self, totals: &Totals, stage: Stage) -> fmt::Result {
        let histogram = totals.histogram(View::Stage(stage));
        let label = stage.label();
        for quantile in QUANTILES {
            let seconds = match histogram.is_empty() {
                true => f64::NAN,
                false => histogram.value_at_quantile(quantile) as f64 / 1e9,
            };
            let labels = format!("{{stage=\"{label}\",quantile=\"{quantile}\"}}");
            self.sample("latency_seconds", &labels, seconds)?;
        }
        let labels = format!("{{stage=\"{label}\"}}");
        let sum = histogram.mean() * histogram.len() as f64 / 1e9;
        self.sample("latency_seconds_sum", &labels, sum)?;
        self.sample("latency_seconds_count", &labels, histogram.len())
    }

    fn destinations(&mut self, shown: &Shown, names: &dyn Names) -> fmt::Result {
        let numbered = (0..).zip(shown.destinations.all());
        let used = numbered.filter(|(_, it)| it.has_been_used());
        let used: Vec<_> = used
            .take(CUSTOMERS_SHOWN_MAX)
            .map(|(index, tracked)| (label(&names.destination(index)), tracked))
            .collect();
        for family in &FAMILIES {
            self.head(family.name, family.kind, family.help)?;
            for (destination, tracked) in &used {
                let labels = format!("{{destination=\"{destination}\"}}");
                self.sample(family.name, &labels, (family.value)(tracked))?;
            }
        }
        let help = "Messages that wait, by destination and effective priority.";
        self.head("destination_queued", "gauge", help)?;
        for (destination, tracked) in &used {
            for (level, count) in (1..=shown.totals.levels()).zip(tracked.state.queued) {
                let labels = format!("{{destination=\"{destination}\",level=\"{level}\"}}");
                self.sample("destination_queued", &labels, count)?;
            }
        }
        let help = "1 for what the destination's messages wait for, while they do.";
        self.head("destination_waits", "gauge", help)?;
        for (destination, tracked) in &used {
            for reason in WaitsFor::ALL {
                let labels = format!(
                    "{{destination=\"{destination}\",for=\"{}\"}}",
                    reason.label()
                );
                let waits = u8::from(tracked.waits_for == Some(reason));
                self.sample("destination_waits", &labels, waits)?;
            }
        }
        Ok(())
    }

    fn facts(&mut self, state: &AdminState) -> fmt::Result {
        let facts = &state.facts;
        self.head(
            "uptime_seconds",
            "gauge",
            "Seconds since the engine started.",
        )?;
        self.sample("uptime_seconds", "", facts.started.elapsed().as_secs_f64())?;
        self.head("ready", "gauge", "1 while the engine takes frames, else 0.")?;
        self.sample("ready", "", u8::from(state.health.ready().is_ok()))?;
        self.head("info", "gauge", "The engine's version and modes; always 1.")?;
        let labels = format!(
            "{{version=\"{}\",durability=\"{}\",threading_mode=\"{}\"}}",
            facts.version, facts.durability, facts.threading_mode
        );
        self.sample("info", &labels, 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::testing;
    use super::*;

    /// Reads the text as a scraper would, line by line; panics at what is not the format.
    fn scraped(text: &str) -> BTreeMap<String, f64> {
        let (mut family, mut kind) = (String::new(), String::new());
        let (mut seen, mut samples) = (BTreeSet::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(seen.insert(name.to_owned()), "{name} twice");
                assert!(help.ends_with('.'), "{line}");
                family = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, is) = rest.split_once(' ').unwrap();
                assert_eq!(name, family);
                assert!(["counter", "gauge", "summary"].contains(&is), "{line}");
                kind = is.to_owned();
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let name = series.split('{').next().unwrap();
                let plain = |it: char| it.is_ascii_lowercase() || it == '_' || it.is_ascii_digit();
                assert!(name.chars().all(plain), "{line}");
                assert!(name == family || (kind == "summary" && name.starts_with(&family)));
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                let value = value.parse().unwrap();
                assert!(
                    samples.insert(series.to_owned(), value).is_none(),
                    "{line} twice"
                );
            }
        }
        samples
    }

    #[test]
    fn a_scraper_reads_every_counter() {
        let state = testing::state();
        let samples = scraped(&metrics(&state));
        assert_eq!(samples["flipped_lb_received_total"], 20.0);
        assert_eq!(samples["flipped_lb_queued"], 4.0);
        assert_eq!(
            samples["flipped_lb_rejected_total{reason=\"bad_json\"}"],
            2.0
        );
        let rejected = samples
            .iter()
            .filter(|it| it.0.starts_with("flipped_lb_rejected_total{"));
        assert_eq!(rejected.map(|it| it.1).sum::<f64>(), 3.0);
        for (counter, value) in state.counters.snapshot().iter() {
            let suffix = if counter.is_gauge() { "" } else { "_total" };
            let name = format!("{PREFIX}_{}{suffix}", counter.label());
            if counter != Counter::Rejected {
                assert_eq!(samples[&name], value as f64, "{name}");
            }
        }
        assert_eq!(
            samples["flipped_lb_delivered_by_level_total{level=\"1\"}"],
            6.0
        );
        assert_eq!(samples["flipped_lb_ready"], 1.0);
    }

    #[test]
    fn destinations_are_labels() {
        let samples = scraped(&metrics(&testing::state()));
        let of = |name: &str, labels: &str| {
            samples[&format!("flipped_lb_destination_{name}{{{labels}}}")]
        };
        assert_eq!(of("queued", "destination=\"table2\",level=\"2\""), 4.0);
        assert_eq!(of("oldest_wait_seconds", "destination=\"table2\""), 2.5);
        assert_eq!(
            of("waits", "destination=\"table2\",for=\"subscriber\""),
            1.0
        );
        assert_eq!(
            of("waits", "destination=\"table1\",for=\"subscriber\""),
            0.0
        );
        assert_eq!(of("subscribers", "destination=\"table1\""), 1.0);
        assert_eq!(of("settled_total", "destination=\"table1\""), 6.0);
    }

    #[test]
    fn a_hostile_name_stays_a_label() {
        assert_eq!(label("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }

    #[test]
    fn latencies_are_summaries_in_seconds() {
        let samples = scraped(&metrics(&testing::state()));
        for stage in Stage::ALL.map(Stage::label) {
            let count = &format!("flipped_lb_latency_seconds_count{{stage=\"{stage}\"}}");
            assert_eq!(samples[count], 10.0);
            let sum = samples[&format!("flipped_lb_latency_seconds_sum{{stage=\"{stage}\"}}")];
            assert!((sum - 0.001_2).abs() < 0.000_012, "{sum}");
            let labels = format!("{{stage=\"{stage}\",quantile=\"0.99\"}}");
            let p99 = samples[&format!("flipped_lb_latency_seconds{labels}")];
            assert!((p99 - 0.000_12).abs() < 0.000_001_2, "{p99}");
        }
    }

    #[test]
    fn without_latencies_quantiles_are_not_a_number() {
        let state = testing::state();
        lock(&state.shown).totals = Totals::new(3, 4);
        let samples = scraped(&metrics(&state));
        let p50 = "flipped_lb_latency_seconds{stage=\"total\",quantile=\"0.5\"}";
        assert!(samples[p50].is_nan());
        assert_eq!(
            samples["flipped_lb_latency_seconds_sum{stage=\"total\"}"],
            0.0
        );
    }
}
