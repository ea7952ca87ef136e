//! A connection to the server: how it is dialled, and what is asked at its begin.
//!
//! Made by [`super::MySqlStore`] and by the `schema` command from the settings. The password is
//! looked up anew each time, so that a changed one is taken without a restart; it goes into the
//! driver's options and nowhere else.

use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, Error, Opts, OptsBuilder, SslOpts};

use super::fault;
use crate::config::{self, Server, SslMode};
use crate::setting_file;

/// The variable with the password.
pub(crate) const PASSWORD_VARIABLE: &str = "FLIPPED_LB_STORE_PASSWORD";

/// What the store needs.
const STORE_GRANTS: &str = "SELECT, INSERT, UPDATE";
/// What `[store] keep` needs besides.
const KEEP_GRANTS: &str = ", DELETE";
/// What making and mending the tables needs besides.
const SCHEMA_GRANTS: &str = ", CREATE, ALTER, INDEX";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that says nothing for so long is given up; longer than any lock is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// So long a lock is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// In a group it is waited for until the server has ended the session of a stopped member, and no longer than
/// this: an answer takes `ANSWER_TIMEOUT` at most.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(25);
/// Bytes of a packet that is held to be possible where the server says nothing.
const PACKET_LEN_MIN: usize = 1024;

/// Whatever the server or its `init_connect` says. Strict, so that no value is cut silently;
/// backslashes escape; moments are UTC.
const SESSION: [&str; 5] = [
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00'",
    "SET SESSION autocommit = 1, completion_type = 'NO_CHAIN', sql_safe_updates = 0",
    "SET SESSION sql_big_selects = 1, sql_select_limit = DEFAULT",
    "SET SESSION TRANSACTION READ WRITE",
];

/// Rows wait for the thread: a lock is given up soon, and the piece is tried again some time later.
pub(super) const LOCKS_SHORT: &str =
    "SET SESSION lock_wait_timeout = 1, innodb_lock_wait_timeout = 1";

/// Locks are given up long before the answer is; `lock_wait_timeout` is of tables, the other one of rows.
pub(super) const LOCKS_USUAL: &str = "SET SESSION lock_wait_timeout = @flipped_lb_lock_wait, \
                                      innodb_lock_wait_timeout = @flipped_lb_lock_wait";

/// A server that logs statements takes changes of rows at no lower level than this.
const REPEATABLE: &str = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";
/// Any other one: fewer locks.
const COMMITTED: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// Where the server is and how to get in.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    server: Server,
    password_file: Option<std::path::PathBuf>,
    answer_timeout: Duration,
    /// Rows are removed some time.
    removes: bool,
    /// The server ends a session that is silent for so long; `None`: when it likes.
    silence: Option<Duration>,
}

