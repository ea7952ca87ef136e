//! The sources, one row each: the dialled ones and producers, a hundred at a time, sorted here. Their names
//! are text from outside.

use std::cmp::{Ordering, Reverse};

use maud::{Markup, html};

use super::super::sources::{Sources, name as address, user, waits_for, why};
use super::super::{AdminState, lock};
use super::listing::{self, Listing, rows_of};
use super::view::{SourceSort, View};
use super::words::{NONE, count, lasting, name, short_count, shown};
use crate::sources::{SourceState, State, Who};

/// The page of the list that is looked at.
#[derive(Debug)]
pub(super) struct List {
    rows: Vec<Row>,
    total: usize,
    omitted: u64,
    /// From 1.
    page: usize,
    pages: usize,
}

#[derive(Debug)]
struct Row {
    it: SourceState,
    name: String,
    lasts_ns: u64,
    /// In words.
    waits: Option<String>,
}

impl List {
    pub(super) fn of(state: &AdminState, view: &View) -> Self {
        // What is sorted is a copy: the monitor waits for the lock.
        let sources: Sources = lock(&state.shown).sources.clone();
        let mut all: Vec<&SourceState> = sources.rows().iter().collect();
        sort(&mut all, view.sources);
        let (page, pages) = view.sources.page_of(all.len());
        let rows = rows_of(&all, page).map(|it| Row {
            name: address(it),
            lasts_ns: sources.lasts_ns(it),
            waits: it.waits_for.map(|it| waits_for(it, &*state.names)),
            it: SourceState::clone(it),
        });
        Self {
            rows: rows.collect(),
            total: all.len(),
            omitted: sources.omitted(),
            page,
            pages,
        }
    }
}

/// Those that are alike stay in the order of the report: the settings' first.
fn sort(all: &mut [&SourceState], view: Listing<SourceSort>) {
    match (view.sort, view.is_ascending) {
        (SourceSort::Name, true) => all.sort_by_cached_key(|it| address(it)),
        (SourceSort::Name, false) => all.sort_by_cached_key(|it| Reverse(address(it))),
        (sort, true) => all.sort_by(|a, b| compare(sort, a, b)),
        (sort, false) => all.sort_by(|a, b| compare(sort, b, a)),
    }
}

fn compare(sort: SourceSort, a: &SourceState, b: &SourceState) -> Ordering {
    let by = |key: fn(&SourceState) -> u64| key(a).cmp(&key(b));
    match sort {
        SourceSort::Name => Ordering::Equal,
        SourceSort::State => by(|it| u64::from(it.state != State::Connected)),
        // The longest first: it began the earliest.
        SourceSort::Since => by(|it| it.since_ns).reverse(),
        SourceSort::Lines => by(|it| it.lines),
        SourceSort::Rejected => by(|it| it.rejected),
        SourceSort::Waits => by(|it| it.waits_for.is_some().into()),
    }
}

/// A column that can be sorted by, its heading, and what it is in a tip.
const COLUMNS: [(SourceSort, &str, &str); 6] = [
    (SourceSort::Name, "Source", "By address"),
    (
        SourceSort::State,
        "State",
        "Those that are not connected first",
    ),
    (SourceSort::Since, "For", "How long it has been so"),
    (
        SourceSort::Lines,
        "Lines",
        "Since the start; of a producer, since it came",
    ),
    (
        SourceSort::Rejected,
        "Rejected",
        "Those among them that were rejected",
    ),
    (SourceSort::Waits, "Waits for", "Why it is not read on now"),
];

pub(super) fn section(list: &List, view: &View) -> Markup {
    html! {
        section #source-list .card data-part="sources" data-every="2"
            aria-labelledby="source-list-title" {
            div .bar {
                h2 #source-list-title { "Each source" }
                p .quiet role="status" { (found(list)) }
            }
            div .scroll tabindex="0" role="region" aria-labelledby="source-list-title" {
                table .destinations .sources {
                    thead {
                        tr {
                            @for (sort, heading, tip) in COLUMNS { (column(sort, heading, tip, view)) }
                        }
                    }
                    tbody { @for it in &list.rows { (row(it)) } }
                }
                @if list.rows.is_empty() { p .quiet { "No source is in the settings, and none is connected." } }
            }
            (pager(list, view))
        }
    }
}

