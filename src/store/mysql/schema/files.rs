//! The numbered files of `schema/mysql`, and what their lines say of tables and columns.

use crate::store::schema::Migration;

pub(super) const MIGRATIONS: [Migration; 2] = [
    (
        1,
        include_str!("../../../../schema/mysql/0001_messages.sql"),
    ),
    (
        TERM_VERSION,
        include_str!("../../../../schema/mysql/0002_term.sql"),
    ),
];

/// What adds the term, which only a group needs.
pub(super) const TERM_VERSION: i64 = 2;

/// The statement that adds the term to a new table.
pub(super) fn add_term() -> &'static str {
    statements(MIGRATIONS[1].1).next().unwrap_or_default()
}

/// The version that this engine makes.
pub(crate) fn known() -> i64 {
    MIGRATIONS.last().map_or(0, |it| it.0)
}

/// The statements of a file: each ends with a semicolon at the end of its line.
fn statements(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(";\n").map(str::trim).filter(|it| !it.is_empty())
}

/// The statement of `schema/mysql` that makes a table.
pub(super) fn create_table(table: &str) -> &'static str {
    let (_, sql) = MIGRATIONS[0];
    let begin = format!("CREATE TABLE IF NOT EXISTS {table} ");
    let mut creates = statements(sql).filter(|it| it.contains(&begin));
    creates.next().unwrap_or_default()
}

/// What `schema/mysql` says of a column.
pub(super) fn definition(name: &str) -> &'static str {
    let lines = MIGRATIONS.iter().flat_map(|it| it.1.lines()).map(str::trim);
    let lines = lines.map(|it| it.strip_prefix("ADD COLUMN ").unwrap_or(it));
    let mut named = lines.filter(|it| it.replace('`', "").starts_with(&format!("{name} ")));
    named
        .next()
        .unwrap_or_default()
        .trim_end_matches([',', ';'])
}

/// A column's definition without its name and comment.
pub(super) fn wanted(name: &str) -> String {
    let definition = definition(name);
    let ty = definition.split(" COMMENT ").next().unwrap_or_default();
    let ty: Vec<_> = ty.split_whitespace().skip(1).collect();
    ty.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::compare::{POSITION_COLUMNS, TERM_COLUMNS};
    use super::*;
    use crate::store::schema::MESSAGE_COLUMNS;

    #[test]
    fn every_column_has_its_line_in_the_file() {
        for name in MESSAGE_COLUMNS
            .into_iter()
            .chain(POSITION_COLUMNS)
            .chain(TERM_COLUMNS)
            .chain(["room"])
        {
            assert!(definition(name).contains(" COMMENT '"), "{name}");
        }
        assert_eq!(wanted("id"), "BIGINT NOT NULL");
        assert_eq!(wanted("delivered_at"), "DATETIME(6) NULL");
        assert_eq!(wanted("timestamp"), "BIGINT NOT NULL");
        assert_eq!(wanted("term"), "BIGINT UNSIGNED NOT NULL DEFAULT 0");
    }

    #[test]
    fn a_file_is_split_into_its_statements() {
        let (_, sql) = MIGRATIONS[0];
        let statements: Vec<_> = statements(sql).collect();
        assert_eq!(statements.len(), 2);
        assert!(
            statements
                .iter()
                .all(|it| it.contains("CREATE TABLE IF NOT EXISTS"))
        );
    }
}
