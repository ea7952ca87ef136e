//! What the command shows: where the servers are, a line each second under load, the totals.
//!
//! Fed with snapshots by `main`; it only makes text.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use message_server_simulator::{Handle, Reason, Totals};

/// One line for each server.
pub(crate) fn places(handle: &Handle, dials: bool) -> String {
    let verb = if dials { "dials" } else { "listens on" };
    let one = |(name, address): (String, SocketAddr)| format!("{name} {verb} {address}\n");
    let names = handle.sent_by_server().into_iter().map(|(name, _)| name);
    names.zip(handle.addresses()).map(one).collect()
}

/// The line of a second: since the start, the totals before it and now.
pub(crate) fn second(elapsed: Duration, before: &Totals, now: &Totals, handle: &Handle) -> String {
    let mut line = format!(
        "{:>6} s  {:>15} lines  {:>11}/s  {} of {} connected",
        elapsed.as_secs(),
        grouped(now.lines()),
        grouped(now.lines() - before.lines()),
        handle.connected(),
        handle.addresses().len(),
    );
    if now.acknowledged > 0 {
        append(
            &mut line,
            format_args!("  {} acknowledged", grouped(now.acknowledged)),
        );
    }
    line
}

/// What was sent, after the end.
pub(crate) fn totals(totals: &Totals, seed: u64, ack: bool) -> String {
    let mut text = String::from("=== SENT ===\n");
    let mut row = |name: &str, value: u64| {
        append(
            &mut text,
            format_args!("{name:<24}{:>18}\n", grouped(value)),
        );
    };
    row("Valid, distinct", totals.valid);
    row("Duplicates", totals.duplicates);
    row("Malformed", totals.malformed_total());
    for reason in Reason::ALL
        .into_iter()
        .filter(|reason| totals.malformed(*reason) > 0)
    {
        row(&format!("  {}", reason.name()), totals.malformed(reason));
    }
    if ack {
        row("Sent again", totals.resent);
        row("Acknowledged", totals.acknowledged);
        row(
            "Not acknowledged",
            totals.lines() - totals.resent - totals.acknowledged,
        );
        row("Wrong acknowledgements", totals.wrong_acknowledgements);
    }
    row("Lines", totals.lines());
    row("Bytes", totals.bytes);
    row("Connections", totals.connections);
    row("  reconnects", totals.reconnects);
    row("  dropped by us", totals.cuts);
    append(&mut text, format_args!("{:<24}{seed:>18}\n", "Seed"));
    text
}

fn append(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more)
        .expect("writing to a string cannot fail");
}

/// 1234567 as 1,234,567.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn the_totals_name_only_the_reasons_that_occurred() {
        let mut sent = Totals {
            valid: 10_000,
            ..Totals::default()
        };
        sent.malformed[Reason::BadJson as usize] = 3;
        let text = totals(&sent, 7, false);
        assert!(text.contains("10,000") && text.contains("bad_json"));
        assert!(!text.contains("oversize") && !text.contains("Acknowledged"));
    }
}
