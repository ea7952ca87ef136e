//! What a rejected line looks like in its file.
//!
//! ```text
//! {"reason":"bad_json","source":"[::1]:8001","time":"2026-01-31T07:00:00.123Z","line":"{"}
//! {"reason":"bad_utf8","source":"[::1]:8001","time":"2026-01-31T07:00:00.124Z",
//!  "line_base64":"/w=="}    (one line in the file)
//! {"reason":"missing_field","field":"priority","source":"[::1]:8001","time":..,"line":"{..}"}
//! ```

use std::borrow::Cow;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use super::field::field_of;
use super::protocol::Rejected;
use super::secrets::without_tokens;

/// Appends the line, with its newline.
pub(super) fn write(out: &mut Vec<u8>, rejected: &Rejected<'_>) {
    let source = String::from_utf8_lossy(rejected.source);
    let line = without_tokens(rejected.line);
    let entry = Entry {
        field: field_of(rejected),
        ..Entry::of(rejected.reason.label(), source, rejected.epoch_us, &line)
    };
    entry.write(out);
}

/// Appends a line that is kept for this reason, with its newline; the source may not be known.
pub(crate) fn write_line(
    out: &mut Vec<u8>,
    reason: &'static str,
    source: Cow<'_, str>,
    epoch_us: u64,
    line: &[u8],
) {
    Entry::of(reason, source, epoch_us, line).write(out);
}

#[derive(Serialize)]
struct Entry<'a> {
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    source: Cow<'a, str>,
    time: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line_base64: Option<Base64<'a>>,
}

impl<'a> Entry<'a> {
    fn of(reason: &'static str, source: Cow<'a, str>, epoch_us: u64, line: &'a [u8]) -> Self {
        let text = std::str::from_utf8(line).ok();
        Self {
            reason,
            field: None,
            source,
            time: Time(epoch_us),
            line: text,
            line_base64: text.is_none().then_some(Base64(line)),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, self)
            .expect("a Vec takes every byte, and an entry has only string keys");
        out.push(b'\n');
    }
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
