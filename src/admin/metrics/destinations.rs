//! What waits for each destination, for what, how fast it goes; and the same of all together.
//!
//! Fed by what the monitor tracks. The first [`METRICS_DESTINATIONS_MAX`] that were ever used have
//! series of their own. The others are in the sums, which have all; `/destinations` lists them.

use std::fmt;

use super::families::Families;
use crate::admin::Shown;
use crate::destinations::{Tracked, WaitsFor};
use crate::latency::Names;
use crate::limits::METRICS_DESTINATIONS_MAX;

/// A figure of each destination.
struct Family {
    name: &'static str,
    help: &'static str,
    value: Value,
}

enum Value {
    Count(fn(&Tracked) -> u64),
    Whole(fn(&Tracked) -> u64),
    Real(fn(&Tracked) -> f64),
}

const FAMILIES: [Family; 9] = [
    Family {
        name: "destination_in_flight",
        help: "Messages handed to the destination's subscriber and not yet settled.",
        value: Value::Whole(|it| it.state.in_flight.into()),
    },
    Family {
        name: "destination_max_queued",
        help: "How many messages may wait for the destination.",
        value: Value::Whole(|it| it.state.queued_max),
    },
    Family {
        name: "destination_oldest_wait_seconds",
        help: "How long the oldest message that waits for the destination, or stands still in flight, has waited; 0: none waits.",
        value: Value::Real(oldest_wait_seconds),
    },
    Family {
        name: "destination_subscribers",
        help: "Subscribers of the destination, standbys included.",
        value: Value::Whole(|it| {
            u64::from(it.state.standbys) + u64::from(it.state.subscriber.is_some())
        }),
    },
    Family {
        name: "destination_accepted_per_second",
        help: "Messages accepted for the destination in the last second.",
        value: Value::Real(|it| it.accepted_rate),
    },
    Family {
        name: "destination_settled_per_second",
        help: "Messages of the destination that were settled in the last second.",
        value: Value::Real(|it| it.settled_rate),
    },
    Family {
        name: "destination_accepted",
        help: "Messages accepted for the destination.",
        value: Value::Count(|it| it.state.accepted),
    },
    Family {
        name: "destination_settled",
        help: "Messages of the destination that need no more work.",
        value: Value::Count(|it| it.state.settled),
    },
    Family {
        name: "destination_redelivered",
        help: "Messages taken back from the destination's subscribers that went.",
        value: Value::Count(|it| it.state.redelivered),
    },
];

fn oldest_wait_seconds(it: &Tracked) -> f64 {
    it.oldest_wait_ns.unwrap_or(0) as f64 / 1e9
}

pub(super) fn encode(families: &mut Families<'_>, shown: &Shown, names: &dyn Names) -> fmt::Result {
    let numbered = (0..).zip(shown.destinations.all());
    let used: Vec<_> = numbered.filter(|(_, it)| it.has_been_used()).collect();
    all_together(families, &used)?;
    let own = used.iter().take(METRICS_DESTINATIONS_MAX);
    let own: Vec<_> = own
        .map(|&(index, it)| (names.destination(index), it))
        .collect();
    for family in &FAMILIES {
        one(families, family, &own)?;
    }
    by_level(families, &own, shown.totals.levels())?;
    by_reason(families, &own)
}

/// Over all destinations, those without series of their own included.
fn all_together(families: &mut Families<'_>, used: &[(u32, &Tracked)]) -> fmt::Result {
    let omitted = used.len().saturating_sub(METRICS_DESTINATIONS_MAX);
    let help = "Destinations that have no series of their own here: /destinations lists them.";
    families.gauge("destinations_omitted", help, omitted as u64)?;
    let waits = used.iter().map(|(_, it)| oldest_wait_seconds(it));
    let help = "The longest destination_oldest_wait_seconds of all destinations.";
    families.gauge("oldest_wait_seconds", help, waits.fold(0.0, f64::max))?;
    let waiting = WaitsFor::ALL.map(|reason| {
        let stopped = used.iter().filter(|(_, it)| it.waits_for == Some(reason));
        ([("for", reason.label())], stopped.count() as u64)
    });
    let help = "Destinations whose messages wait, by what for.";
    families.gauges("destinations_waiting", help, waiting)
}

fn one(
    families: &mut Families<'_>,
    Family { name, help, value }: &Family,
    own: &[(String, &Tracked)],
) -> fmt::Result {
    let labels = |id| [("destination", id)];
    let all = own.iter().map(|(id, it)| (labels(id.as_str()), *it));
    match value {
        Value::Count(of) => families.counters(name, help, all.map(|(id, it)| (id, of(it)))),
        Value::Whole(of) => families.gauges(name, help, all.map(|(id, it)| (id, of(it)))),
        Value::Real(of) => families.gauges(name, help, all.map(|(id, it)| (id, of(it)))),
    }
}

fn by_level(families: &mut Families<'_>, own: &[(String, &Tracked)], levels: u8) -> fmt::Result {
    let help = "Messages that wait, by destination and effective priority.";
    let levels: Vec<_> = (1..=levels).map(|it| it.to_string()).collect();
    let samples = own.iter().flat_map(|(id, tracked)| {
        let counts = levels.iter().zip(tracked.state.queued);
        counts.map(move |(level, count)| {
            let labels = [("destination", id.as_str()), ("level", level.as_str())];
            (labels, u64::from(count))
        })
    });
    families.gauges("destination_queued", help, samples)
}

fn by_reason(families: &mut Families<'_>, own: &[(String, &Tracked)]) -> fmt::Result {
    let help = "1 for what the destination's messages wait for, while they do.";
    let samples = own.iter().flat_map(|(id, tracked)| {
        WaitsFor::ALL.map(|reason| {
            let labels = [("destination", id.as_str()), ("for", reason.label())];
            (labels, u64::from(tracked.waits_for == Some(reason)))
        })
    });
    families.gauges("destination_waits", help, samples)
}
