//! `/stats`: everything as one JSON object.
//!
//! The HTTP server asks for it; it reads one snapshot of the counters, so that the sums of promise 1
//! hold in every answer, and the monitor's totals, which lag a fraction of a second behind.
//!
//! ```text
//! {"received":..,"accepted":..,        every counter by its label
//!  "rejected_by_reason":{"oversize":..},
//!  "latency":{"total":{"count":..,"mean":..,"p50":..,"p99":..,"p999":..,"max":..}},   in us
//!  "levels":{"1":{"delivered":..,"latency":{..}}},
//!  "customers":{"table1":{"delivered":..,"by_level":{..},"by_type":{..},"last":[..]}},
//!  "disk":{"free":..,"journal":..,"store":..,"kept":..,"logs":..,"per_second":{"journal":..},
//!          "over_seconds":30,"lasts_seconds":..},      what files take; journal_disk is set aside
//!  "links":{"NAME":{"works":false,"waits_for":..,"since_ms":..,     sources and destinations at NATS
//!                   "acknowledged":..,"failures":..}},
//!  "cluster":{"group":..,"node":..,"role":..,"active":..,..},                the group; null: there is none
//!  "customers_omitted":0,
//!  "sources":[{"source":..,"state":"connected","since_ms":..,"lines":..,"rejected":..,..}],
//!  "sources_omitted":0,
//!  "rates":{"accepted":..,..},             a second, of the last second
//!  "recent":{"seconds":10.0,"latency":{..},"levels":{..}},   the last ten seconds; null: none yet
//!  "queued_by_level":{"1":..},"oldest_wait":{"destination":..,"seconds":..},
//!  "readiness":{"ready":true,"reason":"running","degraded":[..]},"sources_configured":..,
//!  "uptime_seconds":..,"version":..,"commit":..,"durability":..,"threading_mode":..,
//!  "phase":..}
//! ```

use serde_json::{Map, Value, json};

use super::flow::{FLOWING, Rates};
use super::latency_figures::{self, figures, microseconds};
use super::readiness::Readiness;
use super::shown::{Customer, Shown};
use super::statistics::by_type;
use super::{AdminState, cluster, destinations, lock};
use crate::build_info;
use crate::counters::{Counters, Snapshot};
use crate::disk::{Outlook, Paces};
use crate::latency::{CustomerTotals, Last, Names, Stage, Totals, View};
use crate::limits::CUSTOMERS_SHOWN_MAX;
use crate::message::{Level, Reason};

pub(super) fn stats(state: &AdminState) -> Value {
    let member = state.member();
    let counters = state.counters.snapshot();
    let mut object: Map<_, _> = counters
        .iter()
        .map(|(counter, value)| (counter.label().to_owned(), value.into()))
        .collect();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("rejected_by_reason", rejected(&counters));
    {
        let shown = lock(&state.shown);
        put("latency", latency(&shown.totals));
        put("levels", levels(&shown.totals));
        let sources = shown.alarms.configured_sources();
        put("sources_configured", sources.into());
        put("rates", rates(shown.flow.rates()));
        put("recent", recent(&shown));
        put("queued_by_level", queued_by_level(&shown));
        put("oldest_wait", oldest_wait(&shown, &*state.names));
        let (customers, omitted) = customers(&shown, &*state.names);
        put("customers", customers);
        put("customers_omitted", omitted.into());
        put("disk", disk(shown.disk));
        let (sources, omitted) = shown.sources.json(&*state.names);
        put("sources", sources);
        put("sources_omitted", omitted.into());
    }
    put("links", links(&state.counters));
    put(
        "cluster",
        member.as_ref().map_or(Value::Null, cluster::stats),
    );
    put(
        "readiness",
        readiness(&Readiness::of(state, member.as_ref())),
    );
    let facts = &state.facts;
    put("uptime_seconds", facts.started.elapsed().as_secs().into());
    put("version", facts.version.into());
    put("commit", build_info::built_from().into());
    put("durability", facts.durability.into());
    put("threading_mode", facts.threading_mode.into());
    put("phase", state.health.phase().label().into());
    Value::Object(object)
}

/// What the data directory takes, how fast that grows, and for how long there is room: null where it is for
/// ever, or not known yet.
fn disk(outlook: Option<Outlook>) -> Value {
    let Some(Outlook { sizes, pace }) = outlook else {
        return Value::Null;
    };
    let per_second = pace.map(|it| {
        let Paces {
            journal,
            store,
            kept,
            logs,
            ..
        } = it.by_part;
        json!({ "journal": journal, "store": store, "kept": kept, "logs": logs })
    });
    json!({
        "free": sizes.free,
        "journal": sizes.journal,
        "store": sizes.store,
        "kept": sizes.kept,
        "logs": sizes.logs,
        "per_second": per_second,
        "over_seconds": pace.map(|it| it.over.as_secs()),
        "lasts_seconds": pace.and_then(|it| it.lasts_seconds).map(|it| it as u64),
    })
}

