//! A table that is partitioned by day: days that are made ahead, and days that are dropped whole.
//!
//! Each pass over the old rows begins here. A day is dropped when all its rows are this engine's and were
//! settled long enough ago; while there are others, its rows are deleted in pieces, and the empty day is
//! dropped later. What partitions there should be is decided without a server ([`Days`]).
//!
//! Between the look and the drop another engine may insert a row that old: only one whose store is behind
//! by more than `keep`.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use mysql::prelude::Queryable;
use mysql::{Conn, Error};

use super::Failed;
use super::connection::{LOCKS_SHORT, LOCKS_USUAL};
use super::session::Session;
use crate::limits::{STORE_PARTITIONS_AHEAD, STORE_PARTITIONS_AHEAD_MIN, STORE_PARTITIONS_BACK};
use crate::store::id_base::ID_BASE_STEP;
use crate::store::keep::{Removal, Removed};
use crate::store::text_time::TextTime;

/// The partition for rows of no other day.
const LAST: &str = "p_max";

const LIST: &str = "SELECT partition_name, partition_description, table_rows \
    FROM information_schema.partitions WHERE table_schema = COALESCE(?, DATABASE()) \
    AND table_name = 'messages' AND partition_method = 'RANGE COLUMNS' \
    AND partition_expression LIKE '%created\\_at%' ORDER BY partition_ordinal_position";

/// A partition of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) name: String,
    /// Rows that came before this day, and not before the bound of the partition before it.
    bound: Date,
    /// The server's estimate.
    rows: u64,
}

/// The partitions of the table, by their bounds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Days {
    days: Vec<Day>,
    /// There is one for all later rows.
    has_last: bool,
}

impl Days {
    /// The partitions that there are in this database, or in the connection's own; none: the table is
    /// not partitioned by day.
    pub(super) fn of(connection: &mut Conn, database: Option<&str>) -> Result<Self, Error> {
        type Row = (Option<String>, Option<String>, Option<u64>);
        let rows: Vec<Row> = connection.exec(LIST, (database,))?;
        let mut this = Self::default();
        for (name, bound, rows) in rows {
            this.add(
                name.unwrap_or_default(),
                &bound.unwrap_or_default(),
                rows.unwrap_or(0),
            );
        }
        Ok(this)
    }

    /// Takes a partition as the server describes it: `'2026-12-01'`, or `MAXVALUE`.
    fn add(&mut self, name: String, bound: &str, rows: u64) {
        let text = bound.trim_matches('\'');
        match text.get(..10).and_then(|it| it.parse().ok()) {
            Some(bound) => self.days.push(Day { name, bound, rows }),
            None => self.has_last = true,
        }
    }

    pub(super) fn is_partitioned(&self) -> bool {
        self.has_last || !self.days.is_empty()
    }

    /// The statement that makes the days to come, if some are missing.
    fn ahead(&self, today: Date) -> Option<String> {
        let last = self.days.last().map(|it| it.bound)?;
        if last >= plus(today, STORE_PARTITIONS_AHEAD_MIN) {
            return None;
        }
        let begin = last.max(plus(today, -STORE_PARTITIONS_BACK));
        let new = partitions(begin, plus(today, STORE_PARTITIONS_AHEAD));
        Some(match self.has_last {
            true => format!("ALTER TABLE messages REORGANIZE PARTITION {LAST} INTO ({new}, {END})"),
            false => format!("ALTER TABLE messages ADD PARTITION ({new}, {END})"),
        })
    }

    /// Those whose rows all came before the day of a moment.
    fn old(&self, today: Date) -> impl Iterator<Item = &Day> {
        self.days.iter().take_while(move |it| it.bound <= today)
    }
}

const END: &str = "PARTITION p_max VALUES LESS THAN (MAXVALUE)";

/// What makes a table partitioned by day: one for all before `first`, a day each, and one for the rest. A
/// unique key must have the column by which rows are divided; a message's `created_at` never changes, so
/// the two together are as unique as its id.
pub(super) fn partition_statement(first: Date, today: Date) -> String {
    let first = first.clamp(plus(today, -STORE_PARTITIONS_BACK), today);
    let days = partitions(first, plus(today, STORE_PARTITIONS_AHEAD));
    format!(
        "ALTER TABLE messages DROP PRIMARY KEY, ADD PRIMARY KEY (id, created_at), \
         ADD INDEX messages_delivered_at (delivered_at) \
         PARTITION BY RANGE COLUMNS (created_at) ({days}, {END})"
    )
}

/// A partition for each day of `[first, end)`.
fn partitions(first: Date, end: Date) -> String {
    let days = std::iter::successors(Some(first), |it| it.tomorrow().ok());
    let days = days.take_while(|it| *it < end).map(|day| {
        let name = day.strftime("%Y%m%d");
        format!("PARTITION p{name} VALUES LESS THAN ('{}')", plus(day, 1))
    });
    days.collect::<Vec<_>>().join(", ")
}

fn plus(day: Date, days: i64) -> Date {
    day.saturating_add(days.days())
}

/// The day of a moment, UTC.
pub(super) fn day_of(epoch_us: u64) -> Date {
    let moment = i64::try_from(epoch_us).map(Timestamp::from_microsecond);
    let moment = moment.ok().and_then(Result::ok).unwrap_or(Timestamp::MAX);
    moment.to_zoned(TimeZone::UTC).date()
}

