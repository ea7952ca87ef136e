//! What a user of the servers needs: the subjects that a source or a destination publishes and subscribes
//! to. Whoever lacks one is told all of them, and `doctor` holds them against what the user has. Values
//! only.

use serde::Deserialize;

use super::source::durable::spare_name;
use crate::config::Nats;
use crate::config::nats::{ID, subject_of};

/// Answers come there.
const INBOX: &str = "_INBOX.>";

/// Subjects, `*` and `>` as the servers have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) publish: Vec<String>,
    pub(crate) subscribe: Vec<String>,
}

/// What a user may do, as the server tells it: `allow` and `deny` of each.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Permissions {
    #[serde(default)]
    publish: Subjects,
    #[serde(default)]
    subscribe: Subjects,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Subjects {
    /// Empty: all.
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
}

impl Rights {
    /// Those of a `[[source]]`: it looks at its stream, makes its consumer and the spare one, pulls, and
    /// acknowledges.
    pub(crate) fn of_source(nats: &Nats) -> Self {
        let stream = nats.stream.as_deref().unwrap_or_default();
        let durable = nats.durable.as_deref().unwrap_or_default();
        let filter = nats.subject.as_deref();
        let filter = filter.map_or(String::new(), |it| format!(".{it}"));
        let spare = spare_name(durable);
        let mut publish = vec![format!("$JS.API.STREAM.INFO.{stream}")];
        for name in [durable, spare.as_str()] {
            publish.extend([
                format!("$JS.API.CONSUMER.INFO.{stream}.{name}"),
                format!("$JS.API.CONSUMER.CREATE.{stream}.{name}{filter}"),
                format!("$JS.API.CONSUMER.DELETE.{stream}.{name}"),
            ]);
        }
        publish.extend([
            format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"),
            format!("$JS.ACK.{stream}.{durable}.>"),
        ]);
        Self {
            publish,
            subscribe: vec![INBOX.to_owned()],
        }
    }

    /// Those of a `[[destination]]` of this id, or of a pattern of ids.
    pub(crate) fn of_destination(nats: &Nats, id: &str) -> Self {
        let template = nats.subject.as_deref().unwrap_or_default();
        let subject = match id.contains('*') {
            false => subject_of(template, id),
            // A part of a token cannot be left open.
            true => {
                let tokens = template.split('.');
                let tokens = tokens.map(|it| if it.contains(ID) { "*" } else { it });
                tokens.collect::<Vec<_>>().join(".")
            }
        };
        let subscribe = match nats.at_most_once {
            true => Vec::new(),
            false => vec![INBOX.to_owned()],
        };
        Self {
            publish: vec![subject],
            subscribe,
        }
    }

    /// `publish to a, b and subscribe to c`.
    pub(crate) fn words(&self) -> String {
        let listed = |all: &[String]| all.join(", ");
        let publish = listed(&self.publish);
        match (publish.as_str(), listed(&self.subscribe).as_str()) {
            (publish, "") => format!("publish to {publish}"),
            ("", subscribe) => format!("subscribe to {subscribe}"),
            (publish, subscribe) => format!("publish to {publish}; subscribe to {subscribe}"),
        }
    }

    /// What of them a user has not.
    pub(crate) fn missing(&self, has: &Permissions) -> Self {
        let of = |needed: &[String], has: &Subjects| {
            let missing = needed.iter().filter(|it| !has.allows(it));
            missing.cloned().collect()
        };
        Self {
            publish: of(&self.publish, &has.publish),
            subscribe: of(&self.subscribe, &has.subscribe),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.publish.is_empty() && self.subscribe.is_empty()
    }
}

impl Subjects {
    /// Whether all that a subject stands for is allowed.
    fn allows(&self, subject: &str) -> bool {
        let is_allowed = self.allow.is_empty() || self.allow.iter().any(|it| covers(it, subject));
        is_allowed && !self.deny.iter().any(|it| overlap(it, subject))
    }
}

/// Whether a pattern has all that another one stands for.
fn covers(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(it)) if it != ">" => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

/// Whether there is a subject that both stand for.
fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
            (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nats(subject: Option<&str>) -> Nats {
        Nats {
            stream: Some("S".to_owned()),
            durable: Some("d".to_owned()),
            subject: subject.map(str::to_owned),
            ..Nats::default()
        }
    }

    #[test]
    fn a_destination_publishes_to_its_subject_and_a_pattern_to_all_of_a_token() {
        let publish = |template, id| {
            let nats = nats(Some(template));
            Rights::of_destination(&nats, id).publish[0].clone()
        };
        assert_eq!(publish("out.{id}", "a.b"), "out.a%2Eb");
        assert_eq!(publish("out.{id}.new", "west-*"), "out.*.new");
        assert_eq!(publish("out.x-{id}", "west-*"), "out.*");
        assert_eq!(publish("out", "west-*"), "out");
    }

    #[test]
    fn a_source_with_a_filter_makes_its_consumers_by_that() {
        let words = Rights::of_source(&nats(Some("in.*"))).words();
        for subject in [
            "$JS.API.CONSUMER.CREATE.S.d.in.*",
            "$JS.API.CONSUMER.DELETE.S.d-next",
            "$JS.ACK.S.d.>",
            "subscribe to _INBOX.>",
        ] {
            assert!(words.contains(subject), "{subject}: {words}");
        }
        let all = Rights::of_source(&nats(None)).publish;
        assert!(all.contains(&"$JS.API.CONSUMER.CREATE.S.d".to_owned()));
    }

    #[test]
    fn what_is_missing_is_what_no_pattern_has_or_one_denies() {
        for (pattern, subject, expected) in [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "a.*", true),
            ("a.*", "a.>", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a.>", true),
            ("a.>", "a", false),
            (">", "a.>", true),
            ("a.b", "a.*", false),
            ("a.b", "a.b.c", false),
        ] {
            assert_eq!(covers(pattern, subject), expected, "{pattern} {subject}");
        }
        for (one, other, expected) in [
            ("a.*", "a.b", true),
            ("a.b", "a.>", true),
            ("a.b", "a.c", false),
            ("a.b", "a.b.c", false),
            ("*.b", "a.*", true),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
        }
        let has: Permissions = serde_json::from_str(
            r#"{"publish":{"allow":["$JS.>"],"deny":["$JS.API.STREAM.>"]},"subscribe":{}}"#,
        )
        .expect("JSON");
        let missing = Rights::of_source(&nats(None)).missing(&has);
        assert_eq!(missing.publish, ["$JS.API.STREAM.INFO.S"]);
        assert!(missing.subscribe.is_empty());
        assert!(Rights::default().missing(&has).is_empty());
    }
}
