//! Why the rest of a request's body does not come: its client broke off, or framed it wrongly.
//!
//! Fed by whoever reads a body; it gives words and a counter. Values only.

use std::error::Error;
use std::io::{self, ErrorKind};

use crate::counters::Counter;

/// What is wrong with a body as HTTP carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// Its client has ended its side too soon.
    Cut,
    /// Its chunks are none.
    Malformed,
}

impl BodyFault {
    /// `None`: it came as it should, and is longer than its reader wants.
    pub(super) fn of(error: &axum::Error) -> Option<Self> {
        let mut cause = Some(error as &dyn Error);
        while let Some(it) = cause {
            if let Some(error) = it.downcast_ref::<io::Error>() {
                return Some(match error.kind() {
                    ErrorKind::InvalidInput | ErrorKind::InvalidData => Self::Malformed,
                    _ => Self::Cut,
                });
            }
            cause = it.source();
        }
        None
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Cut => {
                "the body was cut off: it ended before its Content-Length or its last chunk had come"
            }
            Self::Malformed => {
                "the body is malformed: with Transfer-Encoding: chunked, each chunk has its length in \
                 hexadecimal digits before it, and ends with CR LF"
            }
        }
    }

    pub(super) fn counter(self) -> Counter {
        match self {
            Self::Cut => Counter::HttpBodiesCut,
            Self::Malformed => Counter::HttpBadRequests,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_malformed_is_told_from_one_that_was_cut() {
        let of = |kind: ErrorKind| BodyFault::of(&axum::Error::new(io::Error::from(kind)));
        assert_eq!(of(ErrorKind::UnexpectedEof), Some(BodyFault::Cut));
        assert_eq!(of(ErrorKind::ConnectionReset), Some(BodyFault::Cut));
        assert_eq!(of(ErrorKind::InvalidInput), Some(BodyFault::Malformed));
        assert_eq!(of(ErrorKind::InvalidData), Some(BodyFault::Malformed));
        assert_eq!(BodyFault::of(&axum::Error::new("too long")), None);
    }
}
