//! A destination whose messages are published to NATS: a subscriber of the engine that acknowledges
//! what a stream has answered for.
//!
//! ```text
//! delivery --frames, over a socket pair--> [ outgoing ] --publish--> subject of a stream
//!          <--{"ack":N}------------------- [          ] <--PubAck---
//! ```
//! Credit, order, redelivery and isolation are those of any subscriber that acknowledges. A pattern is
//! one subscriber for all destinations that fit, with a subject each. Acknowledgements count from the first
//! frame on, so one destination that its stream refuses would hold up the others of its pattern: it is set
//! aside, see `aside`. A session ends with its connection to the server: what was not acknowledged is
//! published again, unless its stream is known to have it, and else its stream knows it by `Nats-Msg-Id`.

mod aside;
mod frame;
mod outgoing;
mod publish;
mod stuck;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;

use async_nats::Client;
use futures_util::future::{self, Either, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use self::aside::{Asides, Refused, first_alone};
use self::frame::{Fields, Line, Word};
use self::outgoing::{Next, Outgoing};
use self::publish::{Publish, publish, publish_once};
pub(super) use self::stuck::StuckAfter;
use super::connect::{Complaint, connect};
use super::link::Link;
use super::rights::Rights;
use crate::access::{Token, first_line};
use crate::config::Nats;
use crate::config::nats::subject_of;
use crate::counters::Counter;
use crate::limits::{NATS_ANSWER_MAX, NATS_ASIDE_AFTER, NATS_ASIDE_IDLE, UNACKNOWLEDGED_MAX};
use crate::message::frame_mark::{FrameMark, FrameMarker, FrameMarks};
use crate::net::bridge::{Bridge, LineReader};
use crate::net::local::LocalConnector;

/// Whose messages a customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    One,
    /// All destinations that fit.
    Pattern,
    /// One destination of a pattern, set aside.
    Aside,
}

/// Whose messages are published, and how.
pub(super) struct Customer {
    /// Its id, or the pattern of ids.
    pub(super) id: String,
    pub(super) scope: Scope,
    pub(super) nats: Nats,
    pub(super) delivery: LocalConnector,
    /// What the engine's own user shows, where there are users.
    pub(super) token: Option<Token>,
    pub(super) link: Link,
    /// Without an answer for so long, it gives its messages back.
    pub(super) stuck_after: StuckAfter,
    /// Nothing more is published from then on, and what was published is answered.
    pub(super) stop: watch::Receiver<bool>,
}

/// One `[[destination]]` with `nats`, from session to session.
pub(super) struct Destination {
    customer: Rc<Customer>,
    asides: Asides,
    outgoing: Outgoing<Publish>,
    marker: FrameMarker,
    /// What its streams have of what the engine will hand out again.
    published: FrameMarks,
}

/// How a session ended that did not fail.
#[derive(Debug)]
enum Ended {
    /// The engine has ended its side.
    Closed,
    /// This destination of the pattern is to be set aside.
    Refused(String),
    /// It was set aside, and has nothing to publish any more.
    Idle,
}

/// A connection at work.
struct Relay<'a> {
    of: &'a Customer,
    client: &'a Client,
    complaint: &'a Complaint,
    bridge: &'a Bridge,
    asides: &'a Asides,
    outgoing: &'a mut Outgoing<Publish>,
    marker: &'a FrameMarker,
    published: &'a mut FrameMarks,
    /// So many frames come that may have been seen.
    again: u64,
    /// Each ends when a stream has its message.
    unanswered: FuturesUnordered<LocalBoxFuture<'a, (u64, String)>>,
    /// The unanswered ones that were refused, by number.
    refused: Rc<RefCell<BTreeMap<u64, Refused>>>,
    answered_at: Option<Instant>,
    progress_at: Instant,
    /// Is told when the engine has subscribed it.
    subscribed: Option<oneshot::Sender<()>>,
    stop: watch::Receiver<bool>,
}

/// What a connection waits for.
enum Event {
    /// `None`: the engine has ended its side.
    Line(std::io::Result<Option<Vec<u8>>>),
    /// A stream has this frame, of this subject.
    Answered(u64, String),
    Stop,
}

impl Customer {
    /// Who the subscriber is to the log and to `/stats`: the first server.
    async fn peer(&self) -> SocketAddr {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let servers = self.nats.servers.as_ref();
        let Some(address) = servers.and_then(|it| it.addresses.first()) else {
            return unknown;
        };
        let found = tokio::net::lookup_host(address).await;
        found.ok().and_then(|mut it| it.next()).unwrap_or(unknown)
    }
}

impl Destination {
    pub(super) fn new(customer: Customer) -> Self {
        Self {
            customer: Rc::new(customer),
            asides: Asides::default(),
            outgoing: Outgoing::default(),
            marker: FrameMarker::default(),
            published: FrameMarks::default(),
        }
    }

    pub(super) fn link(&self) -> &Link {
        &self.customer.link
    }

