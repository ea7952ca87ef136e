//! Refused connections: each gets an error line, and is held for a moment so that its peer can read it.
//!
//! A socket that is closed with bytes unread resets its connection, and the reset may overtake the
//! words. So what came until then is read and thrown away before. Few are held, and not for long:
//! descriptors are scarce where connections are refused.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::time::Instant;

use super::socket::Socket;
use crate::limits::{REFUSED_HELD_MAX, REFUSED_HELD_TIME, REFUSED_UNREAD_LEN};

/// Those of one poller.
#[derive(Debug, Default)]
pub(super) struct Refused {
    held: VecDeque<(Socket, Instant)>,
    /// What they have sent goes there.
    unread: Vec<u8>,
}

impl Refused {
    /// Tells why, in a line, and ends this side.
    pub(super) fn take(&mut self, stream: Socket, line: &str) {
        self.take_with(stream, format!("{line}\n").as_bytes());
    }

    /// Sends these bytes, if any, and ends this side.
    pub(super) fn take_with(&mut self, mut stream: Socket, words: &[u8]) {
        if !words.is_empty() {
            // The peer may be gone, or its system takes no line.
            let _ = stream.write(words);
        }
        let _ = stream.shut_down();
        if self.held.len() == REFUSED_HELD_MAX {
            self.close_oldest();
        }
        self.held.push_back((stream, Instant::now()));
    }

    /// Closes those that were held long enough.
    pub(super) fn tidy(&mut self) {
        while self
            .held
            .front()
            .is_some_and(|it| it.1.elapsed() >= REFUSED_HELD_TIME)
        {
            self.close_oldest();
        }
    }

    /// Reads what is there, a bounded part of it, and closes.
    fn close_oldest(&mut self) {
        self.unread.resize(REFUSED_UNREAD_LEN, 0);
        if let Some((mut stream, _)) = self.held.pop_front() {
            let _ = stream.read(&mut self.unread);
        }
    }
}
