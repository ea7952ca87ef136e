//! Who may ask: which host was asked for, which page asks, which user.
//!
//! It stands before the router. A page of another origin reaches whatever its browser reaches, and a page
//! whose name was made to point here reaches it as its own: both are refused unless the settings say
//! otherwise. Values, but for [`guard`].

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::connection::Connection;
use super::refusal::{Refusal, RefusedWords};
use super::request::flaw;
use super::server::Shared;
use crate::access::{
    HOW_BY_HTTP, Listener, NO_RIGHT_CHALLENGE, Proof, Token, Unidentified, User, Users, challenge,
};
use crate::admin::hosts::foreign;
use crate::counters::Counter;
use crate::escape::Escaped;

/// What a page may send along.
const HEADERS: &str = "authorization, content-type, last-event-id, cache-control";

/// How long a browser may remember what a page may do, in s.
const REMEMBERED: &str = "600";

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// `None`: users are not asked for.
    pub(super) user: Option<Arc<User>>,
    pub(super) token: Option<Token>,
}

impl Caller {
    /// Its name, where users are asked for.
    pub(super) fn name(&self) -> Option<Box<str>> {
        self.user.as_ref().map(|it| it.name.clone())
    }

    /// It may not do what it asks for.
    pub(super) fn refused(&self, what: &str) -> Refusal {
        let name = Escaped(self.name().unwrap_or_default()).to_string();
        Refusal::new(StatusCode::FORBIDDEN, format!("user {name} may {what}"))
            .challenging(NO_RIGHT_CHALLENGE)
    }
}

/// Lets a request pass, and logs where it is refused, here or behind.
pub(super) async fn guard(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let connection = request.extensions().get::<Arc<Connection>>();
    let peer = connection.map(|it| it.place.peer);
    let response = admit(&shared, request, next).await;
    if let (Some(peer), Some(RefusedWords(words))) = (peer, response.extensions().get()) {
        shared.settings.refused.log(peer, words);
    }
    response
}

/// Lets a request pass, answers a browser that asks what a page may do, or refuses.
async fn admit(shared: &Shared, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    if let Some(flaw) = flaw(request.version(), headers) {
        return Refusal::new(StatusCode::BAD_REQUEST, flaw)
            .counted(&shared.counters, Counter::HttpBadRequests)
            .into_response();
    }
    let users = shared.users.get();
    if !users.want_token() && !is_own_host(headers, shared) {
        let words = "this address is asked for by its own name or number only: a page elsewhere may \
                     have sent you here; ask for localhost, or add a [[user]]";
        return Refusal::new(StatusCode::MISDIRECTED_REQUEST, words)
            .counted(&shared.counters, Counter::HttpHostsRefused)
            .into_response();
    }
    let settings = shared.settings.get();
    let allowed = match origin(headers, &settings.cors) {
        Ok(allowed) => allowed,
        Err(origin) => {
            let words = format!(
                "pages of {origin} may not ask here; add their origin to [http] cors if they shall"
            );
            return Refusal::new(StatusCode::FORBIDDEN, words)
                .counted(&shared.counters, Counter::HttpOriginsRefused)
                .into_response();
        }
    };
    let is_preflight = request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let connection = request.extensions().get::<Arc<Connection>>();
    let certificate = connection.and_then(|it| it.certificate());
    let mut response = match identify(&users, headers, certificate) {
        _ if is_preflight => preflight(headers),
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(why) => {
            shared.counters.add(Counter::TokensRefused, 1);
            unidentified(why).into_response()
        }
    };
    if let Some(allowed) = allowed {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

/// Whether the host that was asked for is this one. Where tokens are asked for, or other machines are
/// welcome anyway, it does not matter: a page that was sent here has no token.
fn is_own_host(headers: &HeaderMap, shared: &Shared) -> bool {
    let matters = shared.settings.get().listen.is_some_and(|address| {
        let section = "http";
        !Listener { section, address }.is_reachable()
    });
    !matters || foreign(headers, &[]).is_none()
}

/// What a page that may ask is told; nothing where no page asks.
///
/// # Errors
/// The origin of one that may not.
fn origin(headers: &HeaderMap, cors: &[String]) -> Result<Option<HeaderValue>, String> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(None);
    };
    if cors.iter().any(|it| it == "*") {
        return Ok(Some(HeaderValue::from_static("*")));
    }
    match cors.iter().any(|it| it.as_bytes() == origin.as_bytes()) {
        true => Ok(Some(origin.clone())),
        false => Err(Escaped(String::from_utf8_lossy(origin.as_bytes())).to_string()),
    }
}

/// What a page may do.
fn preflight(headers: &HeaderMap) -> Response {
    const PRIVATE: &str = "access-control-request-private-network";
    const MAY_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");
    let head = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED),
    ];
    let mut response = (StatusCode::NO_CONTENT, head).into_response();
    if headers.contains_key(PRIVATE) {
        let may = HeaderValue::from_static("true");
        response.headers_mut().insert(MAY_PRIVATE, may);
    }
    response
}

fn identify(
    users: &Users,
    headers: &HeaderMap,
    certificate: Option<&[String]>,
) -> Result<Caller, Unidentified> {
    let token = headers.get(header::AUTHORIZATION);
    let token = token.and_then(|it| Token::bearer(it.as_bytes()));
    let proof = Proof {
        token: token.as_ref(),
        certificate,
    };
    let user = users.identify(proof)?.cloned();
    Ok(Caller { user, token })
}

fn unidentified(why: Unidentified) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, why.words(HOW_BY_HTTP)).challenging(challenge(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_listed_origins_may_ask_and_programs_have_none() {
        let of = |origin: Option<&'static str>, cors: &[&str]| {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let cors: Vec<String> = cors.iter().map(|it| (*it).to_owned()).collect();
            let allowed = super::origin(&headers, &cors);
            allowed.map(|it| it.map(|it| it.to_str().expect("text").to_owned()))
        };
        let till = "https://till.example";
        assert_eq!(of(None, &[]), Ok(None));
        assert_eq!(of(Some(till), &[till]), Ok(Some(till.to_owned())));
        assert_eq!(of(Some(till), &["*"]), Ok(Some("*".to_owned())));
        for other in ["null", "https://till.example.evil", "http://till.example"] {
            assert!(of(Some(other), &[till]).is_err(), "{other}");
        }
        assert!(of(Some("null"), &[]).is_err());
    }
}
