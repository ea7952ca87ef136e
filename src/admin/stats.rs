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
//!  "customers_omitted":0,"uptime_seconds":..,"version":..,"durability":..,"threading_mode":..,
//!  "phase":..}
//! ```

use serde_json::{Map, Value, json};

use super::destinations;
use super::shown::{Customer, Shown};
use super::statistics::by_type;
use super::{AdminState, lock};
use crate::counters::Snapshot;
use crate::latency::{CustomerTotals, Last, Names, Stage, Summary, Totals, View};
use crate::limits::CUSTOMERS_SHOWN_MAX;
use crate::message::{Level, Reason};

pub(super) fn stats(state: &AdminState) -> Value {
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
        let (customers, omitted) = customers(&shown, &*state.names);
        put("customers", customers);
        put("customers_omitted", omitted.into());
    }
    let facts = &state.facts;
    put("uptime_seconds", facts.started.elapsed().as_secs().into());
    put("version", facts.version.into());
    put("durability", facts.durability.into());
    put("threading_mode", facts.threading_mode.into());
    put("phase", state.health.phase().label().into());
    Value::Object(object)
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

fn figures(summary: Summary) -> Value {
    json!({
        "count": summary.count,
        "mean": microseconds(summary.mean_ns),
        "p50": microseconds(summary.p50_ns as f64),
        "p99": microseconds(summary.p99_ns as f64),
        "p999": microseconds(summary.p999_ns as f64),
        "max": microseconds(summary.max_ns as f64),
    })
}

/// To three digits after the point: nanoseconds.
fn microseconds(ns: f64) -> f64 {
    ns.round() / 1_000.0
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
    use super::super::testing;
    use super::*;
    use crate::counters::Counter;

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
        assert_eq!(stats["durability"], "written");
        assert_eq!(stats["threading_mode"], "shared");
    }
}
