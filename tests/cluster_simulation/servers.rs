//! The stream and its servers: messages with numbers, the two expectations, and an end that may be lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use flipped_lb::cluster::core::{Answer, Message, Publish};
use flipped_lb::cluster::record::{Place, Record};

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

    /// Nothing is left from this message on.
    pub fn lose_from(&mut self, sequence: u64) {
        let lost = self.messages.drain(sequence as usize - 1..);
        self.lost.extend(lost.flat_map(|it| orders(&it.bytes)));
        self.first = self.first.min(sequence);
    }

    /// Whether the stream has a record from this message on that a new member could come to: the one before is there,
    /// or purged.
    pub fn has_record_from(&self, sequence: u64) -> bool {
        let from = sequence.max(self.first());
        (from..=self.last()).any(|it| {
            let before = self.record_at(it).map(|it| it.before.sequence);
            before.is_some_and(|it| it < self.first() || self.record_at(it).is_some())
        })
    }

    /// The place of a record that stands at it.
    fn record_at(&self, sequence: u64) -> Option<Place> {
        let message = self.messages.get(sequence as usize - 1)?;
        let place = Record::decode(&message.bytes).ok()?.place;
        (place.sequence == sequence).then_some(place)
    }

    /// Somebody makes the stream of these messages, the first of which has this place.
    pub fn make_anew(&mut self, first: u64, messages: impl Iterator<Item = (Arc<str>, Arc<[u8]>)>) {
        self.messages.truncate(first as usize - 1);
        self.first = first;
        let purged: (Arc<str>, Arc<[u8]>) = ("purged".into(), Arc::from([]));
        while self.last() + 1 < first {
            self.store(&purged.0, &purged.1);
        }
        for (subject, bytes) in messages {
            orders(&bytes).iter().for_each(|it| {
                self.lost.remove(it);
            });
            self.store(&subject, &bytes);
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
