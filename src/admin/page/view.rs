//! What a reader looks at: the query of the page's address. Unknown parameters and values are ignored.

use url::form_urlencoded;

use super::listing::{Listing, SortKey};
use crate::latency::Stage;

/// Letters of a search that are looked at.
const SEARCH_CHARS_MAX: usize = 255;

/// By what destinations are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sort {
    Name,
    Queued,
    InFlight,
    #[default]
    Wait,
    In,
    Out,
    Standbys,
    Redelivered,
}

impl SortKey for Sort {
    const ALL: &'static [Self] = &[
        Self::Name,
        Self::Queued,
        Self::InFlight,
        Self::Wait,
        Self::In,
        Self::Out,
        Self::Standbys,
        Self::Redelivered,
    ];
    const PARAMETERS: [&'static str; 3] = ["sort", "order", "page"];

    fn label(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Queued => "queued",
            Self::InFlight => "in_flight",
            Self::Wait => "wait",
            Self::In => "in",
            Self::Out => "out",
            Self::Standbys => "standbys",
            Self::Redelivered => "redelivered",
        }
    }

    fn begins_ascending(self) -> bool {
        self == Self::Name
    }
}

/// By what sources are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SourceSort {
    Name,
    /// Those that are not connected first.
    #[default]
    State,
    Since,
    Lines,
    Rejected,
    Waits,
}

impl SortKey for SourceSort {
    const ALL: &'static [Self] = &[
        Self::Name,
        Self::State,
        Self::Since,
        Self::Lines,
        Self::Rejected,
        Self::Waits,
    ];
    const PARAMETERS: [&'static str; 3] = ["sources", "sources_order", "sources_page"];

    fn label(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::State => "state",
            Self::Since => "since",
            Self::Lines => "lines",
            Self::Rejected => "rejected",
            Self::Waits => "waits",
        }
    }

    fn begins_ascending(self) -> bool {
        self == Self::Name
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) search: String,
    pub(super) destinations: Listing<Sort>,
    /// Whose curve and map are shown.
    pub(super) stage: Stage,
    pub(super) sources: Listing<SourceSort>,
    /// The only destination that is looked at.
    pub(super) destination: Option<String>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            search: String::new(),
            destinations: Listing::default(),
            stage: Stage::Total,
            sources: Listing::default(),
            destination: None,
        }
    }
}

impl View {
    /// Of the part of an address behind the question mark.
    pub(super) fn of(query: Option<&str>) -> Self {
        let parameters = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let parameters: Vec<_> = parameters.collect();
        let mut view = Self {
            destinations: Listing::of(&parameters),
            sources: Listing::of(&parameters),
            ..Self::default()
        };
        for (key, value) in parameters {
            match &*key {
                "q" => view.search = value.trim().chars().take(SEARCH_CHARS_MAX).collect(),
                "stage" => {
                    let mut all = Stage::ALL.into_iter();
                    let found = all.find(|it| it.label() == value);
                    view.stage = found.unwrap_or(Stage::Total);
                }
                "destination" => view.destination = Some(value.into_owned()),
                _ => {}
            }
        }
        view
    }

    /// Its address; what is as usual is left out.
    pub(super) fn address(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(id) = &self.destination {
            query.append_pair("destination", id);
        }
        if !self.search.is_empty() {
            query.append_pair("q", &self.search);
        }
        self.destinations.append(&mut query);
        if self.stage != Stage::Total {
            query.append_pair("stage", self.stage.label());
        }
        self.sources.append(&mut query);
        let query = query.finish();
        match query.as_str() {
            "" => "/".to_owned(),
            query => format!("/?{query}"),
        }
    }

    pub(super) fn of_destinations(&self, destinations: Listing<Sort>) -> Self {
        Self {
            destinations,
            ..self.clone()
        }
    }

    pub(super) fn of_sources(&self, sources: Listing<SourceSort>) -> Self {
        Self {
            sources,
            ..self.clone()
        }
    }

    pub(super) fn of_stage(&self, stage: Stage) -> Self {
        Self {
            stage,
            ..self.clone()
        }
    }

    pub(super) fn of_destination(&self, destination: Option<&str>) -> Self {
        Self {
            destination: destination.map(str::to_owned),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(sort: Sort, page: usize) -> View {
        View::default().of_destinations(Listing::default().sorted_by(sort).on_page(page))
    }

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for view in [
            View::default(),
            by(Sort::Name, 7),
            by(Sort::Wait, 1),
            View::default().of_stage(Stage::Queue),
            View::default().of_sources(Listing::default().sorted_by(SourceSort::Lines).on_page(3)),
            View::default().of_sources(Listing::default().sorted_by(SourceSort::State)),
            View {
                search: "a&b=c #é%".to_owned(),
                destination: Some("../?x=<script>\u{202e}".to_owned()),
                ..by(Sort::Queued, 1)
            },
        ] {
            let address = view.address();
            let query = address.split_once('?').map(|(_, it)| it);
            assert_eq!(View::of(query), view, "{address}");
        }
        assert_eq!(View::default().address(), "/");
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        let view = View::of(Some(
            "sort=size&order=up&page=-1&stage=x&y=1&page=0&%ff=%ff&q",
        ));
        assert_eq!(view, View::default());
        assert_eq!(View::of(None), View::default());
        let long = format!("q={}", "x".repeat(9_000));
        assert_eq!(View::of(Some(&long)).search.len(), SEARCH_CHARS_MAX);
    }

    #[test]
    fn the_second_click_turns_the_order() {
        let first = Listing::default().sorted_by(Sort::Queued);
        assert!(!first.is_ascending);
        assert!(first.sorted_by(Sort::Queued).is_ascending);
        assert!(Listing::default().sorted_by(Sort::Name).is_ascending);
    }
}