    /// Connects, publishes until the connection or the engine's side ends; why it ended.
    pub(super) async fn session(&mut self) -> Result<(), String> {
        loop {
            match self.connection(None).await? {
                Ended::Closed | Ended::Idle => return Ok(()),
                Ended::Refused(destination) => self.link().set_aside(&destination),
            }
        }
    }

    /// One connection to the server and one to the engine.
    async fn connection(
        &mut self,
        subscribed: Option<oneshot::Sender<()>>,
    ) -> Result<Ended, String> {
        self.remember();
        let of = &*self.customer;
        let rights = Rights::of_destination(&of.nats, &of.id);
        let mut connection = connect(&of.nats, of.link.name(), &rights).await?;
        let (client, complaint) = (connection.client.clone(), connection.complaint());
        let failed = |why: std::io::Error| format!("no connection to delivery: {why}");
        let bridge = Bridge::connect(&of.delivery, of.peer().await).map_err(failed)?;
        let line = first_line::subscription(&of.id, of.token.as_ref());
        bridge.write_all(line.as_bytes()).await.map_err(failed)?;
        let relay = Relay {
            of,
            client: &client,
            complaint: &complaint,
            bridge: &bridge,
            asides: &self.asides,
            outgoing: &mut self.outgoing,
            marker: &self.marker,
            published: &mut self.published,
            again: 0,
            unanswered: FuturesUnordered::new(),
            refused: Rc::default(),
            answered_at: None,
            progress_at: Instant::now(),
            subscribed,
            stop: of.stop.clone(),
        };
        let ended = match future::select(pin!(connection.ended()), pin!(relay.run())).await {
            Either::Left((why, _)) => Err(why),
            Either::Right((ended, _)) => ended,
        };
        if let Ok(Ended::Refused(destination)) = &ended {
            // It stands by before this connection goes, so that it is next.
            self.asides.begin(&self.customer, destination).await;
        }
        ended
    }

    /// What an earlier connection has published and could not acknowledge is not published again.
    fn remember(&mut self) {
        let outgoing = std::mem::take(&mut self.outgoing);
        if self.published.len() >= UNACKNOWLEDGED_MAX as usize {
            self.published.clear();
        }
        outgoing
            .answered_marks()
            .for_each(|it| self.published.add(it));
    }
}

