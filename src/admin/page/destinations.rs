//! The destinations: a hundred at a time, sorted and searched here, so that ten thousand cost a reader
//! no more than a hundred.

use std::cmp::{Ordering, Reverse};

use maud::{Markup, html};

use super::super::{AdminState, lock};
use super::listing::{self, Listing, SortKey as _, rows_of};
use super::view::{Sort, View};
use super::words::{NONE, count, lasting, name, rate, short_count};
use crate::destinations::{Tracked, WaitsFor};
use crate::latency::Names;
use crate::message::Level;

#[derive(Debug)]
pub(super) struct Row {
    index: u32,
    id: String,
    it: Tracked,
}

/// The page of the list that is looked at.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Row>,
    levels: Level,
    /// All destinations, and those that were searched for.
    total: usize,
    found: usize,
    /// From 1.
    page: usize,
    pages: usize,
}

impl Table {
    pub(super) fn of(state: &AdminState, view: &View) -> Self {
        // What is searched and sorted is a copy: the monitor waits for the lock.
        let (all, levels) = {
            let shown = lock(&state.shown);
            (shown.destinations.all().to_vec(), shown.totals.levels())
        };
        let numbered = (0..).zip(&all).filter(|(_, it)| !it.state.is_vacant);
        let mut found: Vec<(u32, &Tracked)> = numbered.collect();
        let total = found.len();
        let search = view.search.to_lowercase();
        if !search.is_empty() {
            let has = |index| {
                state
                    .names
                    .destination(index)
                    .to_lowercase()
                    .contains(&search)
            };
            found.retain(|(index, _)| has(*index));
        }
        sort(&mut found, view.destinations, &*state.names);
        let (page, pages) = view.destinations.page_of(found.len());
        let rows = rows_of(&found, page).map(|(index, it)| Row {
            index: *index,
            id: state.names.destination(*index),
            it: **it,
        });
        Self {
            rows: rows.collect(),
            levels,
            total,
            found: found.len(),
            page,
            pages,
        }
    }
}

/// Those that are alike stay in the order of their indices.
fn sort(found: &mut [(u32, &Tracked)], view: Listing<Sort>, names: &dyn Names) {
    match (view.sort, view.is_ascending) {
        (Sort::Name, true) => found.sort_by_cached_key(|(index, _)| names.destination(*index)),
        (Sort::Name, false) => {
            found.sort_by_cached_key(|(index, _)| Reverse(names.destination(*index)));
        }
        (sort, true) => found.sort_by(|a, b| compare(sort, a.1, b.1)),
        (sort, false) => found.sort_by(|a, b| compare(sort, b.1, a.1)),
    }
}

fn compare(sort: Sort, a: &Tracked, b: &Tracked) -> Ordering {
    let by = |key: fn(&Tracked) -> u64| key(a).cmp(&key(b));
    match sort {
        Sort::Name => Ordering::Equal,
        Sort::Queued => by(|it| it.state.queued()),
        Sort::InFlight => by(|it| it.state.in_flight.into()),
        Sort::Wait => (a.oldest_wait_ns.cmp(&b.oldest_wait_ns)).then(by(|it| it.state.queued())),
        Sort::In => a.accepted_rate.total_cmp(&b.accepted_rate),
        Sort::Out => a.settled_rate.total_cmp(&b.settled_rate),
        Sort::Standbys => by(|it| it.state.standbys.into()),
        Sort::Redelivered => by(|it| it.state.redelivered),
    }
}

/// A column that can be sorted by, its heading, and what it is in a tip.
const COLUMNS: [(Sort, &str, &str); 8] = [
    (Sort::Name, "Destination", "By name"),
    (
        Sort::Queued,
        "Queued",
        "Messages that wait; by level, level 1 first",
    ),
    (
        Sort::InFlight,
        "In flight",
        "Messages handed out and not settled",
    ),
    (
        Sort::Wait,
        "Oldest wait",
        "How long the oldest message has waited",
    ),
    (Sort::In, "In, msg/s", "Messages accepted a second"),
    (Sort::Out, "Out, msg/s", "Messages settled a second"),
    (
        Sort::Standbys,
        "Subscriber",
        "Who takes them; sorted by how many stand by",
    ),
    (
        Sort::Redelivered,
        "Again",
        "Messages taken back from subscribers that went",
    ),
];

