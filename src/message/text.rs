//! Strings of JSON by their spelling, and their values.
//!
//! Two spellings of one string (`"k\u00fcche"`, `"küche"`) have one value.

use std::borrow::Cow;
use std::fmt;

/// Bytes before the quote that ends a string whose text begins here.
pub(super) fn spelling_len(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        if text[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

/// A string of valid JSON, by its spelling.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    raw: &'a [u8],
    has_escapes: bool,
}

impl<'a> Text<'a> {
    /// A string that stands for itself.
    #[must_use]
    pub fn plain(value: &'a [u8]) -> Self {
        Self {
            raw: value,
            has_escapes: false,
        }
    }

    /// A string as it is spelled between its quotes.
    #[must_use]
    pub fn spelled(raw: &'a [u8]) -> Self {
        Self {
            raw,
            has_escapes: memchr::memchr(b'\\', raw).is_some(),
        }
    }

    /// The value. Copies only what has escapes.
    #[must_use]
    pub fn value(&self) -> Cow<'a, str> {
        match self.has_escapes {
            true => self.chars().collect::<String>().into(),
            false => String::from_utf8_lossy(self.raw),
        }
    }

    /// The value's characters.
    fn chars(&self) -> impl Iterator<Item = char> + use<'a> {
        let mut rest = self.raw;
        std::iter::from_fn(move || {
            let (char, len) = first_char(rest)?;
            rest = &rest[len..];
            Some(char)
        })
    }
}

/// Compares values, and copies nothing.
impl PartialEq<str> for Text<'_> {
    fn eq(&self, value: &str) -> bool {
        match self.has_escapes {
            true => self.chars().eq(value.chars()),
            false => self.raw == value.as_bytes(),
        }
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(out)
    }
}

/// The first character of a spelling, and the bytes that it takes. Ingest lets no spelling pass that
/// is wrong, nor half of a surrogate pair.
fn first_char(raw: &[u8]) -> Option<(char, usize)> {
    match raw {
        [] => None,
        [b'\\', b'u', ..] => {
            let first = code_unit(raw);
            let units = first.into_iter().chain(raw.get(6..).and_then(code_unit));
            let char = char::decode_utf16(units).next()?;
            let char = char.unwrap_or(char::REPLACEMENT_CHARACTER);
            let len = 6 * char.len_utf16();
            Some((char, len.min(raw.len())))
        }
        [b'\\', escape, ..] => Some((short_escape(*escape), 2)),
        [first, ..] => {
            let len = utf8_len(*first).min(raw.len());
            let char = std::str::from_utf8(&raw[..len]).ok()?.chars().next()?;
            Some((char, len))
        }
    }
}

/// The UTF-16 code unit that `\uXXXX` at the beginning of `raw` names.
fn code_unit(raw: &[u8]) -> Option<u16> {
    let digits = raw.strip_prefix(b"\\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn short_escape(letter: u8) -> char {
    match letter {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        itself => char::from(itself),
    }
}

/// Bytes of the character that this byte begins.
fn utf8_len(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(raw: &str) -> String {
        Text::spelled(raw.as_bytes()).value().into_owned()
    }

    #[test]
    fn escapes_are_resolved() {
        let cases: [(&str, &str); 8] = [
            ("plain", "plain"),
            (r"a\\b\/c\n\b\f\r\t", "a\\b/c\n\u{8}\u{c}\r\t"),
            (r#"\"quoted\""#, "\"quoted\""),
            (r"\u0000", "\0"),
            (r"\ud83c\udf5cx", "🍜x"),
            (r"k\u00FCche", "küche"),
            ("küche", "küche"),
            (r"\ud83c", "\u{fffd}"),
        ];
        for (raw, expected) in cases {
            assert_eq!(value(raw), expected);
            assert!(Text::spelled(raw.as_bytes()) == *expected);
        }
        assert!(Text::spelled(br"k\u00fcche") != *"kuche" && Text::plain(b"a") != *"b");
    }

    /// All ways to spell a character.
    fn spellings(char: char) -> Vec<String> {
        let mut units = [0; 2];
        let units = char.encode_utf16(&mut units).iter();
        let mut spellings = vec![units.map(|it| format!("\\u{it:04x}")).collect()];
        let json = serde_json::to_string(&char).expect("JSON");
        spellings.push(json[1..json.len() - 1].to_owned());
        if char == '/' {
            spellings.push(r"\/".to_owned());
        }
        spellings
    }

    proptest! {
        #[test]
        fn every_spelling_of_a_string_has_its_value(
            text in prop::collection::vec((any::<char>(), any::<prop::sample::Index>()), 0..40),
        ) {
            let expected: String = text.iter().map(|it| it.0).collect();
            let raw: String = text
                .iter()
                .map(|(char, way)| way.get(&spellings(*char)).clone())
                .collect();
            let by_serde: String = serde_json::from_str(&format!("\"{raw}\"")).expect("JSON");
            prop_assert_eq!(&by_serde, &expected);
            prop_assert_eq!(value(&raw), by_serde);
            prop_assert!(Text::spelled(raw.as_bytes()) == *expected);
            let behind = format!("{raw}\",\"priority\":1");
            prop_assert_eq!(spelling_len(behind.as_bytes()), raw.len());
        }

        #[test]
        fn no_bytes_panic_it(raw in prop::collection::vec(
            prop_oneof![Just(b'\\'), Just(b'u'), Just(b'"'), Just(b'd'), any::<u8>()], 0..20,
        )) {
            let text = Text::spelled(&raw[..spelling_len(&raw).min(raw.len())]);
            let _ = text.value();
            let _ = text == *"u";
        }
    }
}
