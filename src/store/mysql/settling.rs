//! How rows that were written earlier are settled: through a table of this connection and one UPDATE by
//! primary key, or, where the account may not make that table, by statements that name each row.
//!
//! What the server refuses is found by halving, as it is for rows; so is what fails for the same cause
//! in every try, where a trigger may be that cause.

use std::fmt::Write as _;

use mysql::Error;
use mysql::prelude::Queryable;

use super::fault::{self, Blame};
use super::load::Lines;
use super::partitions::day_of;
use super::session::{Outcome, Session, SettledTable};
use super::text::{Form, SETTLED_COLUMNS, Writer};
use super::{LOAD_FORM, REST};
use crate::journal::format::Settlement;
use crate::limits::{
    STORE_STATEMENT_LEN_MAX, STORE_UPDATES_NAMED, STORE_UPDATES_PIECE, STORE_UPDATES_STATEMENT,
};
use crate::store::pace::Pace;
use crate::store::text_time::TextTime;

/// Of this connection alone; InnoDB, for other engines are not allowed in transactions everywhere.
const CREATE_SETTLED: &str = "CREATE TEMPORARY TABLE IF NOT EXISTS flipped_lb_settled (
    id           BIGINT      NOT NULL PRIMARY KEY,
    delivered_at DATETIME(6) NOT NULL
) ENGINE = InnoDB";

const EMPTY_SETTLED: &str = "DELETE FROM flipped_lb_settled";

/// Bytes of one settlement in a statement that names it: its id twice, its moment once.
const NAMED_LEN: usize = " WHEN 9223372036854775807 THEN '2023-11-14 22:13:20.000001'".len()
    + ",9223372036854775807".len();

const DAY_US: u64 = 24 * 60 * 60 * 1_000_000;

