//! `/events`: the sections that all readers share, drawn anew each second, as server-sent events.
//!
//! ```text
//! event: sections
//! data: {"version":"page-..","started":N,"sections":{"overview":"<section ..","troubles":..}}
//! ```
//!
//! One event is made a second, and only while somebody reads; all readers get the same bytes. A reader that
//! takes none for a while misses events, as each has everything; one that is far behind is cut, and one
//! that takes none at all is cut by the connection's time-out.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Map, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::super::AdminState;
use super::assets::version;
use super::overview::Overview;
use super::{Shared, latency, layout, overview, sources, storage, troubles};
use crate::limits::{EVENT_BEHIND_MAX, EVENT_LEN_MAX, EVENT_READERS_MAX};

/// Between two events.
const BEAT: Duration = Duration::from_secs(1);

/// What a browser's own reader does when a stream ends, and the first bytes of each.
const WELCOME: &str = "retry: 1000\n\n";

/// An event and its number.
type Numbered = (u64, Bytes);

/// From which all streams take their events.
#[derive(Debug)]
pub(in crate::admin) struct Feed {
    newest: watch::Sender<Numbered>,
    readers: Arc<Semaphore>,
}

impl Feed {
    /// Half of the connections stay for those who ask for something else.
    pub(in crate::admin) fn new(connections_max: usize) -> Self {
        let readers = EVENT_READERS_MAX.min(connections_max / 2).max(1);
        Self {
            newest: watch::Sender::new((0, Bytes::new())),
            readers: Arc::new(Semaphore::new(readers)),
        }
    }

    /// Makes events while there are readers.
    pub(in crate::admin) async fn run(self: Arc<Self>, state: Arc<AdminState>) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            if self.newest.receiver_count() > 0 {
                let event = event(&state);
                self.newest.send_modify(|(number, bytes)| {
                    *number += 1;
                    *bytes = event;
                });
            }
        }
    }
}

/// The sections that all share, as one event of [`EVENT_LEN_MAX`] bytes at most.
pub(super) fn event(state: &AdminState) -> Bytes {
    let overview = Overview::of(state);
    let mut sections = Map::new();
    let mut put = |name: &str, markup: maud::Markup| {
        sections.insert(name.to_owned(), markup.into_string().into());
    };
    put("state", layout::state(&overview));
    put("overview", overview::section(&overview));
    put("troubles", troubles::section(&overview.readiness));
    put("sources", sources::section(&overview));
    put("storage", storage::section(&overview));
    put("latency", latency::table(&overview));
    let started = state.facts.started_at.duration_since(UNIX_EPOCH);
    let mut event = json!({
        "version": version(),
        "started": started.unwrap_or_default().as_millis() as u64,
        "sections": sections,
    });
    // Eight levels of hostile names may be too much; what is left out is as it was when the page came.
    for large in ["latency", "troubles", "overview"] {
        let text = format!("event: sections\ndata: {event}\n\n");
        if text.len() <= EVENT_LEN_MAX {
            return text.into();
        }
        if let Some(sections) = event["sections"].as_object_mut() {
            sections.remove(large);
        }
    }
    format!("event: sections\ndata: {event}\n\n").into()
}

/// What a stream takes its events from, and its place among the readers.
struct Reader {
    newest: watch::Receiver<Numbered>,
    /// The number of the last event that it took; `None`: it took none.
    last: Option<u64>,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    /// The next event; `None`: the reader is too slow, or the engine ends.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        self.newest.changed().await.ok()?;
        let (number, event) = self.newest.borrow_and_update().clone();
        let missed = self.last.map_or(0, |last| number - last - 1);
        self.last = Some(number);
        (missed <= EVENT_BEHIND_MAX).then_some((Ok(event), self))
    }
}

pub(super) async fn get_events(
    State(_): Shared,
    Extension(feed): Extension<Arc<Feed>>,
) -> Response {
    let Ok(place) = Arc::clone(&feed.readers).try_acquire_owned() else {
        let words =
            "as many pages as may be are open; close one, or load this one again and again\n";
        let head = [(header::RETRY_AFTER, "5")];
        return (StatusCode::SERVICE_UNAVAILABLE, head, words).into_response();
    };
    let reader = Reader {
        newest: feed.newest.subscribe(),
        last: None,
        _place: place,
    };
    let welcome = stream::once(async { Ok(Bytes::from_static(WELCOME.as_bytes())) });
    let events = stream::unfold(reader, Reader::next);
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let body = Body::from_stream(stream::StreamExt::chain(welcome, events));
    (head, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing;
    use super::*;

    async fn read(feed: &Arc<Feed>) -> Response {
        let state = State(Arc::new(testing::state()));
        get_events(state, Extension(Arc::clone(feed))).await
    }

    fn reader(feed: &Feed) -> Reader {
        Reader {
            newest: feed.newest.subscribe(),
            last: None,
            _place: Arc::clone(&feed.readers).try_acquire_owned().unwrap(),
        }
    }

    fn send(feed: &Feed, count: u64) {
        for _ in 0..count {
            feed.newest.send_modify(|(number, bytes)| {
                *number += 1;
                *bytes = number.to_string().into();
            });
        }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn a_reader_gets_the_newest_and_one_that_is_far_behind_is_cut() {
        runtime().block_on(async {
            let feed = Feed::new(64);
            let reader = reader(&feed);
            send(&feed, 3);
            let (event, reader) = reader.next().await.expect("an event");
            assert_eq!(event, Ok(Bytes::from("3")));
            send(&feed, EVENT_BEHIND_MAX + 1);
            let (_, reader) = reader.next().await.expect("it has missed a few");
            send(&feed, EVENT_BEHIND_MAX + 2);
            assert!(reader.next().await.is_none());
        });
    }

    #[test]
    fn there_are_so_many_readers_and_no_more_and_a_place_comes_back() {
        runtime().block_on(async {
            let feed = Arc::new(Feed::new(4));
            let first = read(&feed).await;
            let _second = read(&feed).await;
            let third = read(&feed).await;
            assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
            drop(first);
            assert_eq!(read(&feed).await.status(), StatusCode::OK);
        });
        assert_eq!(Feed::new(1).readers.available_permits(), 1);
        let most = Feed::new(100_000).readers.available_permits();
        assert_eq!(most, EVENT_READERS_MAX);
    }

    #[test]
    fn an_event_is_one_line_of_data_with_every_section() {
        let bytes = event(&testing::state());
        let text = std::str::from_utf8(&bytes).expect("text");
        let data = text
            .strip_prefix("event: sections\ndata: ")
            .expect("its name");
        let data = data.strip_suffix("\n\n").expect("its end");
        assert!(!data.contains('\n'));
        let event: serde_json::Value = serde_json::from_str(data).expect("JSON");
        let sections = event["sections"].as_object().expect("sections");
        for name in [
            "state", "overview", "troubles", "sources", "storage", "latency",
        ] {
            let html = sections[name].as_str().expect("text");
            assert!(html.contains(&format!("id=\"{name}\"")), "{name}: {html}");
        }
    }
}
