//! The parser's verdict in the naive model's terms, for tests and fuzzing; spans and record header
//! are checked on the way.

use std::cell::RefCell;
use std::ops::Range;

use super::fast::Attempt;
use super::model::{self, Expected};
use super::vectors::BitByBit;
use super::*;
use crate::message::Record;
use simd_json::prelude::{ValueObjectAccess as _, Writable as _};

/// Levels of the tests' parsers.
pub(crate) const LEVELS: u8 = 3;

/// The parser's verdict in the model's terms, by both paths, checked for itself.
pub(crate) fn parse(parser: &mut Parser, frame: &[u8]) -> Result<Expected, Reason> {
    let before = attempt(parser, frame);
    let first = parser.parse(frame).map(|it| expected(&it, frame));
    let full = parser.parse_full(frame).map(|it| expected(&it, frame));
    assert_eq!(full, first, "by the full path alone");
    let after = attempt(parser, frame);
    for parsed in [before, after].into_iter().flatten() {
        assert_eq!(Ok(&parsed), first.as_ref(), "by the fast path");
    }
    first
}

/// What the fast path accepts; it is the same with vector instructions and without.
fn attempt(parser: &mut Parser, frame: &[u8]) -> Option<Expected> {
    let fast = parser.fast.as_mut()?;
    let attempt = fast.parse(frame);
    assert_eq!(fast.parse_by(BitByBit, frame), attempt);
    match attempt {
        Attempt::Parsed(parsed) => Some(expected(&parsed, frame)),
        Attempt::FallBack | Attempt::NewShape => None,
    }
}

/// Whether the fast path accepts a line, once it has seen it.
pub(crate) fn is_fast(line: impl AsRef<[u8]>) -> bool {
    let mut parser = Parser::new(LEVELS);
    let _ = parser.parse(line.as_ref());
    attempt(&mut parser, line.as_ref()).is_some()
}

fn expected(parsed: &Parsed<'_>, frame: &[u8]) -> Expected {
    let texts = [
        parsed.id,
        parsed.source,
        parsed.destination,
        parsed.message_type,
    ];
    let spans = [
        parsed.id_span,
        parsed.source_span,
        parsed.destination_span,
        parsed.message_type_span,
        parsed.payload_span,
    ];
    let raw_has_escape = spans[..4]
        .iter()
        .any(|span| frame[range(span)].contains(&b'\\'));
    assert_eq!(parsed.escaped, raw_has_escape);
    let header = parsed.header(7_000);
    assert_eq!(header.timestamp_ms, parsed.timestamp_ms.unwrap_or(7));
    let fields = Record::new(header, frame);
    let recorded = [
        fields.message_id(),
        fields.source_id(),
        fields.destination(),
        fields.message_type(),
    ];
    assert_eq!(recorded.map(|it| it.value()), texts);
    Expected {
        texts: texts.map(str::to_owned),
        spans: spans.map(|span| range(&span)),
        priority: parsed.priority,
        timestamp_ms: parsed.timestamp_ms,
    }
}

fn range(span: &Span) -> Range<usize> {
    usize::from(span.offset)..usize::from(span.offset) + usize::from(span.len)
}

thread_local! {
    /// It has seen all lines of a test, and kept their shapes.
    static EXPERIENCED: RefCell<Parser> = RefCell::new(Parser::new(LEVELS));
}

/// The verdict on a line, on which parser and model agree, whatever lines were before.
pub(crate) fn verdict(line: impl AsRef<[u8]>) -> Result<Expected, Reason> {
    EXPERIENCED.with_borrow_mut(|parser| agreed(parser, line.as_ref()))
}

/// The verdict on a line, on which a new parser, an experienced one and the model agree.
pub(crate) fn agreed(experienced: &mut Parser, line: &[u8]) -> Result<Expected, Reason> {
    let verdict = parse(&mut Parser::new(LEVELS), line);
    assert_eq!(parse(experienced, line), verdict);
    assert_eq!(
        verdict,
        model::parse(line, LEVELS),
        "on {}",
        String::from_utf8_lossy(line)
    );
    verdict
}

/// Other readers of JSON agree with a verdict, but for numbers: serde_json refuses those beyond its
/// own range, simd-json those beyond 64 bits.
pub(crate) fn agrees_with_others(line: &[u8], verdict: &Result<Expected, Reason>) {
    let is_json = !matches!(verdict, Err(Reason::BadJson | Reason::BadUtf8));
    match serde_json::from_slice::<serde_json::Value>(line) {
        Ok(value) => {
            assert!(is_json);
            if let Ok(expected) = verdict {
                has_values(expected, |key| Some(value.get(key)?.to_string()));
            }
        }
        Err(error) if error.to_string().contains("number out of range") => {}
        Err(_) => assert!(!is_json),
    }
    if is_json {
        let mut tamed = line.to_vec();
        super::exact::tame_numbers(&mut tamed);
        let value = simd_json::to_owned_value(&mut tamed).expect("JSON with small numbers");
        if let Ok(expected) = verdict {
            has_values(expected, |key| Some(value.get(key)?.encode()));
        }
    }
}

/// Values that another reader found, as JSON, are those of the verdict.
fn has_values(expected: &Expected, value: impl Fn(&str) -> Option<String>) {
    let keys = [
        "messageId",
        "sourceServerId",
        "destinationId",
        "messageType",
    ];
    for (key, text) in keys.iter().zip(&expected.texts) {
        let found: String = serde_json::from_str(&value(key).expect(key)).expect("a string");
        assert_eq!(&found, text, "{key}");
    }
    assert_eq!(value("priority"), Some(expected.priority.to_string()));
    let timestamp = expected.timestamp_ms.map(|it| it.to_string());
    assert_eq!(value("timestamp"), timestamp);
}
