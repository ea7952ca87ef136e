//! What does not work as it should: the sentences of `/readyz`.

use maud::{Markup, html};

use super::super::readiness::Readiness;
use super::words::shown;

/// Sentences that are shown; `/readyz` has all.
const SHOWN_MAX: usize = 12;

/// Letters of one that are shown: it may name five destinations of 255 bytes.
const CHARS_MAX: usize = 600;

pub(super) fn section(readiness: &Readiness) -> Markup {
    let all = sentences(readiness);
    html! {
        section #troubles .card .troubles aria-labelledby="troubles-title" data-count=(all.len()) {
            h2 #troubles-title { "Troubles" }
            @if all.is_empty() {
                p .quiet { "None: nothing is short, and nobody has stood still for long." }
            } @else {
                ul {
                    @for sentence in all.iter().take(SHOWN_MAX) {
                        li { bdi { (sentence) } }
                    }
                    @if all.len() > SHOWN_MAX {
                        li { (all.len() - SHOWN_MAX) " more: " a .raw href="/readyz" { "/readyz" } }
                    }
                }
            }
        }
    }
}

/// The worst first.
pub(super) fn sentences(readiness: &Readiness) -> Vec<String> {
    let unready = readiness.unready.iter();
    let all = unready.chain(&readiness.degraded);
    all.map(|it| cut(&shown(it))).collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
