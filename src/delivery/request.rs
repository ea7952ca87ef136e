//! What a subscriber's line asks for. Bytes in, a request or what is wrong out.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

use crate::access::Token;

/// Messages that a line asks for.
#[derive(Debug)]
pub(super) struct Subscription {
    /// Names or patterns.
    pub(super) destinations: Vec<String>,
    /// Whether the subscriber acknowledges.
    pub(super) ack: bool,
    pub(super) token: Option<Token>,
}

/// What a line asks for.
#[derive(Debug)]
pub(super) enum Request {
    Subscribe(Subscription),
    /// So many frames of this connection are done with.
    Acknowledge(u64),
}

impl Request {
    /// Parses a line; `Ok(None)`: it is well-formed, and asks for nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(line: &[u8]) -> Result<Option<Self>, String> {
        // serde would fill a struct from an array too.
        if line.trim_ascii_start().first() == Some(&b'[') {
            return Err("not an object".to_owned());
        }
        let words: Words =
            serde_json::from_slice(line).map_err(|error| format!("not understood ({error})"))?;
        Ok(match (words.subscribe, words.ack) {
            (Some(_), Some(Ack::Through(_))) => None,
            (Some(destinations), ack) => {
                let ack = matches!(ack, Some(Ack::Wanted(true)));
                let token = words.token.filter(|it| !it.reveal().is_empty());
                Some(Self::Subscribe(Subscription {
                    destinations,
                    ack,
                    token,
                }))
            }
            (None, Some(Ack::Through(through))) if words.token.is_none() => {
                Some(Self::Acknowledge(through))
            }
            (None, _) => None,
        })
    }
}

/// A line of a subscriber.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    subscribe: Option<Vec<String>>,
    token: Option<Token>,
    #[serde(default)]
    ack: Option<Ack>,
}

/// `"ack":true` beside `subscribe`, `"ack":N` alone.
#[derive(Debug)]
enum Ack {
    Wanted(bool),
    Through(u64),
}

/// By hand: an untagged enum tries `bool` first, and an error that nobody reads costs three
/// allocations for each acknowledgement.
impl<'de> Deserialize<'de> for Ack {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AckVisitor)
    }
}

struct AckVisitor;

impl Visitor<'_> for AckVisitor {
    type Value = Ack;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, or how many frames")
    }

    fn visit_bool<E>(self, wanted: bool) -> Result<Ack, E> {
        Ok(Ack::Wanted(wanted))
    }

    fn visit_u64<E>(self, through: u64) -> Result<Ack, E> {
        Ok(Ack::Through(through))
    }
}
