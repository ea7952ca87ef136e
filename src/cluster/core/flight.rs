//! The record in flight: what was sent for one sequence, the same bytes until its fate is known.

use std::sync::Arc;

use super::event::Publish;
use crate::cluster::record::{Announcement, Place};

/// What is in flight.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// A record of this process, and what it is made of, should it have to be made anew.
    Own {
        place: Place,
        said: Option<Announcement>,
        batches: Arc<[u8]>,
    },
    /// What the stream has lost, as it was.
    Again,
}

/// What is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Sent, and nothing heard.
    Sent,
    /// To be sent at this time: again, or for the first time.
    Waiting(u64),
    /// Refused for the stream's end: the leader is asked, since this time.
    Asking(u64),
    /// It is in the stream, behind void messages: the leader is asked for the last record that counts and for
    /// them, two at a time.
    Verifying {
        /// The first of the two.
        at: u64,
        since_us: u64,
    },
}

/// The record in flight.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) publish: Publish,
    pub(super) what: What,
    /// Its first attempt: what the lease is counted from; `None`: there was none yet.
    pub(super) first_sent_us: Option<u64>,
    pub(super) sent_us: u64,
    pub(super) state: State,
}

impl Flight {
    /// The sequence that the stream must give it.
    pub(super) fn sequence(&self) -> u64 {
        self.publish.expected_last + 1
    }
}
