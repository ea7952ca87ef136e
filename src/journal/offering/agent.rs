//! The agent: polls the scheduler and the member's thread, and tells each what the other brought.

use std::sync::Arc;

use super::core::Gathered;
use crate::agent::{Agent, Fatal};
use crate::arena::{EndedLeases, View};
use crate::clock::Now;
use crate::cluster::record::PLACE_LEN;
use crate::cluster::run::link::{AgentLink, Buffers, FromMember, Opened};
use crate::counters::{Counter, Counters};
use crate::journal::format::BATCH_HEADER_LEN;
use crate::journal::protocol::{FromJournal, ToJournal, ToRetention};
use crate::journal::retention::query::{Fate, UnsettledQuery};
use crate::journal::segment::SegmentStarted;
use crate::limits::{CHUNK_LEN, GATHERED_PER_CYCLE};
use crate::message::Sequence;
use crate::ring::{Receiver, Sender};

/// What the agent is made of.
pub(crate) struct OfferingParts {
    pub(crate) from_scheduler: Receiver<ToJournal>,
    pub(crate) to_scheduler: Sender<FromJournal>,
    pub(crate) to_retention: Sender<ToRetention>,
    pub(crate) link: AgentLink,
    pub(crate) view: View,
    pub(crate) next_sequence: Sequence,
    pub(crate) counters: Arc<Counters>,
}

pub(crate) struct OfferingAgent {
    from_scheduler: Receiver<ToJournal>,
    to_scheduler: Sender<FromJournal>,
    to_retention: Sender<ToRetention>,
    link: AgentLink,
    view: View,
    ended_leases: EndedLeases,
    gathered: Gathered,
    /// The next record can be made, with these buffers and so many bytes.
    wanted: Option<(Buffers, usize)>,
    /// Bytes that a record's batches may have, as the member's thread said last.
    len_max: usize,
    /// Goes on when so many settlements are recorded, and what it has to be carried.
    query: Option<(Box<UnsettledQuery>, u64)>,
    /// Of the next message that is not recorded.
    recorded_to: Sequence,
    counters: Arc<Counters>,
}

impl OfferingAgent {
    pub(crate) fn new(parts: OfferingParts) -> Self {
        let last = parts.next_sequence - 1;
        parts.counters.set(Counter::JournalRecorded, last);
        Self {
            from_scheduler: parts.from_scheduler,
            to_scheduler: parts.to_scheduler,
            to_retention: parts.to_retention,
            link: parts.link,
            ended_leases: EndedLeases::new(&parts.view),
            view: parts.view,
            gathered: Gathered::new(parts.next_sequence),
            wanted: None,
            len_max: 0,
            query: None,
            recorded_to: parts.next_sequence,
            counters: parts.counters,
        }
    }

    /// What the member's thread says; each may take an entry to the scheduler and one to retention.
    fn poll_member(&mut self, now: Now) -> usize {
        let mut work_count = 0;
        while self.to_scheduler.has_room(1)
            && self.to_retention.has_room(1)
            && let Some(event) = self.link.from_member.poll()
        {
            work_count += 1;
            match event {
                FromMember::Wanted { buffers, len_max } => {
                    self.wanted = Some((buffers, len_max));
                    self.len_max = len_max;
                }
                FromMember::Opened(opened) => self.on_opened(opened, now),
            }
        }
        work_count
    }

    fn on_opened(&mut self, opened: Opened, now: Now) {
        if let Some(begun) = opened.begun {
            let started = SegmentStarted {
                number: begun.number,
                first_sequence: self.recorded_to,
                time_ms: now.steady_ms(),
                taken: begun.taken,
            };
            send(&mut self.to_retention, ToRetention::Started(started));
        }
        if !opened.is_write {
            return;
        }
        let write = self.gathered.outstanding.pop_front();
        let write = write.expect("each write is opened once");
        self.gathered.recorded += write.settled;
        if write.is_carried {
            self.note_carried(Fate::Recorded(opened.position));
        }
        let counters = &self.counters;
        counters.add(Counter::JournalSettled, write.settled);
        counters.add(Counter::JournalBatches, 1);
        counters.add(Counter::JournalBytes, (PLACE_LEN + write.len) as u64);
        if write.entries == 0 {
            return;
        }
        self.recorded_to = write.first_sequence + u64::from(write.entries);
        counters.set(Counter::JournalRecorded, self.recorded_to - 1);
        let recorded = FromJournal::Recorded {
            first_sequence: write.first_sequence,
            entries: write.entries,
            position: opened.position + (PLACE_LEN + BATCH_HEADER_LEN) as u64,
        };
        send(&mut self.to_scheduler, recorded);
    }

