//! What was found: a verdict, the fact, why it matters and what to do; as text and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::fix::Fix;

/// Columns of the verdict and the subject.
const WIDTHS: (usize, usize) = (8, 14);

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing to do.
    Good,
    /// The system does not say.
    Unknown,
    /// It works, and could be faster or steadier.
    Fair,
    /// It will not work as the settings say.
    Bad,
}

impl Verdict {
    pub(super) fn label(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Unknown => "unknown",
            Verdict::Fair => "fair",
            Verdict::Bad => "bad",
        }
    }
}

/// One subject of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) subject: &'static str,
    pub(super) verdict: Verdict,
    /// The fact.
    pub(super) found: String,
    /// Why it matters.
    pub(super) why: Option<String>,
    /// What to do; nothing where all is well.
    pub(super) advice: Option<String>,
    /// The commands that do it.
    pub(super) fixes: Vec<Fix>,
}

impl Finding {
    pub(super) fn good(subject: &'static str, found: impl Into<String>) -> Self {
        Self {
            subject,
            verdict: Verdict::Good,
            found: found.into(),
            why: None,
            advice: None,
            fixes: Vec::new(),
        }
    }

    /// `what` is where the answer should have stood.
    pub(super) fn unknown(subject: &'static str, what: &str) -> Self {
        Self {
            verdict: Verdict::Unknown,
            ..Self::good(subject, format!("{what} cannot be read here"))
        }
    }

    pub(super) fn fair(
        subject: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Fair,
            advice: Some(advice.into()),
            ..Self::good(subject, found)
        }
    }

    pub(super) fn bad(
        subject: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Bad,
            ..Self::fair(subject, found, advice)
        }
    }

    /// Says why it matters.
    pub(super) fn because(self, why: impl Into<String>) -> Self {
        let why = Some(why.into());
        Self { why, ..self }
    }

    /// Says which commands mend it; nothing where all is well.
    pub(super) fn fixed_by(self, fixes: impl IntoIterator<Item = Fix>) -> Self {
        match self.verdict {
            Verdict::Good | Verdict::Unknown => self,
            Verdict::Fair | Verdict::Bad => Self {
                fixes: fixes.into_iter().collect(),
                ..self
            },
        }
    }
}

/// A line a finding; below it, where there is something to do, why and what.
pub(super) fn text(findings: &[Finding]) -> String {
    let (verdicts, subjects) = WIDTHS;
    let mut text = String::new();
    for it in findings {
        let (verdict, subject, found) = (it.verdict.label(), it.subject, &it.found);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{verdict:<verdicts$} {subject:<subjects$} {found}");
        let Some(advice) = &it.advice else {
            continue;
        };
        if let Some(why) = &it.why {
            let _ = writeln!(text, "{:<verdicts$} {:<subjects$} why: {why}", "", "");
        }
        let _ = writeln!(text, "{:<verdicts$} {:<subjects$} -> {advice}", "", "");
    }
    text
}

/// One object of findings, each with its subject, verdict, what was found, why, advice and
/// commands, and of hiccups by core.
pub(super) fn json(findings: &[Finding], hiccups: Value) -> String {
    let list: Vec<_> = findings
        .iter()
        .map(|it| {
            let commands: Vec<String> = it.fixes.iter().map(Fix::command).collect();
            json!({
                "subject": it.subject,
                "verdict": it.verdict.label(),
                "found": it.found,
                "why": it.why,
                "advice": it.advice,
                "commands": commands,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "findings": list, "hiccups": hiccups }))
}
