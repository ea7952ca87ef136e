//! The values of a row's string fields, out of the frame.
//!
//! Spans point at the raw JSON between the quotes; what contains escapes is unescaped here, once,
//! because the database wants values. A value that cannot be unescaped (half a surrogate pair)
//! stays as it was written: nothing is lost for it.

use std::borrow::Cow;

use super::rows::Row;
use crate::journal::record::Span;

/// The text fields of one row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    pub(super) id: Cow<'a, [u8]>,
    pub(super) source: Cow<'a, [u8]>,
    pub(super) destination: Cow<'a, [u8]>,
    pub(super) message_type: Cow<'a, [u8]>,
    /// The raw JSON; `None` where the frame has no payload.
    pub(super) payload: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(row: &Row<'a>) -> Self {
        let header = row.header;
        let text = |span: Span| match header.escaped {
            false => Cow::Borrowed(span.of(row.frame)),
            true => unescape(span.of(row.frame)),
        };
        Self {
            id: text(header.id),
            source: text(header.source),
            destination: text(header.destination),
            message_type: text(header.message_type),
            payload: (header.payload.len > 0).then(|| header.payload.of(row.frame)),
        }
    }
}

fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let quoted = [b"\"", raw, b"\""].concat();
    match serde_json::from_slice::<String>(&quoted) {
        Ok(value) => Cow::Owned(value.into_bytes()),
        Err(_) => Cow::Borrowed(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved_and_half_a_pair_stays_as_it_is() {
        let cases: [(&str, &str); 6] = [
            ("plain", "plain"),
            (r"a\\b\/c\n", "a\\b/c\n"),
            (r#"\"quoted\""#, "\"quoted\""),
            (r"\u0000", "\0"),
            (r"\ud83c\udf5c", "🍜"),
            (r"\ud83c", r"\ud83c"),
        ];
        for (raw, value) in cases {
            assert_eq!(unescape(raw.as_bytes()).as_ref(), value.as_bytes());
        }
    }
}
