//! `/history`: the last ten minutes in steps of ten seconds, as JSON: what the page draws.
//!
//! ```text
//! {"step_seconds":10,
//!  "flow":[{"start":"..Z","seconds":10.0,"accepted_per_second":..,"settled_per_second":..,
//!           "queued_max":..,"in_flight_max":..,"oldest_wait_seconds_max":..,"store_lag_max":..}, ..],
//!  "latency":[{"start":"..Z","seconds":10.0,"stages":{"total":{"count":..,"p50":..},..},   in us
//!              "levels":{"1":{..},..}}, ..]}
//! ```

use serde_json::{Value, json};

use super::flow::FlowStep;
use super::latency_figures::{by_level, stages};
use super::{AdminState, destinations, lock};
use crate::counters::Counter;
use crate::latency::RecentStep;
use crate::limits::RECENT_STEP;
use crate::message::Level;

pub(super) fn history(state: &AdminState) -> Value {
    let shown = lock(&state.shown);
    let levels = shown.totals.levels();
    let flow: Vec<_> = shown.flow.steps().map(flow).collect();
    let latency = shown.recent.steps().map(|it| latency(it, levels));
    json!({
        "step_seconds": RECENT_STEP.as_secs(),
        "flow": flow,
        "latency": latency.collect::<Vec<_>>(),
    })
}

fn seconds(us: u64) -> f64 {
    (us / 1_000) as f64 / 1e3
}

fn flow(step: &FlowStep) -> Value {
    let rate = |counter| (step.rates.of(counter) * 10.0).round() / 10.0;
    json!({
        "start": destinations::time(step.start_us),
        "seconds": seconds(step.length_us),
        "accepted_per_second": rate(Counter::Accepted),
        "settled_per_second": rate(Counter::Settled),
        "queued_max": step.queued_max,
        "in_flight_max": step.in_flight_max,
        "oldest_wait_seconds_max": seconds(step.oldest_wait_ns_max / 1_000),
        "store_lag_max": step.store_lag_max,
    })
}

fn latency(step: &RecentStep, levels: Level) -> Value {
    json!({
        "start": destinations::time(step.start_us),
        "seconds": seconds(step.length_us),
        "stages": stages(step),
        "levels": by_level(step, levels),
    })
}
