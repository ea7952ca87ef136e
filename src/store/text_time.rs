//! Moments as text: `YYYY-MM-DD HH:MM:SS.ffffff`, UTC.
//!
//! Rows come in the order of time, thousands a second: the calendar is computed once a second, and
//! only the six digits behind the point for each row.

use jiff::Timestamp;

const SECOND_LEN: usize = "YYYY-MM-DD HH:MM:SS".len();
/// Bytes of a moment.
pub(super) const MOMENT_LEN: usize = SECOND_LEN + 7;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// Formats moments, remembering the last second.
#[derive(Debug)]
pub(super) struct TextTime {
    second: Option<u64>,
    text: [u8; MOMENT_LEN],
}

impl TextTime {
    pub(super) fn new() -> Self {
        Self {
            second: None,
            text: *b"0000-00-00 00:00:00.000000",
        }
    }

    /// The text of a moment, in us since the epoch. What no calendar has (beyond the year 9999)
    /// becomes its last moment.
    pub(super) fn format(&mut self, epoch_us: u64) -> &[u8; MOMENT_LEN] {
        let second = epoch_us / MICROS_PER_SECOND;
        if self.second != Some(second) {
            let moment = i64::try_from(second).map(Timestamp::from_second);
            let moment = moment.ok().and_then(Result::ok).unwrap_or(Timestamp::MAX);
            let text = moment.strftime("%Y-%m-%d %H:%M:%S").to_string();
            self.text[..SECOND_LEN].copy_from_slice(text.as_bytes());
            self.second = Some(second);
        }
        let mut rest = epoch_us % MICROS_PER_SECOND;
        for digit in self.text[SECOND_LEN + 1..].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_become_utc_text() {
        let mut times = TextTime::new();
        let cases: [(u64, &str); 6] = [
            (0, "1970-01-01 00:00:00.000000"),
            (1_700_000_000_000_001, "2023-11-14 22:13:20.000001"),
            (1_700_000_000_999_999, "2023-11-14 22:13:20.999999"),
            (1_709_164_800_000_000, "2024-02-29 00:00:00.000000"),
            (1_700_000_000_120_000, "2023-11-14 22:13:20.120000"),
            (u64::MAX, "9999-12-30 22:00:00.551615"),
        ];
        for (epoch_us, text) in cases {
            assert_eq!(times.format(epoch_us).as_slice(), text.as_bytes());
        }
    }
}
