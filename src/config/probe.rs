//! What a setter asks of its value, found out by asking it.
//!
//! A probe is a value that answers nothing and notes each reading with its bounds. So the schema's
//! types come from the setters themselves, and cannot differ from what is accepted.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// A reading of [`super::found::Found`].
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Text,
    /// A text of so many bytes at most.
    Name,
    /// One word, besides what else is asked for.
    Word(&'static str),
    Boolean,
    /// From, to.
    Integer(u64, u64),
    /// From, to, in bytes.
    Size(u64, u64),
    /// From, to.
    Duration(Duration, Duration),
    Choice(Vec<String>),
    List(Probe),
    File,
    Core,
    Listen,
    HostPort,
    Hours,
    Rate,
}

/// What was asked so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Probe(Rc<RefCell<Vec<Kind>>>);

impl Probe {
    pub(super) fn note(&self, kind: Kind) {
        self.0.borrow_mut().push(kind);
    }

    /// In the order of the questions.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.0.borrow().clone()
    }
}
