//! The keys of `[http]`.

use url::{Origin, Url};

use crate::config::found::Found;
use crate::config::key::{
    Section, key, max_connections, max_connections_per_address, set, tls, tls_file,
};
use crate::limits;

pub(super) const HTTP: Section = Section {
    name: "http",
    meaning: "HTTP for customers and producers that have no TCP client.",
    keys: &[
        key(
            "listen",
            "\"none\"",
            "Where POST /publish takes messages and GET /subscribe/{destination} hands them out, \
             such as \"127.0.0.1:9080\"; none: nowhere.",
            |c, v| set(&mut c.http.listen, v.listen()?),
        ),
        key(
            "cors",
            "[]",
            "Origins whose pages may ask from a browser, such as [\"https://till.example\"]; \"*\": \
             all. Programs that are no browsers need none.",
            |c, v| {
                let origins = v.list()?;
                let origins = origins.iter().map(origin).collect::<Result<_, _>>()?;
                set(&mut c.http.cors, origins)
            },
        ),
        key(
            "max_body",
            "\"64MiB\"",
            "The longest body of one POST /publish, 64KiB to 1GiB; no more of it is read.",
            |c, v| {
                let (min, max) = (
                    limits::HTTP_BODY_LEN_MAX_FLOOR,
                    limits::HTTP_BODY_LEN_MAX_CEILING,
                );
                set(&mut c.http.max_body, v.size(min, max)?)
            },
        ),
        max_connections!(http, "1024", "HTTP customers and producers"),
        max_connections_per_address!(http),
        tls!(http),
        tls_file!(http, cert, "tls_cert", "cert"),
        tls_file!(http, key, "tls_key", "key"),
        tls_file!(http, client_ca, "tls_client_ca", "client_ca"),
    ],
};

/// An origin as browsers write it: scheme, host, and the port where it is not the scheme's own.
fn origin(found: &Found) -> Result<String, String> {
    let text = found.text()?;
    if text == "*" {
        return Ok(text.to_owned());
    }
    let parsed = Url::parse(text).ok().map(|it| it.origin());
    let written = parsed.filter(Origin::is_tuple);
    match written.map(|it| it.ascii_serialization()) {
        Some(written) if written == text => Ok(written),
        Some(written) => Err(format!("found {text:?}; browsers write \"{written}\"")),
        None => Err(format!(
            "found {text:?}; write scheme and host, such as \"https://till.example\", or \"*\""
        )),
    }
}
