//! What comes in: sources and producers together, and why lines were not taken.

use maud::{Markup, html};

use super::overview::Overview;
use super::words::{bytes, count, rate};
use crate::counters::Counter;
use crate::message::Reason;

pub(super) fn section(overview: &Overview) -> Markup {
    let get = |counter| count(overview.counters.get(counter));
    let per_second = |counter| rate(overview.rates.of(counter));
    let bytes_in = overview.rates.of(Counter::BytesIn).round() as u64;
    html! {
        section #sources .card aria-labelledby="sources-title" {
            h2 #sources-title { "Sources" }
            dl .facts {
                (fact("Connected now", &connected(overview)))
                (fact("Lines received", &get(Counter::Received)))
                (fact("Lines a second", &per_second(Counter::Received)))
                (fact("Bytes a second", &bytes(bytes_in)))
                (fact("Accepted", &get(Counter::Accepted)))
                (fact("Duplicates", &get(Counter::Duplicates)))
                (fact("Rejected", &get(Counter::Rejected)))
                (fact("Connections made", &get(Counter::SourceConnects)))
                (fact("Connections ended", &get(Counter::SourceDisconnects)))
                (fact("Dials that failed", &get(Counter::SourceConnectFailures)))
                (fact("Held: a queue is full", &get(Counter::SourcesHeld)))
                (fact("Held: rejects cannot be kept", &get(Counter::RejectedHeld)))
            }
            (reasons(overview))
        }
    }
}

/// A figure and what it is.
pub(super) fn fact(what: &str, value: &str) -> Markup {
    html! { div { dt { (what) } dd { (value) } } }
}

fn connected(overview: &Overview) -> String {
    let now = overview.counters.get(Counter::SourcesConnected);
    match overview.configured_sources {
        0 => count(now),
        configured => format!("{} ({configured} in the settings)", count(now)),
    }
}

fn reasons(overview: &Overview) -> Markup {
    let counted = Reason::ALL.map(|it| (it, overview.counters.rejected(it)));
    let found: Vec<_> = counted.into_iter().filter(|(_, it)| *it > 0).collect();
    html! {
        h3 { "Rejected, by reason" }
        @if found.is_empty() {
            p .quiet { "No line was rejected." }
        } @else {
            dl .facts {
                @for (reason, lines) in found {
                    (fact(&reason.label().replace('_', " "), &count(lines)))
                }
            }
        }
    }
}
