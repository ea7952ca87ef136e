//! Who may ask over HTTP: where there are users, whoever shows the token, or the certificate, of one
//! with `may_admin`; no page of elsewhere, by `hosts`.
//!
//! It stands before the router of `server`. `/healthz` and `/readyz` answer everybody, for probes have
//! no token; they name no destination to whoever shows none.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{AdminState, hosts, page};
use crate::access::{HOW_BY_HTTP, NO_RIGHT_CHALLENGE, Proof, Token, Unidentified, challenge};
use crate::counters::Counter;
use crate::escape::Escaped;
use crate::http::request::flaw;

/// Paths that need no token.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// The client of a connection.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    /// The names in the certificate that it has shown.
    pub(super) certificate: Option<Arc<[String]>>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer {
    /// It may see all: it has shown its right, or none is asked for.
    pub(super) sees_all: bool,
}

/// Why a request is refused.
#[derive(Debug)]
enum Refused {
    Unidentified(Unidentified),
    /// This user may not.
    NoRight(String),
    /// It asks by a name that is not ours.
    ForeignHost(String),
    /// A page of another origin asks for a change.
    FromElsewhere,
}

/// Lets a request pass, or answers 401 or 403.
pub(super) async fn guard(
    State(state): State<Arc<AdminState>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(flaw) = flaw(request.version(), request.headers()) {
        return (StatusCode::BAD_REQUEST, format!("{flaw}\n")).into_response();
    }
    let client = request.extensions().get::<Client>().cloned();
    let peer = client.as_ref().map(|it| it.peer);
    if hosts::is_from_elsewhere(request.method(), request.headers()) {
        return state.refuse(&Refused::FromElsewhere, peer);
    }
    let certificate = client.as_ref().and_then(|it| it.certificate.as_deref());
    let allowed = judge(&state, request.headers(), certificate);
    let path = request.uri().path();
    match allowed {
        Err(Refused::Unidentified(why)) if path == "/" && page::wants_page(request.headers()) => {
            let words = why.words(HOW_BY_HTTP);
            // Who opens the page has not had a chance to show one.
            if why.shows_token() {
                state.note(&Refused::Unidentified(why), &words, peer);
            }
            page::sign_in(&words)
        }
        Err(why) if !OPEN.contains(&path) && !page::is_open(path) => state.refuse(&why, peer),
        allowed => {
            let sees_all = allowed.is_ok();
            request.extensions_mut().insert(Viewer { sees_all });
            next.run(request).await
        }
    }
}

fn judge(
    state: &AdminState,
    headers: &HeaderMap,
    certificate: Option<&[String]>,
) -> Result<(), Refused> {
    let users = state.users.get();
    // A page of elsewhere has neither a token nor a certificate of its own name that is trusted here.
    if !users.want_token()
        && state.tls.listener().is_none()
        && let Some(host) = hosts::foreign(headers, &state.facts.hosts)
    {
        return Err(Refused::ForeignHost(host));
    }
    let token = headers.get(header::AUTHORIZATION);
    let token = token.and_then(|it| Token::bearer(it.as_bytes()));
    let proof = Proof {
        token: token.as_ref(),
        certificate,
    };
    match users.identify(proof) {
        Ok(Some(user)) if !user.may_admin() => Err(Refused::NoRight(user.name.to_string())),
        Ok(_) => Ok(()),
        Err(why) => Err(Refused::Unidentified(why)),
    }
}

impl AdminState {
    /// Counts and logs a refusal, and answers it.
    fn refuse(&self, why: &Refused, peer: Option<SocketAddr>) -> Response {
        let answer = why.answer();
        self.note(why, &answer.words, peer);
        answer.into_response()
    }

    /// Counts and logs a refusal, with what is told of it.
    fn note(&self, why: &Refused, words: &str, peer: Option<SocketAddr>) {
        if let Some(counter) = why.counter() {
            self.counters.add(counter, 1);
        }
        if let Some(peer) = peer {
            self.refused.log(peer, words);
        }
    }
}

/// What a refused client is told.
struct Answer {
    status: StatusCode,
    challenge: Option<&'static str>,
    words: String,
}

impl Refused {
    fn counter(&self) -> Option<Counter> {
        match self {
            Self::Unidentified(_) => Some(Counter::TokensRefused),
            Self::NoRight(_) => Some(Counter::RightsRefused),
            Self::ForeignHost(_) | Self::FromElsewhere => None,
        }
    }

    fn answer(&self) -> Answer {
        let (status, challenge, words) = match self {
            Self::Unidentified(why) => (
                StatusCode::UNAUTHORIZED,
                Some(challenge(*why)),
                why.words(HOW_BY_HTTP),
            ),
            Self::NoRight(name) => (
                StatusCode::FORBIDDEN,
                Some(NO_RIGHT_CHALLENGE),
                format!(
                    "user {} may not ask here; it needs may_admin",
                    Escaped(name)
                ),
            ),
            Self::ForeignHost(host) => (
                StatusCode::MISDIRECTED_REQUEST,
                None,
                format!(
                    "this engine does not know itself as {}; ask by its address, or name that in \
                     [admin] hosts",
                    Escaped(host)
                ),
            ),
            Self::FromElsewhere => (
                StatusCode::FORBIDDEN,
                None,
                "a page of another origin may not change anything here".to_owned(),
            ),
        };
        Answer {
            status,
            challenge,
            words,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.words + "\n").into_response();
        if let Some(challenge) = self.challenge {
            let challenge = HeaderValue::from_static(challenge);
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
