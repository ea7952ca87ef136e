//! What subscribers send: their lines, and the lookups that these begin.

use std::io;

use super::Subscribers;
use crate::clock::Now;
use crate::delivery::lookup::Lookup;
use crate::delivery::subscriber::{Accepted, Phase, Subscriber};
use crate::limits::{
    LONG_LINES_LEN_MAX, NAMES_PER_CYCLE, SUBSCRIBER_LINE_LEN_MAX, SUBSCRIBER_LONG_READ_LEN_MAX,
    SUBSCRIBER_READ_LEN_MAX,
};
use crate::net::framer::{Framer, Line};
use crate::net::misdirected::Misdirected;
use crate::net::{Key, end_words};

impl Subscribers {
    /// How many may have something to read.
    pub(in crate::delivery) fn readable_count(&self) -> usize {
        self.readable.len()
    }

    /// Has `read` read the socket whose turn it is, and say which names are in its peer's certificate, if that
    /// is not known; zero bytes: the peer has ended its side. Returns the work count; `None`: no socket has
    /// anything to read.
    pub(in crate::delivery) fn read_next(
        &mut self,
        now: Now,
        read: impl FnOnce(Key, &mut [u8], &mut Option<Vec<String>>) -> io::Result<usize>,
    ) -> Option<usize> {
        let key = self.next_readable()?;
        match self.take_lines(key, read, now) {
            Ok(()) => {
                self.queue_read(key);
                self.queue_write(key);
                Some(1)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.queue_write(key);
                Some(0)
            }
            Err(error) => {
                self.end(key, &end_words(&error));
                Some(0)
            }
        }
    }

    fn next_readable(&mut self) -> Option<Key> {
        loop {
            let key = self.readable.pop_front()?;
            match self.table[key].as_mut() {
                Some(subscriber) if subscriber.phase != Phase::Gone => {
                    subscriber.is_queued = false;
                    return Some(key);
                }
                Some(gone) => gone.is_queued = false,
                None => {}
            }
        }
    }

