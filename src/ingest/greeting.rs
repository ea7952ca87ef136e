//! The first line of a producer that dials in: it may say what the producer wants, and who it is.
//!
//! ```text
//! {"producer":{"ack":true,"outcomes":true,"token":"..."}}
//! ```
//!
//! With a `messageId` it is a message, whatever else it has.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::access::{Refused, Token};
use crate::counters::Counter;
use crate::net::misdirected::Misdirected;

/// The error line for a producer whose greeting is wrong.
const EXPECTED: &str = "this greeting is not understood; send {\"producer\":{\"ack\":true}}, \
     {\"producer\":{\"ack\":true,\"outcomes\":true}}, {\"producer\":{}}, or a message";

/// How a producer shows a token.
const HOW: &str = "send {\"producer\":{\"token\":\"...\"}} first";

/// What a first line is that is no ordinary one.
#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(super) enum Greeting {
    Wishes(Wishes),
    /// It wants something that there is not, or says it wrongly.
    Wrong,
    /// It is at the wrong port.
    Misdirected(Misdirected),
}

/// What a producer wants, and who it is.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(super) struct Wishes {
    /// Acknowledgements.
    pub(super) ack: bool,
    /// With them, what became of each line.
    pub(super) outcomes: bool,
    pub(super) token: Option<Token>,
}

/// Why a producer is closed at its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WrongGreeting {
    NotUnderstood,
    Refused(Refused),
    /// It is at the wrong port.
    Misdirected(Misdirected),
}

impl WrongGreeting {
    /// What the producer is told.
    pub(super) fn words(self) -> String {
        match self {
            Self::NotUnderstood => EXPECTED.to_owned(),
            Self::Misdirected(_) => "this is not its port".to_owned(),
            Self::Refused(Refused::Unidentified(why)) => why.words(HOW),
            Self::Refused(Refused::NoRight) => "this user may send nothing".to_owned(),
        }
    }

    pub(super) fn counter(self) -> Counter {
        match self {
            Self::NotUnderstood | Self::Misdirected(_) => Counter::ProducerErrors,
            Self::Refused(Refused::Unidentified(_)) => Counter::TokensRefused,
            Self::Refused(Refused::NoRight) => Counter::RightsRefused,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    producer: BTreeMap<String, Value>,
}

/// What a first line says; `None`: it is no greeting. An array is none: serde would fill a struct from it
/// too.
pub(super) fn parse(line: &[u8]) -> Option<Greeting> {
    if line.trim_ascii_start().starts_with(b"{") {
        let members: BTreeMap<String, IgnoredAny> = serde_json::from_slice(line).ok()?;
        if members.contains_key("messageId") {
            return None;
        }
        if members.contains_key("producer") {
            return Some(wishes(line).map_or(Greeting::Wrong, Greeting::Wishes));
        }
    }
    let misdirected = Misdirected::of(line)?;
    (misdirected != Misdirected::Producer).then_some(Greeting::Misdirected(misdirected))
}

fn wishes(line: &[u8]) -> Option<Wishes> {
    let line: Line = serde_json::from_slice(line).ok()?;
    let mut wishes = Wishes::default();
    for (key, value) in line.producer {
        match (key.as_str(), value) {
            ("ack", Value::Bool(ack)) => wishes.ack = ack,
            ("outcomes", Value::Bool(outcomes)) => wishes.outcomes = outcomes,
            ("token", Value::String(token)) => wishes.token = Some(Token::new(token)),
            _ => return None,
        }
    }
    // Outcomes stand in acknowledgements.
    (wishes.ack || !wishes.outcomes).then_some(wishes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_greeting_is_told_from_a_right_one_and_from_all_other_lines() {
        let greeting = |ack, outcomes, token: Option<&str>| {
            Greeting::Wishes(Wishes {
                ack,
                outcomes,
                token: token.map(Token::new),
            })
        };
        for (line, expected) in [
            (r#"{"producer":{"ack":true}}"#, greeting(true, false, None)),
            (
                r#" { "producer" : { "ack" : false } } "#,
                greeting(false, false, None),
            ),
            (r#"{"producer":{}}"#, greeting(false, false, None)),
            (
                r#"{"producer":{"ack":true,"outcomes":true}}"#,
                greeting(true, true, None),
            ),
            (
                r#"{"producer":{"outcomes":false}}"#,
                greeting(false, false, None),
            ),
            (
                r#"{"producer":{"token":"t\u0031"}}"#,
                greeting(false, false, Some("t1")),
            ),
            (
                r#"{"producer":{"token":"","ack":true}}"#,
                greeting(true, false, Some("")),
            ),
        ] {
            assert_eq!(parse(line.as_bytes()), Some(expected), "{line}");
        }
        for line in [
            r#"{"producer":{"ack":"yes"}}"#,
            r#"{"producer":{"ack":1}}"#,
            r#"{"producer":{"akc":true}}"#,
            r#"{"producer":{"token":true}}"#,
            r#"{"producer":true}"#,
            r#"{"producer":[{"ack":true}]}"#,
            r#"{"producer":[true,true]}"#,
            r#"{"producer":{"ack":true},"x":1}"#,
            r#"{"producer":{"ack":true},"producer":{}}"#,
            r#"{"producer":{"outcomes":true}}"#,
            r#"{"producer":{"ack":false,"outcomes":true}}"#,
        ] {
            assert_eq!(parse(line.as_bytes()), Some(Greeting::Wrong), "{line}");
        }
        for line in [
            "",
            "{}",
            "[]",
            r#"[{"ack":true}]"#,
            r#"{"Producer":{"ack":true}}"#,
            r#"{"producer":{"ack":true}"#,
            r#"{"messageId":"1","producer":true}"#,
            r#"{"messageId":"1","subscribe":["a"]}"#,
            r#"{"destinationId":"a"}"#,
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_subscriber_and_an_http_client_are_at_the_wrong_port() {
        for (line, who) in [
            (r#"{"subscribe":["a"]}"#, Misdirected::Subscriber),
            ("GET / HTTP/1.1", Misdirected::HttpClient),
        ] {
            assert_eq!(parse(line.as_bytes()), Some(Greeting::Misdirected(who)));
        }
    }
}
