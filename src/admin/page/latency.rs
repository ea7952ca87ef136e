//! How late: percentiles by stage and level; of one stage the curve since the start and the last ten minutes.

use maud::{Markup, html};

use super::super::{AdminState, lock};
use super::charts::{Line, Scale, curves, heat_map, spark};
use super::overview::{Latency, Overview};
use super::view::View;
use super::words::{NONE, count, latency};
use crate::latency::curve::Curve;
use crate::latency::{Stage, Summary, View as Which};

/// What a stage is, in a few words.
fn meaning(stage: Stage) -> &'static str {
    match stage {
        Stage::Ingest => "read to sequenced",
        Stage::Journal => "sequenced to recorded",
        Stage::Queue => "recorded to its turn",
        Stage::Delivery => "its turn to written",
        Stage::Total => "read to written",
    }
}

/// The table, which comes with each event: it is the same for all readers. The script keeps what else a
/// reader looks at when a stage is chosen.
pub(super) fn table(overview: &Overview) -> Markup {
    html! {
        section #latency .card aria-labelledby="latency-title" {
            h2 #latency-title { "Latency" }
            div .scroll tabindex="0" role="region" aria-labelledby="latency-title" {
                table .latencies {
                    (head())
                    @for rows in overview.latencies.chunk_by(|a, b| a.stage == b.stage) {
                        tbody { @for it in rows { (row(it)) } }
                    }
                }
            }
        }
    }
}

fn head() -> Markup {
    html! {
        thead {
            tr {
                td {}
                th scope="colgroup" colspan="5" { "last 10 s" }
                th scope="col" { "p99 over 10 min" }
                th scope="colgroup" colspan="4" { "since the start" }
            }
            tr {
                th scope="col" { "stage" }
                @for it in ["p50", "p99", "p99.9", "longest", "messages"] { th scope="col" { (it) } }
                td {}
                @for it in ["p50", "p99", "longest", "messages"] { th scope="col" { (it) } }
            }
        }
    }
}

fn row(it: &Latency) -> Markup {
    let class = if it.level == 0 { "all" } else { "level" };
    let recent = [
        it.recent.p50_ns,
        it.recent.p99_ns,
        it.recent.p999_ns,
        it.recent.max_ns,
    ];
    let all = [it.all.p50_ns, it.all.p99_ns, it.all.max_ns];
    html! {
        tr .(class) data-key=(format!("{}-{}", it.stage.label(), it.level)) {
            th scope="row" { (label(it)) }
            @for ns in recent { td { (figure(it.recent, ns)) } }
            td { (count(it.recent.count)) }
            td { (spark(&it.p99s, Scale::Logarithmic)) }
            @for ns in all { td { (figure(it.all, ns)) } }
            td { (count(it.all.count)) }
        }
    }
}

fn label(it: &Latency) -> Markup {
    let address = View::default().of_stage(it.stage).address() + "#detail";
    html! {
        @if it.level == 0 {
            a href=(address) data-merge="stage" { (it.stage.label()) }
            span .meaning { (meaning(it.stage)) }
        } @else {
            "level " (it.level)
        }
    }
}

/// A latency, where there is any.
pub(super) fn figure(summary: Summary, ns: u64) -> String {
    match summary.count {
        0 => NONE.to_owned(),
        _ => latency(ns),
    }
}

/// One stage: its curves, and its steps.
pub(super) struct Detail {
    lines: Vec<Line>,
    map: Option<Markup>,
}

impl Detail {
    pub(super) fn of(state: &AdminState, view: &View) -> Self {
        let (stage, shown) = (view.stage, lock(&state.shown));
        let levels = (1..=shown.totals.levels()).map(|it| Which::Level(stage, it));
        let lines = [Which::Stage(stage)].into_iter().chain(levels);
        let lines = lines.map(|which| Line {
            label: match which {
                Which::Level(_, level) => format!("level {level}"),
                _ => "all levels".to_owned(),
            },
            curve: Curve::of(&shown.totals.histogram(which), 0.001),
        });
        let words = format!(
            "Latency of stage {} over the last ten minutes",
            stage.label()
        );
        Self {
            lines: lines.collect(),
            map: heat_map(&words, shown.recent.steps(), stage),
        }
    }
}

pub(super) fn detail(detail: &Detail, view: &View) -> Markup {
    let stage = view.stage;
    let words = format!(
        "Latency by percentile of stage {}, since the start",
        stage.label()
    );
    let nothing = html! { p .quiet { "Nothing was delivered yet." } };
    html! {
        section #detail .card data-part="detail" data-every="10" aria-labelledby="detail-title" {
            div .bar {
                h2 #detail-title { "Latency of " (stage.label()) ": " (meaning(stage)) }
                nav aria-label="Stage" { (tabs(view)) }
            }
            div .pair {
                figure {
                    figcaption { "By percentile, since the start" }
                    (curves(&words, &detail.lines).unwrap_or_else(|| nothing.clone()))
                }
                figure {
                    figcaption { "Over the last ten minutes" }
                    (detail.map.as_ref().unwrap_or(&nothing))
                }
            }
            p .quiet .raw {
                "Files: "
                a href=(format!("/histograms/{}.svg", stage.label())) { "picture" } ", "
                a href=(format!("/histograms/{}.hgrm", stage.label())) { "percentiles" } ", "
                a href="/histograms" { "all histograms" }
            }
        }
    }
}

fn tabs(view: &View) -> Markup {
    html! {
        ul .tabs {
            @for stage in Stage::ALL {
                @let address = view.of_stage(stage).address() + "#detail";
                li {
                    a href=(address) aria-current=[(stage == view.stage).then_some("true")] {
                        (stage.label())
                    }
                }
            }
        }
    }
}
