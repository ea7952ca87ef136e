//! The schema at a server: made, compared, mended.
//!
//! What a column should be stands in `schema/mysql` alone: the statement that mends a column is made
//! of its line there.

use mysql::prelude::Queryable;
use mysql::{Conn, Error, Row};

use super::connection::{Access, Refusal, SCHEMA_GRANTS, STORE_GRANTS};
use super::fault;
use crate::store::StoreError;
use crate::store::schema::{self, Migration, Problem, Schema};

/// The numbered files.
const MIGRATIONS: [Migration; 1] = [(1, include_str!("../../../schema/mysql/0001_messages.sql"))];

const CREATE_VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_version (
    version    INT         NOT NULL PRIMARY KEY COMMENT 'number of the file in schema/mysql',
    applied_at DATETIME(6) NOT NULL COMMENT 'UTC'
) ENGINE = InnoDB";

const TABLES: [&str; 2] = ["messages", "store_position"];

const POSITION_COLUMNS: [&str; 4] = ["node", "id_base", "position", "updated_at"];

const COLUMNS: [&str; 12] = [
    "id",
    "messageId",
    "sourceServerId",
    "destinationId",
    "messageType",
    "priority",
    "timestamp",
    "payload",
    "status",
    "created_at",
    "sequence",
    "delivered_at",
];

const INDEXES: [(&str, &str); 3] = [
    ("destinationId", "messages_destination"),
    ("priority", "messages_priority"),
    ("timestamp", "messages_timestamp"),
];

/// Nobody else applies a schema to this server meanwhile.
const LOCK: &str = "SELECT GET_LOCK('flipped_lb_schema', 10)";

/// The schema of a database at a server.
#[derive(Debug)]
pub struct MySqlSchema {
    access: Access,
}

/// A column as it is.
#[derive(Debug, Default)]
struct Column {
    name: String,
    data_type: String,
    column_type: String,
    is_nullable: bool,
    has_default: bool,
    is_generated: bool,
    characters: Option<u64>,
    collation: Option<String>,
    precision: Option<u64>,
}

impl MySqlSchema {
    /// Of the database there.
    #[must_use]
    pub fn new(access: Access) -> Self {
        Self { access }
    }

    fn explain(&self, refusal: Refusal) -> StoreError {
        let place = self.access.place();
        StoreError::Transient(match refusal {
            Refusal::Password(words) => words,
            Refusal::Server(error) => {
                format!("{place}: {}", self.access.words(&error, SCHEMA_GRANTS))
            }
        })
    }

    /// Makes database and tables where they are not there; those that are there stay as they are.
    pub(super) fn make(&self) -> Result<Vec<String>, StoreError> {
        let mut done = Vec::new();
        let made = self.try_make(&mut done).map(drop);
        made.map_err(|it| self.explain(it))?;
        Ok(done)
    }

    fn try_make(&self, done: &mut Vec<String>) -> Result<Conn, Refusal> {
        let mut connection = self.access.connect(false)?;
        let database = self.access.database();
        // CREATE DATABASE needs a grant that a user of an existing one may lack.
        if !has_database(&mut connection, database)? {
            let create = format!("CREATE DATABASE `{database}` CHARACTER SET utf8mb4");
            connection.query_drop(create)?;
            done.push(format!("made the database {database}"));
        }
        let mut connection = self.access.connect(true)?;
        connection.query_drop(LOCK)?;
        // CREATE needs a grant even where it finds the table there.
        if !has_table(&mut connection, database, "schema_version")? {
            connection.query_drop(CREATE_VERSIONS)?;
        }
        for table in TABLES {
            // Also where the files were applied: a table may have been dropped or renamed since.
            if !has_table(&mut connection, database, table)? {
                connection.query_drop(create_table(table))?;
                done.push(format!("made the table {table}"));
            }
        }
        let present = version(&mut connection, database)?.unwrap_or(0);
        for (version, _) in MIGRATIONS.iter().filter(|it| it.0 > present) {
            let note = "INSERT IGNORE INTO schema_version VALUES (?, UTC_TIMESTAMP(6))";
            connection.exec_drop(note, (version,))?;
            done.push(format!("applied schema/mysql/{version:04}"));
        }
        Ok(connection)
    }

    fn try_apply(&self) -> Result<Vec<String>, Refusal> {
        let mut done = Vec::new();
        let mut connection = self.try_make(&mut done)?;
        let database = self.access.database();
        for table in TABLES {
            let problems = table_problems(&mut connection, database, table)?;
            if !problems.is_empty() {
                // One statement, so that the table is rebuilt once, and wholly or not at all.
                let clauses: Vec<_> = problems.iter().map(Clause::sql).collect();
                connection.query_drop(format!("ALTER TABLE {table} {}", clauses.join(", ")))?;
                done.extend(problems.iter().map(|it| format!("mended {}", it.what)));
            }
        }
        Ok(done)
    }

