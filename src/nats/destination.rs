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
mod customer;
mod frame;
mod outgoing;
mod publish;
mod relay;
mod stuck;

use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{self, Either, LocalBoxFuture};
use tokio::sync::oneshot;

use self::aside::Asides;
pub(super) use self::customer::{Customer, Scope};
use self::outgoing::Outgoing;
use self::publish::Publish;
use self::relay::{Ended, Parts, Relay};
pub(super) use self::stuck::StuckAfter;
use super::connect::connect;
use super::link::Link;
use super::rights::Rights;
use crate::access::first_line;
use crate::limits::UNACKNOWLEDGED_MAX;
use crate::message::frame_mark::{FrameMarker, FrameMarks};
use crate::net::bridge::Bridge;

/// One `[[destination]]` with `nats`, from session to session.
pub(super) struct Destination {
    customer: Rc<Customer>,
    asides: Asides,
    outgoing: Outgoing<Publish>,
    marker: FrameMarker,
    /// What its streams have of what the engine will hand out again.
    published: FrameMarks,
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
        let (client, last_error) = (connection.client.clone(), connection.last_error());
        let failed = |why: std::io::Error| format!("no connection to delivery: {why}");
        let bridge = Bridge::connect(&of.delivery, of.peer().await).map_err(failed)?;
        let line = first_line::subscription(&of.id, of.token.as_ref());
        bridge.write_all(line.as_bytes()).await.map_err(failed)?;
        let parts = Parts {
            of,
            client: &client,
            last_error: &last_error,
            bridge: &bridge,
            asides: &self.asides,
            outgoing: &mut self.outgoing,
            marker: &self.marker,
            published: &mut self.published,
        };
        let relay = Relay::new(parts, subscribed);
        let ended = match future::select(pin!(connection.ended()), pin!(relay.run())).await {
            Either::Left((why, _)) => Err(why),
            Either::Right((ended, _)) => ended,
        };
        if let Ok(Ended::Refused(destination)) = &ended {
            // It stands by before this connection goes, so that it is next.
            let (subscribed, is_ready) = oneshot::channel();
            let aside = Self::new(self.customer.aside(destination)).alone(subscribed);
            self.asides.begin(destination, is_ready, aside).await;
        }
        ended
    }

    /// One connection of what is set aside.
    fn alone(mut self, subscribed: oneshot::Sender<()>) -> LocalBoxFuture<'static, ()> {
        Box::pin(async move {
            if let Err(why) = self.connection(Some(subscribed)).await {
                self.link().waits(&why);
            }
        })
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
