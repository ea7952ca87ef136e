//! The message servers: a thread each, which writes its frames when they are due.
//!
//! The engine or the relay dials them; nothing is sent before the parent says go. On schedule the
//! loop is open: a frame is due when the plan says, whatever the peer does, and carries that time.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::{Event, hear, nats, tell};
use crate::clock::{now_ns, sleep_sharply, sleep_until, wall_ms};
use crate::curve::{Curve, histogram};
use crate::frames::{FrameBook, Stamp, Timestamp};
use crate::plan::Plan;
use crate::tls::{self, Stream};
use crate::wire::Wire;

/// Rendered before a write: a write call then costs nanoseconds a frame, and the bytes are still
/// in the second-level cache.
const BATCH_LEN: usize = 256 * 1024;
/// Between go and the first due time: every thread is awake by then.
const HEAD_START_NS: u64 = 2_000_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SourceReport {
    /// The start of the plan.
    pub(crate) start_ns: u64,
    /// When the last write returned.
    pub(crate) last_ns: u64,
    pub(crate) sent: u64,
    /// On schedule: how late frames were when they were handed to the socket. Part of the latency.
    pub(crate) late: Option<Curve>,
}

struct Sent {
    frames: u64,
    last_ns: u64,
    late: Histogram<u64>,
}

/// Plays all sources of the plan: listens, or publishes to the nats-server named.
pub(crate) fn run(plan: &Plan, nats: Option<SocketAddr>) -> Result<()> {
    let (wire, mut streams) = match nats {
        None => (Wire::Bare, accepted(plan)?),
        Some(address) => {
            let stream = |_| -> Result<Stream> { Ok(Box::new(nats::connect(address)?)) };
            let streams = (0..plan.sources).map(stream);
            (Wire::NatsPublish, streams.collect::<Result<_, _>>()?)
        }
    };
    let book = FrameBook::new(plan, wire)?;
    tell(&Event::Connected)?;
    if hear() {
        tell(&Event::Sent(send_all(plan, &book, &mut streams)?))?;
        // The connections stay: their end would be one more thing for the engine to do.
        hear();
    }
    Ok(())
}

/// A listener for each source, and the engine's or relay's connection to it.
fn accepted(plan: &Plan) -> Result<Vec<Stream>> {
    let listeners = (0..plan.sources)
        .map(|_| TcpListener::bind("127.0.0.1:0").context("listening as a source"))
        .collect::<Result<Vec<_>, _>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr);
    let addresses: Vec<SocketAddr> = addresses.collect::<Result<_, _>>().context("our address")?;
    tell(&Event::Listening { addresses })?;
    let accepted = listeners.iter().map(|it| accept(it, plan));
    accepted.collect()
}

fn accept(listener: &TcpListener, plan: &Plan) -> Result<Stream> {
    let (stream, _) = listener.accept().context("accepting as a source")?;
    stream.set_nodelay(true).context("setting up a socket")?;
    tls::accepted(stream, plan.tls.as_deref())
}

fn send_all(plan: &Plan, book: &FrameBook, streams: &mut [Stream]) -> Result<SourceReport> {
    let start_ns = now_ns() + HEAD_START_NS;
    let sent = thread::scope(|scope| {
        let threads: Vec<_> = (streams.iter_mut().enumerate())
            .map(|(source, stream)| scope.spawn(move || send(plan, book, source, stream, start_ns)))
            .collect();
        let ends = threads.into_iter().map(|it| it.join());
        ends.map(|end| end.expect("a source does not panic"))
            .collect::<Result<Vec<_>, _>>()
    })?;
    let mut late = histogram();
    let add = |it: &Sent| late.add(&it.late).expect("equal bounds");
    sent.iter().for_each(add);
    Ok(SourceReport {
        start_ns,
        last_ns: sent.iter().map(|it| it.last_ns).max().unwrap_or(start_ns),
        sent: sent.iter().map(|it| it.frames).sum(),
        late: plan.rate.map(|_| Curve::new(&late)),
    })
}

/// One source's life: batch after batch of what is due.
fn send(
    plan: &Plan,
    book: &FrameBook,
    source: usize,
    stream: &mut Stream,
    start_ns: u64,
) -> Result<Sent> {
    sleep_sharply();
    let messages = plan.messages_of(source);
    let mut batch = Vec::with_capacity(BATCH_LEN + book.line_len());
    let mut sent = Sent {
        frames: 0,
        last_ns: start_ns,
        late: histogram(),
    };
    while sent.frames < messages {
        sleep_until(start_ns + plan.due_ns(source, sent.frames));
        let (now_ns, timestamp) = (now_ns(), Timestamp::new(wall_ms()));
        batch.clear();
        while sent.frames < messages && batch.len() < BATCH_LEN {
            let due_ns = start_ns + plan.due_ns(source, sent.frames);
            if due_ns > now_ns {
                break;
            }
            let stamp = Stamp {
                number: sent.frames,
                source,
                due_ns,
            };
            book.append(&mut batch, stamp, &timestamp);
            sent.note(plan, stamp, now_ns);
        }
        stream.write_all(&batch).context("writing as a source")?;
    }
    sent.last_ns = now_ns();
    Ok(sent)
}

impl Sent {
    /// A frame is about to be written.
    #[inline]
    fn note(&mut self, plan: &Plan, stamp: Stamp, now_ns: u64) {
        self.frames += 1;
        if plan.rate.is_some() && plan.is_measured(stamp.source, stamp.number) {
            self.late.saturating_record(now_ns - stamp.due_ns);
        }
    }
}
