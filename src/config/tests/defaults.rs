//! What an empty file means, and the example file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings;
use crate::config::items::{DESTINATIONS, RULES, SOURCES, USERS};
use crate::config::key::Shown;
use crate::config::keys::SECTIONS;
use crate::config::{
    Config, Durability, IdleKind, StoreUrl, ThreadingMode, WhenFull, example, load, parse,
};

#[test]
fn an_empty_file_has_the_defaults_of_the_contract() {
    let config = settings("");
    assert_eq!(config, Config::default());
    assert_eq!(config.data_dir, PathBuf::from("flipped-lb-data"));
    assert_eq!(config.durability, Durability::Written);
    let sources: Vec<&str> = config.sources.iter().map(|s| s.address.as_str()).collect();
    let expected = [8001, 8002, 8003, 8004].map(|port| format!("127.0.0.1:{port}"));
    assert_eq!(sources, expected);
    assert!(config.sources.iter().all(|s| !s.ack));
    let destinations = config.destinations.iter().map(|d| (d.id.as_str(), d.vip));
    assert!(destinations.eq([
        ("table1", true),
        ("table2", false),
        ("table3", false),
        ("table4", false),
    ]));
    assert!(config.rules.is_empty());
}

#[test]
fn the_sections_have_the_defaults_of_the_contract() {
    let config = settings("");
    assert_eq!(config.ingest.max_line, 64 * 1024);
    assert_eq!(config.ingest.listen, None);
    assert_eq!(config.scheduler.levels, 3);
    assert_eq!(
        config.scheduler.max_wait,
        [0, 1, 5].map(Duration::from_secs)
    );
    assert!(!config.scheduler.create_destinations);
    assert_eq!(config.scheduler.max_queued, 16_000_000);
    assert_eq!(config.scheduler.when_full, WhenFull::Wait);
    assert_eq!(config.dedup.window_messages, 1_000_000);
    assert_eq!(config.dedup.window, Duration::from_secs(600));
    assert_eq!(config.delivery.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(config.delivery.agents, 1);
    assert_eq!(config.delivery.ack_timeout, Duration::from_secs(30));
    assert_eq!(config.delivery.credit, 256 * 1024);
    assert_eq!(config.journal.segment, 64 * 1024 * 1024);
    assert_eq!(config.journal.max_bytes, 64 << 30);
    assert_eq!(config.threads.mode, ThreadingMode::Auto);
    assert_eq!(config.threads.idle, IdleKind::Backoff);
    assert_eq!(config.threads.ingest_core, None);
    assert!(config.threads.delivery_cores.is_empty());
    assert_eq!(config.store.url, StoreUrl::Sqlite(None));
    assert_eq!(config.store.batch_rows, 5000);
    assert_eq!(config.store.batch_time, Duration::from_millis(100));
    assert_eq!(config.store.stop_timeout, Duration::from_secs(30));
    let admin = config.admin.listen.map(|address| address.to_string());
    assert_eq!(admin.as_deref(), Some("127.0.0.1:9100"));
    assert_eq!(config.stats.interval, Duration::from_secs(10));
    assert_eq!(config.latency.log_interval, Duration::from_secs(10));
    assert_eq!(config.latency.log_max_bytes, 16 * 1024 * 1024);
    assert_eq!(config.latency.log_max_age, Duration::from_secs(86_400));
    assert_eq!(config.latency.log_files, 8);
}

#[test]
fn each_default_in_the_list_of_keys_is_the_default() {
    for section in &SECTIONS {
        for key in section.keys {
            let Shown::Default(value) = key.default else {
                panic!("{} has no default", key.name);
            };
            let text = match section.name {
                "" => format!("{} = {value}", key.name),
                name => format!("[{name}]\n{} = {value}", key.name),
            };
            assert_eq!(settings(&text), Config::default(), "{text}");
        }
    }
}

#[test]
fn the_example_file_means_the_defaults() {
    assert_eq!(settings(&example()), Config::default());
}

#[test]
fn the_example_file_shows_every_key() {
    let example = example();
    for section in &SECTIONS {
        let start = match section.name {
            "" => 0,
            name => example.find(&format!("\n[{name}]\n")).expect(name) + 1,
        };
        let end = example[start + 1..]
            .find("\n[")
            .map_or(example.len(), |end| start + 1 + end);
        for key in section.keys {
            let line = format!("\n{} = ", key.name);
            assert!(
                example[start..end].contains(&line),
                "{} {}",
                section.name,
                key.name
            );
        }
    }
    let items = [
        SOURCES.keys.iter().map(|k| k.name).collect::<Vec<_>>(),
        DESTINATIONS.keys.iter().map(|k| k.name).collect(),
    ];
    for name in items.concat() {
        let lines = [format!("\n{name} = "), format!("\n# {name} = ")];
        assert!(lines.iter().any(|it| example.contains(it)), "{name}");
    }
    let absent = RULES.keys.iter().map(|k| k.name);
    for name in absent.chain(USERS.keys.iter().map(|k| k.name)) {
        assert!(example.contains(&format!("\n# {name} = ")), "{name}");
    }
}

#[test]
fn the_commented_rule_of_the_example_is_a_rule() {
    let example = example();
    let rule: Vec<&str> = example
        .lines()
        .skip_while(|line| *line != "# [[rule]]")
        .take_while(|line| line.starts_with('#'))
        .map(|line| &line[2..])
        .collect();
    assert_eq!(settings(&rule.join("\n")).rules.len(), 1);
}

#[test]
fn the_example_file_of_the_repository_is_the_printed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("flipped-lb.example.toml");
    let file = std::fs::read_to_string(path).expect("the example file is in the repository");
    assert!(
        file == example(),
        "renew it: flipped-lb check --example > flipped-lb.example.toml"
    );
    assert!(file.lines().all(|line| line.len() <= 100));
}

