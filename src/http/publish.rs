//! `POST /publish`: a body of lines to ingest, and what became of each.
//!
//! The body passes through as it comes, and is read no faster than ingest takes it. Outcomes are kept in
//! a byte a line until the last is known: then the answer begins, and says in its status how it went.
//! Requests of one connection share one to ingest, so that a till that sends an order now and then costs
//! the path no more than a producer on TCP.

use std::io;
use std::sync::{Arc, PoisonError};

use axum::Extension;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::{Either, select};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout};

use super::body::BodyFault;
use super::body_timeout::BodyTimeout;
use super::connection::Connection;
use super::guard::Caller;
use super::lines::LineCounter;
use super::outcomes::{Outcome, Outcomes};
use super::refusal::Refusal;
use super::server::Shared;
use crate::access::{TokenHash, first_line};
use crate::config::show_size;
use crate::counters::Counter;
use crate::limits::{HTTP_AGENT_MAX, HTTP_LINES_MAX};
use crate::message::Reason;
use crate::net::bridge::{Bridge, LineReader, one_line};

/// A connection to ingest.
#[derive(Debug)]
pub(super) struct Producer {
    bridge: Bridge,
    answers: LineReader,
    /// Lines that were sent and answered.
    lines: u64,
    /// Whose it is.
    token: Option<TokenHash>,
}

/// How a body ended.
#[derive(Debug)]
enum End {
    /// It was read whole.
    Whole,
    /// No more of it is read, and why.
    Refused(Refusal),
    /// It broke off.
    BrokenOff(Refusal),
}

pub(super) async fn publish(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Arc<Connection>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let checked = check(&shared, &caller, &headers);
    if let Err(refusal) = checked.and_then(|()| shared.serves()) {
        return refusal.into_response();
    }
    let is_single = is_json(&headers);
    let producer = match Producer::of(&shared, &connection, &caller).await {
        Ok(producer) => producer,
        Err(refusal) => return refusal.into_response(),
    };
    let (outcomes, end) = send(&shared, &connection, producer, (body, is_single)).await;
    shared.counters.add(Counter::HttpPublishes, 1);
    shared
        .counters
        .add(Counter::HttpPublishLines, outcomes.len());
    answer(outcomes, end, is_single)
}

/// What can be said before the body is read.
fn check(shared: &Shared, caller: &Caller, headers: &HeaderMap) -> Result<(), Refusal> {
    let counters = &shared.counters;
    if caller.user.as_ref().is_some_and(|it| !it.may_send_any()) {
        let refused = caller.refused("send nothing");
        return Err(refused.counted(counters, Counter::RightsRefused));
    }
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|it| it.as_bytes() != b"identity") {
        let words = "send the body as it is, without Content-Encoding";
        let refusal = Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, words);
        return Err(refusal.counted(counters, Counter::HttpBadRequests));
    }
    let len = headers.get(header::CONTENT_LENGTH);
    let len = len.and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    match len {
        Some(len) if len > shared.settings.get().max_body => Err(too_long(shared)),
        _ => Ok(()),
    }
}

fn too_long(shared: &Shared) -> Refusal {
    let max = show_size(shared.settings.get().max_body);
    let words = format!(
        "the body is longer than [http] max_body, {max}: no more of it is read; send it in parts"
    );
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, words)
        .counted(&shared.counters, Counter::HttpBodiesTooLong)
}

fn too_many(shared: &Shared) -> Refusal {
    let words = format!(
        "the body has more than {HTTP_LINES_MAX} lines: no more of it is read; send it in parts"
    );
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, words)
        .counted(&shared.counters, Counter::HttpBodiesTooLong)
}

/// Whether the body is one JSON object, which may have several lines.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

impl Producer {
    /// The connection's own, or a new one.
    async fn of(
        shared: &Shared,
        connection: &Connection,
        caller: &Caller,
    ) -> Result<Self, Refusal> {
        let token = caller.token.as_ref().map(crate::access::Token::hash);
        let kept = connection.producer.lock();
        let kept = kept.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(kept) = kept.filter(|it| it.token == token && it.is_there()) {
            return Ok(kept);
        }
        let opened = timeout(HTTP_AGENT_MAX, Self::open(shared, connection, caller)).await;
        match opened {
            Ok(opened) => opened,
            Err(_) => Err(unavailable("the engine does not answer now; send it again")),
        }
    }

