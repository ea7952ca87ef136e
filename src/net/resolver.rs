//! Looks host names up, each on a thread of its own, for a look-up blocks for as long as the system likes.
//!
//! Threads are started on demand and end with their answer. How many there are at once, and who waits,
//! `lookups` decides; an answer that comes late is told all the same.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::Waker;

use super::lookups::Lookups;
use crate::clock::Now;

/// The number of a look-up, and what was found: all addresses, in the system's order.
pub type Answer = (usize, io::Result<Vec<SocketAddr>>);

/// How one name is looked up.
type LookUp = Arc<dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Asks for addresses, and is answered later.
pub(crate) struct Resolver {
    lookups: Lookups,
    /// What is looked up, by number.
    names: Vec<String>,
    look_up: LookUp,
    answering: Sender<Answer>,
    answers: Receiver<Answer>,
    /// Wakes whoever polls.
    waker: Option<Arc<Waker>>,
}

impl Resolver {
    /// A resolver that asks the system; no thread yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::by(Arc::new(|name: &str| Ok(name.to_socket_addrs()?.collect())))
    }

    fn by(look_up: LookUp) -> Self {
        let (answering, answers) = channel();
        Self {
            lookups: Lookups::default(),
            names: Vec::new(),
            look_up,
            answering,
            answers,
            waker: None,
        }
    }

    /// From now on whoever sleeps on the poller of this is woken for an answer.
    pub(crate) fn wakes(&mut self, waker: Waker) {
        self.waker = Some(Arc::new(waker));
    }

    /// Whether it was told whom to wake.
    #[must_use]
    pub(crate) fn has_waker(&self) -> bool {
        self.waker.is_some()
    }

    /// Asks for the addresses of a name, `host:port`. One look-up at a time for each number: where it has
    /// not been answered yet, its answer is the answer to this question too.
    pub(crate) fn ask(&mut self, number: usize, name: &str, now: Now) {
        if self.names.len() <= number {
            self.names.resize(number + 1, String::new());
        }
        name.clone_into(&mut self.names[number]);
        self.lookups.ask(number);
        self.start(now);
    }

    /// The next answer, if there is one.
    pub(crate) fn poll(&mut self, now: Now) -> Option<Answer> {
        if self.lookups.is_idle() {
            return None;
        }
        let answer = self.answers.try_recv().ok();
        if let Some((number, _)) = &answer {
            self.lookups.finish(*number, now);
        }
        self.start(now);
        answer
    }

    /// Starts what has found a place.
    fn start(&mut self, now: Now) {
        while let Some(number) = self.lookups.next(now) {
            let (look_up, name) = (Arc::clone(&self.look_up), self.names[number].clone());
            let (answering, waker) = (self.answering.clone(), self.waker.clone());
            let run = move || {
                // Nobody hears it any more where the engine has stopped meanwhile.
                let _ = answering.send((number, look_up(&name)));
                if let Some(waker) = waker {
                    // Whoever sleeps looks by itself, if later.
                    let _ = waker.wake();
                }
            };
            let thread = thread::Builder::new().name("resolver".to_owned());
            if let Err(error) = thread.spawn(run) {
                // The receiver is this one's own, so it is there.
                let _ = self.answering.send((number, Err(error)));
            }
        }
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("lookups", &self.lookups)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::limits::{LOOKUP_SLOW_NS, LOOKUPS_MAX};

    fn answer(resolver: &mut Resolver, now: Now) -> Answer {
        loop {
            if let Some(answer) = resolver.poll(now) {
                return answer;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn a_name_is_answered_later_and_anew_each_time() {
        let mut resolver = Resolver::new();
        let now = Now::default();
        assert!(resolver.poll(now).is_none());
        for _ in 0..2 {
            resolver.ask(3, "localhost:8001", now);
            let (number, found) = answer(&mut resolver, now);
            let found = found.expect("it is known everywhere");
            assert_eq!(number, 3);
            assert!(!found.is_empty() && found.iter().all(|it| it.port() == 8001));
        }
    }

    #[test]
    fn names_that_hang_do_not_hold_up_the_others() {
        let (release, held) = sync_channel::<()>(0);
        let held = std::sync::Mutex::new(held);
        let look_up = move |name: &str| {
            if name.starts_with("hangs") {
                // Ends when the test does.
                let _ = held.lock().map(|it| it.recv());
            }
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], 1))])
        };
        let mut resolver = Resolver::by(Arc::new(look_up));
        let mut now = Now::default();
        for number in 0..LOOKUPS_MAX {
            resolver.ask(number, "hangs:1", now);
        }
        resolver.ask(100, "well:1", now);
        assert!(resolver.poll(now).is_none(), "all quick places are taken");
        now.ns += LOOKUP_SLOW_NS;
        assert_eq!(answer(&mut resolver, now).0, 100);
        drop(release);
        let mut answered: Vec<_> = (0..LOOKUPS_MAX)
            .map(|_| answer(&mut resolver, now).0)
            .collect();
        answered.sort_unstable();
        assert!(answered.into_iter().eq(0..LOOKUPS_MAX));
    }
}
