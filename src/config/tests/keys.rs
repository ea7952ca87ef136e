//! Every key can be set, and takes what it should.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::{cluster, settings, with};
use crate::config::keys::SECTIONS;
use crate::config::{
    Config, Durability, IdleKind, KeptWhenFull, LineParser, LogFormat, LogLevel, MaxRate, Rule,
    StoreUrl, ThreadingMode, WhenFull,
};

/// Section, key, a value that is not the default, and what it must have changed.
pub(super) type Case = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Config) -> bool,
);

pub(super) const CASES: &[Case] = &[
    ("tls", "cert", "'c.pem'\nkey = 'k.pem'", |c| {
        c.tls.cert == Some(PathBuf::from("c.pem"))
    }),
    ("tls", "key", "'k.pem'\ncert = 'c.pem'", |c| {
        c.tls.key == Some(PathBuf::from("k.pem"))
    }),
    (
        "tls",
        "client_ca",
        "'ca.pem'\ncert = 'c.pem'\nkey = 'k.pem'",
        |c| c.tls.client_ca == Some(PathBuf::from("ca.pem")),
    ),
    ("ingest", "tls", "'off'", |c| c.ingest.tls.is_off),
    ("ingest", "tls_cert", "'c.pem'\ntls_key = 'k.pem'", |c| {
        c.ingest.tls.files.cert == Some(PathBuf::from("c.pem"))
    }),
    ("ingest", "tls_key", "'k.pem'\ntls_cert = 'c.pem'", |c| {
        c.ingest.tls.files.key == Some(PathBuf::from("k.pem"))
    }),
    (
        "ingest",
        "tls_client_ca",
        "'ca.pem'\ntls_cert = 'c.pem'\ntls_key = 'k.pem'",
        |c| c.ingest.tls.files.client_ca == Some(PathBuf::from("ca.pem")),
    ),
    ("delivery", "tls", "'off'", |c| c.delivery.tls.is_off),
    ("delivery", "tls_cert", "'c.pem'\ntls_key = 'k.pem'", |c| {
        c.delivery.tls.files.cert == Some(PathBuf::from("c.pem"))
    }),
    ("delivery", "tls_key", "'k.pem'\ntls_cert = 'c.pem'", |c| {
        c.delivery.tls.files.key == Some(PathBuf::from("k.pem"))
    }),
    (
        "delivery",
        "tls_client_ca",
        "'ca.pem'\ntls_cert = 'c.pem'\ntls_key = 'k.pem'",
        |c| c.delivery.tls.files.client_ca == Some(PathBuf::from("ca.pem")),
    ),
    ("admin", "tls", "'off'", |c| c.admin.tls.is_off),
    ("admin", "tls_cert", "'c.pem'\ntls_key = 'k.pem'", |c| {
        c.admin.tls.files.cert == Some(PathBuf::from("c.pem"))
    }),
    ("admin", "tls_key", "'k.pem'\ntls_cert = 'c.pem'", |c| {
        c.admin.tls.files.key == Some(PathBuf::from("k.pem"))
    }),
    ("admin", "hosts", "['engine1.example']", |c| {
        c.admin.hosts == ["engine1.example"]
    }),
    (
        "admin",
        "tls_client_ca",
        "'ca.pem'\ntls_cert = 'c.pem'\ntls_key = 'k.pem'",
        |c| c.admin.tls.files.client_ca == Some(PathBuf::from("ca.pem")),
    ),
    ("ingest", "max_rate", "['5_000/s', '10MiB/s']", |c| {
        c.ingest.max_rate
            == MaxRate {
                lines: Some(5_000),
                bytes: Some(10 << 20),
            }
    }),
    ("security", "anonymous", "'allow'", |c| {
        c.security.allow_anonymous
    }),
    ("", "data_dir", "'d'", |c| c.data_dir.as_os_str() == "d"),
    ("", "durability", "'synced'", |c| {
        c.durability == Durability::Synced
    }),
    ("", "durability", "'memory'", |c| {
        c.durability == Durability::Memory
    }),
    ("ingest", "max_line", "'1KiB'", |c| {
        c.ingest.max_line == 1024
    }),
    ("ingest", "listen", "'127.0.0.1:9001'", |c| {
        c.ingest
            .listen
            .is_some_and(|a| a.to_string() == "127.0.0.1:9001")
    }),
    ("ingest", "rejected_max_bytes", "'1GiB'", |c| {
        c.ingest.rejected_max_bytes == 1 << 30
    }),
    ("ingest", "rejected_max_total", "'2GiB'", |c| {
        c.ingest.rejected_max_total == 2 << 30
    }),
    ("ingest", "rejected_when_full", "'drop_oldest'", |c| {
        c.ingest.rejected_when_full == KeptWhenFull::DropOldest
    }),
    ("scheduler", "levels", "8", |c| c.scheduler.levels == 8),
    ("scheduler", "max_wait", "['0s', '2ms', '3h']", |c| {
        c.scheduler.max_wait
            == [
                Duration::ZERO,
                Duration::from_millis(2),
                Duration::from_secs(3 * 3600),
            ]
    }),
    ("scheduler", "unknown_destinations", "'create'", |c| {
        c.scheduler.create_destinations
    }),
    ("scheduler", "max_destinations", "4", |c| {
        c.scheduler.max_destinations == 4
    }),
    ("scheduler", "max_queued", "5", |c| {
        c.scheduler.max_queued == 5
    }),
    ("scheduler", "when_full", "'reject'", |c| {
        c.scheduler.when_full == WhenFull::Reject
    }),
    ("dedup", "window_messages", "1", |c| {
        c.dedup.window_messages == 1
    }),
    ("dedup", "window", "'1ms'", |c| {
        c.dedup.window == Duration::from_millis(1)
    }),
    ("delivery", "listen", "'127.0.0.2:0'", |c| {
        c.delivery.listen.to_string() == "127.0.0.2:0"
    }),
    ("delivery", "agents", "64", |c| c.delivery.agents == 64),
    ("delivery", "ack_timeout", "'5m'", |c| {
        c.delivery.ack_timeout == Duration::from_secs(300)
    }),
    ("delivery", "credit", "4096", |c| c.delivery.credit == 4096),
    ("ingest", "max_connections", "1", |c| {
        c.ingest.connections.max == 1
    }),
    ("ingest", "max_connections_per_address", "2", |c| {
        c.ingest.connections.max_per_address == 2
    }),
    ("ingest", "greeting_timeout", "'1s'", |c| {
        c.ingest.greeting_timeout == Duration::from_secs(1)
    }),
    ("ingest", "idle_timeout", "'1h'", |c| {
        c.ingest.idle_timeout == Duration::from_secs(3600)
    }),
    ("ingest", "parser", "'simd-json'", |c| {
        c.ingest.parser == LineParser::SimdJson
    }),
    ("delivery", "max_connections", "1_000_000", |c| {
        c.delivery.connections.max == 1_000_000
    }),
    ("delivery", "max_connections_per_address", "5", |c| {
        c.delivery.connections.max_per_address == 5
    }),
    ("delivery", "greeting_timeout", "'5s'", |c| {
        c.delivery.greeting_timeout == Duration::from_secs(5)
    }),
    ("delivery", "unread_timeout", "'10m'", |c| {
        c.delivery.unread_timeout == Duration::from_secs(600)
    }),
    ("admin", "max_connections", "8", |c| {
        c.admin.connections.max == 8
    }),
    ("admin", "max_connections_per_address", "3", |c| {
        c.admin.connections.max_per_address == 3
    }),
    ("journal", "segment", "'4MiB'", |c| {
        c.journal.segment == 4 << 20
    }),
    ("journal", "max_bytes", "'100GiB'", |c| {
        c.journal.max_bytes == 100 << 30
    }),
    ("threads", "mode", "'shared'", |c| {
        c.threads.mode == ThreadingMode::Shared
    }),
    ("threads", "mode", "'dedicated'", |c| {
        c.threads.mode == ThreadingMode::Dedicated
    }),
    ("threads", "idle", "'yield'", |c| {
        c.threads.idle == IdleKind::Yield
    }),
    ("threads", "idle", "'spin'", |c| {
        c.threads.idle == IdleKind::Spin
    }),
    ("threads", "ingest_core", "2", |c| {
        c.threads.ingest_core == Some(2)
    }),
    ("threads", "scheduler_core", "3", |c| {
        c.threads.scheduler_core == Some(3)
    }),
    ("threads", "journal_core", "0", |c| {
        c.threads.journal_core == Some(0)
    }),
    ("threads", "delivery_cores", "[4]", |c| {
        c.threads.delivery_cores == [4]
    }),
    ("store", "password_file", "'/p'", |c| {
        c.store.password_file == Some(PathBuf::from("/p"))
    }),
    ("store", "create", "true", |c| c.store.create),
    ("store", "node", "'kitchen1'", |c| {
        c.store.node.as_deref() == Some("kitchen1")
    }),
    ("store", "batch_rows", "1", |c| c.store.batch_rows == 1),
    ("store", "keep", "'30d'", |c| {
        c.store.keep == Some(Duration::from_secs(30 * 24 * 3600))
    }),
    ("store", "stop_timeout", "'0s'", |c| {
        c.store.stop_timeout == Duration::ZERO
    }),
    ("store", "unstored_max_total", "'2GiB'", |c| {
        c.store.unstored_max_total == 2 << 30
    }),
    ("store", "batch_time", "'2us'", |c| {
        c.store.batch_time == Duration::from_micros(2)
    }),
    ("stats", "interval", "'0s'", |c| c.stats.interval.is_zero()),
    ("latency", "log_interval", "'0s'", |c| {
        c.latency.log_interval.is_zero()
    }),
    ("latency", "log_max_bytes", "'1MiB'", |c| {
        c.latency.log_max_bytes == 1 << 20
    }),
    ("latency", "log_max_age", "'1h'", |c| {
        c.latency.log_max_age == Duration::from_secs(3600)
    }),
    ("latency", "log_files", "1", |c| c.latency.log_files == 1),
    ("http", "listen", "'127.0.0.1:9080'", |c| {
        c.http.listen == Some("127.0.0.1:9080".parse().expect("an address"))
    }),
    ("http", "cors", "['https://till.example']", |c| {
        c.http.cors == ["https://till.example"]
    }),
    ("http", "max_body", "'1MiB'", |c| {
        c.http.max_body == 1024 * 1024
    }),
    ("http", "max_connections", "7", |c| {
        c.http.connections.max == 7
    }),
    ("http", "max_connections_per_address", "7", |c| {
        c.http.connections.max_per_address == 7
    }),
    ("http", "tls", "'off'", |c| c.http.tls.is_off),
    ("http", "tls_cert", "'a.pem'\ntls_key = 'a.key'", |c| {
        c.http.tls.files.cert == Some(PathBuf::from("a.pem"))
    }),
    ("http", "tls_key", "'a.key'\ntls_cert = 'a.pem'", |c| {
        c.http.tls.files.key == Some(PathBuf::from("a.key"))
    }),
    (
        "http",
        "tls_client_ca",
        "'ca.pem'\ntls_cert = 'c.pem'\ntls_key = 'k.pem'",
        |c| c.http.tls.files.client_ca == Some(PathBuf::from("ca.pem")),
    ),
    ("log", "level", "'off'", |c| c.log.level == LogLevel::Off),
    ("log", "format", "'json'", |c| {
        c.log.format == LogFormat::Json
    }),
];

