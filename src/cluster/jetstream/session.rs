//! One connection after the other: made, checked, used, and given up.
//!
//! A lost connection is not restored: what was queued in it must not go out on another one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Client, Event as ClientEvent, ServerInfo};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;
use tracing::warn;

use super::members::exchange;
use super::reading::read;
use super::requests::{Outcome, ask, check, create, publish, purge};
use super::troubles::{LastError, Troubles, tell};
use super::{Events, Request, Settings, State};
use crate::cluster::core::{Event, Unknown};
use crate::escape::Escaped;
use crate::limits::{
    LOG_ANSWER_MAX, LOG_EVENTS_MAX, LOG_PING_INTERVAL, LOG_RECONNECT_INTERVAL, RECORD_HEADERS_LEN,
    RECORD_MESSAGE_LEN_MAX,
};
use crate::nats::connect::{dial, options};
use crate::nats::version::{self, Verdict};

/// The connections, one after the other.
pub(super) struct Sessions {
    settings: Arc<Settings>,
    /// Their addresses.
    servers: Vec<String>,
    requests: Receiver<Request>,
    events: Events,
    state: Arc<Mutex<State>>,
    /// Where the reader goes on, if it is to read.
    reading: Option<u64>,
    /// The server that is next.
    server: usize,
    troubles: Troubles,
}

/// Why a session ended.
enum End {
    /// Nobody asks any more.
    Closed,
    Lost(String),
}

impl Sessions {
    pub(super) fn new(
        settings: Settings,
        requests: Receiver<Request>,
        events: Events,
        state: Arc<Mutex<State>>,
    ) -> Self {
        Self {
            servers: settings.nats.urls(),
            settings: Arc::new(settings),
            requests,
            events,
            state,
            reading: None,
            server: 0,
            troubles: Troubles::default(),
        }
    }

    /// Until nobody asks any more.
    pub(super) async fn run(mut self) {
        loop {
            let count = self.servers.len().max(1);
            let server = self.servers.get(self.server % count).cloned();
            let server = server.unwrap_or_default();
            self.server += 1;
            let trouble = match self.connect(&server).await {
                Ok((client, lost)) => match self.serve(&server, &client, lost).await {
                    End::Closed => return,
                    End::Lost(why) => why,
                },
                Err(why) => {
                    if !self.rest().await {
                        return;
                    }
                    why
                }
            };
            tell(&self.state, |state| {
                state.server = None;
                state.trouble = Some(trouble);
            });
        }
    }

    /// While no server is reached, nothing that is asked is kept; `false`: nobody asks any more.
    async fn rest(&mut self) -> bool {
        let rested = tokio::time::sleep(LOG_RECONNECT_INTERVAL);
        tokio::pin!(rested);
        loop {
            tokio::select! {
                () = &mut rested => return true,
                request = self.requests.recv() => match request {
                    None => return false,
                    Some(Request::Read(from)) => self.reading = from,
                    Some(Request::Publish(publish)) => {
                        let (flight, why) = (publish.flight, Unknown::ConnectionLost);
                        self.events.try_send(Event::Unknown { flight, why });
                    }
                    Some(_) => {}
                },
            }
        }
    }

    async fn connect(&self, server: &str) -> Result<(Client, Receiver<ClientEvent>), String> {
        let (sender, events) = channel(LOG_EVENTS_MAX);
        let options = options(&self.settings.nats)?
            .name(format!("flipped-lb group {}", self.settings.group))
            .ping_interval(LOG_PING_INTERVAL)
            .connection_timeout(LOG_ANSWER_MAX)
            .request_timeout(Some(LOG_ANSWER_MAX))
            .ignore_discovered_servers()
            .max_reconnects(Some(1))
            .event_callback(move |event| {
                let sender = sender.clone();
                async move { drop(sender.try_send(event)) }
            });
        let client = dial(options, server, server, LOG_ANSWER_MAX).await?;
        self.take(server, &client.server_info())?;
        Ok((client, events))
    }

