//! The page: `GET /` as HTML, drawn on the server and kept live by server-sent events.
//!
//! ```text
//! AdminState --> Overview --once a second, for all readers--> /events ----+--> page.js puts it
//!          \---> Table, Detail, One --when a reader asks----> /parts/.. --/    into its place
//!           \--> all of them together ----------------------> /          a page that is whole
//! ```
//!
//! `server` mounts its routes. Each section is one template, so that what is sent first and what is sent
//! later are the same. Nothing can be changed here, and nothing is on the path; what is shown is in `/stats`,
//! `/history` and `/destinations` too. Names come from outside: they are escaped twice, for what a terminal
//! would act on and for HTML.

mod assets;
mod charts;
mod destination;
mod destinations;
mod events;
mod latency;
mod layout;
mod listing;
mod overview;
mod security;
mod source_list;
mod sources;
mod storage;
mod troubles;
mod view;
mod words;

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use maud::{Markup, html};

pub(super) use events::Feed;
pub(super) use security::protect;

use super::AdminState;
use overview::Overview;
use view::View;

type Shared = State<Arc<AdminState>>;

/// The paths of the page but for `/`.
pub(super) fn routes(feed: Arc<Feed>) -> Router<Arc<AdminState>> {
    Router::new()
        .route("/events", get(events::get_events))
        .route("/parts/{name}", get(get_part))
        .route("/assets/{name}", get(assets::get_asset))
        .layer(Extension(feed))
}

/// Whether a path needs no token: it has no figures.
pub(super) fn is_open(path: &str) -> bool {
    path.starts_with("/assets/")
}

/// Whether a page is wanted, rather than text for a program: who takes anything is a program.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let mut accepted = accepted.filter_map(|it| it.to_str().ok());
    accepted.any(|it| it.contains("text/html"))
}

/// The whole page, or that of one destination.
pub(super) fn page(state: &AdminState, query: Option<&str>) -> Response {
    let view = View::of(query);
    let overview = Overview::of(state);
    let (status, title, main) = match &view.destination {
        None => {
            let all = "Flipped Load Balancer".to_owned();
            (StatusCode::OK, all, whole(state, &overview, &view))
        }
        Some(id) => {
            let found = destination::One::find(state, id);
            let status = match found {
                Some(_) => StatusCode::OK,
                None => StatusCode::NOT_FOUND,
            };
            let title = format!("{} - Flipped Load Balancer", words::shown(id));
            (status, title, destination::main(found.as_ref(), &view))
        }
    };
    let page = layout::page(&title, &overview, &main);
    (status, [(header::VARY, "accept")], page).into_response()
}

fn whole(state: &AdminState, overview: &Overview, view: &View) -> Markup {
    let table = destinations::Table::of(state, view);
    let detail = latency::Detail::of(state, view);
    html! {
        h1 .unseen { "Flipped Load Balancer" }
        (overview::section(overview))
        (troubles::section(&overview.readiness))
        (destinations::section(&table, view))
        (latency::table(overview))
        (latency::detail(&detail, view))
        (source_list::section(&source_list::List::of(state, view), view))
        div .pair {
            (sources::section(overview))
            (storage::section(overview))
        }
    }
}

/// What each reader has of its own: it is asked for by its query.
async fn get_part(
    State(state): Shared,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let view = View::of(query.as_deref());
    let id = view.destination.as_deref();
    let part = match (name.as_str(), id) {
        ("destinations", _) => {
            destinations::section(&destinations::Table::of(&state, &view), &view)
        }
        ("sources", _) => source_list::section(&source_list::List::of(&state, &view), &view),
        ("detail", _) => latency::detail(&latency::Detail::of(&state, &view), &view),
        ("destination", Some(id)) => {
            destination::section(destination::One::find(&state, id).as_ref(), &view)
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    part.into_response()
}

/// Where a token is wanted before anything is shown.
pub(super) fn sign_in(words: &str) -> Response {
    layout::sign_in(words).into_response()
}

#[cfg(test)]
mod tests;
