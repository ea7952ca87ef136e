//! One destination: what waits, who takes it, how late it was, what it got last.

use maud::{Markup, html};

use super::super::{AdminState, lock};
use super::charts::{Line, Scale, curves, spark};
use super::destinations::{by_level, wait};
use super::latency::figure;
use super::sources::fact;
use super::view::View;
use super::words::{NONE, count, latency, moment, name, rate, shown};
use crate::destinations::{SubscriberState, Tracked};
use crate::latency::curve::Curve;
use crate::latency::{CustomerTotals, Last, Names, Summary, View as Which};
use crate::message::{DestinationIndex, Level};

/// A destination at one moment.
pub(super) struct One {
    id: String,
    it: Tracked,
    levels: Level,
    totals: CustomerTotals,
    /// By type, in words.
    types: Vec<(String, u64)>,
    /// The last messages that it got, newest first.
    last: Vec<(Last, String)>,
    /// All levels, then each; empty: its latencies are with those of others.
    latencies: Vec<(Line, Summary)>,
    p99s: Vec<Option<f64>>,
}

impl One {
    pub(super) fn find(state: &AdminState, id: &str) -> Option<Self> {
        let shown = lock(&state.shown);
        let mut all = (0..).zip(shown.destinations.all());
        let (index, it) =
            all.find(|(index, it)| !it.state.is_vacant && state.names.destination(*index) == id)?;
        let totals = shown.totals.customer(index).cloned().unwrap_or_default();
        let slot = shown.recent.slot(index);
        let levels = shown.totals.levels();
        let which = slot.map(|_| which(index, levels)).unwrap_or_default();
        let latencies = which.into_iter().map(|(label, which)| {
            let histogram = shown.totals.histogram(which);
            let curve = Curve::of(&histogram, 0.001);
            (Line { label, curve }, Summary::of(&histogram))
        });
        let p99 = |it: Summary| (it.count > 0).then_some(it.p99_ns as f64);
        let steps = shown.recent.steps();
        let p99s = slot.map(|slot| steps.map(|it| p99(it.customer(slot))).collect());
        Some(Self {
            id: id.to_owned(),
            it: *it,
            levels,
            types: types(&totals, &*state.names),
            last: last(&totals, &*state.names),
            latencies: latencies.collect(),
            p99s: p99s.unwrap_or_default(),
            totals,
        })
    }
}

fn which(index: DestinationIndex, levels: Level) -> Vec<(String, Which)> {
    let all = ("all levels".to_owned(), Which::Customer(index));
    let levels = (1..=levels).map(|it| (format!("level {it}"), Which::Destination(it, index)));
    [all].into_iter().chain(levels).collect()
}

fn types(totals: &CustomerTotals, names: &dyn Names) -> Vec<(String, u64)> {
    let counted = super::super::statistics::by_type(totals, names).into_iter();
    let mut types: Vec<_> = counted.map(|(name, count)| (shown(&name), count)).collect();
    types.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    types
}

fn last(totals: &CustomerTotals, names: &dyn Names) -> Vec<(Last, String)> {
    let newest = totals.last.iter().rev();
    newest
        .map(|it| (*it, shown(&names.message_type(it.message_type))))
        .collect()
}

/// The page's main part.
pub(super) fn main(found: Option<&One>, view: &View) -> Markup {
    let back = view.of_destination(None).address() + "#destinations";
    html! {
        p .back { a href=(back) { "← All destinations" } }
        (section(found, view))
    }
}

pub(super) fn section(found: Option<&One>, view: &View) -> Markup {
    let id = view.destination.as_deref().unwrap_or_default();
    html! {
        section #destination data-part="destination" data-every="2"
            aria-labelledby="destination-title" {
            h1 #destination-title tabindex="-1" { (name(id)) }
            @match found {
                None => {
                    div .card {
                        p {
                            "There is no destination of this name now. It may have gone because \
                             nothing was left of it, or nothing was ever for it."
                        }
                    }
                },
                Some(one) => (whole(one)),
            }
        }
    }
}

fn whole(one: &One) -> Markup {
    html! {
        div .pair {
            (queue(one))
            (subscriber(one))
        }
        (latencies(one))
        div .pair {
            (got(one))
            (last_messages(one))
        }
    }
}

fn queue(one: &One) -> Markup {
    let (it, state) = (&one.it, &one.it.state);
    let max = match state.queued_max {
        0 => "no limit".to_owned(),
        max => count(max),
    };
    html! {
        div .card {
            h2 { "What waits" }
            dl .facts {
                div { dt { "Queued" } dd { (count(state.queued())) (by_level(it, one.levels)) } }
                div { dt { "Oldest wait" } dd { (wait(it)) } }
                (fact("May be queued", &max))
                (fact("In flight", &count(state.in_flight.into())))
                (fact("In, msg/s", &rate(it.accepted_rate)))
                (fact("Out, msg/s", &rate(it.settled_rate)))
                (fact("Accepted since the start", &count(state.accepted)))
                (fact("Settled since the start", &count(state.settled)))
                (fact("Taken back and sent again", &count(state.redelivered)))
            }
        }
    }
}

