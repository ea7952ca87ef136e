//! The crate's text as scrapers ask for it: the classic format by default, OpenMetrics on request.
//!
//! The crate writes OpenMetrics alone. The classic format names a counter with its `_total` in HELP
//! and TYPE too, and has no `# EOF`. The crate has no summaries either: one is encoded as three
//! families of gauges for each set of labels, whose heads become one here.

use axum::http::{HeaderMap, header};

/// The summary: quantiles under this name, with `_sum` and `_count`.
const SUMMARY: &str = "flipped_lb_latency_seconds";

/// How a scraper wants the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin) enum Format {
    /// Prometheus' own, version 0.0.4.
    Classic,
    OpenMetrics,
}

impl Format {
    /// By what the request accepts; the classic one unless OpenMetrics is asked for.
    pub(in crate::admin) fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get_all(header::ACCEPT).iter();
        let accept: Vec<_> = accept.filter_map(|it| it.to_str().ok()).collect();
        let weight = |media| {
            let ranges = accept.iter().flat_map(|it| it.split(','));
            let weights = ranges.filter_map(|range| weight(range, media));
            weights.fold(0.0, f32::max)
        };
        let open = weight("application/openmetrics-text");
        match open > 0.0 && open >= weight("text/plain") {
            true => Self::OpenMetrics,
            false => Self::Classic,
        }
    }

    /// What the answer's `Content-Type` says.
    pub(in crate::admin) fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a range of an `Accept` header gives a media type; `None`: the range is another's.
fn weight(range: &str, media: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(media) {
        return None;
    }
    let q = parts.find_map(|it| it.strip_prefix("q="));
    Some(q.and_then(|it| it.parse().ok()).unwrap_or(1.0))
}

/// The crate's text in this format.
pub(super) fn translate(encoded: &str, format: Format) -> String {
    let mut out = String::with_capacity(encoded.len() + encoded.len() / 8);
    let mut help = None;
    let mut has_summary = false;
    for line in encoded.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, words)| words);
        } else if let Some((name, kind)) = head(line) {
            let words = help.take().unwrap_or_default();
            if !is_summary(name) {
                push_head(&mut out, name, kind, words, format);
            } else if !std::mem::replace(&mut has_summary, true) {
                push_head(&mut out, name, "summary", words, format);
            }
        } else {
            push_line(&mut out, &[line]);
        }
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

/// Name and type of a family.
fn head(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("# TYPE ")?.split_once(' ')
}

fn is_summary(name: &str) -> bool {
    matches!(
        name.strip_prefix(SUMMARY),
        Some("") | Some("_sum" | "_count")
    )
}

fn push_head(out: &mut String, name: &str, kind: &str, help: &str, format: Format) {
    let suffix = match format {
        Format::Classic if kind == "counter" => "_total",
        _ => "",
    };
    push_line(out, &["# HELP ", name, suffix, " ", help]);
    push_line(out, &["# TYPE ", name, suffix, " ", kind]);
}

fn push_line(out: &mut String, parts: &[&str]) {
    out.extend(parts.iter().copied());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(accept: &[&str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        Format::of(&headers)
    }

    #[test]
    fn the_classic_format_is_the_default() {
        for accept in [
            &[][..],
            &["*/*"],
            &["text/plain"],
            &["text/html, application/xhtml+xml"],
            &["application/openmetrics-text;q=0"],
            &["text/plain, application/openmetrics-text;q=0.5"],
            &["\u{e9}"],
        ] {
            assert_eq!(of(accept), Format::Classic, "{accept:?}");
        }
    }

    #[test]
    fn openmetrics_is_served_to_whoever_asks_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for accept in [
            &[prometheus][..],
            &["application/openmetrics-text"],
            &["Application/OpenMetrics-Text; version=1.0.0; charset=utf-8"],
            &["text/plain;q=0.5", "application/openmetrics-text"],
        ] {
            assert_eq!(of(accept), Format::OpenMetrics, "{accept:?}");
        }
    }

    const ENCODED: &str = "\
# HELP flipped_lb_received Lines.
# TYPE flipped_lb_received counter
flipped_lb_received_total 20
# HELP flipped_lb_latency_seconds Time.
# TYPE flipped_lb_latency_seconds gauge
flipped_lb_latency_seconds{stage=\"a\",quantile=\"0.5\"} 1.0
# HELP flipped_lb_latency_seconds_sum Time.
# TYPE flipped_lb_latency_seconds_sum gauge
flipped_lb_latency_seconds_sum{stage=\"a\"} 2.0
# HELP flipped_lb_latency_seconds Time.
# TYPE flipped_lb_latency_seconds gauge
flipped_lb_latency_seconds{stage=\"b\",quantile=\"0.5\"} 1.0
";

    #[test]
    fn counters_keep_their_names_and_a_summary_has_one_head() {
        let classic = translate(ENCODED, Format::Classic);
        let expected = "\
# HELP flipped_lb_received_total Lines.
# TYPE flipped_lb_received_total counter
flipped_lb_received_total 20
# HELP flipped_lb_latency_seconds Time.
# TYPE flipped_lb_latency_seconds summary
flipped_lb_latency_seconds{stage=\"a\",quantile=\"0.5\"} 1.0
flipped_lb_latency_seconds_sum{stage=\"a\"} 2.0
flipped_lb_latency_seconds{stage=\"b\",quantile=\"0.5\"} 1.0
";
        assert_eq!(classic, expected);
        let open = translate(ENCODED, Format::OpenMetrics);
        assert!(open.starts_with("# HELP flipped_lb_received Lines.\n"));
        assert!(open.ends_with("quantile=\"0.5\"} 1.0\n# EOF\n"), "{open}");
    }
}
