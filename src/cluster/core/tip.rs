//! The last message of the stream that a member knows, and the rule by which the next one counts.
//!
//! A record counts if it is whole, of this group, on its term's subject, given the sequence that it names,
//! behind the last record that counts, and of the present term - or a claim of the next epoch. All else is
//! void. The rule looks at nothing but the stream: each member finds the same.

use std::fmt;
use std::sync::Arc;

use super::event::Message;
use crate::cluster::record::{
    Announcement, Before, Kind, Place, Record, RecordError, Term, next_segment, position_of,
};
use crate::journal::format::Position;

/// The subject of the records of a term.
pub(crate) fn subject_of(group: &str, term: Term) -> Arc<str> {
    format!("flb_journal.{group}.{term}").into()
}

/// Subject and bytes of a message that stands in for a void one where the stream is mended or made anew.
pub(crate) fn filler(group: &str) -> (Arc<str>, Arc<[u8]>) {
    let subject = format!("flb_journal.{group}.void");
    (subject.into(), Arc::from(&b"void"[..]))
}

/// The last record that counts.
#[derive(Debug, Clone)]
pub(super) struct Last {
    pub(super) place: Place,
    pub(super) bytes: Arc<[u8]>,
    pub(super) said: Option<Announcement>,
}

/// The end of the stream as this member knows it.
#[derive(Debug, Clone)]
pub(super) struct Tip {
    group_name: Arc<str>,
    segment_len: u64,
    /// Sequence and subject of the last message, void or not.
    pub(super) sequence: u64,
    pub(super) subject: Arc<str>,
    pub(super) last: Option<Last>,
    /// The stream's beginning was purged before this member came: any record may be its first.
    pub(super) begins_inside: bool,
}

/// Why a message counts for nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Void {
    NoRecord(RecordError),
    Group,
    Subject,
    Sequence(u64),
    Predecessor,
    Term(Term),
    BehindGoodbye,
    NoClaim,
}

impl fmt::Display for Void {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord(error) => write!(f, "it is no record: {error}"),
            Self::Group => f.write_str("it is another group's"),
            Self::Subject => f.write_str("it is not on its term's subject"),
            Self::Sequence(it) => write!(f, "it was made for sequence {it}"),
            Self::Predecessor => f.write_str("it was made behind another record"),
            Self::Term(it) => write!(f, "its term {it} is not the present one"),
            Self::BehindGoodbye => f.write_str("its term has ended with a goodbye"),
            Self::NoClaim => f.write_str("a stream begins with a claim"),
        }
    }
}

/// What a message is.
#[derive(Debug)]
pub(super) enum Classified {
    /// It counts.
    Record(Place, Option<Announcement>),
    /// It counts for nobody.
    Void(Void),
    /// It counts, but this member cannot take it.
    Refused(String),
}

impl Tip {
    /// Nothing is known.
    pub(super) fn new(group_name: Arc<str>, segment_len: u64) -> Self {
        Self {
            subject: group_name.clone(),
            group_name,
            segment_len,
            sequence: 0,
            last: None,
            begins_inside: false,
        }
    }

    /// What the files end with, if that is a record.
    pub(super) fn behind(&self, bytes: &Arc<[u8]>) -> Option<Self> {
        let record = Record::decode(bytes).ok()?;
        let mut tip = Self::new(Arc::clone(&self.group_name), self.segment_len);
        tip.take(record.place, record.announcement.clone(), bytes);
        Some(tip)
    }

    /// The record counts.
    pub(super) fn take(&mut self, place: Place, said: Option<Announcement>, bytes: &Arc<[u8]>) {
        self.sequence = place.sequence;
        self.subject = subject_of(&self.group_name, place.term);
        // A term's announcement holds until another one is made.
        let said = said.or_else(|| self.last.take().and_then(|it| it.said));
        self.last = Some(Last {
            place,
            bytes: Arc::clone(bytes),
            said,
        });
    }

    /// The message behind is void.
    pub(super) fn pass(&mut self, message: &Message) {
        self.sequence = message.sequence;
        self.subject = Arc::clone(&message.subject);
    }

    pub(super) fn group(&self) -> Option<u128> {
        self.last.as_ref().map(|it| it.place.group)
    }

