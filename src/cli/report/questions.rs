//! The questions and their statements. Pure: a question and its bounds in, SQL out.
//!
//! The statements stand in `.sql` files; those that the servers word differently in two. `{where}`,
//! `{and}` and `{limit}` are lines of their own there, which go where nothing bounds the question.

use clap::ValueEnum;

use crate::store::reader::Dialect;

/// A question to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Question {
    /// Messages by priority.
    Priority,
    /// Delivered messages by customer and type.
    Customer,
    /// Messages by hour of the day (UTC).
    Hour,
    /// Customers by latency, from reading a message to its settlement.
    Slowest,
    /// What waits, and how far the store has followed.
    Lag,
}

/// What bounds a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Messages that the engine read at this moment or later: UTC, as in the table.
    pub(super) since: Option<String>,
    /// Messages that the engine read before this moment.
    pub(super) until: Option<String>,
    /// Rows at most.
    pub(super) limit: Option<u32>,
}

/// A statement, and what is printed around its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// What its answer is called in JSON.
    pub(super) name: &'static str,
    /// Over its table.
    pub(super) title: &'static str,
    /// Instead of a table without rows.
    pub(super) nothing: &'static str,
    /// With its comment and its semicolon.
    pub(super) sql: String,
    /// Whether [`Bounds`] hold for it.
    pub(super) is_bounded: bool,
}

/// One of the `.sql` files, and what is printed around its answer.
struct Template {
    name: &'static str,
    title: &'static str,
    nothing: &'static str,
    sqlite: &'static str,
    mysql: &'static str,
}

const PRIORITY: Template = Template {
    name: "priority",
    title: "Messages by priority",
    nothing: "no messages are stored",
    sqlite: include_str!("priority.sql"),
    mysql: include_str!("priority.sql"),
};

const CUSTOMER: Template = Template {
    name: "customer",
    title: "Delivered messages by customer and type",
    nothing: "nothing was delivered",
    sqlite: include_str!("customer.sql"),
    mysql: include_str!("customer.sql"),
};

const HOUR: Template = Template {
    name: "hour",
    title: "Messages by hour of the day (UTC)",
    nothing: "no messages are stored",
    sqlite: include_str!("sqlite/hour.sql"),
    mysql: include_str!("mysql/hour.sql"),
};

const SLOWEST: Template = Template {
    name: "slowest",
    title: "Slowest customers, from reading a message to its settlement (us)",
    nothing: "nothing was delivered",
    sqlite: include_str!("sqlite/slowest.sql"),
    mysql: include_str!("mysql/slowest.sql"),
};

const WAITING: Template = Template {
    name: "waiting",
    title: "Messages that are not delivered yet (times in UTC)",
    nothing: "no message waits",
    sqlite: include_str!("waiting.sql"),
    mysql: include_str!("waiting.sql"),
};

const POSITION: Template = Template {
    name: "position",
    title: "How far the store has followed each journal (bytes; times in UTC)",
    nothing: "no engine has written here",
    sqlite: include_str!("position.sql"),
    mysql: include_str!("position.sql"),
};

impl Question {
    /// The statements that answer it.
    pub(super) fn statements(self, dialect: Dialect, bounds: &Bounds) -> Vec<Statement> {
        let templates: &[Template] = match self {
            Question::Priority => &[PRIORITY],
            Question::Customer => &[CUSTOMER],
            Question::Hour => &[HOUR],
            Question::Slowest => &[SLOWEST],
            Question::Lag => &[WAITING, POSITION],
        };
        templates
            .iter()
            .map(|it| it.statement(dialect, bounds))
            .collect()
    }
}

impl Template {
    fn statement(&self, dialect: Dialect, bounds: &Bounds) -> Statement {
        let text = match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::MySql => self.mysql,
        };
        Statement {
            name: self.name,
            title: self.title,
            nothing: self.nothing,
            sql: filled(text, bounds),
            is_bounded: text.contains("{limit}"),
        }
    }
}

fn filled(text: &str, bounds: &Bounds) -> String {
    let since = bounds.since.as_ref();
    let until = bounds.until.as_ref();
    let times: Vec<_> = since
        .map(|it| format!("created_at >= '{it}'"))
        .into_iter()
        .chain(until.map(|it| format!("created_at < '{it}'")))
        .collect();
    let times = times.join(" AND ");
    let limit = bounds.limit.map(|it| it.to_string()).unwrap_or_default();
    let lines = text.lines().filter_map(|line| match line.trim() {
        "{where}" => bound(line, "{where}", "WHERE", &times),
        "{and}" => bound(line, "{and}", "AND", &times),
        "{limit}" => bound(line, "{limit}", "LIMIT", &limit),
        _ => Some(line.to_owned()),
    });
    let lines: Vec<_> = lines.collect();
    format!("{};\n", lines.join("\n"))
}

/// The line with what bounds the question; none where nothing does.
fn bound(line: &str, mark: &str, word: &str, value: &str) -> Option<String> {
    (!value.is_empty()).then(|| line.replace(mark, &format!("{word} {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(dialect: Dialect, bounds: &Bounds) -> Vec<Statement> {
        let questions = Question::value_variants().iter();
        questions
            .flat_map(|it| it.statements(dialect, bounds))
            .collect()
    }

    #[test]
    fn each_statement_is_one_with_a_comment_and_no_mark() {
        let bounds = Bounds {
            since: Some("2026-01-01 00:00:00.000000".to_owned()),
            until: Some("2026-01-02 00:00:00.000000".to_owned()),
            limit: Some(7),
        };
        for dialect in [Dialect::Sqlite, Dialect::MySql] {
            for bounds in [&Bounds::default(), &bounds] {
                for Statement { sql, .. } in all(dialect, bounds) {
                    assert!(sql.starts_with("-- ") && sql.ends_with(";\n"), "{sql}");
                    assert_eq!(sql.matches(';').count(), 1, "{sql}");
                    assert!(!sql.contains(['{', '}']), "{sql}");
                }
            }
        }
    }

    #[test]
    fn bounds_hold_for_messages_and_not_for_positions() {
        let bounds = Bounds {
            since: Some("2026-01-01 00:00:00.000000".to_owned()),
            until: None,
            limit: Some(7),
        };
        for Statement {
            name,
            sql,
            is_bounded,
            ..
        } in all(Dialect::Sqlite, &bounds)
        {
            let bounded = name != "position";
            assert_eq!(is_bounded, bounded, "{name}");
            assert_eq!(sql.contains("created_at >= '2026-01-01"), bounded, "{sql}");
            assert_eq!(sql.ends_with("LIMIT 7;\n"), bounded, "{sql}");
        }
    }
}
