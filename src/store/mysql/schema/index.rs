//! The keys of `messages` at a server, compared with what the engine needs.

use mysql::prelude::Queryable;
use mysql::{Conn, Error};

use super::clause::Clause;
use crate::store::mysql::partitions::Days;

const INDEXES: [(&str, &str); 3] = [
    ("destinationId", "messages_destination"),
    ("priority", "messages_priority"),
    ("timestamp", "messages_timestamp"),
];

/// Of a partitioned table: whether a day may be dropped.
const DELIVERED_INDEX: (&str, &str) = ("delivered_at", "messages_delivered_at");

/// A key: its name, whether it is unique, and its first column.
type Key = (String, bool, String, u64);

pub(super) fn index_problems(connection: &mut Conn, database: &str) -> Result<Vec<Clause>, Error> {
    let query = "SELECT index_name, MIN(non_unique) = 0, \
                 MAX(CASE WHEN seq_in_index = 1 THEN column_name END), COUNT(*) \
                 FROM information_schema.statistics \
                 WHERE table_schema = ? AND table_name = 'messages' GROUP BY index_name";
    let keys: Vec<Key> = connection.exec(query, (database,))?;
    let mut clauses = Vec::new();
    let primary = keys.iter().find(|it| it.0 == "PRIMARY");
    // A partitioned table's has the column by which rows are divided besides.
    let is_partitioned = Days::of(connection, Some(database))?.is_partitioned();
    let columns = 1 + u64::from(is_partitioned);
    let is_right =
        |(_, _, first, count): &Key| first.eq_ignore_ascii_case("id") && *count == columns;
    if !primary.is_some_and(is_right) {
        let drop = if primary.is_some() {
            "DROP PRIMARY KEY, "
        } else {
            ""
        };
        clauses.push(Clause {
            what: "the primary key of messages should be id".to_owned(),
            sql: format!("{drop}ADD PRIMARY KEY (id)"),
        });
    }
    for (name, ..) in keys.iter().filter(|it| it.1 && it.0 != "PRIMARY") {
        clauses.push(Clause {
            what: format!(
                "index messages.{name} is unique, and a messageId may come again once the dedup \
                 window has forgotten it"
            ),
            sql: format!("DROP INDEX `{name}`"),
        });
    }
    let of_days = is_partitioned.then_some(DELIVERED_INDEX);
    for (column, name) in INDEXES.into_iter().chain(of_days) {
        let serves = |it: &&Key| it.2.eq_ignore_ascii_case(column) && !(it.1 && it.0 != "PRIMARY");
        if keys.iter().find(serves).is_none() {
            clauses.push(Clause {
                what: format!("column messages.{column} has no index"),
                sql: format!("ADD INDEX {name} (`{column}`)"),
            });
        }
    }
    Ok(clauses)
}
