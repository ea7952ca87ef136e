//! The settings of an empty file.
//!
//! Feeds the reader, which changes what the file and the environment say. A test holds these
//! values against the texts of the catalogue in `keys`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::{
    Admin, Cluster, Config, Connections, Dedup, Delivery, Destination, Durability, Http, IdleKind,
    Ingest, Journal, KeptWhenFull, Latency, LineParser, ListenerTls, Log, LogFormat, LogLevel,
    MaxRate, Nats, Scheduler, Security, Source, SourceTls, Stats, Store, StoreUrl, ThreadingMode,
    Threads, TlsFiles, WhenFull,
};
use crate::limits;

/// Seconds that a message of each level waits before it moves up, by default.
const MAX_WAIT_S: [u64; limits::LEVELS_MAX] = [0, 1, 5, 10, 30, 60, 120, 300];

/// How many levels there are by default.
const LEVELS: u8 = 3;

/// `max_wait` where only `levels` was set: the first of 0s, 1s, 5s, 10s, 30s, 1m, 2m, 5m.
#[must_use]
pub fn default_max_wait(levels: u8) -> Vec<Duration> {
    let waits = MAX_WAIT_S.iter().take(levels.into());
    waits.map(|&s| Duration::from_secs(s)).collect()
}

fn localhost(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Default for Config {
    fn default() -> Config {
        Config {
            data_dir: PathBuf::from("flipped-lb-data"),
            durability: Durability::Written,
            sources: (8001..=8004)
                .map(|port| Source::to(localhost(port).to_string()))
                .collect(),
            users: Vec::new(),
            security: Security::default(),
            tls: TlsFiles::default(),
            ingest: Ingest::default(),
            destinations: (1..=4)
                .map(|n| Destination {
                    vip: n == 1,
                    ..Destination::to(format!("table{n}"))
                })
                .collect(),
            destination_patterns: Vec::new(),
            scheduler: Scheduler::default(),
            rules: Vec::new(),
            dedup: Dedup::default(),
            delivery: Delivery::default(),
            journal: Journal::default(),
            cluster: Cluster::default(),
            threads: Threads::default(),
            store: Store::default(),
            admin: Admin::default(),
            http: Http::default(),
            stats: Stats::default(),
            latency: Latency::default(),
            log: Log::default(),
        }
    }
}

impl Source {
    /// A server at `host:port` that is sent no acknowledgements.
    #[must_use]
    pub fn to(address: impl Into<String>) -> Source {
        Source {
            address: address.into(),
            ack: false,
            tls: SourceTls::default(),
            nats: Nats::default(),
        }
    }
}

impl Destination {
    /// A customer like any other.
    #[must_use]
    pub fn to(id: impl Into<String>) -> Destination {
        Destination {
            id: id.into(),
            vip: false,
            max_queued: None,
            when_full: None,
            nats: Nats::default(),
        }
    }
}

impl Default for Ingest {
    fn default() -> Ingest {
        Ingest {
            max_line: limits::LINE_LEN_MAX_DEFAULT,
            listen: None,
            rejected_max_bytes: limits::REJECTED_LEN_MAX_DEFAULT,
            connections: Connections::at_most(limits::PRODUCERS_MAX_DEFAULT),
            tls: ListenerTls::default(),
            greeting_timeout: limits::GREETING_TIMEOUT_DEFAULT,
            idle_timeout: Duration::ZERO,
            max_rate: MaxRate::default(),
            rejected_max_total: limits::REJECTED_TOTAL_MAX_DEFAULT,
            rejected_when_full: KeptWhenFull::Hold,
            parser: LineParser::Auto,
        }
    }
}

impl Default for Scheduler {
    fn default() -> Scheduler {
        Scheduler {
            levels: LEVELS,
            max_wait: default_max_wait(LEVELS),
            create_destinations: false,
            create_fitting: Vec::new(),
            max_destinations: limits::DESTINATIONS_MAX_DEFAULT,
            max_queued: limits::MAX_QUEUED_DEFAULT,
            when_full: WhenFull::Wait,
        }
    }
}

impl Default for Dedup {
    fn default() -> Dedup {
        Dedup {
            window_messages: 1_000_000,
            window: Duration::from_secs(600),
        }
    }
}

impl Default for Delivery {
    fn default() -> Delivery {
        Delivery {
            listen: localhost(9000),
            agents: 1,
            ack_timeout: Duration::from_secs(30),
            credit: limits::CREDIT_DEFAULT,
            connections: Connections::at_most(limits::SUBSCRIBERS_MAX_DEFAULT),
            tls: ListenerTls::default(),
            greeting_timeout: limits::GREETING_TIMEOUT_DEFAULT,
            unread_timeout: Duration::ZERO,
        }
    }
}

impl Default for Journal {
    fn default() -> Journal {
        Journal {
            segment: limits::SEGMENT_LEN_DEFAULT,
            max_bytes: limits::JOURNAL_LEN_MAX_DEFAULT,
        }
    }
}

impl Default for Threads {
    fn default() -> Threads {
        Threads {
            mode: ThreadingMode::Auto,
            idle: IdleKind::Backoff,
            ingest_core: None,
            scheduler_core: None,
            journal_core: None,
            delivery_cores: Vec::new(),
        }
    }
}

impl Default for Store {
    fn default() -> Store {
        Store {
            url: StoreUrl::Sqlite(None),
            password_file: None,
            create: false,
            node: None,
            batch_rows: 5000,
            batch_time: Duration::from_millis(100),
            // A third of systemd's patience (TimeoutStopSec, 90 s).
            stop_timeout: Duration::from_secs(30),
            unstored_max_total: limits::UNSTORED_TOTAL_MAX_DEFAULT,
            keep: None,
        }
    }
}

impl Default for Admin {
    fn default() -> Admin {
        Admin {
            listen: Some(localhost(9100)),
            hosts: Vec::new(),
            connections: Connections::at_most(limits::HTTP_CLIENTS_MAX_DEFAULT),
            tls: ListenerTls::default(),
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log {
            level: LogLevel::Info,
            format: LogFormat::Text,
        }
    }
}

impl Default for Stats {
    fn default() -> Stats {
        Stats {
            interval: Duration::from_secs(10),
        }
    }
}

impl Default for Latency {
    fn default() -> Latency {
        Latency {
            log_interval: Duration::from_secs(10),
            log_max_bytes: limits::LATENCY_LOG_LEN_DEFAULT,
            log_max_age: Duration::from_secs(24 * 3600),
            log_files: 8,
        }
    }
}
