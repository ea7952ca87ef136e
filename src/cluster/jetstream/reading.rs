//! Reads the stream in order, in small batches, so that what is read and not taken is bounded.
//!
//! The consumer is an ephemeral one without acknowledgements: a new one is made wherever the last one ended.
//! What is missing between two messages is left to the core, which asks the leader.

use async_nats::Client;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use futures_util::StreamExt;
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};

use super::{Events, Settings};
use crate::cluster::core::{Event, Message};
use crate::limits::{
    LOG_READ_EXPIRES, LOG_READ_MESSAGES, LOG_READ_THRESHOLD, LOG_RECONNECT_INTERVAL,
};

/// Reads from this sequence on, for ever; tells `progress` where it goes on.
pub(super) async fn read(
    client: &Client,
    settings: &Settings,
    from: u64,
    events: &Events,
    progress: &Sender<u64>,
) {
    let mut next = from;
    loop {
        if let Some(consumer) = consumer(client, settings, next).await {
            while let Some(behind) = batch(&consumer, next, events, progress).await {
                next = behind;
            }
        }
        sleep(LOG_RECONNECT_INTERVAL).await;
    }
}

async fn consumer(client: &Client, settings: &Settings, from: u64) -> Option<Consumer<Config>> {
    let context = async_nats::jetstream::new(client.clone());
    let config = Config {
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: from,
        },
        ack_policy: AckPolicy::None,
        inactive_threshold: LOG_READ_THRESHOLD,
        memory_storage: true,
        num_replicas: 1,
        ..Config::default()
    };
    context
        .create_consumer_on_stream(config, settings.stream())
        .await
        .ok()
}

/// Reads what there is, or waits for it; `None`: the consumer has ended.
async fn batch(
    consumer: &Consumer<Config>,
    from: u64,
    events: &Events,
    progress: &Sender<u64>,
) -> Option<u64> {
    let batch = consumer
        .batch()
        .max_messages(LOG_READ_MESSAGES)
        .expires(LOG_READ_EXPIRES);
    let mut messages = batch.messages().await.ok()?;
    let mut next = from;
    // The servers end a batch themselves; who does not is gone.
    while let Some(message) = timeout(2 * LOG_READ_EXPIRES, messages.next()).await.ok()? {
        let message = message.ok()?;
        let sequence = message.info().ok()?.stream_sequence;
        if sequence < next {
            continue;
        }
        next = sequence + 1;
        let message = Message {
            sequence,
            subject: message.subject.as_str().into(),
            bytes: message.payload[..].into(),
        };
        events.send(Event::Message(message)).await.ok()?;
        let _ = progress.try_send(next);
    }
    Some(next)
}
