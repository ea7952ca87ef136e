//! What the peer says: `{"ack":N}` lines, found however the bytes are split.
//!
//! The server feeds it what it reads; `stream` gets the latest N. Other lines are ignored: a
//! message server has no other business with its peer.

use memchr::memchr;

use crate::limits::PEER_LINE_MAX;

/// Collects lines until they are whole.
#[derive(Debug, Default)]
pub(crate) struct AckReader {
    partial: Vec<u8>,
    /// The line was too long: all up to its newline is skipped.
    skipping: bool,
}

impl AckReader {
    /// Takes bytes; gives the last acknowledgement among the lines they complete.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Option<u64> {
        let mut latest = None;
        while let Some(newline) = memchr(b'\n', bytes) {
            self.keep(&bytes[..newline]);
            latest = self.take_line().or(latest);
            bytes = &bytes[newline + 1..];
        }
        self.keep(bytes);
        latest
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.skipping |= self.partial.len() + bytes.len() > PEER_LINE_MAX;
        if !self.skipping {
            self.partial.extend_from_slice(bytes);
        }
    }

    fn take_line(&mut self) -> Option<u64> {
        let ack = if self.skipping {
            None
        } else {
            parse_ack(&self.partial)
        };
        self.partial.clear();
        self.skipping = false;
        ack
    }
}

fn parse_ack(line: &[u8]) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    value.get("ack")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_are_found_at_every_split() {
        let text = b"{\"ack\":7}\r\n{\"other\":1}\n\n{ \"ack\" : 12 }\n{\"ack\":99";
        for split in 0..=text.len() {
            let mut reader = AckReader::default();
            let first = reader.feed(&text[..split]);
            assert_eq!(reader.feed(&text[split..]).or(first), Some(12));
        }
    }

    #[test]
    fn an_endless_line_is_skipped_and_the_next_is_read() {
        let mut reader = AckReader::default();
        for _ in 0..100 {
            assert_eq!(reader.feed(&[b'x'; 1_000]), None);
        }
        assert!(reader.partial.len() <= PEER_LINE_MAX);
        assert_eq!(reader.feed(b"\n{\"ack\":3}\n"), Some(3));
    }
}
