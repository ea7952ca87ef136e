//! What a rejected line looks like in its file.
//!
//! ```text
//! {"reason":"bad_json","source":"[::1]:8001","time":"2026-01-31T07:00:00.123Z","line":"{"}
//! {"reason":"bad_utf8","source":"[::1]:8001","time":"2026-01-31T07:00:00.124Z",
//!  "line_base64":"/w=="}    (one line in the file)
//! {"reason":"missing_field","field":"priority","source":"[::1]:8001","time":..,"line":"{..}"}
//! ```

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use super::field::field_of;
use super::protocol::Rejected;
use super::secrets::without_tokens;
use crate::agent::background;
use crate::limits::KEPT_PIECE_LEN;

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
    line: Option<Text<'a>>,
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
            line: text.map(Text),
            line_base64: text.is_none().then_some(Base64(line)),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(Pieces { out, len: 0 }, self)
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

/// A line, whose pieces are escaped one after the other.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while !rest.is_empty() {
            let mut end = rest.len().min(KEPT_PIECE_LEN);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, behind) = rest.split_at(end);
            f.write_str(piece)?;
            rest = behind;
        }
        Ok(())
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

/// Gives way between pieces of what is written to it.
struct Pieces<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes since it gave way last.
    len: usize,
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(bytes);
        self.len += bytes.len();
        if self.len >= KEPT_PIECE_LEN {
            self.len = 0;
            background::give_way();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
