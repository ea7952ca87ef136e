//! One message server's thread: its stream, its door, its connection, and the waiting.
//!
//! `simulation` starts one for each server; `stream` says what to do; totals are published after
//! each turn. One connection is served at a time: the newest wins, the older is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::clock::Clock;
use crate::connection::{Connection, Io};
use crate::door::Door;
use crate::limits::{TICK_NS_MIN, WAIT_NS_MAX};
use crate::stream::{Step, Stream};
use crate::totals::Published;

pub(crate) struct Server {
    pub(crate) stream: Stream,
    pub(crate) door: Door,
    pub(crate) close_at_end: bool,
    pub(crate) clock: Clock,
    pub(crate) published: Arc<Published>,
    pub(crate) stop: Arc<AtomicBool>,
}

/// What to wait for, and how long.
struct Wait {
    ns: u64,
    writable: bool,
}

const NO_WAIT: Wait = Wait {
    ns: 0,
    writable: false,
};

/// Which sockets have something.
struct Ready {
    listener: bool,
    connection: bool,
}

impl Server {
    /// Runs until it is told to stop.
    pub(crate) fn run(mut self) {
        let mut connection = None;
        let mut ask_door = true;
        // Relaxed: the flag carries no data; the thread's end is awaited by joining it.
        while !self.stop.load(Ordering::Relaxed) {
            let now_ns = self.clock.now_ns();
            if (ask_door || connection.is_none())
                && let Some(newest) = self.door.newest(now_ns)
            {
                connection = Some(newest);
                self.stream.connected(now_ns);
            }
            let wait = self.serve(&mut connection, now_ns);
            self.published
                .publish(self.stream.totals(), connection.is_some());
            let ready = self.wait(&wait, connection.as_ref());
            ask_door = ready.listener;
            if ready.connection {
                self.read(&mut connection);
            }
        }
        self.published.publish(self.stream.totals(), false);
    }

    /// One turn: writes once, or cuts, or ends, or finds nothing to do.
    fn serve(&mut self, slot: &mut Option<Connection>, now_ns: u64) -> Wait {
        let Some(connection) = slot else {
            let until_ns = self.door.ask_again_ns().unwrap_or(u64::MAX);
            return Wait {
                ns: until_ns.saturating_sub(now_ns),
                writable: false,
            };
        };
        connection.flush();
        match self.stream.step(now_ns) {
            Step::Write => match connection.write(self.stream.pending()) {
                Io::Bytes(len) => self.stream.wrote(len),
                Io::WouldBlock => {
                    return Wait {
                        ns: u64::MAX,
                        writable: connection.waits_for_room(true),
                    };
                }
                Io::Closed => *slot = None,
            },
            Step::Cut => *slot = None,
            Step::Wait { until_ns } => {
                let ns = until_ns.map_or(u64::MAX, |until_ns| until_ns.saturating_sub(now_ns));
                return Wait {
                    ns: ns.max(TICK_NS_MIN),
                    writable: connection.waits_for_room(false),
                };
            }
            Step::End => {
                if self.close_at_end {
                    connection.end();
                }
                self.published.publish(self.stream.totals(), true);
                self.published.finish();
                return Wait {
                    ns: u64::MAX,
                    writable: connection.waits_for_room(false),
                };
            }
        }
        NO_WAIT
    }

    /// Reads acknowledgements, and notices that the peer has left.
    fn read(&mut self, slot: &mut Option<Connection>) {
        let mut buffer = [0; 4096];
        while let Some(connection) = slot {
            let (io, ack) = connection.read(&mut buffer);
            if let Some(count) = ack {
                self.stream.acknowledged(count);
            }
            match io {
                Io::Bytes(_) => {}
                Io::WouldBlock => return,
                Io::Closed => *slot = None,
            }
        }
    }

    fn wait(&self, wait: &Wait, connection: Option<&Connection>) -> Ready {
        let mut events = PollFlags::IN;
        events.set(PollFlags::OUT, wait.writable);
        let listener = self
            .door
            .listener()
            .map(|socket| PollFd::new(socket, PollFlags::IN));
        let connection = connection.map(|connection| connection.poll_fd(events));
        let has_listener = listener.is_some();
        let mut fds: Vec<PollFd<'_>> = listener.into_iter().chain(connection).collect();
        // An interrupted or failed poll finds nothing: the next turn asks again.
        let found = poll(&mut fds, Some(&timespec(wait.ns))).is_ok_and(|count| count > 0);
        let woken = |fd: Option<&PollFd<'_>>| found && fd.is_some_and(|fd| has_news(fd.revents()));
        let (listeners, connections) = fds.split_at(usize::from(has_listener));
        Ready {
            listener: woken(listeners.first()),
            connection: woken(connections.first()),
        }
    }
}

/// Anything but room to write is for the read to find out.
fn has_news(events: PollFlags) -> bool {
    !events.difference(PollFlags::OUT).is_empty()
}

fn timespec(ns: u64) -> Timespec {
    let ns = ns.min(WAIT_NS_MAX);
    Timespec {
        tv_sec: 0,
        tv_nsec: ns.try_into().expect("below a second"),
    }
}
