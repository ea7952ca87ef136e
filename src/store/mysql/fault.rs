//! What went wrong at the server, and whose fault it is.
//!
//! Whose: the row's (it is split out), perhaps the row's (it is split out if others are taken), or
//! nobody's among the rows (it may pass: the batch is tried again). Besides, the bulk load may not be
//! allowed here (rows go by INSERT).

use mysql::{DriverError, Error};

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// A value does not fit its column, or the table has a constraint or a trigger that says no.
    Row,
    /// The code is not known here: it is the row's if the server takes other rows.
    Perhaps,
    /// All rows would fail.
    All,
}

/// Rows that the server will not take, whatever else happens. So are all errors of the classes of
/// data (22), constraints (23) and signals (45).
const ROW_CODES: [u16; 13] = [
    1153, // larger than max_allowed_packet
    1263, // NULL for a NOT NULL column
    1265, // data truncated
    1292, // wrong value
    1366, // wrong string value
    1369, // a view's check option
    1411, // a function's argument, in a generated column
    1526, // no partition
    1644, // a trigger signalled
    1748, // a row that is not of the partition
    3140, // no JSON (MySQL)
    3819, // CHECK (MySQL)
    3903, // JSON value (MySQL)
];

/// What fails for all rows: locks, grants, tables, room, settings of the server, its end.
const ALL_CODES: [u16; 48] = [
    1021, 1030, 1036, 1037, 1038, 1040, 1041, 1044, 1045, 1047, 1049, 1051, 1053, 1054, 1064, 1099,
    1100, 1104, 1114, 1135, 1136, 1142, 1143, 1146, 1148, 1152, 1175, 1180, 1184, 1203, 1205, 1206,
    1213, 1223, 1226, 1227, 1290, 1305, 1317, 1364, 1370, 1412, 1442, 1598, 1615, 1637, 1665, 1836,
];
/// The same, of newer servers.
const ALL_NEW_CODES: [u16; 9] = [1698, 1792, 1927, 1969, 3024, 3100, 3101, 3572, 3675];

/// LOAD DATA LOCAL is switched off, or not for this user.
const LOCAL_CODES: [u16; 4] = [1148, 3948, 3950, 4166];

/// What a trigger may raise for one row, though it mostly concerns all: it lacks a table, a column, a
/// routine, a value or a grant of its own, changes the table that it stands on, or says so itself. A lock
/// that was waited for is none: it is given up some time.
const TRIGGER_CODES: [u16; 10] = [
    1054,
    1136,
    1142,
    1143,
    1146,
    1213,
    1305,
    1364,
    1370,
    TABLE_IN_USE,
];
/// The trigger changes its own table.
const TABLE_IN_USE: u16 = 1442;

const NO_DATABASE: u16 = 1049;
const NO_TABLE: u16 = 1146;
const NO_COLUMN: u16 = 1054;
const NO_DEFAULT: u16 = 1364;
const DUPLICATE: u16 = 1062;
/// Name and password are refused.
const NOT_LET_IN: [u16; 2] = [1045, 1698];
/// The account lacks a grant: for the database, a table, a column, a routine, or the server.
const NOT_GRANTED: [u16; 5] = [1044, 1142, 1143, 1227, 1370];

fn code(error: &Error) -> Option<u16> {
    match error {
        Error::MySqlError(error) => Some(error.code),
        _ => None,
    }
}

/// Whose fault it is.
pub(super) fn blame(error: &Error) -> Blame {
    match error {
        Error::MySqlError(error) => {
            let is_of_data = ["22", "23", "45"]
                .iter()
                .any(|it| error.state.starts_with(it));
            let is_of_all = ALL_CODES.contains(&error.code) || ALL_NEW_CODES.contains(&error.code);
            match is_of_data || ROW_CODES.contains(&error.code) {
                _ if is_of_all => Blame::All,
                true => Blame::Row,
                false => Blame::Perhaps,
            }
        }
        Error::DriverError(DriverError::PacketTooLarge) => Blame::Row,
        _ => Blame::All,
    }
}

/// Whether the value of some key is there already: of the table's, or of one that a trigger writes
/// to. The servers do not say alike whose key it is.
pub(super) fn is_duplicate(error: &Error) -> bool {
    code(error) == Some(DUPLICATE)
}

/// Whether the server refused name and password.
pub(super) fn is_not_let_in(error: &Error) -> bool {
    code(error).is_some_and(|it| NOT_LET_IN.contains(&it))
        || error.to_string().contains("insecure transport")
}

/// Whether the account lacks a grant.
pub(super) fn is_not_granted(error: &Error) -> bool {
    code(error).is_some_and(|it| NOT_GRANTED.contains(&it))
}

