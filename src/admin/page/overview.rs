//! The summary: is it well, who waits, how late are we; and what flows.
//!
//! [`Overview`] is taken once for a page, and once a second for all readers of events: it is of one moment,
//! and its counters are of one snapshot.

use std::time::Duration;

use maud::{Markup, html};

use super::super::flow::{FlowStep, Rates};
use super::super::readiness::Readiness;
use super::super::{AdminState, Phase, Shown, lock};
use super::charts::{Scale, spark};
use super::troubles::sentences;
use super::view::View;
use super::words::{NONE, count, lasting, latency, name, rate, short_count};
use crate::cluster::status::Snapshot as Member;
use crate::counters::{Counter, Snapshot};
use crate::destinations::{Tracked, WaitsFor};
use crate::disk::Outlook;
use crate::latency::{Names, Stage, Summary, View as Which};
use crate::limits::LEVELS_MAX;
use crate::message::Level;

/// Destinations that are named for waiting.
const WAITING_MAX: usize = 5;

/// Troubles that are named beside the verdict.
const TROUBLES_MAX: usize = 2;

/// A destination for which something waits.
#[derive(Debug)]
pub(super) struct Waiting {
    id: String,
    /// Queued or in flight.
    messages: u64,
    oldest_wait_ns: u64,
    reason: Option<WaitsFor>,
}

/// A stage, or a level of it; level 0: all of them.
#[derive(Debug)]
pub(super) struct Latency {
    pub(super) stage: Stage,
    pub(super) level: Level,
    /// Of the last step.
    pub(super) recent: Summary,
    /// Since the start.
    pub(super) all: Summary,
    /// The p99 of each step, in ns.
    pub(super) p99s: Vec<Option<f64>>,
}

#[derive(Debug)]
pub(super) struct Overview {
    pub(super) counters: Snapshot,
    pub(super) rates: Rates,
    pub(super) readiness: Readiness,
    pub(super) phase: Phase,
    pub(super) uptime: Duration,
    pub(super) version: &'static str,
    pub(super) durability: &'static str,
    pub(super) threading_mode: &'static str,
    pub(super) configured_sources: usize,
    pub(super) has_store: bool,
    /// The member of a group that this is.
    pub(super) member: Option<Member>,
    pub(super) latencies: Vec<Latency>,
    levels: Level,
    queued: [u64; LEVELS_MAX],
    pub(super) disk: Option<Outlook>,
    waiting: Vec<Waiting>,
    waiting_count: usize,
    flow: Vec<FlowStep>,
}

impl Overview {
    pub(super) fn of(state: &AdminState) -> Self {
        // It sets the figures of the group, too.
        let member = state.member();
        let readiness = Readiness::of(state, member.as_ref());
        let counters = state.counters.snapshot();
        let (facts, shown) = (&state.facts, lock(&state.shown));
        let (waiting, waiting_count) = waiting(&shown, &*state.names);
        Self {
            counters,
            rates: shown.flow.rates(),
            readiness,
            phase: state.health.phase(),
            uptime: facts.started.elapsed(),
            version: facts.version,
            durability: facts.durability,
            threading_mode: facts.threading_mode,
            configured_sources: shown.alarms.configured_sources(),
            has_store: facts.has_store,
            member,
            latencies: latencies(&shown),
            levels: shown.totals.levels(),
            queued: shown.queued(),
            disk: shown.disk,
            waiting,
            waiting_count,
            flow: shown.flow.steps().copied().collect(),
        }
    }

    /// The word for how it is, and what the stylesheet calls it.
    pub(super) fn verdict(&self) -> (&'static str, &'static str) {
        match (&self.readiness.unready, self.phase) {
            (Some(_), _) if self.is_standby() => ("Standby", "warn"),
            (Some(_), Phase::Starting | Phase::Draining) => ("Not ready", "warn"),
            (Some(_), _) => ("Not ready", "bad"),
            (None, _) if self.readiness.degraded.is_empty() => ("Well", "good"),
            _ => ("Degraded", "warn"),
        }
    }

    fn is_standby(&self) -> bool {
        self.member.as_ref().is_some_and(|it| !it.is_active())
    }

    /// The whole way, all levels.
    fn total(&self) -> Option<&Latency> {
        let mut all = self.latencies.iter();
        all.find(|it| it.stage == Stage::Total && it.level == 0)
    }
}

/// Who waits longest, and how many wait.
fn waiting(shown: &Shown, names: &dyn Names) -> (Vec<Waiting>, usize) {
    let all = (0..).zip(shown.destinations.all());
    let mut all: Vec<(u32, &Tracked)> = all
        .filter(|(_, it)| it.oldest_wait_ns.is_some() && !it.state.is_vacant)
        .collect();
    let count = all.len();
    all.sort_by_key(|(_, it)| std::cmp::Reverse((it.oldest_wait_ns, it.state.queued())));
    let first = all.into_iter().take(WAITING_MAX);
    let waiting = first.map(|(index, it)| Waiting {
        id: names.destination(index),
        messages: it.state.queued() + u64::from(it.state.in_flight),
        oldest_wait_ns: it.oldest_wait_ns.unwrap_or(0),
        reason: it.waits_for,
    });
    (waiting.collect(), count)
}

/// The stages in the order of the way, the whole way first; of each all levels, then each one.
fn latencies(shown: &Shown) -> Vec<Latency> {
    let levels = shown.totals.levels();
    let [ingest, journal, queue, delivery, total] = Stage::ALL;
    let stages = [total, ingest, journal, queue, delivery].into_iter();
    let rows = stages.flat_map(|stage| (0..=levels).map(move |level| (stage, level)));
    let last = shown.recent.steps().next_back();
    rows.map(|(stage, level)| {
        let which = match level {
            0 => Which::Stage(stage),
            level => Which::Level(stage, level),
        };
        let p99 = |it: Summary| (it.count > 0).then_some(it.p99_ns as f64);
        Latency {
            stage,
            level,
            recent: last.map_or_else(Summary::default, |it| it.level(stage, level)),
            all: shown.totals.summary(which),
            p99s: (shown.recent.steps())
                .map(|it| p99(it.level(stage, level)))
                .collect(),
        }
    })
    .collect()
}

