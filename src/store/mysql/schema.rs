//! The schema at a server: made, compared, mended.
//!
//! What a column should be is defined in `schema/mysql` only: the statement that mends a column is made
//! from its line there.

mod clause;
mod compare;
mod files;
mod index;

use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Error};

use super::connection::{Access, Refusal};
use super::fault;
use super::partitions::{self, Days, partition_statement};
use crate::store::StoreError;
use crate::store::schema::{self, Problem, Schema};
use clause::Clause;
use compare::{TABLES, TERM_COLUMNS, columns, has_table, table_problems};
use files::{MIGRATIONS, TERM_VERSION, add_term, create_table, definition};

pub(super) use compare::problems;
pub(crate) use files::known;

const CREATE_VERSIONS: &str = "CREATE TABLE IF NOT EXISTS schema_version (
    version    INT         NOT NULL PRIMARY KEY COMMENT 'number of the file in schema/mysql',
    applied_at DATETIME(6) NOT NULL COMMENT 'UTC'
) ENGINE = InnoDB";

/// Serializes schema changes on this server.
const LOCK: &str = "SELECT GET_LOCK('flipped_lb_schema', 10)";

/// A table that is partitioned is written anew: some 100,000 rows a second.
const REBUILD_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The schema of a database at a server.
#[derive(Debug)]
pub(crate) struct MySqlSchema {
    access: Access,
    /// A group shares the database.
    has_term: bool,
}

impl MySqlSchema {
    /// Of the database there.
    #[must_use]
    pub(crate) fn new(access: Access) -> Self {
        Self {
            access,
            has_term: false,
        }
    }

    /// The same, shared by a group: that needs to know whose term it is.
    #[must_use]
    pub(crate) fn shared_by_group(mut self, is_shared: bool) -> Self {
        self.has_term = is_shared;
        self
    }

    fn explain(&self, refusal: Refusal) -> StoreError {
        let place = self.access.place();
        StoreError::Transient(match refusal {
            Refusal::Password(words) => words,
            Refusal::Server(error) => {
                let grants = self.access.schema_grants();
                format!("{place}: {}", self.access.words(&error, &grants))
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
                if table == "store_position" {
                    connection.query_drop(add_term())?;
                }
                done.push(format!("made the table {table}"));
            }
        }
        note_versions(&mut connection, database, done)?;
        Ok(connection)
    }

    fn try_apply(&self) -> Result<Vec<String>, Refusal> {
        let mut done = Vec::new();
        let mut connection = self.try_make(&mut done)?;
        let database = self.access.database();
        for table in TABLES {
            let problems = table_problems(&mut connection, database, table, true)?;
            if !problems.is_empty() {
                // One statement, so that the table is rebuilt once, and wholly or not at all.
                let clauses: Vec<_> = problems.iter().map(Clause::sql).collect();
                connection.query_drop(format!("ALTER TABLE {table} {}", clauses.join(", ")))?;
                done.extend(problems.iter().map(|it| format!("mended {}", it.what)));
            }
        }
        note_versions(&mut connection, database, &mut done)?;
        Ok(done)
    }

    fn try_partition(&self) -> Result<Vec<String>, Refusal> {
        let mut connection = self.access.clone().patient(REBUILD_TIMEOUT).connect(true)?;
        connection.query_drop(LOCK)?;
        if Days::of(&mut connection, None)?.is_partitioned() {
            return Ok(Vec::new());
        }
        let first = "SELECT CAST(DATE(created_at) AS CHAR) FROM messages ORDER BY id LIMIT 1";
        let first: Option<String> = connection.query_first(first)?;
        let today = partitions::today(&mut connection)?;
        let first = first.and_then(|it| it.parse().ok()).unwrap_or(today);
        connection.query_drop(partition_statement(first, today))?;
        Ok(vec![format!(
            "partitioned messages by day, from {first} on"
        )])
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
        Ok(vec![Problem::new(
            format!(
                "table messages has ROW_FORMAT = {format}: an index on messageId fails there (error \
                 1709); this rebuilds the table in a format that takes it"
            ),
            format!("ALTER TABLE messages {add_room}ROW_FORMAT = DYNAMIC"),
        )])
    }

    fn try_check(&self) -> Result<Vec<Problem>, Refusal> {
        let mut connection = self.access.connect(false)?;
        let database = self.access.database();
        if !has_database(&mut connection, database)? {
            return Ok(vec![Problem::new(
                format!("there is no database {database}"),
                format!("CREATE DATABASE `{database}` CHARACTER SET utf8mb4"),
            )]);
        }
        let mut problems = problems(&mut connection, database, self.has_term)?;
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
        let grants = self.access.store_grants();
        let mut problems = Vec::new();
        for (table, column) in [("messages", "id"), ("store_position", "node")] {
            let removes = self.access.removes() && table == "messages";
            let delete = ("DELETE", "DELETE FROM messages WHERE 1 = 0".to_owned());
            let needed = [
                ("SELECT", format!("SELECT {column} FROM {table} LIMIT 0")),
                (
                    "INSERT",
                    format!("INSERT INTO {table} ({column}) SELECT 1 FROM DUAL WHERE 1 = 0"),
                ),
                (
                    "UPDATE",
                    format!("UPDATE {table} SET {column} = 1 WHERE 1 = 0"),
                ),
            ];
            for (verb, statement) in needed.into_iter().chain(removes.then_some(delete)) {
                match connection.query_drop(statement) {
                    Err(error) if fault::is_not_granted(&error) => problems.push(Problem::new(
                        format!("the account may not {verb}: {}", fault::words(&error)),
                        format!("GRANT {grants} ON `{database}`.* TO {account}"),
                    )),
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

    fn partition_by_day(&self) -> Result<Vec<String>, StoreError> {
        self.try_partition().map_err(|it| self.explain(it))
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

fn has_database(connection: &mut Conn, name: &str) -> Result<bool, Error> {
    let query = "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?";
    let found: Option<u8> = connection.exec_first(query, (name,))?;
    Ok(found.is_some())
}

/// Notes the files whose tables and columns are there.
fn note_versions(
    connection: &mut Conn,
    database: &str,
    done: &mut Vec<String>,
) -> Result<(), Error> {
    let present = version(connection, database)?.unwrap_or(0);
    let columns = columns(connection, database, "store_position")?;
    let has_term = columns.iter().any(|it| it.name == TERM_COLUMNS[0]);
    for (version, _) in MIGRATIONS.iter().filter(|it| it.0 > present) {
        // An older table has no term, and only a group needs one.
        if *version != TERM_VERSION || has_term {
            let note = "INSERT IGNORE INTO schema_version VALUES (?, UTC_TIMESTAMP(6))";
            connection.exec_drop(note, (version,))?;
            done.push(format!("applied schema/mysql/{version:04}"));
        }
    }
    Ok(())
}

/// The version that was applied last; `None`: none was.
fn version(connection: &mut Conn, database: &str) -> Result<Option<i64>, Error> {
    if !has_table(connection, database, "schema_version")? {
        return Ok(None);
    }
    let query = format!("SELECT MAX(version) FROM `{database}`.schema_version");
    Ok(connection.query_first::<Option<i64>, _>(query)?.flatten())
}
