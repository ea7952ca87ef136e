//! The subscribers: a thread each, which verifies every frame and measures it by its due time.
//!
//! All lines of a round have one length, so a frame costs no search: its newline must stand where
//! the plan puts it. The time is read once a read; a frame has the time of the read that completed
//! it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::{Event, hear, tell};
use crate::clock::now_ns;
use crate::curve::{Curve, histogram};
use crate::error::{Context, PerfError};
use crate::frames::{FrameBook, destination_names};
use crate::plan::Plan;

/// Room for one read.
const READ_LEN: usize = 256 * 1024;
/// A subscriber looks this often whether it waits in vain; and after its last frame, this long for
/// one too many.
const LOOK: Duration = Duration::from_millis(250);
/// Looks without a byte after which it waits no longer: 30 s.
const LOOKS_MAX: u32 = 120;

/// What was received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SinkReport {
    /// Frames that were right.
    pub(crate) frames: u64,
    /// Frames that did not come.
    pub(crate) missing: u64,
    /// Lines that were wrong: twice, out of order, changed, for somebody else.
    pub(crate) wrong: u64,
    /// The first of them.
    pub(crate) first_wrong: Option<String>,
    /// When the last right frame was there.
    pub(crate) last_ns: u64,
    /// On schedule: from due to here.
    pub(crate) latency: Option<Curve>,
}

/// One subscriber.
struct Subscriber<'a> {
    stream: TcpStream,
    ledger: Ledger<'a>,
    book: &'a FrameBook,
    plan: &'a Plan,
    expected: u64,
    last_ns: u64,
    latency: Histogram<u64>,
    buffer: Vec<u8>,
    /// Bytes in the buffer.
    filled: usize,
}

/// Plays all subscribers of the plan.
///
/// # Errors
/// The subscription was refused, or the connection broke.
pub(crate) fn run(plan: &Plan, address: SocketAddr, silent: bool) -> Result<(), PerfError> {
    let book = FrameBook::new(plan)?;
    let expected = book.expected(plan);
    let names = destination_names(plan.destinations);
    let subscribers = names
        .iter()
        .enumerate()
        .map(|(destination, name)| {
            Ok(Subscriber {
                stream: subscribe(address, name)?,
                ledger: Ledger::new(&book, plan, destination),
                book: &book,
                plan,
                expected: expected[destination],
                last_ns: 0,
                latency: histogram(),
                buffer: vec![0; READ_LEN],
                filled: 0,
            })
        })
        .collect::<Result<Vec<_>, PerfError>>()?;
    tell(&Event::Subscribed)?;
    if silent {
        hear();
        return Ok(());
    }
    let report = receive_all(subscribers)?;
    tell(&Event::Received(report))?;
    hear();
    Ok(())
}

/// Subscribes; the answer ends before the first frame, so it is read byte by byte.
fn subscribe(address: SocketAddr, name: &str) -> Result<TcpStream, PerfError> {
    let mut stream = TcpStream::connect(address).context("subscribing")?;
    stream.set_nodelay(true).context("setting up a socket")?;
    writeln!(stream, "{{\"subscribe\":[\"{name}\"]}}").context("subscribing")?;
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while byte != *b"\n" {
        stream.read_exact(&mut byte).context("subscribing")?;
        answer.push(byte[0]);
    }
    let want = format!("{{\"subscribed\":[\"{name}\"],\"standby\":[]}}\n");
    if answer != want.as_bytes() {
        return Err(PerfError::Part {
            part: "the subscription".into(),
            what: "was answered with something else than ours alone".into(),
            said: String::from_utf8_lossy(&answer).into_owned(),
        });
    }
    stream
        .set_read_timeout(Some(LOOK))
        .context("setting up a socket")?;
    Ok(stream)
}

fn receive_all(mut subscribers: Vec<Subscriber<'_>>) -> Result<SinkReport, PerfError> {
    thread::scope(|scope| {
        let threads: Vec<_> = (subscribers.iter_mut())
            .map(|subscriber| scope.spawn(|| subscriber.receive()))
            .collect();
        let ends = threads.into_iter().map(|it| it.join());
        ends.map(|end| end.expect("a subscriber does not panic"))
            .collect::<Result<Vec<()>, _>>()
    })?;
    Ok(report(&subscribers))
}

fn report(subscribers: &[Subscriber<'_>]) -> SinkReport {
    let mut latency = histogram();
    let sum = |of: fn(&Subscriber<'_>) -> u64| subscribers.iter().map(of).sum::<u64>();
    for it in subscribers {
        latency.add(&it.latency).expect("equal bounds");
    }
    SinkReport {
        frames: sum(|it| it.ledger.counted()),
        missing: sum(|it| it.expected.saturating_sub(it.ledger.counted())),
        wrong: sum(|it| it.ledger.wrong().0),
        first_wrong: subscribers.iter().find_map(|it| it.ledger.wrong().1),
        last_ns: subscribers.iter().map(|it| it.last_ns).max().unwrap_or(0),
        latency: (!latency.is_empty()).then(|| Curve::new(&latency)),
    }
}

impl Subscriber<'_> {
    /// Reads until all is there and nothing follows, or nothing comes any more.
    fn receive(&mut self) -> Result<(), PerfError> {
        let mut looks = 0;
        while looks < LOOKS_MAX {
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => break,
                Ok(len) => {
                    looks = 0;
                    self.filled += len;
                    self.enter_lines(now_ns());
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

    fn enter_lines(&mut self, now_ns: u64) {
        let mut at = 0;
        while let Some(len) = self.line_len(at) {
            let line = &self.buffer[at..at + len];
            if let Some(mark) = self.ledger.enter(line) {
                self.last_ns = now_ns;
                if mark.due_ns > 0 && self.plan.is_measured(mark.source, mark.number) {
                    self.latency
                        .saturating_record(now_ns.saturating_sub(mark.due_ns));
                }
            }
            at += len;
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
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
