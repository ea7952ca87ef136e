//! What the stream's settings must be, and the command that corrects each wrong one.

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType,
};

use super::Settings;

/// The settings of the group's stream.
pub(super) fn wanted(settings: &Settings) -> Config {
    Config {
        name: settings.stream(),
        description: Some(format!(
            "the journal of the flipped-lb group {}",
            settings.group
        )),
        subjects: vec![format!("flb_journal.{}.>", settings.group)],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: settings.replicas,
        discard: DiscardPolicy::New,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        deny_delete: true,
        deny_purge: false,
        allow_direct: false,
        allow_rollup: false,
        ..Config::default()
    }
}

/// What is wrong with the settings that were found, each with the command that mends it.
pub(super) fn wrong(settings: &Settings, found: &Config) -> Vec<String> {
    let name = settings.stream();
    let edit =
        |what: &str, flag: &str| format!("{what}: mend it with `nats stream edit {name} {flag}`");
    let mut wrong = Vec::new();
    let mut must = |holds: bool, words: String| {
        if !holds {
            wrong.push(words);
        }
    };
    let subjects = format!("flb_journal.{}.>", settings.group);
    must(
        found.subjects == [subjects.as_str()],
        edit(
            "it takes other subjects",
            &format!("--subjects '{subjects}'"),
        ),
    );
    must(
        found.num_replicas == settings.replicas,
        edit(
            &format!(
                "it has {} replicas, not {}",
                found.num_replicas, settings.replicas
            ),
            &format!("--replicas {}", settings.replicas),
        ),
    );
    must(
        found.discard == DiscardPolicy::New,
        edit("it discards old messages when it is full", "--discard new"),
    );
    must(
        found.deny_delete,
        edit("its messages can be deleted", "--deny-delete"),
    );
    must(!found.deny_purge, remake(&name, "it cannot be purged"));
    must(
        !found.allow_direct,
        edit("it answers from replicas", "--no-allow-direct"),
    );
    must(
        !found.allow_rollup,
        edit("a message may replace others", "--no-allow-rollup"),
    );
    limits(found, &edit, &mut must);
    kinds(found, &name, &mut must);
    wrong
}

/// `journal.max_bytes` is the bound, and none of the stream's own.
fn limits(found: &Config, edit: &dyn Fn(&str, &str) -> String, must: &mut dyn FnMut(bool, String)) {
    must(
        found.max_bytes <= 0,
        edit("it is bounded in bytes", "--max-bytes -1"),
    );
    must(
        found.max_messages <= 0,
        edit("it is bounded in messages", "--max-msgs -1"),
    );
    must(
        found.max_messages_per_subject <= 0,
        edit("it is bounded by subject", "--max-msgs-per-subject -1"),
    );
    must(
        found.max_age.is_zero(),
        edit("its messages have an age", "--max-age 0s"),
    );
    must(
        found.max_message_size <= 0,
        edit("its messages are bounded in bytes", "--max-msg-size -1"),
    );
}

/// What cannot be changed while the stream lives, or must not be there.
fn kinds(found: &Config, name: &str, must: &mut dyn FnMut(bool, String)) {
    let is_plain = found.subject_transform.is_none() && found.mirror.is_none();
    let has_sources = found.sources.as_ref().is_some_and(|it| !it.is_empty());
    for (holds, what) in [
        (found.storage == StorageType::File, "it is in memory"),
        (
            found.retention == RetentionPolicy::Limits,
            "its messages go when they are read",
        ),
        (
            is_plain && !has_sources,
            "it mirrors, sources or transforms another one",
        ),
        (found.republish.is_none(), "it publishes its messages again"),
        (!found.sealed, "it is sealed"),
        (!found.no_ack, "it confirms nothing"),
        (!found.allow_message_ttl, "its messages may have a TTL"),
        (!found.allow_message_counter, "its messages are counters"),
        (!found.allow_message_schedules, "its messages are schedules"),
        (
            !matches!(found.persist_mode, Some(PersistenceMode::Async)),
            "it confirms what it has not written",
        ),
    ] {
        must(holds, remake(name, what));
    }
}

fn remake(name: &str, what: &str) -> String {
    format!(
        "{what}: that cannot be edited; remove it with `nats stream rm {name}` and make it from the member \
         with the longest journal with `flipped-lb cluster restore --config FILE`"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings() -> Settings {
        Settings {
            nats: crate::config::Nats::default(),
            group: "east".into(),
            replicas: 3,
            status: None,
            process: 1,
        }
    }

    fn wrong_with(change: impl FnOnce(&mut Config)) -> String {
        let mut found = wanted(&settings());
        change(&mut found);
        let wrong = wrong(&settings(), &found);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        wrong[0].clone()
    }

    #[test]
    fn what_is_wanted_is_right() {
        assert_eq!(
            wrong(&settings(), &wanted(&settings())),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_wrong_setting_is_told_with_the_command_that_mends_it() {
        let edit = |flag: &str| format!("`nats stream edit flb_journal_east {flag}`");
        assert!(wrong_with(|it| it.num_replicas = 1).ends_with(&edit("--replicas 3")));
        assert!(wrong_with(|it| it.discard = DiscardPolicy::Old).ends_with(&edit("--discard new")));
        assert!(wrong_with(|it| it.deny_delete = false).ends_with(&edit("--deny-delete")));
        assert!(wrong_with(|it| it.allow_direct = true).ends_with(&edit("--no-allow-direct")));
        assert!(wrong_with(|it| it.allow_rollup = true).ends_with(&edit("--no-allow-rollup")));
        assert!(wrong_with(|it| it.max_bytes = 9).ends_with(&edit("--max-bytes -1")));
        assert!(wrong_with(|it| it.max_messages = 9).ends_with(&edit("--max-msgs -1")));
        assert!(
            wrong_with(|it| it.max_age = Duration::from_secs(1)).ends_with(&edit("--max-age 0s"))
        );
        assert!(wrong_with(|it| it.subjects.clear()).contains("--subjects 'flb_journal.east.>'"));
        for restored in [
            wrong_with(|it| it.storage = StorageType::Memory),
            wrong_with(|it| it.retention = RetentionPolicy::WorkQueue),
            wrong_with(|it| it.allow_message_ttl = true),
            wrong_with(|it| it.persist_mode = Some(PersistenceMode::Async)),
            wrong_with(|it| it.deny_purge = true),
        ] {
            assert!(restored.contains("cluster restore"), "{restored}");
        }
    }
}
