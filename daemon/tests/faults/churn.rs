//! Processes and cgroups by the thousands, that come and go.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{Stage, Told, exact, is_full, live::*};

/// Where the guest has cgroup2.
pub(crate) const CGROUPS: &str = "/sys/fs/cgroup";
/// What mmscope's process may take with ten thousand address spaces (docs/performance.md).
const RESIDENT: f64 = 40.0 * MIB;
/// The same when twenty thousand cgroups are known by name (docs/faults.md).
const RESIDENT_NAMES: f64 = 64.0 * MIB;
const MIB: f64 = 1024.0 * 1024.0;
/// Series of a scrape at most, of subjects and of what has none (docs/subjects.md): `series_cap`.
const SERIES: usize = 3000;
/// Subjects told apart at most, and as many that are shown for the last time.
const SUBJECTS: f64 = 200.0;
/// What a Prometheus waits for a scrape if nobody told it otherwise.
const SCRAPE: Duration = Duration::from_secs(10);

fn resident(scrape: &Scrape) -> f64 {
    scrape.sum("process_resident_memory_bytes", &[])
}

fn series(scrape: &Scrape) -> usize {
    scrape.text.lines().filter(|line| line.starts_with("mmscope_") || line.starts_with("process_")).count()
}

/// The most of what scrapes had while something went on.
#[derive(Default)]
struct Most {
    series: usize,
    resident: f64,
    subjects: f64,
    time: Duration,
    scrapes: u32,
}

impl Most {
    fn see(&mut self, scrape: &Scrape, time: Duration) {
        self.series = self.series.max(series(scrape));
        self.resident = self.resident.max(resident(scrape));
        self.subjects = self.subjects.max(scrape.sum("mmscope_subjects", &[("state", "told")]));
        self.time = self.time.max(time);
        self.scrapes += 1;
    }

    /// What scrapes twice a second have while the work goes on.
    fn during(daemon: &Daemon, work: impl FnOnce()) -> Self {
        let ends = AtomicBool::new(false);
        thread::scope(|scope| {
            let scraper = scope.spawn(|| {
                let mut most = Self::default();
                while !ends.load(Ordering::Relaxed) {
                    let begin = Instant::now();
                    let scrape = daemon.scrape();
                    most.see(&scrape, begin.elapsed());
                    thread::sleep(Duration::from_millis(500));
                }
                most
            });
            let end = Ends(&ends);
            work();
            drop(end);
            scraper.join().unwrap()
        })
    }

    fn is_bounded(&self, resident: f64) {
        assert!(self.resident <= resident, "{:.1} MiB resident", self.resident / MIB);
        // In the short form other guests take their share of the processors meanwhile.
        assert!(!is_full() || self.time < SCRAPE, "a scrape took {:?}", self.time);
    }
}

/// Tells the scraper to end, whatever becomes of the work.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Slots in use but those of processes that were there before.
fn slots(scrape: &Scrape) -> f64 {
    scrape.sum("mmscope_map_entries", &[("map", "mm_slots")])
}

/// The time until slots of who is gone are given back.
fn given_back(daemon: &Daemon, before: &Scrape) -> Duration {
    let begin = Instant::now();
    daemon.await_scrape("free slots", |scrape| slots(scrape) <= slots(before) + 1.0);
    begin.elapsed()
}

pub(crate) fn forks(stage: &mut Stage) -> Told {
    let children = number("FAULTS_FORKS", if is_full() { 50_000 } else { 500 });
    let daemon = stage.daemon();
    let load = Load::named("fault-forks");
    let before = daemon.settled();
    let most = Most::during(daemon, || {
        load.run(&["forkexec", "--exec-every", "1000000", "--count", &children.to_string()]);
    });
    let recovered = given_back(daemon, &before);
    let after = daemon.settled();
    // The first child's exec, and the parent.
    assert_eq!(exact::windows(&after, "fault-forks", "exit"), (children + 2) as f64);
    assert_eq!(after.sum("mmscope_flush_windows_open", &[("comm", "fault-forks")]), 0.0);
    assert_eq!(after.lost(), before.lost(), "{}", exact::lost_between(&before, &after));
    most.is_bounded(RESIDENT);
    exact::is_exact(daemon, "forks-after");
    Told {
        happened: format!(
            "{children} forks one after the other, each with its end: counted to the process; resident {:.1} MiB before, {:.1} at \
             most; a scrape {} ms at most",
            resident(&before) / MIB,
            most.resident / MIB,
            most.time.as_millis()
        ),
        lost: exact::lost_between(&before, &after),
        recovered,
    }
}

/// A cgroup's folder, gone with all below it when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(CGROUPS).join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn empty(&self) {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.empty();
        let _ = fs::remove_dir(&self.0);
    }
}

