//! Who may ask over HTTP: where there are users, whoever shows the token of one with `may_admin`.
//!
//! It stands before the router of `server`. `/healthz` and `/readyz` answer everybody, for probes have
//! no token; they name no destination to whoever shows none.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AdminState;
use crate::access::{Token, Unidentified, Users};
use crate::counters::Counter;
use crate::escape::Escaped;

/// Paths that need no token.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// How a client shows a token.
const HOW: &str = "send it as Authorization: Bearer TOKEN";

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
}

/// Lets a request pass, or answers 401 or 403.
pub(super) async fn guard(
    State(state): State<Arc<AdminState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let allowed = judge(&state.users, request.headers());
    match allowed {
        Err(why) if !OPEN.contains(&request.uri().path()) => {
            state.counters.add(why.counter(), 1);
            why.into_response()
        }
        allowed => {
            let sees_all = allowed.is_ok();
            request.extensions_mut().insert(Viewer { sees_all });
            next.run(request).await
        }
    }
}

fn judge(users: &Users, headers: &HeaderMap) -> Result<(), Refused> {
    let token = headers.get(header::AUTHORIZATION);
    let token = token.and_then(|it| bearer(it.to_str().ok()?));
    match users.identify(token.as_ref()) {
        Ok(Some(user)) if !user.may_admin() => Err(Refused::NoRight(user.name.to_string())),
        Ok(_) => Ok(()),
        Err(why) => Err(Refused::Unidentified(why)),
    }
}

/// The token of `Bearer TOKEN`.
fn bearer(value: &str) -> Option<Token> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| Token::new(token.trim()))
}

impl Refused {
    fn counter(&self) -> Counter {
        match self {
            Self::Unidentified(_) => Counter::TokensRefused,
            Self::NoRight(_) => Counter::RightsRefused,
        }
    }
}

/// As RFC 6750 has it.
impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, challenge, words) = match self {
            Self::Unidentified(why) => {
                let challenge = match why {
                    Unidentified::NoToken => "Bearer realm=\"flipped-lb\"",
                    Unidentified::WrongToken => {
                        "Bearer realm=\"flipped-lb\", error=\"invalid_token\""
                    }
                };
                (StatusCode::UNAUTHORIZED, challenge, why.words(HOW))
            }
            Self::NoRight(name) => (
                StatusCode::FORBIDDEN,
                "Bearer realm=\"flipped-lb\", error=\"insufficient_scope\"",
                format!(
                    "user {} may not ask here; it needs may_admin",
                    Escaped(name)
                ),
            ),
        };
        let head = [(header::WWW_AUTHENTICATE, challenge)];
        (status, head, format!("{words}\n")).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_behind_the_word_bearer() {
        let token = |value| bearer(value).map(|it| it.reveal().to_owned());
        for value in ["Bearer a b", " bearer  a b ", "BEARER a b"] {
            assert_eq!(token(value).as_deref(), Some("a b"), "{value}");
        }
        for value in ["", "Bearer", "Basic YTpi", "Bearera b"] {
            assert_eq!(token(value), None, "{value}");
        }
    }
}
