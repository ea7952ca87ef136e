//! A stream as a source: its messages go to ingest as lines, and are acknowledged to the stream when
//! the engine has answered for them.
//!
//! ```text
//! stream --pull--> [ window ] --lines--> ingest, over a socket pair
//!        <--ack--- [        ] <--{"ack":N,"rejected":[..]}---
//! ```
//! To ingest it is one of the configured sources, dialled when it offers itself: durability, back
//! pressure, rejected lines and deduplication are those of any source. A session ends with its
//! connection to the server; the next one takes up from the acknowledged message.

pub(super) mod durable;
mod window;

use std::cell::RefCell;
use std::pin::pin;
use std::sync::Arc;

use async_nats::jetstream::context::{GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::{self, Message, stream::Stream};
use async_nats::{Client, Subject};
use futures_util::{Stream as _, StreamExt as _, future};
use tokio::sync::watch;

use self::durable::Wanted;
use self::window::{Settled, Window};
use super::connect::connect;
use super::link::Link;
use super::rights::Rights;
use crate::config::Nats;
use crate::counters::Counter;
use crate::ingest::answer::ProducerAnswer;
use crate::limits::{
    NATS_LAST_WORDS_MAX, NATS_PULL_EXPIRES, NATS_PULL_HEARTBEAT, NATS_PULL_MESSAGES, NATS_WRITE_LEN,
};
use crate::net::bridge::{Bridge, LineReader, one_line};
use crate::net::offer::Offer;

/// One `[[source]]` with `nats`.
pub(super) struct Source {
    pub(super) nats: Nats,
    pub(super) offer: Arc<Offer>,
    pub(super) link: Link,
    /// Messages that may be open at the stream.
    pub(super) open_max: usize,
    /// Up to where this process has acknowledged which stream.
    pub(super) known: Option<Known>,
    /// Nothing more is read from then on, and what was read is answered.
    pub(super) stop: watch::Receiver<bool>,
}

/// A stream is told from another one of its name by when it was made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    created: String,
    floor: u64,
}

type Lines = RefCell<Window<Subject>>;

impl Source {
    /// Connects, reads until the connection or the engine's side ends; why it ended.
    pub(super) async fn session(&mut self) -> Result<(), String> {
        let rights = Rights::of_source(&self.nats);
        let mut connection = connect(&self.nats, self.link.name(), &rights).await?;
        let (client, last_error) = (connection.client.clone(), connection.last_error());
        let mut gone = pin!(connection.ended());
        let begun = match future::select(gone.as_mut(), pin!(self.begin(&client))).await {
            future::Either::Left((why, _)) => Err(why),
            future::Either::Right((begun, _)) => begun,
        };
        let ended = match begun {
            Ok(begun) => self.read(begun, &client, gone).await,
            Err(why) => Err(format!("{why}{}", last_error.words())),
        };
        self.offer
            .withdraw(ended.as_ref().err().map_or("it is stopping", |it| it));
        ended
    }

    /// Finds the stream, makes the consumer, waits for ingest.
    async fn begin(&mut self, client: &Client) -> Result<Begun, String> {
        let (stream, created) = self.stream(client).await?;
        let nats = &self.nats;
        let wanted = Wanted {
            name: nats.durable.as_deref().unwrap_or_default(),
            filter: nats.subject.as_deref().unwrap_or_default(),
            open_max: self.open_max,
        };
        let known = self.known.as_ref().filter(|it| it.created == created);
        let (consumer, floor) = durable::make(&stream, &wanted, known.map(|it| it.floor)).await?;
        // A consumer that somebody deletes while nothing comes is made anew from there.
        self.known = Some(Known {
            created: created.clone(),
            floor,
        });
        let messages = consumer
            .stream()
            .max_messages_per_batch(NATS_PULL_MESSAGES.min(self.open_max))
            .expires(NATS_PULL_EXPIRES)
            .heartbeat(NATS_PULL_HEARTBEAT)
            .messages();
        let messages = messages
            .await
            .map_err(|why| format!("no message can be pulled: {why}"))?;
        Ok(Begun {
            engine: self.dialled().await?,
            messages,
            created,
        })
    }

    /// Reads until the server is `gone`, the stream ends, or ingest does.
    async fn read(
        &mut self,
        begun: Begun,
        client: &Client,
        gone: impl Future<Output = String> + Unpin,
    ) -> Result<(), String> {
        let (Engine { bridge, mut reader }, link) = (begun.engine, &self.link);
        link.works();
        let lines = Lines::default();
        let feed = feed(begun.messages, &bridge, &lines, client, link);
        let mut stop = self.stop.clone();
        let stopped = pin!(async {
            // An error says that the thread has ended.
            let _ = stop.wait_for(|it| *it).await;
            "it is stopping".to_owned()
        });
        let feed = pin!(async { future::select(gone, pin!(feed)).await.factor_first().0 });
        let feed = future::select(stopped, feed);
        let answers = pin!(answers((&bridge, &mut reader), &lines, client, link));
        let ended = match future::select(feed, answers).await {
            future::Either::Left((why, answers)) => {
                bridge.shut_down();
                // Ingest answers for all that it was sent, then ends its side.
                let _ = tokio::time::timeout(NATS_LAST_WORDS_MAX, answers).await;
                Err(why.factor_first().0)
            }
            future::Either::Right((ended, _)) => ended,
        };
        if let Some(floor) = lines.borrow().floor() {
            let created = begun.created;
            self.known = Some(Known { created, floor });
        }
        let _ = tokio::time::timeout(NATS_LAST_WORDS_MAX, client.flush()).await;
        ended
    }

