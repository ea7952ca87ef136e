//! Refused connections: each gets an error line, and is held for a moment so that its peer can read it.
//!
//! A socket that is closed with bytes unread resets its connection, and the reset may overtake the
//! words. So what came is read and thrown away, before and behind the words. Few are held, and not
//! for long: descriptors are scarce where connections are refused.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::time::Instant;

use super::socket::Socket;
use crate::limits::{REFUSED_HELD_MAX, REFUSED_HELD_TIME};

/// Those of one poller.
#[derive(Debug, Default)]
pub(super) struct Refused {
    held: VecDeque<(Socket, Instant)>,
}

impl Refused {
    /// Tells why, in a line, and ends this side.
    pub(super) fn take(&mut self, stream: Socket, line: &str) {
        self.take_with(stream, format!("{line}\n").as_bytes());
    }

    /// Sends these bytes, if any, and ends this side.
    pub(super) fn take_with(&mut self, mut stream: Socket, words: &[u8]) {
        drain(&mut stream);
        // The peer may be gone, or its system takes no line.
        let _ = stream.write(words);
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

    fn close_oldest(&mut self) {
        if let Some((mut stream, _)) = self.held.pop_front() {
            drain(&mut stream);
        }
    }
}

/// Reads what is there, a bounded part of it.
fn drain(stream: &mut Socket) {
    let mut unread = [0; 16 * 1024];
    let _ = stream.read(&mut unread);
}
