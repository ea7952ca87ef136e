//! Why a request is not served, as its client reads it: a status and `{"error":"..."}`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::counters::{Counter, Counters};
use crate::net::error_line;

/// What a client that has no right was told: its response bears it, for the log.
#[derive(Debug, Clone)]
pub(super) struct RefusedWords(pub(super) String);

/// A request that is not served.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) words: String,
    /// How a token is to be shown, where one is wanted.
    challenge: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self {
            status,
            words: words.into(),
            challenge: None,
        }
    }

    /// It is asked for a token, or for one with a right.
    pub(super) fn challenging(self, challenge: &'static str) -> Self {
        Self {
            challenge: Some(challenge),
            ..self
        }
    }

    /// The same, counted.
    pub(super) fn counted(self, counters: &Counters, counter: Counter) -> Self {
        counters.add(counter, 1);
        self
    }

    /// The line that says why.
    pub(super) fn line(&self) -> String {
        error_line(&self.words) + "\n"
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let head = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status, head, self.line()).into_response();
        let headers = response.headers_mut();
        if let Some(challenge) = self.challenge {
            let challenge = HeaderValue::from_static(challenge);
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if [
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::MISDIRECTED_REQUEST,
        ]
        .contains(&self.status)
        {
            let words = RefusedWords(self.words);
            response.extensions_mut().insert(words);
        }
        response
    }
}
