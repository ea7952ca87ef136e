//! Sizes, durations and hours: what is read, what is refused, and the way there and back.

use std::time::Duration;

use proptest::prelude::*;

use crate::config::{
    parse_duration, parse_hours, parse_size, show_duration, show_hours, show_size,
};

#[test]
fn sizes_have_binary_and_decimal_units() {
    for (text, bytes) in [
        ("0", 0),
        ("65536", 65_536),
        ("65_536", 65_536),
        ("10B", 10),
        ("64KiB", 65_536),
        ("64 KiB", 65_536),
        ("64kib", 65_536),
        ("64KB", 64_000),
        ("1MiB", 1 << 20),
        ("1MB", 1_000_000),
        ("2GiB", 2 << 30),
        ("2GB", 2_000_000_000),
    ] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
}

#[test]
fn nonsense_and_overflow_are_no_sizes() {
    for text in [
        "", "KiB", "-1", "1.5MiB", "64 K", "1 2", "0x10", "_", "64KiBs", "٣KiB",
    ] {
        assert!(parse_size(text).is_err(), "{text}");
    }
    for text in [
        "18446744073709551616",
        "18014398509481984KiB",
        "99999999999999999999GiB",
    ] {
        let error = parse_size(text).expect_err(text);
        assert!(error.contains("64 bits"), "{text}: {error}");
    }
    assert_eq!(parse_size("18446744073709551615"), Ok(u64::MAX));
}

#[test]
fn durations_always_have_a_unit() {
    for (text, micros) in [
        ("0s", 0),
        ("2us", 2),
        ("100ms", 100_000),
        ("10s", 10_000_000),
        ("5m", 300_000_000),
        ("1h", 3_600_000_000),
        ("30d", 30 * 24 * 3_600_000_000),
        ("1 h", 3_600_000_000),
    ] {
        assert_eq!(
            parse_duration(text),
            Ok(Duration::from_micros(micros)),
            "{text}"
        );
    }
    for text in [
        "", "0", "10", "s", "1.5s", "-1s", "1w", "1M", "1H", "1m30s", "soon",
    ] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    let error = parse_duration("18446744073709551615s").expect_err("too long");
    assert!(error.contains("64 bits"), "{error}");
}

#[test]
fn hours_are_minutes_since_midnight() {
    assert_eq!(parse_hours("07:00-11:00"), Ok((420, 660)));
    assert_eq!(parse_hours("22:30 - 02:15"), Ok((1350, 135)));
    assert_eq!(parse_hours("00:00-24:00"), Ok((0, 1440)));
    for text in [
        "",
        "7-11",
        "7:00-11:00",
        "07:60-11:00",
        "25:00-26:00",
        "24:01-01:00",
    ] {
        assert!(parse_hours(text).is_err(), "{text}");
    }
    for empty in ["07:00-07:00", "24:00-01:00"] {
        assert!(parse_hours(empty).expect_err(empty).contains("empty"));
    }
}

#[test]
fn what_is_shown_is_short() {
    assert_eq!(show_size(0), "0");
    assert_eq!(show_size(65_536), "64KiB");
    assert_eq!(show_size(65_537), "65537");
    assert_eq!(show_size(3 << 30), "3GiB");
    assert_eq!(show_duration(Duration::ZERO), "0s");
    assert_eq!(show_duration(Duration::from_millis(1500)), "1500ms");
    assert_eq!(show_duration(Duration::from_secs(3600)), "1h");
    assert_eq!(show_hours((420, 660)), "07:00-11:00");
}

proptest! {
    #[test]
    fn sizes_go_there_and_back(bytes in any::<u64>(), shift in 0..64_u32) {
        let bytes = bytes >> shift << (shift / 2);
        prop_assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
    }

    #[test]
    fn durations_go_there_and_back(micros in any::<u64>(), unit in 0..5_usize) {
        let unit = [1, 1_000, 1_000_000, 60_000_000, 3_600_000_000][unit];
        let duration = Duration::from_micros(micros / unit * unit);
        prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
    }

    #[test]
    fn hours_go_there_and_back(from in 0..1440_u16, to in 0..=1440_u16) {
        prop_assume!(from != to);
        prop_assert_eq!(parse_hours(&show_hours((from, to))), Ok((from, to)));
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "\\PC{0,20}") {
        let _ = (parse_size(&text), parse_duration(&text), parse_hours(&text));
    }

    #[test]
    fn no_file_makes_the_reader_panic(text in "[a-z\\[\\]=\"{}0-9ü\\n., ]{0,200}") {
        let _ = crate::config::parse("f", &text, &[]);
    }
}