#[test]
fn every_key_is_settable() {
    let mut set: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (section, key, value, holds) in CASES.iter().chain(cluster::CASES).copied() {
        let text = with(section, key, value);
        assert!(holds(&settings(&text)), "{text}");
        assert!(!holds(&Config::default()), "{text} is the default");
        set.insert((section, key));
    }
    // These have tests of their own below.
    set.extend([("store", "url"), ("admin", "listen")]);
    let all = SECTIONS
        .iter()
        .flat_map(|s| s.keys.iter().map(|k| (s.name, k.name)));
    assert_eq!(set, all.collect());
}

#[test]
fn http_and_producers_can_be_switched_off() {
    for none in ["none", ""] {
        let text = format!("[admin]\nlisten = \"{none}\"\n[ingest]\nlisten = \"{none}\"");
        let config = settings(&text);
        assert_eq!((config.admin.listen, config.ingest.listen), (None, None));
    }
}

#[test]
fn the_store_is_sqlite_somewhere_a_server_or_none() {
    let url = |url: &str| settings(&format!("[store]\nurl = \"{url}\"")).store.url;
    let at = |path: &str| StoreUrl::Sqlite(Some(PathBuf::from(path)));
    assert_eq!(url("sqlite"), StoreUrl::Sqlite(None));
    assert_eq!(url("sqlite:rows.db"), at("rows.db"));
    assert_eq!(url("sqlite:/var/rows.db"), at("/var/rows.db"));
    assert_eq!(url("sqlite:///var/rows.db"), at("/var/rows.db"));
    assert_eq!(url("none"), StoreUrl::None);
    assert!(matches!(url("mysql://me@db:33/rows"), StoreUrl::MySql(it) if it.port == 33));
    assert!(matches!(url("mariadb://me@db"), StoreUrl::MySql(it) if it.database == "flipped_lb"));
}

