//! The group's stream in the hands of somebody else.

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{self, Context};

use crate::servers::Servers;

pub use crate::member::STREAM;

/// Asks JetStream something.
pub fn ask<T>(servers: &Servers, question: impl AsyncFn(Context) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let client = async_nats::connect(servers.urls()).await;
        question(jetstream::new(client.expect("it answers"))).await
    })
}

/// The stream's last sequence.
pub fn last(servers: &Servers) -> u64 {
    ask(servers, async |it| {
        let stream = it.get_stream(STREAM).await.expect("it is there");
        stream.cached_info().state.last_sequence
    })
}

/// Somebody else's message, which gets the next place.
pub fn publish(servers: &Servers, subject: &str, payload: &str) {
    ask(servers, async |it| {
        let sent = it.publish(subject.to_owned(), payload.to_owned().into());
        sent.await.expect("it is sent").await.expect("it is stored");
    });
}

/// A copy of a stream, as it was.
pub struct Backup {
    config: Config,
    messages: Vec<StreamMessage>,
}

impl Backup {
    /// All that the stream has.
    pub fn of(servers: &Servers) -> Self {
        ask(servers, async |it| {
            let stream = it.get_stream(STREAM).await.expect("it is there");
            let info = stream.cached_info();
            let config = info.config.clone();
            let mut messages = Vec::new();
            for sequence in info.state.first_sequence..=info.state.last_sequence {
                let message = stream.get_raw_message(sequence).await;
                messages.push(message.expect("it is there"));
            }
            Self { config, messages }
        })
    }

    /// The stream alone.
    pub fn without_messages(mut self) -> Self {
        self.messages.clear();
        self
    }

    /// The stream is what it was then.
    pub fn restore(self, servers: &Servers) {
        ask(servers, async |it| {
            // It may be gone.
            let _ = it.delete_stream(STREAM).await;
            it.create_stream(self.config.clone())
                .await
                .expect("it is made");
            for message in &self.messages {
                let (subject, payload) = (message.subject.to_string(), message.payload.clone());
                let sent = it.publish_with_headers(subject, HeaderMap::new(), payload);
                sent.await.expect("it is sent").await.expect("it is stored");
            }
        });
    }
}

/// What message `sequence` is, if it is there.
pub fn message(servers: &Servers, sequence: u64) -> Option<Vec<u8>> {
    ask(servers, async |it| {
        let stream = it.get_stream(STREAM).await.ok()?;
        let message = stream.get_raw_message(sequence).await.ok()?;
        Some(message.payload.to_vec())
    })
}
