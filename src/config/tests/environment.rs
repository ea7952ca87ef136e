//! Environment variables over the file.

use std::time::Duration;

use super::{under, under_with};
use crate::config::environment::all;
use crate::config::key::Shown;
use crate::config::{Config, Durability};

#[test]
fn variables_override_the_file() {
    let text = "durability = \"synced\"\n[ingest]\nmax_line = \"2KiB\"\n";
    let config = under_with(
        text,
        &[
            ("FLIPPED_LB_DURABILITY", "memory"),
            ("FLIPPED_LB_INGEST_MAX_LINE", "4KiB"),
            ("FLIPPED_LB_DATA_DIR", "/data"),
            ("FLIPPED_LB_DELIVERY_AGENTS", "2"),
            ("FLIPPED_LB_DEDUP_WINDOW_MESSAGES", "2_000"),
        ],
    )
    .expect("right");
    assert_eq!(config.durability, Durability::Memory);
    assert_eq!(config.ingest.max_line, 4096);
    assert_eq!(config.data_dir, std::path::Path::new("/data"));
    assert_eq!(config.delivery.agents, 2);
    assert_eq!(config.dedup.window_messages, 2000);
}

#[test]
fn every_key_has_a_variable_that_takes_its_default() {
    for (variable, _, key) in all() {
        let Shown::Default(default) = key.default else {
            panic!("{variable}");
        };
        let value = default.replace(['"', '[', ']'], "");
        let config = under(&[(variable.as_str(), value.as_str())]).expect(&variable);
        assert_eq!(config, Config::default(), "{variable}");
    }
}

#[test]
fn lists_stand_with_commas() {
    let config = under(&[
        ("FLIPPED_LB_SCHEDULER_LEVELS", "2"),
        ("FLIPPED_LB_SCHEDULER_MAX_WAIT", "0s, 250ms"),
        ("FLIPPED_LB_DELIVERY_AGENTS", "2"),
        ("FLIPPED_LB_THREADS_DELIVERY_CORES", "4,5"),
        ("FLIPPED_LB_THREADS_INGEST_CORE", "none"),
    ])
    .expect("right");
    let waits = [Duration::ZERO, Duration::from_millis(250)];
    assert_eq!(config.scheduler.max_wait, waits);
    assert_eq!(config.threads.delivery_cores, [4, 5]);
}

#[test]
fn sources_and_destinations_are_lists_that_keep_what_is_known() {
    let text = "[[source]]\naddress = \"a:1\"\nack = true\n";
    let variables = [
        ("FLIPPED_LB_SOURCES", "a:1,b:2"),
        ("FLIPPED_LB_DESTINATIONS", "table1, bar"),
    ];
    let config = under_with(text, &variables).expect("right");
    let sources = config.sources.iter().map(|s| (s.address.as_str(), s.ack));
    assert!(sources.eq([("a:1", true), ("b:2", false)]));
    let destinations = config.destinations.iter().map(|d| (d.id.as_str(), d.vip));
    assert!(destinations.eq([("table1", true), ("bar", false)]));
    let config = under(&[("FLIPPED_LB_SOURCES", "")]).expect("right");
    assert!(config.sources.is_empty());
}

#[test]
fn unknown_variables_are_errors_with_the_nearest_name() {
    let error = under(&[("FLIPPED_LB_INGEST_MAXLINE", "1KiB")]).expect_err("unknown");
    assert_eq!(
        error,
        "environment variable FLIPPED_LB_INGEST_MAXLINE: no such setting; did you mean \
         FLIPPED_LB_INGEST_MAX_LINE?"
    );
    let error = under(&[("FLIPPED_LB_SOURCE", "a:1")]).expect_err("unknown");
    assert!(
        error.contains("did you mean FLIPPED_LB_SOURCES?"),
        "{error}"
    );
    let error = under(&[("FLIPPED_LB_STORE_PASWORD", "secret")]).expect_err("unknown");
    assert!(error.ends_with("FLIPPED_LB_STORE_PASSWORD?"), "{error}");
    let error = under(&[("FLIPPED_LB_BREAKFAST_AT_TIFFANYS", "1")]).expect_err("unknown");
    assert!(error.contains("FLIPPED_LB_<SECTION>_<KEY>"), "{error}");
}

#[test]
fn variables_that_are_no_settings_are_left_alone() {
    let config = under(&[
        ("FLIPPED_LB_STORE_PASSWORD", "secret"),
        ("FLIPPED_LB_LOG", "debug"),
        ("FLIPPED_LB_TEST_ANYTHING", "1"),
        ("HOME", "/root"),
    ]);
    assert_eq!(config, Ok(Config::default()));
}

#[test]
fn wrong_values_name_the_variable_and_the_key() {
    let error = under(&[("FLIPPED_LB_SCHEDULER_LEVELS", "many")]).expect_err("wrong");
    assert_eq!(
        error,
        "environment variable FLIPPED_LB_SCHEDULER_LEVELS: [scheduler] levels: found \"many\"; \
         write a whole number from 1 to 8"
    );
    let error = under(&[
        ("FLIPPED_LB_SCHEDULER_LEVELS", "4"),
        ("FLIPPED_LB_SCHEDULER_MAX_WAIT", "0s"),
    ]);
    let error = error.expect_err("too few");
    assert!(
        error.starts_with("environment variable FLIPPED_LB_SCHEDULER_MAX_WAIT:"),
        "{error}"
    );
    let error = under(&[("FLIPPED_LB_STORE_URL", "mysql://:secret@db")]).expect_err("no user");
    assert!(
        error.contains("names no user") && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn problems_of_file_and_environment_come_together() {
    let error = under_with("durability = 1", &[("FLIPPED_LB_STATS_INTERVAL", "soon")]);
    let error = error.expect_err("both wrong");
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].starts_with("flipped-lb.toml:1:14"), "{error}");
    assert!(lines[1].contains("FLIPPED_LB_STATS_INTERVAL"), "{error}");
}
