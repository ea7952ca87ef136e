//! The parser's verdict in the naive model's terms, for tests and fuzzing; spans and record header are checked
//! on the way.

use std::cell::RefCell;
use std::ops::Range;

use super::blocks::BitByBit;
use super::model::{self, Judged};
use super::*;
use crate::message::Record;
use simd_json::prelude::{ValueObjectAccess as _, Writable as _};

/// Levels of the tests' parsers.
pub(crate) const LEVELS: u8 = 3;

/// The parser's verdict in the model's terms, by both ways to hand a line over, checked for itself.
pub(crate) fn judge(parser: &mut Parser, frame: &[u8]) -> Result<Judged, Reason> {
    let mut alone = frame.to_vec();
    let first = parser.parse(&mut alone, frame).map(|it| judged(&it, frame));
    let mut padded = frame.to_vec();
    padded.extend_from_slice(&[b'"'; PADDING]);
    let second = parser
        .parse(&mut padded, frame)
        .map(|it| judged(&it, frame));
    assert_eq!(first, second, "padding makes a difference");
    assert_eq!(padded[frame.len()..], [b'"'; PADDING]);
    let mut line = frame.to_vec();
    let by_tape = parser.parse_by_tape(&mut line, frame);
    assert_eq!(by_tape.map(|it| judged(&it, frame)), first, "by tape alone");
    judge_quickly(parser, frame, first.as_ref().ok());
    first
}

/// The quick way accepts only what is good, and says the same with vector instructions and without.
fn judge_quickly(parser: &mut Parser, frame: &[u8], expected: Option<&Judged>) {
    let quick = parser.quick.parse(frame);
    let by_bits = Quick::new(parser.quick.levels()).parse_by(BitByBit, frame);
    assert_eq!(by_bits, quick);
    if let Some(parsed) = quick {
        assert_eq!(Some(&judged(&parsed, frame)), expected);
    }
}

/// Whether the quick way accepts a line, by itself.
pub(crate) fn is_quick(line: impl AsRef<[u8]>) -> bool {
    Quick::new(LEVELS).parse(line.as_ref()).is_some()
}

fn judged(parsed: &Parsed<'_>, frame: &[u8]) -> Judged {
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
    Judged {
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
pub(crate) fn verdict(line: impl AsRef<[u8]>) -> Result<Judged, Reason> {
    EXPERIENCED.with_borrow_mut(|parser| agreed(parser, line.as_ref()))
}

/// The verdict on a line, on which a new parser, an experienced one and the model agree.
pub(crate) fn agreed(experienced: &mut Parser, line: &[u8]) -> Result<Judged, Reason> {
    let verdict = judge(&mut Parser::new(LEVELS), line);
    assert_eq!(judge(experienced, line), verdict);
    assert_eq!(
        verdict,
        model::judge(line, LEVELS),
        "on {}",
        String::from_utf8_lossy(line)
    );
    verdict
}

/// Other readers of JSON agree with a verdict, where they have an opinion: serde_json has none of
/// numbers beyond its own range, simd-json none of numbers beyond 64 bits.
pub(crate) fn agrees_with_others(line: &[u8], verdict: &Result<Judged, Reason>) {
    let is_json = !matches!(verdict, Err(Reason::BadJson | Reason::BadUtf8));
    match serde_json::from_slice::<serde_json::Value>(line) {
        Ok(value) => {
            assert!(is_json);
            if let Ok(judged) = verdict {
                has_values(judged, |key| Some(value.get(key)?.to_string()));
            }
        }
        Err(error) if error.to_string().contains("number out of range") => {}
        Err(_) => assert!(!is_json),
    }
    if is_json {
        let mut tamed = line.to_vec();
        super::exact::tame_numbers(&mut tamed);
        let value = simd_json::to_owned_value(&mut tamed).expect("JSON with small numbers");
        if let Ok(judged) = verdict {
            has_values(judged, |key| Some(value.get(key)?.encode()));
        }
    }
}

/// Values that another reader found, as JSON, are those of the verdict.
fn has_values(judged: &Judged, value: impl Fn(&str) -> Option<String>) {
    let keys = [
        "messageId",
        "sourceServerId",
        "destinationId",
        "messageType",
    ];
    for (key, text) in keys.iter().zip(&judged.texts) {
        let found: String = serde_json::from_str(&value(key).expect(key)).expect("a string");
        assert_eq!(&found, text, "{key}");
    }
    assert_eq!(value("priority"), Some(judged.priority.to_string()));
    let timestamp = judged.timestamp_ms.map(|it| it.to_string());
    assert_eq!(value("timestamp"), timestamp);
}
