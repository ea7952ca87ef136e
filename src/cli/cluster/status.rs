//! `flipped-lb cluster status`: who serves, since when, and how far each member is.
//!
//! Fed by the key `cluster` of a member's `/stats`, a standby's or the active's: each hears the others.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::Value;

use super::no_answer;
use crate::cli::Failure;
use crate::cli::client::{AdminArgs, UserArgs, expect_user};
use crate::cli::output::{print, print_json};
use crate::escape::Escaped;

const EXAMPLES: &str = "Examples:
  flipped-lb cluster status
  flipped-lb cluster status --admin 10.0.0.12:9100 --token-file admin.token
  flipped-lb cluster status --json | jq '.members[] | select(.ready | not)'

Any member can be asked. RECORD is the last record of the group's stream that a member has, BEHIND how
many it lacks. A member that is ready takes over when the active is silent for take_over_after.
Exit codes: 0 a member serves; 1 none does, or no answer; 2 wrong usage or settings.";

/// A member answers within milliseconds.
const ANSWER: Duration = Duration::from_secs(5);

/// A member that is silent for longer is shown as gone.
const PRESENT_S: u64 = 5;

/// Show the members: who serves, since when, and how far each is.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArgs {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) engine: UserArgs,
}

/// Asks a member and prints what it says.
///
/// # Errors
/// No member answers, or none serves.
pub(crate) fn run(args: StatusArgs) -> Result<(), Failure> {
    let http = (args.engine).http(AdminArgs::place, "give --admin", ANSWER)?;
    let address = http.address().to_owned();
    let (status, text) = http
        .get("/stats")
        .map_err(|why| no_answer(&address, &why))?;
    let group = Group::read(&address, status, &text)?;
    if args.json {
        print_json(&group.json())?;
    } else {
        print(&group.text())?;
    }
    match group.serving() {
        Ok(_) => Ok(()),
        Err(why) => Err(Failure::because(why)),
    }
}

