//! The engine as its admin address shows it: three questions a round.

use std::time::Duration;

use super::snapshot::{Page, Snapshot};
use crate::access::Token;
use crate::escape::Escaped;

/// How long one question may take: an engine that is well answers within milliseconds.
const ANSWER: Duration = Duration::from_secs(2);

/// Destinations of one answer: some 200 KB.
const PAGE: u64 = 500;

/// Answers of `/destinations` at most: 50,000 destinations, more than a list is read for.
const PAGES_MAX: usize = 100;

#[derive(Debug)]
pub(super) struct Engine {
    address: String,
    /// Of a user, for engines that have users.
    token: Option<Token>,
    agent: ureq::Agent,
}

impl Engine {
    pub(super) fn new(address: String, token: Option<Token>) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER))
            .http_status_as_error(false)
            .build();
        Self {
            address,
            token,
            agent: agent.into(),
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Asks for all that is shown.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub(super) fn snapshot(&self) -> Result<Snapshot, String> {
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

    fn get(&self, path: &str) -> Result<String, String> {
        let url = format!("http://{}{path}", self.address);
        let mut request = self.agent.get(&url);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.reveal()));
        }
        let answer = request.call();
        let mut answer = answer.map_err(|it| Escaped(it).to_string())?;
        let text = answer.body_mut().read_to_string();
        let text = text.map_err(|it| Escaped(it).to_string())?;
        match answer.status().as_u16() {
            // That is how it says that it is not ready.
            200 | 503 => Ok(text),
            401 | 403 => {
                let words = Escaped(text.lines().next().unwrap_or_default()).to_string();
                Err(format!("{words}: give the token of a user by --token-file"))
            }
            status => Err(format!(
                "it answers {status} to {path}: it is no engine's [admin] listen"
            )),
        }
    }
}

fn not_an_engine(error: serde_json::Error) -> String {
    format!("its answer is not an engine's ({error})")
}
