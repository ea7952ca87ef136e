//! What is asked of the servers, and what their answers mean. No answer is an answer: the core asks again.

use async_nats::jetstream::context::{GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::{Info, Stream};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{Client, HeaderMap, Request, RequestErrorKind, header};
use serde::Deserialize;
use tracing::warn;

use super::stream::{wanted, wrong};
use super::{Events, Settings};
use crate::cluster::core::{Answer, Check, Event, Message, Publish, Refusal, Unknown};
use crate::escape::Escaped;
use crate::limits::LOG_ANSWER_MAX;

/// The subject that `Nats-Expected-Last-Subject-Sequence` speaks of; async-nats has no name for it.
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// What a question has shown of JetStream, and of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing.
    Nothing,
    /// Nobody answers for it.
    Silence,
    /// Nobody answers for a record.
    Unanswered,
    /// JetStream answers: the stream is not there.
    Missing,
    /// The stream is there.
    There,
    /// It answers for a record.
    Recorded,
    /// The stream cannot be made: why.
    NotMade(String),
}

/// A PubAck, or why there is none.
#[derive(Debug, Deserialize)]
struct PubAck {
    #[serde(default)]
    seq: u64,
    error: Option<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    #[serde(default)]
    code: u64,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// Publishes, and tells what came of it.
pub(super) async fn publish(
    client: &Client,
    settings: &Settings,
    publish: Publish,
    events: &Events,
) -> Outcome {
    let flight = publish.flight;
    let request = Request::new()
        .headers(headers(settings, &publish))
        .payload(publish.bytes.to_vec().into())
        .timeout(Some(LOG_ANSWER_MAX));
    let event = match client
        .send_request(publish.subject.to_string(), request)
        .await
    {
        Ok(answer) => answered(flight, &answer.payload),
        Err(error) => failed(flight, &error),
    };
    let outcome = match event {
        Event::Unknown {
            why: Unknown::ConnectionLost,
            ..
        } => Outcome::Nothing,
        Event::Unknown { .. } => Outcome::Unanswered,
        _ => Outcome::Recorded,
    };
    let _ = events.send(event).await;
    outcome
}

fn headers(settings: &Settings, publish: &Publish) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let last = publish.expected_last.to_string();
    headers.insert(header::NATS_EXPECTED_STREAM, settings.stream().as_str());
    headers.insert(header::NATS_EXPECTED_LAST_SEQUENCE, last.as_str());
    headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, last.as_str());
    headers.insert(EXPECTED_SUBJECT, &*publish.expected_subject);
    headers
}

fn answered(flight: u64, payload: &[u8]) -> Event {
    let problem = match serde_json::from_slice::<PubAck>(payload) {
        Ok(PubAck { seq, error: None }) if seq > 0 => {
            return Event::Acked {
                flight,
                sequence: seq,
            };
        }
        Ok(PubAck {
            error: Some(problem),
            ..
        }) => problem,
        _ => {
            let why = Unknown::NoResponders;
            return Event::Unknown { flight, why };
        }
    };
    let is_last = [
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE,
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT,
    ];
    // 503: the servers cannot tell for now, unless they say what they are short of. What was proposed before may
    // still be stored.
    let names_cause = [
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::STREAM_STORE_FAILED,
    ];
    if problem.code == 503 && !names_cause.contains(&ErrorCode(problem.err_code)) {
        let why = Unknown::NoResponders;
        return Event::Unknown { flight, why };
    }
    let refusal = match is_last.contains(&ErrorCode(problem.err_code)) {
        true => Refusal::WrongLast,
        false => Refusal::Other(format!("{} ({})", problem.description, problem.err_code)),
    };
    Event::Refused { flight, refusal }
}

