//! The engine as its admin address shows it: three questions a round.

use std::time::Duration;

use super::super::client::{AdminArgs, Http, UserArgs, wants_token};
use super::snapshot::{Page, Snapshot};
use crate::cli::Failure;

/// How long one question may take: an engine that is well answers within milliseconds.
const ANSWER: Duration = Duration::from_secs(2);

/// Destinations of one answer: some 200 KB.
const PAGE: u64 = 500;

/// Answers of `/destinations` at most: 50,000 destinations, more than a list is read for.
const PAGES_MAX: usize = 100;

/// Why there is nothing to show, in words.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// The engine answers, and wants a token or a right.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Failed(String),
}

#[derive(Debug)]
pub(super) struct Engine {
    http: Http,
}

impl Engine {
    /// # Errors
    /// As [`UserArgs::http`] has them.
    pub(super) fn new(args: &UserArgs) -> Result<Self, Failure> {
        let http = args.http(AdminArgs::place, "set it, or give --admin", ANSWER)?;
        Ok(Self { http })
    }

    pub(super) fn address(&self) -> &str {
        self.http.address()
    }

    /// Asks for all that is shown.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub(super) fn snapshot(&self) -> Result<Snapshot, NoAnswer> {
        let (stats, readiness) = (self.get("/stats")?, self.get("/readyz")?);
        let mut customers = Vec::new();
        let mut next = Some(0);
        for _ in 0..PAGES_MAX {
            let Some(after) = next else { break };
            let page = self.get(&format!("/destinations?limit={PAGE}&after={after}"))?;
            let page: Page = serde_json::from_str(&page).map_err(not_an_engine)?;
            customers.extend(page.destinations);
            next = page.next.filter(|&next| next > after);
        }
        Snapshot::of(&stats, &readiness, customers).map_err(not_an_engine)
    }

    fn get(&self, path: &str) -> Result<String, NoAnswer> {
        let (status, text) = self.http.get(path).map_err(NoAnswer::Failed)?;
        match status {
            // That is how it says that it is not ready.
            200 | 503 => Ok(text),
            401 | 403 => Err(NoAnswer::Refused(wants_token(&text))),
            status => Err(NoAnswer::Failed(format!(
                "it answers {status} to {path}: it is no engine's [admin] listen"
            ))),
        }
    }
}

fn not_an_engine(error: serde_json::Error) -> NoAnswer {
    NoAnswer::Failed(format!("its answer is not an engine's ({error})"))
}
