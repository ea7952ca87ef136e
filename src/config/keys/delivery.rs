//! The keys of `[delivery]`.

use std::time::Duration;

use crate::config::key::{
    Section, key, max_connections, max_connections_per_address, set, tls, tls_file,
};
use crate::limits;

const MILLI: Duration = Duration::from_millis(1);

pub(super) const DELIVERY: Section = Section {
    name: "delivery",
    meaning: "How messages go out.",
    keys: &[
        key(
            "listen",
            "\"127.0.0.1:9000\"",
            "Where subscribers connect.",
            |c, v| match v.listen()? {
                Some(address) => set(&mut c.delivery.listen, address),
                None => Err("found none; delivery needs an address, such as \
                     \"127.0.0.1:9000\""
                    .to_owned()),
            },
        ),
        key(
            "agents",
            "1",
            "How many delivery agents share the subscribers, 1 to 64; more than 1 pays in the \
             dedicated mode only.",
            |c, v| set(&mut c.delivery.agents, v.count(1, limits::AGENTS_MAX)?),
        ),
        key(
            "ack_timeout",
            "\"30s\"",
            "A subscriber that owes acknowledgements for this long is cut; its messages go to \
             the next one.",
            |c, v| {
                let timeout = v.duration(MILLI, limits::WAIT_MAX)?;
                set(&mut c.delivery.ack_timeout, timeout)
            },
        ),
        key(
            "credit",
            "\"256KiB\"",
            "Bytes on their way to one subscriber, in the engine and unsent in its socket: what an \
             urgent message cannot overtake. Smaller: sharper priorities. Larger: more throughput \
             over long distances.",
            |c, v| {
                let credit = v.size(limits::CREDIT_MIN as u64, limits::CREDIT_MAX as u64)?;
                set(&mut c.delivery.credit, credit as usize)
            },
        ),
        max_connections!(delivery, "10_000", "subscribers"),
        max_connections_per_address!(delivery),
        tls!(delivery),
        tls_file!(delivery, cert, "tls_cert", "cert"),
        tls_file!(delivery, key, "tls_key", "key"),
        tls_file!(delivery, client_ca, "tls_client_ca", "client_ca"),
        key(
            "greeting_timeout",
            "\"30s\"",
            "A connection that has not subscribed after this long is closed.",
            |c, v| {
                let timeout = v.duration(MILLI, limits::WAIT_MAX)?;
                set(&mut c.delivery.greeting_timeout, timeout)
            },
        ),
        key(
            "unread_timeout",
            "\"0s\"",
            "A subscriber whose socket has taken no byte for this long, though messages wait for \
             it, is disconnected; they go to the next one. 0s: no limit.",
            |c, v| {
                let timeout = v.duration(Duration::ZERO, limits::WAIT_MAX)?;
                set(&mut c.delivery.unread_timeout, timeout)
            },
        ),
    ],
};
