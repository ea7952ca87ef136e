//! Lines that the engine must reject: one reason after another, each in all its ways.
//!
//! `orders` hands it a valid frame; it breaks that frame and hands it back. It never breaks the
//! framing: each result is one line without newline inside. The layout it edits is that of `frame`:
//! top-level fields first, `payload` last, `": "` and `", "` between.

use memchr::memmem;

use crate::limits::{MESSAGE_ID_LEN_MAX, NAME_LEN_MAX};

/// Why the engine rejects a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Longer than the engine's `max_line`.
    Oversize,
    /// Not UTF-8.
    BadUtf8,
    /// Not JSON.
    BadJson,
    /// JSON, but no object.
    NotAnObject,
    /// A top-level key twice.
    DuplicateField,
    /// A field that must be there is not.
    MissingField,
    /// A field of a wrong type or out of its range.
    BadField,
    /// For a destination that is not configured (accepted where the engine creates destinations).
    UnknownDestination,
}

impl Reason {
    /// How many there are.
    pub const COUNT: usize = 8;

    /// All, in the order in which they are cycled through.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Oversize,
        Self::BadUtf8,
        Self::BadJson,
        Self::NotAnObject,
        Self::DuplicateField,
        Self::MissingField,
        Self::BadField,
        Self::UnknownDestination,
    ];

    /// The engine's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oversize => "oversize",
            Self::BadUtf8 => "bad_utf8",
            Self::BadJson => "bad_json",
            Self::NotAnObject => "not_an_object",
            Self::DuplicateField => "duplicate_field",
            Self::MissingField => "missing_field",
            Self::BadField => "bad_field",
            Self::UnknownDestination => "unknown_destination",
        }
    }
}

const NOT_JSON: [&str; 3] = [
    "this is no JSON",
    "{\"messageId\": }",
    "{\"messageId\" \"x\"}",
];
const NOT_OBJECTS: [&str; 5] = ["[\"breakfast\", 1]", "42", "null", "true", "\"breakfast\""];
const REQUIRED: [&str; 5] = [
    "messageId",
    "sourceServerId",
    "destinationId",
    "messageType",
    "priority",
];
const STRINGS: [&str; 4] = [
    "messageId",
    "sourceServerId",
    "destinationId",
    "messageType",
];
const BAD_PRIORITIES: [&str; 7] = [
    "0",
    "9",
    "-1",
    "1.5",
    "\"1\"",
    "null",
    "99999999999999999999",
];
const BAD_TIMESTAMPS: [&str; 4] = ["\"now\"", "1693123456789.5", "[]", "true"];
const BAD_PAYLOADS: [&str; 4] = ["[]", "\"two eggs\"", "7", "false"];

/// Breaks one frame after another: the reasons in turn, and each reason's ways in turn.
#[derive(Debug)]
pub(crate) struct Breaker {
    made: usize,
    max_line: usize,
}

impl Breaker {
    pub(crate) fn new(max_line: usize) -> Self {
        Self { made: 0, max_line }
    }

    /// Breaks a valid frame (without its newline) in place, and says in what way.
    pub(crate) fn break_frame(&mut self, frame: &mut Vec<u8>) -> Reason {
        let reason = Reason::ALL[self.made % Reason::COUNT];
        let way = self.made / Reason::COUNT;
        self.made += 1;
        match reason {
            Reason::Oversize => oversize(frame, self.max_line, way),
            Reason::BadUtf8 => bad_utf8(frame, way),
            Reason::BadJson => bad_json(frame, way),
            Reason::NotAnObject => replace_all(frame, pick(&NOT_OBJECTS, way)),
            Reason::DuplicateField => repeat_field(frame, pick(&REQUIRED, way)),
            Reason::MissingField => remove_field(frame, pick(&REQUIRED, way)),
            Reason::BadField => bad_field(frame, way),
            Reason::UnknownDestination => {
                replace_value(frame, "destinationId", &format!("\"no-such-table-{way}\""));
            }
        }
        reason
    }
}

