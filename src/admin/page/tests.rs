use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::http::HeaderValue;

use super::super::{AdminState, Names, Shown, lock, testing};
use super::*;
use crate::clock::Now;
use crate::destinations::{DestinationState, Report, SubscriberState};
use crate::latency::{Interval, Stage, Totals};
use crate::limits::{EVENT_LEN_MAX, LEVELS_MAX, RECENT_STEPS};

/// Names as bad as they may be: markup, marks that turn the direction, 255 bytes of them.
struct Hostile;

impl Names for Hostile {
    fn destination(&self, index: u32) -> String {
        let name = format!("<script>alert({index})</script>\u{202e}\"'&");
        format!("{name}{}", "\u{202e}".repeat((255 - name.len()) / 3))
    }
    fn message_type(&self, _: u16) -> String {
        "<img src=x onerror=alert(1)>".to_owned()
    }
}

struct Numbered;

impl Names for Numbered {
    fn destination(&self, index: u32) -> String {
        format!("table{index:05}")
    }
    fn message_type(&self, _: u16) -> String {
        "lunch".to_owned()
    }
}

/// So many destinations at so many levels, each with messages that wait, ten minutes after the start.
fn crowd(count: u32, levels: u8, names: impl Names + 'static) -> AdminState {
    let mut interval = Interval::new(levels, count as usize);
    for level in 1..=levels {
        for destination in 0..count.min(100) {
            for stage in Stage::ALL {
                let ns = 1_000 << (destination % 20);
                interval.record(stage, level, destination, ns, 3 + destination);
            }
        }
    }
    let mut shown = Shown::new(Totals::new(levels, count as usize), 4);
    let at = |second: u64| Now {
        ns: second * 1_000_000_000,
        steady_us: second * 1_000_000,
        epoch_us: 1_700_000_000_000_000 + second * 1_000_000,
    };
    let states = (0..count).map(|index| {
        let mut state = DestinationState {
            accepted: u64::from(index),
            oldest_wait_ms: Some(u64::from(index)),
            queued_max: 1_000_000_000,
            subscriber: (index % 2 == 0).then(|| SubscriberState {
                peer: Some(([10, 0, 0, 7], 4312).into()),
                ..SubscriberState::default()
            }),
            ..DestinationState::default()
        };
        state.queued[..usize::from(levels)].fill(index);
        state
    });
    let mut report = Report {
        states: states.collect(),
        retired: Vec::new(),
        released: Vec::new(),
        completed_at: None,
    };
    let state = AdminState {
        names: Arc::new(names),
        ..testing::state()
    };
    for second in 0..=RECENT_STEPS as u64 * 10 {
        report.completed_at = Some(at(second));
        if second % 10 == 5 {
            shown.merge(&interval);
        }
        shown
            .flow
            .sample(&state.counters.snapshot(), Some(second), at(second));
        shown.recent.advance(at(second));
        if second + 2 > RECENT_STEPS as u64 * 10 {
            shown.destinations.update(&report);
        }
    }
    let all = shown.destinations.all();
    (shown.alarms).update(&state.counters, Vec::new(), all, &*state.names, at(600));
    AdminState {
        shown: Arc::new(Mutex::new(shown)),
        ..state
    }
}

fn text_of(response: Response) -> (StatusCode, String) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let status = response.status();
    let bytes = runtime
        .block_on(to_bytes(response.into_body(), usize::MAX))
        .unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn a_hostile_name_is_text_wherever_it_stands() {
    let state = crowd(200, 3, Hostile);
    let id = state.names.destination(7);
    let one = View::default().of_destination(Some(&id)).address();
    for address in ["/", "/?q=script&sort=name", "/?page=2", one.as_str()] {
        let query = address.split_once('?').map(|(_, it)| it);
        let (status, html) = text_of(page(&state, query));
        assert_eq!(status, StatusCode::OK, "{address}");
        assert!(!html.contains("<script>") && !html.contains("<img src=x"));
        assert!(!html.contains('\u{202e}'));
        assert!(html.contains("&lt;script&gt;alert(") && html.contains("\\u{202e}"));
        // The page's own script is by address; nothing is written into it.
        assert_eq!(html.matches("<script").count(), 1);
        assert!(!html.contains("style=\"") && !html.contains(" onclick"));
    }
    let searched = View {
        search: "\"><script>x</script>".to_owned(),
        ..View::default()
    };
    let (_, html) = text_of(page(
        &state,
        searched.address().split_once('?').map(|(_, it)| it),
    ));
    assert!(html.contains("value=\"&quot;&gt;&lt;script&gt;x"));
}

