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
    while end.checked_sub(1).and_then(|at| line.get(at)) == Some(&b' ') {
        end -= 1;
    }
    end
}

/// Whether a number or a word stands at `at`, and nothing sticks to its end. Short numbers, which
/// most are, are read at once.
#[inline(always)]
pub(super) fn is_scalar(line: &[u8], at: usize) -> bool {
    let bytes = eight_bytes(line, at);
    let count = leading_digits(bytes);
    if !(1..8).contains(&count) || bytes as u8 == b'0' && count > 1 {
        return is_long_scalar(line, at);
    }
    match (bytes >> (8 * count)) as u8 {
        b'.' => is_fraction(line, at + count + 1) || is_long_scalar(line, at),
        behind => ends_scalar(behind) || is_long_scalar(line, at),
    }
}

/// Whether up to seven digits stand at `at`, and nothing sticks to their end.
#[inline(always)]
fn is_fraction(line: &[u8], at: usize) -> bool {
    let bytes = eight_bytes(line, at);
    let count = leading_digits(bytes);
    (1..8).contains(&count) && ends_scalar((bytes >> (8 * count)) as u8)
}

#[inline(always)]
fn ends_scalar(byte: u8) -> bool {
    matches!(byte, b',' | b'}' | b']' | b' ')
}

#[inline(never)]
fn is_long_scalar(line: &[u8], at: usize) -> bool {
    let end = match byte(line, at) {
        b'-' | b'0'..=b'9' => number_end(line, at),
        b't' => word_end(line, at, b"true"),
        b'f' => word_end(line, at, b"false"),
        b'n' => word_end(line, at, b"null"),
        _ => None,
    };
    end.is_some_and(|end| ends_scalar(byte(line, end)))
}

#[inline]
fn word_end(line: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    line[at..].starts_with(word).then_some(at + word.len())
}

#[inline]
fn number_end(line: &[u8], mut at: usize) -> Option<usize> {
    at += usize::from(byte(line, at) == b'-');
    let mut end = digits_end(line, at)?;
    if byte(line, at) == b'0' && end > at + 1 {
        return None;
    }
    if byte(line, end) == b'.' {
        end = digits_end(line, end + 1)?;
    }
    if matches!(byte(line, end), b'e' | b'E') {
        end += 1 + usize::from(matches!(byte(line, end + 1), b'+' | b'-'));
        end = digits_end(line, end)?;
    }
    Some(end)
}

/// Where the digits end that begin at `at`; `None`: there are none.
#[inline]
fn digits_end(line: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    loop {
        let count = leading_digits(eight_bytes(line, end));
        end += count;
        if count < 8 {
            return (end > at).then_some(end);
        }
    }
}

/// A digit less `0` is below ten: anything else sets its byte's highest bit, by itself or by the
/// addition. A byte that overflows spoils only those behind it.
#[inline]
fn leading_digits(bytes: u64) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let digits = bytes ^ (EACH * b'0' as u64);
    let others = (digits.wrapping_add(EACH * (0x80 - 10)) | digits) & (EACH * 0x80);
    others.trailing_zeros() as usize / 8
}

/// The next eight bytes, the first of them lowest; zeros behind the line.
#[inline(always)]
fn eight_bytes(line: &[u8], at: usize) -> u64 {
    match line.get(at..).and_then(<[u8]>::first_chunk) {
        Some(eight) => u64::from_le_bytes(*eight),
        None => last_bytes(line, at),
    }
}

#[cold]
fn last_bytes(line: &[u8], at: usize) -> u64 {
    let rest = line.get(at..).unwrap_or_default().iter();
    rest.rev()
        .fold(0, |bytes, byte| bytes << 8 | u64::from(*byte))
}

/// The value of up to 18 digits; `None`: it is something else.
#[inline]
pub(super) fn natural(digits: &[u8]) -> Option<i64> {
    let mut number = 0;
    let (eights, rest) = digits.as_chunks::<8>();
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    for eight in eights {
        number = number * 100_000_000 + eight_digits(u64::from_le_bytes(*eight))?;
    }
    for digit in rest {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(number)
}

/// The value of eight digits: pairs, fours and all eight, side by side.
#[inline]
fn eight_digits(bytes: u64) -> Option<i64> {
    if leading_digits(bytes) < 8 {
        return None;
    }
    let digits = bytes & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = (digits.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000 << 32 | 1) >> 32) as i64)
}

/// The byte at `at`; zero behind the line.
#[inline]
fn byte(line: &[u8], at: usize) -> u8 {
    line.get(at).copied().unwrap_or(0)
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
            for behind in [",", "}", "]", " :"] {
                assert!(
                    is_scalar(format!("{good}{behind}").as_bytes(), 0),
                    "{good}{behind}"
                );
            }
            for behind in ["", ":", "x", "\"", "[", "\0", "\u{e9}"] {
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
    fn naturals_are_plain_digits() {
        for number in [
            0,
            7,
            12_345_678,
            123_456_789,
            1_693_123_456_789,
            999_999_999_999_999_999,
        ] {
            assert_eq!(natural(number.to_string().as_bytes()), Some(number));
        }
        for bad in [
            "",
            "-1",
            "1.5",
            "1234567x",
            "12345678x",
            "/1234567",
            ":1234567",
            "1234567890123456789",
        ] {
            assert_eq!(natural(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn digits_are_told_from_all_other_bytes() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut bytes = *b"09182736";
                bytes[at] = byte;
                let count = if byte.is_ascii_digit() { 8 } else { at };
                assert_eq!(
                    leading_digits(u64::from_le_bytes(bytes)),
                    count,
                    "{byte} at {at}"
                );
            }
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
