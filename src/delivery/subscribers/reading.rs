//! What subscribers send: their lines, and the lookups that these begin.

use std::io;

use super::Subscribers;
use crate::clock::Now;
use crate::counters::Counter;
use crate::delivery::lookup::Lookup;
use crate::delivery::subscriber::{Accepted, Phase, Subscriber};
use crate::limits::{
    LEAVING_NS_MAX, LONG_LINES_LEN_MAX, NAMES_PER_CYCLE, SUBSCRIBER_LINE_LEN_MAX,
    SUBSCRIBER_LONG_READ_LEN_MAX, SUBSCRIBER_READ_LEN_MAX,
};
use crate::net::Key;
use crate::net::framer::Line;

impl Subscribers {
    /// How many may have something to read.
    pub(in crate::delivery) fn readable_count(&self) -> usize {
        self.readable.len()
    }

    /// Whose socket is to be read next, and where to; [`Self::on_read`] follows.
    pub(in crate::delivery) fn next_read(&mut self) -> Option<(Key, &mut [u8])> {
        let key = loop {
            let key = self.readable.pop_front()?;
            match self.table[key].as_mut() {
                Some(subscriber) if subscriber.phase != Phase::Gone => {
                    subscriber.is_queued = false;
                    break key;
                }
                Some(gone) => gone.is_queued = false,
                None => {}
            }
        };
        let subscriber = self.table[key].as_mut()?;
        let kept = subscriber.framer.restore(&mut self.buffer);
        let read_len_max = match kept {
            0 => SUBSCRIBER_READ_LEN_MAX,
            _ => SUBSCRIBER_LONG_READ_LEN_MAX,
        };
        Some((key, &mut self.buffer[kept..kept + read_len_max]))
    }

    /// What [`Self::next_read`] has led to; zero bytes: the peer has ended its side. Returns the work
    /// count.
    pub(in crate::delivery) fn on_read(
        &mut self,
        key: Key,
        read: io::Result<usize>,
        now: Now,
    ) -> usize {
        let result = match read {
            Ok(len) => self.take_lines(key, len, now),
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => {
                self.queue_read(key);
                self.queue_write(key);
                1
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.queue_write(key);
                0
            }
            Err(_) => {
                self.end(key);
                0
            }
        }
    }

    fn take_lines(&mut self, key: Key, read_len: usize, now: Now) -> io::Result<()> {
        let Some(mut subscriber) = self.table[key].take() else {
            return Ok(());
        };
        let filled = subscriber.framer.partial_len() + read_len;
        while let Some(line) = subscriber.framer.next_line(&self.buffer[..filled]) {
            self.take_line(key, &mut subscriber, &line, now);
        }
        // An orderly end ends the last line too: it may be an acknowledgement.
        if read_len == 0
            && let Some(line) = subscriber.framer.finish(&self.buffer[..filled])
        {
            self.take_line(key, &mut subscriber, &line, now);
        }
        subscriber.framer.keep(&self.buffer[..filled]);
        self.note_long(&mut subscriber);
        if !subscriber.is_leaving()
            && let Err(why) = self.check_long(&subscriber)
        {
            self.reject(&mut subscriber, &why, now);
        }
        self.table[key] = Some(subscriber);
        self.queue_report(key);
        match read_len {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn take_line(&mut self, key: Key, subscriber: &mut Subscriber, line: &Line, now: Now) {
        if subscriber.is_leaving() {
            return;
        }
        let accepted = match line {
            Line::Blank => return,
            Line::Whole(range) => subscriber.on_line(&self.buffer[range.clone()], now.ns),
            Line::Oversize(_) => Err(format!(
                "the line is longer than {SUBSCRIBER_LINE_LEN_MAX} bytes"
            )),
        };
        match accepted {
            Ok(Accepted::Acknowledge(frames)) => subscriber.report.acknowledged += frames,
            Ok(Accepted::Subscribe(names)) => {
                self.begin_lookup(key, subscriber, Lookup::of_line(names));
            }
            Err(why) => self.reject(subscriber, &why, now),
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

    /// Says what is wrong, and lets the subscriber read that before it is closed.
    pub(super) fn reject(&self, subscriber: &mut Subscriber, why: &str, now: Now) {
        self.counters.add(Counter::SubscriberErrors, 1);
        subscriber.lookups.clear();
        subscriber.phase = Phase::Leaving(now.ns + LEAVING_NS_MAX);
        let line = serde_json::json!({ "error": why });
        subscriber.outbox.push_line(line.to_string());
    }

    fn begin_lookup(&mut self, key: Key, subscriber: &mut Subscriber, lookup: Lookup) {
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