fn churned(load: &Load, folder: &Folder, cgroups: u64, processes: u64, more: &[&str]) -> serde_json::Value {
    let (cgroups, processes) = (cgroups.to_string(), processes.to_string());
    let args = ["churn", "--inside", folder.0.to_str().unwrap(), "--cgroups", &cgroups, "--processes", &processes];
    load.run(&[&args[..], more].concat())
}

/// Processes that are made straight into cgroups of their own are told with these, each to the event; then cgroups go before
/// anybody has looked.
pub(crate) fn cgroups(stage: &mut Stage) -> Told {
    const NAMED: u64 = 20;
    const EACH: u64 = 5;
    let daemon = stage.daemon();
    let (kept, gone) = (Load::named("cgroup-kept"), Load::named("cgroup-gone"));
    let folder = Folder::new("faults");
    let before = daemon.settled();
    churned(&kept, &folder, NAMED, NAMED * EACH, &["--keep"]);
    let after = daemon.settled();
    for n in 0..NAMED {
        let cgroup = format!("/faults/churn-{n}");
        let of = |path| {
            let labels = [("comm", "cgroup-kept"), ("cgroup", cgroup.as_str()), ("path", path), ("kind", "outer")];
            after.sum("mmscope_flush_window_seconds_count", &labels)
        };
        assert_eq!((of("exit"), of("mprotect")), (EACH as f64, 2.0 * EACH as f64), "{cgroup}");
    }
    folder.empty();
    let begin = Instant::now();
    churned(&gone, &folder, NAMED, NAMED * EACH, &[]);
    let all = (NAMED * EACH + 1) as f64;
    daemon.await_scrape("all ends", |scrape| exact::windows(scrape, "cgroup-gone", "exit") == all);
    let recovered = begin.elapsed();
    let after = daemon.settled();
    assert_eq!(exact::windows(&after, "cgroup-gone", "exit"), all);
    let nameless = [("comm", "cgroup-gone"), ("cgroup", ""), ("path", "exit"), ("kind", "outer")];
    let nameless = after.sum("mmscope_flush_window_seconds_count", &nameless);
    assert_eq!(after.lost(), before.lost(), "{}", exact::lost_between(&before, &after));
    exact::is_exact(daemon, "cgroup-after");
    Told {
        happened: format!(
            "{NAMED} cgroups with {EACH} processes each, cloned into them: every event told with its cgroup; the same with cgroups \
             that are removed at once: every event counted"
        ),
        lost: format!(
            "the names of cgroups that were gone at the next tick: {nameless} of {all} processes told with `cgroup=\"\"`"
        ),
        recovered,
    }
}

/// Many of both, with the bounds that everybody has.
pub(crate) fn churn(stage: &mut Stage) -> Told {
    let cgroups = number("FAULTS_CGROUPS", if is_full() { 20_000 } else { 300 });
    let processes = number("FAULTS_PROCESSES", if is_full() { 100_000 } else { 1_500 });
    stage.empty();
    let daemon = Daemon::bounded("", &[]);
    let load = Load::named("churn");
    let folder = Folder::new("faults");
    let before = daemon.settled();
    let most = Most::during(&daemon, || {
        churned(&load, &folder, cgroups, processes, &[]);
    });
    let recovered = given_back(&daemon, &before);
    let after = daemon.settled();
    // All subjects and "other" together; the end of the load itself is one more.
    let ends = exact::all_windows(&after, "exit") - exact::all_windows(&before, "exit");
    assert_eq!(ends, (processes + 1) as f64);
    let lost = after.lost() - before.lost();
    assert_eq!(lost, 0.0, "{}", exact::lost_between(&before, &after));
    most.is_bounded(RESIDENT_NAMES);
    assert!(most.series <= SERIES, "{} series", most.series);
    assert!(most.subjects <= SUBJECTS, "{} subjects", most.subjects);
    exact::sum_is_exact(&daemon, "churn-after");
    let folded = after.sum("mmscope_subjects_folded_total", &[]);
    Told {
        happened: format!(
            "{cgroups} cgroups through which {processes} processes go: {ends} ends counted; at most {} series, {} subjects, {:.1} MiB \
             resident and {} ms for a scrape, of {} scrapes",
            most.series,
            most.subjects,
            most.resident / MIB,
            most.time.as_millis(),
            most.scrapes
        ),
        lost: format!(
            "names: {folded} subjects summed into \"other\" (`mmscope_subjects_folded_total`), {} forgotten \
             (`mmscope_names_forgotten_total`); of events {}",
            after.sum("mmscope_names_forgotten_total", &[]),
            exact::lost_between(&before, &after)
        ),
        recovered,
    }
}
