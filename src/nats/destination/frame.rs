//! The fields of a frame that NATS gets: its destination, the id by which a stream finds duplicates, headers.

use std::borrow::Cow;

use async_nats::HeaderMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Number;

use crate::config::nats::{FIELDS, Field};

/// By this header a stream, and whoever reads it, knows a message again.
const MESSAGE_ID: &str = "Nats-Msg-Id";
/// An id that no header can hold begins with this there; what it cannot hold is written `%XX`.
const ESCAPED: &str = "flb-escaped:";

/// The fields of a frame that are of use here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fields<'a> {
    #[serde(borrow)]
    pub(super) destination_id: Cow<'a, str>,
    #[serde(borrow)]
    message_id: Cow<'a, str>,
    #[serde(borrow)]
    source_server_id: Cow<'a, str>,
    #[serde(borrow)]
    message_type: Cow<'a, str>,
    priority: Number,
    timestamp: Option<Number>,
}

/// A line of the engine.
#[derive(Debug)]
pub(super) enum Line<'a> {
    Frame(Fields<'a>),
    /// The engine's own word.
    Word(Word),
}

/// See `docs/protocol.md`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Word {
    pub(super) error: Option<String>,
    /// Destinations that another subscriber has.
    #[serde(default)]
    pub(super) standby: Vec<String>,
    /// So many frames follow that may have been seen.
    pub(super) again: Option<u64>,
}

/// Only the names of a line's members.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    message_id: Option<IgnoredAny>,
}

impl<'a> Line<'a> {
    /// Parses a line of the engine; of what it has accepted nothing is checked again.
    ///
    /// # Errors
    /// It is neither a frame nor a word.
    pub(super) fn parse(line: &'a [u8]) -> serde_json::Result<Self> {
        let probe: Probe = serde_json::from_slice(line)?;
        match probe.message_id {
            Some(_) => serde_json::from_slice(line).map(Self::Frame),
            None => serde_json::from_slice(line).map(Self::Word),
        }
    }
}

impl Fields<'_> {
    /// The headers of its message: the id, and these fields.
    pub(super) fn headers(&self, fields: &[Field]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(MESSAGE_ID, &*escaped(&self.message_id));
        for field in fields {
            let name = FIELDS.iter().find(|it| it.1 == *field);
            let (Some((name, _)), Some(value)) = (name, self.value(*field)) else {
                continue;
            };
            headers.insert(*name, &*escaped(&value));
        }
        headers
    }

    fn value(&self, field: Field) -> Option<Cow<'_, str>> {
        Some(match field {
            Field::SourceServerId => Cow::Borrowed(&*self.source_server_id),
            Field::DestinationId => Cow::Borrowed(&*self.destination_id),
            Field::MessageType => Cow::Borrowed(&*self.message_type),
            Field::Priority => self.priority.to_string().into(),
            Field::Timestamp => self.timestamp.as_ref()?.to_string().into(),
        })
    }
}

/// A text as a header's value: itself, where that is possible. Other texts have other values.
fn escaped(text: &str) -> Cow<'_, str> {
    let is_held =
        !text.chars().any(char::is_control) && text.trim() == text && !text.starts_with(ESCAPED);
    if is_held {
        return Cow::Borrowed(text);
    }
    let mut value = ESCAPED.to_owned();
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'%' => value.push(char::from(byte)),
            _ => value.push_str(&format!("%{byte:02X}")),
        }
    }
    value.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(id: &str) -> String {
        serde_json::json!({
            "messageId": id, "sourceServerId": "s1", "destinationId": "d\n1", "messageType": "a b",
            "priority": 2, "payload": {"messageId": "inner"}, "extra": [1],
        })
        .to_string()
    }

    #[test]
    fn a_frame_is_told_from_the_engine_s_own_words() {
        let text = frame("m-1");
        let Ok(Line::Frame(fields)) = Line::parse(text.as_bytes()) else {
            panic!("it is a frame")
        };
        assert_eq!(fields.destination_id, "d\n1");
        let headers = fields.headers(&[Field::MessageType, Field::Priority, Field::Timestamp]);
        let value = |name: &str| headers.get(name).map(|it| it.as_str().to_owned());
        assert_eq!(value(MESSAGE_ID).as_deref(), Some("m-1"));
        assert_eq!(value("messageType").as_deref(), Some("a b"));
        assert_eq!(value("priority").as_deref(), Some("2"));
        assert_eq!(headers.len(), 3, "no timestamp, no header");
        let word = br#"{"subscribed":["a"],"standby":["b"]}"#;
        assert!(matches!(Line::parse(word), Ok(Line::Word(word)) if word.standby == ["b"]));
        let word = br#"{"error":"why"}"#;
        assert!(matches!(
            Line::parse(word),
            Ok(Line::Word(Word { error: Some(_), .. }))
        ));
        assert!(matches!(Line::parse(br#"{"again":3}"#), Ok(Line::Word(_))));
        assert!(Line::parse(b"[]").is_err() && Line::parse(b"x").is_err());
    }

    #[test]
    fn any_time_that_a_message_may_have_is_told_as_it_is() {
        for time in ["-1", "18446744073709551615", "0"] {
            let text = frame("m").replace(
                "\"priority\":2",
                &format!("\"priority\":1,\"timestamp\":{time}"),
            );
            let Ok(Line::Frame(fields)) = Line::parse(text.as_bytes()) else {
                panic!("{text}")
            };
            let headers = fields.headers(&[Field::Timestamp]);
            assert_eq!(headers.get("timestamp").map(|it| it.as_str()), Some(time));
        }
    }

    #[test]
    fn what_a_header_cannot_hold_is_escaped() {
        assert_eq!(escaped("k\u{fc}che 50%"), "k\u{fc}che 50%");
        assert_eq!(escaped("a\nb"), "flb-escaped:a%0Ab");
        assert_eq!(escaped(" a"), "flb-escaped:%20a");
        assert_eq!(escaped("flb-escaped:a"), "flb-escaped:flb-escaped:a");
    }

    proptest! {
        #[test]
        fn other_ids_have_other_headers(
            a in "(flb-escaped:)?[a%0A \n\u{85}]{0,6}",
            b in "(flb-escaped:)?[a%0A \n\u{85}]{0,6}",
        ) {
            prop_assert_eq!(a == b, escaped(&a) == escaped(&b));
            prop_assert!(!escaped(&a).chars().any(char::is_control));
        }
    }
}