fn pick(ways: &[&'static str], way: usize) -> &'static str {
    ways[way % ways.len()]
}

/// One byte too long, or far too long: alternately.
fn oversize(frame: &mut Vec<u8>, max_line: usize, way: usize) {
    let excess = if way.is_multiple_of(2) {
        1
    } else {
        max_line / 4 + 1
    };
    let len = frame.len().max(max_line + excess);
    let at = frame.len() - 1;
    let fill = len - frame.len();
    frame.splice(at..at, std::iter::repeat_n(b' ', fill));
}

/// A stray byte, a torn sequence, a surrogate, an overlong encoding: inside a string of the
/// payload.
fn bad_utf8(frame: &mut Vec<u8>, way: usize) {
    const BAD: [&[u8]; 4] = [b"\xff", b"caf\xc3", b"\xed\xa0\x80", b"\xc0\xaf"];
    let bad = BAD[way % BAD.len()];
    replace_value(frame, "payload", "{\"note\": \"\"}");
    let at = frame.len() - "\"}}".len();
    frame.splice(at..at, bad.iter().copied());
}

fn bad_json(frame: &mut Vec<u8>, way: usize) {
    match way % 4 {
        0 => frame.truncate(frame.len() - 1),
        1 => frame.extend_from_slice(b" trailing"),
        _ => replace_all(frame, pick(&NOT_JSON, way)),
    }
}

/// Each string empty, too long, of a wrong type; then priorities, timestamps and payloads.
fn bad_field(frame: &mut Vec<u8>, way: usize) {
    let key = pick(&STRINGS, way / 6);
    match way % 6 {
        0 => replace_value(frame, key, "\"\""),
        1 => replace_value(frame, key, &too_long(key)),
        2 => replace_value(frame, key, if way % 12 == 2 { "17" } else { "null" }),
        3 => replace_value(frame, "priority", pick(&BAD_PRIORITIES, way / 6)),
        4 => replace_value(frame, "timestamp", pick(&BAD_TIMESTAMPS, way / 6)),
        _ => replace_value(frame, "payload", pick(&BAD_PAYLOADS, way / 6)),
    }
}

fn too_long(key: &str) -> String {
    let len_max = if key == "messageId" {
        MESSAGE_ID_LEN_MAX
    } else {
        NAME_LEN_MAX
    };
    format!("\"{}\"", "x".repeat(len_max + 1))
}

fn replace_all(frame: &mut Vec<u8>, text: &str) {
    frame.clear();
    frame.extend_from_slice(text.as_bytes());
}

fn replace_value(frame: &mut Vec<u8>, key: &str, value: &str) {
    let field = find_field(frame, key);
    frame.splice(field.value..field.end, value.bytes());
}

fn remove_field(frame: &mut Vec<u8>, key: &str) {
    let field = find_field(frame, key);
    frame.drain(field.key..field.end + ", ".len());
}

/// Says the field again, before the payload.
fn repeat_field(frame: &mut Vec<u8>, key: &str) {
    let field = find_field(frame, key);
    let mut again = frame[field.key..field.end].to_vec();
    again.extend_from_slice(b", ");
    let at = find_field(frame, "payload").key;
    frame.splice(at..at, again);
}

/// Where a top-level field stands: its key's quote, its value, the byte after the value.
struct Field {
    key: usize,
    value: usize,
    end: usize,
}

fn find_field(frame: &[u8], key: &str) -> Field {
    let quoted = format!("\"{key}\": ");
    let at = memmem::find(frame, quoted.as_bytes()).expect("a valid frame has all fields");
    let value = at + quoted.len();
    let end = if key == "payload" {
        frame.len() - 1
    } else {
        value + memmem::find(&frame[value..], b", \"").expect("the payload follows")
    };
    Field {
        key: at,
        value,
        end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const FRAME: &[u8] = b"{\"messageId\": \"server1-1-abc12345\", \
        \"sourceServerId\": \"server1\", \"destinationId\": \"table1\", \
        \"messageType\": \"lunch\", \"priority\": 1, \"timestamp\": 1693123456789, \
        \"payload\": {\"note\": \"well done\", \"items\": []}}";
    const MAX_LINE: usize = 1_000;

    /// The rules of the protocol, said once more and in another way than the breaker's.
    fn reason_of(line: &[u8]) -> Option<Reason> {
        if line.len() > MAX_LINE {
            return Some(Reason::Oversize);
        }
        let Ok(text) = std::str::from_utf8(line) else {
            return Some(Reason::BadUtf8);
        };
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return Some(Reason::BadJson);
        };
        let Some(object) = value.as_object() else {
            return Some(Reason::NotAnObject);
        };
        let top_level = text.split("\"payload\"").next().expect("a first part");
        if REQUIRED
            .iter()
            .any(|key| top_level.matches(&format!("\"{key}\"")).count() > 1)
        {
            return Some(Reason::DuplicateField);
        }
        if REQUIRED.iter().any(|key| !object.contains_key(*key)) {
            return Some(Reason::MissingField);
        }
        let string = |key: &str, len_max: usize| {
            value[key]
                .as_str()
                .is_some_and(|text| (1..=len_max).contains(&text.len()))
        };
        let good = string("messageId", 255)
            && STRINGS[1..].iter().all(|key| string(key, 50))
            && value["priority"]
                .as_u64()
                .is_some_and(|priority| (1..=8).contains(&priority))
            && value["timestamp"].as_u64().is_some()
            && value["payload"].is_object();
        if !good {
            return Some(Reason::BadField);
        }
        (!text.contains("\"table1\"")).then_some(Reason::UnknownDestination)
    }

    #[test]
    fn a_frame_left_alone_is_valid() {
        assert_eq!(reason_of(FRAME), None);
    }

    #[test]
    fn each_way_of_each_reason_is_wrong_in_just_that_way() {
        let mut breaker = Breaker::new(MAX_LINE);
        for made in 0..Reason::COUNT * 200 {
            let mut frame = FRAME.to_vec();
            let reason = breaker.break_frame(&mut frame);
            assert_eq!(reason, Reason::ALL[made % Reason::COUNT]);
            let shown = String::from_utf8_lossy(&frame).into_owned();
            assert_eq!(reason_of(&frame), Some(reason), "{shown}");
            assert!(!frame.contains(&b'\n') && !frame.is_empty());
        }
    }

    #[test]
    fn oversize_starts_at_one_byte_too_many() {
        let mut frame = FRAME.to_vec();
        Breaker::new(MAX_LINE).break_frame(&mut frame);
        assert_eq!(frame.len(), MAX_LINE + 1);
    }
}
