//! The thread of HTTP for customers and producers: a runtime of its own, off the path.

use std::future::pending;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::guard::guard;
use super::refusal::Refusal;
use super::settings::HttpSettings;
use super::subscriptions::Subscriptions;
use super::{HttpParts, ack, connection, listener, publish, subscribe};
use crate::access::CurrentUsers;
use crate::agent::background;
use crate::cluster::run::lease::PathLease;
use crate::config;
use crate::counters::{Counter, Counters};
use crate::limits::HTTP_STOP_MAX;
use crate::net::PAUSED;
use crate::net::local::LocalConnector;
use crate::net::misdirected::Ports;
use crate::net::tls::TlsSwitch;

/// Between two looks whether the last request was answered.
const LOOK: Duration = Duration::from_millis(5);

const PATHS: &str = "there are POST /publish, GET /subscribe/{destination} and POST /ack";

/// What all connections share.
pub(super) struct Shared {
    pub(super) settings: Arc<HttpSettings>,
    pub(super) max_line: usize,
    pub(super) delivery: config::Delivery,
    pub(super) users: Arc<CurrentUsers>,
    pub(super) tls: Arc<TlsSwitch>,
    pub(super) to_ingest: LocalConnector,
    pub(super) to_delivery: Vec<LocalConnector>,
    pub(super) subscriptions: Subscriptions,
    pub(super) ports: Ports,
    pub(super) lease: PathLease,
    pub(super) counters: Arc<Counters>,
    /// Turns true when connections are to end.
    pub(super) stopping: watch::Receiver<bool>,
}

#[derive(Debug)]
pub(crate) struct Http {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Http {
    /// Answers those that connect to a bound address, from a thread of its own.
    ///
    /// # Errors
    /// The system has no thread or descriptor to give.
    pub(crate) fn start(listener: TcpListener, parts: HttpParts) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopping) = watch::channel(false);
        let shared = Arc::new(Shared::new(parts, stopping));
        let thread = Builder::new().name("http".to_owned()).spawn(move || {
            if let Err(error) = background::shorten_slice() {
                debug!("the http thread keeps its usual slice: {error}");
            }
            runtime.block_on(serve(listener, shared));
        })?;
        Ok(Self { stop, thread })
    }

    /// Has the thread end, once what was begun is answered.
    pub(crate) fn begin_shutdown(&self) {
        // It fails only if the thread has gone already.
        let _ = self.stop.send(true);
    }

    #[must_use]
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the thread and waits for that.
    pub(crate) fn stop(self) {
        self.begin_shutdown();
        // A thread that has panicked has ended too.
        let _ = self.thread.join();
    }
}

impl Shared {
    /// Whether this engine serves.
    ///
    /// # Errors
    /// The answer for whoever asks meanwhile.
    pub(super) fn serves(&self) -> Result<(), Refusal> {
        match self.lease.may_serve() {
            true => Ok(()),
            false => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, PAUSED)),
        }
    }

    fn new(parts: HttpParts, stopping: watch::Receiver<bool>) -> Self {
        let ended_max = parts.settings.get().connections.max;
        let counters = Arc::clone(&parts.counters);
        Self {
            settings: parts.settings,
            max_line: parts.max_line,
            delivery: parts.delivery,
            users: parts.users,
            tls: parts.tls,
            to_ingest: parts.to_ingest,
            to_delivery: parts.to_delivery,
            subscriptions: Subscriptions::new(ended_max, counters),
            ports: parts.ports,
            lease: parts.lease,
            counters: parts.counters,
            stopping,
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    let server = tokio::spawn(accept(listener, Arc::clone(&shared)));
    // An error says that the handle was dropped: the engine is gone, and so should this be.
    let _ = stopping.wait_for(|it| *it).await;
    server.abort();
    let answered = async {
        // Each connection has a clone of the router, and that of this.
        while Arc::strong_count(&shared) > 1 {
            sleep(LOOK).await;
        }
    };
    // What is not answered by then is cut.
    let _ = timeout(HTTP_STOP_MAX, answered).await;
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let admission = Arc::clone(&shared.settings.admission);
    let counters = Arc::clone(&shared.counters);
    let router = router(&shared);
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return pending().await;
    };
    listener::accept(listener, admission, counters, |stream, place| {
        let serve = connection::serve(stream, Arc::clone(&shared), router.clone(), place);
        tokio::spawn(serve);
    })
    .await;
}

fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/publish", post(publish::publish))
        .route("/subscribe/{destination}", get(subscribe::subscribe))
        .route("/ack", post(ack::acknowledge))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(shared), guard))
        .with_state(Arc::clone(shared))
}

async fn unknown_path(State(shared): State<Arc<Shared>>) -> Refusal {
    let words = format!("no such path; {PATHS}; {}", shared.ports.to_admin());
    Refusal::new(StatusCode::NOT_FOUND, words).counted(&shared.counters, Counter::HttpBadRequests)
}

async fn wrong_method(State(shared): State<Arc<Shared>>) -> Refusal {
    let words = format!("not by this method; {PATHS}");
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, words);
    refusal.counted(&shared.counters, Counter::HttpBadRequests)
}
