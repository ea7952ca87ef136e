//! What was found: a verdict, the fact, and what to do about it; as text and as JSON.

use std::fmt::Write as _;

use serde_json::json;

/// Columns of the verdict and the subject.
const WIDTHS: (usize, usize) = (8, 14);

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing to do.
    Ok,
    /// The system does not say.
    Unknown,
    /// It works, and could be faster or steadier.
    Warn,
    /// It will not work as the settings say.
    Bad,
}

impl Verdict {
    pub(super) fn label(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Unknown => "unknown",
            Verdict::Warn => "warn",
            Verdict::Bad => "bad",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) subject: &'static str,
    pub(super) verdict: Verdict,
    /// The fact.
    pub(super) found: String,
    /// What to do; nothing where all is well.
    pub(super) advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self {
            subject,
            verdict: Verdict::Ok,
            found: found.into(),
            advice: None,
        }
    }

    /// `what` is where the answer should have stood.
    pub(super) fn unknown(subject: &'static str, what: &str) -> Self {
        Self {
            subject,
            verdict: Verdict::Unknown,
            found: format!("{what} cannot be read here"),
            advice: None,
        }
    }

    pub(super) fn warn(
        subject: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            subject,
            verdict: Verdict::Warn,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    pub(super) fn bad(
        subject: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Bad,
            ..Self::warn(subject, found, advice)
        }
    }
}

/// A line a finding, and one below it that says what to do.
pub(super) fn text(findings: &[Finding]) -> String {
    let (verdicts, subjects) = WIDTHS;
    let mut text = String::new();
    for it in findings {
        let (verdict, subject, found) = (it.verdict.label(), it.subject, &it.found);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{verdict:<verdicts$} {subject:<subjects$} {found}");
        if let Some(advice) = &it.advice {
            let _ = writeln!(text, "{:<verdicts$} {:<subjects$} -> {advice}", "", "");
        }
    }
    text
}

/// One object: `{"findings":[{"subject":..,"verdict":..,"found":..,"advice":..}]}`.
pub(super) fn json(findings: &[Finding]) -> String {
    let list: Vec<_> = findings
        .iter()
        .map(|it| {
            json!({
                "subject": it.subject,
                "verdict": it.verdict.label(),
                "found": it.found,
                "advice": it.advice,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "findings": list }))
}
