//! A sortable list of the page, a hundred rows at a time: its sort key, order and page number.
//!
//! Each list stands in the address with parameters of its own.

use std::borrow::Cow;

use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use super::words::count;

/// Rows of a page.
pub(super) const PER_PAGE: usize = 100;

/// By what a list can be sorted.
pub(super) trait SortKey: Copy + Default + PartialEq + 'static {
    const ALL: &'static [Self];
    /// The names of sort, order and page in the address.
    const PARAMETERS: [&'static str; 3];

    fn label(self) -> &'static str;

    /// Names begin with the first, numbers with the largest.
    fn begins_ascending(self) -> bool;
}

/// What of a list is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listing<K> {
    pub(super) sort: K,
    pub(super) is_ascending: bool,
    /// From 1.
    pub(super) page: usize,
}

impl<K: SortKey> Default for Listing<K> {
    fn default() -> Self {
        Self::begun(K::default())
    }
}

impl<K: SortKey> Listing<K> {
    fn begun(sort: K) -> Self {
        Self {
            sort,
            is_ascending: sort.begins_ascending(),
            page: 1,
        }
    }

    /// Of the parameters of an address, of which the last of a name counts.
    pub(super) fn of(parameters: &[(Cow<'_, str>, Cow<'_, str>)]) -> Self {
        let [sort, order, page] = K::PARAMETERS.map(|name| {
            let mut all = parameters.iter().rev();
            all.find(|it| it.0 == name).map_or("", |it| &*it.1)
        });
        let sort = K::ALL.iter().find(|it| it.label() == sort);
        let begun = Self::begun(sort.copied().unwrap_or_default());
        Self {
            is_ascending: match order {
                "asc" => true,
                "desc" => false,
                _ => begun.is_ascending,
            },
            page: page.parse().unwrap_or(1).max(1),
            ..begun
        }
    }

    /// Adds to an address what is not as usual.
    pub(super) fn append(self, query: &mut Serializer<'_, String>) {
        let [sort, order, page] = K::PARAMETERS;
        if self.sort != K::default() {
            query.append_pair(sort, self.sort.label());
        }
        if self.is_ascending != self.sort.begins_ascending() {
            query.append_pair(order, if self.is_ascending { "asc" } else { "desc" });
        }
        if self.page > 1 {
            query.append_pair(page, &self.page.to_string());
        }
    }

    /// The same, sorted by this; sorted so already, the other way round.
    pub(super) fn sorted_by(self, sort: K) -> Self {
        let mut sorted = Self::begun(sort);
        if self.sort == sort {
            sorted.is_ascending = !self.is_ascending;
        }
        sorted
    }

    pub(super) fn on_page(self, page: usize) -> Self {
        Self { page, ..self }
    }

    /// The page that is shown of so many rows, and how many pages there are.
    pub(super) fn page_of(self, rows: usize) -> (usize, usize) {
        let pages = rows.div_ceil(PER_PAGE).max(1);
        (self.page.min(pages), pages)
    }

    /// The heading of a column; `to` is where a click on it leads.
    pub(super) fn heading(self, sort: K, heading: &str, tip: &str, to: &str) -> Markup {
        let sorted = (self.sort == sort).then_some(match self.is_ascending {
            true => "ascending",
            false => "descending",
        });
        html! {
            th scope="col" aria-sort=[sorted] {
                a href=(to) title=(tip) {
                    (heading)
                    span .arrow aria-hidden="true" {
                        (match sorted { Some("ascending") => "▲", Some(_) => "▼", None => "" })
                    }
                }
            }
        }
    }
}

/// The links to the other pages; nothing where there is one page. `to` is the address of a page.
pub(super) fn pager(
    label: &str,
    (page, pages): (usize, usize),
    to: impl Fn(usize) -> String,
) -> Markup {
    let link = |page: usize, words: &str, is_there: bool| {
        html! {
            @if is_there { a href=(to(page)) { (words) } } @else { span .quiet { (words) } }
        }
    };
    html! {
        @if pages > 1 {
            nav .pager aria-label=(label) {
                (link(1, "First", page > 1))
                (link(page.saturating_sub(1), "Previous", page > 1))
                span { "Page " (count(page as u64)) " of " (count(pages as u64)) }
                (link(page + 1, "Next", page < pages))
                (link(pages, "Last", page < pages))
            }
        }
    }
}

/// The rows of a page, counted from 1.
pub(super) fn rows_of<T>(all: &[T], page: usize) -> impl Iterator<Item = &T> {
    all.iter().skip((page - 1) * PER_PAGE).take(PER_PAGE)
}
