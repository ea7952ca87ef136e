//! Source acknowledgements: the lines that are recorded and that were not sent to
//! ingest yet.
//!
//! The gate feeds it; ingest gets what comes out. An acknowledgement covers all lines before it, so
//! only the last line of each source is kept: the sources bound it, whatever ingest's ring takes.

use super::message::Line;
use crate::message::SourceIndex;

/// The last line of each source.
#[derive(Debug, Default)]
pub(crate) struct SourceAcks {
    /// By source; [`Line::NONE`]: ingest has it.
    lines: Vec<Line>,
    /// The sources whose line ingest does not have.
    pending: Vec<SourceIndex>,
}

impl SourceAcks {
    /// The engine has this line, and all lines of its connection before it.
    #[inline]
    pub(crate) fn add(&mut self, line: Line) {
        if line.number == 0 {
            return;
        }
        let source = line.source as usize;
        if self.lines.len() <= source {
            self.lines.resize(source + 1, Line::NONE);
        }
        let last = std::mem::replace(&mut self.lines[source], line);
        if last.number == 0 {
            self.pending.push(line.source);
        }
    }

    /// The next line for ingest.
    pub(crate) fn next(&mut self) -> Option<Line> {
        let source = self.pending.pop()?;
        let line = &mut self.lines[source as usize];
        Some(std::mem::replace(line, Line::NONE))
    }

    /// Whether ingest has all.
    pub(crate) fn is_empty(&self) -> bool {
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
    fn the_last_line_of_a_source_covers_all_before_it() {
        let mut acks = SourceAcks::default();
        assert!(acks.is_empty());
        for number in 1..100 {
            acks.add(line(3, 1, number));
            acks.add(line(0, 1, 2 * number));
        }
        // The source has reconnected.
        acks.add(line(3, 2, 1));
        let mut sent: Vec<_> = std::iter::from_fn(|| acks.next()).collect();
        sent.sort_by_key(|it| it.source);
        assert_eq!(sent, [line(0, 1, 198), line(3, 2, 1)]);
        assert!(acks.is_empty());
        acks.add(line(3, 2, 2));
        assert_eq!(acks.next(), Some(line(3, 2, 2)));
    }

    #[test]
    fn a_source_that_asks_for_no_acknowledgement_gets_none() {
        let mut acks = SourceAcks::default();
        acks.add(Line::NONE);
        assert!(acks.is_empty());
        assert_eq!(acks.next(), None);
    }
}
