//! `/destinations`: what waits for each destination, for what and since when, and who takes it.
//!
//! The HTTP server and `/stats` ask for it; it reads what the monitor has tracked.

use jiff::{Timestamp, Unit};
use serde_json::{Map, Value, json};

use super::{AdminState, lock};
use crate::destinations::{SubscriberState, Tracked};
use crate::latency::Names;
use crate::message::Level;

/// Which part of the list is asked for.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Page {
    /// Destinations at most.
    limit: usize,
    /// Those before this place are left out.
    after: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            limit: 100,
            after: 0,
        }
    }
}

/// A part of the list, and the place where the next one begins.
pub(super) fn list(state: &AdminState, page: Page) -> Value {
    let shown = lock(&state.shown);
    let all = named(shown.destinations.all());
    let total = all.clone().count();
    let end = page.after.saturating_add(page.limit).min(total);
    let levels = shown.totals.levels();
    let list: Vec<_> = all
        .skip(page.after)
        .take(page.limit)
        .map(|(index, tracked)| one(index, tracked, levels, &*state.names))
        .collect();
    json!({
        "destinations": list,
        "total": total,
        "next": (end < total).then_some(end),
    })
}

/// The destinations that have names, with their indices.
fn named(all: &[Tracked]) -> impl Iterator<Item = (usize, &Tracked)> + Clone {
    let numbered = all.iter().enumerate();
    numbered.filter(|(_, tracked)| !tracked.state.is_vacant)
}

/// The destination of this name; `None`: there is none.
pub(super) fn find(state: &AdminState, name: &str) -> Option<Value> {
    let shown = lock(&state.shown);
    let mut all = named(shown.destinations.all());
    let (index, tracked) = all.find(|(index, _)| state.names.destination(*index as u32) == name)?;
    let levels = shown.totals.levels();
    Some(one(index, tracked, levels, &*state.names))
}

fn one(index: usize, tracked: &Tracked, levels: Level, names: &dyn Names) -> Value {
    let mut object = Map::new();
    object.insert("id".to_owned(), names.destination(index as u32).into());
    object.extend(figures(tracked, levels));
    Value::Object(object)
}

/// What is known of a destination but for its name.
pub(super) fn figures(tracked: &Tracked, levels: Level) -> Map<String, Value> {
    let state = &tracked.state;
    let by_level: Map<_, _> = (1..=levels)
        .zip(state.queued)
        .map(|(level, count)| (level.to_string(), count.into()))
        .collect();
    let waits_for = tracked.waits_for;
    let value = json!({
        "queued": state.queued(),
        "max_queued": state.queued_max,
        "queued_by_level": by_level,
        "in_flight": state.in_flight,
        "oldest_wait_seconds": tracked.oldest_wait_ns.map(|ns| (ns / 1_000_000) as f64 / 1e3),
        "waits_for": waits_for.map(|it| it.label()),
        "waits_since": waits_for.map(|_| time(tracked.waits_since_us)),
        "subscriber": state.subscriber.map(|it| subscriber(it, tracked.subscribed_since_us)),
        "standbys": state.standbys,
        "last_seen": tracked.last_seen_us.map(time),
        "accepted": state.accepted,
        "settled": state.settled,
        "redelivered": state.redelivered,
        "accepted_per_second": tracked.accepted_rate.round(),
        "settled_per_second": tracked.settled_rate.round(),
    });
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn subscriber(state: SubscriberState, since_us: u64) -> Value {
    json!({
        "address": state.peer.map(|peer| peer.to_string()),
        "since": time(since_us),
        "ack": state.ack,
        "unwritten": state.unwritten,
        "unacknowledged": state.unacknowledged,
        "fetching": state.fetching,
    })
}

/// A time of day in UTC, to the second.
pub(super) fn time(epoch_us: u64) -> String {
    let time = Timestamp::from_microsecond(epoch_us as i64).unwrap_or(Timestamp::UNIX_EPOCH);
    time.round(Unit::Second).unwrap_or(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn each_destination_says_what_it_waits_for_and_since_when() {
        let state = testing::state();
        let table2 = find(&state, "table2").expect("it is there");
        assert_eq!(table2["queued"], 4);
        assert_eq!(table2["queued_by_level"], json!({ "1": 0, "2": 4, "3": 0 }));
        assert_eq!(table2["waits_for"], "subscriber");
        assert_eq!(table2["waits_since"], "2023-11-14T22:13:21Z");
        assert_eq!(table2["oldest_wait_seconds"], 2.5);
        assert_eq!(table2["last_seen"], Value::Null);
        let table1 = find(&state, "table1").expect("it is there");
        assert_eq!(table1["waits_for"], Value::Null);
        assert_eq!(table1["subscriber"]["ack"], true);
        assert_eq!(table1["subscriber"]["address"], "10.0.0.7:4312");
        assert_eq!(find(&state, "table3"), None);
    }

    #[test]
    fn a_long_list_comes_in_parts() {
        let state = testing::state();
        let first = list(&state, Page { limit: 1, after: 0 });
        assert_eq!(first["destinations"][0]["id"], "table1");
        assert_eq!((&first["total"], &first["next"]), (&json!(2), &json!(1)));
        let second = list(&state, Page { limit: 9, after: 1 });
        assert_eq!(second["destinations"][0]["id"], "table2");
        assert_eq!(second["next"], Value::Null);
        let none = list(&state, Page { limit: 9, after: 9 });
        assert_eq!(none["destinations"], json!([]));
    }
}
