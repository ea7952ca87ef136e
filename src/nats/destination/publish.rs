//! Publishes one message until its stream has it: reads the answer, and says in words what went wrong.

use async_nats::{Client, HeaderMap, Message, Request, RequestErrorKind};
use serde::Deserialize;

use super::super::connect::LastError;
use super::super::link::Link;
use crate::counters::Counter;
use crate::limits::{NATS_ANSWER_MAX, NATS_RETRY_MAX, NATS_RETRY_MIN};

/// What is published: a frame, byte for byte.
#[derive(Debug, Clone)]
pub(super) struct Publish {
    pub(super) headers: HeaderMap,
    pub(super) frame: Vec<u8>,
    /// A stream may have it: it is handed out again.
    pub(super) may_be_known: bool,
}

/// A stream's answer, or an error instead.
#[derive(Debug, Deserialize)]
struct Answer {
    error: Option<AnswerError>,
    seq: Option<u64>,
    #[serde(default)]
    duplicate: bool,
}

#[derive(Debug, Deserialize)]
struct AnswerError {
    #[serde(default)]
    description: String,
    #[serde(default)]
    err_code: u64,
}

/// Publishes until a stream has it; `refused` is called each time that it is not taken.
pub(super) async fn publish(
    client: &Client,
    subject: &str,
    publish: &Publish,
    (link, last_error): (&Link, &LastError),
    refused: impl Fn(),
) {
    let mut pause = NATS_RETRY_MIN;
    let mut may_be_known = publish.may_be_known;
    loop {
        match attempt(client, subject, publish).await {
            Ok(is_duplicate) => {
                link.works();
                link.count(Counter::NatsPublished);
                link.acknowledged(1);
                if is_duplicate {
                    link.count(Counter::NatsDuplicates);
                    if !may_be_known {
                        link.had_already(subject);
                    }
                }
                return;
            }
            Err(why) => {
                link.failed(Counter::NatsPublishFailures);
                may_be_known = true;
                refused();
                link.stuck(&format!("{why}{}", last_error.words()));
            }
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(NATS_RETRY_MAX);
    }
}

/// Publishes once; whether the stream had it already.
async fn attempt(client: &Client, subject: &str, publish: &Publish) -> Result<bool, String> {
    let request = Request::new()
        .headers(publish.headers.clone())
        .payload(publish.frame.clone().into());
    let answer = client.send_request(subject.to_owned(), request).await;
    let answer = answer.map_err(|error| match error.kind() {
        RequestErrorKind::NoResponders => format!(
            "no stream takes the subject \"{subject}\" (503); make one, or set at_most_once = true"
        ),
        RequestErrorKind::TimedOut => {
            let seconds = NATS_ANSWER_MAX.as_secs();
            format!("no stream has answered for the subject \"{subject}\" within {seconds} s")
        }
        RequestErrorKind::MaxPayloadExceeded => format!(
            "a message of {} bytes for \"{subject}\" is larger than the server's max_payload, which is {}; \
             raise that",
            publish.frame.len(),
            client.max_payload()
        ),
        _ => format!("the subject \"{subject}\" cannot be published to: {error}"),
    })?;
    parse_answer(&answer, subject)
}

fn parse_answer(message: &Message, subject: &str) -> Result<bool, String> {
    let answer: Answer = serde_json::from_slice(&message.payload)
        .map_err(|_| format!("what answers for \"{subject}\" is no stream"))?;
    match (answer.error, answer.seq) {
        (Some(error), _) => Err(format!(
            "the stream refuses what is for \"{subject}\": {} ({})",
            error.description, error.err_code
        )),
        (None, Some(_)) => Ok(answer.duplicate),
        (None, None) => Err(format!("what answers for \"{subject}\" is no stream")),
    }
}

/// Publishes without an answer.
///
/// # Errors
/// The connection is over, or the message is too large.
pub(super) async fn publish_once(
    client: &Client,
    subject: &str,
    publish: Publish,
) -> Result<(), String> {
    let subject_text = subject.to_owned();
    let sent = client.publish_with_headers(subject_text, publish.headers, publish.frame.into());
    sent.await
        .map_err(|why| format!("\"{subject}\" cannot be published to: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(payload: &str) -> Result<bool, String> {
        let message = Message {
            subject: "_INBOX.1".into(),
            reply: None,
            payload: payload.to_owned().into(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        };
        parse_answer(&message, "orders.a")
    }

    #[test]
    fn a_stream_s_answer_is_told_from_an_error_and_from_others() {
        assert_eq!(answered(r#"{"stream":"S","seq":7}"#), Ok(false));
        assert_eq!(
            answered(r#"{"stream":"S","seq":7,"duplicate":true}"#),
            Ok(true)
        );
        let full =
            r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}"#;
        let why = answered(full).expect_err("it is full");
        assert!(why.contains("maximum messages exceeded (10077)"), "{why}");
        for other in ["", "+OK", "{}", r#"{"stream":"S"}"#, "[]"] {
            assert!(
                answered(other).is_err_and(|it| it.contains("no stream")),
                "{other}"
            );
        }
    }
}
