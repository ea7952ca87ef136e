//! The text behind the options of a command's help: prose is wrapped once, by the terminal's width.
//!
//! In the source its lines end where an editor's do; clap would wrap each of them again.

use clap::Command;

/// The same commands, whose paragraphs are a line each for clap to wrap.
pub(super) fn flowing(command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|it| it.get_name().to_owned())
        .collect();
    let text = command.get_after_help().map(|it| flow(&it.to_string()));
    let command = match text {
        Some(text) => command.after_help(text),
        None => command,
    };
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, flowing)
    })
}

/// Joins the lines of each paragraph; lines that are indented, and what heads them, stay as they are.
fn flow(text: &str) -> String {
    let mut flowing = String::new();
    let mut is_open = false;
    for line in text.lines() {
        let is_prose = !line.is_empty() && !line.starts_with(' ');
        if !flowing.is_empty() {
            flowing.push(if is_open && is_prose { ' ' } else { '\n' });
        }
        flowing.push_str(line);
        is_open = is_prose && !line.ends_with(':');
    }
    flowing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_flow_and_examples_stay() {
        let text = "Examples:\n  one\n  two\n\nIt reads\nand writes.\n\nKeys:\n  q quits";
        let flowing = "Examples:\n  one\n  two\n\nIt reads and writes.\n\nKeys:\n  q quits";
        assert_eq!(flow(text), flowing);
    }

    #[test]
    fn help_of_each_depth_is_wrapped_once() {
        let inner = Command::new("inner").after_help("one\ntwo");
        let outer = flowing(Command::new("outer").subcommand(inner));
        let inner = outer.find_subcommand("inner").expect("it is there");
        let text = inner.get_after_help().map(ToString::to_string);
        assert_eq!(text.as_deref(), Some("one two"));
    }
}
