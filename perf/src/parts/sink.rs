//! The subscribers: a thread each, which verifies every frame and measures it by its due time.
//!
//! All lines of a round have one length, so a frame costs no search: its newline must stand where
//! the plan puts it. The time is read once a read; a frame has the time of the read that completed
//! it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use serde::{Deserialize, Serialize};

use super::arrivals::{ArrivalReport, Arrivals};
use super::ledger::Ledger;
use super::{Event, hear, nats, tell};
use crate::clock::{now_ns, sleep_sharply, sleep_until};
use crate::curve::Curve;
use crate::frames::FrameBook;
use crate::plan::Plan;
use crate::tls::{self, Stream};
use crate::wire::Wire;

const READ_LEN: usize = 256 * 1024;
/// A subscriber looks this often whether it waits in vain; and after its last frame, this long for
/// one too many.
const LOOK: Duration = Duration::from_millis(250);
/// Looks without a byte after which it waits no longer: 30 s.
const LOOKS_MAX: u32 = 120;
/// ... and before the first byte, for others may have their turn before it: ten minutes.
const LOOKS_MAX_FIRST: u32 = 4 * 600;
/// A slow reader takes this much at a time.
const SLOW_READ_LEN: usize = 16 * 1024;
/// ... from a socket that was asked to hold this: what is not there yet is the server's to order. Two
/// segments of the loopback device: with less its window closes for fractions of a second.
const SLOW_SOCKET_LEN: usize = 128 * 1024;
/// What that socket holds: Linux takes twice what it is asked for (`man 7 socket`, SO_RCVBUF).
pub(crate) const SLOW_SOCKET_HELD: usize = 2 * SLOW_SOCKET_LEN;
const SECOND_NS: u128 = 1_000_000_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SinkReport {
    pub(crate) frames: u64,
    /// Frames that did not come.
    pub(crate) missing: u64,
    /// Lines that were wrong: twice, out of order, changed, for somebody else.
    pub(crate) wrong: u64,
    pub(crate) first_wrong: Option<String>,
    /// When they came, and how late.
    pub(crate) arrivals: ArrivalReport,
}

impl SinkReport {
    /// The latencies; empty flat out.
    pub(crate) fn latency(&self) -> Curve {
        self.arrivals.latency.clone().unwrap_or_default()
    }
}

struct Subscriber<'a> {
    stream: Stream,
    ledger: Ledger<'a>,
    book: &'a FrameBook,
    plan: &'a Plan,
    expected: u64,
    arrivals: Arrivals,
    buffer: Vec<u8>,
    filled: usize,
    /// When a slow reader may read again.
    turn_ns: u64,
}

/// Plays all subscribers of the plan.
pub(crate) fn run(plan: &Plan, wire: Wire, address: SocketAddr, silent: bool) -> Result<()> {
    let book = FrameBook::new(plan, wire)?;
    let expected = book.expected(plan);
    let subscriber = |(destination, name): (usize, &String)| {
        let socket = match wire {
            Wire::NatsDeliver => nats::connect(address)?,
            _ => TcpStream::connect(address).context("subscribing")?,
        };
        let ours = socket.try_clone().context("setting up a socket")?;
        let stream = match wire {
            Wire::NatsDeliver => nats::subscribe(socket, name)?,
            _ => subscribe(plan, socket, name)?,
        };
        set_up(plan, &ours).context("setting up a socket")?;
        Ok(Subscriber {
            stream,
            ledger: Ledger::new(&book, plan, destination),
            book: &book,
            plan,
            expected: expected[destination],
            arrivals: Arrivals::new(plan),
            buffer: vec![0; READ_LEN],
            filled: 0,
            turn_ns: 0,
        })
    };
    let names = plan.destination_names();
    let subscribers = names.iter().enumerate().map(subscriber);
    let subscribers = subscribers.collect::<Result<Vec<_>>>()?;
    tell(&Event::Subscribed)?;
    if !silent {
        tell(&Event::Received(receive_all(plan, subscribers)?))?;
    }
    hear();
    Ok(())
}

/// Subscribes; the answer ends before the first frame, so it is read byte by byte.
fn subscribe(plan: &Plan, socket: TcpStream, name: &str) -> Result<Stream> {
    let mut stream = tls::dialled(socket, plan.tls.as_deref())?;
    writeln!(stream, "{{\"subscribe\":[\"{name}\"]}}").context("subscribing")?;
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while byte != *b"\n" {
        stream.read_exact(&mut byte).context("subscribing")?;
        answer.push(byte[0]);
    }
    let want = format!("{{\"subscribed\":[\"{name}\"],\"standby\":[]}}\n");
    let said = String::from_utf8_lossy(&answer);
    ensure!(
        said == want,
        "a subscription was answered with something else than it alone\n{said}"
    );
    Ok(stream)
}

