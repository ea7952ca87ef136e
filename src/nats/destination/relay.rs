//! One connection at work: frames of the engine to subjects, and answers of streams to acknowledgements.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;

use async_nats::Client;
use futures_util::future::{self, Either, LocalBoxFuture};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::aside::{Asides, Refused, first_alone};
use super::customer::{Customer, Scope};
use super::frame::{Fields, Line, Word};
use super::outgoing::{Next, Outgoing};
use super::publish::{Publish, publish, publish_once};
use crate::config::nats::subject_of;
use crate::counters::Counter;
use crate::limits::{NATS_ANSWER_MAX, NATS_ASIDE_AFTER, NATS_ASIDE_IDLE};
use crate::message::frame_mark::{FrameMark, FrameMarker, FrameMarks};
use crate::nats::connect::LastError;
use crate::net::bridge::{Bridge, LineReader};

/// How a connection ended that did not fail.
#[derive(Debug)]
pub(super) enum Ended {
    /// The engine has ended its side.
    Closed,
    /// This destination of the pattern is to be set aside.
    Refused(String),
    /// It was set aside, and has nothing to publish any more.
    Idle,
}

/// What a connection works with.
pub(super) struct Parts<'a> {
    pub(super) of: &'a Customer,
    pub(super) client: &'a Client,
    pub(super) last_error: &'a LastError,
    pub(super) bridge: &'a Bridge,
    pub(super) asides: &'a Asides,
    pub(super) outgoing: &'a mut Outgoing<Publish>,
    pub(super) marker: &'a FrameMarker,
    /// What streams have of what the engine hands out again.
    pub(super) published: &'a mut FrameMarks,
}

/// A connection at work.
pub(super) struct Relay<'a> {
    parts: Parts<'a>,
    /// So many frames come that may have been seen.
    again: u64,
    /// Each ends when a stream has its message.
    unanswered: FuturesUnordered<LocalBoxFuture<'a, (u64, String)>>,
    /// The unanswered ones that were refused, by number.
    refused: Rc<RefCell<BTreeMap<u64, Refused>>>,
    answered_at: Option<Instant>,
    /// When something was acknowledged, or the first of the unanswered was published.
    progress_at: Instant,
    /// When the engine or a stream said something.
    heard_at: Instant,
    /// Is told when the engine has subscribed it.
    subscribed: Option<oneshot::Sender<()>>,
    stop: watch::Receiver<bool>,
}

/// What ends a connection when its time has come.
#[derive(Debug)]
enum Deadline {
    /// This destination of the pattern is refused while others are answered.
    Refused(String),
    /// No stream has answered for too long.
    Stuck,
    /// What was set aside has nothing to publish.
    Idle,
}

/// What a connection waits for.
enum Event {
    /// `None`: the engine has ended its side.
    Line(std::io::Result<Option<Vec<u8>>>),
    /// A stream has this frame, of this subject.
    Answered(u64, String),
    Stop,
}

impl<'a> Relay<'a> {
    pub(super) fn new(parts: Parts<'a>, subscribed: Option<oneshot::Sender<()>>) -> Self {
        let (now, stop) = (Instant::now(), parts.of.stop.clone());
        Self {
            parts,
            again: 0,
            unanswered: FuturesUnordered::new(),
            refused: Rc::default(),
            answered_at: None,
            progress_at: now,
            heard_at: now,
            subscribed,
            stop,
        }
    }

    /// Publishes until the engine's side ends, or a deadline comes.
    pub(super) async fn run(mut self) -> Result<Ended, String> {
        let mut reader = LineReader::default();
        loop {
            let deadline = self.deadline();
            let at = deadline.as_ref().map(|it| it.0);
            if let Some((at, what)) = deadline
                && at <= Instant::now()
            {
                return self.end(what).await;
            }
            let Some(event) = self.next(&mut reader, at).await else {
                continue;
            };
            self.heard_at = Instant::now();
            match event {
                Event::Stop => {
                    self.finish_unanswered().await?;
                    self.parts.bridge.shut_down();
                    return Ok(Ended::Closed);
                }
                Event::Line(line) => {
                    let line = line.map_err(|why| format!("delivery is gone: {why}"))?;
                    let Some(line) = line else {
                        return self.closed();
                    };
                    self.take(line).await?;
                }
                Event::Answered(number, subject) => {
                    self.refused.borrow_mut().remove(&number);
                    self.answered_at = Some(self.heard_at);
                    let next = self.parts.outgoing.answered(number, subject);
                    self.begin(next);
                    self.acknowledge().await?;
                }
            }
        }
    }

