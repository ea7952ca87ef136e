//! How much the kernel lets sockets hold.

use super::finding::Finding;
use super::fix::Fix;
use super::machine::Context;
use crate::config::show_size;
use crate::limits::{READ_LEN_MAX, SUBSCRIBER_SEND_BUFFER};

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    vec![sending(context), receiving(context)]
}

/// The engine asks for the send buffer of its subscribers; the kernel cuts what is above its limit.
fn sending(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "send buffer";
    let Some(max) = context.machine.number("proc/sys/net/core/wmem_max") else {
        return Finding::unknown(SUBJECT, "/proc/sys/net/core/wmem_max");
    };
    let wanted = SUBSCRIBER_SEND_BUFFER.min(context.config.delivery.credit) as u64;
    let found = format!(
        "{} at most, the engine takes {} a subscriber",
        show_size(max),
        show_size(wanted)
    );
    match max >= wanted {
        true => Finding::good(SUBJECT, found),
        false => Finding::fair(
            SUBJECT,
            found,
            format!("sysctl -w net.core.wmem_max={wanted}"),
        )
        .because(
            "a frame that finds no room in the socket waits for the subscriber's acknowledgement",
        )
        .fixed_by([Fix::value(
            "proc/sys/net/core/wmem_max",
            &wanted.to_string(),
            &max.to_string(),
        )]),
    }
}

/// The kernel sizes receive buffers by itself, up to the third figure of `tcp_rmem`.
fn receiving(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "receive buffer";
    let rmem = context.machine.read("proc/sys/net/ipv4/tcp_rmem");
    let max = rmem
        .as_deref()
        .and_then(|it| it.split_whitespace().nth(2)?.parse::<u64>().ok());
    let core = context.machine.number("proc/sys/net/core/rmem_max");
    let (Some(max), Some(core)) = (max, core) else {
        return Finding::unknown(SUBJECT, "/proc/sys/net/ipv4/tcp_rmem or net/core/rmem_max");
    };
    // A read takes this much at once, and one should be able to come in meanwhile.
    let wanted = 2 * READ_LEN_MAX as u64;
    let found = format!(
        "grows to {} by itself (rmem_max {}), a read takes {}",
        show_size(max),
        show_size(core),
        show_size(READ_LEN_MAX as u64)
    );
    match max >= wanted {
        true => Finding::good(SUBJECT, found),
        false => {
            let advice = format!("sysctl -w net.ipv4.tcp_rmem=\"4096 131072 {}\"", 8 * wanted);
            let value = format!("4096 131072 {}", 8 * wanted);
            let before = rmem.as_deref().unwrap_or_default();
            Finding::fair(SUBJECT, found, advice)
                .because("a source that sends in bursts waits for the engine's window")
                .fixed_by([Fix::value("proc/sys/net/ipv4/tcp_rmem", &value, before)])
        }
    }
}
