//! Which lines the engine has taken responsibility for, and has not sent ingest of.
//!
//! An acknowledgement covers all lines before it, so the last line of a source stands for all: what
//! waits for room in the ring to ingest is bounded by the sources.

use super::messages::Line;
use crate::message::SourceIndex;

/// The last line of each source.
#[derive(Debug, Default)]
pub(super) struct SourceAcks {
    /// By source; [`Line::NONE`]: ingest knows.
    of: Vec<Line>,
    /// The others.
    pending: Vec<SourceIndex>,
}

impl SourceAcks {
    /// The engine has this line, and all of its connection before it.
    #[inline]
    pub(super) fn take(&mut self, line: Line) {
        let source = line.source as usize;
        if self.of.len() <= source {
            self.of.resize(source + 1, Line::NONE);
        }
        let last = std::mem::replace(&mut self.of[source], line);
        if last.number == 0 {
            self.pending.push(line.source);
        }
    }

    /// The next line that ingest is to be sent of.
    pub(super) fn next(&mut self) -> Option<Line> {
        let source = self.pending.pop()?;
        let line = &mut self.of[source as usize];
        Some(std::mem::replace(line, Line::NONE))
    }

    /// Whether ingest knows all.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(source: SourceIndex, connection: u32, number: u64) -> Line {
        Line {
            source,
            connection,
            number,
        }
    }

    #[test]
    fn the_last_line_of_a_source_stands_for_all_before_it() {
        let mut acks = SourceAcks::default();
        assert!(acks.is_empty());
        for number in 1..100 {
            acks.take(line(3, 1, number));
            acks.take(line(0, 1, 2 * number));
        }
        // The source has come again.
        acks.take(line(3, 2, 1));
        let mut sent: Vec<_> = std::iter::from_fn(|| acks.next()).collect();
        sent.sort_by_key(|it| it.source);
        assert_eq!(sent, [line(0, 1, 198), line(3, 2, 1)]);
        assert!(acks.is_empty());
        acks.take(line(3, 2, 2));
        assert_eq!(acks.next(), Some(line(3, 2, 2)));
    }
}
