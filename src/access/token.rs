//! Tokens: as a peer shows one, and as the settings keep it, which is its hash.
//!
//! A token is random, so a plain SHA-256 is as good as a slow hash: there is nothing to guess. It is
//! printable ASCII without spaces, for each protocol must be able to carry it.

use std::fmt;

use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// A token that was shown or read: it is hashed, and never printed.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The token of a header's `Bearer TOKEN`, whatever its form.
    pub(crate) fn bearer(value: &[u8]) -> Option<Self> {
        let (scheme, token) = value.trim_ascii().split_at_checked("bearer ".len())?;
        let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
        let token = String::from_utf8_lossy(token.trim_ascii());
        Self::shown(token).filter(|_| is_bearer)
    }

    /// That of a peer's greeting; an empty one is none.
    pub(crate) fn shown(text: impl Into<String>) -> Option<Self> {
        Some(Self::new(text)).filter(|it| !it.0.is_empty())
    }

    /// The token that is given in the clear, on the first line of a file; spaces around it do not count.
    ///
    /// # Errors
    /// There is none, or one of a form that some protocol could not carry.
    pub(crate) fn of_first_line(text: &[u8]) -> Result<Self, TokenFault> {
        let marks: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
        if marks.iter().any(|it| text.starts_with(it)) {
            return Err(TokenFault::ByteOrderMark);
        }
        let line = text.split(|it| *it == b'\n').next().unwrap_or_default();
        match std::str::from_utf8(line.trim_ascii()).map(Self::new) {
            Ok(token) if token.0.is_empty() => Err(TokenFault::Empty),
            Ok(token) if token.is_well_formed() => Ok(token),
            _ => Err(TokenFault::WrongForm),
        }
    }

    /// Whether it is printable ASCII without spaces.
    pub(crate) fn is_well_formed(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|it| it.is_ascii_graphic())
    }

    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// The text, for a peer that asks for it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// Why a text that should begin with a token does not. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenFault {
    #[error("its first line is empty; write the token there")]
    Empty,
    #[error("it begins with a byte order mark, which is no part of a token; save it without one")]
    ByteOrderMark,
    #[error(
        "its first line is not a token: a token is printable ASCII without spaces, for HTTP could not \
         carry others; `flipped-lb user hash --generate` makes one"
    )]
    WrongForm,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Only in tests are tokens compared by themselves.
#[cfg(any(test, fuzzing))]
impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.hash() == other.hash()
    }
}

#[cfg(any(test, fuzzing))]
impl Eq for Token {}

/// From a string only. An error does not repeat what was found.
impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from);
        text.map(Self)
            .map_err(|_| serde::de::Error::custom("the token is not a string"))
    }
}

/// The SHA-256 of a token.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Whether it is that of an empty token, which is none.
    pub(crate) fn is_of_nothing(&self) -> bool {
        *self == Self::of("")
    }

    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        if text.len() != 2 * hash.len() {
            return None;
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            *byte = (16 * digit(0)? + digit(1)?) as u8;
        }
        Some(Self(hash))
    }

    /// As the settings have it: 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().map(|it| format!("{it:02x}")).collect()
    }

    /// Whether it is the same, in a time that does not tell how much of it is.
    pub(crate) fn matches(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_sha256sum_and_is_read_back() {
        let hash = TokenHash::of("abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.hex(), hex);
        assert_eq!(TokenHash::parse(hex), Some(hash));
        assert_eq!(TokenHash::parse(&hex.to_uppercase()), Some(hash));
        assert_ne!(TokenHash::of("abd"), hash);
        let with_umlaut = format!("{}\u{e4}", &hex[..62]);
        for wrong in [&hex[1..], &hex.replace('b', "g"), &with_umlaut, ""] {
            assert_eq!(TokenHash::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_stands_behind_the_word_bearer() {
        let token = |value: &str| {
            let token = Token::bearer(value.as_bytes());
            token.map(|it| it.reveal().to_owned())
        };
        for value in ["Bearer a b", " bearer  a b ", "BEARER a b"] {
            assert_eq!(token(value).as_deref(), Some("a b"), "{value}");
        }
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer   ",
            "Basic YTpi",
            "Bearera b",
        ] {
            assert_eq!(token(value), None, "{value}");
        }
        let unreadable = Token::bearer(b"Bearer a\xff").expect("it is shown");
        assert!(!unreadable.is_well_formed());
    }

    #[test]
    fn a_token_in_the_clear_is_printable_ascii_without_spaces() {
        for text in ["a!~\"\\", " a!~\"\\ \r\n second line \u{e4}", "a!~\"\\\r"] {
            let token = Token::of_first_line(text.as_bytes()).expect("a token");
            assert_eq!(token.reveal(), "a!~\"\\", "{text:?}");
        }
        for (text, why) in [
            (&b""[..], TokenFault::Empty),
            (b" \t\na", TokenFault::Empty),
            (b"a b", TokenFault::WrongForm),
            (b"a\tb", TokenFault::WrongForm),
            (b"a\x01b", TokenFault::WrongForm),
            (b"a\0\n", TokenFault::WrongForm),
            (b"a\x7f", TokenFault::WrongForm),
            (b"\xc3\xa9", TokenFault::WrongForm),
            (b"a\xc2\xa0", TokenFault::WrongForm),
            (b"\xff", TokenFault::WrongForm),
            (b"\xef\xbb\xbfa", TokenFault::ByteOrderMark),
            (b"\xff\xfea\0", TokenFault::ByteOrderMark),
        ] {
            assert_eq!(Token::of_first_line(text).err(), Some(why), "{text:?}");
        }
    }

    #[test]
    fn an_empty_token_is_none() {
        assert!(Token::shown("").is_none() && Token::shown("a").is_some());
        assert!(TokenHash::of("").is_of_nothing() && !TokenHash::of("a").is_of_nothing());
    }

    #[test]
    fn neither_is_printed() {
        let token = Token::new("sesame");
        let printed = format!("{token:?} {:?}", token.hash());
        assert_eq!(printed, "*** ***");
        let error = serde_json::from_str::<Token>("1234567").expect_err("a number");
        assert!(!error.to_string().contains("1234567"), "{error}");
    }
}
