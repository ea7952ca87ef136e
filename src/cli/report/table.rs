//! Answers to tables: aligned, numbers with their thousands apart, counts added up. Pure.

use std::fmt::Write as _;

use super::questions::Statement;
use crate::escape::Escaped;
use crate::store::reader::{Answer, Value};

/// The column that is added up.
const COUNTED: &str = "messages";

/// Title, columns, rows and total; or title and what it means that there are no rows.
pub(super) fn table(statement: &Statement, answer: &Answer, limit: Option<u32>) -> String {
    let title = statement.title;
    if answer.rows.is_empty() {
        return format!("{title}\n  {}\n", statement.nothing);
    }
    let is_cut = limit.is_some_and(|it| answer.rows.len() >= it as usize);
    let mut lines = vec![answer.columns.clone()];
    lines.extend(answer.rows.iter().map(|row| row.iter().map(cell).collect()));
    lines.extend(total(answer, statement.is_bounded && is_cut));
    let widths: Vec<_> = (0..answer.columns.len())
        .map(|at| lines.iter().map(|it| it[at].chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let is_number: Vec<_> = (0..answer.columns.len())
        .map(|at| answer.rows.iter().any(|row| is_number(&row[at])))
        .collect();
    let mut text = format!("{title}\n");
    for line in lines {
        let mut padded = String::new();
        for ((cell, width), is_number) in line.iter().zip(&widths).zip(&is_number) {
            // Writing to a String cannot fail.
            let _ = match is_number {
                true => write!(padded, "  {cell:>width$}"),
                false => write!(padded, "  {cell:<width$}"),
            };
        }
        let _ = writeln!(text, "{}", padded.trim_end());
    }
    text
}

/// The last line, where there is something to add up. Rows that a limit may have cut off are not in
/// it, and it does not call itself the total then.
fn total(answer: &Answer, is_cut: bool) -> Option<Vec<String>> {
    let at = answer.columns.iter().position(|it| it == COUNTED)?;
    let counts = answer.rows.iter().filter_map(|row| match row[at] {
        Value::Integer(count) => Some(count),
        _ => None,
    });
    let mut cells = vec![String::new(); answer.columns.len()];
    cells[0] = if is_cut { "shown" } else { "total" }.to_owned();
    cells[at] = thousands(&counts.sum::<i64>().to_string());
    Some(cells)
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Integer(_) | Value::Real(_))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Integer(number) => thousands(&number.to_string()),
        Value::Real(number) => thousands(&format!("{number:.1}")),
        // Names are their senders' words.
        Value::Text(text) => Escaped(text).to_string(),
    }
}

/// `-1234567.8` to `-1,234,567.8`.
fn thousands(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut text = sign.to_owned();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::report::questions::{Bounds, Question};
    use crate::store::reader::Dialect;

    fn customer() -> Statement {
        let statements = Question::Customer.statements(Dialect::Sqlite, &Bounds::default());
        statements.into_iter().next().expect("it has one")
    }

    fn answer() -> Answer {
        let row = |name: &str, count| {
            let text = Value::Text(name.to_owned());
            vec![text, Value::Integer(count)]
        };
        Answer {
            columns: vec!["destinationId".to_owned(), "messages".to_owned()],
            rows: vec![row("table1", 1_234_567), row("bell\u{7}", 89)],
        }
    }

    #[test]
    fn columns_are_aligned_and_counts_added_up() {
        let expected = "Delivered messages by customer and type
  destinationId   messages
  table1         1,234,567
  bell\\u{7}             89
  total          1,234,656
";
        assert_eq!(table(&customer(), &answer(), None), expected);
        assert_eq!(table(&customer(), &answer(), Some(3)), expected);
    }

    #[test]
    fn what_may_be_cut_off_is_no_total() {
        assert!(table(&customer(), &answer(), Some(2)).contains("\n  shown  "));
    }

    #[test]
    fn no_rows_are_a_sentence() {
        let text = table(&customer(), &Answer::default(), None);
        assert!(text.ends_with("\n  nothing was delivered\n"), "{text}");
    }

    #[test]
    fn thousands_stand_apart() {
        let cases = [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-123456", "-123,456"),
            ("1234567.8", "1,234,567.8"),
        ];
        for (number, text) in cases {
            assert_eq!(thousands(number), text);
        }
    }
}