    fn try_notes(&self) -> Result<Vec<Problem>, Refusal> {
        let mut connection = self.access.connect(true)?;
        let query = "SELECT row_format FROM information_schema.tables \
                     WHERE table_schema = DATABASE() AND table_name = 'messages'";
        let format: Option<Option<String>> = connection.query_first(query)?;
        let format = format.flatten().unwrap_or_default();
        let has_long_keys = ["Dynamic", "Compressed"].map(|it| format.eq_ignore_ascii_case(it));
        if format.is_empty() || has_long_keys.contains(&true) {
            return Ok(Vec::new());
        }
        let columns = columns(&mut connection, self.access.database(), "messages")?;
        let add_room = match columns.iter().any(|it| it.name == "room") {
            true => String::new(),
            false => format!("ADD COLUMN {}, ", definition("room")),
        };
        Ok(vec![Problem {
            what: format!(
                "table messages has ROW_FORMAT = {format}: an index on messageId fails there (error \
                 1709); this rebuilds the table in a format that takes it"
            ),
            mend: format!("ALTER TABLE messages {add_room}ROW_FORMAT = DYNAMIC"),
        }])
    }

    fn try_check(&self) -> Result<Vec<Problem>, Refusal> {
        let mut connection = self.access.connect(false)?;
        let database = self.access.database();
        if !has_database(&mut connection, database)? {
            return Ok(vec![Problem {
                what: format!("there is no database {database}"),
                mend: format!("CREATE DATABASE `{database}` CHARACTER SET utf8mb4"),
            }]);
        }
        let mut problems = problems(&mut connection, database)?;
        if problems.is_empty() {
            problems.extend(self.grant_problems()?);
        }
        Ok(problems)
    }

    /// What the account may not do to the tables, found by statements that touch no row.
    fn grant_problems(&self) -> Result<Vec<Problem>, Refusal> {
        let mut connection = self.access.connect(true)?;
        let account: Option<String> = connection.query_first("SELECT CURRENT_USER()")?;
        let account = account_words(&account.unwrap_or_default());
        let database = self.access.database();
        let mut problems = Vec::new();
        for (table, column) in [("messages", "id"), ("store_position", "node")] {
            for (verb, statement) in [
                ("SELECT", format!("SELECT {column} FROM {table} LIMIT 0")),
                (
                    "INSERT",
                    format!("INSERT INTO {table} ({column}) SELECT 1 FROM DUAL WHERE 1 = 0"),
                ),
                (
                    "UPDATE",
                    format!("UPDATE {table} SET {column} = 1 WHERE 1 = 0"),
                ),
            ] {
                match connection.query_drop(statement) {
                    Err(error) if fault::is_not_granted(&error) => problems.push(Problem {
                        what: format!("the account may not {verb}: {}", fault::words(&error)),
                        mend: format!("GRANT {STORE_GRANTS} ON `{database}`.* TO {account}"),
                    }),
                    // What else there is, the store will say when it writes.
                    Ok(()) | Err(_) => {}
                }
            }
        }
        Ok(problems)
    }

    fn refuse_newer(&self) -> Result<(), StoreError> {
        let mut connection = self.access.connect(false).map_err(|it| self.explain(it))?;
        let present = version(&mut connection, self.access.database())
            .map_err(|it| self.explain(it.into()))?;
        match present {
            Some(present) if present > known() => {
                Err(schema::too_new(&self.access.place(), present, known()))
            }
            _ => Ok(()),
        }
    }
}

impl Schema for MySqlSchema {
    fn show(&self) -> String {
        schema::text(&MIGRATIONS)
    }

    fn check(&self) -> Result<Vec<Problem>, StoreError> {
        self.refuse_newer()?;
        self.try_check().map_err(|it| self.explain(it))
    }

    fn notes(&self) -> Result<Vec<Problem>, StoreError> {
        self.try_notes().map_err(|it| self.explain(it))
    }

    fn apply(&self) -> Result<Vec<String>, StoreError> {
        self.refuse_newer()?;
        self.try_apply().map_err(|it| self.explain(it))
    }

    fn place(&self) -> String {
        self.access.place()
    }
}

/// `user@host` as statements take it.
fn account_words(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    format!("'{user}'@'{host}'")
}

fn known() -> i64 {
    MIGRATIONS.last().map_or(0, |it| it.0)
}

/// The statements of a file: each ends with a semicolon at the end of its line.
fn statements(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(";\n").map(str::trim).filter(|it| !it.is_empty())
}

