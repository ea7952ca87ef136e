//! What an engine exposes, as Prometheus' own tools read it.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses its own part"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::support::Engine;

/// Samples by series, at a moment.
pub struct Scrape {
    pub at: Instant,
    pub samples: BTreeMap<String, f64>,
}

impl Scrape {
    pub fn of(engine: &Engine) -> Self {
        let at = Instant::now();
        let (status, text) = engine.get("/metrics");
        assert_eq!(status, 200);
        Self::read(at, &text)
    }

    /// What `/metrics` said at a moment.
    pub fn read(at: Instant, text: &str) -> Self {
        let lines = text.lines().filter(|it| !it.starts_with('#'));
        let samples = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a sample");
            (series.to_owned(), value.parse().expect("a number"))
        });
        let samples = samples.collect();
        Self { at, samples }
    }

    /// The names of all series.
    pub fn names(&self) -> BTreeSet<&str> {
        let series = self.samples.keys();
        series
            .map(|it| it.split('{').next().expect("the first part"))
            .collect()
    }
}

/// A file under `ops/`.
pub fn ops(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ops").join(name)
}

/// Runs `promtool` with this on its standard input; returns what it said and whether it was content.
pub fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of the Debian package prometheus");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Names of metrics in an expression, or in any text that has some.
pub fn names_in(text: &str) -> BTreeSet<&str> {
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == ':';
    let words = text.split(|it| !is_part(it));
    words
        .filter(|it| it.starts_with("flipped_lb_") || it.starts_with("process_"))
        .collect()
}
