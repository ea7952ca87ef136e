//! The first line of a producer that dials in: it may say what the producer wants, and who it is.
//!
//! ```text
//! {"producer":{"ack":true,"outcomes":true,"token":"..."}}
//! ```
//!
//! With a `messageId` it is a message, whatever else it has.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
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
    /// It says something twice: which of the two counts would be a guess.
    Twice(&'static str),
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
    /// This key stands twice.
    Twice(&'static str),
    Refused(Refused),
    /// It is at the wrong port.
    Misdirected(Misdirected),
}

impl WrongGreeting {
    /// What the producer is told.
    pub(super) fn words(self) -> String {
        match self {
            Self::NotUnderstood => EXPECTED.to_owned(),
            Self::Twice(key) => {
                format!("duplicate_field: \"{key}\" stands twice in this greeting; send it once")
            }
            Self::Misdirected(_) => "this is not its port".to_owned(),
            Self::Refused(Refused::Unidentified(why)) => why.words(HOW),
            Self::Refused(Refused::NoRight) => "this user may send nothing".to_owned(),
        }
    }

    pub(super) fn counter(self) -> Counter {
        match self {
            Self::NotUnderstood | Self::Twice(_) | Self::Misdirected(_) => Counter::ProducerErrors,
            Self::Refused(Refused::Unidentified(_)) => Counter::TokensRefused,
            Self::Refused(Refused::NoRight) => Counter::RightsRefused,
        }
    }
}

/// The members of an object as they stand: those of a map would hide that one stands twice.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MembersVisitor).map(Self)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
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
            return Some(wishes(line));
        }
    }
    let misdirected = Misdirected::of(line)?;
    (misdirected != Misdirected::Producer).then_some(Greeting::Misdirected(misdirected))
}

fn wishes(line: &[u8]) -> Greeting {
    let Ok(Members(members)) = serde_json::from_slice(line) else {
        return Greeting::Wrong;
    };
    let [(_, Value::Object(_))] = &members[..] else {
        let producers = members.iter().filter(|it| it.0 == "producer").count();
        return match producers {
            1 => Greeting::Wrong,
            _ => Greeting::Twice("producer"),
        };
    };
    let inner = serde_json::from_slice::<BTreeMap<String, Members>>(line);
    let Some(Members(said)) = inner.ok().and_then(|mut it| it.remove("producer")) else {
        return Greeting::Wrong;
    };
    let mut wishes = Wishes::default();
    let mut known = Vec::new();
    for (key, value) in said {
        let key = match (key.as_str(), value) {
            ("ack", Value::Bool(ack)) => {
                wishes.ack = ack;
                "ack"
            }
            ("outcomes", Value::Bool(outcomes)) => {
                wishes.outcomes = outcomes;
                "outcomes"
            }
            ("token", Value::String(token)) => {
                wishes.token = Token::shown(token);
                "token"
            }
            _ => return Greeting::Wrong,
        };
        if known.contains(&key) {
            return Greeting::Twice(key);
        }
        known.push(key);
    }
    // Outcomes stand in acknowledgements.
    match wishes.ack || !wishes.outcomes {
        true => Greeting::Wishes(wishes),
        false => Greeting::Wrong,
    }
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
                greeting(true, false, None),
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
            r#"{"producer":{"outcomes":true}}"#,
            r#"{"producer":{"ack":false,"outcomes":true}}"#,
        ] {
            assert_eq!(parse(line.as_bytes()), Some(Greeting::Wrong), "{line}");
        }
        for (line, key) in [
            (r#"{"producer":{"ack":true},"producer":{}}"#, "producer"),
            (r#"{"producer":{"token":"a","token":"a"}}"#, "token"),
            (r#"{"producer":{"ack":true,"ack":false}}"#, "ack"),
        ] {
            assert_eq!(parse(line.as_bytes()), Some(Greeting::Twice(key)), "{line}");
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
