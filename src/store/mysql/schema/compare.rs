//! Tables as they are at a server, compared with what the engine needs, column by column.

use mysql::prelude::Queryable;
use mysql::{Conn, Error, Row};

use super::clause::Clause;
use super::files::{create_table, definition, wanted};
use super::index::index_problems;
use crate::store::schema::{MESSAGE_COLUMNS, Problem};

pub(super) const TABLES: [&str; 2] = ["messages", "store_position"];

pub(super) const POSITION_COLUMNS: [&str; 4] = ["node", "id_base", "position", "updated_at"];

/// The columns of `store_position` that a group needs besides.
pub(super) const TERM_COLUMNS: [&str; 2] = ["epoch", "term"];

/// A column as it is.
#[derive(Debug, Default)]
pub(super) struct Column {
    pub(super) name: String,
    data_type: String,
    column_type: String,
    is_nullable: bool,
    has_default: bool,
    is_generated: bool,
    characters: Option<u64>,
    collation: Option<String>,
    precision: Option<u64>,
}

pub(super) fn has_table(connection: &mut Conn, database: &str, table: &str) -> Result<bool, Error> {
    let query = "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?";
    let found: Option<u8> = connection.exec_first(query, (database, table))?;
    Ok(found.is_some())
}

/// All that is wrong in a database that exists, for a group or an engine of its own.
pub(in crate::store::mysql) fn problems(
    connection: &mut Conn,
    database: &str,
    has_term: bool,
) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    for table in TABLES {
        if !has_table(connection, database, table)? {
            problems.push(Problem::no_table(table, create_table(table)));
            continue;
        }
        let clauses = table_problems(connection, database, table, has_term)?;
        problems.extend(clauses.into_iter().map(|it| it.into_problem(table)));
    }
    Ok(problems)
}

pub(super) fn table_problems(
    connection: &mut Conn,
    database: &str,
    table: &str,
    has_term: bool,
) -> Result<Vec<Clause>, Error> {
    let columns = columns(connection, database, table)?;
    let (wanted, of_term) = match table {
        "messages" => (&MESSAGE_COLUMNS[..], &[][..]),
        _ => (&POSITION_COLUMNS[..], &TERM_COLUMNS[..]),
    };
    let needed = wanted.iter().chain(of_term.iter().filter(|_| has_term));
    let mut clauses: Vec<_> = needed
        .filter_map(|name| column_problem(table, name, &columns))
        .collect();
    let strangers = columns.iter().filter(|it| {
        let is_it = |name: &&str| it.name.eq_ignore_ascii_case(name);
        !wanted.iter().chain(of_term).any(is_it)
    });
    clauses.extend(strangers.filter_map(|it| stranger_problem(table, it)));
    if table == "messages" {
        clauses.extend(index_problems(connection, database)?);
    }
    let query = "SELECT engine FROM information_schema.tables \
                 WHERE table_schema = ? AND table_name = ?";
    let engine: Option<Option<String>> = connection.exec_first(query, (database, table))?;
    let engine = engine.flatten().unwrap_or_default();
    if !engine.eq_ignore_ascii_case("InnoDB") {
        clauses.push(Clause {
            what: format!("table {table} is kept by {engine}, which has no transactions"),
            sql: "ENGINE = InnoDB".to_owned(),
        });
    }
    Ok(clauses)
}

pub(super) fn columns(
    connection: &mut Conn,
    database: &str,
    table: &str,
) -> Result<Vec<Column>, Error> {
    let query = "SELECT column_name, data_type, column_type, is_nullable, \
                 column_default IS NOT NULL, extra, character_maximum_length, collation_name, \
                 datetime_precision FROM information_schema.columns \
                 WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position";
    let rows: Vec<Row> = connection.exec(query, (database, table))?;
    Ok(rows.iter().map(column).collect())
}

fn column(row: &Row) -> Column {
    let text = |at: usize| {
        row.get::<Option<String>, _>(at)
            .flatten()
            .unwrap_or_default()
    };
    let number = |at: usize| row.get::<Option<u64>, _>(at).flatten();
    let extra = text(5).to_lowercase();
    Column {
        name: text(0),
        data_type: text(1).to_lowercase(),
        column_type: text(2),
        is_nullable: text(3).eq_ignore_ascii_case("YES"),
        has_default: number(4) == Some(1),
        is_generated: extra.contains("generated") || extra.contains("auto_increment"),
        characters: number(6),
        collation: row.get::<Option<String>, _>(7).flatten(),
        precision: number(8),
    }
}

