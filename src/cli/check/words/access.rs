//! What the settings mean for whoever wants to connect: who reaches what, and what users may do.

use super::listed;
use crate::access::Listener;
use crate::config::{Config, User};

pub(super) fn access(config: &Config) -> Vec<String> {
    let listeners = Listener::all(config);
    let mut lines: Vec<String> = listeners.iter().map(|it| it.words(config)).collect();
    if config.users.is_empty() {
        lines.push("there are no users: whoever reaches an address may do all there".to_owned());
        return lines;
    }
    if config.admin.listen.is_some() {
        lines.push("/healthz and /readyz answer without a token".to_owned());
    }
    lines.push("users:".to_owned());
    lines.extend(listed(&config.users, |it| format!("  {}", rights(it))));
    lines
}

fn rights(user: &User) -> String {
    let source = user.source.as_ref();
    let source = source.map_or(String::new(), |it| format!(", as {it} only"));
    let send = match user.may_send.is_empty() {
        true => "sends nothing".to_owned(),
        false => format!("sends to {}{source}", user.may_send.join(", ")),
    };
    let receive = match user.may_receive.is_empty() {
        true => "receives nothing".to_owned(),
        false => format!("receives those of {}", user.may_receive.join(", ")),
    };
    let admin = match user.may_admin {
        true => "asks over HTTP",
        false => "does not ask over HTTP",
    };
    let certificate = user.certificate.as_ref();
    let certificate = certificate.map_or(String::new(), |it| format!(" (certificate {it})"));
    format!("{}{certificate}: {send}; {receive}; {admin}", user.name)
}
