//! What `/metrics` serves is what Prometheus takes, and what dashboard and alerts ask for is served.
//!
//! `promtool` and `prometheus`, from Debian, are the judges.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/metrics.rs"]
mod metrics;
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use certificates::{Certificates, NAMES};
use metrics::{Scrape, names_in, ops, promtool};
use serde_json::Value;
use support::ports::free_address;
use support::{Engine, PATIENCE, Subscriber, frame};

const SETTINGS: &str = "source = []\nstats = { interval = \"0s\" }\n\
     [ingest]\nlisten = \"127.0.0.1:0\"\n\
     [http]\nlisten = \"127.0.0.1:0\"\ntls_cert = \"engine.pem\"\ntls_key = \"engine.key\"\n";

/// An engine that has delivered a message, and shows it.
fn engine() -> Engine {
    let certificates = Certificates::new();
    certificates.issue_for(90, "engine", NAMES, "ca", None);
    let engine = Engine::start_in(Arc::clone(&certificates.home), SETTINGS);
    let mut subscriber = Subscriber::new(&engine, &["table1"], false);
    let ingest = engine.ingest.expect("it listens");
    let mut producer = TcpStream::connect(ingest).expect("the ingest address");
    writeln!(producer, "{}", frame("m1", "table1", 1)).expect("it takes a line");
    subscriber.frames(1);
    let begun = Instant::now();
    let series = "flipped_lb_destination_settled_total{destination=\"table1\"}";
    while Scrape::of(&engine).samples.get(series) != Some(&1.0) {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    }
    engine
}

#[test]
fn the_text_is_what_promtool_calls_right() {
    let engine = engine();
    let (_, text) = engine.get("/metrics");
    let (_, said) = promtool(&["check", "metrics"], &text);
    // Names that are older than this check, and stay.
    let known = ["_info", "metric names should not"];
    let new = said.lines().filter(|line| {
        let is_known = known.iter().any(|it| line.contains(it));
        !line.is_empty() && !is_known
    });
    assert_eq!(new.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn the_rules_are_what_promtool_calls_right() {
    let rules = ops("alerts.yml");
    let file = rules.display().to_string();
    let (right, said) = promtool(&["check", "rules", "--lint-fatal", &file], "");
    assert!(right, "{said}");
}

/// All texts under these keys.
fn texts<'a>(value: &'a Value, keys: &[&str], found: &mut Vec<&'a str>) {
    match value {
        Value::Array(all) => all.iter().for_each(|it| texts(it, keys, found)),
        Value::Object(all) => {
            for (key, value) in all {
                match value {
                    Value::String(text) if keys.contains(&key.as_str()) => found.push(text),
                    _ => texts(value, keys, found),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn dashboard_and_alerts_ask_for_what_is_served() {
    let engine = engine();
    let scrape = Scrape::of(&engine);
    let served = scrape.names();
    let rules = std::fs::read_to_string(ops("alerts.yml")).expect("the rules");
    let dashboard = std::fs::read_to_string(ops("dashboard.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let mut expressions = Vec::new();
    texts(
        &dashboard,
        &["expr", "query", "definition"],
        &mut expressions,
    );
    assert!(expressions.len() > 40, "{expressions:?}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring.md");
    let page = std::fs::read_to_string(page).expect("the page");
    // Of histograms it names the family, of the rest all; placeholders end with an underscore.
    let is_placeholder =
        |name: &str| name.ends_with('_') || name == "flipped_lb_stage_latency_seconds";
    for expression in expressions.into_iter().chain([rules.as_str(), &page]) {
        for name in names_in(expression)
            .into_iter()
            .filter(|it| !is_placeholder(it))
        {
            assert!(served.contains(name), "{name} in {expression}");
        }
    }
}

#[test]
fn expressions_of_the_dashboard_are_right() {
    let dashboard = std::fs::read_to_string(ops("dashboard.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&dashboard).expect("JSON");
    let mut expressions = Vec::new();
    texts(&dashboard, &["expr"], &mut expressions);
    let mut rules = String::from("groups:\n- name: dashboard\n  rules:\n");
    for (number, expression) in expressions.iter().enumerate() {
        let expression = expression.replace("$__rate_interval", "1m");
        let expression = serde_json::to_string(&expression).expect("text");
        rules.push_str(&format!("  - record: r{number}\n    expr: {expression}\n"));
    }
    let home = tempfile::tempdir().expect("a temporary directory");
    let file = home.path().join("rules.yml");
    std::fs::write(&file, rules).expect("a file");
    let (right, said) = promtool(&["check", "rules", &file.display().to_string()], "");
    assert!(right, "{said}");
}

/// A Prometheus that scrapes one engine each second.
struct Prometheus {
    address: SocketAddr,
    child: Child,
    _home: tempfile::TempDir,
}

impl Prometheus {
    fn start(target: SocketAddr) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let rules = std::fs::read_to_string(ops("alerts.yml")).expect("the rules");
        // What must last for a minute fires at once here.
        let rules: Vec<_> = rules.lines().filter(|it| !it.contains(" for: ")).collect();
        std::fs::write(home.path().join("alerts.yml"), rules.join("\n")).expect("a file");
        let settings = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [alerts.yml]\n\
             scrape_configs:\n- job_name: flipped-lb\n  static_configs: [{{ targets: ['{target}'] }}]\n"
        );
        let file = home.path().join("prometheus.yml");
        std::fs::write(&file, settings).expect("a file");
        let address = free_address();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", home.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus, of the Debian package of this name");
        Self {
            address,
            child,
            _home: home,
        }
    }

    /// What a path of its API answers; `None`: it does not answer yet.
    fn ask(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        let request = format!("GET /api/v1/{path} HTTP/1.0\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// Waits until an answer is right.
    fn wait(&self, path: &str, is_right: impl Fn(&Value) -> bool) {
        let begun = Instant::now();
        loop {
            let answer = self.ask(path);
            if answer.as_ref().is_some_and(&is_right) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{path}: {answer:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// It asks for OpenMetrics.
#[test]
fn a_prometheus_scrapes_an_engine_and_tells_when_it_is_gone() {
    let engine = engine();
    let prometheus = Prometheus::start(engine.admin);
    let value = |answer: &Value| {
        answer["data"]["result"][0]["value"][1]
            .as_str()
            .map(str::to_owned)
    };
    for (query, expected) in [
        ("up", "1"),
        ("flipped_lb_accepted_total", "1"),
        ("flipped_lb_ready", "1"),
        ("flipped_lb_latency_seconds_count%7Bstage=\"total\"%7D", "1"),
        (
            "sum(flipped_lb_stage_latency_seconds_bucket%7Bstage=\"total\",le=\"+Inf\"%7D)",
            "1",
        ),
    ] {
        let path = format!(
            "query?query={}",
            query.replace('"', "%22").replace('+', "%2B")
        );
        prometheus.wait(&path, |it| value(it).as_deref() == Some(expected));
    }
    let firing = |it: &Value| it["data"]["alerts"].as_array().map(Vec::len);
    prometheus.wait("alerts", |it| firing(it) == Some(0));
    engine.kill();
    prometheus.wait("alerts", |it| {
        let alert = &it["data"]["alerts"][0];
        alert["labels"]["alertname"] == "FlippedLbDown" && alert["state"] == "firing"
    });
}
