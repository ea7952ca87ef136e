//! What is shown: the last answer of the engine, in the order and with the filter that the user chose.
//! Pure: answers, keys and the time in, rows out.

use jiff::Timestamp;

use super::snapshot::{Customer, Snapshot};
use crate::escape::Escaped;

/// Letters that a search has at most.
const SEARCH_CHARS_MAX: usize = 50;

/// By what the customers are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Queued,
    Oldest,
    Rate,
    Name,
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Sort::Queued => Sort::Oldest,
            Sort::Oldest => Sort::Rate,
            Sort::Rate => Sort::Name,
            Sort::Name => Sort::Queued,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Sort::Queued => "queued",
            Sort::Oldest => "oldest wait",
            Sort::Rate => "rate",
            Sort::Name => "name",
        }
    }
}

/// A key, as far as one means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Esc,
    Backspace,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
}

/// What comes after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Next {
    Go,
    Quit,
}

/// Why there is no answer, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Silence {
    pub(super) why: String,
    pub(super) since: Timestamp,
}

#[derive(Debug)]
pub(super) struct App {
    pub(super) address: String,
    /// The last one that came; `None`: none yet.
    pub(super) snapshot: Option<Snapshot>,
    /// `None`: the engine answers.
    pub(super) silence: Option<Silence>,
    pub(super) sort: Sort,
    /// Customers whose names have this in them.
    pub(super) search: String,
    /// Keys go into the search.
    pub(super) is_typing: bool,
    /// The place of the customer that is marked, among those that are shown.
    pub(super) selected: usize,
    /// Customers on a page, as the view had room for them.
    pub(super) page: usize,
}

impl App {
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: Escaped(address).to_string(),
            snapshot: None,
            silence: None,
            sort: Sort::Queued,
            search: String::new(),
            is_typing: false,
            selected: 0,
            page: 1,
        }
    }

    /// The engine has answered.
    pub(super) fn answered(&mut self, snapshot: Snapshot) {
        self.snapshot = Some(snapshot);
        self.silence = None;
        self.stay_within();
    }

    /// The engine has not answered; what it said last stays, and is told to be old.
    pub(super) fn failed(&mut self, why: String, now: Timestamp) {
        let since = self.silence.as_ref().map_or(now, |it| it.since);
        self.silence = Some(Silence { why, since });
    }

    /// The customers that fit the search, in their order.
    pub(super) fn rows(&self) -> Vec<&Customer> {
        let all = self.snapshot.iter().flat_map(|it| &it.customers);
        let mut rows: Vec<_> = all.filter(|it| it.id.contains(&self.search)).collect();
        rows.sort_by(|one, other| {
            let by = match self.sort {
                Sort::Queued => work(other).cmp(&work(one)),
                Sort::Oldest => oldest(other).total_cmp(&oldest(one)),
                Sort::Rate => rate(other).total_cmp(&rate(one)),
                Sort::Name => std::cmp::Ordering::Equal,
            };
            by.then_with(|| one.id.cmp(&other.id))
        });
        rows
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: Key) -> Next {
        match key {
            Key::Up => self.selected = self.selected.saturating_sub(1),
            Key::Down => self.selected += 1,
            Key::PageUp => self.selected = self.selected.saturating_sub(self.page),
            Key::PageDown => self.selected += self.page,
            Key::Home => self.selected = 0,
            Key::End => self.selected = usize::MAX,
            key if self.is_typing => self.type_in(key),
            Key::Char('q') => return Next::Quit,
            Key::Char('s') => self.sort = self.sort.next(),
            Key::Char('/') => self.is_typing = true,
            Key::Esc => self.search.clear(),
            Key::Char(_) | Key::Enter | Key::Backspace => {}
        }
        self.stay_within();
        Next::Go
    }

    fn type_in(&mut self, key: Key) {
        match key {
            Key::Char(char) if self.search.chars().count() < SEARCH_CHARS_MAX => {
                self.search.push(char);
            }
            Key::Backspace => {
                self.search.pop();
            }
            Key::Enter => self.is_typing = false,
            Key::Esc => {
                self.is_typing = false;
                self.search.clear();
            }
            _ => {}
        }
    }

    fn stay_within(&mut self) {
        let last = self.rows().len().saturating_sub(1);
        self.selected = self.selected.min(last);
    }
}

fn work(it: &Customer) -> u64 {
    it.queued + it.in_flight
}

fn oldest(it: &Customer) -> f64 {
    it.oldest_wait_seconds.unwrap_or(-1.0)
}

fn rate(it: &Customer) -> f64 {
    it.accepted_per_second + it.settled_per_second
}
