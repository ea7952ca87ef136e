//! Which field of a rejected line is missing, wrong or forbidden, for who reads `rejected.ndjson`.
//!
//! The parser says no more than the reason: its path is hot. So the line is read again here, off the path.

use serde_json::{Map, Value};

use super::protocol::Rejected;
use crate::limits::{MESSAGE_ID_LEN_MAX, NAME_LEN_MAX};
use crate::message::{ForbiddenField, Reason};

/// Texts that each line has, and the bytes of the longest.
const TEXTS: [(&str, usize); 4] = [
    ("messageId", MESSAGE_ID_LEN_MAX),
    ("sourceServerId", NAME_LEN_MAX),
    ("destinationId", NAME_LEN_MAX),
    ("messageType", NAME_LEN_MAX),
];
const PRIORITY: &str = "priority";

/// The first such field; `None`: the reason is another, or serde_json does not read what the parser did.
pub(super) fn field_of(rejected: &Rejected<'_>) -> Option<&'static str> {
    match rejected.forbidden {
        Some(ForbiddenField::SourceServerId) => Some("sourceServerId"),
        Some(ForbiddenField::DestinationId) => Some("destinationId"),
        None => broken(rejected.reason, rejected.line),
    }
}

fn broken(reason: Reason, line: &[u8]) -> Option<&'static str> {
    if !matches!(reason, Reason::MissingField | Reason::BadField) {
        return None;
    }
    let fields: Map<String, Value> = serde_json::from_slice(line).ok()?;
    match reason {
        Reason::MissingField => missing(&fields),
        _ => Some(wrong(&fields)),
    }
}

fn missing(fields: &Map<String, Value>) -> Option<&'static str> {
    let required = TEXTS.iter().map(|it| it.0).chain([PRIORITY]);
    required.into_iter().find(|it| !fields.contains_key(*it))
}

/// How many levels there are is the settings': where all else is right it is the priority.
fn wrong(fields: &Map<String, Value>) -> &'static str {
    let is_text = |value: Option<&Value>, len_max: usize| {
        let text = value.and_then(Value::as_str);
        text.is_some_and(|it| (1..=len_max).contains(&it.len()))
    };
    let text = TEXTS.iter().find(|it| !is_text(fields.get(it.0), it.1));
    let is_time = |it: &Value| it.as_i64().is_some_and(|ms| ms >= 0);
    match text {
        Some((name, _)) => name,
        None if !fields.get("timestamp").is_none_or(is_time) => "timestamp",
        None if !fields.get("payload").is_none_or(Value::is_object) => "payload",
        None => PRIORITY,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(key: &str, value: Option<Value>) -> Vec<u8> {
        let mut line = json!({"messageId": "m", "sourceServerId": "s", "destinationId": "d",
            "messageType": "t", "priority": 1, "timestamp": 5, "payload": {}});
        let fields = line.as_object_mut().expect("an object");
        match value {
            Some(value) => fields.insert(key.to_owned(), value),
            None => fields.remove(key),
        };
        line.to_string().into_bytes()
    }

    #[test]
    fn each_field_that_is_missing_or_wrong_is_named() {
        let long = || Value::from("x".repeat(300));
        for key in TEXTS.map(|it| it.0) {
            assert_eq!(broken(Reason::MissingField, &line(key, None)), Some(key));
            for value in [json!(""), json!(7), json!(null), long()] {
                let line = line(key, Some(value));
                assert_eq!(broken(Reason::BadField, &line), Some(key));
            }
        }
        assert_eq!(
            broken(Reason::MissingField, &line(PRIORITY, None)),
            Some(PRIORITY)
        );
        for (key, value) in [
            ("timestamp", json!(-1)),
            ("timestamp", json!(u64::MAX)),
            ("timestamp", json!(1.5)),
            ("payload", json!([])),
            (PRIORITY, json!(9)),
        ] {
            let line = line(key, Some(value));
            assert_eq!(broken(Reason::BadField, &line), Some(key));
        }
    }

    #[test]
    fn other_reasons_name_none() {
        let line = line("messageId", None);
        assert_eq!(broken(Reason::UnknownDestination, &line), None);
        assert_eq!(broken(Reason::MissingField, b"{"), None);
    }
}