impl Relay<'_> {
    async fn run(mut self) -> Result<Ended, String> {
        let mut reader = LineReader::default();
        loop {
            match self.next(&mut reader).await {
                Some(Event::Stop) => {
                    self.finish_unanswered().await?;
                    self.bridge.shut_down();
                    return Ok(Ended::Closed);
                }
                Some(Event::Line(line)) => {
                    let line = line.map_err(|why| format!("delivery is gone: {why}"))?;
                    let Some(line) = line else {
                        return self.closed();
                    };
                    self.take(line).await?;
                }
                Some(Event::Answered(number, subject)) => {
                    self.refused.borrow_mut().remove(&number);
                    self.answered_at = Some(Instant::now());
                    let next = self.outgoing.answered(number, subject);
                    self.begin(next);
                    self.acknowledge().await?;
                }
                None if self.unanswered.is_empty() && self.of.scope == Scope::Aside => {
                    return Ok(Ended::Idle);
                }
                None if self.unanswered.is_empty() => self.progress_at = Instant::now(),
                None => {}
            }
            if let Some((at, destination)) = self.next_aside()
                && at <= Instant::now()
            {
                self.finish_unanswered().await?;
                return Ok(Ended::Refused(destination));
            }
            if !self.unanswered.is_empty() && Instant::now() >= self.stuck_at() {
                return Err(self.stuck());
            }
        }
    }

    /// What happens next; `None`: it is time to look.
    async fn next(&mut self, reader: &mut LineReader) -> Option<Event> {
        let until = self.look_at();
        let line = pin!(reader.next(self.bridge));
        let answered = pin!(async {
            match self.unanswered.next().await {
                Some(answered) => answered,
                None => future::pending().await,
            }
        });
        // An error says that the thread has ended.
        let stop = pin!(self.stop.wait_for(|it| *it));
        let event = future::select(stop, future::select(line, answered));
        Some(match tokio::time::timeout_at(until, event).await.ok()? {
            Either::Left((_, _)) => Event::Stop,
            Either::Right((Either::Left((line, _)), _)) => Event::Line(line),
            Either::Right((Either::Right(((number, subject), _)), _)) => {
                Event::Answered(number, subject)
            }
        })
    }

    /// Before the connection goes, for one that is refused or for good: what of the others is on its way is waited for, or
    /// it would be published twice where the stream's duplicate window is short.
    async fn finish_unanswered(&mut self) -> Result<(), String> {
        let until = Instant::now() + NATS_ANSWER_MAX;
        while self.unanswered.len() > self.refused.borrow().len() {
            let answered = tokio::time::timeout_at(until, self.unanswered.next()).await;
            let Ok(Some((number, subject))) = answered else {
                break;
            };
            self.refused.borrow_mut().remove(&number);
            // What is next of its subject waits for the next connection.
            self.outgoing.answered(number, subject);
            self.acknowledge().await?;
        }
        Ok(())
    }

    fn stuck_at(&self) -> Instant {
        self.progress_at + self.of.stuck_after.get()
    }

    /// When to look at what did not happen.
    fn look_at(&self) -> Instant {
        if self.unanswered.is_empty() && self.of.scope == Scope::Aside {
            return Instant::now() + NATS_ASIDE_IDLE;
        }
        let aside_at = self.next_aside().map_or(self.stuck_at(), |it| it.0);
        aside_at.min(self.stuck_at())
    }

    /// The first destination of the pattern that is refused while others are answered, and when it is to
    /// be set aside.
    fn next_aside(&self) -> Option<(Instant, String)> {
        if self.of.scope != Scope::Pattern || !self.asides.has_room() {
            return None;
        }
        let refused = self.refused.borrow();
        let first = first_alone(refused.values(), self.answered_at?)?;
        Some((first.since + NATS_ASIDE_AFTER, first.destination.clone()))
    }

    fn closed(&self) -> Result<Ended, String> {
        match self.outgoing.is_empty() {
            true => Ok(Ended::Closed),
            false => Err("delivery has closed the connection".to_owned()),
        }
    }

    /// What it waits for was told when it was found; the link has it still.
    fn stuck(&self) -> String {
        let why = self.of.link.why();
        let seconds = self.of.stuck_after.get().as_secs();
        why.unwrap_or_else(|| format!("no stream has answered for {seconds} s"))
    }

    async fn take(&mut self, line: Vec<u8>) -> Result<(), String> {
        let parsed = Line::parse(&line);
        let parsed =
            parsed.map_err(|why| format!("a line of delivery is not understood: {why}"))?;
        match parsed {
            Line::Word(word) => self.hear(word),
            Line::Frame(fields) => {
                let mark = self.marker.mark(&line);
                let may_be_known = self.again > 0;
                self.again = self.again.saturating_sub(1);
                if may_be_known && self.published.take(mark) {
                    self.outgoing.add_answered(mark);
                    return self.acknowledge().await;
                }
                let (subject, headers) =
                    (self.subject(&fields), fields.headers(&self.of.nats.headers));
                let frame = line;
                let message = Publish { headers, frame };
                self.send(mark, subject, message).await
            }
        }
    }

    fn subject(&self, fields: &Fields<'_>) -> String {
        let template = self.of.nats.subject.as_deref().unwrap_or_default();
        subject_of(template, &fields.destination_id)
    }

    fn hear(&mut self, word: Word) -> Result<(), String> {
        if let Some(why) = word.error {
            return Err(format!("delivery has closed the connection: {why}"));
        }
        if let Some(count) = word.again {
            self.again = count;
            return Ok(());
        }
        if let Some(subscribed) = self.subscribed.take() {
            let _ = subscribed.send(());
            return Ok(());
        }
        let others = word.standby.iter().find(|it| !self.asides.has(it));
        match others {
            Some(id) => {
                let why = format!("another subscriber takes the messages of {id}");
                self.of.link.waits(&why);
            }
            None => self.of.link.begins(),
        }
        Ok(())
    }

    async fn send(
        &mut self,
        mark: FrameMark,
        subject: String,
        message: Publish,
    ) -> Result<(), String> {
        if self.unanswered.is_empty() {
            self.progress_at = Instant::now();
        }
        let Some(next) = self.outgoing.add(mark, subject, message) else {
            return Ok(());
        };
        if !self.of.nats.at_most_once {
            self.begin(Some(next));
            return Ok(());
        }
        publish_once(self.client, &next.subject, next.message).await?;
        self.of.link.works();
        self.of.link.count(Counter::NatsPublished);
        self.of.link.acknowledged(1);
        let none = self.outgoing.answered(next.number, next.subject);
        debug_assert!(none.is_none(), "each is answered at once");
        self.acknowledge().await
    }

    /// Publishes what is next of a subject.
    fn begin(&mut self, next: Option<Next<Publish>>) {
        let Some(Next {
            number,
            subject,
            message,
        }) = next
        else {
            return;
        };
        let (client, told) = (self.client, (&self.of.link, self.complaint));
        let all_refused = Rc::clone(&self.refused);
        self.unanswered.push(Box::pin(async move {
            let refused = || {
                let mut all = all_refused.borrow_mut();
                all.entry(number)
                    .or_insert_with(|| Refused::now(&message.frame));
            };
            publish(client, &subject, &message, told, refused).await;
            (number, subject)
        }));
    }

    async fn acknowledge(&mut self) -> Result<(), String> {
        let Some(count) = self.outgoing.acknowledge() else {
            return Ok(());
        };
        self.progress_at = Instant::now();
        let line = format!("{{\"ack\":{count}}}\n");
        let written = self.bridge.write_all(line.as_bytes()).await;
        written.map_err(|why| format!("delivery is gone: {why}"))
    }
}