    fn take_lines(
        &mut self,
        key: Key,
        read: impl FnOnce(Key, &mut [u8], &mut Option<Vec<String>>) -> io::Result<usize>,
        now: Now,
    ) -> io::Result<()> {
        let Some(mut subscriber) = self.table[key].take() else {
            return Ok(());
        };
        let read_len_max = match subscriber.framer.partial_len() {
            0 => SUBSCRIBER_READ_LEN_MAX,
            _ => SUBSCRIBER_LONG_READ_LEN_MAX,
        };
        let empty = Framer::new(SUBSCRIBER_LINE_LEN_MAX);
        let mut framer = std::mem::replace(&mut subscriber.framer, empty);
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut turn = framer.turn(&mut buffer);
        let certificate = &mut subscriber.certificate;
        let read = turn.read(read_len_max, |room| read(key, room, certificate));
        // An orderly end ends the last line too: it may be an acknowledgement.
        if matches!(read, Ok(Some(0))) {
            turn.finish();
        }
        while let Some(line) = turn.next_line() {
            self.take_line(key, &mut subscriber, line, now);
            turn.consume();
        }
        turn.suspend();
        (subscriber.framer, self.buffer) = (framer, buffer);
        if read.is_ok() {
            self.note_long(&mut subscriber);
            if !subscriber.is_leaving()
                && let Err(why) = self.check_long(&subscriber)
            {
                self.reject(&mut subscriber, &why, now);
            }
        }
        self.table[key] = Some(subscriber);
        let read_len = read?.unwrap_or_default();
        self.queue_report(key);
        match read_len {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn take_line(&mut self, key: Key, subscriber: &mut Subscriber, line: Line<'_>, now: Now) {
        if subscriber.is_leaving() {
            return;
        }
        let accepted = match line {
            Line::Blank => return,
            Line::Whole(line) | Line::Unterminated(line) => subscriber.on_line(line, now.ns),
            Line::Oversize(_) => Err(format!(
                "the line is longer than {SUBSCRIBER_LINE_LEN_MAX} bytes"
            )),
        };
        match accepted {
            Ok(Accepted::Acknowledge(frames)) => subscriber.report.acknowledged += frames,
            Ok(Accepted::Subscribe(names, token)) => {
                match self.identify(subscriber, token.as_ref(), now) {
                    Ok(()) => self.begin_lookup(key, subscriber, Lookup::of_line(names)),
                    Err(why) => self.reject(subscriber, &why, now),
                }
            }
            Err(why) => match self.redirection(subscriber, line) {
                Some(answer) => self.leave_with(subscriber, answer, now),
                None => self.reject(subscriber, &why, now),
            },
        }
    }

    /// The answer for a peer whose first line shows that it is at the wrong port.
    fn redirection(&self, subscriber: &Subscriber, line: Line<'_>) -> Option<String> {
        match (subscriber.phase, line) {
            (Phase::Greeting(_), Line::Whole(line)) => {
                let peer = Misdirected::of(line)?;
                self.ports.answer_at_delivery(peer)
            }
            _ => None,
        }
    }

    /// Keeps account of a subscriber's unfinished line.
    pub(super) fn note_long(&mut self, subscriber: &mut Subscriber) {
        let partial_len = subscriber.framer.partial_len();
        let is_long = partial_len > SUBSCRIBER_LONG_READ_LEN_MAX;
        let long_len = if is_long { partial_len } else { 0 };
        let before = std::mem::replace(&mut subscriber.long_len, long_len);
        self.long_len = self.long_len - before + long_len;
        if before > 0 && long_len == 0 {
            subscriber.framer.release();
        }
    }

    /// Whether an unfinished line may be so long: only a subscription may, and not too many at once.
    fn check_long(&self, subscriber: &Subscriber) -> Result<(), String> {
        if subscriber.long_len == 0 {
            return Ok(());
        }
        let line = subscriber.framer.partial().trim_ascii_start();
        if line.first() != Some(&b'{') {
            return Err(format!(
                "the line is longer than {SUBSCRIBER_LONG_READ_LEN_MAX} bytes, and no subscription; {}",
                subscriber.expectation()
            ));
        }
        if self.long_len > LONG_LINES_LEN_MAX {
            return Err("too many long lines come at once; send patterns, such as \
                        {\"subscribe\":[\"table*\"]}, or several lines"
                .to_owned());
        }
        Ok(())
    }

    pub(super) fn begin_lookup(&mut self, key: Key, subscriber: &mut Subscriber, lookup: Lookup) {
        if subscriber.lookups.is_empty() {
            self.lookups.push_back(key);
        }
        subscriber.lookups.push_back(lookup);
    }

    /// Goes on with some lookups; returns the work count.
    pub(in crate::delivery) fn look_up(&mut self, now: Now) -> usize {
        let mut left = NAMES_PER_CYCLE;
        let mut work_count = 0;
        for _ in 0..self.lookups.len() {
            if left == 0 {
                break;
            }
            let Some(key) = self.lookups.pop_front() else {
                break;
            };
            let Some(mut subscriber) = self.table[key].take() else {
                continue;
            };
            let found = self.look_up_for(&mut subscriber, left);
            let looked_at = found.unwrap_or_else(|why| {
                self.reject(&mut subscriber, &why, now);
                1
            });
            left = left.saturating_sub(looked_at);
            work_count += looked_at;
            let is_over = subscriber.lookups.is_empty();
            self.table[key] = Some(subscriber);
            if is_over {
                self.queue_read(key);
            } else {
                self.lookups.push_back(key);
            }
            self.queue_write(key);
            self.queue_report(key);
        }
        work_count
    }

    /// Finds some destinations; where all are found, hands some over.
    fn look_up_for(
        &mut self,
        subscriber: &mut Subscriber,
        names_max: usize,
    ) -> Result<usize, String> {
        let Phase::Subscribed { ack } = subscriber.phase else {
            subscriber.lookups.clear();
            return Ok(0);
        };
        let Some(lookup) = subscriber.lookups.front_mut() else {
            return Ok(0);
        };
        let (directory, counters) = (&mut self.destinations, &self.counters);
        let requested = &mut subscriber.requested;
        let looked_at = lookup.find(requested, directory, counters, names_max)?;
        // What was found before goes first.
        if !lookup.is_found() || subscriber.report.subscribe.is_some() {
            return Ok(looked_at);
        }
        let batch = lookup.next_batch(ack);
        if batch.as_ref().is_none_or(|it| it.is_last) {
            subscriber.lookups.pop_front();
        }
        let count = batch.as_ref().map_or(0, |it| it.destinations.len());
        subscriber.report.subscribe = batch;
        Ok(looked_at + count)
    }
}
