//! Fuzzing of what the commands read.

pub use super::histogram::fuzz::latency_files;
use super::publish_answers::parse_reply;
use super::subscribe::engine_word;

/// A line of an engine, as `publish` and `subscribe` read it.
pub(crate) fn engine_line(line: &[u8]) {
    let _ = parse_reply(line);
    if engine_word(line).is_some() {
        let value: serde_json::Value = serde_json::from_slice(line).expect("it was understood");
        assert!(value.is_object() && value.get("messageId").is_none_or(|it| it.is_null()));
    }
}