/// The key `cluster` of `/stats`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Group {
    group: String,
    node: String,
    role: String,
    ready: bool,
    active: Option<Active>,
    epoch: u64,
    term_since_ms: i64,
    sequence: u64,
    stream_sequence: u64,
    server: Option<String>,
    server_version: Option<String>,
    trouble: Option<String>,
    warning: Option<String>,
    stored: Option<u64>,
    members: Vec<Other>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Active {
    node: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Other {
    node: String,
    active: bool,
    paused: bool,
    ready: bool,
    sequence: u64,
    stored: Option<u64>,
    admin: Option<String>,
    heard_seconds_ago: u64,
}

/// A line of the table.
#[derive(Debug)]
struct Row {
    node: String,
    role: String,
    ready: bool,
    sequence: u64,
    /// Where its store stands in the journal.
    stored: Option<u64>,
    admin: Option<String>,
    silent_s: u64,
}

impl Group {
    fn read(address: &str, status: u16, text: &str) -> Result<Self, Failure> {
        expect_user(address, status, text)?;
        let stats: Option<Value> = serde_json::from_str(text).ok();
        let cluster = stats.and_then(|mut it| it.get_mut("cluster").map(Value::take));
        match cluster {
            None => Err(Failure::because(format_args!(
                "{address} answers {status} to GET /stats: it is no engine's [admin] listen, or that of an \
                 older one"
            ))),
            Some(Value::Null) => Err(Failure::because(format_args!(
                "the engine at {address} is in no group: its durability is not \"replicated\""
            ))),
            Some(it) => serde_json::from_value(it).map_err(|why| {
                Failure::because(format_args!("{address} says what is not understood: {why}"))
            }),
        }
    }

    /// Who serves, as far as the member knows that was asked.
    fn active(&self) -> Option<&str> {
        if self.serves() {
            return Some(&self.node);
        }
        let active = self.active.as_ref().map(|it| it.node.as_str());
        active.filter(|it| *it != self.node)
    }

    fn serves(&self) -> bool {
        matches!(self.role.as_str(), "active" | "paused")
    }

    /// Who serves now; else why nobody does, as far as the member knows that was asked.
    fn serving(&self) -> Result<&str, String> {
        let group = Escaped(&self.group);
        let Some(active) = self.active() else {
            return Err(format!("no member is known to serve group {group}"));
        };
        let it = self.members.iter().find(|it| it.node == active);
        let is_paused = it.map_or(self.role == "paused", |it| it.paused);
        let silent_s = it.map_or(0, |it| it.heard_seconds_ago);
        let name = Escaped(active);
        if is_paused {
            return Err(format!(
                "{name} is paused: it serves nobody until the stream of group {group} confirms again"
            ));
        }
        match silent_s > PRESENT_S {
            true => Err(format!(
                "{name} served group {group}, and was not heard for {silent_s} s"
            )),
            false => Ok(active),
        }
    }

    /// The member that was asked first.
    fn rows(&self) -> Vec<Row> {
        let own = Row {
            node: self.node.clone(),
            role: self.role.clone(),
            ready: self.ready,
            sequence: self.sequence,
            stored: self.stored,
            admin: None,
            silent_s: 0,
        };
        let others = self.members.iter().map(|it| Row {
            node: it.node.clone(),
            role: match (it.active, it.paused) {
                (_, true) => "paused",
                (true, false) => "active",
                (false, false) => "standby",
            }
            .to_owned(),
            ready: (it.ready || it.active) && it.heard_seconds_ago <= PRESENT_S,
            sequence: it.sequence,
            stored: it.stored,
            admin: it.admin.clone(),
            silent_s: it.heard_seconds_ago,
        });
        std::iter::once(own).chain(others).collect()
    }

    /// The last record that anybody knows of.
    fn last(&self) -> u64 {
        let known = self.rows().into_iter().map(|it| it.sequence);
        known.fold(self.stream_sequence, u64::max)
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let active = match (self.serving(), self.active()) {
            (Ok(node), _) => format!("served by {}", Escaped(node)),
            (Err(_), Some(node)) => format!("served by nobody, last by {}", Escaped(node)),
            (Err(_), None) => "served by no member that is known".to_owned(),
        };
        let group = Escaped(&self.group);
        let mut line = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        line(format!(
            "group {group}: {active}, term {}{}",
            self.epoch,
            self.since()
        ));
        match (&self.server, &self.server_version) {
            (Some(server), Some(version)) => line(format!(
                "{} is connected to {} (nats-server {})",
                Escaped(&self.node),
                Escaped(server),
                Escaped(version)
            )),
            _ => line(format!("{} is connected to no server", Escaped(&self.node))),
        }
        if let Some(trouble) = &self.trouble {
            line(format!("trouble: {}", Escaped(trouble)));
        }
        if let Some(warning) = &self.warning {
            line(format!("warning: {}", Escaped(warning)));
        }
        out + "\n" + &self.table()
    }

    /// ` since ...`, in local time.
    fn since(&self) -> String {
        let at = Timestamp::from_millisecond(self.term_since_ms).ok();
        let at = at.filter(|_| self.term_since_ms > 0);
        at.map_or(String::new(), |it| {
            let local = it.to_zoned(TimeZone::system());
            format!(" since {}", local.strftime("%Y-%m-%d %H:%M:%S"))
        })
    }

    fn table(&self) -> String {
        let rows = self.rows();
        let names = rows
            .iter()
            .map(|it| Escaped(&it.node).to_string().chars().count());
        let width = names.max().unwrap_or_default().max("MEMBER".len());
        let mut out = format!(
            "{:width$}  {:8}  {:5}  {:>12}  {:>8}  AT\n",
            "MEMBER", "ROLE", "READY", "RECORD", "BEHIND"
        );
        let last = self.last();
        for row in rows {
            let ready = if row.ready { "yes" } else { "no" };
            let at = match (row.silent_s > PRESENT_S, &row.admin) {
                (true, _) => format!("not heard for {} s", row.silent_s),
                (false, Some(admin)) => Escaped(admin).to_string(),
                (false, None) => "-".to_owned(),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "{:width$}  {:8}  {ready:5}  {:>12}  {:>8}  {at}",
                Escaped(&row.node).to_string(),
                Escaped(&row.role).to_string(),
                row.sequence,
                last.saturating_sub(row.sequence),
            );
        }
        out
    }

    fn json(&self) -> String {
        let last = self.last();
        let members = self.rows().into_iter().map(|it| {
            serde_json::json!({
                "node": it.node,
                "role": it.role,
                "ready": it.ready,
                "sequence": it.sequence,
                "stored": it.stored,
                "behind": last.saturating_sub(it.sequence),
                "admin": it.admin,
                "heard_seconds_ago": it.silent_s,
            })
        });
        let json = serde_json::json!({
            "group": self.group,
            "active": self.serving().ok(),
            "epoch": self.epoch,
            "since_ms": self.term_since_ms,
            "server": self.server,
            "server_version": self.server_version,
            "trouble": self.trouble,
            "warning": self.warning,
            "members": members.collect::<Vec<_>>(),
        });
        format!("{json:#}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATS: &str = r#"{"cluster":{"group":"east","node":"n2","role":"standby","ready":true,
        "active":{"node":"n1"},"epoch":7,"term_since_ms":1700000000000,"sequence":40,"stream_sequence":41,
        "server":"nats://h:4222","server_version":"2.15.1","trouble":null,
        "members":[{"node":"n1","active":true,"ready":false,"sequence":42,"admin":"h:4","heard_seconds_ago":0},
                   {"node":"n3","ready":false,"sequence":9,"heard_seconds_ago":77}]}}"#;

    #[test]
    fn members_are_lines_and_the_silent_ones_are_told() {
        let group = Group::read("a:1", 200, STATS).expect("a group");
        let text = group.text();
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].starts_with("group east: served by n1, term 7 since 2023-11-1"),
            "{text}"
        );
        assert_eq!(
            lines[1],
            "n2 is connected to nats://h:4222 (nats-server 2.15.1)"
        );
        let rows: Vec<Vec<_>> = lines[4..]
            .iter()
            .map(|it| it.split_whitespace().collect())
            .collect();
        assert_eq!(rows[0], ["n2", "standby", "yes", "40", "2", "-"]);
        assert_eq!(rows[1], ["n1", "active", "yes", "42", "0", "h:4"]);
        assert!(lines[6].ends_with("not heard for 77 s"), "{text}");
        let json: Value = serde_json::from_str(&group.json()).expect("JSON");
        assert_eq!(
            (&json["active"], &json["members"][2]["behind"]),
            (&"n1".into(), &33.into())
        );
    }

    #[test]
    fn an_active_that_is_paused_or_silent_serves_nobody() {
        let of = |stats: &str| {
            let group = Group::read("a:1", 200, stats).expect("a group");
            let why = group.serving().map(str::to_owned);
            (group.text(), group.json(), why)
        };
        assert_eq!(of(STATS).2.as_deref(), Ok("n1"));
        let silent = STATS.replace(r#""heard_seconds_ago":0"#, r#""heard_seconds_ago":6"#);
        let paused = STATS.replace(
            r#""node":"n1","active":true"#,
            r#""node":"n1","active":true,"paused":true"#,
        );
        let own = STATS.replace(r#""role":"standby""#, r#""role":"paused""#);
        for (stats, words) in [
            (silent, "n1 served group east, and was not heard for 6 s"),
            (paused, "n1 is paused"),
            (own, "n2 is paused"),
        ] {
            let (text, json, why) = of(&stats);
            let why = why.expect_err("nobody serves");
            assert!(why.contains(words), "{why}");
            assert!(text.contains("served by nobody, last by n"), "{text}");
            assert!(json.contains(r#""active": null"#), "{json}");
        }
    }

    #[test]
    fn what_is_no_group_is_told_with_its_reason() {
        for (status, text, expected) in [
            (200, r#"{"cluster":null}"#, "is in no group"),
            (200, r#"{"received":1}"#, "an older one"),
            (404, "<html>", "no engine's [admin] listen"),
            (401, "a token is wanted\n", "--token-file"),
        ] {
            let failure = Group::read("a:1", status, text).expect_err("no group");
            assert!(
                failure.words().unwrap_or_default().contains(expected),
                "{expected}"
            );
        }
        let own = STATS.replace("\"node\":\"n1\"},\"epoch", "\"node\":\"n2\"},\"epoch");
        assert_eq!(
            Group::read("a:1", 200, &own).expect("a group").active(),
            None
        );
    }
}
