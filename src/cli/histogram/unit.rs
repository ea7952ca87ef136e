//! Units: of the values in the files, and of what is shown.

use clap::ValueEnum;

use crate::latency::readable;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unit {
    /// Nanoseconds.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
}

impl Unit {
    /// Microseconds in it.
    pub(super) fn us(self) -> f64 {
        match self {
            Unit::Ns => 0.001,
            Unit::Us => 1.0,
            Unit::Ms => 1_000.0,
            Unit::S => 1_000_000.0,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Unit::Ns => "ns",
            Unit::Us => "us",
            Unit::Ms => "ms",
            Unit::S => "s",
        }
    }

    /// A value of so many microseconds, to the nanosecond.
    pub(super) fn of_us(self, us: f64) -> f64 {
        let ns = (us * 1_000.0).round();
        ns / 1_000.0 / self.us()
    }
}

/// How people see a value: in the unit that they chose, or in the one that suits it.
pub(super) fn shown(us: f64, unit: Option<Unit>) -> String {
    match unit {
        Some(Unit::Ns) => format!("{:.0}", us * 1_000.0),
        Some(Unit::Us) => format!("{us:.1}"),
        Some(unit) => format!("{:.3}", us / unit.us()),
        None => {
            let (value, unit) = readable(us);
            value + unit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_in_the_unit_that_was_chosen_or_in_its_own() {
        let all = [Some(Unit::Ns), Some(Unit::Us), Some(Unit::Ms), None];
        let texts = all.map(|it| shown(1_234.56, it));
        assert_eq!(texts, ["1234560", "1234.6", "1.235", "1.23ms"]);
        assert_eq!(Unit::S.of_us(1_500_000.000_4), 1.5);
    }
}
