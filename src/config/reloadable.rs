//! Which keys take effect while an engine runs, and which only at its next start: each key of `keys`
//! stands here once, as a test sees to.
//!
//! `changes` compares two settings by this list. Items (`[[source]]` and the like) are compared there,
//! one by one.

use super::Config;

/// One key, as two settings are compared by it.
pub(super) struct Reloadable {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) differs: fn(&Config, &Config) -> bool,
    /// Takes the value of the second settings over; `None`: it takes effect at a start only.
    pub(super) take: Option<fn(&mut Config, &Config)>,
}

macro_rules! keys {
    ($($section:literal $key:literal $how:ident $($field:ident).+;)*) => {
        &[$(Reloadable {
            section: $section,
            key: $key,
            differs: |before, after| before.$($field).+ != after.$($field).+,
            take: keys!(@$how $($field).+),
        },)*]
    };
    (@live $($field:ident).+) => {
        Some(|into, from| into.$($field).+ = from.$($field).+.clone())
    };
    (@start $($field:ident).+) => { None };
}

/// All keys.
pub(super) const KEYS: &[Reloadable] = keys! {
    "" "data_dir" start data_dir;
    "" "durability" start durability;
    "ingest" "max_line" start ingest.max_line;
    "ingest" "listen" start ingest.listen;
    "ingest" "rejected_max_bytes" start ingest.rejected_max_bytes;
    "ingest" "rejected_max_total" start ingest.rejected_max_total;
    "ingest" "rejected_when_full" start ingest.rejected_when_full;
    "ingest" "max_connections" live ingest.connections.max;
    "ingest" "max_connections_per_address" live ingest.connections.max_per_address;
    "ingest" "tls" live ingest.tls.is_off;
    "ingest" "tls_cert" live ingest.tls.files.cert;
    "ingest" "tls_key" live ingest.tls.files.key;
    "ingest" "tls_client_ca" live ingest.tls.files.client_ca;
    "ingest" "greeting_timeout" live ingest.greeting_timeout;
    "ingest" "idle_timeout" live ingest.idle_timeout;
    "ingest" "max_rate" live ingest.max_rate;
    "ingest" "parser" start ingest.parser;
    "scheduler" "levels" start scheduler.levels;
    "scheduler" "max_wait" start scheduler.max_wait;
    "scheduler" "unknown_destinations" live scheduler.create_destinations;
    "scheduler" "max_destinations" start scheduler.max_destinations;
    "scheduler" "max_queued" live scheduler.max_queued;
    "scheduler" "when_full" live scheduler.when_full;
    "dedup" "window_messages" start dedup.window_messages;
    "dedup" "window" start dedup.window;
    "delivery" "listen" start delivery.listen;
    "delivery" "agents" start delivery.agents;
    "delivery" "ack_timeout" live delivery.ack_timeout;
    "delivery" "credit" start delivery.credit;
    "delivery" "max_connections" live delivery.connections.max;
    "delivery" "max_connections_per_address" live delivery.connections.max_per_address;
    "delivery" "tls" live delivery.tls.is_off;
    "delivery" "tls_cert" live delivery.tls.files.cert;
    "delivery" "tls_key" live delivery.tls.files.key;
    "delivery" "tls_client_ca" live delivery.tls.files.client_ca;
    "delivery" "greeting_timeout" live delivery.greeting_timeout;
    "delivery" "unread_timeout" live delivery.unread_timeout;
    "journal" "segment" start journal.segment;
    "journal" "max_bytes" start journal.max_bytes;
    "cluster" "servers" start cluster.nats.servers;
    "cluster" "group" start cluster.group;
    "cluster" "node" start cluster.node;
    "cluster" "replicas" start cluster.replicas;
    "cluster" "take_over_after" start cluster.take_over_after;
    "cluster" "advertise" start cluster.advertise;
    "cluster" "creds" start cluster.nats.creds;
    "cluster" "nkey" start cluster.nats.nkey;
    "cluster" "tls_ca" start cluster.nats.ca;
    "cluster" "tls_cert" start cluster.nats.cert;
    "cluster" "tls_key" start cluster.nats.key;
    "threads" "mode" start threads.mode;
    "threads" "idle" start threads.idle;
    "threads" "ingest_core" start threads.ingest_core;
    "threads" "scheduler_core" start threads.scheduler_core;
    "threads" "journal_core" start threads.journal_core;
    "threads" "delivery_cores" start threads.delivery_cores;
    "store" "url" start store.url;
    "store" "password_file" start store.password_file;
    "store" "create" start store.create;
    "store" "node" start store.node;
    "store" "batch_rows" start store.batch_rows;
    "store" "batch_time" start store.batch_time;
    "store" "unstored_max_total" start store.unstored_max_total;
    "store" "keep" start store.keep;
    "store" "stop_timeout" start store.stop_timeout;
    "admin" "listen" start admin.listen;
    "admin" "hosts" start admin.hosts;
    "admin" "max_connections" live admin.connections.max;
    "admin" "max_connections_per_address" live admin.connections.max_per_address;
    "admin" "tls" live admin.tls.is_off;
    "admin" "tls_cert" live admin.tls.files.cert;
    "admin" "tls_key" live admin.tls.files.key;
    "admin" "tls_client_ca" live admin.tls.files.client_ca;
    "http" "listen" start http.listen;
    "http" "cors" live http.cors;
    "http" "max_body" live http.max_body;
    "http" "max_connections" live http.connections.max;
    "http" "max_connections_per_address" live http.connections.max_per_address;
    "http" "tls" live http.tls.is_off;
    "http" "tls_cert" live http.tls.files.cert;
    "http" "tls_key" live http.tls.files.key;
    "http" "tls_client_ca" live http.tls.files.client_ca;
    "tls" "cert" live tls.cert;
    "tls" "key" live tls.key;
    "tls" "client_ca" live tls.client_ca;
    "security" "anonymous" live security.allow_anonymous;
    "stats" "interval" live stats.interval;
    "latency" "log_interval" start latency.log_interval;
    "latency" "log_max_bytes" start latency.log_max_bytes;
    "latency" "log_max_age" start latency.log_max_age;
    "latency" "log_files" start latency.log_files;
    "log" "level" live log.level;
    "log" "format" live log.format;
};
