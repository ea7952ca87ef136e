//! Numbers and names as the page shows them. A number says its unit; letters that would turn or hide
//! others are shown as escapes.

use maud::{Markup, html};

use super::super::destinations::time;
use crate::escape::Escaped;
use crate::latency::readable;

/// What stands where nothing is known.
pub(super) const NONE: &str = "–";

/// A text from outside.
pub(super) fn shown(text: &str) -> String {
    Escaped(text).to_string()
}

/// A name from outside: letters of its own direction do not turn those around it, and a long one is cut
/// by the stylesheet and whole in its tip.
pub(super) fn name(text: &str) -> Markup {
    let shown = shown(text);
    html! { bdi .name title=(shown) { (shown) } }
}

/// `12,345`
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12,345`, and `1.23 M` where there is no room for all digits.
pub(super) fn short_count(value: u64) -> String {
    match value {
        ..1_000_000 => count(value),
        1_000_000..1_000_000_000 => format!("{:.2} M", value as f64 / 1e6),
        _ => format!("{:.2} G", value as f64 / 1e9),
    }
}

/// A number a second: `0`, `2.5`, `12,345`.
pub(super) fn rate(value: f64) -> String {
    match value {
        ..0.05 => "0".to_owned(),
        ..9.95 => format!("{value:.1}"),
        _ => count(value.round() as u64),
    }
}

/// `1.5 MiB`
pub(super) fn bytes(value: u64) -> String {
    let mut scaled = value as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if scaled < 1_023.95 {
            break;
        }
        (scaled, unit) = (scaled / 1_024.0, next);
    }
    match unit {
        "B" => format!("{value} B"),
        _ => format!("{scaled:.1} {unit}"),
    }
}

/// `120 ms`, `2.5 s`, `3 min 12 s`, `5 h 1 min`, `4 d 2 h`
pub(super) fn lasting(ns: u64) -> String {
    let ms = ns / 1_000_000;
    let seconds = ms / 1_000;
    match seconds {
        ..1 => format!("{ms} ms"),
        1..10 => format!("{:.1} s", ms as f64 / 1e3),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// `229 µs`
pub(super) fn latency(ns: u64) -> String {
    let (value, unit) = readable(ns as f64 / 1e3);
    let unit = match unit {
        "us" => "µs",
        other => other,
    };
    format!("{value} {unit}")
}

/// A time of day with its date in its tip.
pub(super) fn moment(epoch_us: u64) -> Markup {
    let whole = time(epoch_us);
    let clock = whole.split_once('T').map_or("", |(_, it)| it);
    html! { time datetime=(whole) title=(whole) { (clock.trim_end_matches('Z')) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(count(value), text);
        }
        assert_eq!(short_count(999_999), "999,999");
        assert_eq!(short_count(12_345_678), "12.35 M");
        let rates = [0.0, 0.04, 2.54, 9.99, 12_344.6].map(rate);
        assert_eq!(rates, ["0", "0", "2.5", "10", "12,345"]);
        let sizes = [0, 1_023, 1_536, 201_326_592, u64::MAX].map(bytes);
        assert_eq!(
            sizes,
            ["0 B", "1023 B", "1.5 KiB", "192.0 MiB", "16777216.0 TiB"]
        );
    }

    #[test]
    fn times_have_the_units_that_matter() {
        let second = 1_000_000_000;
        for (ns, text) in [
            (0, "0 ms"),
            (120_000_000, "120 ms"),
            (2_500_000_000, "2.5 s"),
            (59 * second, "59 s"),
            (192 * second, "3 min 12 s"),
            (18_060 * second, "5 h 1 min"),
            (352_800 * second, "4 d 2 h"),
        ] {
            assert_eq!(lasting(ns), text);
        }
        assert_eq!(latency(229_400), "229 µs");
    }

    #[test]
    fn a_hostile_name_is_text() {
        let markup = name("<script>\u{202e}\"'&").into_string();
        assert!(!markup.contains("<script>") && !markup.contains('\u{202e}'));
        assert!(markup.contains("&lt;script&gt;\\u{202e}&quot;"), "{markup}");
    }
}
