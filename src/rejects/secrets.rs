//! Keeps tokens out of kept lines: a first line that is sent again, or to the wrong address, is
//! rejected like any other, and shows a user's token.
//!
//! What a user sends in messages of its own is kept as it is.

use std::borrow::Cow;

use memchr::memmem::{find, find_iter};

/// Stands for a token.
const MASK: &[u8] = b"***";

/// The line, with a mask for each token that stands where the protocol has one.
pub(super) fn without_tokens(line: &[u8]) -> Cow<'_, [u8]> {
    if let Some(end) = end_of_header(line) {
        return Cow::Owned([&line[..end], b" ", MASK].concat());
    }
    let is_first_line = || find(line, b"\"producer\"").or_else(|| find(line, b"\"subscribe\""));
    if find(line, KEY).is_none() || is_first_line().is_none() {
        return Cow::Borrowed(line);
    }
    let mut masked = Vec::with_capacity(line.len());
    let mut copied = 0;
    for at in find_iter(line, KEY) {
        let Some(start) = start_of_value(line, at + KEY.len()) else {
            continue;
        };
        if start < copied {
            continue;
        }
        masked.extend_from_slice(&line[copied..start]);
        masked.extend_from_slice(MASK);
        copied = end_of_string(line, start);
    }
    masked.extend_from_slice(&line[copied..]);
    Cow::Owned(masked)
}

const KEY: &[u8] = b"\"token\"";

/// Where the value of a header `Authorization:` starts.
fn end_of_header(line: &[u8]) -> Option<usize> {
    const HEADER: &[u8] = b"authorization:";
    let head = line.get(..HEADER.len())?;
    head.eq_ignore_ascii_case(HEADER).then_some(HEADER.len())
}

/// Behind the quotation mark of a string that follows a key.
fn start_of_value(line: &[u8], behind_key: usize) -> Option<usize> {
    let mut at = skip_spaces(line, behind_key);
    if line.get(at) != Some(&b':') {
        return None;
    }
    at = skip_spaces(line, at + 1);
    (line.get(at) == Some(&b'"')).then_some(at + 1)
}

fn skip_spaces(line: &[u8], from: usize) -> usize {
    let rest = line[from..].iter();
    from + rest.take_while(|it| it.is_ascii_whitespace()).count()
}

/// Where a string ends that starts here: at its quotation mark, or with the line.
fn end_of_string(line: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(&byte) = line.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(line: &str) -> String {
        String::from_utf8(without_tokens(line.as_bytes()).into_owned()).expect("text")
    }

    #[test]
    fn tokens_of_first_lines_are_masked_whole_or_torn() {
        for (line, expected) in [
            (
                r#"{"producer":{"ack":true,"token":"ge\"heim"}}"#,
                r#"{"producer":{"ack":true,"token":"***"}}"#,
            ),
            (
                r#"{"token" : "geheim","subscribe":["a"],"token":"x"}"#,
                r#"{"token" : "***","subscribe":["a"],"token":"***"}"#,
            ),
            (
                r#"{"subscribe":["a"],"token":"gehe"#,
                r#"{"subscribe":["a"],"token":"***"#,
            ),
            (
                r#"{"subscribe":["a"],"token":"\"#,
                r#"{"subscribe":["a"],"token":"***"#,
            ),
            ("authorization: Bearer geheim", "authorization: ***"),
        ] {
            assert_eq!(masked(line), expected);
        }
    }

    #[test]
    fn all_else_is_kept_as_it_is() {
        for line in [
            r#"{"messageId":"1","payload":{"token":"4711"}}"#,
            r#"{"producer":{"token":17,"x":"token"}}"#,
            r#"{"producer":"#,
            "",
            "Authorization",
        ] {
            assert_eq!(masked(line), line);
        }
    }
}