fn found(list: &List) -> String {
    match list.omitted {
        0 => count(list.total as u64),
        more => format!("{} and {} more", count(list.total as u64), count(more)),
    }
}

fn column(sort: SourceSort, heading: &str, tip: &str, view: &View) -> Markup {
    let to = view.of_sources(view.sources.sorted_by(sort)).address();
    view.sources.heading(sort, heading, tip, &to)
}

fn row(row: &Row) -> Markup {
    let it = &row.it;
    let class = match (it.state, &row.waits) {
        (State::Connected, None) => "",
        (State::Connected, Some(_)) => "warn",
        _ => "bad",
    };
    html! {
        tr .(class) data-key=(format!("{} {}", shown(&row.name), it.since_ns)) {
            th scope="row" {
                (name(&row.name))
                @if let Some(user) = user(it) { small { (name(user)) } }
            }
            td .left { (it.state.label()) (reason(it)) }
            td { (lasting(row.lasts_ns)) }
            td { (short_count(it.lines)) }
            td { (short_count(it.rejected)) }
            td .left { @match &row.waits { Some(words) => (name(words)), None => (NONE) } }
        }
    }
}

/// Why it is not connected; of one that is, how it came to be.
fn reason(it: &SourceState) -> Markup {
    html! {
        @if let Some(why) = why(it) {
            small { (name(why)) }
        } @else if matches!(it.who, Who::Producer(..)) {
            small { "dialled in" }
        }
    }
}

fn pager(list: &List, view: &View) -> Markup {
    let to = |page| view.of_sources(view.sources.on_page(page)).address();
    listing::pager("Pages of sources", (list.page, list.pages), to)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn source(address: &str, state: State, lines: u64) -> SourceState {
        SourceState {
            who: Who::Dialled(Arc::from(address)),
            state,
            since_ns: lines,
            lines,
            rejected: 0,
            connects: 1,
            waits_for: None,
            why: None,
        }
    }

    #[test]
    fn hostile_names_and_reasons_are_text() {
        let hostile = "<script>alert(1)</script>\u{202e}";
        let list = List {
            rows: vec![Row {
                name: hostile.to_owned(),
                lasts_ns: 1,
                waits: Some(hostile.to_owned()),
                it: SourceState {
                    why: Some(hostile.into()),
                    ..source("a", State::Resting, 1)
                },
            }],
            total: 1,
            omitted: 0,
            page: 1,
            pages: 1,
        };
        let drawn = section(&list, &View::default()).into_string();
        assert_eq!(drawn.matches("&lt;script&gt;").count(), 7, "{drawn}");
        assert!(!drawn.contains("<script") && !drawn.contains('\u{202e}'));
    }

    #[test]
    fn those_that_are_not_reached_come_first_and_each_column_sorts_both_ways() {
        let all = [
            source("c", State::Connected, 2),
            source("a", State::Resting, 1),
            source("b", State::Connected, 3),
        ];
        let sorted = |view: Listing<SourceSort>| {
            let mut rows: Vec<_> = all.iter().collect();
            sort(&mut rows, view);
            rows.iter().map(|it| address(it)).collect::<String>()
        };
        let view = Listing::default();
        assert_eq!(sorted(view), "acb");
        assert_eq!(sorted(view.sorted_by(SourceSort::Name)), "abc");
        assert_eq!(sorted(view.sorted_by(SourceSort::Lines)), "bca");
        let lines = view.sorted_by(SourceSort::Lines);
        assert_eq!(sorted(lines.sorted_by(SourceSort::Lines)), "acb");
        assert_eq!(sorted(view.sorted_by(SourceSort::Since)), "acb");
    }
}
