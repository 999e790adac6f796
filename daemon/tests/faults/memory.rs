//! A cgroup's memory limit, reached while it runs and before it does.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    time::Instant,
};

use crate::{Stage, Told, churn::CGROUPS, exact, live::*};

/// What the page about it recommends.
const ENOUGH: u64 = 128 << 20;
/// Less than the tables alone.
const LITTLE: u64 = 16 << 20;

/// A cgroup with a limit.
struct Limited(PathBuf);

impl Limited {
    fn new() -> Self {
        fs::write(Path::new(CGROUPS).join("cgroup.subtree_control"), "+memory").unwrap();
        let group = Self(Path::new(CGROUPS).join("limited"));
        fs::create_dir(&group.0).unwrap();
        group
    }

    fn limit(&self, bytes: u64) {
        fs::write(self.0.join("memory.max"), bytes.to_string()).unwrap();
    }

    fn used(&self) -> u64 {
        fs::read_to_string(self.0.join("memory.current")).unwrap().trim().parse().unwrap()
    }

    fn kills(&self) -> u64 {
        let events = fs::read_to_string(self.0.join("memory.events")).unwrap();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.unwrap().parse().unwrap()
    }

    /// What is started in between is in the group.
    fn inside<T>(&self, start: impl FnOnce() -> T) -> T {
        fs::write(self.0.join("cgroup.procs"), "0").unwrap();
        let started = start();
        fs::write(Path::new(CGROUPS).join("cgroup.procs"), "0").unwrap();
        started
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = fs::write(Path::new(CGROUPS).join("cgroup.procs"), "0");
        let _ = fs::remove_dir(&self.0);
    }
}

/// The kernel kills it and closes all that it had; a limit that is too small for its tables is no start.
pub(crate) fn limit(stage: &mut Stage) -> Told {
    let nothing = stage.empty();
    let group = Limited::new();
    group.limit(ENOUGH);
    let mut first = group.inside(|| Daemon::start(&[]));
    exact::is_exact(&first, "limit-before");
    let used = group.used();
    assert!(used < ENOUGH && group.kills() == 0, "{used} bytes are enough");
    // It comes back when the limit is kept, or nobody is left.
    group.limit(LITTLE);
    assert_eq!(first.end().signal(), Some(9));
    assert!(group.kills() > 0, "killed for want of memory");
    nothing.awaited();
    let small = group.inside(|| mmscope().args(["run", "--web.listen-address=127.0.0.1:0"]).output()).unwrap();
    let said = String::from_utf8_lossy(&small.stderr);
    let is_told = small.status.code().is_some_and(|code| code != 0) && said.lines().count() == 1;
    assert!(is_told || small.status.signal() == Some(9), "{}: {said}", small.status);
    nothing.awaited();
    let raised = Instant::now();
    group.limit(ENOUGH);
    let second = group.inside(|| Daemon::start(&[]));
    let recovered = raised.elapsed();
    exact::is_exact(&second, "limit-after");
    drop(second);
    nothing.awaited();
    let ended = if is_told { format!("refused: {}", said.trim()) } else { "killed by the kernel".to_owned() };
    Told {
        happened: format!(
            "memory.max 128 MiB, of which {:.0} were in use with the tables; lowered to 16 MiB: killed by the kernel, nothing left; a \
             start with 16 MiB: {ended}, nothing left; with 128 MiB again: as before",
            used as f64 / f64::from(1 << 20)
        ),
        lost: "what happened until it was attached again, which no counter has".to_owned(),
        recovered,
    }
}
