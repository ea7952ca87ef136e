//! Publishes this member's report and receives those of the others, on a session's connection.

use std::sync::Arc;
use std::time::Instant;

use async_nats::Client;
use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::Settings;
use crate::cluster::members::{MemberReport, receive, subject};
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
                let report = MemberReport::of(&status.snapshot(), settings.process);
                if client.publish(subject.clone(), report.encode().into()).await.is_err() {
                    return;
                }
            }
            message = heard.next() => {
                let Some(message) = message else { return };
                let Some(report) = MemberReport::decode(&message.payload) else { continue };
                let mut namesake = None;
                status.update(|it| {
                    let is_found = receive(report, settings.process, it, Instant::now());
                    namesake = it.namesake_words().filter(|_| is_found);
                });
                if let Some(words) = namesake {
                    warn!("{words}");
                }
            }
        }
    }
}
