//! A disk that is full before a recording begins, or becomes so.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use mmscope::{config::Config, recording::Reader, replay::Player};

use crate::{Stage, Told, exact, live::*};

/// A file system with little room, until it is dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    const SIZE: &str = "size=32k";

    fn new() -> Self {
        let folder = open_folder();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", Self::SIZE, "none"]).arg(folder.path()).status();
        assert!(mounted.unwrap().success(), "mount tmpfs");
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Takes all that is left.
    fn fill(&self) {
        let _ = fs::write(self.file("filler"), vec![1; 1 << 20]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Ticks that a replay sees, and how it ends.
fn replayed(path: &Path) -> (u64, String) {
    let file = io::BufReader::new(fs::File::open(path).unwrap());
    let mut player = Player::new(Reader::new(file).unwrap(), &Config::default(), Default::default(), false).unwrap();
    while let Some(sight) = player.next_sight() {
        player.see(&sight);
    }
    (player.snapshot().ticks, player.finish().expect("an end").to_string())
}

/// The recording ends, with its file's name and why; nothing else does.
pub(crate) fn full(stage: &mut Stage) -> Told {
    let nothing = stage.empty();
    let disk = Disk::new();
    disk.fill();
    let refused = disk.file("refused.mmrec");
    let (code, said) = failing(mmscope().args(["run", "--web.listen-address=127.0.0.1:0", "--record"]).arg(&refused));
    assert!(
        matches!(code, 73 | 74) && said.contains("refused.mmrec") && said.contains("No space left"),
        "{code}: {said}"
    );
    nothing.awaited();
    fs::remove_file(disk.file("filler")).unwrap();
    assert!(!refused.exists(), "in the way of the next start");

    let path = disk.file("fault.mmrec");
    let daemon = Daemon::start(&["--record", path.to_str().unwrap()]);
    let load = Load::named("disk-load");
    let before = daemon.settled();
    let ended = || daemon.said(&["ERROR", "the recording ends here", "fault.mmrec", "No space left"]).pop();
    await_some("end of the recording", || {
        load.run(&["munmap", "--cycles", "20"]);
        ended()
    });
    let begin = Instant::now();
    let after = daemon.settled();
    let recovered = begin.elapsed();
    assert_eq!(after.lost(), before.lost(), "{}", exact::lost_between(&before, &after));
    exact::is_exact(&daemon, "disk-after");
    let (ticks, end) = replayed(&path);
    assert!(ticks > 0, "a recording that can be replayed: {end}");
    let seen = after.sum("mmscope_ticks_total", &[]);
    drop(daemon);
    drop(disk);
    Told {
        happened: format!(
            "a full disk: the start was refused with the file's name (exit code {code}), nothing attached; one that filled up: the \
             recording ended with a line of the log, its {ticks} ticks are replayed, and counting went on to the event"
        ),
        lost: format!(
            "the recording from tick {ticks} of {seen} on; of events {}",
            exact::lost_between(&before, &after)
        ),
        recovered,
    }
}