    /// What happens next; `None`: the deadline has come.
    async fn next(&mut self, reader: &mut LineReader, deadline: Option<Instant>) -> Option<Event> {
        let line = pin!(reader.next(self.parts.bridge));
        let answered = pin!(async {
            match self.unanswered.next().await {
                Some(answered) => answered,
                None => future::pending().await,
            }
        });
        // An error says that the thread has ended.
        let stop = pin!(self.stop.wait_for(|it| *it));
        let event = future::select(stop, future::select(line, answered));
        let event = match deadline {
            Some(at) => tokio::time::timeout_at(at, event).await.ok()?,
            None => event.await,
        };
        Some(match event {
            Either::Left((_, _)) => Event::Stop,
            Either::Right((Either::Left((line, _)), _)) => Event::Line(line),
            Either::Right((Either::Right(((number, subject), _)), _)) => {
                Event::Answered(number, subject)
            }
        })
    }

    /// What ends the connection unless something happens before; `None`: nothing does, for nothing is unanswered.
    fn deadline(&self) -> Option<(Instant, Deadline)> {
        if self.unanswered.is_empty() {
            let is_aside = self.parts.of.scope == Scope::Aside;
            return is_aside.then_some((self.heard_at + NATS_ASIDE_IDLE, Deadline::Idle));
        }
        let stuck_at = self.progress_at + self.parts.of.stuck_after.get();
        let first = stuck_at.max(Instant::now());
        Some(match self.refused_alone().filter(|it| it.0 <= first) {
            Some((at, destination)) => (at, Deadline::Refused(destination)),
            None => (stuck_at, Deadline::Stuck),
        })
    }

    async fn end(mut self, why: Deadline) -> Result<Ended, String> {
        match why {
            Deadline::Refused(destination) => {
                self.finish_unanswered().await?;
                Ok(Ended::Refused(destination))
            }
            Deadline::Stuck => Err(self.stuck()),
            Deadline::Idle => Ok(Ended::Idle),
        }
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
            self.parts.outgoing.answered(number, subject);
            self.acknowledge().await?;
        }
        Ok(())
    }

    /// The first destination of the pattern that is refused while others are answered, and when it is to
    /// be set aside.
    fn refused_alone(&self) -> Option<(Instant, String)> {
        if self.parts.of.scope != Scope::Pattern || !self.parts.asides.has_room() {
            return None;
        }
        let refused = self.refused.borrow();
        let first = first_alone(refused.values(), self.answered_at?)?;
        Some((first.since + NATS_ASIDE_AFTER, first.destination.clone()))
    }

    fn closed(&self) -> Result<Ended, String> {
        match self.parts.outgoing.is_empty() {
            true => Ok(Ended::Closed),
            false => Err("delivery has closed the connection".to_owned()),
        }
    }

    /// What it waits for was told when it was found; the link has it still.
    fn stuck(&self) -> String {
        let why = self.parts.of.link.why();
        let seconds = self.parts.of.stuck_after.get().as_secs();
        why.unwrap_or_else(|| format!("no stream has answered for {seconds} s"))
    }

    async fn take(&mut self, line: Vec<u8>) -> Result<(), String> {
        let parsed = Line::parse(&line);
        let parsed =
            parsed.map_err(|why| format!("a line of delivery is not understood: {why}"))?;
        match parsed {
            Line::Word(word) => self.on_word(word),
            Line::Frame(fields) => {
                let mark = self.parts.marker.mark(&line);
                let may_be_known = self.again > 0;
                self.again = self.again.saturating_sub(1);
                if may_be_known && self.parts.published.take(mark) {
                    self.parts.outgoing.add_answered(mark);
                    return self.acknowledge().await;
                }
                let (subject, headers) = (
                    self.subject(&fields),
                    fields.headers(&self.parts.of.nats.headers),
                );
                let frame = line;
                let message = Publish {
                    headers,
                    frame,
                    may_be_known,
                };
                self.send(mark, subject, message).await
            }
        }
    }

    fn subject(&self, fields: &Fields<'_>) -> String {
        let template = self.parts.of.nats.subject.as_deref().unwrap_or_default();
        subject_of(template, &fields.destination_id)
    }

    fn on_word(&mut self, word: Word) -> Result<(), String> {
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
        let others = word.standby.iter().find(|it| !self.parts.asides.has(it));
        match others {
            Some(id) => {
                let why = format!("another subscriber takes the messages of {id}");
                self.parts.of.link.waits(&why);
            }
            None => self.parts.of.link.begins(),
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
        let Some(next) = self.parts.outgoing.add(mark, subject, message) else {
            return Ok(());
        };
        if !self.parts.of.nats.at_most_once {
            self.begin(Some(next));
            return Ok(());
        }
        publish_once(self.parts.client, &next.subject, next.message).await?;
        self.parts.of.link.works();
        self.parts.of.link.count(Counter::NatsPublished);
        self.parts.of.link.acknowledged(1);
        let none = self.parts.outgoing.answered(next.number, next.subject);
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
        let (client, told) = (
            self.parts.client,
            (&self.parts.of.link, self.parts.last_error),
        );
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
        let Some(count) = self.parts.outgoing.acknowledge() else {
            return Ok(());
        };
        self.progress_at = Instant::now();
        let line = format!("{{\"ack\":{count}}}\n");
        let written = self.parts.bridge.write_all(line.as_bytes()).await;
        written.map_err(|why| format!("delivery is gone: {why}"))
    }
}
