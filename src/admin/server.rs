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
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};

    use super::super::{Phase, testing};
    use super::*;
    use crate::latency::Totals;
    use crate::latency::log_reader::HistogramLog;

    struct Served {
        admin: Admin,
        address: SocketAddr,
    }

    impl Served {
        fn stop(self) {
            self.admin.stop();
        }
    }

    struct Answer {
        status: u16,
        head: String,
        body: String,
    }

    impl Answer {
        fn json(&self) -> Value {
            serde_json::from_str(&self.body).unwrap()
        }
    }

    fn ask(admin: &Served, method: &str, path: &str) -> Answer {
        let mut stream = TcpStream::connect(admin.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head[9..12].parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    fn start() -> (Served, AdminState) {
        let state = testing::state();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let admin = Admin::start(listener, state.clone()).unwrap();
        (Served { admin, address }, state)
    }

    #[test]
    fn figures_are_served_over_a_socket() {
        let (admin, state) = start();
        let answer = ask(&admin, "GET", "/stats");
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("content-type: application/json"));
        let mut served = answer.json();
        let mut expected = stats(&state);
        // These differ from moment to moment.
        for key in ["uptime_seconds", "http_connected"] {
            served[key] = 0.into();
            expected[key] = 0.into();
        }
        assert_eq!(served, expected);
        let answer = ask(&admin, "GET", "/metrics");
        assert!(answer.head.contains(CONTENT_TYPE), "{}", answer.head);
        assert!(answer.body.contains("\nflipped_lb_received_total 20\n"));
        admin.stop();
    }

    #[test]
    fn histograms_are_listed_and_each_one_listed_is_served() {
        let (admin, _) = start();
        let list = ask(&admin, "GET", "/histograms").json();
        let list = list["histograms"].as_array().unwrap();
        assert_eq!(list.len(), 5 * 4 + 2 + 2);
        for entry in list {
            let name = entry["name"].as_str().unwrap();
            let answer = ask(&admin, "GET", &format!("/histograms/{name}"));
            assert_eq!(answer.status, 200, "{name}");
            let footer = format!("Total count    = {:>12}]", entry["count"].as_u64().unwrap());
            assert!(answer.body.contains(&footer), "{name}: {}", answer.body);
        }
        for name in [
            "nothing.hgrm",
            "total",
            "total.txt",
            "total.svg.svg",
            ".svg",
        ] {
            let answer = ask(&admin, "GET", &format!("/histograms/{name}"));
            assert_eq!(answer.status, 404, "{name}");
        }
        admin.stop();
    }

    #[test]
    fn histograms_are_served_as_pictures_and_as_logs() {
        let (admin, _) = start();
        let index = ask(&admin, "GET", "/histograms").json();
        let first = &index["histograms"][0];
        for (name, curves) in [(&first["svg"], 1), (&index["svg"], 5)] {
            let path = format!("/histograms/{}", name.as_str().unwrap());
            let answer = ask(&admin, "GET", &path);
            assert!(
                answer.head.contains("content-type: image/svg+xml"),
                "{}",
                answer.head
            );
            let lines = answer.body.lines();
            // A curve is a line of two points or more in a colour of its own; axes are black.
            let drawn =
                lines.filter(|it| it.contains("<polyline") && it.contains("stroke-width=\"2\""));
            assert_eq!(
                drawn.count(),
                2 * curves,
                "each with its legend: {}",
                answer.body
            );
        }
        for (name, tags) in [(&first["hlog"], 1), (&index["hlog"], 5 * 3 + 2 + 2)] {
            let path = format!("/histograms/{}", name.as_str().unwrap());
            let log = HistogramLog::parse(&ask(&admin, "GET", &path).body).unwrap();
            assert_eq!(log.tags().count(), tags);
        }
        admin.stop();
    }

    #[test]
    fn nothing_to_draw_is_told() {
        let (admin, state) = start();
        lock(&state.shown).totals = Totals::new(3, 4);
        let answer = ask(&admin, "GET", "/histograms/total.svg");
        assert_eq!(answer.status, 404);
        assert!(answer.body.contains("nothing to draw"), "{}", answer.body);
        admin.stop();
    }

    #[test]
    fn health_names_the_agent_that_died() {
        let (admin, state) = start();
        let guard = state.health.alive("scheduler").unwrap();
        let answer = ask(&admin, "GET", "/healthz");
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
        drop(guard);
        let answer = ask(&admin, "GET", "/healthz");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (503, "died: scheduler\n")
        );
        assert_eq!(ask(&admin, "GET", "/readyz").status, 503);
        admin.stop();
    }

    #[test]
    fn readiness_follows_the_phase() {
        let (admin, state) = start();
        for (phase, status, reason) in [
            (Phase::Starting, 503, "starting"),
            (Phase::Running, 200, "running"),
            (Phase::Draining, 503, "draining"),
        ] {
            state.health.set_phase(phase);
            let answer = ask(&admin, "GET", "/readyz");
            assert_eq!(answer.status, status);
            assert_eq!(answer.json()["ready"], status == 200);
            assert_eq!(answer.json()["reason"], reason);
        }
        admin.stop();
    }

    #[test]
    fn wrong_paths_and_methods_are_told_what_is_right() {
        let (admin, _) = start();
        let answer = ask(&admin, "GET", "/statistics");
        assert_eq!(answer.status, 404);
        for line in PATHS.lines() {
            assert!(answer.body.contains(line));
        }
        let answer = ask(&admin, "POST", "/stats");
        assert_eq!(answer.status, 405);
        assert!(answer.head.contains("allow: get"), "{}", answer.head);
        admin.stop();
    }

    #[test]
    fn stopping_does_not_wait_for_idle_clients() {
        let (admin, _) = start();
        let mut idle = TcpStream::connect(admin.address).unwrap();
        assert_eq!(ask(&admin, "GET", "/healthz").status, 200);
        admin.stop();
        assert!(matches!(idle.read(&mut [0]), Ok(0) | Err(_)));
    }
}
