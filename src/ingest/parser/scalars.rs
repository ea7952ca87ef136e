//! Numbers, words and escapes: what the fast path validates one by one.

use super::vectors::Vectors;

/// Where the spaces before `end` begin.
#[inline(always)]
pub(super) fn skip_spaces_back(line: &[u8], end: usize) -> usize {
    if line.get(end.wrapping_sub(1)) == Some(&b' ') {
        return skip_more_spaces_back(&line[..end - 1]);
    }
    end
}

#[cold]
fn skip_more_spaces_back(line: &[u8]) -> usize {
    let last = line.iter().rposition(|byte| *byte != b' ');
    last.map_or(0, |last| last + 1)
}

/// Whether a number or a word stands at `at`, and nothing sticks to its end.
#[inline(always)]
pub(super) fn is_scalar(line: &[u8], at: usize, vectors: impl Vectors) -> bool {
    is_short_number(line, at, vectors) || is_long_scalar(line, at)
}

/// The same of those that most are: without a sign and an exponent, and so short that they are read
/// at once.
#[inline(always)]
fn is_short_number(line: &[u8], at: usize, vectors: impl Vectors) -> bool {
    let from = at.min(line.len().saturating_sub(16));
    let Some(bytes) = line.get(from..from + 16).and_then(<[u8]>::first_chunk) else {
        return false;
    };
    // Bit n speaks of byte n of the sixteen; those before `at` are none of the others.
    let here = u32::MAX << (at - from);
    let digits = u32::from(vectors.digits(bytes));
    let zeros = u32::from(vectors.equal(bytes, b'0'));
    let dots = u32::from(vectors.equal(bytes, b'.'));
    let others = !digits & here;
    let dot = dots & others & others.wrapping_neg();
    // Behind the fraction, where there is one.
    let ends = others ^ dot;
    let start = here & here.wrapping_neg();
    let is_bad_whole = (others | zeros & digits >> 1) & start;
    let is_bad_fraction = ends & dot << 1;
    let Some(behind) = line.get(from + ends.trailing_zeros() as usize) else {
        return false;
    };
    is_bad_whole | is_bad_fraction == 0 && ends_scalar(*behind)
}

#[inline(always)]
fn ends_scalar(byte: u8) -> bool {
    const ENDS: [bool; 256] = {
        let mut ends = [false; 256];
        let mut index = 0;
        while index < 4 {
            ends[b",}] "[index] as usize] = true;
            index += 1;
        }
        ends
    };
    ENDS[usize::from(byte)]
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

/// One in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;

/// A digit less `0` is below ten: anything else sets its byte's highest bit, by itself or by the
/// addition. A byte that overflows spoils only those behind it.
#[inline]
fn leading_digits(bytes: u64) -> usize {
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

/// The value of up to 18 digits, the first of more than one no zero; `None`: it is something else.
#[inline(always)]
pub(super) fn natural(digits: &[u8]) -> Option<i64> {
    if digits.len() > 1 && digits[0] == b'0' {
        return None;
    }
    match (digits.first_chunk(), digits.last_chunk()) {
        (Some(first), Some(last)) if digits.len() <= 16 => {
            // The digits before the last eight, behind as many zeros as make eight of them.
            let zeros = 8 * (16 - digits.len() as u32);
            let before = u64::from_le_bytes(*first).unbounded_shl(zeros)
                | (EACH * u64::from(b'0')).unbounded_shr(64 - zeros);
            let last = eight_digits(u64::from_le_bytes(*last))?;
            Some(eight_digits(before)? * 100_000_000 + last)
        }
        _ => natural_by_digit(digits),
    }
}

fn natural_by_digit(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit <= 9).then(|| number * 10 + i64::from(digit))
    })
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

/// Whether every backslash begins an escape that RFC 8259 knows, and names a whole character. All
/// of them stand in strings.
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
    use super::super::vectors::BitByBit;
    use super::*;

    /// The verdict on the scalar with which the text begins; it is the same further behind in a
    /// line.
    fn is_scalar(text: &str) -> bool {
        let verdict = super::is_scalar(text.as_bytes(), 0, BitByBit);
        let line = format!("{{\"some_key\": [{text}");
        let further = super::is_scalar(line.as_bytes(), line.len() - text.len(), BitByBit);
        assert_eq!(further, verdict, "{text}");
        let longer = format!("{text},12345678901234567890]");
        assert_eq!(
            super::is_scalar(longer.as_bytes(), 0, BitByBit),
            verdict || is_cut(text)
        );
        verdict
    }

    /// Whether the text is a scalar alone, so that what stands behind it decides.
    fn is_cut(text: &str) -> bool {
        let json = serde_json::from_str::<serde_json::Value>(text);
        json.is_ok() && text.trim_end() == text
    }

    #[test]
    fn numbers_and_words_end_where_a_value_may() {
        for good in [
            "0",
            "-0",
            "7",
            "10",
            "0.5",
            "-1.25",
            "1e9",
            "1E+9",
            "0e-0",
            "true",
            "false",
            "null",
            "123456789012345",
            "1234567890123456",
            "12345678901234567",
            "1234567890.1234",
            "1234567890.12345",
            "1234567890.123456",
            "12345678901234567.5",
            "0.123456789012345",
            "123456789012345.5",
            "100",
            "0.05",
        ] {
            for behind in [",", "}", "]", " :"] {
                assert!(is_scalar(&format!("{good}{behind}")), "{good}{behind}");
            }
            for behind in ["", ":", "x", "\"", "[", "\0", "\u{e9}"] {
                assert!(!is_scalar(&format!("{good}{behind}")), "{good}{behind}");
            }
        }
        for bad in [
            "01",
            "-",
            "-a",
            "1.",
            ".5",
            "1e",
            "1e+",
            "+1",
            "tru",
            "nul",
            "True",
            "--1",
            "1.5.2",
            "00",
            "0123456789012345",
            "1234567890123456.",
            "123456789012345.",
            "0.",
            "00.5",
            "1..5",
            "0.5.",
            "1.2345678901234.5",
            "1.2.345678901234567",
        ] {
            assert!(!is_scalar(&format!("{bad},")), "{bad}");
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
            1_234_567_890_123_456,
            12_345_678_901_234_567,
            999_999_999_999_999_999,
        ] {
            assert_eq!(natural(number.to_string().as_bytes()), Some(number));
        }
        for bad in [
            "",
            "00",
            "01693123456789",
            "-1",
            "1.5",
            "1234567x",
            "12345678x",
            "/1234567",
            ":1234567",
            "1234567890123456789",
            "123456789/23456",
            "1234:56789012",
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
