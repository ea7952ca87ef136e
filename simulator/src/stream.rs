//! One server's stream without its socket: what to write, when, and what to make of the answers.
//!
//! The server's thread tells it the time, connections, writes and acknowledgements, and does what
//! [`Step`] says. It reads no clock and touches no socket, so a whole life of a server replays from
//! one seed.

use crate::orders::{LineKind, Orders};
use crate::outbox::{CutPlan, Outbox};
use crate::schedule::{Pace, Schedule};
use crate::totals::Totals;

/// What the server is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Write what is pending.
    Write,
    /// Drop the connection.
    Cut,
    /// Nothing to do until this time (ns since the epoch), or until the peer says something.
    Wait { until_ns: Option<u64> },
    /// All is sent, and acknowledged where that is asked for.
    End,
}

/// What a stream does beside making lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamSpec {
    pub(crate) pace: Pace,
    /// Valid frames to make; `None`: no end.
    pub(crate) count: Option<u64>,
    pub(crate) disconnect_every: Option<u64>,
    pub(crate) ack: bool,
    pub(crate) seed: u64,
}

#[derive(Debug)]
pub(crate) struct Stream {
    orders: Orders,
    schedule: Schedule,
    outbox: Outbox,
    /// Valid frames still to be made.
    left: u64,
    disconnect_every: Option<u64>,
    cut: Option<CutPlan>,
    rng: fastrand::Rng,
    totals: Totals,
}

impl Stream {
    pub(crate) fn new(spec: StreamSpec, orders: Orders) -> Self {
        Self {
            orders,
            schedule: Schedule::new(spec.pace, spec.seed),
            outbox: Outbox::new(spec.ack),
            left: spec.count.unwrap_or(u64::MAX),
            disconnect_every: spec.disconnect_every,
            cut: None,
            rng: fastrand::Rng::with_seed(spec.seed ^ 0x6375_7473),
            totals: Totals::default(),
        }
    }

    /// A new connection, in place of any earlier one.
    pub(crate) fn connected(&mut self, now_ns: u64) {
        self.totals.count_connection();
        self.schedule.connected(now_ns);
        self.outbox.rewind();
        self.cut = self.disconnect_every.map(|first_lines| CutPlan {
            first_lines,
            into_line: self.rng.bool().then(|| self.rng.usize(..1000)),
        });
    }

    /// Makes what is due and says what to do.
    pub(crate) fn step(&mut self, now_ns: u64) -> Step {
        if self.outbox.all_written() {
            self.make_due(now_ns);
        }
        if !self.pending().is_empty() {
            return Step::Write;
        }
        if !self.outbox.all_written() {
            self.totals.cuts += 1;
            return Step::Cut;
        }
        if self.left > 0 {
            let until_ns = self.outbox.open().map(|_| self.schedule.due_ns());
            return Step::Wait { until_ns };
        }
        if self.outbox.is_settled() {
            Step::End
        } else {
            Step::Wait { until_ns: None }
        }
    }

    fn make_due(&mut self, now_ns: u64) {
        let Some(batch) = self.outbox.open() else {
            return;
        };
        while self.left > 0 && !batch.is_full() {
            let Some(due_ns) = self.schedule.take(now_ns) else {
                return;
            };
            let kind = batch.push(|out| self.orders.append(out, due_ns / 1_000_000));
            self.left -= u64::from(kind == LineKind::Valid);
        }
    }

    /// What [`Step::Write`] is about.
    pub(crate) fn pending(&self) -> &[u8] {
        self.outbox.pending(self.cut)
    }

    /// `len` bytes of it are in the socket.
    pub(crate) fn wrote(&mut self, len: usize) {
        self.outbox.wrote(len, &mut self.totals);
    }

    /// The peer has taken responsibility for the first `count` lines of this connection.
    pub(crate) fn acknowledged(&mut self, count: u64) {
        self.outbox.acknowledged(count, &mut self.totals);
    }

    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameSpec;
    use crate::orders::Faults;

    const T0: u64 = 1_693_123_456_789_000_000;
    const SPEC: StreamSpec = StreamSpec {
        pace: Pace::FlatOut,
        count: Some(2_000),
        disconnect_every: None,
        ack: false,
        seed: 5,
    };