fn has_database(connection: &mut Conn, name: &str) -> Result<bool, Error> {
    let query = "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?";
    let found: Option<u8> = connection.exec_first(query, (name,))?;
    Ok(found.is_some())
}

fn has_table(connection: &mut Conn, database: &str, table: &str) -> Result<bool, Error> {
    let query = "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?";
    let found: Option<u8> = connection.exec_first(query, (database, table))?;
    Ok(found.is_some())
}

/// The version that was applied last; `None`: none was.
fn version(connection: &mut Conn, database: &str) -> Result<Option<i64>, Error> {
    if !has_table(connection, database, "schema_version")? {
        return Ok(None);
    }
    let query = format!("SELECT MAX(version) FROM `{database}`.schema_version");
    Ok(connection.query_first::<Option<i64>, _>(query)?.flatten())
}

/// The statement of `schema/mysql` that makes a table.
fn create_table(table: &str) -> &'static str {
    let (_, sql) = MIGRATIONS[0];
    let begin = format!("CREATE TABLE IF NOT EXISTS {table} ");
    let mut creates = statements(sql).filter(|it| it.contains(&begin));
    creates.next().unwrap_or_default()
}

/// All that is wrong in a database that exists.
pub(super) fn problems(connection: &mut Conn, database: &str) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    for table in TABLES {
        if !has_table(connection, database, table)? {
            problems.push(schema::no_table(table, create_table(table).to_owned()));
            continue;
        }
        let clauses = table_problems(connection, database, table)?;
        problems.extend(clauses.into_iter().map(|it| it.into_problem(table)));
    }
    Ok(problems)
}

/// What is wrong with a table, and the part of an ALTER TABLE that mends it.
#[derive(Debug)]
struct Clause {
    what: String,
    sql: String,
}

impl Clause {
    fn sql(&self) -> &str {
        &self.sql
    }

    fn into_problem(self, table: &str) -> Problem {
        Problem {
            mend: format!("ALTER TABLE {table} {}", self.sql),
            what: self.what,
        }
    }
}

fn table_problems(
    connection: &mut Conn,
    database: &str,
    table: &str,
) -> Result<Vec<Clause>, Error> {
    let columns = columns(connection, database, table)?;
    let wanted = match table {
        "messages" => &COLUMNS[..],
        _ => &POSITION_COLUMNS[..],
    };
    let mut clauses: Vec<_> = wanted
        .iter()
        .filter_map(|name| column_problem(table, name, &columns))
        .collect();
    let strangers = columns.iter().filter(|it| {
        let is_it = |name: &&str| it.name.eq_ignore_ascii_case(name);
        !wanted.iter().any(is_it)
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

fn columns(connection: &mut Conn, database: &str, table: &str) -> Result<Vec<Column>, Error> {
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

/// What `schema/mysql` says of a column.
fn definition(name: &str) -> &'static str {
    let (_, sql) = MIGRATIONS[0];
    let lines = sql.lines().map(str::trim);
    let mut named = lines.filter(|it| it.replace('`', "").starts_with(&format!("{name} ")));
    named.next().unwrap_or_default().trim_end_matches(',')
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

/// A column's definition without its name and comment.
fn wanted(name: &str) -> String {
    let definition = definition(name);
    let ty = definition.split(" COMMENT ").next().unwrap_or_default();
    let ty: Vec<_> = ty.split_whitespace().skip(1).collect();
    ty.join(" ")
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

/// A key: its name, whether it is unique, and its first column.
type Key = (String, bool, String, u64);

fn index_problems(connection: &mut Conn, database: &str) -> Result<Vec<Clause>, Error> {
    let query = "SELECT index_name, MIN(non_unique) = 0, \
                 MAX(CASE WHEN seq_in_index = 1 THEN column_name END), COUNT(*) \
                 FROM information_schema.statistics \
                 WHERE table_schema = ? AND table_name = 'messages' GROUP BY index_name";
    let keys: Vec<Key> = connection.exec(query, (database,))?;
    let mut clauses = Vec::new();
    let primary = keys.iter().find(|it| it.0 == "PRIMARY");
    if !primary.is_some_and(|(_, _, first, count)| first.eq_ignore_ascii_case("id") && *count == 1)
    {
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
    for (column, name) in INDEXES {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_its_line_in_the_file() {
        for name in COLUMNS.into_iter().chain(POSITION_COLUMNS).chain(["room"]) {
            assert!(definition(name).contains(" COMMENT '"), "{name}");
        }
        assert_eq!(wanted("id"), "BIGINT NOT NULL");
        assert_eq!(wanted("delivered_at"), "DATETIME(6) NULL");
        assert_eq!(wanted("timestamp"), "BIGINT NOT NULL");
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
