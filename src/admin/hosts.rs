//! By which names the admin address may be asked, and from which pages.
//!
//! `guard` asks. A page of elsewhere may have its own name resolve to this address (DNS rebinding); then its
//! browser takes both for one origin, and the name in `Host` is all that tells. A name without a dot is
//! nobody's in the public DNS: `localhost`, a machine or a container of this network. Where a token or a
//! certificate of the right name is wanted, such a page gets nothing anyway.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, header};

use crate::net::machine;

/// Any name.
const ANY: &str = "*";

/// The foreign name by which a request asks; `None`: it asks by one of ours, or by none.
pub(crate) fn foreign(headers: &HeaderMap, hosts: &[String]) -> Option<String> {
    let named = headers.get_all(header::HOST).iter();
    let named = named.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
    let mut foreign = named.filter(|it| !is_ours(it, hosts));
    foreign.next()
}

fn is_ours(authority: &str, hosts: &[String]) -> bool {
    let host = host(authority).to_ascii_lowercase();
    let is = |name: &str| name.trim_end_matches('.').eq_ignore_ascii_case(&host);
    host.parse::<IpAddr>().is_ok()
        || !host.contains('.')
        || host.ends_with(".localhost")
        || is(&machine::name())
        || hosts.iter().any(|it| it == ANY || is(it))
}

/// `host`, `host:port` and `[address]:port` without the port, and without a last dot.
fn host(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|it| it.is_ascii_digit()) => host,
        _ => authority,
    };
    host.trim_end_matches('.')
}

/// Whether a page of elsewhere asks for a change. Browsers say where a page that asks for one is from;
/// other programs do not, and are no page's.
pub(super) fn is_from_elsewhere(method: &Method, headers: &HeaderMap) -> bool {
    if method.is_safe() {
        return false;
    }
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
    let site = headers.get("sec-fetch-site");
    let site = site.and_then(|it| it.to_str().ok());
    let is_other_site = site.is_some_and(|it| it != "same-origin" && it != "none");
    let origin = headers.contains_key(header::ORIGIN).then(|| {
        let origin = text(header::ORIGIN)?;
        let (_, authority) = origin.split_once("://")?;
        Some(text(header::HOST)?.eq_ignore_ascii_case(authority))
    });
    // An origin that cannot be read is not this one.
    is_other_site || origin.is_some_and(|it| it != Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn addresses_and_names_of_this_network_are_ours_and_public_names_are_not() {
        let hosts = ["Engine1.example".to_owned()];
        for host in [
            "127.0.0.1",
            "127.0.0.1:9100",
            "[::1]:9100",
            "[::1]",
            "localhost:9100",
            "LOCALHOST.",
            "a.localhost",
            "kitchen",
            "x",
            "engine1.EXAMPLE:9100",
            "engine1.example.",
            "",
        ] {
            let asked = headers(&[("host", host)]);
            assert_eq!(foreign(&asked, &hosts), None, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9100",
            "127.0.0.1.evil.example",
            "evil.example:x",
            "localhost.evil.example:9100",
            "xlocalhost.example",
            "0x7f.1",
        ] {
            let asked = headers(&[("host", host)]);
            assert_eq!(foreign(&asked, &hosts).as_deref(), Some(host));
            assert_eq!(foreign(&asked, &["*".to_owned()]), None);
            let twice = headers(&[("host", "localhost"), ("host", host)]);
            assert!(foreign(&twice, &hosts).is_some());
        }
        assert_eq!(foreign(&HeaderMap::new(), &hosts), None);
        let own = headers(&[("host", &machine::name())]);
        assert_eq!(foreign(&own, &[]), None);
    }

    #[test]
    fn a_page_of_elsewhere_may_not_change_anything_and_programs_may() {
        let from = |pairs: &[(&'static str, &str)]| {
            let mut all = vec![("host", "localhost:9100")];
            all.extend(pairs);
            is_from_elsewhere(&Method::POST, &headers(&all))
        };
        assert!(!from(&[]));
        assert!(!from(&[("origin", "http://localhost:9100")]));
        assert!(!from(&[("sec-fetch-site", "same-origin")]));
        for origin in ["http://evil.example", "http://localhost:9101", "null"] {
            assert!(from(&[("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(from(&[("sec-fetch-site", site)]), "{site}");
        }
        let asked = headers(&[("origin", "http://evil.example")]);
        assert!(!is_from_elsewhere(&Method::GET, &asked));
    }
}
