//! HTTP clients that nobody here wrote: `curl` and Python.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Engine, PATIENCE, frame};

/// Settings with HTTP for customers, no sources, and whatever else.
pub fn settings(rest: &str) -> String {
    format!("source = []\n[http]\nlisten = \"127.0.0.1:0\"\n{rest}\n")
}

/// The address of a path.
pub fn url(engine: &Engine, path: &str) -> String {
    format!("http://{}{path}", engine.http.expect("it listens"))
}

/// What `curl` gets: status and body. `input` is its standard input.
pub fn curl(engine: &Engine, path: &str, args: &[&str], input: &[u8]) -> (u16, String) {
    let mut child = Command::new("curl")
        .args(["-sS", "--max-time", "180", "-w", "\n%{http_code}"])
        .args(args)
        .arg(url(engine, path))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("curl");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // It may not want all.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    let words = String::from_utf8_lossy(&output.stderr);
    let (body, status) = text.rsplit_once('\n').expect("a status");
    let status = status.parse().unwrap_or_else(|_| panic!("{words}"));
    (status, body.to_owned())
}

/// What a client that speaks by itself is answered, until the engine closes.
pub fn said(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an orderly end");
    answer
}

/// `POST /publish` of these lines by curl.
pub fn publish(engine: &Engine, lines: &str) -> (u16, String) {
    curl(
        engine,
        "/publish",
        &["--data-binary", "@-"],
        lines.as_bytes(),
    )
}

/// Frames `PREFIX-N` for a destination, a line each.
pub fn frames(prefix: &str, destination: &str, numbers: std::ops::Range<usize>) -> String {
    let lines = numbers.map(|it| frame(&format!("{prefix}-{it}"), destination, 1) + "\n");
    lines.collect()
}

/// What a Python script prints, given arguments and the standard library alone.
pub fn python(script: &str, args: &[&str]) -> String {
    let output = Command::new("python3")
        .args(["-c", script])
        .args(args)
        .output()
        .expect("python3");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    String::from_utf8(output.stdout).expect("text")
}

/// One server-sent event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: String,
}

impl Event {
    /// The message's id.
    pub fn message(&self) -> String {
        let data: Value = serde_json::from_str(&self.data).expect("JSON");
        data["messageId"].as_str().expect("a frame").to_owned()
    }
}

/// A subscriber: `curl -N`.
pub struct Sse {
    child: Child,
    events: Receiver<Event>,
}

impl Sse {
    pub fn new(engine: &Engine, path: &str, args: &[&str]) -> Self {
        Self::at(&url(engine, path), args)
    }

    /// At another address.
    pub fn at(url: &str, args: &[&str]) -> Self {
        let mut child = Command::new("curl")
            .args(["-sSN"])
            .args(args)
            .arg(url)
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl");
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for event in read_events(stdout) {
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { child, events }
    }

    /// One that goes on behind an event.
    pub fn behind(engine: &Engine, path: &str, id: &str) -> Self {
        Self::new(engine, path, &["-H", &format!("Last-Event-ID: {id}")])
    }

    /// The next event; `None`: the stream has ended.
    pub fn next(&mut self) -> Option<Event> {
        match self.events.recv_timeout(PATIENCE) {
            Ok(event) => Some(event),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(error) => panic!("no event: {error}"),
        }
    }

    /// The next message; the engine's own words are passed over.
    pub fn message(&mut self) -> Event {
        loop {
            let event = self.next().expect("an event");
            if event.name.is_empty() {
                return event;
            }
        }
    }

    /// Whether nothing comes for a while.
    pub fn is_silent(&mut self, time: Duration) -> bool {
        self.events.recv_timeout(time).is_err()
    }
}

impl Drop for Sse {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The events of a stream.
fn read_events(stdout: ChildStdout) -> impl Iterator<Item = Event> {
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    std::iter::from_fn(move || {
        let (mut event, mut is_empty) = (Event::default(), true);
        loop {
            let line = lines.next()?;
            let Some((field, value)) = line.split_once(':') else {
                if !is_empty {
                    return Some(event);
                }
                continue;
            };
            let value = value.trim_start_matches(' ');
            match field {
                "event" => event.name = value.to_owned(),
                "id" => event.id = value.to_owned(),
                "data" if event.data.is_empty() => event.data = value.to_owned(),
                "data" => event.data = format!("{}\n{value}", event.data),
                _ => continue,
            }
            is_empty = false;
        }
    })
}