fn links(counters: &Counters) -> Value {
    let links = counters.faults().all_links().into_iter();
    let rows = links.map(|link| {
        let mut row = match link.fault {
            None => json!({ "works": true }),
            Some(fault) => json!({
                "works": false,
                "waits_for": fault.reason,
                "since_ms": fault.since_us / 1_000,
            }),
        };
        row["acknowledged"] = link.acknowledged.into();
        row["failures"] = link.failures.into();
        (link.name, row)
    });
    Value::Object(rows.collect())
}

fn rejected(counters: &Snapshot) -> Value {
    let reasons = Reason::ALL.map(|it| (it.label().to_owned(), counters.rejected(it).into()));
    Value::Object(reasons.into_iter().collect())
}

fn latency(totals: &Totals) -> Value {
    let stages = Stage::ALL.map(|stage| {
        let summary = totals.summary(View::Stage(stage));
        (stage.label().to_owned(), figures(summary))
    });
    Value::Object(stages.into_iter().collect())
}

fn rates(rates: Rates) -> Value {
    let rates = FLOWING.map(|it| {
        let rate = (rates.of(it) * 10.0).round() / 10.0;
        (it.label().to_owned(), rate.into())
    });
    Value::Object(rates.into_iter().collect())
}

/// Of the last ten seconds that are complete.
fn recent(shown: &Shown) -> Value {
    let Some(last) = shown.recent.steps().next_back() else {
        return Value::Null;
    };
    json!({
        "seconds": (last.length_us / 1_000) as f64 / 1e3,
        "latency": latency_figures::stages(last),
        "levels": latency_figures::by_level(last, shown.totals.levels()),
    })
}

fn queued_by_level(shown: &Shown) -> Value {
    let levels = (1..=shown.totals.levels()).zip(shown.queued());
    let levels = levels.map(|(level, count)| (level.to_string(), count.into()));
    Value::Object(levels.collect())
}

fn oldest_wait(shown: &Shown, names: &dyn Names) -> Value {
    shown.oldest_wait().map_or(Value::Null, |(index, ns)| {
        json!({
            "destination": names.destination(index),
            "seconds": (ns / 1_000_000) as f64 / 1e3,
        })
    })
}

/// As `/readyz` has it.
fn readiness(it: &Readiness) -> Value {
    json!({
        "ready": it.unready.is_none(),
        "reason": it.reason(),
        "degraded": it.degraded,
    })
}

fn levels(totals: &Totals) -> Value {
    let levels = (1..=totals.levels()).zip(totals.delivered_by_level());
    let objects = levels.map(|(level, delivered)| {
        let summary = totals.summary(View::Level(Stage::Total, level));
        let object = json!({ "delivered": delivered, "latency": figures(summary) });
        (level.to_string(), object)
    });
    Value::Object(objects.collect())
}

/// The first customers, and how many more there are.
fn customers(shown: &Shown, names: &dyn Names) -> (Value, usize) {
    let levels = shown.totals.levels();
    let mut all = shown.customers();
    let first = all.by_ref().take(CUSTOMERS_SHOWN_MAX);
    let objects = first
        .map(|it| (names.destination(it.index), customer(it, levels, names)))
        .collect();
    (Value::Object(objects), all.count())
}

fn customer(customer: Customer<'_>, levels: Level, names: &dyn Names) -> Value {
    let none = CustomerTotals::default();
    let it = customer.totals.unwrap_or(&none);
    let by_level: Map<_, _> = (1..=levels)
        .zip(it.by_level)
        .map(|(level, count)| (level.to_string(), count.into()))
        .collect();
    let last: Vec<_> = it.last.iter().map(|it| message(*it, names)).collect();
    let mut object = Map::new();
    object.insert("delivered".to_owned(), it.delivered.into());
    object.insert("by_level".to_owned(), by_level.into());
    object.insert("by_type".to_owned(), json!(by_type(it, names)));
    object.insert("last".to_owned(), last.into());
    if let Some(tracked) = customer.tracked {
        object.extend(destinations::figures(tracked, levels));
    }
    Value::Object(object)
}

