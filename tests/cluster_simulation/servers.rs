//! The stream and its servers: messages with numbers, the two expectations, and an end that may be lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use flipped_lb::cluster::core::{Answer, Message, Publish};
use flipped_lb::cluster::record::Record;

use crate::batches::{Order, orders};

#[derive(Debug, Default)]
pub struct Servers {
    pub messages: Vec<Message>,
    /// The last message that there ever was.
    pub highest: u64,
    /// Those before this sequence were purged; 0: none was.
    pub first: u64,
    /// The subject's sequence is not looked at.
    pub is_broken: bool,
    /// Nobody answers until then; a majority is away.
    pub down_until_us: u64,
    /// One of them is blank until then, and may be the one that answers.
    pub blank_until_us: u64,
    /// Orders of messages that were lost after they had been confirmed.
    pub lost: BTreeSet<Order>,
}

impl Servers {
    pub fn last(&self) -> u64 {
        self.messages.len() as u64
    }

    /// Where the stream begins.
    pub fn first(&self) -> u64 {
        self.first.max(1)
    }

    /// Removes the messages before this one.
    pub fn purge(&mut self, before: u64) {
        self.first = self.first.max(before.min(self.last() + 1));
    }

    /// Whether the expectations of a publish hold.
    pub fn expects_rightly(&self, publish: &Publish) -> bool {
        let on_subject = self
            .messages
            .iter()
            .rev()
            .find(|it| it.subject == publish.expected_subject)
            .filter(|it| it.sequence >= self.first());
        let on_subject = on_subject.map_or(0, |it| it.sequence);
        self.last() == publish.expected_last
            && (self.is_broken || on_subject == publish.expected_last)
    }

    /// Stores a message at the end, wherever that is.
    pub fn store(&mut self, subject: &Arc<str>, bytes: &Arc<[u8]>) -> u64 {
        self.messages.push(Message {
            sequence: self.last() + 1,
            subject: Arc::clone(subject),
            bytes: Arc::clone(bytes),
        });
        self.highest = self.highest.max(self.last());
        self.last()
    }

    /// Whether all that was lost is put back.
    pub fn has_all(&self) -> bool {
        self.last() >= self.highest
    }

    /// The servers that come back know so many messages less.
    pub fn lose(&mut self, count: usize) {
        let keep = self.messages.len().saturating_sub(count);
        let keep = keep.max(self.first() as usize);
        for message in self.messages.drain(keep.min(self.messages.len())..) {
            self.lost.extend(orders(&message.bytes));
        }
    }

    /// Whether this message is no record.
    pub fn is_foreign(&self, sequence: u64) -> bool {
        let message = self.messages.get(sequence as usize - 1);
        message.is_some_and(|it| Record::decode(&it.bytes).is_err())
    }

    /// What a leader says that knows the last `unknown` messages not.
    pub fn answer(&self, n: u64, unknown: u64) -> Answer {
        let last = self.last().saturating_sub(unknown);
        let find = |sequence: u64| {
            let at = usize::try_from(sequence.checked_sub(1)?).ok()?;
            self.messages
                .get(at)
                .filter(|it| it.sequence <= last && it.sequence >= self.first())
                .cloned()
        };
        Answer {
            bounds: Some((self.first(), last)),
            at: find(n),
            next: find(n + 1),
        }
    }
}