#[test]
fn an_event_of_ten_thousand_hostile_destinations_at_eight_levels_is_within_its_limit() {
    let state = crowd(10_000, LEVELS_MAX as u8, Hostile);
    let event = events::event(&state);
    assert!(event.len() <= EVENT_LEN_MAX, "{}", event.len());
    let few = events::event(&crowd(10, 3, Numbered));
    let many = events::event(&crowd(10_000, 3, Numbered));
    let text = std::str::from_utf8(&many).unwrap();
    assert!(
        text.contains("\"latency\":"),
        "at three levels nothing is left out"
    );
    assert!(
        many.len() < few.len() + 2_000,
        "{} {}",
        few.len(),
        many.len()
    );
}

#[test]
fn destinations_are_sorted_searched_and_come_in_pages_of_a_hundred() {
    let state = crowd(10_000, 3, Numbered);
    let ids = |query: &str| {
        let view = View::of(Some(query));
        let table = destinations::Table::of(&state, &view);
        let html = destinations::section(&table, &view).into_string();
        let ids = html.split("class=\"name\" title=\"").skip(1);
        let ids: Vec<_> = ids.map(|it| it[..10].to_owned()).collect();
        (ids, html)
    };
    let (first, html) = ids("");
    assert_eq!(first.len(), listing::PER_PAGE);
    assert_eq!(first[0], "table09999", "who has waited longest");
    assert!(html.contains("Page 1 of 100") && html.contains(">10,000<"));
    let (second, _) = ids("sort=name&page=2");
    assert_eq!(second[0], "table00100");
    let (last, html) = ids("sort=name&page=9999999");
    assert_eq!(last[99], "table09999");
    assert!(html.contains("Page 100 of 100") && html.contains("aria-sort=\"ascending\""));
    let (found, html) = ids("q=TABLE0123&sort=queued");
    assert_eq!(found.len(), 10);
    assert_eq!(found[0], "table01239");
    assert!(html.contains("10 of 10,000"));
    let (none, html) = ids("q=chair");
    assert!(none.is_empty() && html.contains("No destination"));
}

#[test]
fn a_destination_has_a_page_and_one_that_is_not_there_is_told() {
    let state = testing::state();
    let (status, html) = text_of(page(&state, Some("destination=table1")));
    assert_eq!(status, StatusCode::OK);
    for words in ["table1", "10.0.0.7:4312", "breakfast", "120 µs", "level 1"] {
        assert!(html.contains(words), "{words}");
    }
    let (status, html) = text_of(page(&state, Some("destination=chair")));
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(html.contains("There is no destination of this name now"));
}

#[test]
fn the_page_is_for_who_asks_for_it() {
    let wants = |accept: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
        wants_page(&headers)
    };
    assert!(wants("text/html,application/xhtml+xml,*/*;q=0.8"));
    for accept in ["*/*", "application/json", ""] {
        assert!(!wants(accept), "{accept}");
    }
    assert!(!wants_page(&HeaderMap::new()));
}

#[test]
fn what_is_wrong_is_the_verdict() {
    let state = testing::state();
    let html = |state: &AdminState| text_of(page(state, None)).1;
    assert!(html(&state).contains("verdict good\">Well<"));
    let full = crate::counters::Counter::ListenersFull;
    state.counters.set(full, 1);
    let degraded = html(&state);
    assert!(degraded.contains("verdict warn\">Degraded<"));
    assert!(degraded.contains("max_connections"));
    let guard = state.health.alive("scheduler").unwrap();
    drop(guard);
    let dead = html(&state);
    assert!(dead.contains("verdict bad\">Not ready<") && dead.contains("died: scheduler"));
    lock(&state.shown).destinations = Default::default();
    assert!(html(&state).contains("No destination"));
}
