//! `flipped-lb journal repair`: keeps what can be kept of a damaged journal, and puts the rest aside.
//!
//! New segments and compacted files are made in `journal/repair/` and then take the place of the damaged ones, one by
//! one, each in a single step; the damaged ones stay in `journal-damaged-<time>/`. A crash between
//! any two steps leaves a journal in which each file is either the old or the new one, so the
//! repair may be run again.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;

use super::place::{Place, PlaceArgs, failed};
use super::{Failure, compacted_words, stray_words, words};
use crate::engine::{DirectoryLock, directory};
use crate::files::unused;
use crate::journal::repair::{Gap, Plan, plan, rebuild};
use crate::journal::storage::{Directory, Name};
use crate::journal::strays::{Stray, strays};
use crate::plural::{counted, several};

/// Keep what can be kept of a damaged journal, and put the rest aside.
#[derive(Debug, Clone, Args)]
pub(crate) struct RepairArgs {
    /// Which journal.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Only say what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Repairs the journal, and says what was lost.
///
/// # Errors
/// An engine runs on it, or it cannot be read or written.
pub(crate) fn run(args: &RepairArgs) -> Result<(), Failure> {
    let place = Place::find(&args.place)?;
    directory::private_files();
    // Held to the end: no engine starts on a journal that is being repaired.
    let _lock = match args.dry_run {
        true => None,
        false => Some(
            DirectoryLock::take(&place.data_dir).map_err(|it| Failure::Failed(it.to_string()))?,
        ),
    };
    let strays = strays(&place.storage).map_err(failed)?;
    if !strays.is_empty() {
        set_aside(&strays, &place, args.dry_run)?;
        if args.dry_run {
            return Ok(());
        }
    }
    let plan = plan(place.scan(), place.segment_len).map_err(failed)?;
    if plan.is_empty() && !strays.is_empty() {
        return write_out("there is nothing else to repair\n");
    }
    if plan.is_empty() {
        return write_out("there is nothing to repair; the engine cuts a torn tail by itself\n");
    }
    let report = report(&plan, &place);
    if args.dry_run {
        return write_out(&format!(
            "{report}Nothing was changed: this was a dry run.\n"
        ));
    }
    let aside = Repair {
        place: &place,
        plan: &plan,
    }
    .run(&report)?;
    write_out(&format!(
        "{report}Repaired: the damaged files, and this report, are in {}.\n",
        aside.display()
    ))
}

/// Moves the files that are no part of the journal out of it, and says so.
fn set_aside(strays: &[Stray], place: &Place, dry_run: bool) -> Result<(), Failure> {
    let mut report = String::new();
    for stray in strays {
        // Writing to a String cannot fail.
        let _ = writeln!(report, "Stray: {}", stray_words(stray, place));
    }
    if dry_run {
        return write_out(&format!(
            "{report}Nothing was changed: a repair sets these aside first, and looks at the rest then.\n"
        ));
    }
    let repair = Repair {
        place,
        plan: &Plan::default(),
    };
    let aside = repair.aside(&report)?;
    for stray in strays {
        repair.put_aside(stray.name, &aside)?;
        let path = place.storage.path(stray.name);
        fs::remove_file(&path)
            .and_then(|()| sync(&place.journal))
            .map_err(unwritten(&path))?;
    }
    write_out(&format!("{report}Set aside in {}.\n", aside.display()))
}

fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::output)
}

/// What is lost and what is kept, for people.
fn report(plan: &Plan, place: &Place) -> String {
    let mut text = String::new();
    for loss in &plan.losses {
        let (hole, of) = match &loss.gap {
            Gap::Segments(hole) => (words(hole, place), ""),
            // What was settled had not been carried forward.
            Gap::Compacted(hole) => (compacted_words(hole, place), "unsettled ones of: "),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Lost: {hole}\n      {of}{}", loss.sequences);
    }
    let Plan {
        messages,
        settlements,
        ids,
        ..
    } = plan;
    let ids = match ids {
        0 => String::new(),
        ids => format!(", {} of settled messages", several(*ids, "id")),
    };
    let _ = writeln!(
        text,
        "Kept: {}, {}{ids}; {} made anew.\n\
         Messages whose settlement is lost will be delivered again.",
        several(*messages, "message"),
        several(*settlements, "settlement"),
        counted(plan.names().count() as u64, "file is", "files are")
    );
    text
}

/// One repair.
struct Repair<'a> {
    place: &'a Place,
    plan: &'a Plan,
}

impl Repair<'_> {
    /// Makes the new segments, puts the damaged ones aside, and lets the new ones take their place;
    /// returns where the damaged ones are.
    fn run(&self, report: &str) -> Result<PathBuf, Failure> {
        let workshop = self.place.journal.join("repair");
        self.build(&workshop)?;
        let aside = self.aside(report)?;
        for name in self.plan.names() {
            self.put_aside(name, &aside)?;
            self.replace(name, &workshop)?;
        }
        fs::remove_dir(&workshop).map_err(unwritten(&workshop))?;
        let left = plan(self.place.scan(), self.place.segment_len).map_err(failed)?;
        match left.is_empty() {
            true => Ok(aside),
            false => Err(Failure::Failed(format!(
                "the journal is damaged again: the disk does not keep what was written to it; the \
                 damaged files of before are in {}",
                aside.display()
            ))),
        }
    }

    /// Makes the new segments; what an earlier try left there is of no use.
    fn build(&self, workshop: &Path) -> Result<(), Failure> {
        let unwritten = unwritten(workshop);
        if workshop.exists() {
            fs::remove_dir_all(workshop).map_err(&unwritten)?;
        }
        let mut target = Directory::at(workshop).map_err(&unwritten)?;
        let len = self.place.segment_len;
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now_us = since_epoch.as_micros() as u64;
        rebuild(self.place.scan(), len, self.plan, &mut target, now_us).map_err(failed)
    }

    /// Makes the directory for the damaged files, with the report.
    fn aside(&self, report: &str) -> Result<PathBuf, Failure> {
        let data_dir = &self.place.data_dir;
        let path = data_dir.join(unused(data_dir, "journal-damaged"));
        let file = path.join("report.txt");
        fs::create_dir(&path)
            .and_then(|()| fs::write(&file, report))
            .and_then(|()| sync(&file))
            .and_then(|()| sync(&path))
            .and_then(|()| sync(data_dir))
            .map_err(unwritten(&path))?;
        Ok(path)
    }

    /// Gives the damaged file a second name in the other directory, or a copy of it there.
    fn put_aside(&self, name: Name, aside: &Path) -> Result<(), Failure> {
        let from = self.place.storage.path(name);
        if !from.exists() {
            return Ok(());
        }
        let to = aside.join(from.file_name().unwrap_or_default());
        fs::hard_link(&from, &to)
            .or_else(|_| fs::copy(&from, &to).map(|_| ()))
            .and_then(|()| sync(&to))
            .and_then(|()| sync(aside))
            .map_err(unwritten(&to))
    }

    fn replace(&self, name: Name, workshop: &Path) -> Result<(), Failure> {
        let to = self.place.storage.path(name);
        let from = workshop.join(to.file_name().unwrap_or_default());
        fs::rename(&from, &to)
            .and_then(|()| sync(&self.place.journal))
            .map_err(unwritten(&to))
    }
}

/// Returns when a file, or the names of a directory, will survive a power loss.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn unwritten(path: &Path) -> impl Fn(io::Error) -> Failure {
    let path = path.display().to_string();
    move |error| {
        Failure::Failed(format!(
            "{path} cannot be written: {error}; nothing is lost: see to it and repair again"
        ))
    }
}