#[test]
fn waits_follow_the_number_of_levels() {
    for (levels, seconds) in [
        (1, &[0][..]),
        (2, &[0, 1]),
        (3, &[0, 1, 5]),
        (4, &[0, 1, 5, 10]),
        (8, &[0, 1, 5, 10, 30, 60, 120, 300]),
    ] {
        let config = settings(&format!("[scheduler]\nlevels = {levels}"));
        let waits: Vec<u64> = config
            .scheduler
            .max_wait
            .iter()
            .map(Duration::as_secs)
            .collect();
        assert_eq!(waits, seconds);
    }
}

#[test]
fn a_file_is_read_from_disk_and_one_that_is_missing_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("mine.toml");
    std::fs::write(&path, "[delivery]\nagents = 2\n").expect("written");
    assert_eq!(load(Some(&path)).expect("right").delivery.agents, 2);

    let missing = dir.path().join("other.toml");
    let error = load(Some(&missing)).expect_err("missing").to_string();
    assert!(
        error.contains("other.toml: there is no such file"),
        "{error}"
    );

    std::fs::write(&path, [0xff, 0xfe]).expect("written");
    let error = load(Some(&path)).expect_err("not UTF-8").to_string();
    assert!(error.contains("not UTF-8"), "{error}");
}

#[test]
fn auto_is_dedicated_where_each_agent_gets_a_core() {
    let mut config = Config::default();
    assert_eq!(config.threading(4), ThreadingMode::Shared);
    assert_eq!(config.threading(5), ThreadingMode::Dedicated);
    config.delivery.agents = 3;
    assert_eq!(config.threading(6), ThreadingMode::Shared);
    assert_eq!(config.threading(7), ThreadingMode::Dedicated);
    config.threads.mode = ThreadingMode::Dedicated;
    assert_eq!(config.threading(1), ThreadingMode::Dedicated);
}

#[test]
fn a_file_with_windows_line_ends_is_the_same() {
    let text = "durability = \"synced\"\r\n[delivery]\r\nagents = 2\r\n";
    let config = parse("f", text, &[]).expect("right");
    assert_eq!(
        (config.durability, config.delivery.agents),
        (Durability::Synced, 2)
    );
}
