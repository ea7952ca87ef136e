//! `POST /reload`: has the settings read anew, and answers what that came to.
//!
//! ```text
//! 200 {"reloaded":true,"added":["[[source]] 127.0.0.1:8005"],"removed":[],"changed":["[log] level"]}
//! 422 {"reloaded":false,"error":"..."}    the settings are wrong, or want a restart
//! 503 {"reloaded":false,"error":"..."}    not now: the engine stops, or is a standby of its group
//! ```

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::AdminState;
use crate::engine::reload::ReloadError;
use crate::engine::reload::asking::Outcome;

pub(super) async fn post(State(state): State<Arc<AdminState>>) -> (StatusCode, Json<Value>) {
    if let Some(member) = state.member().filter(|it| !it.is_active()) {
        let words = format!(
            "{}; a member that does not serve reads its settings when it starts: restart it",
            member.standby_words()
        );
        let answer = json!({ "reloaded": false, "error": words });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(answer));
    }
    let (told, outcome) = oneshot::channel();
    // Whoever asked may have gone: the reload is made all the same.
    (state.reloads).ask("POST /reload", move |outcome| drop(told.send(outcome)));
    let outcome = outcome.await.unwrap_or(Err(ReloadError::Stopping));
    let (status, answer) = answer(&outcome);
    (status, Json(answer))
}

fn answer(outcome: &Outcome) -> (StatusCode, Value) {
    match outcome {
        Ok(changes) => {
            let mut answer = json!(changes);
            answer["reloaded"] = true.into();
            (StatusCode::OK, answer)
        }
        Err(why) => {
            let status = match why.is_of_settings() {
                true => StatusCode::UNPROCESSABLE_ENTITY,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            let error = why.to_string();
            (status, json!({ "reloaded": false, "error": error }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::changes::Changes;

    #[test]
    fn an_answer_says_what_changed_or_why_nothing_did() {
        let changes = Changes {
            added: vec!["[[user]] u".to_owned()],
            ..Changes::default()
        };
        let expected = json!({ "reloaded": true, "added": ["[[user]] u"], "removed": [],
                               "changed": [] });
        assert_eq!(answer(&Ok(changes)), (StatusCode::OK, expected));
        let (status, said) = answer(&Err(ReloadError::Settings("line 3".to_owned())));
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(said, json!({ "reloaded": false, "error": "line 3" }));
        let (status, _) = answer(&Err(ReloadError::Stopping));
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
