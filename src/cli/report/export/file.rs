//! Where the rows go: standard output, or a file that has its name only when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::cli::Failure;

/// Bytes that are gathered for one write.
const BUFFER_LEN: usize = 256 * 1024;

/// An open target.
pub(super) struct Target {
    out: Out,
    file: Option<Unfinished>,
}

enum Out {
    Plain(BufWriter<Box<dyn Write>>),
    Gzip(Box<GzEncoder<BufWriter<Box<dyn Write>>>>),
}

/// A file under another name, which goes with what it holds if it is not finished.
struct Unfinished {
    path: PathBuf,
    unfinished: PathBuf,
    handle: File,
    is_finished: bool,
}

impl Target {
    /// Opens it; a file that is there is left alone, unless it is to be replaced.
    pub(super) fn open(path: Option<&Path>, force: bool) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self {
                out: Out::Plain(buffered(Box::new(io::stdout()))),
                file: None,
            });
        };
        let extension = path.extension().and_then(|it| it.to_str()).unwrap_or("");
        if ["zst", "bz2", "xz", "zip"].contains(&extension) {
            let words =
                format!("--out: .{extension} is not known: .gz compresses, other names do not");
            return Err(Failure::Usage(words));
        }
        if path.exists() && !force {
            let words = format!("{} is there: --force replaces it", path.display());
            return Err(Failure::Usage(words));
        }
        let file = Unfinished::create(path).map_err(|it| failed(path, &it))?;
        let handle = file.handle.try_clone().map_err(|it| failed(path, &it))?;
        let plain = buffered(Box::new(handle));
        let out = match extension {
            "gz" => Out::Gzip(Box::new(GzEncoder::new(plain, Compression::default()))),
            _ => Out::Plain(plain),
        };
        Ok(Self {
            out,
            file: Some(file),
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = match &mut self.out {
            Out::Plain(out) => out.write_all(bytes),
            Out::Gzip(out) => out.write_all(bytes),
        };
        written.map_err(|it| self.failed(it))
    }

    /// All is written: the file is synced and gets its name. Returns what it is, in words.
    pub(super) fn finish(mut self) -> Result<String, Failure> {
        let flushed = match &mut self.out {
            Out::Plain(out) => out.flush(),
            Out::Gzip(out) => out.try_finish().and_then(|()| out.get_mut().flush()),
        };
        flushed.map_err(|it| self.failed(it))?;
        match self.file {
            Some(file) => file.finish(),
            None => Ok("standard output".to_owned()),
        }
    }

    fn failed(&self, error: io::Error) -> Failure {
        match &self.file {
            Some(file) => failed(&file.path, &error),
            None => Failure::output(error),
        }
    }
}

impl Unfinished {
    fn create(path: &Path) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".unfinished");
        let unfinished = PathBuf::from(name);
        Ok(Self {
            handle: File::create(&unfinished)?,
            path: path.to_owned(),
            unfinished,
            is_finished: false,
        })
    }

    fn finish(mut self) -> Result<String, Failure> {
        let done = self
            .handle
            .sync_all()
            .and_then(|()| fs::rename(&self.unfinished, &self.path));
        done.map_err(|it| failed(&self.path, &it))?;
        self.is_finished = true;
        let bytes = self.handle.metadata().map_or(0, |it| it.len());
        Ok(format!("{} ({bytes} bytes)", self.path.display()))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            // It may be gone; the failure was said.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

fn buffered(out: Box<dyn Write>) -> BufWriter<Box<dyn Write>> {
    BufWriter::with_capacity(BUFFER_LEN, out)
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::because(format!("{}: {error}", path.display()))
}
