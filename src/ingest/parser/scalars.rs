//! Numbers, words and escapes, byte by byte: what the quick way does not judge by masks.

/// Where JSON's white space ends that begins at `at`: spaces alone, for the quick way knows no other.
#[inline]
pub(super) fn skip_spaces(line: &[u8], mut at: usize) -> usize {
    while line.get(at) == Some(&b' ') {
        at += 1;
    }
    at
}

/// Where the spaces before `end` begin.
#[inline]
pub(super) fn skip_spaces_back(line: &[u8], mut end: usize) -> usize {
    while end > 0 && line[end - 1] == b' ' {
        end -= 1;
    }
    end
}

/// Whether a number or a word stands at `at`, and ends where a value may end that is no key.
#[inline]
pub(super) fn is_scalar(line: &[u8], at: usize) -> bool {
    let end = match line[at] {
        b'-' | b'0'..=b'9' => number_end(line, at),
        b't' => word_end(line, at, b"true"),
        b'f' => word_end(line, at, b"false"),
        b'n' => word_end(line, at, b"null"),
        _ => None,
    };
    end.is_some_and(|end| {
        let behind = line.get(skip_spaces(line, end));
        matches!(behind, Some(b',' | b'}' | b']'))
    })
}

#[inline]
fn word_end(line: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    line[at..].starts_with(word).then_some(at + word.len())
}

#[inline]
fn number_end(line: &[u8], mut at: usize) -> Option<usize> {
    at += usize::from(line[at] == b'-');
    at = match line.get(at)? {
        b'0' => at + 1,
        _ => digits_end(line, at)?,
    };
    if line.get(at) == Some(&b'.') {
        at = digits_end(line, at + 1)?;
    }
    if matches!(line.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(line.get(at + 1), Some(b'+' | b'-')));
        at = digits_end(line, at)?;
    }
    Some(at)
}

/// Where the digits end that begin at `at`; `None`: there are none.
#[inline]
fn digits_end(line: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    while line.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    (end > at).then_some(end)
}

/// Whether every backslash begins an escape that RFC 8259 knows, and names a whole character. All of
/// them stand in strings.
pub(super) fn are_escapes_good(line: &[u8]) -> bool {
    let mut at = 0;
    while let Some(distance) = memchr::memchr(b'\\', &line[at..]) {
        at += distance;
        let Some(len) = escape_len(&line[at..]) else {
            return false;
        };
        at += len;
    }
    true
}

fn escape_len(escape: &[u8]) -> Option<usize> {
    match escape.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => match (code_unit(escape)?, escape.get(6..).and_then(code_unit)) {
            (0xd800..=0xdbff, Some(0xdc00..=0xdfff)) => Some(12),
            (0xd800..=0xdfff, _) => None,
            _ => Some(6),
        },
        _ => None,
    }
}

/// The code unit that `\uXXXX` names, if the bytes begin so.
pub(super) fn code_unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.get(..6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| {
        Some(unit * 16 + char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_end_where_a_value_may() {
        for good in [
            "0", "-0", "7", "10", "0.5", "-1.25", "1e9", "1E+9", "0e-0", "true", "false", "null",
        ] {
            for behind in [",", "}", "]", "  }"] {
                assert!(
                    is_scalar(format!("{good}{behind}").as_bytes(), 0),
                    "{good}{behind}"
                );
            }
            for behind in ["", " ", ":", " :", "x", "\"", "[", "\0", "\u{e9}"] {
                assert!(
                    !is_scalar(format!("{good}{behind}").as_bytes(), 0),
                    "{good}{behind}"
                );
            }
        }
        for bad in [
            "01", "-", "-a", "1.", ".5", "1e", "1e+", "+1", "tru", "nul", "True", "--1", "1.5.2",
        ] {
            assert!(!is_scalar(format!("{bad},").as_bytes(), 0), "{bad}");
        }
    }

    #[test]
    fn escapes_name_whole_characters() {
        for good in [
            r"",
            r"\n\t\b\f\r\/\\\u00e9",
            r#"\""#,
            r"\ud83d\ude00",
            r"\\ud800",
            r"\uFFFFx",
        ] {
            assert!(are_escapes_good(good.as_bytes()), "{good}");
        }
        for bad in [
            r"\",
            r"\x",
            r"\u12g4",
            r"\u+123",
            r"\u12",
            r"\ud800",
            r"\udc00",
            r"\ud800\u0041",
            r"\ud83d\ud83d\ude00",
            r"\U0041",
        ] {
            assert!(!are_escapes_good(bad.as_bytes()), "{bad}");
        }
    }
}
