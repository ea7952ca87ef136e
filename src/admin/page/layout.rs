//! What is around the sections: head, heading, footer; and the page that asks for a token.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::assets::{icon, script, style, version};
use super::overview::Overview;
use super::words::lasting;

/// How a page that cannot run scripts is kept fresh, in seconds.
const RELOAD: &str = "10";

/// The sections, by their ids, for those who jump to them.
const SECTIONS: [(&str, &str); 5] = [
    ("/#overview", "Overview"),
    ("/#destinations", "Destinations"),
    ("/#latency", "Latency"),
    ("/#sources", "Sources"),
    ("/#storage", "Journal and store"),
];

pub(super) fn page(title: &str, overview: &Overview, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-version=(version()) {
            (head(title, true))
            body {
                a .skip href="#main" { "Skip to the figures" }
                header {
                    a .brand href="/" { img src=(icon().path()) alt="" width="28" height="28"; "Flipped Load Balancer" }
                    nav aria-label="Sections" {
                        ul { @for (href, words) in SECTIONS { li { a href=(href) { (words) } } } }
                    }
                    (state(overview))
                    (theme_button())
                }
                p #lost role="alert" hidden {}
                main #main tabindex="-1" { (main) }
                (foot(overview))
            }
        }
    }
}

fn head(title: &str, is_fresh: bool) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) }
            link rel="icon" type="image/svg+xml" href=(icon().path());
            link rel="stylesheet" href=(style().path());
            script src=(script().path()) {}
            @if is_fresh {
                noscript { meta http-equiv="refresh" content=(RELOAD); }
            }
        }
    }
}

/// How it is, in a word, and for how long it has run. It comes with each event.
pub(super) fn state(overview: &Overview) -> Markup {
    let (word, class) = overview.verdict();
    html! {
        div #state {
            span .pill .(class) role="status" { (word) }
            span .quiet {
                (overview.phase.label()) ", up " (lasting(overview.uptime.as_nanos() as u64))
            }
        }
    }
}

/// It does nothing without the script, which shows it.
fn theme_button() -> Markup {
    html! { button #theme type="button" hidden { "Theme: system" } }
}

fn foot(overview: &Overview) -> Markup {
    html! {
        footer {
            p {
                "flipped-lb " (overview.version) ", durability " (overview.durability) ", "
                (overview.threading_mode) " threads. Times are UTC."
            }
            p .raw {
                "The same for programs: "
                a href="/stats" { "/stats" } ", "
                a href="/history" { "/history" } ", "
                a href="/destinations" { "/destinations" } ", "
                a href="/metrics" { "/metrics" } ", "
                a href="/histograms" { "/histograms" } ", "
                a href="/readyz" { "/readyz" }
            }
            noscript { p { "Without scripts this page loads itself anew every " (RELOAD) " s." } }
        }
    }
}

/// The page that asks for a token. It has no figures. The script shows the token in its own requests, and
/// keeps it nowhere else.
pub(super) fn sign_in(words: &str) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" data-version=(version()) {
            (head("Flipped Load Balancer", false))
            body {
                main #main .sign-in tabindex="-1" {
                    form #sign-in .card action="/" method="get" {
                        img src=(icon().path()) alt="" width="48" height="48";
                        h1 { "Flipped Load Balancer" }
                        p { "This engine has users. Show the token of one with the right " code { "may_admin" } "." }
                        label for="token" { "Token" }
                        input #token type="password" autocomplete="off" required;
                        button type="submit" { "Show the page" }
                        p #refused role="alert" {}
                        p .quiet { "It stays in the memory of this page: reload it, and you are asked again." }
                        noscript { p { "This needs the page's script. Programs: " (words) } }
                    }
                }
            }
        }
    };
    let head = [(header::WWW_AUTHENTICATE, "Bearer realm=\"flipped-lb\"")];
    (StatusCode::UNAUTHORIZED, head, page).into_response()
}
