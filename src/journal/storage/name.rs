//! The names of a journal's files, as values and as text.

use std::fmt;

use crate::limits::SEGMENT_NUMBER_MAX;

/// Bytes of the longest file name: two numbers of 20 digits, a dash, `.unfinished`.
pub(super) const NAME_LEN_MAX: usize = 2 * 20 + 1 + 11;

/// The name of a file of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The segment of this number.
    Segment(u64),
    /// A file that was the segment of this number and is to become another, or room set aside for a
    /// full disk: what it holds means nothing.
    Free(u64),
    /// What is still needed of the segments from the first number up to, not including, the second.
    Compacted(u64, u64),
    /// A compacted file that is being written.
    Unfinished(u64, u64),
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(number) => write!(out, "{number:020}.segment"),
            Self::Free(number) => write!(out, "{number:020}.free"),
            Self::Compacted(from, to) => write!(out, "{from:020}-{to:020}.kept"),
            Self::Unfinished(from, to) => write!(out, "{from:020}-{to:020}.unfinished"),
        }
    }
}

impl Name {
    /// What a file name says; `None`: it is no file of a journal, for it is not spelled as one is, or
    /// no journal gets so far.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (stem, kind) = text.split_once('.')?;
        let number = |digits: &str| {
            let is_spelled = digits.len() == 20 && digits.bytes().all(|it| it.is_ascii_digit());
            let number = digits.parse().ok().filter(|_| is_spelled)?;
            (number <= SEGMENT_NUMBER_MAX).then_some(number)
        };
        let range = || {
            let (from, to) = stem.split_once('-')?;
            Some((number(from)?, number(to)?))
        };
        match kind {
            "segment" => number(stem).map(Self::Segment),
            "free" => number(stem).map(Self::Free),
            "kept" => range().map(|(from, to)| Self::Compacted(from, to)),
            "unfinished" => range().map(|(from, to)| Self::Unfinished(from, to)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let (from, to) = (7, SEGMENT_NUMBER_MAX);
        for name in [
            Name::Segment(to),
            Name::Free(from),
            Name::Compacted(from, to),
            Name::Unfinished(from, to),
        ] {
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
        for text in [
            "7",
            ".segment",
            "x.segment",
            "7.segment",
            "+0000000000000000007.segment",
            "18446744073709551615.segment",
            "7.kept",
            "1-2.segment",
            "a-b.kept",
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