#[test]
fn sources_of_the_file_replace_the_defaults() {
    let config = settings(
        "[[source]]\naddress = \"kitchen.local:1\"\nack = true\n\
         [[source]]\naddress = \"[::1]:8001\"\n",
    );
    let sources = config.sources.iter().map(|s| (s.address.as_str(), s.ack));
    assert!(sources.eq([("kitchen.local:1", true), ("[::1]:8001", false)]));
    assert_eq!(config.destinations, Config::default().destinations);
}

#[test]
fn no_source_at_all_is_possible() {
    let config = settings("source = []\n[ingest]\nlisten = \"127.0.0.1:9001\"\n");
    assert!(config.sources.is_empty());
    assert!(settings("source = []").sources.is_empty());
}

#[test]
fn destinations_of_the_file_replace_the_defaults() {
    let text = "[[destination]]\nid = \"b\"\n[[destination]]\nid = \"a\"\nvip = true\n";
    let config = settings(text);
    let ids = config.destinations.iter().map(|d| (d.id.as_str(), d.vip));
    assert!(ids.eq([("b", false), ("a", true)]));

    let text = "destination = []\n[scheduler]\nunknown_destinations = \"create\"";
    assert!(settings(text).destinations.is_empty());
}

#[test]
fn rules_take_every_condition() {
    let config = settings(
        "[[rule]]\ndestination = \"table2\"\nsource = \"server1\"\nmessage_type = \"breakfast\"\n\
         hours = \"07:00-11:00\"\npriority = 1\n\
         [[rule]]\nmessage_type = \"supper\"\npriority = 3\n",
    );
    let full = Rule {
        destination: Some("table2".to_owned()),
        source: Some("server1".to_owned()),
        message_type: Some("breakfast".to_owned()),
        hours: Some((420, 660)),
        priority: 1,
    };
    assert_eq!(config.rules[0], full);
    assert_eq!(config.rules[1].message_type.as_deref(), Some("supper"));
    assert_eq!((config.rules[1].hours, config.rules[1].priority), (None, 3));
}

