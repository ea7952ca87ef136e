//! `flipped-lb journal verify`: reads all of a journal, and says what is whole and what is not.

use std::io::Write;

use clap::Args;

use super::place::{Place, PlaceArgs, Rest, failed};
use super::progress::Progress;
use super::{Failure, compacted_words, stray_words, words};
use crate::engine::DirectoryLock;
use crate::journal::batch::Batch;
use crate::journal::format::BatchKind;
use crate::journal::reader::Tail;
use crate::journal::reader::scan::Finding;
use crate::journal::reserve;
use crate::journal::storage::Name;
use crate::journal::strays::strays;
use crate::plural::{counted, several};

/// Read all of the journal, and say what is whole and what is not.
#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyArgs {
    /// Which journal.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// Prints a line a segment, a line a hole, and the verdict.
///
/// # Errors
/// The journal cannot be read, or is damaged.
pub(crate) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let place = Place::find(&args.place)?;
    let mut out = std::io::stdout().lock();
    let report = Report::of(&place, &mut out)?;
    let verdict = report.verdict(&place);
    if report.holes > 0 {
        return Err(Failure::Failed(verdict));
    }
    writeln!(out, "{verdict}")
        .and_then(|()| out.flush())
        .map_err(Failure::output)
}

/// What one segment, or all of them, hold.
#[derive(Debug, Clone, Copy, Default)]
struct Content {
    batches: u64,
    messages: u64,
    settlements: u64,
    ids: u64,
    bytes: u64,
}

impl Content {
    fn add(&mut self, batch: &Batch<'_>) {
        let header = batch.header();
        let entries = u64::from(header.entries);
        self.batches += 1;
        match header.kind {
            BatchKind::Messages | BatchKind::Carried => self.messages += entries,
            BatchKind::Settlements => self.settlements += entries,
            BatchKind::Ids => self.ids += entries,
            BatchKind::Void | BatchKind::Place | BatchKind::End => {}
        }
        self.bytes += batch.len();
    }

    fn words(&self) -> String {
        let Self {
            batches,
            messages,
            settlements,
            ids,
            bytes,
        } = self;
        let ids = match ids {
            0 => String::new(),
            ids => format!("{} of settled messages, ", several(*ids, "id")),
        };
        format!(
            "{}, {}, {}, {ids}{bytes} bytes",
            counted(*batches, "batch", "batches"),
            several(*messages, "message"),
            several(*settlements, "settlement")
        )
    }
}

/// What was found.
#[derive(Debug, Default)]
struct Report {
    segments: u64,
    kept_files: u64,
    total: Content,
    holes: u64,
    tail: Option<Tail>,
    /// The file that is being read.
    present: Option<(Name, Content)>,
}

impl Report {
    fn of(place: &Place, out: &mut impl Write) -> Result<Self, Failure> {
        let (mut scan, mut progress) = (place.scan(), Progress::of(place));
        let mut report = Self::default();
        while let Some(found) = scan.advance().map_err(failed)? {
            match found {
                Finding::Batch(batch) => {
                    progress.at(batch.end());
                    report.take(&batch);
                }
                Finding::Segment(number) => {
                    report.close(out)?;
                    report.segments += 1;
                    report.present = Some((Name::Segment(number), Content::default()));
                }
                Finding::Compacted { segments, .. } => {
                    report.close(out)?;
                    report.kept_files += 1;
                    let name = Name::Compacted(segments.start, segments.end);
                    report.present = Some((name, Content::default()));
                }
                Finding::Hole(hole) => report.hole(&words(&hole, place), out)?,
                Finding::CompactedHole(hole) => report.hole(&compacted_words(&hole, place), out)?,
                Finding::Tail(tail) => report.tail = Some(tail),
            }
        }
        report.close(out)?;
        for stray in strays(&place.storage).map_err(failed)? {
            report.hole(&stray_words(&stray, place), out)?;
        }
        tell_rest(&place.rest()?, out)?;
        Ok(report)
    }

    fn take(&mut self, batch: &Batch<'_>) {
        self.total.add(batch);
        if let Some((_, content)) = &mut self.present {
            content.add(batch);
        }
    }

    /// The present file is read to its end.
    fn close(&mut self, out: &mut impl Write) -> Result<(), Failure> {
        let Some((name, content)) = self.present.take() else {
            return Ok(());
        };
        writeln!(out, "{name}: {}", content.words()).map_err(Failure::output)
    }

    fn hole(&mut self, hole: &str, out: &mut impl Write) -> Result<(), Failure> {
        self.holes += 1;
        writeln!(out, "damaged: {hole}").map_err(Failure::output)
    }

    fn verdict(&self, place: &Place) -> String {
        let kept = match self.kept_files {
            0 => String::new(),
            files => several(files, "kept file") + ", ",
        };
        let segments = several(self.segments, "segment");
        let total = format!("{segments}, {kept}{}", self.total.words());
        let directory = place.data_dir.display();
        if self.holes > 0 {
            return format!(
                "the journal is damaged in {}, and whole beside: {total}; nothing was changed: \
                 `flipped-lb journal repair {directory}` keeps what can be kept and puts the rest \
                 aside",
                several(self.holes, "place")
            );
        }
        match self.tail.filter(|it| it.torn_len > 0) {
            Some(tail) => format!("ok: {total}, and {}", torn(&tail, place)),
            None => format!("ok: {total}"),
        }
    }
}

/// Names the files that hold nothing of the journal.
fn tell_rest(rest: &Rest, out: &mut impl Write) -> Result<(), Failure> {
    let free = rest.free.iter().map(|name| (name, words_of_free(*name)));
    let left_over = rest.left_over.iter();
    let left_over = left_over.map(|name| (name, "left over by a crash, or about to go: harmless"));
    for (name, what) in free.chain(left_over) {
        writeln!(out, "{name}: {what}").map_err(Failure::output)?;
    }
    Ok(())
}

/// The two highest numbers are those of the reserves; no segment gets so far.
fn words_of_free(name: Name) -> &'static str {
    const SETTLEMENTS: Name = Name::Free(reserve::SETTLEMENTS);
    match name {
        SETTLEMENTS => "room set aside: for settlements on a full disk",
        reserve::COMPACTED => "room set aside: for a compacted file on a full disk",
        _ => "free: waits to become a segment",
    }
}

fn torn(tail: &Tail, place: &Place) -> String {
    let path = place
        .storage
        .path(Name::Segment(tail.position / place.segment_len));
    let (offset, len) = (tail.position % place.segment_len, tail.torn_len);
    let what = match DirectoryLock::holder(&place.data_dir) {
        Some(process) => format!("an engine (process {process}) is writing it"),
        None => "a write that was not finished; the engine cuts it when it starts".to_owned(),
    };
    let file = path.display();
    format!("a torn tail: {file}, offset {offset}, {len} bytes: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_is_set_aside_is_not_called_a_free_file() {
        for (name, expected) in [
            (
                Name::Free(reserve::SETTLEMENTS),
                "room set aside: for settlements",
            ),
            (reserve::COMPACTED, "room set aside: for a compacted file"),
            (Name::Free(7), "free: "),
        ] {
            let words = words_of_free(name);
            assert!(words.starts_with(expected), "{name}: {words}");
        }
    }
}
