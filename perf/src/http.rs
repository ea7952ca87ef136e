//! One question to the engine's HTTP address.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::{Context, PerfError};

/// The engine answers within a millisecond; a machine that is busy takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body of the answer. HTTP/1.0, so that it ends with the connection and is in one piece.
///
/// # Errors
/// No answer, or another status than 200.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<String, PerfError> {
    let answer = ask(address, path).context(format!("asking http://{address}{path}"))?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    match body {
        Some(body) if answer.split_whitespace().nth(1) == Some("200") => Ok(body.to_owned()),
        _ => Err(PerfError::Part {
            part: format!("http://{address}{path}"),
            what: "gave no answer that is one".into(),
            said: answer,
        }),
    }
}

fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // In one piece: who reads once has all of it.
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    fn answered(answer: &'static str) -> Result<String, PerfError> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut question = [0; 64];
            let len = stream.read(&mut question).expect("a question");
            assert!(question[..len].starts_with(b"GET /stats HTTP/1.0\r\n"));
            stream.write_all(answer.as_bytes()).expect("it listens");
        });
        let body = get(address, "/stats");
        server.join().expect("it does not panic");
        body
    }

    #[test]
    fn the_body_is_what_stands_behind_the_header() {
        let body = answered("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{\"a\":1}");
        assert_eq!(body.expect("an answer"), "{\"a\":1}");
    }

    #[test]
    fn another_status_is_an_error_that_shows_it() {
        let error = answered("HTTP/1.0 503 Busy\r\n\r\nno").expect_err("503");
        assert!(error.to_string().contains("503 Busy"), "{error}");
    }
}
