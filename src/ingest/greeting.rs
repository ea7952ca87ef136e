//! The first line of a producer that dials in: it may say what the producer wants.
//!
//! ```text
//! {"producer":{"ack":true}}
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;

/// With any other field it is a message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Greeting {
    producer: BTreeMap<String, bool>,
}

/// Whether the producer wants acknowledgements; `None`: the line is no greeting. An array is none:
/// serde would fill a struct from it too.
pub(super) fn parse(line: &[u8]) -> Option<bool> {
    let is_object = line.trim_ascii_start().starts_with(b"{");
    let greeting: Greeting = serde_json::from_slice(line).ok().filter(|_| is_object)?;
    let is_known = greeting.producer.keys().all(|key| key == "ack");
    is_known.then(|| greeting.producer.get("ack").copied().unwrap_or_default())
}
