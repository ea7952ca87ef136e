//! The first lines by which the engine's own parts come to ingest and delivery: they show the token of
//! whom they stand for.

use serde_json::{Value, json};

use super::Token;

/// For ingest: answers by line are wanted.
pub(crate) fn producer(token: Option<&Token>) -> String {
    let wishes = with_token(json!({ "ack": true, "outcomes": true }), token);
    format!("{{\"producer\":{wishes}}}\n")
}

/// For a delivery agent: a name or a pattern, acknowledged.
pub(crate) fn subscription(destination: &str, token: Option<&Token>) -> String {
    let line = with_token(json!({ "subscribe": [destination], "ack": true }), token);
    format!("{line}\n")
}

fn with_token(mut object: Value, token: Option<&Token>) -> Value {
    if let Some(token) = token {
        object["token"] = token.reveal().into();
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_one_line_and_shows_the_token() {
        let line = subscription("west-*", Some(&Token::new("t")));
        let parsed: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(parsed["subscribe"][0], "west-*");
        assert_eq!(
            (&parsed["ack"], &parsed["token"]),
            (&true.into(), &"t".into())
        );
        assert!(line.ends_with('\n') && line.lines().count() == 1);
        assert!(!subscription("a", None).contains("token"));
    }
}
