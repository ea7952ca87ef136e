//! What is wrong with a request's head whatever it asks for; for both HTTP listeners.
//!
//! Their guards ask, before anything is told or changed. Values only.

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Version};

/// Why a request is answered 400; `None`: its head is right.
///
/// RFC 9112 asks for exactly one Host in HTTP/1.1. Of two tokens nobody knows which one counts.
pub(crate) fn flaw(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    let first = hosts.next();
    if version == Version::HTTP_11 && first.is_none() {
        return Some("HTTP/1.1 wants a Host header: the name or address that is asked");
    }
    if hosts.next().is_some() {
        return Some("Host stands twice: send it once");
    }
    // Empty where what is asked has no name.
    let is_host = |host: &[u8]| host.is_empty() || Authority::try_from(host).is_ok();
    if first.is_some_and(|it| !is_host(it.as_bytes())) {
        return Some("Host is no name or address with a port");
    }
    let is_double = headers.get_all(AUTHORIZATION).iter().nth(1).is_some();
    is_double.then_some("Authorization stands twice: send one token")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn exactly_one_host_and_one_token_at_most() {
        let flaw = |version, pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, HeaderValue::from_static(value));
            }
            super::flaw(version, &headers)
        };
        let new = Version::HTTP_11;
        for host in ["", "x", "localhost:9100", "[::1]:9100", "127.0.0.1"] {
            assert_eq!(flaw(new, &[("host", host)]), None, "{host}");
        }
        assert_eq!(flaw(Version::HTTP_10, &[]), None);
        for pairs in [
            &[][..],
            &[("host", "x"), ("host", "x")],
            &[("host", "a b")],
            &[("host", "x/y")],
            &[
                ("host", "x"),
                ("authorization", "Bearer a"),
                ("authorization", "Bearer b"),
            ],
        ] {
            assert!(flaw(new, pairs).is_some(), "{pairs:?}");
        }
    }
}