fn set_up(plan: &Plan, stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LOOK))?;
    if plan.reader_rate.is_some() {
        set_socket_recv_buffer_size(stream, SLOW_SOCKET_LEN)?;
    }
    Ok(())
}

fn receive_all(plan: &Plan, mut subscribers: Vec<Subscriber<'_>>) -> Result<SinkReport> {
    thread::scope(|scope| {
        let threads: Vec<_> = (subscribers.iter_mut())
            .map(|subscriber| scope.spawn(|| subscriber.receive()))
            .collect();
        let ends = threads.into_iter().map(|it| it.join());
        ends.map(|end| end.expect("a subscriber does not panic"))
            .collect::<Result<Vec<()>, _>>()
    })?;
    Ok(report(plan, &subscribers))
}

fn report(plan: &Plan, subscribers: &[Subscriber<'_>]) -> SinkReport {
    let sum = |of: fn(&Subscriber<'_>) -> u64| subscribers.iter().map(of).sum::<u64>();
    let mut arrivals = Arrivals::new(plan);
    subscribers.iter().for_each(|it| arrivals.add(&it.arrivals));
    SinkReport {
        frames: sum(|it| it.ledger.counted()),
        missing: sum(|it| it.expected.saturating_sub(it.ledger.counted())),
        wrong: sum(|it| it.ledger.wrong().0),
        first_wrong: subscribers.iter().find_map(|it| it.ledger.wrong().1),
        arrivals: arrivals.report(),
    }
}

impl Subscriber<'_> {
    /// Reads until all is there and nothing follows, or nothing comes any more.
    fn receive(&mut self) -> Result<()> {
        let (mut looks, mut looks_max) = (0, LOOKS_MAX_FIRST);
        if self.plan.reader_rate.is_some() {
            sleep_sharply();
        }
        while looks < looks_max {
            sleep_until(self.turn_ns);
            match self.read() {
                Ok(0) => break,
                Ok(len) => {
                    (looks, looks_max) = (0, LOOKS_MAX);
                    self.filled += len;
                    let now_ns = now_ns();
                    self.enter_lines(now_ns)?;
                    self.wait_its_turn(len, now_ns);
                }
                Err(error) if is_time_out(error.kind()) => {
                    if self.ledger.counted() >= self.expected {
                        break;
                    }
                    looks += 1;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("reading as a subscriber"),
            }
        }
        Ok(())
    }

    fn read(&mut self) -> std::io::Result<usize> {
        let room = &mut self.buffer[self.filled..];
        let len = match self.plan.reader_rate {
            Some(_) => room.len().min(SLOW_READ_LEN),
            None => room.len(),
        };
        self.stream.read(&mut room[..len])
    }

    /// A slow reader handles what it read for as long as its rate says.
    fn wait_its_turn(&mut self, len: usize, now_ns: u64) {
        if let Some(rate) = self.plan.reader_rate {
            let bytes_a_second = u128::from(rate) * self.book.line_len() as u128;
            let busy_ns = len as u128 * SECOND_NS / bytes_a_second.max(1);
            let busy_ns = u64::try_from(busy_ns).unwrap_or(u64::MAX);
            self.turn_ns = self.turn_ns.max(now_ns).saturating_add(busy_ns);
        }
    }

    fn enter_lines(&mut self, now_ns: u64) -> Result<()> {
        let (mut at, before) = (0, self.ledger.counted());
        while let Some(len) = self.line_len(at) {
            let line = &self.buffer[at..at + len];
            if line == nats::PING {
                nats::pong(&mut self.stream)?;
            } else if let Some((stamp, level)) = self.ledger.enter(line)
                && stamp.due_ns > 0
                && self.plan.is_measured(stamp.source, stamp.number)
            {
                let latency_ns = now_ns.saturating_sub(stamp.due_ns);
                let since_ns = self.plan.due_ns(stamp.source, stamp.number);
                self.arrivals.record(level, latency_ns, since_ns);
            }
            at += len;
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        let frames = self.ledger.counted() - before;
        self.arrivals.count(frames, now_ns);
        Ok(())
    }

    /// The length of the line that begins there, newline included; `None` while it is not whole. A
    /// line that is not as long as a frame is searched for its end, so that one wrong line is one.
    #[inline]
    fn line_len(&self, at: usize) -> Option<usize> {
        let rest = &self.buffer[at..self.filled];
        let len = self.book.line_len();
        if rest.len() >= len && rest[len - 1] == b'\n' {
            return Some(len);
        }
        self.odd_line_len(rest)
    }

    #[cold]
    fn odd_line_len(&self, rest: &[u8]) -> Option<usize> {
        if rest.len() < self.book.line_len() {
            return None;
        }
        let newline = memchr::memchr(b'\n', rest).map(|at| at + 1);
        // Without any newline in a whole buffer the lot is one wrong line.
        newline.or((rest.len() == self.buffer.len()).then_some(rest.len()))
    }
}

fn is_time_out(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
