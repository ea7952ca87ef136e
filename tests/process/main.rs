//! The process and what is around it: its streams, signals, environment, files and threads.

mod environment;
mod files;
mod health;
mod panics;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod words;

use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use serde_json::Value;
use support::ports::free_address;
use support::{ENGINE, Engine, PATIENCE, Subscriber, frame, with_sources};

/// Producers dial in, and there is no database.
const PLAIN: &str = "[ingest]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"none\"\n";

fn settings(rest: &str) -> String {
    with_sources(&[], &format!("{PLAIN}{rest}"))
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the process ends", || {
        status = child.try_wait().expect("it can be asked");
        status.is_some()
    });
    status.expect("it has ended")
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(kill.expect("the kill command").success());
}

/// A pipe that takes not one byte more, as long as nobody reads it.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let flags = fcntl_getfl(&writer).expect("flags");
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).expect("an option");
    for len in [4096, 1] {
        let filling = vec![b'x'; len];
        while rustix::io::write(&writer, &filling) != Err(Errno::AGAIN) {}
    }
    fcntl_setfl(&writer, flags).expect("an option");
    (reader, writer)
}

/// Status and body; `None`: nobody answers.
fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn stdio(of: impl Into<OwnedFd>) -> Stdio {
    Stdio::from(of.into())
}
