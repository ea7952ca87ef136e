//! The scheduler's answers to one `subscribe` line, as the line that the subscriber reads:
//! `{"subscribed":[...],"standby":[...]}`, or several where one would be too long.

use crate::limits::ANSWER_LEN_MAX;

/// The lists of the line.
#[derive(Debug, Default)]
pub(super) struct Answer {
    active: String,
    standby: String,
}

impl Answer {
    /// Adds a destination; the line so far, where that would make it too long.
    pub(super) fn add(&mut self, name: &str, is_active: bool) -> Option<String> {
        let name = serde_json::json!(name).to_string();
        let len = self.active.len() + self.standby.len() + name.len();
        let full = (len > ANSWER_LEN_MAX).then(|| self.take_line());
        let list = if is_active {
            &mut self.active
        } else {
            &mut self.standby
        };
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(&name);
        full
    }

    pub(super) fn take_line(&mut self) -> String {
        let Self { active, standby } = std::mem::take(self);
        format!("{{\"subscribed\":[{active}],\"standby\":[{standby}]}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SUBSCRIBER_LINE_LEN_MAX;

    #[test]
    fn an_answer_is_one_line_until_that_would_be_too_long() {
        let mut answer = Answer::default();
        assert_eq!(answer.add("a", true), None);
        assert_eq!(answer.add("b\"\n", false), None);
        assert_eq!(answer.add("c", true), None);
        let line = answer.take_line();
        assert_eq!(line, r#"{"subscribed":["a","c"],"standby":["b\"\n"]}"#);
        let name = "x".repeat(50);
        let mut lines: Vec<_> = (0..100_000)
            .filter_map(|_| answer.add(&name, true))
            .collect();
        lines.push(answer.take_line());
        assert!(lines.len() > 1);
        let longest = lines.iter().map(String::len).max();
        assert!(longest.is_some_and(|it| it < SUBSCRIBER_LINE_LEN_MAX));
        let count: usize = lines.iter().map(|it| it.matches(&name).count()).sum();
        assert_eq!(count, 100_000);
    }
}
