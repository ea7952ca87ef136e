//! What a rejected line looks like in its file.
//!
//! ```text
//! {"reason":"bad_json","source":"[::1]:8001","time":"2026-01-31T07:00:00.123Z","line":"{"}
//! {"reason":"bad_utf8","source":"[::1]:8001","time":"2026-01-31T07:00:00.124Z",
//!  "line_base64":"/w=="}    (one line in the file)
//! ```

use std::borrow::Cow;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use super::protocol::Rejected;

/// Appends the line, with its newline.
pub(super) fn write(out: &mut Vec<u8>, rejected: &Rejected<'_>) {
    let text = std::str::from_utf8(rejected.line).ok();
    let entry = Entry {
        reason: rejected.reason.label(),
        source: String::from_utf8_lossy(rejected.source),
        time: Time(rejected.epoch_us),
        line: text,
        line_base64: text.is_none().then_some(Base64(rejected.line)),
    };
    serde_json::to_writer(&mut *out, &entry)
        .expect("a Vec takes every byte, and an entry has only string keys");
    out.push(b'\n');
}

#[derive(Serialize)]
struct Entry<'a> {
    reason: &'static str,
    source: Cow<'a, str>,
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line_base64: Option<Base64<'a>>,
}

/// In us since the epoch; written as RFC 3339 has it, in UTC, to the millisecond.
struct Time(u64);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = i64::try_from(self.0 / 1_000).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
        serializer.collect_str(&format_args!("{time:.3}"))
    }
}

struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}
