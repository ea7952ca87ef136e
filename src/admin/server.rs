//! HTTP: the page, `/stats`, `/history`, `/metrics`, `/healthz`, `/readyz`, `/histograms/...`.
//!
//! A thread named "admin" with a runtime of its own, which reads [`AdminState`]. It only answers, and
//! passes on who asks for a reload; no agent waits for it.

use std::fmt::Write as _;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::destinations::{self, Page};
use super::guard::{Viewer, guard};
use super::health::Health;
use super::history::history;
use super::metrics::{Format, Metrics};
use super::readiness::Readiness;
use super::stats::stats;
use super::{AdminState, clients, cluster, histograms, page, reload, take_turns};
use crate::escape::Escaped;
use crate::latency::plot::PlotError;
use crate::limits::STALL_LOOK;

const PATHS: &str = "\
/                   the page, for browsers; this list, for others
/events             the page's sections each second, as server-sent events
/stats              all figures, as JSON
/history            the last ten minutes in steps of ten seconds
/metrics            the same for Prometheus
/destinations       what waits for each destination, for what and since when, and who takes it; in
                    parts by ?limit=100&after=0, or one by /destinations/{id}
/healthz            200 while all agents are alive and go on, else 503
/readyz             200 while frames are welcome, else 503
/histograms         the names of the latency histograms
/histograms/{name}  one of them: NAME.hgrm, percentiles in microseconds; NAME.hlog, an interval log
                    of nanoseconds; NAME.svg, a picture; latency.hlog and latency.svg, all of them
/reload             by POST: reads the settings anew; the answer says what changed, or why nothing did
/cluster/hand-over  by POST: a ready standby of the group takes over, ?to=NODE that one
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
    let (admission, tls) = (Arc::clone(&state.admission), Arc::clone(&state.tls));
    let told = (Arc::clone(&state.counters), Arc::clone(&state.refused));
    let feed = Arc::new(page::Feed::new(state.admission.max()));
    let state = Arc::new(state);
    let events = tokio::spawn(Arc::clone(&feed).run(Arc::clone(&state)));
    let router = router(state, feed);
    let server = tokio::spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        clients::serve((listener, tls), admission, told, router).await;
        io::Result::Ok(())
    });
    // An error says that the handle was dropped: the engine is gone, and so should this be.
    let _ = stopped.await;
    server.abort();
    watch.abort();
    events.abort();
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

fn router(state: Arc<AdminState>, feed: Arc<page::Feed>) -> Router {
    let metrics = Arc::new(Metrics::new(AdminState::clone(&state)));
    Router::new()
        .route("/", get(get_page))
        .route("/stats", get(get_stats))
        .route("/history", get(get_history))
        .route("/metrics", get(get_metrics))
        .route("/destinations", get(get_destinations))
        .route("/destinations/{id}", get(get_destination))
        .route("/healthz", get(get_healthz))
        .route("/readyz", get(get_readyz))
        .route("/histograms", get(get_histograms))
        .route("/histograms/{name}", get(get_histogram))
        .route("/reload", post(reload::post))
        .route("/cluster/hand-over", post(cluster::hand_over))
        .merge(page::routes(feed))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(Extension(metrics))
        .layer(from_fn_with_state(Arc::clone(&state), guard))
        .layer(from_fn_with_state(Arc::clone(&state), page::protect))
        .with_state(state)
}

type Shared = State<Arc<AdminState>>;

/// The page for browsers; for programs, what there is.
async fn get_page(State(state): Shared, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    if page::wants_page(&headers) {
        page::page(&state, query.as_deref())
    } else {
        ([(header::VARY, "accept")], PATHS).into_response()
    }
}

async fn get_history(State(state): Shared) -> Json<Value> {
    Json(history(&state))
}

async fn get_stats(State(state): Shared) -> Json<Value> {
    Json(stats(&state))
}

async fn get_metrics(
    Extension(metrics): Extension<Arc<Metrics>>,
    headers: HeaderMap,
) -> ([(HeaderName, &'static str); 1], String) {
    let format = Format::of(&headers);
    let content_type = (header::CONTENT_TYPE, format.content_type());
    ([content_type], metrics.text(format))
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
    let member = state.member();
    let readiness = Readiness::of(&state, member.as_ref());
    let mut answer = json!({
        "ready": readiness.unready.is_none(),
        "reason": readiness.reason(),
    });
    if let Some(member) = &member {
        cluster::tell_active(member, &mut answer);
    }
    match readiness.unready {
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, Json(answer)),
        None => {
            // They name destinations.
            if viewer.sees_all {
                answer["degraded"] = readiness.degraded.into();
            }
            (StatusCode::OK, Json(answer))
        }
    }
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
        "use GET, but POST for /reload and /cluster/hand-over: nothing else can be changed here\n",
    )
}

#[cfg(test)]
mod tests;
