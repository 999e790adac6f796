//! How far a long reading of a file has come: a bar on stderr, where that is a terminal and the reading takes long enough.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is done sooner is not worth a bar.
const PATIENCE: Duration = Duration::from_secs(2);
/// What fills the line but for the bar's own part.
const LINE: &str = "{msg} [{bar:32}] {percent} %, {eta} left";

/// A file whose reader can be watched.
pub struct Watched {
    file: File,
    bar: Option<ProgressBar>,
    start: Instant,
}

impl Watched {
    /// Opens a file; `what` says for what it is read.
    ///
    /// # Errors
    ///
    /// As the system has them.
    pub fn open(path: &Path, what: &str) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let bar =
            ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden()).with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template(LINE) {
            bar.set_style(style.progress_chars("=> "));
        }
        Ok(Self { file, bar: Some(bar), start: Instant::now() })
    }

    /// Opens a file that is read slowly on purpose, or beside whose bar other lines would be written: there is none.
    ///
    /// # Errors
    ///
    /// As the system has them.
    pub fn quietly(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, bar: None, start: Instant::now() })
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let Some(bar) = &self.bar else { return Ok(read) };
        bar.inc(read as u64);
        if bar.is_hidden() && self.start.elapsed() >= PATIENCE {
            // Draws nothing where stderr is no terminal.
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        Ok(read)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
