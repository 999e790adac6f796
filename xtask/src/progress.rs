//! How far what takes long has come: a line on stderr, where that is a terminal and it takes long enough.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// What is done sooner is not worth a line.
const PATIENCE: Duration = Duration::from_secs(2);
const REDRAW: Duration = Duration::from_millis(200);

/// Guests run two at a time: each line is its own.
static LINES: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// A line, until it is dropped.
pub(crate) struct Progress {
    /// Its end is told by being dropped.
    going_on: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Something of which nobody knows how long it takes.
pub(crate) fn ticking(what: String) -> Progress {
    Progress::start(ProgressBar::new_spinner().with_message(what), "{spinner} {msg}: {elapsed}", |_| {})
}

/// Files that come into a folder, so many bytes in all.
pub(crate) fn filling(what: String, folder: PathBuf, bytes: u64) -> Progress {
    let bar = ProgressBar::new(bytes).with_message(what);
    let line = "{msg} [{bar:32}] {bytes} of {total_bytes}, {eta} left";
    Progress::start(bar, line, move |bar| bar.set_position(size(&folder)))
}

impl Progress {
    fn start(bar: ProgressBar, line: &str, look: impl Fn(&ProgressBar) + Send + 'static) -> Self {
        if let Ok(style) = ProgressStyle::with_template(line) {
            bar.set_style(style.progress_chars("=> "));
        }
        let (going_on, is_going_on) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            if is_going_on.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = LINES.add(bar);
            while is_going_on.recv_timeout(REDRAW) == Err(RecvTimeoutError::Timeout) {
                look(&bar);
                bar.tick();
            }
            bar.finish_and_clear();
            LINES.remove(&bar);
        });
        Self { going_on: Some(going_on), thread: Some(thread) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.going_on = None;
        // A line that was not drawn is no reason to fail.
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// Bytes of all files in a folder; those that come and go meanwhile count or not.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Bytes of the files that `apt-get download --print-uris` names.
pub(crate) fn announced(uris: &str) -> u64 {
    uris.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_download_are_those_that_apt_announces() {
        let uris = "'http://mirror/pool/main/b/busybox/busybox_1.35.deb' busybox_1.35.deb 452204 SHA256:00\n\
                    'http://mirror/pool/main/l/linux/linux-image_6.1.deb' linux-image_6.1.deb 1000 SHA256:00\n";
        assert_eq!(announced(uris), 453_204);
        assert_eq!(announced(""), 0);
    }

    #[test]
    fn files_of_all_folders_count() {
        let folder = std::env::temp_dir().join(format!("progress-{}", std::process::id()));
        fs::create_dir_all(folder.join("partial")).unwrap();
        fs::write(folder.join("a"), [0; 10]).unwrap();
        fs::write(folder.join("partial/b"), [0; 7]).unwrap();
        assert_eq!(size(&folder), 17);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(size(&folder), 0);
    }
}
