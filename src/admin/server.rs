//! HTTP: `/stats`, `/metrics`, `/healthz`, `/readyz`, `/histograms/...`.
//!
//! A thread named "admin" with a runtime of its own, which reads [`AdminState`]. It only answers: nothing
//! can be changed through it, and no agent waits for it.

use std::fmt::Write as _;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::degraded::{Shortage, degraded};
use super::destinations::{self, Page};
use super::guard::{Viewer, guard};
use super::health::{Health, has_journal};
use super::metrics::{CONTENT_TYPE, metrics};
use super::stats::stats;
use super::{AdminState, clients, histograms, lock, take_turns};
use crate::escape::Escaped;
use crate::latency::plot::PlotError;
use crate::limits::STALL_LOOK;
use crate::net::admission::Admission;

const PATHS: &str = "\
/stats              all figures, as JSON
/metrics            the same for Prometheus
/destinations       what waits for each destination, for what and since when, and who takes it; in
                    parts by ?limit=100&after=0, or one by /destinations/{id}
/healthz            200 while all agents are alive and go on, else 503
/readyz             200 while frames are welcome, else 503
/histograms         the names of the latency histograms
/histograms/{name}  one of them: NAME.hgrm, percentiles in microseconds; NAME.hlog, an interval log
                    of nanoseconds; NAME.svg, a picture; latency.hlog and latency.svg, all of them
";

#[derive(Debug)]
pub(crate) struct Admin {
    /// `None`: it is ending.
    stop: Option<oneshot::Sender<()>>,
    thread: JoinHandle<()>,
}

/// HTTP could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// No thread or no runtime.
    #[error("cannot start the admin thread: {0}; the system is short of threads or descriptors")]
    Thread(io::Error),
}

impl Admin {
    /// Answers those that connect to a bound address, from a thread of its own.
    ///
    /// # Errors
    /// The system has no thread or descriptor to give.
    pub(crate) fn start(listener: TcpListener, state: AdminState) -> Result<Self, AdminError> {
        listener.set_nonblocking(true).map_err(AdminError::Thread)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(AdminError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let thread = Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                take_turns("admin");
                runtime.block_on(serve(listener, state, stopped));
            })
            .map_err(AdminError::Thread)?;
        Ok(Self {
            stop: Some(stop),
            thread,
        })
    }

    /// Has the thread end; answers under way are cut.
    pub(crate) fn begin_shutdown(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It fails only if the thread has gone already.
            let _ = stop.send(());
        }
    }

    #[must_use]
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the thread and waits for that.
    pub(crate) fn stop(mut self) {
        self.begin_shutdown();
        // A thread that has panicked has ended too.
        let _ = self.thread.join();
    }
}

async fn serve(listener: TcpListener, state: AdminState, stopped: oneshot::Receiver<()>) {
    let watch = tokio::spawn(watch(Arc::clone(&state.health)));
    let admission = Admission::new("admin", state.facts.connections);
    let counters = Arc::clone(&state.counters);
    let tls = state.tls.clone().map(TlsAcceptor::from);
    let router = router(state);
    let server = tokio::spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        clients::serve((listener, tls), admission, counters, router).await;
        io::Result::Ok(())
    });
    // An error says that the handle was dropped: the engine is gone, and so should this be.
    let _ = stopped.await;
    server.abort();
    watch.abort();
}

/// Looks after the agents' threads, beside answering.
async fn watch(health: Arc<Health>) {
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(STALL_LOOK).await;
        health.look(last.elapsed());
        last = Instant::now();
    }
}

fn router(state: AdminState) -> Router {
    let state = Arc::new(state);
    Router::new()
        .route("/stats", get(get_stats))
        .route("/metrics", get(get_metrics))
        .route("/destinations", get(get_destinations))
        .route("/destinations/{id}", get(get_destination))
        .route("/healthz", get(get_healthz))
        .route("/readyz", get(get_readyz))
        .route("/histograms", get(get_histograms))
        .route("/histograms/{name}", get(get_histogram))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&state), guard))
        .with_state(state)
}

type Shared = State<Arc<AdminState>>;

async fn get_stats(State(state): Shared) -> Json<Value> {
    Json(stats(&state))
}

async fn get_metrics(State(state): Shared) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics(&state))
}

async fn get_destinations(State(state): Shared, Query(page): Query<Page>) -> Json<Value> {
    Json(destinations::list(&state, page))
}

async fn get_destination(State(state): Shared, Path(id): Path<String>) -> Response {
    match destinations::find(&state, &id) {
        Some(destination) => Json(destination).into_response(),
        None => {
            let text = format!("no destination {}; /destinations lists them\n", Escaped(id));
            (StatusCode::NOT_FOUND, text).into_response()
        }
    }
}

async fn get_healthz(State(state): Shared) -> (StatusCode, String) {
    let unwell = state.health.unwell();
    match unwell.is_empty() {
        true => (StatusCode::OK, "ok\n".to_owned()),
        false => (StatusCode::SERVICE_UNAVAILABLE, unwell.join("\n") + "\n"),
    }
}

async fn get_readyz(
    State(state): Shared,
    Extension(viewer): Extension<Viewer>,
) -> (StatusCode, Json<Value>) {
    let ready = state.health.ready();
    match ready.and_then(|()| has_journal(&state.counters)) {
        Ok(()) => {
            let mut answer = json!({ "ready": true, "reason": "running" });
            // They name destinations.
            if viewer.sees_all {
                let degraded = [shortages(&state), state.health.late(), alarms(&state)];
                answer["degraded"] = degraded.concat().into();
            }
            (StatusCode::OK, Json(answer))
        }
        Err(reason) => {
            let answer = Json(json!({ "ready": false, "reason": reason }));
            (StatusCode::SERVICE_UNAVAILABLE, answer)
        }
    }
}

/// What does not work as it should now, with its beginning where that is known.
fn shortages(state: &AdminState) -> Vec<String> {
    let shown = lock(&state.shown);
    let with_beginning = |Shortage { kind, words }| match shown.alarms.since_us(kind) {
        Some(since_us) if !words.contains(" since ") => {
            format!("{words}, since {}", destinations::time(since_us))
        }
        _ => words,
    };
    let all = degraded(&state.counters).into_iter();
    all.map(with_beginning).collect()
}

fn alarms(state: &AdminState) -> Vec<String> {
    lock(&state.shown).alarms.words()
}

async fn get_histograms(State(state): Shared) -> Json<Value> {
    Json(histograms::index(&state))
}

async fn get_histogram(State(state): Shared, Path(name): Path<String>) -> Response {
    match histograms::file(&state, &name) {
        Some(Ok(file)) => ([(header::CONTENT_TYPE, file.content_type)], file.bytes).into_response(),
        Some(Err(error)) => {
            let status = match error {
                PlotError::Empty => StatusCode::NOT_FOUND,
                PlotError::Draw(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, format!("{error}\n")).into_response()
        }
        None => {
            let text = format!("no histogram {}; /histograms lists them\n", Escaped(name));
            (StatusCode::NOT_FOUND, text).into_response()
        }
    }
}

async fn unknown_path() -> (StatusCode, String) {
    let mut text = "no such path; there are\n".to_owned();
    text.write_str(PATHS).expect("a string takes everything");
    (StatusCode::NOT_FOUND, text)
}

async fn wrong_method() -> (StatusCode, &'static str) {
    (
        StatusCode::METHOD_NOT_ALLOWED,
        "use GET: nothing can be changed here\n",
    )
}

#[cfg(test)]
mod tests;