    /// Tells which server it is, if it is of use.
    fn take(&self, server: &str, info: &ServerInfo) -> Result<(), String> {
        let warning = match check_server(info) {
            Verdict::Refused(why) => return Err(format!("{server} is refused: {why}")),
            Verdict::Old(why) => Some(format!("{server}: {why}")),
            Verdict::Fine => None,
        };
        tell(&self.state, |state| {
            if let Some(warning) = &warning
                && state.warning.as_ref() != Some(warning)
            {
                warn!("{}", Escaped(warning));
            }
            state.server = Some((server.to_owned(), info.version.clone()));
            if !self.troubles.stands() {
                state.trouble = None;
            }
            state.warning = warning;
            let room = info.max_payload.saturating_sub(RECORD_HEADERS_LEN);
            state.record_len_max = room.min(RECORD_MESSAGE_LEN_MAX);
        });
        Ok(())
    }

    /// Does what is asked, until the connection is lost or given up.
    async fn serve(
        &mut self,
        server: &str,
        client: &Client,
        mut lost: Receiver<ClientEvent>,
    ) -> End {
        // Dropped at the end, with all that is under way.
        let mut work = JoinSet::new();
        let exchanging = exchange(client.clone(), Arc::clone(&self.settings));
        work.spawn(async move {
            exchanging.await;
            Outcome::Nothing
        });
        let mut last_error = LastError::default();
        let mut reader = self.start_reader(client);
        loop {
            tokio::select! {
                event = lost.recv() => match event {
                    Some(ClientEvent::Disconnected | ClientEvent::Closed) | None => {
                        return End::Lost(format!("the connection to {server} was lost"));
                    }
                    Some(ClientEvent::LameDuckMode) => {
                        return End::Lost(format!("{server} is shutting down"));
                    }
                    Some(ClientEvent::ServerError(said)) => last_error.note(&self.state, &said.to_string()),
                    Some(_) => {}
                },
                Some(done) = work.join_next() => {
                    let outcome = done.unwrap_or(Outcome::Nothing);
                    self.troubles.note(&self.state, outcome, server, last_error.is_shown());
                }
                Some(next) = wait_for(&mut reader) => self.reading = Some(next),
                request = self.requests.recv() => {
                    let (settings, events) = (Arc::clone(&self.settings), self.events.clone());
                    let client = client.clone();
                    match request {
                        None => return End::Closed,
                        Some(Request::Reconnect) => {
                            return End::Lost(self.troubles.give_up(server));
                        }
                        Some(Request::Publish(it)) => {
                            work.spawn(async move { publish(&client, &settings, it, &events).await });
                        }
                        Some(Request::Ask(n)) => {
                            work.spawn(async move { ask(&client, &settings, n, &events).await });
                        }
                        Some(Request::Check) => {
                            last_error.forget(&self.state);
                            work.spawn(async move { check(&client, &settings, &events).await });
                        }
                        Some(Request::Create) => {
                            work.spawn(async move { create(&client, &settings).await });
                        }
                        Some(Request::Purge(before)) => {
                            work.spawn(async move { purge(&client, &settings, before).await });
                        }
                        Some(Request::Read(from)) => {
                            self.reading = from;
                            reader = self.start_reader(&client);
                        }
                    }
                }
            }
        }
    }

    fn start_reader(&self, client: &Client) -> Option<Reader> {
        let from = self.reading?;
        let (sender, progress) = channel(LOG_EVENTS_MAX);
        let (settings, events) = (Arc::clone(&self.settings), self.events.clone());
        let client = client.clone();
        let mut task = JoinSet::new();
        task.spawn(async move { read(&client, &settings, from, &events, &sender).await });
        Some(Reader {
            progress,
            _task: task,
        })
    }
}

/// Judges a server: its version, and whether it has JetStream.
pub(super) fn check_server(info: &ServerInfo) -> Verdict {
    match version::check_version(&info.version) {
        Verdict::Fine | Verdict::Old(_) if !info.jetstream => Verdict::Refused(
            "JetStream is not enabled there (start it with `nats-server -js`)".to_owned(),
        ),
        verdict => verdict,
    }
}

/// The task that reads; it ends when this is dropped.
struct Reader {
    /// The sequence behind what was read.
    progress: Receiver<u64>,
    _task: JoinSet<()>,
}

/// How far the reader is; never, without one.
async fn wait_for(reader: &mut Option<Reader>) -> Option<u64> {
    match reader {
        Some(reader) => match reader.progress.recv().await {
            Some(next) => Some(next),
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

const _: () = assert!(LOG_RECONNECT_INTERVAL.as_millis() < Duration::from_secs(1).as_millis());