fn subscriber(one: &One) -> Markup {
    let it = &one.it;
    html! {
        div .card {
            h2 { "Who takes it" }
            @match &it.state.subscriber {
                None => p .verdict .warn { "No subscriber" },
                Some(subscriber) => (connected(subscriber, it.subscribed_since_us)),
            }
            dl .facts {
                (fact("Standing by", &count(it.state.standbys.into())))
                @if let (None, Some(seen_us)) = (it.state.subscriber, it.last_seen_us) {
                    div { dt { "Last seen, UTC" } dd { (moment(seen_us)) } }
                }
            }
        }
    }
}

fn connected(it: &SubscriberState, since_us: u64) -> Markup {
    let peer = it.peer.map_or(NONE.to_owned(), |it| it.to_string());
    let acknowledges = if it.ack { "yes" } else { "no" };
    html! {
        dl .facts {
            (fact("Address", &peer))
            div { dt { "Since, UTC" } dd { (moment(since_us)) } }
            (fact("Acknowledges", acknowledges))
            (fact("On their way to its socket", &count(it.unwritten.into())))
            (fact("Not acknowledged", &count(it.unacknowledged.into())))
            (fact("Being read from the journal", &count(it.fetching.into())))
        }
    }
}

fn latencies(one: &One) -> Markup {
    let words = format!(
        "Latency of {} by percentile, since the start",
        shown(&one.id)
    );
    let rows = one.latencies.iter().filter(|(_, it)| it.count > 0);
    html! {
        div .card {
            h2 { "How late it was, since the start" }
            @if one.latencies.is_empty() {
                p .quiet {
                    "The first 64 destinations have latencies of their own; the others' are \
                     together, as " code { "total.others" } "."
                }
            } @else {
                div .pair {
                    div {
                        table .latencies {
                            thead {
                                tr {
                                    td {}
                                    @for it in ["p50", "p99", "p99.9", "longest", "messages"] {
                                        th scope="col" { (it) }
                                    }
                                }
                            }
                            tbody { @for (line, it) in rows { (latency_row(&line.label, *it)) } }
                        }
                        p .quiet { "p99 over the last ten minutes" }
                        (spark(&one.p99s, Scale::Logarithmic))
                    }
                    figure { (curve(one, &words)) }
                }
            }
        }
    }
}

fn curve(one: &One, words: &str) -> Markup {
    let lines = one.latencies.iter().map(|(line, _)| Line {
        label: line.label.clone(),
        curve: line.curve.clone(),
    });
    let lines: Vec<_> = lines.collect();
    curves(words, &lines).unwrap_or_else(|| html! { p .quiet { "It got nothing yet." } })
}

fn latency_row(label: &str, it: Summary) -> Markup {
    html! {
        tr data-key=(label) {
            th scope="row" { (label) }
            @for ns in [it.p50_ns, it.p99_ns, it.p999_ns, it.max_ns] { td { (figure(it, ns)) } }
            td { (count(it.count)) }
        }
    }
}

fn got(one: &One) -> Markup {
    let levels = (1..=one.levels).zip(one.totals.by_level);
    html! {
        div .card {
            h2 { "What it got, since the start" }
            dl .facts {
                (fact("Messages", &count(one.totals.delivered)))
                @for (level, messages) in levels {
                    (fact(&format!("Level {level}"), &count(messages)))
                }
                @for (kind, messages) in &one.types {
                    div { dt { bdi { (kind) } } dd { (count(*messages)) } }
                }
            }
        }
    }
}

fn last_messages(one: &One) -> Markup {
    html! {
        div .card {
            h2 { "The last messages that it got" }
            @if one.last.is_empty() {
                p .quiet { "None since the start." }
            } @else {
                div .scroll tabindex="0" role="region" aria-label="The last messages" {
                    table .last {
                        thead {
                            tr {
                                th scope="col" { "sequence" }
                                th .left scope="col" { "type" }
                                th scope="col" { "level" }
                                th scope="col" { "delivered, UTC" }
                                th scope="col" { "took" }
                            }
                        }
                        tbody { @for (it, kind) in &one.last { (last_message(it, kind)) } }
                    }
                }
            }
        }
    }
}

fn last_message(it: &Last, kind: &str) -> Markup {
    html! {
        tr {
            td { (count(it.sequence)) }
            td .left { bdi { (kind) } }
            td { (it.level) }
            td { (moment(it.epoch_us)) }
            td { (latency(it.latency_ns)) }
        }
    }
}