fn message(it: Last, names: &dyn Names) -> Value {
    json!({
        "sequence": it.sequence,
        "level": it.level,
        "type": names.message_type(it.message_type),
        "latency_us": microseconds(it.latency_ns as f64),
        "delivered_at_ms": it.epoch_us / 1_000,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing;
    use super::*;
    use crate::counters::Counter;
    use crate::disk::{Pace, Sizes};

    #[test]
    fn every_counter_is_there_and_the_sums_hold() {
        let stats = stats(&testing::state());
        let get = |name: &str| stats[name].as_u64().unwrap();
        for counter in Counter::ALL {
            assert!(stats[counter.label()].is_u64(), "{}", counter.label());
        }
        let decided = get("accepted") + get("duplicates") + get("rejected");
        assert_eq!(get("received"), decided);
        assert_eq!(
            get("accepted"),
            get("settled") + get("queued") + get("in_flight")
        );
        let reasons = stats["rejected_by_reason"].as_object().unwrap();
        assert_eq!(reasons.len(), Reason::ALL.len());
        let sum: u64 = reasons.values().map(|it| it.as_u64().unwrap()).sum();
        assert_eq!(sum, get("rejected"));
        assert_eq!(get("stored"), 9);
    }

    #[test]
    fn the_disk_s_outlook_is_null_until_it_is_known() {
        let state = testing::state();
        assert_eq!(stats(&state)["disk"], Value::Null);
        let sizes = Sizes {
            journal: 5,
            free: 100,
            ..Sizes::default()
        };
        let outlook = |pace| Some(Outlook { sizes, pace });
        lock(&state.shown).disk = outlook(None);
        let disk = &stats(&state)["disk"];
        assert_eq!((&disk["journal"], &disk["free"]), (&5.into(), &100.into()));
        assert!(disk["per_second"].is_null() && disk["lasts_seconds"].is_null());
        let before = Sizes::default();
        lock(&state.shown).disk = outlook(Some(Pace {
            by_part: Paces::between(&before, &sizes, 5.0),
            over: Duration::from_secs(5),
            lasts_seconds: Some(99.9),
        }));
        let disk = &stats(&state)["disk"];
        assert_eq!(disk["per_second"]["journal"], 1.0);
        assert_eq!(
            (&disk["over_seconds"], &disk["lasts_seconds"]),
            (&5.into(), &99.into())
        );
    }

    #[test]
    fn the_paper_names_every_key_that_is_no_counter() {
        let paper = include_str!("../../docs/page.md");
        let stats = stats(&testing::state());
        let counters: Vec<_> = Counter::ALL.iter().map(|it| it.label()).collect();
        let keys = stats.as_object().unwrap().keys();
        for key in keys.filter(|it| !counters.contains(&it.as_str())) {
            let is_named = paper
                .lines()
                .any(|line| line.starts_with(key.as_str()) || line.contains(&format!(", {key}")));
            assert!(is_named, "{key}");
        }
        let rates = stats["rates"].as_object().unwrap();
        assert!(rates.keys().all(|it| counters.contains(&it.as_str())));
        assert_eq!(stats["queued_by_level"], json!({ "1": 0, "2": 4, "3": 0 }));
        let oldest = json!({ "destination": "table2", "seconds": 2.5 });
        assert_eq!(stats["oldest_wait"], oldest);
        assert_eq!(stats["readiness"]["ready"], true);
    }

    #[test]
    fn latencies_are_microseconds() {
        let stats = stats(&testing::state());
        for stage in Stage::ALL {
            let figures = &stats["latency"][stage.label()];
            assert_eq!(figures["count"], 10);
            for figure in ["mean", "p50", "p99", "p999", "max"] {
                let value = figures[figure].as_f64().unwrap();
                assert!((value - 120.0).abs() < 1.2, "{figure}: {value}");
            }
        }
        assert_eq!(stats["levels"]["1"]["delivered"], 6);
        assert_eq!(stats["levels"]["2"]["latency"]["count"], 4);
        assert_eq!(stats["levels"]["3"]["latency"]["max"], 0.0);
    }

    #[test]
    fn customers_are_known_by_name() {
        let stats = stats(&testing::state());
        let table1 = &stats["customers"]["table1"];
        assert_eq!(table1["delivered"], 6);
        assert_eq!(table1["by_type"], json!({ "breakfast": 3, "lunch": 3 }));
        assert_eq!(table1["by_level"], json!({ "1": 6, "2": 0, "3": 0 }));
        let last = json!({ "sequence": 6, "level": 1, "type": "breakfast", "latency_us": 120.0,
                           "delivered_at_ms": 1_700_000_000_000_u64 });
        assert_eq!(table1["last"][5], last);
        assert_eq!(stats["customers"].as_object().unwrap().len(), 2);
        assert_eq!(stats["customers_omitted"], 0);
        assert_eq!(stats["version"], "1.2.3");
        assert_eq!(stats["commit"], build_info::built_from());
        assert_eq!(stats["durability"], "written");
        assert_eq!(stats["threading_mode"], "shared");
    }
}
