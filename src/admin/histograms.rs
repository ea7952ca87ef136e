//! `/histograms`: what there is, and each of it as percentiles, as an interval log and as a picture.
//!
//! The HTTP server asks for it; it reads the monitor's totals. It holds their lock only while it copies
//! the bins that it needs, and draws afterwards.
//!
//! ```text
//! {"histograms":[{"name":"total.hgrm","count":..,"hlog":"total.hlog","svg":"total.svg"}, ..],
//!  "hlog":"latency.hlog",     every histogram, by its tag
//!  "svg":"latency.svg"}       all stages in one picture
//! ```

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::{AdminState, lock};
use crate::latency::curve::Curve;
use crate::latency::plot::{PlotError, plot};
use crate::latency::{HlogEncoder, Span, Stage, Totals, View, write_hgrm};

/// What the files with everything in them are called, without their ending.
const ALL: &str = "latency";

const US_PER_NS: f64 = 0.001;

/// A body and what it is.
pub(super) struct Served {
    pub(super) content_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn index(state: &AdminState) -> Value {
    let totals = &lock(&state.shown).totals;
    let list: Vec<_> = totals
        .views()
        .into_iter()
        .map(|view| {
            let tag = view.tag(&*state.names);
            json!({
                "name": view.name(&*state.names),
                "count": totals.count(view),
                "hlog": format!("{tag}.hlog"),
                "svg": format!("{tag}.svg"),
            })
        })
        .collect();
    json!({
        "histograms": list,
        "hlog": format!("{ALL}.hlog"),
        "svg": format!("{ALL}.svg"),
    })
}

/// The file of that name; `None`: there is no such one.
pub(super) fn file(state: &AdminState, name: &str) -> Option<Result<Served, PlotError>> {
    let (tag, ending) = name.rsplit_once('.')?;
    match ending {
        "hgrm" => {
            let mut bytes = Vec::new();
            let (_, histogram) = one(state, tag)?;
            write_hgrm(&histogram, &mut bytes).expect("a Vec takes everything");
            Some(Ok(plain(bytes)))
        }
        "hlog" if tag == ALL => Some(Ok(log(state, &tagged(state, Totals::views)))),
        "hlog" => Some(Ok(log(state, &[one(state, tag)?]))),
        "svg" if tag == ALL => {
            let stages = tagged(state, |_| Stage::ALL.map(View::Stage).to_vec());
            Some(picture("Latency by percentile and stage", &stages))
        }
        "svg" => Some(picture("Latency by percentile", &[one(state, tag)?])),
        _ => None,
    }
}

type Tagged = (String, Histogram<u64>);

fn tagged(state: &AdminState, choose: impl FnOnce(&Totals) -> Vec<View>) -> Vec<Tagged> {
    let totals = &lock(&state.shown).totals;
    choose(totals)
        .into_iter()
        .map(|view| (view.tag(&*state.names), totals.histogram(view)))
        .filter(|(_, histogram)| !histogram.is_empty())
        .collect()
}

/// The histogram of that tag.
fn one(state: &AdminState, tag: &str) -> Option<Tagged> {
    let totals = &lock(&state.shown).totals;
    let mut all = totals.views().into_iter();
    let view = all.find(|view| view.tag(&*state.names) == tag)?;
    Some((tag.to_owned(), totals.histogram(view)))
}

fn plain(bytes: Vec<u8>) -> Served {
    Served {
        content_type: "text/plain; charset=utf-8",
        bytes,
    }
}

/// One interval, from the start until now.
fn log(state: &AdminState, histograms: &[Tagged]) -> Served {
    let length = state.facts.started.elapsed();
    let start = Duration::ZERO;
    let base = SystemTime::now()
        .checked_sub(length)
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let mut encoder = HlogEncoder::default();
    let mut bytes = encoder.header(base);
    for (tag, histogram) in histograms {
        bytes.extend(encoder.line(tag, Span { start, length }, histogram));
    }
    plain(bytes)
}

fn picture(title: &str, histograms: &[Tagged]) -> Result<Served, PlotError> {
    let curves: Vec<_> = histograms
        .iter()
        .map(|(tag, it)| (tag.clone(), Curve::of(it, US_PER_NS)))
        .collect();
    Ok(Served {
        content_type: "image/svg+xml",
        bytes: plot(title, &curves)?.into_bytes(),
    })
}