/// Today at the server, UTC.
pub(super) fn today(connection: &mut Conn) -> Result<Date, Error> {
    let text: Option<String> = connection.query_first("SELECT CAST(UTC_DATE() AS CHAR)")?;
    let today = text.and_then(|it| it.parse().ok());
    Ok(today.unwrap_or_else(|| Timestamp::now().to_zoned(TimeZone::UTC).date()))
}

impl Session {
    /// Sees to the partitions at the begin of a pass. Returns what was dropped, if a day was: the pass
    /// begins again then.
    pub(super) fn tend_partitions(&mut self, removal: &Removal) -> Result<Option<Removed>, Failed> {
        let days = Days::of(&mut self.connection, None)?;
        self.is_partitioned = days.is_partitioned();
        self.old_before = None;
        if !self.is_partitioned {
            return Ok(None);
        }
        let today = today(&mut self.connection)?;
        if let Some(statement) = days.ahead(today) {
            self.alter(&statement)?;
        }
        if removal.before_us == 0 {
            return Ok(None);
        }
        for day in days.old(day_of(removal.before_us)) {
            if self.is_settled(day, removal)? {
                self.alter(&format!("ALTER TABLE messages DROP PARTITION {}", day.name))?;
                tracing::info!(
                    "dropped the partition {} of messages ([store] keep)",
                    day.name
                );
                return Ok(Some(Removed {
                    rows: day.rows,
                    partitions: 1,
                    next: Some(0),
                    ..Removed::default()
                }));
            }
            self.old_before = Some(day.bound);
        }
        Ok(None)
    }

    /// Whether all rows of a day are this engine's, and were settled long enough ago. Each answer is in an
    /// index.
    fn is_settled(&mut self, day: &Day, removal: &Removal) -> Result<bool, Error> {
        let mut text = TextTime::new();
        let before = String::from_utf8_lossy(text.format(removal.before_us)).into_owned();
        let (first, end) = (self.id_base, self.id_base + ID_BASE_STEP);
        let last = self.last_sequence()?.unwrap_or(0) + self.id_base;
        let others = [
            "delivered_at IS NULL".to_owned(),
            format!("delivered_at >= '{before}'"),
            format!("id < {first}"),
            format!("id >= {end}"),
            format!("id = {last}"),
        ];
        for condition in others {
            let query = format!(
                "SELECT 1 FROM messages PARTITION ({}) WHERE {condition} LIMIT 1",
                day.name
            );
            if self.connection.query_first::<u8, _>(query)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn alter(&mut self, statement: &str) -> Result<(), Failed> {
        self.connection.query_drop(LOCKS_SHORT)?;
        let altered = self.connection.query_drop(statement);
        altered.map_err(Failed::Partitions)?;
        Ok(self.connection.query_drop(LOCKS_USUAL)?)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn days(bounds: &[&str]) -> Days {
        let mut days = Days::default();
        for (at, bound) in bounds.iter().enumerate() {
            days.add(format!("p{at}"), bound, 7);
        }
        days
    }

    #[test]
    fn days_are_made_ahead_once_a_few_are_left() {
        let today = date(2026, 12, 30);
        let enough = days(&["'2026-12-31'", "'2027-01-02'", "MAXVALUE"]);
        assert_eq!(enough.ahead(today), None);
        let few = days(&["'2026-12-31'", "'2027-01-01 00:00:00'", "MAXVALUE"]);
        let statement = few.ahead(today).expect("days are missing");
        assert!(
            statement.starts_with(
                "ALTER TABLE messages REORGANIZE PARTITION p_max INTO (PARTITION p20270101 VALUES \
                 LESS THAN ('2027-01-02'), PARTITION p20270102 VALUES LESS THAN ('2027-01-03'), "
            ),
            "{statement}"
        );
        assert!(statement.ends_with(&format!(", {END})")), "{statement}");
        let without_last = days(&["'2026-12-31'"]);
        let statement = without_last.ahead(today).expect("days are missing");
        assert!(
            statement.contains("ADD PARTITION (PARTITION p20261231"),
            "{statement}"
        );
    }

    #[test]
    fn a_table_that_was_left_alone_for_years_gets_no_more_days_than_are_useful() {
        let left = days(&["'1999-01-02'", "MAXVALUE"]);
        let statement = left.ahead(date(2026, 12, 30)).expect("days are missing");
        let count = statement.matches("VALUES LESS THAN").count() as i64;
        assert_eq!(count, STORE_PARTITIONS_BACK + STORE_PARTITIONS_AHEAD + 1);
    }

    #[test]
    fn a_day_is_old_when_all_of_it_is() {
        let days = days(&["'2026-12-01'", "'2026-12-02'", "'2026-12-03'", "MAXVALUE"]);
        let old: Vec<_> = days.old(date(2026, 12, 2)).map(|it| &*it.name).collect();
        assert_eq!(old, ["p0", "p1"]);
        assert!(days.is_partitioned() && !Days::default().is_partitioned());
        let midnight_us = 1_764_633_600_000_000;
        assert_eq!(day_of(midnight_us), date(2025, 12, 2));
        assert_eq!(day_of(midnight_us - 1), date(2025, 12, 1));
    }

    #[test]
    fn a_table_is_divided_from_its_first_day_on() {
        let statement = partition_statement(date(2026, 11, 29), date(2026, 11, 30));
        assert!(
            statement.contains(
                "ADD PRIMARY KEY (id, created_at), ADD INDEX messages_delivered_at (delivered_at) \
                 PARTITION BY RANGE COLUMNS (created_at) (PARTITION p20261129 VALUES LESS THAN \
                 ('2026-11-30'), PARTITION p20261130 "
            ),
            "{statement}"
        );
    }
}