#[test]
fn inline_tables_and_dotted_keys_are_toml_too() {
    let config = settings(
        "source = [{ address = \"a:1\" }, { address = \"b:2\", ack = true }]\n\
         delivery.agents = 2\nscheduler = { levels = 2 }\n",
    );
    assert_eq!(config.sources.len(), 2);
    assert_eq!((config.delivery.agents, config.scheduler.levels), (2, 2));
}

#[test]
fn cores_may_be_none() {
    let config = settings("[threads]\ningest_core = \"none\"\ndelivery_cores = []");
    assert_eq!(config.threads, Config::default().threads);
}

#[test]
fn a_listener_may_be_a_name() {
    let config = settings("[delivery]\nlisten = \"localhost:9000\"");
    assert!(config.delivery.listen.ip().is_loopback());
}

#[test]
fn users_take_every_key() {
    let hash = crate::access::TokenHash::of("abc").hex();
    let config = settings(&format!(
        "[[user]]\nname = 'kitchen'\ntoken_sha256 = '{hash}'\nmay_send = ['table*', 'table1']\n\
         may_receive = ['table1']\nmay_admin = true\nsource = 'server1'\n\
         [[user]]\nname = 'till'\ntoken_file = 'till.token'\ncertificate = 'till.example'\n\
         [tls]\ncert = 'c'\nkey = 'k'\nclient_ca = 'ca'\n"
    ));
    let [kitchen, till] = &config.users[..] else {
        panic!("{:?}", config.users)
    };
    assert_eq!(
        kitchen.token_sha256,
        Some(crate::access::TokenHash::of("abc"))
    );
    assert_eq!(kitchen.may_send, ["table*", "table1"]);
    assert_eq!((kitchen.may_receive.len(), kitchen.may_admin), (1, true));
    assert_eq!(kitchen.source.as_deref(), Some("server1"));
    assert_eq!(till.token_file, Some(PathBuf::from("till.token")));
    assert_eq!(till.certificate.as_deref(), Some("till.example"));
    assert!(till.may_send.is_empty() && till.may_receive.is_empty() && !till.may_admin);
    assert!(!format!("{config:?}").contains(&hash[..8]));
}

#[test]
fn a_rate_is_of_lines_or_of_bytes_or_of_both() {
    let rate = |value: &str| {
        settings(&format!("[ingest]\nmax_rate = {value}"))
            .ingest
            .max_rate
    };
    let of = |lines, bytes| MaxRate { lines, bytes };
    assert_eq!(rate("'none'"), of(None, None));
    assert_eq!(rate("'50/s'"), of(Some(50), None));
    assert_eq!(rate("'1KiB/s'"), of(None, Some(1024)));
    assert_eq!(rate("['1KiB/s', '50/s']"), of(Some(50), Some(1024)));
    let variable = [("FLIPPED_LB_INGEST_MAX_RATE", "50/s, 1KiB/s")];
    let config = super::under(&variable).expect("right");
    assert_eq!(config.ingest.max_rate, of(Some(50), Some(1024)));
    for wrong in [
        "50",
        "'50'",
        "'0/s'",
        "'50/m'",
        "'x/s'",
        "['5/s', '6/s']",
        "true",
    ] {
        let problem = super::problem(&format!("[ingest]\nmax_rate = {wrong}"));
        assert!(problem.contains("[ingest] max_rate"), "{problem}");
    }
}
