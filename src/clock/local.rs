//! Local time: the minute of the day, which rules by hours ask for, and the zone that it is of.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Now;

/// The local minute of the day, worked out once a minute.
#[derive(Debug, Default)]
pub struct LocalMinute {
    /// The minute since the epoch for which `of_day` holds.
    epoch_minute: u64,
    of_day: u16,
}

impl LocalMinute {
    /// Minutes since local midnight, 0 to 1,439.
    pub fn of_day(&mut self, now: Now) -> u16 {
        let epoch_minute = now.epoch_us / 60_000_000;
        if epoch_minute != self.epoch_minute {
            self.epoch_minute = epoch_minute;
            self.of_day = local_minute(now.epoch_us);
        }
        self.of_day
    }
}

fn local_minute(epoch_us: u64) -> u16 {
    let epoch_us = i64::try_from(epoch_us).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_microsecond(epoch_us).unwrap_or(Timestamp::MAX);
    let local = timestamp.to_zoned(TimeZone::system());
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    u16::try_from(minute).unwrap_or(0)
}

/// The name of the time zone that local hours go by.
///
/// # Errors
/// The zone is not known, and local hours are UTC; the message says which was asked for.
pub fn zone() -> Result<String, String> {
    let asked = std::env::var_os("TZ").filter(|it| !it.is_empty());
    match (TimeZone::try_system(), asked) {
        (Ok(zone), _) => Ok(name_of(&zone)),
        (Err(_), None) => Ok("UTC".to_owned()),
        (Err(_), Some(asked)) => Err(format!(
            "TZ = {asked:?} names no time zone that this machine knows: local hours are UTC; correct \
             it, or install the system's time zones (Debian: tzdata)"
        )),
    }
}

fn name_of(zone: &TimeZone) -> String {
    let name = zone.iana_name().map(str::to_owned);
    name.unwrap_or_else(|| {
        let now = Timestamp::now().to_zoned(zone.clone());
        format!("UTC{}", now.offset())
    })
}