    async fn open(
        shared: &Shared,
        connection: &Connection,
        caller: &Caller,
    ) -> Result<Self, Refusal> {
        let gone = |_: io::Error| unavailable("the engine stops, or is short of descriptors");
        let bridge = Bridge::connect(&shared.to_ingest, connection.peer()).map_err(gone)?;
        let greeting = first_line::producer(caller.token.as_ref());
        bridge.write_all(greeting.as_bytes()).await.map_err(gone)?;
        let mut answers = LineReader::default();
        let answer = answers.next(&bridge).await.map_err(gone)?;
        let answer = answer.ok_or_else(|| unavailable("the engine stops"))?;
        Outcomes::new(0).take(&answer).map_err(unavailable)?;
        Ok(Self {
            bridge,
            answers,
            lines: 0,
            token: caller.token.as_ref().map(crate::access::Token::hash),
        })
    }

    /// Whether ingest has not closed it meanwhile.
    fn is_there(&self) -> bool {
        let read = self.bridge.try_read(&mut Vec::new());
        read.is_err_and(|it| it.kind() == io::ErrorKind::WouldBlock)
    }

    /// Takes answers until the connection ends; why it does.
    async fn listen(
        bridge: &Bridge,
        answers: &mut LineReader,
        outcomes: &mut Outcomes,
        through: u64,
    ) -> Result<(), String> {
        while outcomes.len() < through {
            match answers.next(bridge).await {
                Ok(Some(answer)) => outcomes.take(&answer)?,
                Ok(None) | Err(_) => return Err("the engine stops".to_owned()),
            }
        }
        Ok(())
    }
}

fn unavailable(words: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words)
}

/// Sends a body to ingest, and waits until all that was sent of it is answered.
async fn send(
    shared: &Shared,
    connection: &Connection,
    mut producer: Producer,
    body: (Body, bool),
) -> (Outcomes, End) {
    let mut outcomes = Outcomes::new(producer.lines);
    let mut counter = LineCounter::new(shared.max_line);
    let end = exchange(shared, &mut producer, body, (&mut counter, &mut outcomes)).await;
    if let Ok(End::Whole) = end {
        producer.lines += counter.count();
        let kept = connection.producer.lock();
        *kept.unwrap_or_else(PoisonError::into_inner) = Some(producer);
    }
    let end = end.unwrap_or_else(|why| End::Refused(unavailable(why)));
    (outcomes.among(counter.into_blank()), end)
}

/// How the body ended.
///
/// # Errors
/// Ingest takes no more, and why.
async fn exchange(
    shared: &Shared,
    producer: &mut Producer,
    (body, is_single): (Body, bool),
    (counter, outcomes): (&mut LineCounter, &mut Outcomes),
) -> Result<End, String> {
    let Producer {
        bridge, answers, ..
    } = producer;
    let mut body = body.into_data_stream();
    let sent = {
        let pass = pass(shared, &mut body, bridge, (&mut *counter, is_single));
        let listen = Producer::listen(bridge, answers, outcomes, u64::MAX);
        match select(Box::pin(pass), Box::pin(listen)).await {
            Either::Left((end, _)) => end,
            Either::Right((why, _)) => return Err(why.err().unwrap_or_default()),
        }
    };
    // Where the write failed: what ingest has answered until then, and why it took no more, is to be read.
    let end = sent.unwrap_or(End::Whole);
    match end {
        End::Whole => Producer::listen(bridge, answers, outcomes, counter.count()).await?,
        // Ingest ends its side once it has answered what it can.
        End::Refused(_) => {
            let _ = Producer::listen(bridge, answers, outcomes, u64::MAX).await;
        }
        // Whether its client still listens nobody knows: what it may hear is not waited for without end.
        End::BrokenOff(_) => {
            let listen = Producer::listen(bridge, answers, outcomes, u64::MAX);
            let _ = timeout(HTTP_AGENT_MAX, listen).await;
        }
    }
    Ok(end)
}

