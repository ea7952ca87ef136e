//! How a frame travels: bare, as the engine and the relay take it, or as NATS messages.
//!
//! Destinations' names and frames have one length within a round, so what stands around a frame
//! has, too; `frames` verifies it with the frame. The subscription's number is always 1.

/// Between whom a line travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Bare,
    /// From a publisher to nats-server.
    NatsPublish,
    /// From nats-server to a subscriber.
    NatsDeliver,
}

impl Wire {
    /// What stands before and after a line of so many bytes, its newline included.
    pub(crate) fn around(self, destination: &str, line_len: usize) -> (String, &'static str) {
        match self {
            Self::Bare => (String::new(), ""),
            Self::NatsPublish => (format!("PUB {destination} {line_len}\r\n"), "\r\n"),
            Self::NatsDeliver => (format!("MSG {destination} 1 {line_len}\r\n"), "\r\n"),
        }
    }
}
