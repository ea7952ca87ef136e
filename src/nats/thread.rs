//! The thread of all sources and destinations at NATS: a current-thread runtime, a task for each.
//!
//! A task has one session after the other, with pauses between them that grow. The engine's start and reloads
//! say who begins and who ends.

use std::collections::HashMap;
use std::io;
use std::pin::pin;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{self, Either, join_all};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::{self, LocalSet};

use super::destination::Destination;
use super::link::Link;
use super::source::Source;
use crate::counters::Counter;
use crate::limits::{NATS_LAST_WORDS_MAX, RECONNECT_MS_MAX, RECONNECT_MS_MIN};

/// One source or destination.
pub(super) enum Party {
    Source(Box<Source>),
    Destination(Box<Destination>),
}

impl Party {
    async fn session(&mut self) -> Result<(), String> {
        match self {
            Self::Source(source) => source.session().await,
            Self::Destination(destination) => destination.session().await,
        }
    }

    fn link(&self) -> &Link {
        match self {
            Self::Source(source) => &source.link,
            Self::Destination(destination) => destination.link(),
        }
    }
}

/// Makes one, on the thread; what it gets says when it is to come to an end.
pub(super) type Make = Box<dyn FnOnce(watch::Receiver<bool>) -> Party + Send>;

/// What the thread is told.
enum Order {
    Begin(String, Make),
    /// The sender goes when it has ended.
    End(String, mpsc::Sender<()>),
    EndAll,
}

/// The running thread.
pub(super) struct NatsThread {
    orders: UnboundedSender<Order>,
    handle: JoinHandle<()>,
}

impl NatsThread {
    pub(super) fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (orders, ordered) = unbounded_channel();
        let thread = std::thread::Builder::new().name("nats".to_owned());
        let handle = thread.spawn(move || {
            LocalSet::new().block_on(&runtime, run(ordered));
            // Nothing is left to be said.
            runtime.shutdown_background();
        })?;
        Ok(Self { orders, handle })
    }

    /// One begins. A thread that has ended begins none.
    pub(super) fn begin(&self, name: String, make: Make) {
        let _ = self.orders.send(Order::Begin(name, make));
    }

    /// These come to an end. The receiver is closed when all of them have.
    pub(super) fn end(&self, names: impl Iterator<Item = String>) -> mpsc::Receiver<()> {
        let (ends, ended) = mpsc::channel();
        for name in names {
            let _ = self.orders.send(Order::End(name, ends.clone()));
        }
        ended
    }

    /// All come to an end.
    pub(super) fn begin_shutdown(&self) {
        let _ = self.orders.send(Order::EndAll);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.handle.is_finished()
    }
}

/// One at work.
struct Running {
    stop: watch::Sender<bool>,
    task: task::JoinHandle<()>,
}

impl Running {
    fn begin(make: Make) -> Self {
        let (stop, stopped) = watch::channel(false);
        let party = make(stopped.clone());
        let task = task::spawn_local(keep(party, stopped));
        Self { stop, task }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        // A panic has ended the process.
        let _ = self.task.await;
    }
}

async fn run(mut orders: UnboundedReceiver<Order>) {
    let mut running = HashMap::new();
    let mut ending: Vec<task::JoinHandle<()>> = Vec::new();
    while let Some(order) = orders.recv().await {
        ending.retain(|it| !it.is_finished());
        match order {
            Order::Begin(name, make) => {
                let begun = Running::begin(make);
                let before = running.insert(name, begun);
                debug_assert!(before.is_none(), "one that is at work is ended first");
            }
            Order::End(name, told) => {
                if let Some(one) = running.remove(&name) {
                    ending.push(task::spawn_local(async move {
                        one.end().await;
                        drop(told);
                    }));
                }
            }
            Order::EndAll => break,
        }
    }
    join_all(running.into_values().map(Running::end)).await;
    join_all(ending).await;
}

/// Keeps one source or destination going until `stopped`.
async fn keep(mut party: Party, mut stopped: watch::Receiver<bool>) {
    let mut failures = 0_u32;
    loop {
        let Some(ended) = session(&mut party, &mut stopped).await else {
            return;
        };
        if *stopped.borrow() {
            return;
        }
        let link = party.link();
        if link.has_worked() {
            failures = 0;
        }
        let why = ended.err();
        link.waits(
            why.as_deref()
                .unwrap_or("the engine has closed the connection"),
        );
        link.failed(Counter::NatsFailures);
        let pause = tokio::time::sleep(pause(failures));
        failures = failures.saturating_add(1);
        if let Either::Right(_) =
            future::select(pin!(pause), pin!(stopped.wait_for(|it| *it))).await
        {
            return;
        }
    }
}

/// How a session ended; `None`: all is over.
async fn session(
    party: &mut Party,
    stopped: &mut watch::Receiver<bool>,
) -> Option<Result<(), String>> {
    let session = pin!(party.session());
    let stop = pin!(stopped.wait_for(|it| *it));
    match future::select(session, stop).await {
        Either::Left((ended, _)) => Some(ended),
        Either::Right((_, session)) => {
            let _ = tokio::time::timeout(NATS_LAST_WORDS_MAX, session).await;
            None
        }
    }
}

/// Exponential, with full jitter, as for any source.
fn pause(failures: u32) -> Duration {
    let ceiling = (RECONNECT_MS_MIN << failures.min(16)).min(RECONNECT_MS_MAX);
    Duration::from_millis(fastrand::u64(..=ceiling))
}