    /// Where the journal ends.
    pub(super) fn end(&self) -> Position {
        let last = self.last.as_ref();
        last.map_or(0, |it| it.place.position + it.bytes.len() as u64)
    }

    pub(super) fn term(&self) -> Term {
        self.last
            .as_ref()
            .map_or(Term::default(), |it| it.place.term)
    }

    /// The term of the next claim, by this process.
    pub(super) fn next_term(&self, random: u64) -> Term {
        Term {
            epoch: self.term().epoch + 1,
            random,
        }
    }

    pub(super) fn before(&self) -> Before {
        let last = self.last.as_ref();
        last.map_or(Before::default(), |it| it.place.as_before())
    }

    /// Whether a message of sequence [`Tip::sequence`] is the one that this member has there.
    pub(super) fn is_own(&self, message: &Message) -> bool {
        match &self.last {
            Some(last) if last.place.sequence == self.sequence => message.bytes == last.bytes,
            // A void message is as good as another: it counts for nobody.
            _ => message.sequence == self.sequence && !self.counts(message),
        }
    }

    /// Whether a message is the last record, or counts for nobody behind it.
    pub(super) fn is_own_or_void(&self, message: &Message) -> bool {
        match &self.last {
            Some(last) if last.place.sequence == message.sequence => message.bytes == last.bytes,
            _ => !self.counts(message),
        }
    }

    /// Whether a message behind the last record counts for nobody.
    pub(super) fn is_void_at(&self, message: &Message) -> bool {
        !self.counts(message)
    }

    fn counts(&self, message: &Message) -> bool {
        !matches!(self.classify(message), Classified::Void(_))
    }

    /// What the message behind is.
    pub(super) fn classify(&self, message: &Message) -> Classified {
        let record = match Record::decode(&message.bytes) {
            Ok(record) => record,
            Err(error @ RecordError::Format(_)) => {
                return Classified::Refused(format!(
                    "message {} of the stream: {error}",
                    message.sequence
                ));
            }
            Err(error) => return Classified::Void(Void::NoRecord(error)),
        };
        if let Some(void) = self.void(message, &record) {
            return Classified::Void(void);
        }
        match self.refusal(&record, message.bytes.len()) {
            Some(words) => Classified::Refused(words),
            None => Classified::Record(record.place, record.announcement),
        }
    }

    fn void(&self, message: &Message, record: &Record<'_>) -> Option<Void> {
        let place = &record.place;
        if self.group().is_some_and(|it| it != place.group) {
            return Some(Void::Group);
        }
        if place.sequence != message.sequence {
            return Some(Void::Sequence(place.sequence));
        }
        if subject_of(&self.group_name, place.term) != message.subject {
            return Some(Void::Subject);
        }
        let Some(last) = &self.last else {
            let is_first = place.before == Before::default() && place.term.epoch == 1;
            let is_first = is_first && place.kind == Kind::Claim;
            return (!is_first && !self.begins_inside).then_some(Void::NoClaim);
        };
        if place.before != last.place.as_before() {
            return Some(Void::Predecessor);
        }
        let is_claim = place.kind == Kind::Claim
            && Some(place.term.epoch) == last.place.term.epoch.checked_add(1);
        let is_present = place.kind != Kind::Claim && place.term == last.place.term;
        if is_present && last.place.kind == Kind::Goodbye {
            return Some(Void::BehindGoodbye);
        }
        (!is_claim && !is_present).then_some(Void::Term(place.term))
    }

    /// Why this member cannot write what counts.
    fn refusal(&self, record: &Record<'_>, len: usize) -> Option<String> {
        if let Some(said) = &record.announcement
            && said.segment_len != self.segment_len
        {
            return Some(format!(
                "{} has segments of {} bytes, this member of {}: set journal.segment alike on all members",
                said.node, said.segment_len, self.segment_len
            ));
        }
        let (end, at) = (self.end(), record.place.position);
        let fits = at == position_of(end, len, self.segment_len)
            || at == next_segment(end, self.segment_len)
            || self.last.is_none();
        (!fits).then(|| {
            format!("a record for position {at} came where this member's journal ends at {end}")
        })
    }
}
