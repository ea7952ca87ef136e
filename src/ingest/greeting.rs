//! The first line of a producer that dials in: it may say what the producer wants, and who it is.
//!
//! ```text
//! {"producer":{"ack":true,"token":"..."}}
//! ```
//!
//! With a `messageId` it is a message, whatever else it has.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::access::{Refused, Token};
use crate::counters::Counter;

/// The error line for a producer whose greeting is wrong.
const EXPECTED: &str = "this greeting is not understood; send {\"producer\":{\"ack\":true}}, \
     {\"producer\":{}}, or a message";

/// How a producer shows a token.
const HOW: &str = "send {\"producer\":{\"token\":\"...\"}} first";

/// What a first line is that is no ordinary one.
#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(super) enum Greeting {
    Wishes(Wishes),
    /// It wants something that there is not, or says it wrongly.
    Wrong,
}

/// What a producer wants, and who it is.
#[derive(Debug, Default)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(super) struct Wishes {
    /// Acknowledgements.
    pub(super) ack: bool,
    pub(super) token: Option<Token>,
}

/// Why a producer is closed at its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WrongGreeting {
    NotUnderstood,
    Refused(Refused),
}

impl WrongGreeting {
    /// What the producer is told.
    pub(super) fn words(self) -> String {
        match self {
            Self::NotUnderstood => EXPECTED.to_owned(),
            Self::Refused(Refused::Unidentified(why)) => why.words(HOW),
            Self::Refused(Refused::NoRight) => "this user may send nothing".to_owned(),
        }
    }

    pub(super) fn counter(self) -> Counter {
        match self {
            Self::NotUnderstood => Counter::ProducerErrors,
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
    if !line.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let members: BTreeMap<String, IgnoredAny> = serde_json::from_slice(line).ok()?;
    if !members.contains_key("producer") || members.contains_key("messageId") {
        return None;
    }
    let line = serde_json::from_slice(line).ok();
    let wishes = line.and_then(|it: Line| wishes(it.producer));
    Some(wishes.map_or(Greeting::Wrong, Greeting::Wishes))
}

fn wishes(members: BTreeMap<String, Value>) -> Option<Wishes> {
    let mut wishes = Wishes::default();
    for (key, value) in members {
        match (key.as_str(), value) {
            ("ack", Value::Bool(ack)) => wishes.ack = ack,
            ("token", Value::String(token)) => wishes.token = Some(Token::new(token)),
            _ => return None,
        }
    }
    Some(wishes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_greeting_is_told_from_a_right_one_and_from_all_other_lines() {
        for (line, ack, token) in [
            (r#"{"producer":{"ack":true}}"#, true, None),
            (r#" { "producer" : { "ack" : false } } "#, false, None),
            (r#"{"producer":{}}"#, false, None),
            (r#"{"producer":{"token":"t\u0031"}}"#, false, Some("t1")),
            (r#"{"producer":{"token":"","ack":true}}"#, true, Some("")),
        ] {
            let token = token.map(Token::new);
            let wishes = Greeting::Wishes(Wishes { ack, token });
            assert_eq!(parse(line.as_bytes()), Some(wishes), "{line}");
        }
        for line in [
            r#"{"producer":{"ack":"yes"}}"#,
            r#"{"producer":{"ack":1}}"#,
            r#"{"producer":{"akc":true}}"#,
            r#"{"producer":{"token":true}}"#,
            r#"{"producer":true}"#,
            r#"{"producer":[{"ack":true}]}"#,
            r#"{"producer":{"ack":true},"x":1}"#,
            r#"{"producer":{"ack":true},"producer":{}}"#,
        ] {
            assert_eq!(parse(line.as_bytes()), Some(Greeting::Wrong), "{line}");
        }
        for line in [
            "",
            "{}",
            "[]",
            r#"[{"ack":true}]"#,
            r#"{"Producer":{"ack":true}}"#,
            r#"{"subscribe":["a"]}"#,
            r#"{"producer":{"ack":true}"#,
            r#"{"messageId":"1","producer":true}"#,
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }
}
