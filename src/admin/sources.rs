//! What is shown of each source: rows of the last report, their words, and as JSON for `/stats`.
//!
//! The monitor feeds it once a second; the page sorts it.

use serde_json::{Value, json};

use crate::clock::Now;
use crate::latency::Names;
use crate::limits::SOURCES_SHOWN_MAX;
use crate::sources::{SourceReport, SourceState, State, WaitsFor, Who};

/// The sources of the last report.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sources {
    rows: Vec<SourceState>,
    /// Sources that found no room in it.
    omitted: u64,
    /// When it was complete.
    at: Now,
}

impl Sources {
    /// A report that is not complete tells nothing.
    pub(super) fn take(&mut self, report: &SourceReport) {
        let Some(at) = report.completed_at else {
            return;
        };
        self.rows.clone_from(&report.states);
        (self.omitted, self.at) = (report.omitted, at);
    }

    pub(super) fn rows(&self) -> &[SourceState] {
        &self.rows
    }

    pub(super) fn omitted(&self) -> u64 {
        self.omitted
    }

    /// For how long a source has been connected, or not, in ns.
    pub(super) fn lasts_ns(&self, row: &SourceState) -> u64 {
        self.at.ns.saturating_sub(row.since_ns)
    }

    /// The first of them, and how many there are besides.
    pub(super) fn json(&self, names: &dyn Names) -> (Value, u64) {
        let shown = self.rows.len().min(SOURCES_SHOWN_MAX);
        let rows = self.rows[..shown].iter().map(|it| self.row(it, names));
        let omitted = self.omitted + (self.rows.len() - shown) as u64;
        (rows.collect(), omitted)
    }

    fn row(&self, row: &SourceState, names: &dyn Names) -> Value {
        let now_ms = self.at.epoch_us / 1_000;
        let since_ms = now_ms.saturating_sub(self.lasts_ns(row) / 1_000_000);
        json!({
            "source": name(row),
            "kind": match row.who {
                Who::Dialled(_) => "dialled",
                Who::Producer(..) => "producer",
                Who::Removed => "removed",
            },
            "user": user(row),
            "state": row.state.label(),
            "since_ms": since_ms,
            "connects": row.connects,
            "lines": row.lines,
            "rejected": row.rejected,
            "waits_for": row.waits_for.map(|it| waits_for(it, names)),
            "why": why(row),
        })
    }
}

/// Its address.
pub(super) fn name(row: &SourceState) -> String {
    match &row.who {
        Who::Dialled(address) => address.to_string(),
        Who::Producer(peer, _) => peer.to_string(),
        Who::Removed => "one that the settings name no more".to_owned(),
    }
}

/// Who a producer is, where users are asked for.
pub(super) fn user(row: &SourceState) -> Option<&str> {
    match &row.who {
        Who::Producer(_, user) => user.as_ref().map(|it| &*it.name),
        Who::Dialled(_) | Who::Removed => None,
    }
}

/// Why it is not connected.
pub(super) fn why(row: &SourceState) -> Option<&str> {
    let why = row.why.as_deref();
    why.filter(|_| row.state != State::Connected)
}

/// Why it is not read on.
pub(super) fn waits_for(waits_for: WaitsFor, names: &dyn Names) -> String {
    match waits_for {
        WaitsFor::Destination(destination) => {
            format!("room at {}", names.destination(destination))
        }
        WaitsFor::Rejects => "room for its rejected line".to_owned(),
        WaitsFor::Budget => "its share of time for wrong lines".to_owned(),
        WaitsFor::Duplicates => "its share of time for duplicates".to_owned(),
        WaitsFor::Rate => "its max_rate".to_owned(),
        WaitsFor::Outcomes => "its producer to read outcomes".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::testing::Restaurant;
    use super::*;

    #[test]
    fn each_source_is_a_row_and_what_is_not_complete_is_none() {
        let state = |who, state, why: Option<&str>| SourceState {
            who,
            state,
            since_ns: 1_000_000_000,
            lines: 7,
            rejected: 2,
            connects: 3,
            waits_for: Some(WaitsFor::Destination(0)),
            why: why.map(Arc::from),
        };
        let peer = ([10, 0, 0, 9], 4_000).into();
        let mut report = SourceReport {
            states: vec![
                state(
                    Who::Dialled("kitchen:8001".into()),
                    State::Resting,
                    Some("refused"),
                ),
                state(Who::Producer(peer, None), State::Connected, Some("old")),
            ],
            omitted: 4,
            completed_at: None,
        };
        let mut sources = Sources::default();
        sources.take(&report);
        assert!(sources.rows().is_empty());
        report.completed_at = Some(Now {
            ns: 3_000_000_000,
            epoch_us: 50_000_000,
            ..Now::default()
        });
        sources.take(&report);
        let (json, omitted) = sources.json(&Restaurant);
        assert_eq!(omitted, 4);
        assert_eq!(
            (&json[0]["source"], &json[0]["why"]),
            (&"kitchen:8001".into(), &"refused".into())
        );
        assert_eq!(
            (&json[0]["since_ms"], &json[0]["lines"]),
            (&48_000.into(), &7.into())
        );
        assert_eq!(
            json[0]["waits_for"],
            format!("room at {}", Restaurant.destination(0))
        );
        assert_eq!(
            (&json[1]["source"], &json[1]["why"]),
            (&"10.0.0.9:4000".into(), &Value::Null)
        );
    }
}
