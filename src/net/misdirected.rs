//! Peers at a port that is not for them: what they are by their first line, and the words that say
//! what the port is for and which one serves them.
//!
//! Ingest and delivery ask for a first line that they do not understand. Values only.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::de::IgnoredAny;

use super::error_line;
use crate::config::Config;

/// What a peer is by its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misdirected {
    /// It sends an HTTP request.
    HttpClient,
    /// It wants to subscribe.
    Subscriber,
    /// It sends a message, or greets as a producer.
    Producer,
}

impl Misdirected {
    /// What a first line says; `None`: it is none of them.
    pub(crate) fn of(line: &[u8]) -> Option<Self> {
        if is_http_request(line) {
            return Some(Self::HttpClient);
        }
        if !line.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let members: BTreeMap<String, IgnoredAny> = serde_json::from_slice(line).ok()?;
        let has = |name| members.contains_key(name);
        if has("messageId") || has("destinationId") || has("producer") {
            return Some(Self::Producer);
        }
        has("subscribe").then_some(Self::Subscriber)
    }
}

/// `GET /stats HTTP/1.1`
fn is_http_request(line: &[u8]) -> bool {
    let mut words = line.trim_ascii_end().split(|byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let is_method = !method.is_empty() && method.iter().all(u8::is_ascii_uppercase);
    let (target, version) = (words.next(), words.next());
    let is_http = version.is_some_and(|version| version.starts_with(b"HTTP/"));
    is_method && target.is_some() && is_http && words.next().is_none()
}

/// Where the engine listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    ingest: Option<SocketAddr>,
    delivery: SocketAddr,
    admin: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

impl Ports {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            ingest: config.ingest.listen,
            delivery: config.delivery.listen,
            admin: config.admin.listen,
            http: config.http.listen,
        }
    }

    /// What a peer at `[ingest] listen` gets, if it is there by mistake.
    pub(crate) fn answer_at_ingest(&self, peer: Misdirected) -> Option<String> {
        let here = "this is [ingest] listen: producers send messages here, one JSON object a line";
        match peer {
            Misdirected::Producer => None,
            Misdirected::HttpClient => Some(error_line(&format!("{here}; {}", self.to_http()))),
            Misdirected::Subscriber => {
                let there = place(self.delivery);
                Some(error_line(&format!(
                    "{here}; subscribe at [delivery] listen, {there}"
                )))
            }
        }
    }

    /// What a peer at `[delivery] listen` gets, if it is there by mistake.
    pub(crate) fn answer_at_delivery(&self, peer: Misdirected) -> Option<String> {
        let here = "this is [delivery] listen: subscribers connect here and send \
                    {\"subscribe\":[\"table1\"]}";
        match peer {
            Misdirected::Subscriber => None,
            Misdirected::HttpClient => Some(error_line(&format!("{here}; {}", self.to_http()))),
            Misdirected::Producer => Some(error_line(&format!("{here}; {}", self.to_producers()))),
        }
    }

    /// What a peer at `[http] listen` gets, if it does not speak HTTP.
    pub(crate) fn answer_at_http(&self) -> String {
        error_line(&format!(
            "this is [http] listen, and speaks HTTP: POST /publish, GET /subscribe/{{destination}}; \
             {}; subscribe without HTTP at [delivery] listen, {}",
            self.to_producers(),
            place(self.delivery)
        ))
    }

    /// What an HTTP client is told that asks at `[http] listen` for what is not there.
    pub(crate) fn to_admin(self) -> String {
        match self.admin {
            Some(admin) => format!(
                "statistics and health are at [admin] listen, {}",
                place(admin)
            ),
            None => "statistics and health are nowhere: [admin] listen is \"none\"".to_owned(),
        }
    }

    fn to_http(self) -> String {
        match (self.admin, self.http) {
            (Some(admin), None) => format!("HTTP is at [admin] listen, {}", place(admin)),
            (Some(admin), Some(http)) => format!(
                "publish and subscribe by HTTP at [http] listen, {}; statistics are at [admin] \
                 listen, {}",
                place(http),
                place(admin)
            ),
            (None, Some(http)) => format!("HTTP is at [http] listen, {}", place(http)),
            (None, None) => "there is no HTTP: [admin] listen is \"none\"".to_owned(),
        }
    }

    fn to_producers(self) -> String {
        match self.ingest {
            Some(ingest) => format!("send messages to [ingest] listen, {}", place(ingest)),
            None => "set [ingest] listen for producers that dial in: it is \"none\"".to_owned(),
        }
    }
}