/// Whether the server said no, over a connection that works.
pub(super) fn is_servers(error: &Error) -> bool {
    code(error).is_some()
}

/// Whether the bulk load is not allowed.
pub(super) fn is_local_refused(error: &Error) -> bool {
    code(error).is_some_and(|it| LOCAL_CODES.contains(&it))
}

/// Whether there is no such database, or no such table in it.
pub(super) fn is_absent(error: &Error) -> bool {
    code(error).is_some_and(|it| it == NO_DATABASE || it == NO_TABLE)
}

/// Whether a trigger may have raised it, for some rows only.
pub(super) fn may_be_a_triggers(error: &Error) -> bool {
    match code(error) {
        // It names the table that the trigger stands on.
        Some(TABLE_IN_USE) => true,
        Some(code) => TRIGGER_CODES.contains(&code) && !is_of_own_table(error),
        None => false,
    }
}

fn is_of_own_table(error: &Error) -> bool {
    let words = error.to_string();
    let tables = ["messages'", "store_position'", "schema_version'"];
    tables.iter().any(|it| words.contains(it))
}

/// The server's message, and what to do.
pub(super) fn words(error: &Error) -> String {
    if error.to_string().contains("certificate") {
        return format!(
            "{error}; see that ssl-ca in the address names the authority that signed the server's \
             certificate, and with ssl-mode=verify-identity, that the certificate is of that host"
        );
    }
    let advice = match code(error) {
        Some(NO_TABLE) if !is_of_own_table(error) => {
            "; a trigger of the tables needs it: make it, or drop the trigger"
        }
        Some(NO_DATABASE | NO_TABLE | NO_COLUMN | NO_DEFAULT) => {
            "; flipped-lb schema check says what is missing, and schema apply makes it"
        }
        Some(code) if NOT_LET_IN.contains(&code) => "; check user and password",
        Some(code) if NOT_GRANTED.contains(&code) => "; the account's grants do not reach",
        Some(1290 | 1792 | 1836) => "; the server is read-only: write to the primary",
        Some(1040 | 1203 | 1226) => "; it has too many connections",
        Some(1021 | 1114 | 3675) => "; make room at the server",
        Some(1665) => "; SET GLOBAL binlog_format = 'MIXED' at the server mends it",
        Some(1184) => "; see that init_connect at the server works for this account",
        _ => "",
    };
    match error {
        Error::MySqlError(error) => format!("{} (error {}){advice}", error.message, error.code),
        Error::IoError(error) => format!("{error}{advice}"),
        Error::DriverError(
            error @ (DriverError::CouldNotConnect(_) | DriverError::ConnectTimeout),
        ) => format!("{error}; is the server running, and is this its address?"),
        Error::DriverError(error) => format!("{error}{advice}"),
        error => format!("{error}{advice}"),
    }
}

#[cfg(test)]
mod tests {
    use mysql::MySqlError;

    use super::*;

    fn error(code: u16, message: &str) -> Error {
        Error::MySqlError(MySqlError {
            state: "HY000".to_owned(),
            message: message.to_owned(),
            code,
        })
    }

    #[test]
    fn rows_the_load_and_the_server_are_told_apart() {
        let of = |state: &str, code| {
            blame(&Error::MySqlError(MySqlError {
                state: state.to_owned(),
                message: String::new(),
                code,
            }))
        };
        assert_eq!(of("22001", 1406), Blame::Row);
        assert_eq!(of("23000", 1062), Blame::Row);
        assert_eq!(of("45000", 31_001), Blame::Row, "a trigger's own number");
        assert_eq!(of("HY000", 31_001), Blame::Perhaps);
        assert_eq!(of("HY000", 3819), Blame::Row);
        for code in [1205, 1213, 1040, 1290, 1021, 1146, 1364, 3101] {
            assert_eq!(of("HY000", code), Blame::All, "{code}");
        }
        assert_eq!(blame(&Error::DriverError(DriverError::Timeout)), Blame::All);
        assert!(is_local_refused(&error(3948, "")));
        assert!(is_absent(&error(1049, "")) && is_absent(&error(1146, "")));
        let gone = |table| words(&error(1146, &format!("Table 'x.{table}' doesn't exist")));
        assert!(gone("messages").contains("schema apply"));
        assert!(gone("audit").contains("trigger"));
        let by_trigger = |code, message: &str| may_be_a_triggers(&error(code, message));
        assert!(by_trigger(1146, "Table 'x.audit' doesn't exist"));
        assert!(!by_trigger(1146, "Table 'x.messages' doesn't exist"));
        assert!(by_trigger(1213, "") && by_trigger(1442, "Can't update table 'messages'"));
        assert!(!by_trigger(1205, "") && !by_trigger(1290, ""));
    }
}
