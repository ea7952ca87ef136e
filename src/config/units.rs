//! Sizes, durations and hours of the day, as people write them.
//!
//! Fed by the values of the settings, and by the words of `check` the other way round. Whole
//! numbers only: `1500ms` and not `1.5s`. It knows no bounds but those of the types; the bounds
//! of a setting stand with the setting.

use std::time::Duration;

/// A size's units and the bytes of each; the ones that `show_size` may pick come first, falling.
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A duration's units and the microseconds of each, falling; `show_duration` picks none above hours.
const DURATIONS: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Reads `64KiB`, `64KB`, `1MiB` or `65536`, in bytes.
///
/// # Errors
/// Says how a size is written.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let hint = || "write bytes, or a size with its unit such as \"64KiB\" or \"1MiB\"".to_owned();
    let (number, unit) = split(text).ok_or_else(hint)?;
    let bytes = match unit {
        "" => 1,
        unit => {
            SIZES
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(unit))
                .ok_or_else(hint)?
                .1
        }
    };
    number
        .and_then(|number| number.checked_mul(bytes))
        .ok_or_else(|| "that is more than 64 bits hold".to_owned())
}

/// What [`parse_size`] reads, as a regular expression.
pub(super) fn size_pattern() -> String {
    let either_case = |letter: char| {
        let (upper, lower) = (letter.to_ascii_uppercase(), letter.to_ascii_lowercase());
        format!("[{upper}{lower}]")
    };
    let units = SIZES.map(|(unit, _)| unit.chars().map(either_case).collect::<String>());
    format!(r"\s*\d[\d_]*\s*({})?\s*", units.join("|"))
}

/// What [`parse_duration`] reads, as a regular expression.
pub(super) fn duration_pattern() -> String {
    let units = DURATIONS.map(|(unit, _)| unit);
    format!(r"\s*\d[\d_]*\s*({})\s*", units.join("|"))
}

/// Writes a number of bytes so that [`parse_size`] reads the same: `64KiB`, `65537`.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let fits = |&&(_, unit): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(unit);
    match SIZES[..3].iter().find(fits) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

/// Reads `2us`, `100ms`, `10s`, `5m`, `1h` or `30d`.
///
/// # Errors
/// Says how a duration is written.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let hint =
        || "write a whole number and its unit: us, ms, s, m, h or d, as in \"10s\"".to_owned();
    let (number, unit) = split(text).ok_or_else(hint)?;
    let micros = DURATIONS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(hint)?
        .1;
    number
        .and_then(|number| number.checked_mul(micros))
        .map(Duration::from_micros)
        .ok_or_else(|| "that is longer than 64 bits of microseconds hold".to_owned())
}

/// Writes a duration so that [`parse_duration`] reads the same; below a microsecond it is cut.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let fits = |&&(_, unit): &&(&str, u64)| micros > 0 && micros.is_multiple_of(unit);
    match DURATIONS[1..].iter().find(fits) {
        Some((name, unit)) => format!("{}{name}", micros / unit),
        None => "0s".to_owned(),
    }
}

/// Reads `07:00-11:00`: minutes since midnight, `[from, to)`; `22:00-02:00` wraps past midnight.
///
/// # Errors
/// Says how hours are written.
pub fn parse_hours(text: &str) -> Result<(u16, u16), String> {
    let hint = || "write two times of the day, as in \"07:00-11:00\"".to_owned();
    let (from, to) = text.split_once('-').ok_or_else(hint)?;
    let from = minutes(from.trim()).ok_or_else(hint)?;
    let to = minutes(to.trim()).ok_or_else(hint)?;
    if from == to || from == 24 * 60 {
        return Err("these hours are empty; the whole day is \"00:00-24:00\"".to_owned());
    }
    Ok((from, to))
}

/// Writes hours so that [`parse_hours`] reads the same.
#[must_use]
pub fn show_hours((from, to): (u16, u16)) -> String {
    let (from_h, from_m) = (from / 60, from % 60);
    let (to_h, to_m) = (to / 60, to % 60);
    format!("{from_h:02}:{from_m:02}-{to_h:02}:{to_m:02}")
}

/// `07:30` as minutes since midnight; `24:00` is the end of the day.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let time = hour * 60 + minute;
    (minute < 60 && time <= 24 * 60).then_some(time)
}

/// Digits (with `_` between them) and what follows; the number is `None` where it overflows.
fn split(text: &str) -> Option<(Option<u64>, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_')
        .unwrap_or(text.len());
    let digits: String = text[..end].chars().filter(|&c| c != '_').collect();
    if digits.is_empty() || text.starts_with('_') {
        return None;
    }
    Some((digits.parse().ok(), text[end..].trim_start()))
}
