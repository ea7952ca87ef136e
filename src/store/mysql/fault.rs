//! What went wrong at the server, and whose fault it is.
//!
//! Three answers: the row is to blame (it is split out), the bulk load is not allowed here (rows
//! go by INSERT), or anything else (it may pass: the batch is tried again).

use mysql::{DriverError, Error, MySqlError};

/// Rows that the server will not take, whatever else happens: a value does not fit its column, or
/// the table has a constraint or a trigger of its own.
const ROW_CODES: [u16; 18] = [
    1048, // a column cannot be NULL
    1062, // duplicate entry, of a key that is not the table's own
    1153, // larger than max_allowed_packet
    1263, // NULL for a NOT NULL column
    1264, // out of range
    1265, // data truncated
    1292, // wrong value
    1366, // wrong string value
    1369, // a view's check option
    1406, // too long
    1452, // foreign key
    1526, // no partition
    1644, // a trigger signalled
    1690, // out of range
    3140, // no JSON (MySQL)
    3819, // CHECK (MySQL)
    3903, // JSON value (MySQL)
    4025, // CHECK (MariaDB)
];

/// LOAD DATA LOCAL is switched off, or not for this user.
const LOCAL_CODES: [u16; 4] = [1148, 3948, 3950, 4166];

const NO_DATABASE: u16 = 1049;
const NO_TABLE: u16 = 1146;
const NO_COLUMN: u16 = 1054;
const DENIED: [u16; 4] = [1044, 1045, 1142, 1698];
const DUPLICATE: u16 = 1062;

fn code(error: &Error) -> Option<u16> {
    match error {
        Error::MySqlError(error) => Some(error.code),
        _ => None,
    }
}

/// Whether one row of the statement is to blame.
pub(super) fn is_of_row(error: &Error) -> bool {
    match error {
        Error::MySqlError(error) => ROW_CODES.contains(&error.code) && !is_own_key(error),
        Error::DriverError(DriverError::PacketTooLarge) => true,
        _ => false,
    }
}

/// The message has its row already: the database has followed another journal under this name.
pub(super) fn is_repeated(error: &Error) -> bool {
    matches!(error, Error::MySqlError(error) if error.code == DUPLICATE && is_own_key(error))
}

fn is_own_key(error: &MySqlError) -> bool {
    error.code == DUPLICATE && error.message.contains("PRIMARY'")
}

/// Whether the bulk load is not allowed.
pub(super) fn is_local_refused(error: &Error) -> bool {
    code(error).is_some_and(|it| LOCAL_CODES.contains(&it))
}

/// Whether there is no such database, or no such table in it.
pub(super) fn is_absent(error: &Error) -> bool {
    code(error).is_some_and(|it| it == NO_DATABASE || it == NO_TABLE)
}

/// The server's words, and what to do.
pub(super) fn words(error: &Error) -> String {
    if error.to_string().contains("certificate") {
        return format!(
            "{error}; see that ssl-ca in the address names the authority that signed the server's \
             certificate, and with ssl-mode=verify-identity, that the certificate is of that host"
        );
    }
    let advice = match code(error) {
        Some(NO_DATABASE | NO_TABLE | NO_COLUMN) => {
            "; flipped-lb schema check says what is missing, and schema apply makes it"
        }
        Some(code) if DENIED.contains(&code) => "; check user, password and grants",
        Some(1290 | 1792 | 1836) => "; the server is read-only: write to the primary",
        Some(1040 | 1203 | 1226) => "; it has too many connections",
        Some(1021 | 1114 | 3675) => "; make room at the server",
        _ => "",
    };
    match error {
        Error::MySqlError(error) => format!("{} (error {}){advice}", error.message, error.code),
        Error::IoError(error) => format!("{error}{advice}"),
        Error::DriverError(error) => format!("{error}{advice}"),
        error => format!("{error}{advice}"),
    }
}

#[cfg(test)]
mod tests {
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
        assert!(is_of_row(&error(
            1406,
            "Data too long for column 'messageId'"
        )));
        assert!(is_of_row(&error(
            1062,
            "Duplicate entry 'a' for key 'theirs'"
        )));
        for key in ["PRIMARY", "messages.PRIMARY"] {
            let repeated = error(1062, &format!("Duplicate entry '7' for key '{key}'"));
            assert!(!is_of_row(&repeated) && is_repeated(&repeated));
        }
        for code in [1205, 1213, 1040, 1290, 1021, 1146] {
            assert!(!is_of_row(&error(code, "")), "{code}");
        }
        assert!(is_local_refused(&error(3948, "")));
        assert!(is_absent(&error(1049, "")) && is_absent(&error(1146, "")));
        assert!(words(&error(1146, "no table")).contains("schema apply"));
    }
}
