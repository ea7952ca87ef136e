//! `GET /subscribe/{destination}`: a delivery agent's lines as server-sent events.
//!
//! It subscribes on behalf of its client, always acknowledging: by `POST /ack`, by the id of the last
//! event that the client has had when it comes again, or, with `?ack=false`, by what was written to it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use url::form_urlencoded;

use super::connection::Connection;
use super::events::Events;
use super::feed::{Feed, Left, Word};
use super::guard::Caller;
use super::refusal::Refusal;
use super::server::Shared;
use super::subscriptions::{Known, Owner, Subscription};
use crate::access::first_line;
use crate::counters::Counter;
use crate::limits::{HTTP_AGENT_MAX, HTTP_RETRY};
use crate::message::frame_mark::FrameMarks;
use crate::net::bridge::{Bridge, LineReader};

const EVENT_ID: &str = "last-event-id";

/// The id of an event: its subscription, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventId {
    pub(super) subscription: u64,
    pub(super) number: u64,
}

impl EventId {
    /// `00000000000000ab-17`
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (subscription, number) = text.trim().split_once('-')?;
        Some(Self {
            subscription: u64::from_str_radix(subscription, 16).ok()?,
            number: number.parse().ok()?,
        })
    }
}

pub(super) async fn subscribe(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Arc<Connection>>,
    Extension(caller): Extension<Caller>,
    Path(destination): Path<String>,
    (method, uri, headers): (Method, Uri, HeaderMap),
) -> Response {
    let asked = check(&shared, &caller, &method, &uri);
    let asked = asked.and_then(|it| shared.serves().map(|()| it));
    let acknowledges = match asked {
        Ok(acknowledges) => acknowledges,
        Err(refusal) if refusal.status == StatusCode::METHOD_NOT_ALLOWED => {
            return ([(header::ALLOW, "GET")], refusal).into_response();
        }
        Err(refusal) => return refusal.into_response(),
    };
    let last = headers.get(EVENT_ID).and_then(|it| it.to_str().ok());
    let last = last.and_then(EventId::parse);
    let owner = Owner {
        user: caller.name(),
        destination,
    };
    let opened = timeout(
        HTTP_AGENT_MAX,
        open(&shared, &connection, &caller, owner, last),
    );
    let (subscription, first) = match opened.await {
        Ok(Ok(opened)) => opened,
        Ok(Err(refusal)) => return refusal.into_response(),
        Err(_) => return unavailable("the engine does not answer now").into_response(),
    };
    connection.is_subscriber.store(true, Ordering::Relaxed);
    if !acknowledges {
        connection.acknowledge_written(&subscription);
    }
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let events = Events::new(shared, subscription, first);
    (head, Body::from_stream(events)).into_response()
}

/// Whether the client acknowledges by itself.
fn check(shared: &Shared, caller: &Caller, method: &Method, uri: &Uri) -> Result<bool, Refusal> {
    let bad = |status, words: &str| {
        Refusal::new(status, words).counted(&shared.counters, Counter::HttpBadRequests)
    };
    if *method != Method::GET {
        return Err(bad(StatusCode::METHOD_NOT_ALLOWED, "subscribe by GET"));
    }
    let user = caller.user.as_ref();
    if user.is_some_and(|it| !it.may_receive_any()) {
        let refused = caller.refused("receive nothing");
        return Err(refused.counted(&shared.counters, Counter::RightsRefused));
    }
    let mut acknowledges = true;
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        acknowledges = match (&*name, &*value) {
            ("ack", "true") => true,
            ("ack", "false") => false,
            _ => {
                let words = "the only parameter is ack, true or false; a token is sent as \
                             Authorization: Bearer TOKEN, never in a URL";
                return Err(bad(StatusCode::BAD_REQUEST, words));
            }
        };
    }
    Ok(acknowledges)
}

/// Ends the subscription that the client goes on with, if there is one, and begins another.
async fn open(
    shared: &Shared,
    connection: &Connection,
    caller: &Caller,
    owner: Owner,
    last: Option<EventId>,
) -> Result<(Arc<Subscription>, Vec<u8>), Refusal> {
    let left = match last {
        Some(last) => go_on(shared, &owner, last).await,
        None => None,
    };
    let Some((last, left)) = last.zip(left) else {
        return begin(shared, connection, caller, owner, FrameMarks::default()).await;
    };
    let done = left.done_through(last.number);
    let again = Left::of(done.clone());
    match begin(shared, connection, caller, owner.clone(), done).await {
        Ok(begun) => {
            shared.counters.add(Counter::HttpResumed, 1);
            Ok(begun)
        }
        Err(refusal) => {
            let subscriptions = &shared.subscriptions;
            subscriptions.remember(last.subscription, owner, again);
            Err(refusal)
        }
    }
}

/// What the client's last subscription has left, once that is over.
async fn go_on(shared: &Shared, owner: &Owner, last: EventId) -> Option<Left> {
    match shared.subscriptions.take(last.subscription, owner) {
        Known::No => None,
        Known::Ended(left) => Some(left),
        Known::Open(open) => {
            open.feed().acknowledge(last.number);
            // An agent that is gone has nothing to hand out.
            open.supersede().await.ok()
        }
    }
}

async fn begin(
    shared: &Shared,
    connection: &Connection,
    caller: &Caller,
    owner: Owner,
    done: FrameMarks,
) -> Result<(Arc<Subscription>, Vec<u8>), Refusal> {
    let gone = |_: io::Error| unavailable("the engine stops, or is short of descriptors");
    // One agent for each destination: it takes in turn who goes and who comes.
    let mut hasher = DefaultHasher::new();
    owner.destination.hash(&mut hasher);
    let agent = hasher.finish() as usize % shared.to_delivery.len();
    let peer = connection.peer();
    let bridge = Bridge::connect(&shared.to_delivery[agent], peer).map_err(gone)?;
    let line = first_line::subscription(&owner.destination, caller.token.as_ref());
    bridge.write_all(line.as_bytes()).await.map_err(gone)?;
    let mut lines = LineReader::default();
    let answer = lines.next(&bridge).await.map_err(gone)?;
    let mut answer = answer.ok_or_else(|| unavailable("the engine stops"))?;
    if let Some(Word::Error(why)) = Word::of(&answer) {
        return Err(Refusal::new(StatusCode::NOT_FOUND, why));
    }
    let id = getrandom::u64().map_err(|_| unavailable("the system has no randomness"))?;
    let mut feed = Feed::new(id, shared.subscriptions.marker.clone(), done);
    let mut first = format!("retry: {}\n\n", HTTP_RETRY.as_millis()).into_bytes();
    answer.push(b'\n');
    feed.take(&answer, &mut first);
    feed.take(&lines.into_rest(), &mut first);
    let subscription = Subscription::new(id, owner, bridge, feed);
    Ok((Arc::new(subscription), first))
}

fn unavailable(words: &str) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_s_id_is_read_back_and_nothing_else_is_one() {
        let id = EventId {
            subscription: 0xab,
            number: 17,
        };
        assert_eq!(EventId::parse("00000000000000ab-17"), Some(id));
        assert_eq!(EventId::parse(" ab-17 "), Some(id));
        for wrong in ["", "17", "ab-", "-17", "xy-1", "ab-1-2", "ab--1"] {
            assert_eq!(EventId::parse(wrong), None, "{wrong}");
        }
    }
}
