//! Tokens: as a peer shows one, and as the settings keep it, which is its hash.
//!
//! A token is random, so a plain SHA-256 is as good as a slow hash: there is nothing to guess.

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

    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// The text, for a peer that asks for it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
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
    fn neither_is_printed() {
        let token = Token::new("sesame");
        let printed = format!("{token:?} {:?}", token.hash());
        assert_eq!(printed, "*** ***");
        let error = serde_json::from_str::<Token>("1234567").expect_err("a number");
        assert!(!error.to_string().contains("1234567"), "{error}");
    }
}