/// The address as a peer can use it.
fn place(address: SocketAddr) -> String {
    match address.ip().is_unspecified() {
        true => format!("port {} of this host", address.port()),
        false => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_tells_who_is_at_the_wrong_port() {
        for (line, peer) in [
            ("GET / HTTP/1.1", Some(Misdirected::HttpClient)),
            ("POST /publish HTTP/1.0\r", Some(Misdirected::HttpClient)),
            ("PRI * HTTP/2.0", Some(Misdirected::HttpClient)),
            (r#"{"subscribe":["table1"]}"#, Some(Misdirected::Subscriber)),
            (
                r#" {"subscribe":[],"ack":true,"x":1}"#,
                Some(Misdirected::Subscriber),
            ),
            (r#"{"producer":{"ack":true}}"#, Some(Misdirected::Producer)),
            (
                r#"{"messageId":"1","subscribe":1}"#,
                Some(Misdirected::Producer),
            ),
            (r#"{"destinationId":"table1"}"#, Some(Misdirected::Producer)),
            ("", None),
            ("get / HTTP/1.1", None),
            ("GET /", None),
            (" / HTTP/1.1", None),
            ("GET / HTTP/1.1 x", None),
            ("{}", None),
            (r#"["subscribe"]"#, None),
            (r#"{"subscribe":["table1"]"#, None),
        ] {
            assert_eq!(Misdirected::of(line.as_bytes()), peer, "{line}");
        }
    }

    #[test]
    fn the_answer_says_what_the_port_is_for_and_which_address_serves_the_peer() {
        let mut ports = Ports {
            ingest: Some("127.0.0.1:9001".parse().expect("an address")),
            delivery: "0.0.0.0:9000".parse().expect("an address"),
            admin: None,
            http: None,
        };
        let subscriber = ports.answer_at_ingest(Misdirected::Subscriber);
        let subscriber = subscriber.unwrap_or_default();
        assert!(subscriber.starts_with("{\"error\":\"this is [ingest] listen"));
        assert!(subscriber.contains("[delivery] listen, port 9000 of this host"));
        let http = ports.answer_at_ingest(Misdirected::HttpClient);
        assert!(http.unwrap_or_default().contains("[admin] listen is"));
        assert_eq!(ports.answer_at_ingest(Misdirected::Producer), None);
        ports.http = Some("127.0.0.1:9080".parse().expect("an address"));
        let http = ports.answer_at_ingest(Misdirected::HttpClient);
        assert!(
            http.unwrap_or_default()
                .contains("[http] listen, 127.0.0.1:9080")
        );
        let here = ports.answer_at_http();
        for there in [
            "[ingest] listen, 127.0.0.1:9001",
            "[delivery] listen, port 9000 of",
        ] {
            assert!(here.contains(there), "{here}");
        }
        let at_delivery = ports
            .answer_at_delivery(Misdirected::Producer)
            .unwrap_or_default();
        assert!(at_delivery.contains("[ingest] listen, 127.0.0.1:9001"));
        ports.ingest = None;
        let at_delivery = ports
            .answer_at_delivery(Misdirected::Producer)
            .unwrap_or_default();
        assert!(at_delivery.contains("set [ingest] listen"), "{at_delivery}");
        assert_eq!(ports.answer_at_delivery(Misdirected::Subscriber), None);
    }
}
