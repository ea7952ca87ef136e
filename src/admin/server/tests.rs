use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::super::{Phase, lock, testing};
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
    assert!(
        answer.head.contains(Format::Classic.content_type()),
        "{}",
        answer.head
    );
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
