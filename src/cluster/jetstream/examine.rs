//! One examination of a group's servers and stream, for `doctor`.
//!
//! It changes nothing: no stream is made, and nothing is published to one.

use std::io;
use std::time::{Duration, Instant};

use async_nats::Client;
use serde_json::Value;
use tokio::time::timeout;

use super::Settings;
use super::requests::{context, find};
use super::session::check_server;
use super::stream::wrong;
use crate::limits::{LOG_ANSWER_MAX, RECORD_HEADERS_LEN, RECORD_MESSAGE_LEN_MAX};
use crate::nats::connect::{dial, options};
use crate::nats::version::Verdict;

/// Questions whose times are taken; the median counts.
const ROUND_TRIPS: usize = 5;

/// One server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Server {
    /// Its address.
    pub(crate) url: String,
    /// Why it is of no use.
    pub(crate) refused: Option<String>,
    /// Its version.
    pub(crate) version: String,
    /// What is to be minded of its version.
    pub(crate) old: Option<String>,
    /// From a question to its answer.
    pub(crate) round_trip: Duration,
    /// Its `max_payload` is less than a whole record needs.
    pub(crate) payload_max: Option<usize>,
    /// Whether it syncs each message: `None`: it does not tell this user.
    pub(crate) syncs_always: Option<bool>,
}

/// The stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StreamFound {
    /// No server could be asked.
    Unknown,
    /// The servers do not answer for JetStream: why.
    Refused(String),
    Missing,
    Found {
        last: u64,
        bytes: u64,
        leader: Option<String>,
        replicas: usize,
        wrong: Vec<String>,
    },
}

/// Looks at each server, and at the stream through the first that answers.
///
/// # Errors
/// The system has no runtime to give.
pub(crate) fn examine(settings: &Settings) -> io::Result<(Vec<Server>, StreamFound)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut found = (Vec::new(), StreamFound::Unknown);
        for url in settings.nats.urls() {
            let (server, client) = look(settings, &url).await;
            if let Some(client) = client
                && found.1 == StreamFound::Unknown
            {
                found.1 = stream(settings, &client).await;
            }
            found.0.push(server);
        }
        Ok(found)
    })
}

async fn look(settings: &Settings, url: &str) -> (Server, Option<Client>) {
    let mut server = Server {
        url: url.to_owned(),
        ..Server::default()
    };
    let client = match connect(settings, url).await {
        Ok(client) => client,
        Err(why) => {
            server.refused = Some(why);
            return (server, None);
        }
    };
    let info = client.server_info();
    server.version = info.version.clone();
    match check_server(&info) {
        Verdict::Refused(why) => server.refused = Some(why),
        Verdict::Old(why) => server.old = Some(why),
        Verdict::Fine => {}
    }
    if server.refused.is_some() {
        return (server, None);
    }
    let needed = RECORD_MESSAGE_LEN_MAX + RECORD_HEADERS_LEN;
    server.payload_max = (info.max_payload < needed).then_some(info.max_payload);
    server.round_trip = round_trip(&client).await;
    server.syncs_always = syncs_always(&client).await;
    (server, Some(client))
}

async fn connect(settings: &Settings, url: &str) -> Result<Client, String> {
    let options = options(&settings.nats)?
        .name("flipped-lb doctor")
        .ignore_discovered_servers()
        .max_reconnects(Some(1));
    dial(options, url, url, 2 * LOG_ANSWER_MAX).await
}

/// Median of some questions to JetStream; zero: it does not answer.
async fn round_trip(client: &Client) -> Duration {
    let mut times = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let begun = Instant::now();
        if ask(client, "$JS.API.INFO", "").await.is_some() {
            times.push(begun.elapsed());
        }
    }
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Only a user of the system account is told.
async fn syncs_always(client: &Client) -> Option<bool> {
    let answer = ask(client, "$SYS.REQ.SERVER.PING.JSZ", r#"{"config":true}"#).await?;
    let config = answer.get("data")?.get("config")?;
    Some(
        config
            .get("sync_always")
            .and_then(Value::as_bool)
            .unwrap_or(false),
    )
}

async fn ask(client: &Client, subject: &'static str, payload: &'static str) -> Option<Value> {
    let asked = client.request(subject, payload.into());
    let answer = timeout(LOG_ANSWER_MAX, asked).await.ok()?.ok()?;
    serde_json::from_slice(&answer.payload).ok()
}

async fn stream(settings: &Settings, client: &Client) -> StreamFound {
    match find(&context(client), &settings.stream()).await {
        Ok(Some(stream)) => {
            let info = stream.cached_info();
            StreamFound::Found {
                last: info.state.last_sequence,
                bytes: info.state.bytes,
                leader: info.cluster.as_ref().and_then(|it| it.leader.clone()),
                replicas: info.config.num_replicas,
                wrong: wrong(settings, &info.config),
            }
        }
        Ok(None) => StreamFound::Missing,
        Err(error) => StreamFound::Refused(error.to_string()),
    }
}
