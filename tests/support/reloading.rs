//! What the tests of a reload share: a file that changes, and who asks for it to be read.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::Value;

use super::support::Engine;

pub fn file(engine: &Engine) -> PathBuf {
    engine.home.path().join("flipped-lb.toml")
}

/// Puts settings into the engine's file: a reload that is under way reads all of the one before, or of these.
pub fn write(engine: &Engine, settings: &str) {
    let new = file(engine).with_extension("new");
    std::fs::write(&new, settings).expect("a settings file");
    std::fs::rename(new, file(engine)).expect("one directory");
}

/// `POST /reload`: status and answer.
pub fn post(engine: &Engine, token: Option<&str>) -> (u16, String) {
    let mut stream = TcpStream::connect(engine.admin).expect("the admin address");
    let token = token.map_or(String::new(), |it| {
        format!("authorization: Bearer {it}\r\n")
    });
    write!(
        stream,
        "POST /reload HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n{token}\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head[9..12].parse().expect("a status"), body.to_owned())
}

/// Has these settings take effect; returns the answer.
#[track_caller]
pub fn reload(engine: &Engine, settings: &str) -> Value {
    write(engine, settings);
    let (status, body) = post(engine, None);
    assert_eq!(status, 200, "{body}\n{settings}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["reloaded"], true);
    answer
}

/// The settings in the file are refused; returns why.
#[track_caller]
pub fn refused(engine: &Engine) -> String {
    let (status, body) = post(engine, None);
    assert_eq!(status, 422, "{body}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["reloaded"], false);
    answer["error"].as_str().expect("words").to_owned()
}
