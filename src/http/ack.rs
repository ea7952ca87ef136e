//! `POST /ack`: a customer is done with all events up to one, `{"id":"..."}`.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::body::BodyFault;
use super::guard::Caller;
use super::refusal::Refusal;
use super::server::Shared;
use super::subscribe::EventId;
use crate::counters::Counter;
use crate::limits::{HTTP_ACK_LEN_MAX, HTTP_AGENT_MAX, HTTP_BODY_REST_MAX};

const EXPECTED: &str = "send {\"id\":\"...\"}, the id of the last event that is done with";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledgement {
    id: String,
}

pub(super) async fn acknowledge(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Response {
    match take(&shared, &caller, body).await {
        Ok(through) => {
            shared.counters.add(Counter::HttpAcks, 1);
            let head = [(header::CONTENT_TYPE, "application/json")];
            (head, json!({ "acknowledged": through }).to_string() + "\n").into_response()
        }
        Err(refusal) => {
            shared.counters.add(Counter::HttpBadRequests, 1);
            refusal.into_response()
        }
    }
}

/// Returns how many events of the subscription are acknowledged.
async fn take(shared: &Shared, caller: &Caller, body: Body) -> Result<u64, Refusal> {
    let read = timeout(HTTP_BODY_REST_MAX, to_bytes(body, HTTP_ACK_LEN_MAX)).await;
    let read = read.map_err(|_| Refusal::new(StatusCode::REQUEST_TIMEOUT, EXPECTED))?;
    let bytes = read.map_err(|error| match BodyFault::of(&error) {
        Some(fault) => Refusal::new(StatusCode::BAD_REQUEST, fault.words()),
        None => Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, EXPECTED),
    })?;
    let asked: Option<Acknowledgement> = serde_json::from_slice(&bytes).ok();
    let id = asked.and_then(|it| EventId::parse(&it.id));
    let id = id.ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, EXPECTED))?;
    let open = shared.subscriptions.open(id.subscription);
    let Some(open) = open.filter(|it| it.owner.user == caller.name() && !it.is_superseded()) else {
        return Err(not_open(shared, id));
    };
    let through = open.feed().acknowledge(id.number);
    let through = through.ok_or_else(|| {
        let words = "no event of this number was sent yet";
        Refusal::new(StatusCode::CONFLICT, words)
    })?;
    match timeout(HTTP_AGENT_MAX, open.send_due()).await {
        Ok(Ok(())) => open.wake(),
        _ => return Err(not_open(shared, id)),
    }
    Ok(through)
}

fn not_open(shared: &Shared, id: EventId) -> Refusal {
    match shared.subscriptions.has_ended(id.subscription) {
        true => Refusal::new(
            StatusCode::GONE,
            "this subscription has ended, and what it has not acknowledged goes to the next one; \
             subscribe again with Last-Event-ID",
        ),
        false => Refusal::new(StatusCode::NOT_FOUND, "there is no such subscription"),
    }
}