    /// The stream, and when it was made.
    async fn stream(&self, client: &Client) -> Result<(Stream, String), String> {
        let name = self.nats.stream.as_deref().unwrap_or_default();
        let stream = jetstream::new(client.clone()).get_stream(name).await;
        let stream = stream.map_err(|why| no_stream(name, &self.nats, &why))?;
        let created = stream.cached_info().created.to_string();
        Ok((stream, created))
    }

    /// Waits until ingest has dialled: it greets at once.
    async fn dialled(&self) -> Result<Engine, String> {
        let failed = |why: std::io::Error| format!("no connection to ingest: {why}");
        let stream = self.offer.make().map_err(failed)?;
        let bridge = Bridge::new(stream).map_err(failed)?;
        let mut reader = LineReader::default();
        match reader.next(&bridge).await.map_err(failed)? {
            Some(_) => Ok(Engine { bridge, reader }),
            None => Err("ingest has closed the connection".to_owned()),
        }
    }
}

/// Why a stream cannot be read.
pub(super) fn no_stream(name: &str, nats: &Nats, why: &GetStreamError) -> String {
    match why.kind() {
        GetStreamErrorKind::Request => format!(
            "JetStream does not answer for the stream \"{name}\": {why}; is it switched on, and may this \
             user ask it?"
        ),
        _ => {
            let subject = nats.subject.as_deref().unwrap_or("orders.>");
            format!(
                "the stream \"{name}\" is not there: {why}; make it, such as by `nats stream add {name} \
                 --subjects '{subject}'`"
            )
        }
    }
}

/// A session that has what it needs.
struct Begun {
    engine: Engine,
    messages: jetstream::consumer::pull::Stream,
    created: String,
}

/// The way to ingest and back.
struct Engine {
    bridge: Bridge,
    reader: LineReader,
}

/// Hands the stream's messages to ingest; ends where they end, with the reason.
async fn feed(
    mut messages: jetstream::consumer::pull::Stream,
    to: &Bridge,
    lines: &Lines,
    client: &Client,
    link: &Link,
) -> String {
    let mut bytes = Vec::with_capacity(NATS_WRITE_LEN);
    loop {
        let first = messages.next().await;
        // What has come meanwhile goes in the same write.
        let mut next = first;
        loop {
            let message = match next {
                Some(Ok(message)) => message,
                Some(Err(error)) => return format!("the stream is read no further: {error}"),
                None => return "the stream is read no further".to_owned(),
            };
            if let Err(why) = take(&message, lines, &mut bytes, link) {
                return why;
            }
            if bytes.len() >= NATS_WRITE_LEN {
                break;
            }
            let ready = future::poll_fn(|cx| {
                std::task::Poll::Ready(match std::pin::Pin::new(&mut messages).poll_next(cx) {
                    std::task::Poll::Ready(next) => Some(next),
                    std::task::Poll::Pending => None,
                })
            });
            match ready.await {
                Some(more) => next = more,
                None => break,
            }
        }
        let blank = lines.borrow_mut().settle_blank();
        if let Err(why) = tell(client, blank, link).await {
            return why;
        }
        if let Err(why) = to.write_all(&bytes).await {
            return format!("ingest takes nothing more: {why}");
        }
        bytes.clear();
    }
}

/// Appends a message as a line.
fn take(message: &Message, lines: &Lines, bytes: &mut Vec<u8>, link: &Link) -> Result<(), String> {
    let info = message
        .info()
        .map_err(|why| format!("not a message of a stream: {why}"))?;
    let sequence = info.stream_sequence;
    let reply = message
        .reply
        .clone()
        .ok_or("a message without an answer's subject")?;
    let payload = message.payload.trim_ascii();
    let is_line = !payload.is_empty();
    if !lines.borrow_mut().take(sequence, is_line, reply) {
        return Ok(());
    }
    link.count(Counter::NatsReceived);
    if is_line {
        bytes.extend(one_line(payload));
        bytes.push(b'\n');
    }
    Ok(())
}

/// Tells the stream what ingest answers; ends where that ends.
async fn answers(
    (bridge, reader): (&Bridge, &mut LineReader),
    lines: &Lines,
    client: &Client,
    link: &Link,
) -> Result<(), String> {
    let mut last = 0;
    loop {
        let line = reader.next(bridge).await;
        let Some(line) = line.map_err(|why| format!("ingest answers no more: {why}"))? else {
            return match lines.borrow().is_empty() {
                true => Ok(()),
                false => Err("ingest has closed the connection".to_owned()),
            };
        };
        let answer: Option<ProducerAnswer> = serde_json::from_slice(&line).ok();
        let answer = answer.and_then(|it| Some((it.ack?, it.rejected)));
        let (through, rejected) = answer.ok_or_else(|| {
            let line = String::from_utf8_lossy(&line);
            format!("ingest has closed the connection: {line}")
        })?;
        let told = lines.borrow_mut().answer(through, &rejected)?;
        link.acknowledged(through - last);
        last = through;
        tell(client, told, link).await?;
    }
}

async fn tell(client: &Client, told: Vec<Settled<Subject>>, link: &Link) -> Result<(), String> {
    for one in told {
        let (reply, words) = match one {
            Settled::Acknowledged(reply) => (reply, "+ACK".to_owned()),
            Settled::Terminated(reply, reason) => {
                link.count(Counter::NatsTerminated);
                (reply, format!("+TERM {reason}"))
            }
        };
        let sent = client.publish(reply, words.into()).await;
        sent.map_err(|why| format!("nothing more can be acknowledged: {why}"))?;
    }
    Ok(())
}