fn column_problem(table: &str, name: &str, columns: &[Column]) -> Option<Clause> {
    let found = columns.iter().find(|it| it.name.eq_ignore_ascii_case(name));
    let (definition, ty) = (definition(name), wanted(name));
    match found {
        Some(found) if fits(name, found) => None,
        Some(found) => Some(Clause {
            what: format!(
                "column {table}.{name} is {}, and should be {ty}",
                described(found)
            ),
            sql: format!("MODIFY {definition}"),
        }),
        None => Some(Clause {
            what: format!("column {table}.{name} is not there, and should be {ty}"),
            sql: format!("ADD COLUMN {definition}"),
        }),
    }
}

fn described(column: &Column) -> String {
    let null = if column.is_nullable {
        "NULL"
    } else {
        "NOT NULL"
    };
    match &column.collation {
        Some(collation) => format!("{} COLLATE {collation} {null}", column.column_type),
        None => format!("{} {null}", column.column_type),
    }
}

/// Whether every value that the engine writes there arrives whole and is compared as it is.
fn fits(name: &str, found: &Column) -> bool {
    let is = |types: &[&str]| types.contains(&found.data_type.as_str());
    let holds = |count| found.characters.is_some_and(|it| it >= count);
    let collation = found.collation.as_deref().unwrap_or_default();
    let utf8 = collation.starts_with("utf8mb4_");
    let exact = utf8 && collation.ends_with("bin");
    match name {
        "id" => is(&["bigint"]) && !found.is_nullable && !found.is_generated,
        "messageId" => exact && holds(255),
        "sourceServerId" | "destinationId" | "messageType" => exact && holds(50),
        "priority" => is(&["tinyint", "smallint", "mediumint", "int", "bigint"]),
        "timestamp" => is(&["bigint"]),
        "payload" => {
            let is_text = is(&["mediumtext", "longtext"]) && utf8;
            (is_text || is(&["json"])) && found.is_nullable
        }
        // In another format than the file's, a settled row is written anew: slower, and right.
        "status" => (utf8 || collation.starts_with("ascii_")) && holds(9),
        "created_at" => is(&["datetime"]) && found.precision == Some(6) && !found.is_generated,
        "delivered_at" => is(&["datetime"]) && found.precision == Some(6) && found.is_nullable,
        "sequence" => is(&["bigint"]) && found.is_nullable,
        "id_base" | "position" => is(&["bigint"]),
        "epoch" | "term" => is(&["bigint"]) && found.column_type.contains("unsigned"),
        "node" => exact && holds(64),
        // Its value is compared with the one that was written.
        "updated_at" => is(&["datetime"]) && found.precision == Some(6),
        _ => true,
    }
}

/// A column that the engine does not know must do without a value.
fn stranger_problem(table: &str, column: &Column) -> Option<Clause> {
    let is_optional = column.is_nullable || column.has_default || column.is_generated;
    (!is_optional).then(|| Clause {
        what: format!(
            "column {table}.{} is not the engine's, and rows need a value for it",
            column.name
        ),
        sql: format!("MODIFY `{}` {} NULL", column.name, column.column_type),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_would_cut_or_confuse_values_does_not_fit() {
        let text = |characters, collation: &str| Column {
            data_type: "varchar".to_owned(),
            characters: Some(characters),
            collation: Some(collation.to_owned()),
            ..Column::default()
        };
        assert!(fits("messageId", &text(255, "utf8mb4_bin")));
        assert!(!fits("messageId", &text(254, "utf8mb4_bin")));
        assert!(!fits("messageId", &text(255, "utf8mb4_general_ci")));
        assert!(!fits("messageId", &text(255, "latin1_bin")));
        let id = |data_type: &str| Column {
            data_type: data_type.to_owned(),
            ..Column::default()
        };
        assert!(fits("id", &id("bigint")));
        assert!(!fits("id", &id("int")));
    }
}
