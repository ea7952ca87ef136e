use std::collections::{BTreeMap, BTreeSet};

use super::super::lock;
use super::super::testing::{self, Restaurant};
use super::*;
use crate::counters::{Counter, Counters};
use crate::destinations::{DestinationState, Report};
use crate::latency::{Names, Stage, Totals};
use crate::limits::METRICS_DESTINATIONS_MAX;
use crate::message::{DestinationIndex, TypeIndex};

fn classic(state: &AdminState) -> String {
    Metrics::new(state.clone()).text(Format::Classic)
}

/// Reads the classic text as a scraper would, line by line; panics at what is not the format.
fn scraped(text: &str) -> BTreeMap<String, f64> {
    let (mut family, mut kind) = (String::new(), String::new());
    let (mut seen, mut samples) = (BTreeSet::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(seen.insert(name.to_owned()), "{name} twice");
            assert!(help.ends_with('.'), "{line}");
            assert!(
                !help.contains(['\\', '"']),
                "the crate escapes no help: {line}"
            );
            family = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, is) = rest.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert!(
                ["counter", "gauge", "summary", "histogram"].contains(&is),
                "{line}"
            );
            kind = is.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let plain = |it: char| it.is_ascii_lowercase() || it == '_' || it.is_ascii_digit();
            assert!(name.chars().all(plain), "{line}");
            let has_parts = kind == "summary" || kind == "histogram";
            assert!(
                name == family || (has_parts && name.starts_with(&family)),
                "{line}"
            );
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            let value = value.parse().unwrap();
            let twice = samples.insert(series.to_owned(), value);
            assert!(twice.is_none(), "{line} twice");
        }
    }
    samples
}

#[test]
fn a_scraper_reads_every_counter() {
    let state = testing::state();
    let samples = scraped(&classic(&state));
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
}

/// Of what was served before the crate wrote it.
#[test]
fn names_that_dashboards_know_stay() {
    let samples = scraped(&classic(&testing::state()));
    let info =
        "flipped_lb_info{version=\"1.2.3\",durability=\"written\",threading_mode=\"shared\"}";
    assert_eq!(samples[info], 1.0);
    assert!(samples["flipped_lb_uptime_seconds"] >= 0.0);
    assert_eq!(samples["flipped_lb_ready"], 1.0);
    for name in [
        "in_flight",
        "oldest_wait_seconds",
        "subscribers",
        "accepted_total",
    ] {
        let series = format!("flipped_lb_destination_{name}{{destination=\"table1\"}}");
        assert!(samples.contains_key(&series), "{series}");
    }
    for name in ["settled_total", "redelivered_total"] {
        let series = format!("flipped_lb_destination_{name}{{destination=\"table2\"}}");
        assert!(samples.contains_key(&series), "{series}");
    }
}

#[test]
fn destinations_are_labels() {
    let samples = scraped(&classic(&testing::state()));
    let of =
        |name: &str, labels: &str| samples[&format!("flipped_lb_destination_{name}{{{labels}}}")];
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
    assert_eq!(of("settled_per_second", "destination=\"table1\""), 0.0);
    assert_eq!(samples["flipped_lb_oldest_wait_seconds"], 2.5);
    assert_eq!(
        samples["flipped_lb_destinations_waiting{for=\"subscriber\"}"],
        1.0
    );
}

#[test]
fn ten_thousand_destinations_have_bounded_series_and_are_all_in_the_sums() {
    let state = testing::state();
    let mut waiting = DestinationState {
        accepted: 1,
        oldest_wait_ms: Some(1_000),
        ..DestinationState::default()
    };
    waiting.queued[0] = 1;
    let mut states = vec![waiting; 10_000];
    states[9_999].oldest_wait_ms = Some(7_000);
    let completed_at = Some(crate::clock::Now::default());
    lock(&state.shown).destinations.update(&Report {
        states,
        retired: Vec::new(),
        released: Vec::new(),
        completed_at,
    });
    let text = classic(&state);
    let samples = scraped(&text);
    let own = samples
        .keys()
        .filter(|it| it.starts_with("flipped_lb_destination_in_flight{"));
    assert_eq!(own.count(), METRICS_DESTINATIONS_MAX);
    assert_eq!(samples["flipped_lb_destinations_omitted"], 9_000.0);
    assert_eq!(samples["flipped_lb_oldest_wait_seconds"], 7.0);
    assert_eq!(
        samples["flipped_lb_destinations_waiting{for=\"subscriber\"}"],
        10_000.0
    );
    assert!(text.len() < 2_000_000, "{}", text.len());
}

