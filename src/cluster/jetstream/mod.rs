//! The group's stream on JetStream: a log on a thread of its own.
//!
//! ```text
//! Driver --requests--> ring --> [ thread: one runtime, one session at a time ] ==> nats-server
//!        <--events---- ring <--
//! ```
//!
//! `session` is one connection: a lost or given-up one ends it, with all that is queued in it, and the next
//! goes to the next server. `requests` publishes and asks, `reading` reads, `stream` knows what the
//! stream's settings must be. Who serves and which records count is the core's business.

mod examine;
mod making;
mod members;
mod reading;
mod requests;
mod session;
mod stream;
mod troubles;

use std::io;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::mpsc::{Receiver, Sender, channel};

pub(crate) use self::examine::{Server, StreamFound, examine};
pub(crate) use self::making::Making;
use self::session::Sessions;
use super::core::{Event, Publish};
use super::log::Log;
use super::status::Status;
use crate::config::{Cluster, Nats};
use crate::limits::{LOG_EVENTS_MAX, LOG_REQUESTS_MAX};
use crate::ring::Wake;

/// Where the servers are, and what the stream must be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The servers, and who the engine is to them; one that is lost is followed by the next.
    pub nats: Nats,
    /// The group's name.
    pub group: String,
    /// Copies of the stream.
    pub replicas: usize,
    /// What members tell each other each second is taken from here, and put there; `None`: nothing is told.
    pub status: Option<Status>,
    /// A random number, which tells this run's words from others'.
    pub process: u64,
}

impl From<&Cluster> for Settings {
    fn from(cluster: &Cluster) -> Self {
        Self {
            nats: cluster.nats.clone(),
            group: cluster.group.clone(),
            replicas: cluster.replicas,
            status: None,
            process: fastrand::u64(..),
        }
    }
}

impl Settings {
    /// Of servers that ask for nobody's name.
    ///
    /// # Errors
    /// An address is none.
    pub fn to(servers: &[String], group: &str, replicas: usize) -> Result<Self, String> {
        Ok(Self {
            nats: Nats::to(&servers.join(","))?,
            group: group.to_owned(),
            replicas,
            status: None,
            process: fastrand::u64(..),
        })
    }

    /// The name of the stream.
    #[must_use]
    pub fn stream(&self) -> String {
        format!("flb_journal_{}", self.group)
    }
}

/// What is asked of the thread.
#[derive(Debug)]
enum Request {
    Publish(Publish),
    Reconnect,
    Ask(u64),
    Check,
    Create,
    Purge(u64),
    Read(Option<u64>),
}

/// What the thread tells of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The server that is connected, and its version.
    pub server: Option<(String, String)>,
    /// Why none is.
    pub trouble: Option<String>,
    /// What is to be minded of the one that is.
    pub warning: Option<String>,
    /// Bytes of a record at most, by the server's `max_payload`.
    pub record_len_max: usize,
}

/// Events, on their way to the member's thread.
#[derive(Debug, Clone)]
struct Events {
    sender: Sender<Event>,
    /// Wakes who polls; `None`: nobody sleeps.
    wake: Option<Arc<Wake>>,
}

impl Events {
    async fn send(&self, event: Event) -> Result<(), Gone> {
        let sent = self.sender.send(event).await.map_err(|_| Gone);
        self.wake.iter().for_each(|it| it.notify());
        sent
    }

    /// What finds no room is forgotten.
    fn try_send(&self, event: Event) {
        let _ = self.sender.try_send(event);
        self.wake.iter().for_each(|it| it.notify());
    }
}

/// Nobody polls any more.
#[derive(Debug)]
struct Gone;

/// The stream, through its thread.
#[derive(Debug)]
pub struct JetStream {
    requests: Option<Sender<Request>>,
    events: Receiver<Event>,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

impl JetStream {
    /// Starts the thread; it connects by itself, and for ever.
    ///
    /// # Errors
    /// No thread or runtime could be made.
    pub fn start(settings: Settings) -> io::Result<Self> {
        Self::start_waking(settings, None)
    }

    /// The same; `wake` is that of the thread that polls.
    ///
    /// # Errors
    /// No thread or runtime could be made.
    pub fn start_waking(settings: Settings, wake: Option<Arc<Wake>>) -> io::Result<Self> {
        let (requests, from_member) = channel(LOG_REQUESTS_MAX);
        let (sender, events) = channel(LOG_EVENTS_MAX);
        let to_member = Events { sender, wake };
        let state = Arc::new(Mutex::new(State::default()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let sessions = Sessions::new(settings, from_member, to_member, Arc::clone(&state));
        let thread = std::thread::Builder::new().name("cluster".into());
        let thread = thread.spawn(move || runtime.block_on(sessions.run()))?;
        Ok(Self {
            requests: Some(requests),
            events,
            state,
            thread: Some(thread),
        })
    }

    /// What the thread tells of itself.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
            .lock()
            .map_or_else(|it| it.into_inner().clone(), |it| it.clone())
    }

    /// A request that finds no room is forgotten: the core makes it again.
    fn request(&self, request: Request) {
        if let Some(requests) = &self.requests {
            let _ = requests.try_send(request);
        }
    }
}

impl Log for JetStream {
    fn publish(&mut self, publish: &Publish) {
        self.request(Request::Publish(publish.clone()));
    }

    fn reconnect(&mut self) {
        self.request(Request::Reconnect);
    }

    fn ask(&mut self, n: u64) {
        self.request(Request::Ask(n));
    }

    fn check(&mut self) {
        self.request(Request::Check);
    }

    fn create(&mut self) {
        self.request(Request::Create);
    }

    fn purge(&mut self, before: u64) {
        self.request(Request::Purge(before));
    }

    fn read(&mut self, from: Option<u64>) {
        self.request(Request::Read(from));
    }

    fn poll(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}

/// The thread ends when nothing asks it any more.
impl Drop for JetStream {
    fn drop(&mut self) {
        self.requests = None;
        self.events.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
