//! `flipped-lb cluster hand-over`: the member that serves drains, says goodbye, and a standby serves.
//!
//! Fed by the command line; asks the active's admin address by `POST /cluster/hand-over`, then its `/readyz`,
//! which says who serves.

use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;

use super::no_answer;
use crate::cli::Failure;
use crate::cli::client::{AdminArgs, UserArgs, expect_user};
use crate::cli::output::print;
use crate::escape::Escaped;

const EXAMPLES: &str = "Examples:
  flipped-lb cluster hand-over
  flipped-lb cluster hand-over engine2 --admin 10.0.0.11:9100 --token-file admin.token

Asked at the admin address of the member that serves. It takes nothing more from sources, delivers what
is on its way, has all confirmed, closes, and says goodbye: nothing is lost, and nothing comes twice. A
standby that is ready then serves at once, and this member follows. With NODE that one must be ready, and
serves; another one does where it has not within take_over_after. Without a ready standby it is refused.
Exit codes: 0 another member serves; 1 refused, or nobody did in time; 2 wrong usage or settings.";

/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Between two looks who serves.
const LOOK: Duration = Duration::from_millis(200);

/// Have a ready standby take over from the member that serves.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HandOverArgs {
    /// The standby that is to serve; without it any.
    #[arg(value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// How long another member may take to serve, in seconds: deliveries are drained before.
    #[arg(long, value_name = "SECONDS", default_value = "120")]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) engine: UserArgs,
}

/// Asks, and waits until another member serves.
///
/// # Errors
/// It is refused, or nobody serves in time.
pub(crate) fn run(args: HandOverArgs) -> Result<(), Failure> {
    let http = (args.engine).http(AdminArgs::place, "give --admin", ANSWER)?;
    let address = http.address().to_owned();
    let path = path(args.node.as_deref());
    let (status, text) = http.post(&path).map_err(|why| no_answer(&address, &why))?;
    let from = begun(&address, status, &text)?;
    let begun = Instant::now();
    let limit = Duration::from_secs(args.timeout);
    while begun.elapsed() < limit {
        // It answers nothing while its listeners change.
        if let Some(serving) = http
            .get("/readyz")
            .ok()
            .and_then(|it| serving(&it.1, &from))
        {
            return done(&serving, args.node.as_deref(), begun.elapsed());
        }
        std::thread::sleep(LOOK);
    }
    Err(Failure::because(format_args!(
        "{from} hands over, and within {limit:?} no other member was seen to serve: flipped-lb cluster status \
         says how it is"
    )))
}

/// A name of a node is at most 50 bytes, of which some have a meaning in a query.
fn path(node: Option<&str>) -> String {
    match node {
        None => "/cluster/hand-over".to_owned(),
        Some(node) => {
            let safe = percent_encoding::NON_ALPHANUMERIC;
            let node = percent_encoding::utf8_percent_encode(node, safe);
            format!("/cluster/hand-over?to={node}")
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    handing_over: bool,
    from: String,
    error: String,
}

/// The member that hands over.
fn begun(address: &str, status: u16, text: &str) -> Result<String, Failure> {
    expect_user(address, status, text)?;
    let answer: Answer = serde_json::from_str(text).map_err(|_| {
        Failure::because(format_args!(
            "{address} answers {status} to POST /cluster/hand-over: it is no engine's [admin] listen, or that \
             of an older one"
        ))
    })?;
    if answer.handing_over {
        Ok(answer.from)
    } else {
        Err(Failure::because(format_args!(
            "not handed over: {}",
            answer.error
        )))
    }
}

/// Who serves instead, once it is told.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ready {
    active_node: Option<String>,
}

fn serving(text: &str, from: &str) -> Option<String> {
    let ready: Ready = serde_json::from_str(text).ok()?;
    ready.active_node.filter(|it| it != from)
}

fn done(serving: &str, wanted: Option<&str>, took: Duration) -> Result<(), Failure> {
    let seconds = took.as_secs_f64();
    match wanted {
        Some(wanted) if wanted != serving => Err(Failure::because(format_args!(
            "{serving} serves now, after {seconds:.1} s: {wanted} has not taken over; see its log, and hand over \
             there once more"
        ))),
        _ => print(&format!(
            "{} serves now, after {seconds:.1} s\n",
            Escaped(serving)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_says_who_hands_over_or_why_nobody_does() {
        let told = r#"{"handing_over":true,"from":"n1","to":"n2"}"#;
        assert_eq!(begun("a:1", 202, told).ok().as_deref(), Some("n1"));
        for (status, text, expected) in [
            (
                409,
                r#"{"handing_over":false,"error":"no standby"}"#,
                "not handed over: no standby",
            ),
            (404, "no such path", "an older one"),
            (403, "may not\n", "--token-file"),
        ] {
            let failure = begun("a:1", status, text).expect_err("refused");
            assert!(
                failure.words().unwrap_or_default().contains(expected),
                "{expected}"
            );
        }
    }

    #[test]
    fn the_next_one_is_another_and_the_wanted_one_or_it_is_told() {
        assert_eq!(
            serving(r#"{"ready":false,"active_node":"n2"}"#, "n1").as_deref(),
            Some("n2")
        );
        assert_eq!(serving(r#"{"ready":false,"active_node":"n1"}"#, "n1"), None);
        assert_eq!(serving(r#"{"ready":true}"#, "n1"), None);
        let failure = done("n3", Some("n2"), ANSWER).expect_err("another one");
        assert!(
            failure
                .words()
                .unwrap_or_default()
                .contains("n2 has not taken over")
        );
        assert_eq!(path(Some("a&b=c")), "/cluster/hand-over?to=a%26b%3Dc");
    }
}