struct Hostile;

impl Names for Hostile {
    fn destination(&self, _: DestinationIndex) -> String {
        "a\"b\\c\nd".to_owned()
    }
    fn message_type(&self, index: TypeIndex) -> String {
        Restaurant.message_type(index)
    }
}

#[test]
fn a_hostile_name_stays_a_label() {
    let mut state = testing::state();
    state.names = std::sync::Arc::new(Hostile);
    let text = classic(&state);
    let sample = r#"flipped_lb_destination_in_flight{destination="a\"b\\c\nd"} 0"#;
    assert!(text.lines().any(|it| it == sample), "{text}");
}

#[test]
fn latencies_are_summaries_and_histograms_in_seconds() {
    let samples = scraped(&classic(&testing::state()));
    for stage in Stage::ALL.map(Stage::label) {
        let count = &format!("flipped_lb_latency_seconds_count{{stage=\"{stage}\"}}");
        assert_eq!(samples[count], 10.0);
        let sum = samples[&format!("flipped_lb_latency_seconds_sum{{stage=\"{stage}\"}}")];
        assert!((sum - 0.001_2).abs() < 0.000_012, "{sum}");
        let labels = format!("{{stage=\"{stage}\",quantile=\"0.99\"}}");
        let p99 = samples[&format!("flipped_lb_latency_seconds{labels}")];
        assert!((p99 - 0.000_12).abs() < 0.000_001_2, "{p99}");
        let bucket = |le: &str, level: u8| {
            let labels = format!("{{le=\"{le}\",stage=\"{stage}\",level=\"{level}\"}}");
            samples[&format!("flipped_lb_stage_latency_seconds_bucket{labels}")]
        };
        assert_eq!((bucket("0.0001", 1), bucket("0.00025", 1)), (0.0, 6.0));
        assert_eq!((bucket("+Inf", 1), bucket("+Inf", 2)), (6.0, 4.0));
        assert_eq!(bucket("+Inf", 3), 0.0);
    }
}

#[test]
fn without_latencies_quantiles_are_not_a_number() {
    let state = testing::state();
    lock(&state.shown).totals = Totals::new(3, 4);
    let samples = scraped(&classic(&state));
    let p50 = "flipped_lb_latency_seconds{stage=\"total\",quantile=\"0.5\"}";
    assert!(samples[p50].is_nan());
    assert_eq!(
        samples["flipped_lb_latency_seconds_sum{stage=\"total\"}"],
        0.0
    );
}

#[test]
fn the_process_is_told_by_its_usual_names() {
    let samples = scraped(&classic(&testing::state()));
    for name in [
        "cpu_seconds_total",
        "start_time_seconds",
        "resident_memory_bytes",
        "virtual_memory_bytes",
        "threads",
        "open_fds",
        "max_fds",
    ] {
        let value = samples[&format!("process_{name}")];
        let may_be_zero = name == "cpu_seconds_total";
        assert!(value > 0.0 || may_be_zero, "{name}: {value}");
    }
    assert!(samples["process_open_fds"] < samples["process_max_fds"]);
}

#[test]
fn a_journal_that_cannot_be_written_is_not_ready() {
    let mut state = testing::state();
    let counters = Counters::default();
    counters.set(Counter::JournalWaiting, 1);
    state.counters = std::sync::Arc::new(counters);
    assert_eq!(scraped(&classic(&state))["flipped_lb_ready"], 0.0);
}

#[test]
fn openmetrics_has_the_same_samples_and_an_end() {
    let state = testing::state();
    let text = Metrics::new(state).text(Format::OpenMetrics);
    assert!(text.ends_with("\n# EOF\n"));
    assert!(text.contains("# TYPE flipped_lb_received counter\nflipped_lb_received_total 20\n"));
    assert!(text.contains("# TYPE flipped_lb_latency_seconds summary\n"));
}
