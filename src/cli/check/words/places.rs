//! What the settings mean outside: files, addresses, how many may connect.

use std::time::Duration;

use super::{Machine, absolute};
use crate::config::{Config, Connections, KeptWhenFull, show_duration, show_size};
use crate::descriptors::Budget;

pub(super) fn places(config: &Config, machine: &Machine) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{}: the journal in segments of {}, at most {}, rejected.ndjson (a new one after {}, \
             {} in all; then {}), histograms",
            absolute(&config.data_dir, machine),
            show_size(config.journal.segment),
            show_size(config.journal.max_bytes),
            show_size(config.ingest.rejected_max_bytes),
            show_size(config.ingest.rejected_max_total),
            match config.ingest.rejected_when_full {
                KeptWhenFull::Hold => "a source waits at its next wrong line",
                KeptWhenFull::DropOldest => "the oldest goes",
            }
        ),
        format!(
            "subscribers connect to {}; one that owes acknowledgements for {} is cut",
            config.delivery.listen,
            show_duration(config.delivery.ack_timeout)
        ),
    ];
    lines.extend(connections(config, machine));
    lines.push(match config.admin.listen {
        Some(address) => {
            let scheme = match config.tls.of(&config.admin.tls) {
                Some(_) => "https",
                None => "http",
            };
            format!("{scheme}://{address}/stats, /metrics, /healthz, /readyz, /histograms")
        }
        None => "no HTTP ([admin] listen is none)".to_owned(),
    });
    lines.extend(http_customers(config));
    lines.push(latency_logs(config));
    lines.push(match config.stats.interval {
        Duration::ZERO => "statistics are printed at exit".to_owned(),
        interval => format!(
            "statistics are printed every {} and at exit",
            show_duration(interval)
        ),
    });
    lines
}

/// How many may connect, and what keeps a silent connection from its place.
fn connections(config: &Config, machine: &Machine) -> Vec<String> {
    let budget = Budget::new(config, machine.files);
    let fitted = budget.fit(config);
    let one = |who: &str, limits: Connections| match limits.max_per_address {
        0 => format!("{} {who}", limits.max),
        each => format!("{} {who} ({each} from one address)", limits.max),
    };
    let mut listeners = vec![one("subscribers", fitted.delivery.connections)];
    if config.ingest.listen.is_some() {
        listeners.push(one("producers", fitted.ingest.connections));
    }
    if config.admin.listen.is_some() {
        listeners.push(one("HTTP clients", fitted.admin.connections));
    }
    if config.http.listen.is_some() {
        listeners.push(one("HTTP customers", fitted.http.connections));
    }
    let mut lines = vec![format!(
        "at most {} at once; further ones are told so and closed",
        listeners.join(", ")
    )];
    if budget.is_short() {
        lines.push(budget.words());
    }
    let greeting = show_duration(config.delivery.greeting_timeout);
    let unread = config.delivery.unread_timeout;
    lines.push(match unread.is_zero() {
        true => format!(
            "a connection that does not subscribe within {greeting} is closed; a subscriber may \
             leave its messages unread"
        ),
        false => format!(
            "a connection that does not subscribe within {greeting} is closed, and a subscriber whose \
             socket takes nothing for {} is cut",
            show_duration(unread)
        ),
    });
    lines
}

/// Where customers and producers ask by HTTP, and whose pages may.
fn http_customers(config: &Config) -> Option<String> {
    let address = config.http.listen?;
    let scheme = match config.tls.of(&config.http.tls) {
        Some(_) => "https",
        None => "http",
    };
    let pages = match config.http.cors.as_slice() {
        [] => "no page of a browser may ask".to_owned(),
        all if all.iter().any(|it| it == "*") => "pages of any origin may ask".to_owned(),
        origins => format!("pages of {} may ask", origins.join(", ")),
    };
    let max_body = show_size(config.http.max_body);
    Some(format!(
        "{scheme}://{address}/publish (a body of at most {max_body}), /subscribe/{{destination}}, \
         /ack; {pages}"
    ))
}

fn latency_logs(config: &Config) -> String {
    let latency = &config.latency;
    if latency.log_interval.is_zero() {
        return "latencies are written when the engine stops (no interval logs)".to_owned();
    }
    format!(
        "latencies are logged every {}, in at most {} files of {}, a new one after {}",
        show_duration(latency.log_interval),
        latency.log_files,
        show_size(latency.log_max_bytes),
        show_duration(latency.log_max_age)
    )
}
