//! First accepted lines: the connections of sources of which a line was accepted, as far as ingest has
//! not heard of it. A duplicate is no reason to dial a source again at once, an accepted line is.
//!
//! Intake feeds it each message's connection; ingest gets one event a connection. The sources bound it,
//! whatever ingest's ring takes.

use crate::message::SourceIndex;

/// The last connection of each source that had a line accepted.
#[derive(Debug, Default)]
pub(super) struct FirstAccepted {
    /// By source; 0: none yet.
    connections: Vec<u32>,
    /// Sources of which ingest is to hear.
    pending: Vec<SourceIndex>,
}

impl FirstAccepted {
    /// A line of this connection was accepted.
    #[inline]
    pub(super) fn note(&mut self, source: SourceIndex, connection: u32) {
        if self.connections.get(source as usize) != Some(&connection) {
            self.note_first(source, connection);
        }
    }

    #[cold]
    fn note_first(&mut self, source: SourceIndex, connection: u32) {
        if self.connections.len() <= source as usize {
            self.connections.resize(source as usize + 1, 0);
        }
        self.connections[source as usize] = connection;
        if !self.pending.contains(&source) {
            self.pending.push(source);
        }
    }

    /// The next source of which ingest is to hear.
    pub(super) fn next(&mut self) -> Option<SourceIndex> {
        self.pending.pop()
    }

    /// Whether ingest has heard of all.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_told_of_once_and_a_source_waits_once() {
        let mut accepted = FirstAccepted::default();
        for connection in 1..4 {
            for _ in 0..10 {
                accepted.note(7, connection);
                accepted.note(0, 1);
            }
        }
        assert!(!accepted.is_empty());
        let sent: Vec<_> = std::iter::from_fn(|| accepted.next()).collect();
        assert_eq!(sent, [0, 7]);
        accepted.note(7, 3);
        assert!(accepted.is_empty(), "nothing has changed");
        accepted.note(7, 4);
        assert_eq!(accepted.next(), Some(7));
    }
}