    /// Gathers what the scheduler brings.
    fn poll_scheduler(&mut self) -> usize {
        let is_full = self.is_full();
        let mut work_count = 0;
        while work_count < GATHERED_PER_CYCLE
            && self.gathered.has_room(CHUNK_LEN, is_full)
            && let Some(event) = self.from_scheduler.poll()
        {
            work_count += 1;
            match event {
                ToJournal::Run {
                    lease,
                    first_sequence,
                    entries,
                } => {
                    let bytes = self.view.bytes(&lease);
                    self.gathered.push_run(bytes, first_sequence, entries);
                    self.ended_leases.add(lease);
                }
                ToJournal::Settled(settlement) => self.gathered.push_settlement(settlement),
                ToJournal::Query(query) => self.take_query(query),
            }
        }
        work_count
    }

    /// Of the messages that it has to be carried, those are that its answer names.
    fn take_query(&mut self, mut query: Box<UnsettledQuery>) {
        query.len_max = self.len_max;
        let is_whole = query.reached == query.to;
        if let Some((body, fate)) = &mut query.carry {
            body.retain(&query.words);
            *fate = match (is_whole, body.is_empty()) {
                (false, _) => Fate::Refused,
                (true, true) => Fate::Recorded(0),
                (true, false) => {
                    self.gathered.carry(body.seal());
                    Fate::Wanted
                }
            };
        }
        self.query = Some((query, self.gathered.settled));
    }

    /// What has become of what the query has to be carried.
    fn note_carried(&mut self, became: Fate) {
        if let Some((query, _)) = &mut self.query
            && let Some((_, fate)) = &mut query.carry
        {
            *fate = became;
        }
    }

    /// Makes a record of what is gathered, if one is wanted.
    fn hand_over(&mut self, now: Now) {
        let with_messages = !self.is_full();
        let len_max = self.len_max;
        if self
            .gathered
            .give_up_carried(|len| !with_messages || len > len_max)
        {
            self.note_carried(Fate::Refused);
        }
        if !self.gathered.has_some(with_messages) || !self.link.to_member.has_room(1) {
            return;
        }
        if let Some((mut buffers, len_max)) = self.wanted.take() {
            let gathered = &mut self.gathered;
            let carried = gathered.hand_over_carried(&mut buffers, now);
            let filled =
                carried.unwrap_or_else(|| gathered.hand_over(buffers, len_max, with_messages, now));
            send(&mut self.link.to_member, filled);
        }
    }

    /// The disk has no room: settlements go on, for they free it.
    fn is_full(&self) -> bool {
        self.counters.get(Counter::JournalWaiting) != 0
    }

    /// A query goes on when the settlements that it speaks of are recorded, and what it has to be carried.
    fn pass_query_on(&mut self) {
        let recorded = self.gathered.recorded;
        let is_through = |(query, settled): &mut (Box<UnsettledQuery>, u64)| {
            let carries = matches!(query.carry, Some((_, Fate::Wanted)));
            *settled <= recorded && !carries
        };
        if self.to_retention.has_room(1)
            && let Some((query, _)) = self.query.take_if(is_through)
        {
            send(&mut self.to_retention, ToRetention::Query(query));
        }
    }

    fn return_leases(&mut self) {
        while !self.ended_leases.is_empty()
            && let Some(mut permit) = self.to_scheduler.claim(1)
            && let Some(returned) = self.ended_leases.take()
        {
            permit.send(FromJournal::Returned(returned));
        }
    }
}

/// Sends into a ring of which it is known that it has room.
fn send<T>(ring: &mut Sender<T>, entry: T) {
    let mut permit = ring.claim(1).expect("it was asked before");
    permit.send(entry);
}

impl Agent for OfferingAgent {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn do_work(&mut self, now: Now) -> Result<usize, Fatal> {
        let work_count = self.poll_member(now) + self.poll_scheduler();
        self.hand_over(now);
        self.pass_query_on();
        self.return_leases();
        self.to_scheduler.flush();
        self.to_retention.flush();
        self.link.to_member.flush();
        Ok(work_count)
    }
}
