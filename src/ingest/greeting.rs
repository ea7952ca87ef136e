//! The first line of a producer that dials in: it may say what the producer wants.
//!
//! ```text
//! {"producer":{"ack":true}}
//! ```
//!
//! With a `messageId` it is a message, whatever else it has.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The error line for a producer whose greeting is wrong.
pub(super) const EXPECTED: &str = "this greeting is not understood; send {\"producer\":{\"ack\":true}}, \
     {\"producer\":{}}, or a message";

/// What a first line is that is no ordinary one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greeting {
    /// The producer wants acknowledgements, or none.
    Ack(bool),
    /// It wants something that there is not, or says it wrongly.
    Wrong,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wishes {
    producer: BTreeMap<String, bool>,
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
    let wishes = serde_json::from_slice(line).ok();
    let known = wishes.filter(|it: &Wishes| it.producer.keys().all(|key| key == "ack"));
    Some(known.map_or(Greeting::Wrong, |it| {
        Greeting::Ack(it.producer.get("ack").copied().unwrap_or_default())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_greeting_is_told_from_a_right_one_and_from_all_other_lines() {
        for (line, ack) in [
            (r#"{"producer":{"ack":true}}"#, true),
            (r#" { "producer" : { "ack" : false } } "#, false),
            (r#"{"producer":{}}"#, false),
        ] {
            assert_eq!(parse(line.as_bytes()), Some(Greeting::Ack(ack)), "{line}");
        }
        for line in [
            r#"{"producer":{"ack":"yes"}}"#,
            r#"{"producer":{"ack":1}}"#,
            r#"{"producer":{"akc":true}}"#,
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