/// Passes a body on to ingest.
async fn pass(
    shared: &Shared,
    body: &mut BodyDataStream,
    bridge: &Bridge,
    (counter, is_single): (&mut LineCounter, bool),
) -> io::Result<End> {
    let max_body = shared.settings.get().max_body;
    let mut body_timeout = BodyTimeout::default();
    let mut len = 0;
    let end = loop {
        let begun = Instant::now();
        let bytes: Bytes = match timeout(body_timeout.left(), body.next()).await {
            Err(_) => break End::Refused(too_slow(shared)),
            Ok(None) => break End::Whole,
            Ok(Some(Ok(bytes))) => bytes,
            Ok(Some(Err(error))) => break End::BrokenOff(broken_off(shared, &error)),
        };
        body_timeout.note(bytes.len(), begun.elapsed());
        len += bytes.len() as u64;
        if len > max_body {
            break End::Refused(too_long(shared));
        }
        let bytes = if is_single {
            one_line(&bytes).collect()
        } else {
            bytes
        };
        counter.take(&bytes);
        bridge.write_all(&bytes).await?;
        if counter.all() >= HTTP_LINES_MAX as u64 {
            break End::Refused(too_many(shared));
        }
    };
    match end {
        End::Whole if counter.finish() => bridge.write_all(b"\n").await?,
        End::Whole => {}
        // What its unfinished line is, ingest says as it does where a connection ends.
        End::Refused(_) | End::BrokenOff(_) => bridge.shut_down(),
    }
    Ok(end)
}

fn broken_off(shared: &Shared, error: &axum::Error) -> Refusal {
    let why = BodyFault::of(error).unwrap_or(BodyFault::Cut);
    let words = format!("{}; send what was not answered again", why.words());
    Refusal::new(StatusCode::BAD_REQUEST, words).counted(&shared.counters, why.counter())
}

fn too_slow(shared: &Shared) -> Refusal {
    let words = "the rest of the body did not come in time; send what was not answered again";
    Refusal::new(StatusCode::REQUEST_TIMEOUT, words)
        .counted(&shared.counters, Counter::HttpBodiesLate)
}

/// The answer: a line for each that was answered, and behind them why there are no more.
fn answer(outcomes: Outcomes, end: End, is_single: bool) -> Response {
    let refusal = match end {
        End::Refused(refusal) | End::BrokenOff(refusal) => Some(refusal),
        End::Whole => None,
    };
    match (is_single, outcomes.single(), refusal) {
        (true, Some(outcome), None) => single(outcome),
        (_, _, refusal) if outcomes.len() == 0 => match refusal {
            Some(refusal) => refusal.into_response(),
            None => {
                let words = "the body has no line; send one JSON object a line";
                Refusal::new(StatusCode::BAD_REQUEST, words).into_response()
            }
        },
        (_, _, refusal) => {
            let status = refusal.as_ref().map_or(StatusCode::OK, |it| it.status);
            let last = refusal.map(|it| it.line().into_bytes());
            let pieces = outcomes.into_pieces().chain(last);
            let pieces = stream::iter(pieces.map(Ok::<_, io::Error>));
            let head = [(header::CONTENT_TYPE, "application/x-ndjson")];
            (status, head, Body::from_stream(pieces)).into_response()
        }
    }
}

fn single(outcome: Outcome) -> Response {
    let status = match outcome {
        Outcome::Accepted | Outcome::Duplicate => StatusCode::OK,
        Outcome::Rejected(Reason::Forbidden) => StatusCode::FORBIDDEN,
        Outcome::Rejected(Reason::QueueFull) => StatusCode::SERVICE_UNAVAILABLE,
        Outcome::Rejected(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let head = [(header::CONTENT_TYPE, "application/json")];
    (status, head, format!("{{{}}}\n", outcome.members())).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn one_object_may_have_several_lines() {
        let bytes = Bytes::from_static(b"{\r\n \"a\": 1\n}\n");
        assert_eq!(
            one_line(&bytes).collect::<Bytes>(),
            b"{\r\t \"a\": 1\t}\t".as_slice()
        );
        let of = |kind: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            is_json(&headers)
        };
        assert!(of("application/json") && of("Application/JSON; charset=utf-8"));
        assert!(!of("application/x-ndjson") && !of("text/plain") && !is_json(&HeaderMap::new()));
    }

    #[test]
    fn the_status_of_one_object_says_how_it_went() {
        for (outcome, status) in [
            (Outcome::Accepted, 200),
            (Outcome::Duplicate, 200),
            (Outcome::Rejected(Reason::BadJson), 422),
            (Outcome::Rejected(Reason::Forbidden), 403),
            (Outcome::Rejected(Reason::QueueFull), 503),
        ] {
            assert_eq!(single(outcome).status().as_u16(), status, "{outcome:?}");
        }
    }
}
