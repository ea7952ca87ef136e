//! Tells the group's members how this one is, and hears the others; on the connection of a session.

use std::sync::Arc;
use std::time::Instant;

use async_nats::Client;
use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::Settings;
use crate::cluster::members::{Word, hear, subject};
use crate::limits::MEMBERS_INTERVAL;

/// Until the connection ends. A server that does not allow it takes nothing away but `cluster hand-over`.
pub(super) async fn exchange(client: Client, settings: Arc<Settings>) {
    let Some(status) = &settings.status else {
        return;
    };
    let subject = subject(&settings.group);
    let Ok(mut heard) = client.subscribe(subject.clone()).await else {
        return;
    };
    let mut seconds = interval(MEMBERS_INTERVAL);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = seconds.tick() => {
                let word = Word::of(&status.snapshot(), settings.process);
                if client.publish(subject.clone(), word.encode().into()).await.is_err() {
                    return;
                }
            }
            message = heard.next() => {
                let Some(message) = message else { return };
                let Some(word) = Word::decode(&message.payload) else { continue };
                let mut namesake = None;
                status.update(|it| {
                    let is_found = hear(word, settings.process, it, Instant::now());
                    namesake = it.namesake_words().filter(|_| is_found);
                });
                if let Some(words) = namesake {
                    warn!("{words}");
                }
            }
        }
    }
}
