//! The slow and exact validation of a line that simd-json refused.
//!
//! The parser asks, on a cold path only: it needs the reason, and a few lines are refused that are
//! valid JSON, for RFC 8259 puts no bound on numbers. Nothing here recurses, so that no depth of
//! nesting overflows the stack.

use serde::de::IgnoredAny;

use crate::limits::NESTING_MAX;
use crate::message::Reason;

use super::scalars::code_unit;
use super::spans::closing_quote;

/// Validates that a line is one JSON object, of any keys.
///
/// # Errors
/// Why it is not.
pub(super) fn check(line: &[u8]) -> Result<(), Reason> {
    let text = std::str::from_utf8(line).map_err(|_| Reason::BadUtf8)?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| Reason::BadJson)?;
    if has_lone_surrogate(line) || is_too_deep(line) {
        return Err(Reason::BadJson);
    }
    match line.trim_ascii_start().first() {
        Some(b'{') => Ok(()),
        _ => Err(Reason::NotAnObject),
    }
}

/// Replaces every number of valid JSON that is no 64-bit integer by `-1` and spaces. Such a number
/// is never shorter than three bytes (`1.0`, `1e9`).
pub(super) fn tame_numbers(json: &mut [u8]) {
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => at = closing_quote(json, at + 1) + 1,
            b'-' | b'0'..=b'9' => {
                let len = json[at..]
                    .iter()
                    .take_while(|byte| is_of_number(**byte))
                    .count();
                tame(&mut json[at..at + len]);
                at += len;
            }
            _ => at += 1,
        }
    }
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

fn tame(number: &mut [u8]) {
    let text = std::str::from_utf8(number).unwrap_or_default();
    if text.parse::<i64>().is_err() {
        number.fill(b' ');
        number[..2].copy_from_slice(b"-1");
    }
}

fn is_too_deep(json: &[u8]) -> bool {
    let mut depth = 0;
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => at = closing_quote(json, at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth > NESTING_MAX {
            return true;
        }
        at += 1;
    }
    false
}

/// Whether valid JSON names half of a surrogate pair, which is no character. A backslash stands in
/// strings only.
fn has_lone_surrogate(json: &[u8]) -> bool {
    let mut at = 0;
    while let Some(distance) = memchr::memchr(b'\\', &json[at..]) {
        at += distance;
        match (
            code_unit(&json[at..]),
            json.get(at + 6..).and_then(code_unit),
        ) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => at += 12,
            (Some(0xd800..=0xdfff), _) => return true,
            (Some(_), _) => at += 6,
            (None, _) => at += 2,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_64_bits_are_tamed_and_nothing_else() {
        let mut json =
            br#"{"1e9":1e9,"a":[-1,9223372036854775807,9223372036854775808],"b":"1\"1.5"}"#
                .to_vec();
        tame_numbers(&mut json);
        let expected =
            r#"{"1e9":-1 ,"a":[-1,9223372036854775807,-1                 ],"b":"1\"1.5"}"#;
        assert_eq!(String::from_utf8_lossy(&json), expected);
    }

    #[test]
    fn half_a_surrogate_pair_is_no_character() {
        let lone = |text: &str| has_lone_surrogate(text.as_bytes());
        assert!(lone(r#""\ud800""#) && lone(r#""\udc00""#) && lone(r#""\uDBFFx\uDC00""#));
        assert!(lone(r#""\ud83d\ud83d\ude00""#) && lone(r#""\ud83d\ude00\ude00""#));
        assert!(!lone(r#""\ud83d\ude00""#) && !lone(r#""\\ud800""#) && !lone(r#""\u00e9""#));
    }
}
