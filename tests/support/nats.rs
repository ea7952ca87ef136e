//! A nats-server of a test's own, and a peer of it that speaks async-nats.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test uses its part"
)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use serde_json::Value;

use crate::servers::Servers;
use crate::support::{Engine, PATIENCE};

/// One server of [`Servers`], with peers.
pub struct NatsServer(Servers);

impl NatsServer {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// With these lines in its configuration besides.
    pub fn start_with(more: &str) -> Self {
        Self(Servers::start_with(1, more))
    }

    /// Starts it again, on the same port with the same files.
    pub fn resume(&mut self) {
        self.0.resume(0);
    }

    pub fn log(&self) -> String {
        self.0.log(0)
    }

    pub fn kill(&mut self) {
        self.0.kill(0);
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address(0)
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    pub fn peer(&self) -> Peer {
        self.peer_with(ConnectOptions::new())
    }

    pub fn peer_with(&self, options: ConnectOptions) -> Peer {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let options = options.request_timeout(Some(PATIENCE));
        let client = runtime
            .block_on(options.connect(self.url()))
            .expect("a connection");
        let streams = {
            let _inside = runtime.enter();
            // A machine that is busy takes more than the usual 5 s now and then.
            let mut streams = jetstream::new(client.clone());
            streams.set_timeout(PATIENCE);
            streams
        };
        Peer {
            runtime,
            client,
            streams,
        }
    }
}

/// A stream in, a stream out: `in.*` is read, each customer of `west-*` has a subject below `out`; both have
/// these lines, and the text may go on with the destination.
pub fn settings(source: &str, destination: &str, login: &str) -> String {
    format!(
        "[[source]]\nnats = \"{source}\"\nstream = \"IN\"\nsubject = \"in.*\"\ndurable = \"engine\"\n{login}\
         [[destination]]\nid = \"west-*\"\nnats = \"{destination}\"\nsubject = \"out.{{id}}\"\n{login}"
    )
}

/// What the source or destination whose name begins so waits for. It is known soon after the start.
pub fn waits_for<'a>(stats: &'a Value, name: &str) -> Option<&'a str> {
    let mut links = stats["links"].as_object().expect("links").iter();
    let (_, link) = links.find(|(key, _)| key.starts_with(name))?;
    link["waits_for"].as_str()
}

/// Waits until it waits for something that these words are in.
pub fn wait_for_words(engine: &Engine, name: &str, words: &str) -> String {
    let stats = engine.wait(words, |it| {
        waits_for(it, name).is_some_and(|it| it.contains(words))
    });
    waits_for(&stats, name).unwrap_or_default().to_owned()
}

/// Whoever publishes for the engine and reads what it has published.
pub struct Peer {
    runtime: tokio::runtime::Runtime,
    pub client: Client,
    pub streams: Context,
}

/// A message of a stream.
#[derive(Debug, Clone)]
pub struct Stored {
    pub subject: String,
    pub payload: String,
    pub headers: HashMap<String, String>,
}

impl Peer {
    /// Those of [`settings`].
    pub fn make_streams(&self) {
        self.make_stream("IN", &["in.>"]);
        self.make_stream("OUT", &["out.>"]);
    }

    pub fn make_stream(&self, name: &str, subjects: &[&str]) {
        let config = Config {
            name: name.to_owned(),
            subjects: subjects.iter().map(|it| (*it).to_owned()).collect(),
            ..Config::default()
        };
        self.make(config);
    }

    pub fn make(&self, config: Config) {
        let made = self.runtime.block_on(self.streams.create_stream(config));
        made.expect("a stream");
    }

    pub fn delete_consumer(&self, stream: &str, name: &str) {
        let deleted = async {
            let stream = self.streams.get_stream(stream).await.expect("it is there");
            stream.delete_consumer(name).await
        };
        self.block_on(deleted).expect("it is deleted");
    }

    pub fn delete_stream(&self, name: &str) {
        let deleted = self.runtime.block_on(self.streams.delete_stream(name));
        deleted.expect("it was there");
    }

    /// Publishes all, each known to its stream, in order.
    pub fn publish(&self, messages: impl IntoIterator<Item = (String, String)>) {
        self.runtime.block_on(async {
            let mut acknowledged = Vec::new();
            for (subject, payload) in messages {
                let sent = self.streams.publish(subject, payload.into()).await;
                acknowledged.push(sent.expect("it is sent"));
                if acknowledged.len() == 256 {
                    for one in acknowledged.drain(..) {
                        one.await.expect("it is stored");
                    }
                }
            }
            for one in acknowledged {
                one.await.expect("it is stored");
            }
        });
    }

    pub fn count(&self, stream: &str) -> u64 {
        self.runtime.block_on(async {
            let mut found = self.streams.get_stream(stream).await.expect("it is there");
            found.info().await.expect("it answers").state.messages
        })
    }

    /// All messages of a stream, in order.
    pub fn messages(&self, stream: &str) -> Vec<Stored> {
        self.runtime.block_on(async {
            let mut found = self.streams.get_stream(stream).await.expect("it is there");
            let state = found.info().await.expect("it answers").state.clone();
            let mut all = Vec::new();
            for sequence in state.first_sequence..=state.last_sequence {
                let message = found.get_raw_message(sequence).await.expect("it is there");
                let headers = message.headers.iter();
                let headers =
                    headers.map(|(name, values)| (name.to_string(), values[0].to_string()));
                all.push(Stored {
                    subject: message.subject.to_string(),
                    payload: String::from_utf8_lossy(&message.payload).into_owned(),
                    headers: headers.collect(),
                });
            }
            all
        })
    }

    /// The payloads of the first `count` messages of a stream, in order, each as it comes: for many.
    pub fn each(&self, stream: &str, count: u64, mut take: impl FnMut(&str, &[u8])) {
        use futures_util::StreamExt as _;
        self.runtime.block_on(async {
            let found = self.streams.get_stream(stream).await.expect("it is there");
            let consumer = found.create_consumer(OrderedConfig::default()).await;
            let messages = consumer.expect("a consumer").messages().await;
            let mut messages = messages.expect("they are pulled").take(count as usize);
            while let Some(message) = messages.next().await {
                let message = message.expect("it comes");
                take(&message.subject, &message.payload);
            }
        });
    }

    pub fn consumer(&self, stream: &str, name: &str) -> Info {
        self.runtime.block_on(async {
            let found = self.streams.get_stream(stream).await.expect("it is there");
            found.consumer_info(name).await.expect("it is there")
        })
    }

    /// A durable that has nothing more to give, once all is acknowledged: a server takes acknowledgements
    /// behind what it answers.
    pub fn wait_for_acknowledged(&self, stream: &str, name: &str) -> Info {
        let end = Instant::now() + PATIENCE;
        loop {
            let consumer = self.consumer(stream, name);
            if (consumer.num_ack_pending, consumer.num_pending) == (0, 0) {
                return consumer;
            }
            assert!(Instant::now() < end, "{consumer:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a stream has so many messages.
    pub fn wait_for(&self, stream: &str, count: u64, what: impl Fn() -> String) {
        let end = Instant::now() + 2 * PATIENCE;
        while self.count(stream) < count {
            let found = self.count(stream);
            assert!(
                Instant::now() < end,
                "{found} of {count} in {stream}: {}",
                what()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}
