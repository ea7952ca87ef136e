//! What an engine says of itself at one moment: the JSON of `/stats`, `/readyz` and `/destinations`.
//!
//! Names and words of others are escaped here, once, so that nothing behind speaks to the terminal.
//! What an older engine does not say is nought.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::escape::Escaped;

/// One moment of an engine.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Snapshot {
    pub(super) stats: Stats,
    /// What `/readyz` names.
    pub(super) troubles: Vec<String>,
    pub(super) customers: Vec<Customer>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Stats {
    pub(super) version: String,
    pub(super) durability: String,
    pub(super) threading_mode: String,
    pub(super) phase: String,
    pub(super) uptime_seconds: u64,
    pub(super) received: u64,
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    pub(super) rejected: u64,
    pub(super) settled: u64,
    pub(super) queued: u64,
    pub(super) in_flight: u64,
    pub(super) redelivered: u64,
    pub(super) sources_connected: u64,
    pub(super) subscribers_connected: u64,
    pub(super) journal_segments: u64,
    pub(super) journal_disk: u64,
    pub(super) store_lag_messages: u64,
    pub(super) store_lag_seconds: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Customer {
    pub(super) id: String,
    pub(super) queued: u64,
    queued_by_level: BTreeMap<String, u64>,
    pub(super) in_flight: u64,
    pub(super) oldest_wait_seconds: Option<f64>,
    pub(super) waits_for: Option<String>,
    #[serde(deserialize_with = "time")]
    pub(super) waits_since: Option<Timestamp>,
    pub(super) subscriber: Option<Subscriber>,
    pub(super) standbys: u64,
    pub(super) redelivered: u64,
    pub(super) accepted_per_second: f64,
    pub(super) settled_per_second: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Subscriber {
    pub(super) ack: bool,
}

impl Customer {
    /// Queued by level, level 1 first.
    pub(super) fn levels(&self) -> Vec<u64> {
        let mut levels: Vec<(u64, u64)> = self
            .queued_by_level
            .iter()
            .map(|(level, count)| (level.parse().unwrap_or(u64::MAX), *count))
            .collect();
        levels.sort_unstable();
        levels.into_iter().map(|(_, count)| count).collect()
    }
}

/// A time, where it is one.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.and_then(|it| it.parse().ok()))
}

/// A part of `/destinations`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Page {
    pub(super) destinations: Vec<Customer>,
    /// Where the next part begins.
    pub(super) next: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Readiness {
    ready: bool,
    reason: String,
    degraded: Vec<String>,
}

impl Snapshot {
    /// Puts the answers together; those to `/stats` and `/readyz` are their text.
    pub(super) fn of(
        stats: &str,
        readiness: &str,
        customers: Vec<Customer>,
    ) -> Result<Self, serde_json::Error> {
        let mut stats: Stats = serde_json::from_str(stats)?;
        let readiness: Readiness = serde_json::from_str(readiness)?;
        for word in [
            &mut stats.version,
            &mut stats.durability,
            &mut stats.threading_mode,
            &mut stats.phase,
        ] {
            *word = Escaped(&*word).to_string();
        }
        let not_ready = (!readiness.ready).then(|| format!("not ready: {}", readiness.reason));
        let troubles = not_ready.into_iter().chain(readiness.degraded);
        let mut customers = customers;
        for customer in &mut customers {
            customer.id = Escaped(&customer.id).to_string();
            customer.waits_for = customer.waits_for.take().map(|it| Escaped(it).to_string());
        }
        Ok(Self {
            stats,
            troubles: troubles.map(|it| Escaped(it).to_string()).collect(),
            customers,
        })
    }

    /// The oldest wait, and whose it is.
    pub(super) fn oldest(&self) -> Option<(f64, &str)> {
        let waits = self.customers.iter();
        let waits = waits.filter_map(|it| Some((it.oldest_wait_seconds?, it.id.as_str())));
        waits.max_by(|one, other| one.0.total_cmp(&other.0))
    }

    /// Messages accepted and settled a second, of all customers.
    pub(super) fn rates(&self) -> (f64, f64) {
        let customers = self.customers.iter();
        customers.fold((0.0, 0.0), |(accepted, settled), it| {
            (
                accepted + it.accepted_per_second,
                settled + it.settled_per_second,
            )
        })
    }
}
