//! Rows as text: the lines of a bulk load, and the tuples of an INSERT.
//!
//! Pure: rows come in, bytes go out. Both forms have the columns of [`COLUMNS`], in their order,
//! and escape what has a meaning in them, so that every string arrives whole.

use memchr::{memchr, memchr2, memchr3};

use crate::journal::format::Settlement;
use crate::store::rows::Row;
use crate::store::text_time::TextTime;

/// The columns of a row, in the order in which they are written.
pub(super) const COLUMNS: &str = "id, sequence, messageId, sourceServerId, destinationId, \
     messageType, priority, `timestamp`, payload, status, created_at, delivered_at";

/// The columns of a settlement.
pub(super) const SETTLED_COLUMNS: &str = "id, delivered_at";

/// Which of the two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `a<TAB>b<NEWLINE>`, with `\N` for NULL.
    Line,
    /// `(a,'b'),`.
    Tuple,
}

/// Writes rows as text.
#[derive(Debug)]
pub(super) struct Writer {
    form: Form,
    out: Vec<u8>,
    id_base: u64,
    /// Neighbouring rows were created, and settled, in the same seconds.
    created: TextTime,
    delivered: TextTime,
}

impl Writer {
    /// Writes behind what `out` holds already.
    pub(super) fn new(form: Form, out: Vec<u8>, id_base: u64) -> Self {
        Self {
            form,
            out,
            id_base,
            created: TextTime::new(),
            delivered: TextTime::new(),
        }
    }

    /// Bytes written, of which none was taken.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Takes what was written; the next row begins with nothing before it.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let room = Vec::with_capacity(self.out.len());
        std::mem::replace(&mut self.out, room)
    }

    /// What was written; without the comma behind the last tuple.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.form == Form::Tuple && self.out.last() == Some(&b',') {
            self.out.pop();
        }
        self.out
    }

    pub(super) fn row(&mut self, row: &Row<'_>) {
        let record = row.record;
        self.begin(self.id_base + row.sequence);
        self.number(row.sequence.cast_signed());
        self.text(record.message_id().value().as_bytes());
        self.text(record.source_id().value().as_bytes());
        self.text(record.destination().value().as_bytes());
        self.text(record.message_type().value().as_bytes());
        self.number(record.priority().into());
        self.number(record.timestamp_ms());
        match record.payload() {
            Some(payload) => self.text(payload),
            None => self.null(),
        }
        self.plain(match row.settled_us {
            Some(_) => b"DELIVERED",
            None => b"INGESTED",
        });
        let created = *self.created.format(row.record.arrival_us());
        self.plain(&created);
        match row.settled_us {
            Some(settled_us) => self.moment(settled_us),
            None => self.null(),
        }
        self.end();
    }

    pub(super) fn settlement(&mut self, settlement: &Settlement) {
        self.begin(self.id_base + settlement.sequence);
        self.moment(settlement.settled_us);
        self.end();
    }

    fn begin(&mut self, id: u64) {
        if self.form == Form::Tuple {
            self.out.push(b'(');
        }
        self.digits(id.cast_signed());
    }

    fn end(&mut self) {
        match self.form {
            Form::Line => self.out.push(b'\n'),
            Form::Tuple => self.out.extend_from_slice(b"),"),
        }
    }

    fn next(&mut self) {
        self.out.push(match self.form {
            Form::Line => b'\t',
            Form::Tuple => b',',
        });
    }

    fn number(&mut self, value: i64) {
        self.next();
        self.digits(value);
    }

    fn digits(&mut self, value: i64) {
        let mut digits = itoa::Buffer::new();
        self.out.extend_from_slice(digits.format(value).as_bytes());
    }

    fn null(&mut self) {
        self.next();
        self.out.extend_from_slice(match self.form {
            Form::Line => br"\N",
            Form::Tuple => b"NULL",
        });
    }

    fn moment(&mut self, epoch_us: u64) {
        let text = *self.delivered.format(epoch_us);
        self.plain(&text);
    }

    /// Text without anything to escape.
    fn plain(&mut self, text: &[u8]) {
        self.next();
        self.quote();
        self.out.extend_from_slice(text);
        self.quote();
    }

    fn quote(&mut self) {
        if self.form == Form::Tuple {
            self.out.push(b'\'');
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.next();
        self.quote();
        let mut rest = text;
        while let Some(at) = self.special(rest) {
            self.out.extend_from_slice(&rest[..at]);
            self.out.push(b'\\');
            self.out.push(self.escape(rest[at]).unwrap_or(rest[at]));
            rest = &rest[at + 1..];
        }
        self.out.extend_from_slice(rest);
        self.quote();
    }

    /// The first byte that has to be escaped. Two searches, since one by vectors takes three bytes at
    /// most; the second ends where the first did.
    fn special(&self, text: &[u8]) -> Option<usize> {
        let found = match self.form {
            Form::Line => memchr3(b'\\', b'\n', b'\t', text),
            Form::Tuple => memchr2(b'\\', b'\'', text),
        };
        memchr(0, &text[..found.unwrap_or(text.len())]).or(found)
    }

    /// What follows the backslash for a byte that has to be escaped.
    fn escape(&self, byte: u8) -> Option<u8> {
        match (byte, self.form) {
            (0, _) => Some(b'0'),
            (b'\\', _) | (b'\'', Form::Tuple) => Some(byte),
            (b'\n', Form::Line) => Some(b'n'),
            (b'\t', Form::Line) => Some(b't'),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::testing::{Memory, TestMessage, TestWriter};
    use crate::store::testing::{SEGMENT, gather};

    fn written(form: Form, id: &str, settled: bool) -> String {
        let memory = Memory::default();
        let mut writer = TestWriter::new(memory.clone(), SEGMENT);
        writer.messages(&[TestMessage {
            id: id.to_owned(),
            payload: settled.then(|| r#"{"a":"'\n"}"#.to_owned()),
            ..TestMessage::new(1)
        }]);
        if settled {
            writer.settle(1..=1);
        }
        let (rows, _) = gather(&memory, 0);
        let mut writer = Writer::new(form, Vec::new(), 1 << 48);
        rows.iter().for_each(|it| writer.row(&it));
        String::from_utf8(writer.finish()).expect("text")
    }

    #[test]
    fn a_line_has_tabs_between_and_escapes_what_has_a_meaning() {
        assert_eq!(
            written(Form::Line, r"a\u0000\t\n\\'🍜", false),
            "281474976710657\t1\ta\\0\\t\\n\\\\'🍜\tserver1\ttable2\tlunch\t2\t1700000000001\t\\N\t\
             INGESTED\t2023-11-14 22:13:20.000001\t\\N\n"
        );
    }

    #[test]
    fn a_tuple_quotes_and_escapes_what_has_a_meaning() {
        assert_eq!(
            written(Form::Tuple, r"a\u0000\t\\'🍜", true),
            "(281474976710657,1,'a\\0\t\\\\\\'🍜','server1','table2','lunch',2,1700000000001,\
             '{\"a\":\"\\'\\\\n\"}','DELIVERED','2023-11-14 22:13:20.000001',\
             '2023-11-14 22:13:20.000001')"
        );
    }
}