/// What the server allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) local_infile: bool,
    /// It logs statements, and would have a load repeated elsewhere by its file.
    pub(super) logs_statements: bool,
    /// Bytes of a statement at most.
    pub(super) packet_len_max: usize,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Refusal {
    Password(String),
    /// The server, or the way there.
    Server(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

impl Access {
    /// To this server, by these settings.
    #[must_use]
    pub(crate) fn new(server: &Server, settings: &config::Store) -> Self {
        Self {
            server: server.clone(),
            password_file: settings.password_file.clone(),
            answer_timeout: ANSWER_TIMEOUT,
            removes: settings.keep.is_some(),
            silence: None,
        }
    }

    /// Waits so long for an answer before it gives the server up.
    #[must_use]
    pub(super) fn patient(mut self, answer_timeout: Duration) -> Self {
        self.answer_timeout = answer_timeout;
        self
    }

    /// The server ends its sessions after so long a silence.
    #[must_use]
    pub(super) fn ending_after(mut self, silence: Duration) -> Self {
        self.silence = Some(silence);
        self
    }

    /// How long its sessions may be silent; `None`: as long as the server likes.
    pub(super) fn silence(&self) -> Option<Duration> {
        self.silence
    }

    /// Server and database in words.
    #[must_use]
    pub(crate) fn place(&self) -> String {
        self.server.place()
    }

    /// The server's message about an error, and what to do.
    pub(super) fn words(&self, error: &Error, grants: &str) -> String {
        let words = fault::words(error);
        if fault::is_not_granted(error) {
            let database = &self.server.database;
            let account = account_in(&error.to_string());
            let account = account.unwrap_or_else(|| format!("'{}'@'%'", self.server.user));
            return format!("{words}: GRANT {grants} ON `{database}`.* TO {account}");
        }
        if fault::is_not_let_in(error) && self.server.ssl_mode == SslMode::Disabled {
            return format!(
                "{words}; an account or a server that wants TLS (REQUIRE SSL) lets in who adds \
                 ?ssl-mode=required to the address"
            );
        }
        words
    }

    /// What the store's account needs.
    pub(super) fn store_grants(&self) -> String {
        let keep = if self.removes { KEEP_GRANTS } else { "" };
        format!("{STORE_GRANTS}{keep}")
    }

    /// What the account needs that makes and mends the tables as well.
    pub(super) fn schema_grants(&self) -> String {
        format!("{}{SCHEMA_GRANTS}", self.store_grants())
    }

    /// What the store's account needs where the table is partitioned.
    pub(super) fn partition_grants(&self) -> String {
        format!("{STORE_GRANTS}{KEEP_GRANTS}, CREATE, ALTER, DROP")
    }

    /// Whether rows are removed some time.
    pub(super) fn removes(&self) -> bool {
        self.removes
    }

    pub(super) fn database(&self) -> &str {
        &self.server.database
    }

    /// Connects to the database, or to the server alone.
    pub(super) fn connect(&self, with_database: bool) -> Result<Conn, Refusal> {
        let database = with_database.then_some(self.server.database.as_str());
        let options = self.options(database).map_err(Refusal::Password)?;
        let mut connection = Conn::new(options)?;
        for statement in SESSION {
            connection.query_drop(statement)?;
        }
        for statement in patience(self.silence) {
            connection.query_drop(statement)?;
        }
        let level = match facts(&mut connection)?.logs_statements {
            true => REPEATABLE,
            false => COMMITTED,
        };
        connection.query_drop(level)?;
        Ok(connection)
    }

    fn options(&self, database: Option<&str>) -> Result<Opts, String> {
        let server = &self.server;
        if let Some(path) = &server.ssl_ca {
            // The client opens it itself, and would wait for a pipe.
            setting_file::read(path)
                .map_err(|error| format!("[store] url: ssl-ca {}: {error}", path.display()))?;
        }
        let socket = server.socket.as_ref().map(|it| it.display().to_string());
        let options = OptsBuilder::new()
            .ip_or_hostname(Some(server.host.as_str()))
            .tcp_port(server.port)
            .socket(socket)
            .user(Some(server.user.as_str()))
            .pass(self.password()?)
            .db_name(database)
            .ssl_opts(self.protection())
            // Otherwise a second connection is made by the socket, past the protection asked for.
            .prefer_socket(false)
            .tcp_connect_timeout(Some(CONNECT_TIMEOUT))
            .read_timeout(Some(self.answer_timeout))
            .write_timeout(Some(ANSWER_TIMEOUT));
        Ok(options.into())
    }

    fn protection(&self) -> Option<SslOpts> {
        let plain = SslOpts::default().with_root_cert_path(self.server.ssl_ca.clone());
        match self.server.ssl_mode {
            SslMode::Disabled => None,
            SslMode::Required => Some(plain.with_danger_accept_invalid_certs(true)),
            SslMode::VerifyCa => Some(plain.with_danger_skip_domain_validation(true)),
            SslMode::VerifyIdentity => Some(plain),
        }
    }

    /// The variable, else the file's first line, else what the address holds.
    fn password(&self) -> Result<Option<String>, String> {
        if let Ok(password) = std::env::var(PASSWORD_VARIABLE) {
            return Ok(Some(password));
        }
        let Some(path) = &self.password_file else {
            return Ok(self
                .server
                .password
                .as_ref()
                .map(|it| it.reveal().to_owned()));
        };
        let text = setting_file::read_text(path)
            .map_err(|error| format!("[store] password_file {}: {error}", path.display()))?;
        Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
    }
}

/// How long the server waits: for locks, and in a group for this session.
fn patience(silence: Option<Duration>) -> Vec<String> {
    let until_it_ends = silence.map(|it| it + Duration::from_secs(1));
    let lock_wait = until_it_ends.map_or(LOCK_WAIT, |it| it.clamp(LOCK_WAIT, LOCK_WAIT_MAX));
    let mut statements = vec![
        format!("SET @flipped_lb_lock_wait = {}", lock_wait.as_secs()),
        LOCKS_USUAL.to_owned(),
    ];
    if let Some(silence) = silence {
        let s = silence.as_secs().max(1);
        statements.push(format!(
            "SET SESSION wait_timeout = {s}, net_read_timeout = {s}, net_write_timeout = {s}"
        ));
    }
    statements
}

/// The account that a server's message names: `'user'@'host'`.
fn account_in(words: &str) -> Option<String> {
    let (head, tail) = words.split_once("'@'")?;
    let user = &head[head.rfind('\'')? + 1..];
    let host = &tail[..tail.find('\'')?];
    Some(format!("'{user}'@'{host}'"))
}

/// Asks what the server allows.
pub(super) fn facts(connection: &mut Conn) -> Result<Facts, Error> {
    // Servers that lack a variable leave its row out.
    let query = "SHOW VARIABLES WHERE Variable_name IN \
                 ('local_infile', 'max_allowed_packet', 'log_bin', 'binlog_format')";
    let rows: Vec<(String, String)> = connection.query(query)?;
    let value = |name: &str| {
        let row = rows.iter().find(|it| it.0.eq_ignore_ascii_case(name));
        row.map_or("", |it| it.1.as_str())
    };
    let is_on = |name| value(name).eq_ignore_ascii_case("ON");
    let logs_statements =
        is_on("log_bin") && value("binlog_format").eq_ignore_ascii_case("STATEMENT");
    Ok(Facts {
        local_infile: is_on("local_infile"),
        logs_statements,
        packet_len_max: value("max_allowed_packet")
            .parse()
            .unwrap_or(0)
            .max(PACKET_LEN_MIN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(url: &str, file: Option<std::path::PathBuf>) -> Access {
        let settings = config::Store {
            password_file: file,
            ..config::Store::default()
        };
        Access::new(&Server::parse(url).expect("right"), &settings)
    }

    #[test]
    fn the_password_comes_from_the_address_or_the_files_first_line() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("password");
        std::fs::write(&file, "of the file\nnot this\n").expect("it is written");
        let of = |it: Access| it.options(None).map(|it| it.get_pass().map(str::to_owned));
        assert_eq!(of(access("mysql://me@db", None)), Ok(None));
        let own = of(access("mysql://me:own@db", None));
        assert_eq!(own, Ok(Some("own".to_owned())));
        let filed = of(access("mysql://me:own@db", Some(file)));
        assert_eq!(filed, Ok(Some("of the file".to_owned())));
        let gone = of(access("mysql://me:own@db", Some("/no/such".into())));
        assert!(
            gone.expect_err("no file")
                .contains("password_file /no/such")
        );
    }

    #[test]
    fn what_is_denied_names_the_grant_or_the_option_that_mends_it() {
        let error = |code, message: &str| {
            Error::MySqlError(mysql::MySqlError {
                state: "42000".to_owned(),
                message: message.to_owned(),
                code,
            })
        };
        let access = access("mysql://least@db/orders", None);
        let denied = "UPDATE command denied to user 'least'@'10.1.%' for table `orders`.`messages`";
        let words = access.words(&error(1142, denied), &access.store_grants());
        assert!(
            words.ends_with("GRANT SELECT, INSERT, UPDATE ON `orders`.* TO 'least'@'10.1.%'"),
            "{words}"
        );
        let words = access.words(
            &error(1045, "Access denied for user"),
            &access.store_grants(),
        );
        assert!(
            words.contains("password") && words.contains("ssl-mode=required"),
            "{words}"
        );
    }

    #[test]
    fn nothing_that_is_printed_has_the_password() {
        let access = access("mysql://me:secret@db/x?ssl-mode=required", None);
        assert!(!format!("{access:?} {}", access.place()).contains("secret"));
    }

    #[test]
    fn protection_is_as_the_address_says() {
        let of = |mode: &str| {
            let access = access(&format!("mysql://me@db/x?ssl-mode={mode}"), None);
            let options = access.options(None).expect("right");
            options
                .get_ssl_opts()
                .map(|it| (it.accept_invalid_certs(), it.skip_domain_validation()))
        };
        assert_eq!(of("disabled"), None);
        assert_eq!(of("required"), Some((true, false)));
        assert_eq!(of("verify-ca"), Some((false, true)));
        assert_eq!(of("verify-identity"), Some((false, false)));
    }
}
