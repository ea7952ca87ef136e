//! What browsers are told about every answer: nothing from elsewhere, in no frame, no guessing of types.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::super::AdminState;

/// Of a page: its own script, style, pictures and streams, and nothing written into the page itself.
const OF_PAGES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                        connect-src 'self'; form-action 'self'; base-uri 'none'; \
                        frame-ancestors 'none'";

/// Of figures and pictures: they are not to run anything.
const OF_FIGURES: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// The same for every answer.
const ALL: [(HeaderName, HeaderValue); 4] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Adds these to an answer. What nobody said to keep is asked for anew each time.
pub(in crate::admin) async fn protect(
    State(_): State<Arc<AdminState>>,
    request: Request,
    next: Next,
) -> Response {
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    let of_type = headers.get(header::CONTENT_TYPE);
    let is_page = of_type.is_some_and(|it| it.as_bytes().starts_with(b"text/html"));
    let policy = match is_page {
        true => OF_PAGES,
        false => OF_FIGURES,
    };
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(policy),
    );
    headers.extend(ALL);
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    answer
}