pub(super) fn section(table: &Table, view: &View) -> Markup {
    html! {
        section #destinations .card data-part="destinations" data-every="2"
            aria-labelledby="destinations-title" {
            div .bar {
                h2 #destinations-title { "Destinations" }
                (search(view))
                p .quiet role="status" { (found(table, view)) }
            }
            div .scroll tabindex="0" role="region" aria-labelledby="destinations-title" {
                table .destinations {
                    thead {
                        tr {
                            @for (sort, heading, tip) in COLUMNS {
                                (column(sort, heading, tip, view))
                            }
                        }
                    }
                    tbody { @for it in &table.rows { (row(it, table.levels, view)) } }
                }
                @if table.rows.is_empty() { p .quiet { "No destination has such a name." } }
            }
            (pager(table, view))
        }
    }
}

fn found(table: &Table, view: &View) -> String {
    match view.search.is_empty() {
        true => count(table.total as u64),
        false => format!(
            "{} of {}",
            count(table.found as u64),
            count(table.total as u64)
        ),
    }
}

fn search(view: &View) -> Markup {
    html! {
        form .search action="/" method="get" role="search" {
            label .unseen for="q" { "Search destinations by name" }
            input #q type="search" name="q" value=(view.search) placeholder="Search by name"
                maxlength="255" autocomplete="off" spellcheck="false";
            @if view.destinations.sort != Sort::default() {
                input type="hidden" name="sort" value=(view.destinations.sort.label());
            }
            button type="submit" { "Search" }
        }
    }
}

fn column(sort: Sort, heading: &str, tip: &str, view: &View) -> Markup {
    let to = view
        .of_destinations(view.destinations.sorted_by(sort))
        .address();
    view.destinations.heading(sort, heading, tip, &to)
}

fn row(row: &Row, levels: Level, view: &View) -> Markup {
    let (it, state) = (&row.it, &row.it.state);
    let stands_still = it.waits_for.is_some_and(WaitsFor::is_the_subscribers);
    let class = match it.waits_for {
        _ if state.is_full() || stands_still => "bad",
        Some(_) => "warn",
        None => "",
    };
    html! {
        tr .(class) data-key=(row.index) {
            th scope="row" {
                a href=(view.of_destination(Some(&row.id)).address()) { (name(&row.id)) }
            }
            td { (short_count(state.queued())) (by_level(it, levels)) }
            td { (count(state.in_flight.into())) }
            td { (wait(it)) }
            td { (rate(it.accepted_rate)) }
            td { (rate(it.settled_rate)) }
            td .left { (subscriber(it)) }
            td { (short_count(state.redelivered)) }
        }
    }
}

/// `3 / 0 / 12`; nothing where nothing waits.
pub(super) fn by_level(it: &Tracked, levels: Level) -> Markup {
    let levels = &it.state.queued[..usize::from(levels)];
    let levels: Vec<_> = levels.iter().map(|it| short_count((*it).into())).collect();
    html! { @if it.state.queued() > 0 { small .levels { (levels.join(" / ")) } } }
}

pub(super) fn wait(it: &Tracked) -> Markup {
    html! {
        (it.oldest_wait_ns.map_or(NONE.to_owned(), lasting))
        @if let Some(reason) = it.waits_for { small { (reason.words()) } }
    }
}

fn subscriber(it: &Tracked) -> Markup {
    let peer = it.state.subscriber.map(|it| it.peer);
    let standbys = it.state.standbys;
    html! {
        @match peer {
            None => (NONE),
            Some(None) => "connected",
            Some(Some(peer)) => (peer),
        }
        @if standbys > 0 { small { (standbys) " standing by" } }
    }
}

fn pager(table: &Table, view: &View) -> Markup {
    let list = view.destinations;
    let to = |page| view.of_destinations(list.on_page(page)).address();
    listing::pager("Pages of destinations", (table.page, table.pages), to)
}
