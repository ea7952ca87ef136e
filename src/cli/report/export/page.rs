//! Pages of rows, by primary key. Pure but for the [`Reader`] that it asks.
//!
//! ```text
//! bound | the last id of the next rows, and whether some of them came before --until
//! rows  | those among them that were settled in time
//! ```
//!
//! Ids ascend with arrival, and a row is settled after it came: behind a page of rows that all came too
//! lately there are none.

use crate::limits::EXPORT_PAGE_ROWS;
use crate::store::reader::{ReadError, Reader, Value};
use crate::store::schema::MESSAGE_COLUMNS;

/// Where the reading stands.
#[derive(Debug)]
pub(super) struct Pages {
    since: Option<String>,
    until: String,
    /// The last id that was looked at.
    after: i64,
    is_through: bool,
}

impl Pages {
    pub(super) fn new(since: Option<String>, until: String) -> Self {
        Self {
            since,
            until,
            after: -1,
            is_through: false,
        }
    }

    /// The next rows, a cell a column; `None`: there are no more.
    pub(super) fn next(
        &mut self,
        reader: &mut dyn Reader,
    ) -> Result<Option<Vec<Vec<Value>>>, ReadError> {
        while !self.is_through {
            reader.renew()?;
            let bound = reader.ask(&self.bound_query())?;
            let bound = bound.rows.first().map(Vec::as_slice);
            let Some([Value::Integer(last), Value::Integer(1)]) = bound else {
                self.is_through = true;
                break;
            };
            let last = *last;
            let rows = reader.ask(&self.rows_query(last))?.rows;
            self.after = last;
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }

    fn bound_query(&self) -> String {
        let Self { until, after, .. } = self;
        format!(
            "SELECT MAX(id), MIN(created_at) < '{until}' FROM (SELECT id, created_at FROM messages \
             WHERE id > {after} ORDER BY id LIMIT {EXPORT_PAGE_ROWS}) page"
        )
    }

    fn rows_query(&self, last: i64) -> String {
        let Self { until, after, .. } = self;
        let settled = "COALESCE(delivered_at, created_at)";
        let since = self.since.as_ref();
        let since = since.map(|it| format!(" AND {settled} >= '{it}'"));
        format!(
            "SELECT {} FROM messages WHERE id > {after} AND id <= {last} \
             AND status <> 'INGESTED' AND {settled} < '{until}'{} ORDER BY id",
            MESSAGE_COLUMNS.join(", "),
            since.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::reader::Answer;

    /// Rows of these ids, of which those before `late` came in time.
    struct Table {
        ids: Vec<i64>,
        late: i64,
        asked: Vec<String>,
    }

    impl Reader for Table {
        fn ask(&mut self, query: &str) -> Result<Answer, ReadError> {
            self.asked.push(query.to_owned());
            let number = |mark: &str| {
                let rest = query.split(mark).nth(1)?;
                rest.split([' ', ')']).next()?.parse::<i64>().ok()
            };
            let after = number("id > ").expect("it names the last id");
            let rest = self.ids.iter().copied().filter(|it| *it > after);
            let rows = match number("id <= ") {
                Some(last) => rest
                    .filter(|it| *it <= last && *it < self.late)
                    .map(|it| vec![Value::Integer(it)])
                    .collect(),
                None => {
                    let page: Vec<_> = rest.take(EXPORT_PAGE_ROWS).collect();
                    let last = page.last().map_or(Value::Null, |it| Value::Integer(*it));
                    let first = page
                        .first()
                        .map_or(Value::Null, |it| Value::Integer(i64::from(*it < self.late)));
                    vec![vec![last, first]]
                }
            };
            Ok(Answer {
                rows,
                ..Answer::default()
            })
        }

        fn renew(&mut self) -> Result<(), ReadError> {
            Ok(())
        }
    }

    fn all(table: &mut Table) -> Vec<i64> {
        let mut pages = Pages::new(None, "2026-11-30 00:00:00.000000".to_owned());
        let mut ids = Vec::new();
        while let Some(rows) = pages.next(table).expect("it answers") {
            assert!(rows.len() <= EXPORT_PAGE_ROWS);
            ids.extend(rows.into_iter().map(|it| match it[..] {
                [Value::Integer(id)] => id,
                _ => panic!("{it:?}"),
            }));
        }
        ids
    }

    #[test]
    fn each_row_comes_once_and_reading_ends_behind_the_first_late_page() {
        let page = EXPORT_PAGE_ROWS as i64;
        for count in [0, 1, page - 1, page, page + 1, 10 * page] {
            let late = 3 * page + 7;
            let mut table = Table {
                // With gaps.
                ids: (0..count).map(|it| it * 2).collect(),
                late,
                asked: Vec::new(),
            };
            let wanted: Vec<_> = table.ids.iter().copied().filter(|it| *it < late).collect();
            assert_eq!(all(&mut table), wanted, "{count}");
            assert!(table.asked.len() <= 8, "{}", table.asked.len());
        }
    }
}