    fn stream(spec: StreamSpec) -> Stream {
        let frames = FrameSpec {
            server: "s".into(),
            destinations: vec!["table1".into()],
            len: Some(390),
            fresh: false,
            seed: spec.seed,
            run: 1,
        };
        let faults = Faults {
            duplicates_percent: 3.0,
            malformed_percent: 3.0,
            max_line: 1_000,
        };
        Stream::new(spec, Orders::new(frames, &faults).expect("a good spec"))
    }

    /// Writes up to `chunk` bytes at a time until the stream wants no more of this connection.
    fn write_all(stream: &mut Stream, chunk: usize, out: &mut Vec<u8>) -> Step {
        loop {
            match stream.step(T0) {
                Step::Write => {
                    let len = stream.pending().len().min(chunk);
                    out.extend_from_slice(&stream.pending()[..len]);
                    stream.wrote(len);
                }
                step => return step,
            }
        }
    }

    fn count_newlines(bytes: &[u8]) -> u64 {
        memchr::memchr_iter(b'\n', bytes).count() as u64
    }

    #[test]
    fn how_the_socket_takes_the_bytes_changes_neither_bytes_nor_totals() {
        let [one, other] = [100, usize::MAX].map(|chunk| {
            let mut stream = stream(SPEC);
            let mut out = Vec::new();
            stream.connected(T0);
            assert_eq!(write_all(&mut stream, chunk, &mut out), Step::End);
            assert_eq!(count_newlines(&out), stream.totals().lines());
            (out, *stream.totals())
        });
        assert_eq!(one, other);
        assert_eq!(one.1.valid, 2_000);
    }

    #[test]
    fn cuts_lose_no_line_and_repeat_none_that_was_whole() {
        let mut whole = Vec::new();
        let mut uncut = stream(SPEC);
        uncut.connected(T0);
        write_all(&mut uncut, usize::MAX, &mut whole);

        let mut cut = stream(StreamSpec {
            disconnect_every: Some(17),
            ..SPEC
        });
        let (mut lines, mut torn) = (Vec::new(), 0);
        loop {
            let mut out = Vec::new();
            cut.connected(T0);
            let step = write_all(&mut cut, 1_000, &mut out);
            let end = memchr::memrchr(b'\n', &out).map_or(0, |newline| newline + 1);
            torn += u32::from(end < out.len());
            lines.extend_from_slice(&out[..end]);
            if step == Step::End {
                break;
            }
            assert_eq!((step, count_newlines(&out)), (Step::Cut, 17));
        }
        assert!(
            lines == whole,
            "the whole lines of all connections are the uncut stream"
        );
        assert!(torn > 20, "some cuts fall inside a line: {torn}");
        assert_eq!(cut.totals().cuts, cut.totals().reconnects);
    }

    #[test]
    fn with_acknowledgements_the_end_comes_with_the_last_of_them() {
        let mut stream = stream(StreamSpec { ack: true, ..SPEC });
        let mut out = Vec::new();
        stream.connected(T0);
        assert_eq!(
            write_all(&mut stream, 5_000, &mut out),
            Step::Wait { until_ns: None }
        );
        let lines = count_newlines(&out);
        stream.acknowledged(lines - 1);
        assert_eq!(stream.step(T0), Step::Wait { until_ns: None });
        stream.acknowledged(lines);
        assert_eq!(stream.step(T0), Step::End);
    }

    #[test]
    fn resending_ends_though_every_connection_is_cut_before_its_acknowledgements() {
        let mut stream = stream(StreamSpec {
            ack: true,
            count: Some(100),
            disconnect_every: Some(1),
            ..SPEC
        });
        let mut connections = 0;
        loop {
            let mut out = Vec::new();
            stream.connected(T0);
            connections += 1;
            if write_all(&mut stream, usize::MAX, &mut out) != Step::Cut {
                stream.acknowledged(count_newlines(&out));
                break;
            }
        }
        assert_eq!(stream.step(T0), Step::End);
        let totals = stream.totals();
        assert_eq!(totals.acknowledged, totals.lines() - totals.resent);
        assert_eq!(
            connections, totals.acknowledged,
            "each connection brought one new line"
        );
    }

    #[test]
    fn at_a_rate_it_waits_for_the_next_line_due() {
        let pace = Pace::Rate {
            per_second: 10.0,
            burst: 1,
        };
        let mut stream = stream(StreamSpec {
            pace,
            count: Some(10),
            ..SPEC
        });
        stream.connected(T0);
        let step = write_all(&mut stream, usize::MAX, &mut Vec::new());
        assert_eq!(
            step,
            Step::Wait {
                until_ns: Some(T0 + 100_000_000)
            }
        );
    }
}
