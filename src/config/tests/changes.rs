//! What differs between two settings, and what of it a running engine takes.

use std::collections::BTreeSet;

use super::keys::CASES;
use super::{cluster, settings, with};
use crate::config::changes::Changes;
use crate::config::draft::label;
use crate::config::keys::SECTIONS;
use crate::config::reloadable::KEYS;

#[test]
fn each_key_is_live_or_waits_for_a_start() {
    let known = SECTIONS.iter().flat_map(|section| {
        let keys = section.keys.iter();
        keys.map(|key| (section.name, key.name))
    });
    let known: BTreeSet<_> = known.collect();
    let listed: BTreeSet<_> = KEYS.iter().map(|it| (it.section, it.key)).collect();
    assert_eq!(
        known, listed,
        "src/config/reloadable.rs says of each key whether a reload takes it"
    );
    assert_eq!(listed.len(), KEYS.len(), "each once");
}

#[test]
fn each_key_that_differs_is_named_and_taken_or_refused_by_its_name() {
    let before = settings("");
    for (section, key, value, _) in CASES.iter().chain(cluster::CASES) {
        // A file of TLS alone is refused at once; with its partner both are named.
        let after = settings(&with(section, key, value));
        if before == after {
            continue;
        }
        let name = label(section, key);
        let entry = KEYS
            .iter()
            .find(|it| (it.section, it.key) == (*section, *key));
        let is_live = entry.expect("each key is listed").take.is_some();
        match Changes::between(&before, &after) {
            Ok(changes) => {
                assert!(is_live, "{name}");
                assert!(changes.changed.contains(&name), "{name}: {changes:?}");
            }
            Err(error) => {
                assert!(!is_live, "{name}: {error}");
                assert!(error.keys.contains(&name), "{name}: {error}");
                assert!(error.to_string().contains("restart"), "{error}");
            }
        }
        assert_eq!(Changes::between(&after, &after), Ok(Changes::default()));
    }
}

#[test]
fn items_are_known_by_their_names_and_no_token_is_told() {
    let hash = |digit: char| String::from(digit).repeat(64);
    let (one, two) = (hash('1'), hash('2'));
    let before = settings(&format!(
        "[[source]]\naddress = 'a:1'\n[[source]]\naddress = 'b:1'\n\
         [[destination]]\nid = 'bar'\n[[destination]]\nid = 'hall'\n\
         [[user]]\nname = 'u'\ntoken_sha256 = '{one}'\nmay_send = ['bar']\n\
         [[user]]\nname = 'v'\ntoken_sha256 = '{two}'"
    ));
    let after = settings(&format!(
        "[[source]]\naddress = 'b:1'\nack = true\n[[source]]\naddress = 'c:1'\n\
         [[destination]]\nid = 'hall'\nvip = true\nmax_queued = 7\n[[destination]]\nid = 'attic'\n\
         [[user]]\nname = 'u'\ntoken_sha256 = '{}'\nmay_send = ['*']\nmay_admin = true\n\
         [[rule]]\nmessage_type = 'x'\npriority = 1",
        hash('3')
    ));
    let changes = Changes::between(&before, &after).expect("all of it can change");
    assert_eq!(
        changes.added,
        ["[[source]] c:1", "[[destination]] attic"],
        "{changes}"
    );
    assert_eq!(
        changes.removed,
        ["[[source]] a:1", "[[destination]] bar", "[[user]] v"]
    );
    assert_eq!(
        changes.changed,
        [
            "[[source]] b:1: ack",
            "[[destination]] hall: vip, max_queued",
            "[[user]] u: token_sha256, may_send, may_admin",
            "[[rule]] (there were 0, there are 1)",
        ]
    );
    let told = format!("{changes} {changes:?}");
    for secret in [one, two, hash('3')] {
        assert!(!told.contains(&secret));
    }
}

#[test]
fn the_order_of_items_is_none_but_for_rules() {
    let text = |first: &str, second: &str| {
        settings(&format!(
            "[[source]]\naddress = '{first}:1'\n[[source]]\naddress = '{second}:1'\n\
             [[rule]]\nmessage_type = '{first}'\npriority = 1\n\
             [[rule]]\nmessage_type = '{second}'\npriority = 2"
        ))
    };
    let changes = Changes::between(&text("a", "b"), &text("b", "a")).expect("all can change");
    assert_eq!(changes.changed, ["[[rule]]"]);
    assert!(changes.added.is_empty() && changes.removed.is_empty());
    assert_eq!(changes.to_string(), "changed [[rule]]");
    assert_eq!(Changes::default().to_string(), "nothing has changed");
}

#[test]
fn what_needs_a_restart_is_named_with_all_its_keys() {
    let after =
        settings("data_dir = 'elsewhere'\n[journal]\nsegment = '8MiB'\n[log]\nlevel = 'warn'");
    let error = Changes::between(&settings(""), &after).expect_err("two keys cannot");
    assert_eq!(error.keys, ["data_dir", "[journal] segment"]);
    assert_eq!(
        error.to_string(),
        "data_dir, [journal] segment cannot change while the engine runs: a restart is needed"
    );
}

#[test]
fn what_is_at_nats_comes_goes_and_changes_patterns_of_names_too() {
    let source = "source = [{ nats = 'nats://h', stream = 'S', durable = 'd' }]\n";
    let plain = "[[destination]]\nid = 'a'\n";
    let with =
        format!("{source}{plain}[[destination]]\nid = 'w'\nnats = 'nats://h'\nsubject = 'o.w'\n");
    let between = |before: &str, after: &str| Changes::between(&settings(before), &settings(after));
    let there = between(plain, &with).expect("it can change");
    assert!(
        there
            .added
            .contains(&"[[source]] nats://h:4222/S/d".to_owned()),
        "{there}"
    );
    assert!(
        there.added.contains(&"[[destination]] w".to_owned()),
        "{there}"
    );
    let back = between(&with, plain).expect("it can change");
    assert!(
        back.removed
            .contains(&"[[source]] nats://h:4222/S/d".to_owned()),
        "{back}"
    );
    for (from, to, told) in [
        (
            "stream = 'S',",
            "stream = 'S', subject = 'x',",
            "[[source]] nats://h:4222/S/d: subject",
        ),
        ("o.w'", "p.w'", "[[destination]] w: subject"),
        (
            "o.w'",
            "o.w'\nat_most_once = true",
            "[[destination]] w: at_most_once",
        ),
        (
            "nats = 'nats://h'\nsubject = 'o.w'\n",
            "",
            "[[destination]] w: nats, subject",
        ),
    ] {
        let changes = between(&with, &with.replace(from, to)).expect("it can change");
        assert_eq!(changes.changed, [told]);
    }
    let pattern = "[[destination]]\nid = 'w-*'\nnats = 'nats://h'\nsubject = 'o.{id}'\n";
    let with = format!("{plain}{pattern}");
    let there = between(plain, &with).expect("it can change");
    assert_eq!(there.added, ["[[destination]] w-*"], "{there}");
    let back = between(&with, plain).expect("it can change");
    assert_eq!(back.removed, ["[[destination]] w-*"], "{back}");
    let changes = between(&with, &with.replace("o.{id}", "p.{id}")).expect("it can change");
    assert_eq!(changes.changed, ["[[destination]] w-*: subject"]);
}