pub(super) fn section(overview: &Overview) -> Markup {
    html! {
        section #overview aria-label="Overview" {
            div .questions {
                (well(overview))
                (who_waits(overview))
                (how_late(overview))
            }
            (flow(overview))
        }
    }
}

fn well(overview: &Overview) -> Markup {
    let (word, class) = overview.verdict();
    let troubles = sentences(&overview.readiness);
    let more = troubles.len().saturating_sub(TROUBLES_MAX);
    html! {
        article .card .question {
            h2 { "Is it well?" }
            p .verdict .(class) { (word) }
            @if troubles.is_empty() {
                p .quiet {
                    (overview.readiness.reason()) " for "
                    (lasting(overview.uptime.as_nanos() as u64))
                    "; no troubles"
                }
            } @else {
                ul .short {
                    @for sentence in troubles.iter().take(TROUBLES_MAX) {
                        li { bdi { (sentence) } }
                    }
                }
                @if more > 0 {
                    p .quiet { a href="#troubles" { (more) " more" } }
                }
            }
        }
    }
}

fn who_waits(overview: &Overview) -> Markup {
    let queued = overview.counters.get(Counter::Queued);
    let oldest = overview.waiting.first();
    html! {
        article .card .question {
            h2 { "Who waits?" }
            p .figure {
                @match oldest {
                    None => "Nobody",
                    Some(it) => {
                        (lasting(it.oldest_wait_ns)) " "
                        small { "the oldest message" }
                    },
                }
            }
            @if overview.waiting.is_empty() {
                p .quiet { (count(queued)) " messages queued" }
            } @else {
                ul .waiting { @for it in &overview.waiting { (waiter(it)) } }
                p .quiet {
                    (count(queued)) " messages queued for "
                    (count(overview.waiting_count as u64)) " destinations"
                }
            }
        }
    }
}

fn waiter(it: &Waiting) -> Markup {
    let address = View::default().of_destination(Some(&it.id)).address();
    html! {
        li {
            a href=(address) { (name(&it.id)) }
            span .why { (it.reason.map_or("it goes on", WaitsFor::words)) }
            span .number { (short_count(it.messages)) " msg" }
            span .number { (lasting(it.oldest_wait_ns)) }
        }
    }
}

fn how_late(overview: &Overview) -> Markup {
    let total = overview.total();
    let recent = total.map(|it| it.recent).filter(|it| it.count > 0);
    let figures = |it: Summary| {
        [
            ("p50", it.p50_ns),
            ("p99.9", it.p999_ns),
            ("longest", it.max_ns),
        ]
    };
    html! {
        article .card .question {
            h2 { "How late are we?" }
            p .figure {
                (recent.map_or(NONE.to_owned(), |it| latency(it.p99_ns))) " "
                small { "p99, the whole way, last 10 s" }
            }
            @if let Some(it) = total {
                (spark(&it.p99s, Scale::Logarithmic))
                dl .row {
                    @for (what, ns) in figures(it.recent) {
                        div {
                            dt { (what) }
                            dd { (recent.map_or(NONE.to_owned(), |_| latency(ns))) }
                        }
                    }
                }
            }
        }
    }
}

fn flow(overview: &Overview) -> Markup {
    let get = |counter| overview.counters.get(counter);
    let rates = |counter: Counter| {
        let steps = overview.flow.iter();
        let rates: Vec<_> = steps.map(|it| Some(it.rates.of(counter))).collect();
        spark(&rates, Scale::Linear)
    };
    let steps = |value: fn(&FlowStep) -> u64| {
        let steps = overview.flow.iter();
        let values: Vec<_> = steps.map(|it| Some(value(it) as f64)).collect();
        spark(&values, Scale::Linear)
    };
    let now = |counter| rate(overview.rates.of(counter));
    let queued = short_count(get(Counter::Queued));
    let in_flight = short_count(get(Counter::InFlight));
    let behind = short_count(get(Counter::StoreLagMessages));
    let delivered = short_count(get(Counter::Delivered));
    let sources = count(get(Counter::SourcesConnected));
    let subscribers = count(get(Counter::SubscribersConnected));
    let none = html! {};
    html! {
        ul .tiles {
            (tile("In", &now(Counter::Accepted), "msg/s", &rates(Counter::Accepted)))
            (tile("Out", &now(Counter::Settled), "msg/s", &rates(Counter::Settled)))
            (tile("Queued", &queued, &by_level(overview), &steps(|it| it.queued_max)))
            (tile("In flight", &in_flight, "messages", &steps(|it| it.in_flight_max)))
            (tile("Store behind", &behind, "messages", &steps(|it| it.store_lag_max)))
            (tile("Delivered", &delivered, "since the start", &none))
            (tile("Sources", &sources, "connected", &none))
            (tile("Subscribers", &subscribers, "connected", &none))
        }
    }
}

fn by_level(overview: &Overview) -> String {
    let levels = &overview.queued[..usize::from(overview.levels)];
    let levels: Vec<_> = levels.iter().map(|it| short_count(*it)).collect();
    format!("by level {}", levels.join(" / "))
}

fn tile(what: &str, value: &str, unit: &str, spark: &Markup) -> Markup {
    html! {
        li .card .tile {
            span .what { (what) }
            span .value { (value) }
            span .unit { (unit) }
            (spark)
        }
    }
}
