//! `flipped-lb man`: the manual pages, made from the same text as `--help`.

use std::path::{Path, PathBuf};

use crate::plural::several;
use clap::{Args, Command, CommandFactory as _};
use clap_mangen::Man;

use super::{Cli, Failure, output};

const EXAMPLES: &str = "Examples:
  flipped-lb man | man -l -
  flipped-lb man run | man -l -
  flipped-lb man --out /usr/local/share/man/man1";

/// Print a manual page, or write them all.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManArgs {
    /// The command whose page is printed [default: that of flipped-lb itself].
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Option<String>,
    /// Write a page for each command into this directory.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints the page that was asked for, or writes all of them.
///
/// # Errors
/// There is no such command, or the pages cannot be written.
pub(crate) fn run(args: ManArgs) -> Result<(), Failure> {
    let pages = pages(&Cli::command());
    if let Some(folder) = &args.out {
        return write(&pages, folder);
    }
    let name = match &args.command {
        Some(command) => format!("flipped-lb-{command}"),
        None => "flipped-lb".to_owned(),
    };
    match pages.iter().find(|it| it.name == name) {
        Some(page) => output::print_bytes(&page.text),
        None => {
            let commands = pages
                .iter()
                .filter_map(|it| it.name.strip_prefix("flipped-lb-"));
            let known = commands.collect::<Vec<_>>().join(", ");
            Err(Failure::Usage(format!(
                "man: there is no such command; write one of {known}"
            )))
        }
    }
}

/// A page of section 1.
struct Page {
    name: String,
    text: Vec<u8>,
}

/// Of the program, then of each command, and of commands below it.
fn pages(command: &Command) -> Vec<Page> {
    let mut pages = Vec::new();
    // clap fills in what stands in a help text only once it is asked to.
    let mut command = command.clone();
    command.build();
    add_pages(&command, "", &mut pages);
    pages
}

fn add_pages(command: &Command, above: &str, pages: &mut Vec<Page>) {
    let name = format!("{above}{}", command.get_name());
    let page = command.clone().display_name(name.clone());
    let page = Man::new(page).manual("Flipped Load Balancer");
    let mut text = Vec::new();
    page.render(&mut text).expect("memory takes every page");
    pages.push(Page {
        name: name.clone(),
        text,
    });
    let shown = command.get_subcommands();
    let shown = shown.filter(|it| !it.is_hide_set() && it.get_name() != "help");
    shown.for_each(|it| add_pages(it, &format!("{name}-"), pages));
}

fn write(pages: &[Page], folder: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error| Failure::Failed(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for page in pages {
        let path = folder.join(format!("{}.1", page.name));
        std::fs::write(&path, &page.text).map_err(|error| failed(&path, error))?;
    }
    let count = several(pages.len() as u64, "page");
    output::print(&format!("{count} in {}\n", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_says_what_it_does() {
        let pages = pages(&Cli::command());
        let page = |name: &str| {
            let found = pages.iter().find(|it| it.name == name);
            String::from_utf8(found.expect("a page").text.clone()).expect("a page is text")
        };
        for command in Cli::command().get_subcommands() {
            let name = format!("flipped-lb-{}", command.get_name());
            let about = command.get_about().expect("a command says what it does");
            let first_word = about.to_string();
            let first_word = first_word.split(' ').next().expect("a word").to_owned();
            assert!(page(&name).contains(&first_word), "{name}");
        }
        assert!(page("flipped-lb").contains(".TH flipped-lb 1"));
        assert!(page("flipped-lb-journal-verify").contains("verify"));
    }
}