impl Session {
    /// Before a transaction: some servers make no table within one.
    pub(super) fn make_settled_table(&mut self) -> Result<(), Error> {
        if self.settled_table != SettledTable::Unknown {
            return Ok(());
        }
        self.settled_table = match self.connection.query_drop(CREATE_SETTLED) {
            Ok(()) => SettledTable::Made,
            Err(error) if fault::is_servers(&error) => {
                tracing::debug!("settlements name their rows: {}", fault::words(&error));
                SettledTable::Refused
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// Settles rows that were written earlier. Returns how many.
    pub(super) fn settle(
        &mut self,
        settlements: &[Settlement],
        pace: Pace,
        outcome: &mut Outcome<'_>,
    ) -> Result<u64, Error> {
        let most = match self.settled_table {
            SettledTable::Made => STORE_UPDATES_STATEMENT,
            _ => STORE_UPDATES_NAMED.min(self.facts.packet_len_max / 2 / NAMED_LEN),
        };
        let count = pace.pick(most, STORE_UPDATES_PIECE).min(most).max(1);
        let mut settled = 0;
        for settlements in settlements.chunks(count) {
            pace.rest(REST);
            settled += self.settle_some(settlements, outcome)?;
        }
        Ok(settled)
    }

    fn settle_some(
        &mut self,
        settlements: &[Settlement],
        outcome: &mut Outcome<'_>,
    ) -> Result<u64, Error> {
        self.save(outcome.repeats)?;
        let result = match self.settled_table {
            SettledTable::Made => self.settle_by_table(settlements),
            _ => self.settle_by_name(settlements),
        };
        let error = match result {
            Ok(settled) => {
                outcome.taken += 1;
                return Ok(settled);
            }
            Err(error) => error,
        };
        let blame = match fault::blame(&error) {
            Blame::All if self.is_repeated(&error, outcome.repeats) => Blame::Row,
            blame => blame,
        };
        match (blame, settlements) {
            (Blame::All, _) => Err(error),
            (blame, [settlement]) => {
                let words = fault::words(&error);
                outcome.refused.settlement(*settlement, words);
                if blame == Blame::Perhaps {
                    outcome.doubt.get_or_insert(error);
                }
                Ok(0)
            }
            (_, settlements) => {
                let (left, right) = settlements.split_at(settlements.len() / 2);
                Ok(self.settle_some(left, outcome)? + self.settle_some(right, outcome)?)
            }
        }
    }

    fn settle_by_table(&mut self, settlements: &[Settlement]) -> Result<u64, Error> {
        match self.loads() {
            true => self.load_settlements(settlements)?,
            false => self.insert_settlements(settlements)?,
        }
        let result = self.by_days(settlements, |days, has_room| {
            settle_statement(has_room, days)
        });
        let settled = match result {
            Ok(settled) => settled,
            Err(error) => {
                if fault::blame(&error) != Blame::All {
                    self.connection.query_drop(EMPTY_SETTLED)?;
                }
                return Err(error);
            }
        };
        self.connection.query_drop(EMPTY_SETTLED)?;
        Ok(settled)
    }

    /// Runs a statement; in a partitioned table for the latest days first, and for older ones if rows are
    /// left: to find a row by its id, the server looks into each partition that the statement allows.
    fn by_days(
        &mut self,
        settlements: &[Settlement],
        statement: impl Fn(&str, bool) -> String,
    ) -> Result<u64, Error> {
        let days = match self.is_partitioned {
            true => latest_and_older(settlements).to_vec(),
            false => vec![String::new()],
        };
        let mut settled = 0;
        for days in days {
            let statement = statement(&days, self.has_room);
            self.connection.query_drop(statement)?;
            settled += self.connection.affected_rows();
            if settled >= settlements.len() as u64 {
                break;
            }
        }
        Ok(settled)
    }

    fn settle_by_name(&mut self, settlements: &[Settlement]) -> Result<u64, Error> {
        let id_base = self.id_base;
        self.by_days(settlements, |days, has_room| {
            named(settlements, id_base, has_room) + days
        })
    }

    fn load_settlements(&mut self, settlements: &[Settlement]) -> Result<(), Error> {
        let statement = format!(
            "LOAD DATA LOCAL INFILE 'settlements' IGNORE INTO TABLE flipped_lb_settled {LOAD_FORM} \
             ({SETTLED_COLUMNS})"
        );
        let lines = Lines {
            things: settlements.iter(),
            line: Writer::settlement,
            id_base: self.id_base,
            pace: Pace::Bulk,
        };
        self.loads.run(&mut self.connection, &statement, lines)
    }

    fn insert_settlements(&mut self, settlements: &[Settlement]) -> Result<(), Error> {
        let tuple_len = "(9223372036854775807,'2023-11-14 22:13:20.000001'),".len();
        let len_max = (self.facts.packet_len_max / 2).min(STORE_STATEMENT_LEN_MAX);
        for settlements in settlements.chunks((len_max / tuple_len).max(1)) {
            let head = format!("INSERT IGNORE INTO flipped_lb_settled ({SETTLED_COLUMNS}) VALUES ");
            let mut writer = Writer::new(Form::Tuple, head.into_bytes(), self.id_base);
            settlements.iter().for_each(|it| writer.settlement(it));
            let statement = writer.finish();
            self.connection
                .query_drop(String::from_utf8_lossy(&statement))?;
        }
        Ok(())
    }
}

/// The first settlement counts, in the database as in the journal.
fn settle_statement(has_room: bool, days: &str) -> String {
    format!(
        "UPDATE flipped_lb_settled s STRAIGHT_JOIN messages m ON m.id = s.id \
         SET m.status = 'DELIVERED', m.delivered_at = s.delivered_at{} \
         WHERE m.status = 'INGESTED'{days}",
        if has_room { ", m.room = ''" } else { "" }
    )
}

/// Rows that came on the day of the first settlement, on the day before or later; and those before.
fn latest_and_older(settlements: &[Settlement]) -> [String; 2] {
    let first_us = settlements.iter().map(|it| it.settled_us).min();
    let day = day_of(first_us.unwrap_or(0).saturating_sub(DAY_US));
    [">=", "<"].map(|than| format!(" AND created_at {than} '{day}'"))
}

/// One UPDATE that names each row. Of several settlements of a message the first one counts, as it
/// does in CASE.
fn named(settlements: &[Settlement], id_base: u64, has_room: bool) -> String {
    let mut text = TextTime::new();
    let mut cases = String::new();
    let mut ids = Vec::new();
    for settlement in settlements {
        let id = id_base + settlement.sequence;
        let moment = text.format(settlement.settled_us);
        let _ = write!(
            cases,
            " WHEN {id} THEN '{}'",
            String::from_utf8_lossy(moment)
        );
        ids.push(id.to_string());
    }
    format!(
        "UPDATE messages SET status = 'DELIVERED', delivered_at = CASE id{cases} END{} \
         WHERE id IN ({}) AND status = 'INGESTED'",
        if has_room { ", room = ''" } else { "" },
        ids.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_each_row_and_stays_within_its_length() {
        let settlements: Vec<_> = (1..=STORE_UPDATES_NAMED as u64)
            .map(|sequence| Settlement {
                sequence,
                settled_us: 1_700_000_000_000_000 + sequence,
            })
            .collect();
        assert_eq!(
            named(&settlements[..2], 100, true),
            "UPDATE messages SET status = 'DELIVERED', delivered_at = CASE id \
             WHEN 101 THEN '2023-11-14 22:13:20.000001' \
             WHEN 102 THEN '2023-11-14 22:13:20.000002' END, room = '' \
             WHERE id IN (101,102) AND status = 'INGESTED'"
        );
        let most = named(&settlements, (1 << 62) - 1, true).len();
        assert!(most <= settlements.len() * NAMED_LEN + 200, "{most}");
    }

    #[test]
    fn the_latest_days_are_looked_at_first() {
        let at = |settled_us| Settlement {
            sequence: 1,
            settled_us,
        };
        // 2023-11-14 22:13:20, and a week later.
        let settlements = [at(1_700_604_800_000_000), at(1_700_000_000_000_000)];
        assert_eq!(
            latest_and_older(&settlements),
            [
                " AND created_at >= '2023-11-13'",
                " AND created_at < '2023-11-13'"
            ]
        );
    }
}
