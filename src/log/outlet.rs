//! A bounded queue before a stream that may not take anything: an unread pipe, a full disk, a
//! terminal that is gone.
//!
//! ```text
//! any thread --put--> [ queue ] --thread of its own--> stream
//!                        |                               |
//!                     full: lost                      error: lost
//! ```
//!
//! Who puts something into it never waits. What the stream does not take is counted, and told in the
//! stream itself once it takes lines again. (tracing-appender has such a queue; where that is full at
//! the end, it prints so to standard output, and waits for it.)

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use crate::limits::LOG_QUEUE;

/// How often a wait looks whether it is over.
const POLL: Duration = Duration::from_millis(1);

/// The way to a stream. It lasts as long as the process: its thread may be stuck in a write.
#[derive(Debug)]
pub struct Outlet {
    queue: SyncSender<Vec<u8>>,
    counts: Arc<Counts>,
}

/// `done <= queued`; what is lost because the queue was full is in neither.
#[derive(Debug, Default)]
struct Counts {
    queued: AtomicU64,
    /// Written, or lost in the attempt.
    done: AtomicU64,
    lost: AtomicU64,
}

impl Outlet {
    /// Starts the thread, which is called `name`; `line` makes what it says itself a line of the
    /// stream.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(
        name: &str,
        stream: impl Write + Send + 'static,
        line: fn(&str) -> Vec<u8>,
    ) -> io::Result<Self> {
        let (queue, entries) = sync_channel(LOG_QUEUE);
        let counts = Arc::new(Counts::default());
        let pump = Pump {
            stream,
            counts: Arc::clone(&counts),
            told: 0,
            line,
        };
        Builder::new()
            .name(name.to_owned())
            .spawn(move || pump.run(&entries))?;
        Ok(Self { queue, counts })
    }

    /// Hands a whole line, or a whole block of lines, to the thread; says whether there was room.
    pub fn put(&self, bytes: Vec<u8>) -> bool {
        self.put_within(bytes, Duration::ZERO)
    }

    /// The same for words that are worth waiting for room, `limit` at most.
    pub fn put_within(&self, bytes: Vec<u8>, limit: Duration) -> bool {
        let (mut bytes, begun) = (bytes, Instant::now());
        while let Err(refused) = self.offer(bytes) {
            if begun.elapsed() >= limit {
                self.counts.lost.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            bytes = refused;
            std::thread::sleep(POLL);
        }
        true
    }

    fn offer(&self, bytes: Vec<u8>) -> Result<(), Vec<u8>> {
        // Before the thread can have it: `done` never overtakes.
        self.counts.queued.fetch_add(1, Ordering::Relaxed);
        self.queue.try_send(bytes).map_err(|refused| {
            self.counts.queued.fetch_sub(1, Ordering::Relaxed);
            match refused {
                TrySendError::Full(bytes) | TrySendError::Disconnected(bytes) => bytes,
            }
        })
    }

    /// Waits until all that was put has been written, for `limit` at most; says whether it has.
    pub fn flush(&self, limit: Duration) -> bool {
        let queued = self.counts.queued.load(Ordering::Relaxed);
        let begun = Instant::now();
        while self.counts.done.load(Ordering::Relaxed) < queued {
            if begun.elapsed() >= limit {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }

    /// What was put and not written: the queue was full, or the stream refused it.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }
}

/// The thread's side.
struct Pump<W> {
    stream: W,
    counts: Arc<Counts>,
    /// Of what was lost, how much the stream has been told.
    told: u64,
    /// Makes words a line of the stream.
    line: fn(&str) -> Vec<u8>,
}

impl<W: Write> Pump<W> {
    fn run(mut self, entries: &Receiver<Vec<u8>>) {
        while let Ok(bytes) = entries.recv() {
            if self.tell_lost().and_then(|()| self.write(&bytes)).is_err() {
                self.counts.lost.fetch_add(1, Ordering::Relaxed);
            }
            self.counts.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn tell_lost(&mut self) -> io::Result<()> {
        let lost = self.counts.lost.load(Ordering::Relaxed);
        if lost > self.told {
            let count = lost - self.told;
            let line = (self.line)(&format!(
                "{count} entries are missing here: nobody took them"
            ));
            self.write(&line)?;
            self.told = lost;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }
}

/// A line of text.
pub fn plain_line(words: &str) -> Vec<u8> {
    format!("flipped-lb: {words}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    const SOON: Duration = Duration::from_secs(60);

    /// A stream that takes nothing while it is shut, and fails while it is broken.
    #[derive(Clone, Default)]
    struct Pipe(Arc<(Mutex<State>, Condvar)>);

    #[derive(Default)]
    struct State {
        is_shut: bool,
        is_broken: bool,
        text: String,
    }

    impl Pipe {
        fn set(&self, is_shut: bool, is_broken: bool) {
            let mut state = self.0.0.lock().unwrap();
            (state.is_shut, state.is_broken) = (is_shut, is_broken);
            self.0.1.notify_all();
        }

        fn text(&self) -> String {
            self.0.0.lock().unwrap().text.clone()
        }
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let state = self.0.0.lock().unwrap();
            let mut state = self.0.1.wait_while(state, |it| it.is_shut).unwrap();
            if state.is_broken {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            state.text.push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn put(outlet: &Outlet, text: &str) -> bool {
        outlet.put(text.as_bytes().to_vec())
    }

    #[test]
    fn what_was_put_is_written_in_order() {
        let pipe = Pipe::default();
        let outlet = Outlet::start("test", pipe.clone(), plain_line).unwrap();
        assert!(put(&outlet, "one\n") && put(&outlet, "two\n"));
        assert!(outlet.flush(SOON));
        assert_eq!(pipe.text(), "one\ntwo\n");
        assert_eq!(outlet.lost(), 0);
    }

    #[test]
    fn a_stream_that_takes_nothing_delays_nobody_and_is_told_what_it_missed() {
        let pipe = Pipe::default();
        pipe.set(true, false);
        let outlet = Outlet::start("test", pipe.clone(), plain_line).unwrap();
        let tries = LOG_QUEUE as u64 + 10;
        let taken = (0..tries).filter(|_| put(&outlet, "x\n")).count() as u64;
        // The thread may hold one that is in the queue no more.
        assert!([LOG_QUEUE as u64, LOG_QUEUE as u64 + 1].contains(&taken));
        assert_eq!(outlet.lost(), tries - taken);
        assert!(!outlet.flush(Duration::ZERO));
        pipe.set(false, false);
        assert!(outlet.flush(SOON));
        put(&outlet, "later\n");
        assert!(outlet.flush(SOON));
        let text = pipe.text();
        let notice = format!("{} entries are missing here", tries - taken);
        assert!(text.contains(&notice), "{text}");
        assert_eq!(text.matches("missing").count(), 1);
        assert!(text.ends_with("later\n"));
    }

    #[test]
    fn what_a_broken_stream_refuses_is_counted() {
        let pipe = Pipe::default();
        pipe.set(false, true);
        let outlet = Outlet::start("test", pipe.clone(), plain_line).unwrap();
        assert!(put(&outlet, "a\n") && put(&outlet, "b\n"));
        assert!(outlet.flush(SOON));
        assert_eq!(outlet.lost(), 2);
        pipe.set(false, false);
        put(&outlet, "c\n");
        assert!(outlet.flush(SOON));
        assert!(pipe.text().starts_with("flipped-lb: 2 entries are missing"));
        assert!(pipe.text().ends_with("\nc\n"));
    }
}
