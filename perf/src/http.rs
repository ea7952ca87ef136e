//! One question to the engine's HTTP address.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The engine answers within a millisecond; a machine that is busy takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The body of the answer; any other status than 200 is an error.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<String> {
    let url = format!("http://{address}{path}");
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .build();
    let answer = ureq::Agent::from(agent)
        .get(&url)
        .header("Connection", "close")
        .call();
    let body = answer.and_then(|mut it| it.body_mut().read_to_string());
    body.with_context(|| format!("asking {url}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    fn answered(answer: &'static str) -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut question = [0; 512];
            let len = stream.read(&mut question).expect("a question");
            assert!(question[..len].starts_with(b"GET /stats HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).expect("it listens");
        });
        let body = get(address, "/stats");
        server.join().expect("it does not panic");
        body
    }

    #[test]
    fn the_body_is_what_stands_behind_the_header() {
        let body = answered("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
        assert_eq!(body.expect("an answer"), "{\"a\":1}");
    }

    #[test]
    fn another_status_is_an_error_that_shows_it() {
        let error = answered("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").expect_err("503");
        let error = format!("{error:#}");
        assert!(error.contains("503"), "{error}");
    }
}