fn failed(flight: u64, error: &async_nats::RequestError) -> Event {
    let why = match error.kind() {
        RequestErrorKind::TimedOut => Unknown::TimedOut,
        RequestErrorKind::NoResponders => Unknown::NoResponders,
        RequestErrorKind::MaxPayloadExceeded => {
            let words = "a record is larger than the server's max_payload: raise that, or lower it on no server \
                         while the group runs";
            let refusal = Refusal::Other(words.into());
            return Event::Refused { flight, refusal };
        }
        _ => Unknown::ConnectionLost,
    };
    Event::Unknown { flight, why }
}

/// JetStream, through this connection.
pub(super) fn context(client: &Client) -> Context {
    let mut context = jetstream::new(client.clone());
    context.set_timeout(LOG_ANSWER_MAX);
    context
}

/// A stream with its settings and bounds; `None`: there is none.
///
/// # Errors
/// The servers do not tell.
pub(super) async fn find(context: &Context, name: &str) -> Result<Option<Stream>, GetStreamError> {
    match context.get_stream(name).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(it) if it.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Ok(None)
            }
            _ => Err(error),
        },
    }
}

async fn stream(client: &Client, settings: &Settings) -> Option<Stream<()>> {
    context(client)
        .get_stream_no_info(settings.stream())
        .await
        .ok()
}

fn bounds(info: &Info) -> (u64, u64) {
    let first = info.state.first_sequence.max(1);
    (first, info.state.last_sequence)
}

/// Message n, the one behind it, and the bounds; each as far as the leader answers.
pub(super) async fn ask(
    client: &Client,
    settings: &Settings,
    asked: u64,
    events: &Events,
) -> Outcome {
    let Some(stream) = stream(client, settings).await else {
        return Outcome::Silence;
    };
    let message = |sequence: u64| {
        let stream = &stream;
        async move {
            let message = match sequence {
                0 => None,
                _ => stream.get_raw_message(sequence).await.ok(),
            };
            message.map(|it| Message {
                sequence: it.sequence,
                subject: it.subject.as_str().into(),
                bytes: it.payload[..].into(),
            })
        }
    };
    let (at, next, info) = tokio::join!(message(asked), message(asked + 1), stream.get_info());
    let answer = Answer {
        bounds: info.ok().map(|it| bounds(&it)),
        at,
        next,
    };
    let outcome = match answer.bounds {
        Some(_) => Outcome::There,
        None => Outcome::Silence,
    };
    let _ = events.send(Event::Answer { asked, answer }).await;
    outcome
}

/// The stream's settings and bounds.
pub(super) async fn check(client: &Client, settings: &Settings, events: &Events) -> Outcome {
    let check = match find(&context(client), &settings.stream()).await {
        Ok(Some(stream)) => {
            let info = stream.cached_info();
            let (first, last) = bounds(info);
            Check::Found {
                first,
                last,
                wrong: wrong(settings, &info.config),
            }
        }
        Ok(None) => Check::Missing,
        Err(_) => return Outcome::Silence,
    };
    let outcome = match check {
        Check::Missing => Outcome::Missing,
        Check::Found { .. } => Outcome::There,
    };
    let _ = events.send(Event::Checked(check)).await;
    outcome
}

/// Makes the stream; what it is, the next check shows.
pub(super) async fn create(client: &Client, settings: &Settings) -> Outcome {
    match context(client).create_stream(wanted(settings)).await {
        Ok(_) => Outcome::There,
        Err(error) => {
            let name = settings.stream();
            Outcome::NotMade(format!("the stream {name} cannot be made: {error}"))
        }
    }
}

/// Removes the stream's messages before this one; whether they are gone, the next check shows.
pub(super) async fn purge(client: &Client, settings: &Settings, before: u64) -> Outcome {
    let Some(stream) = stream(client, settings).await else {
        return Outcome::Nothing;
    };
    if let Err(error) = stream.purge().sequence(before).await {
        warn!(
            "messages of the stream {} that nobody needs are not removed: {}",
            settings.stream(),
            Escaped(error)
        );
    }
    Outcome::Nothing
}
