//! What costs too much is given up, and comes back; after it the books are right to the event.

use std::process::{Child, Command, Stdio};

use crate::live::*;

const LEVEL: &str = "mmscope_governor_level";
const ACQUISITIONS: &str = "mmscope_mmap_lock_acquisitions_total";

fn write_locks(scrape: &Scrape, comm: &str) -> f64 {
    scrape.sum(ACQUISITIONS, &[("comm", comm), ("mode", "write"), ("result", "acquired")])
}

fn write_holds(scrape: &Scrape, comm: &str) -> f64 {
    scrape.sum("mmscope_mmap_lock_hold_seconds_count", &[("comm", comm), ("mode", "write")])
}

fn await_level(daemon: &Daemon, is_wanted: impl Fn(f64) -> bool) -> Scrape {
    daemon.await_scrape("level", |scrape| is_wanted(scrape.sum(LEVEL, &[])))
}

/// A load that does nothing else than take the lock, until it is dropped.
struct Endless(Child);

impl Endless {
    fn start(load: &Load) -> Self {
        let mut command = Command::new(load.path());
        command.args(["mprotect", "--cycles", "4000000000"]).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A load whose events are known is counted to the event.
fn is_exact(daemon: &Daemon, name: &str) {
    let load = Load::named(name);
    let mut load = load.waiting(&["mprotect", "--cycles", "300"]);
    let before = daemon.settled();
    load.go();
    let after = daemon.settled();
    assert_eq!(write_locks(&after, name) - write_locks(&before, name), 600.0);
    assert_eq!(write_holds(&after, name) - write_holds(&before, name), 600.0);
    assert_eq!(after.sum("mmscope_flush_windows_open", &[("comm", name)]), 0.0);
    assert_eq!(after.lost(), before.lost(), "{}", after.text);
}

#[test]
fn over_the_budget_less_is_measured_and_after_it_everything() {
    let load = Load::named("budget-load");
    let daemon = Daemon::start(&["--overhead-budget=0.2%"]);
    let busy = Endless::start(&load);
    let over = await_level(&daemon, |level| level > 0.0);
    assert!(daemon.get("/-/ready", "").unwrap().contains("level "), "readiness tells the level");
    assert!(!daemon.said(&["WARN", "over the budget", "level="]).is_empty());
    if over.sum(LEVEL, &[]) == 5.0 {
        // What is not measured is absent, and the hooks say why.
        let later = daemon.settled();
        if later.sum(LEVEL, &[]) == 5.0 {
            assert!(!later.text.contains(ACQUISITIONS), "{}", later.text);
            assert!(later.text.contains("probe=\"task_rename\",tier=\"\",reason=\"shed: "), "{}", later.text);
        }
    }
    drop(busy);
    let restored = await_level(&daemon, |level| level == 0.0);
    assert!(restored.sum("mmscope_governor_shed_seconds_total", &[]) > 0.0);
    is_exact(&daemon, "budget-after");
}

/// Ends whose beginnings should have been seen.
fn orphans(scrape: &Scrape) -> f64 {
    let reasons = scrape.labels("mmscope_lost_total", "reason");
    let missed = reasons.iter().filter(|reason| reason.contains("_without_"));
    missed.map(|reason| scrape.sum("mmscope_lost_total", &[("reason", reason)])).sum()
}

#[test]
fn what_begins_while_hooks_are_given_up_is_not_missed() {
    let folder = open_folder();
    let file = folder.path().join("stop");
    let daemon = Daemon::start(&["--stop-file", file.to_str().unwrap(), "--overhead-budget=off"]);
    let load = Load::named("stop-busy");
    let busy = [Endless::start(&load), Endless::start(&load)];
    let before = daemon.settled();
    std::fs::write(&file, "").unwrap();
    let stopped = await_level(&daemon, |level| level == 5.0);
    drop(busy);
    assert_eq!(orphans(&stopped), orphans(&before), "{}", stopped.text);
}

#[test]
fn a_stop_file_switches_everything_off_and_its_end_on() {
    stop_and_go_on(&[]);
}

/// The same of kprobes, where there are any.
#[test]
fn kprobes_are_given_up_and_taken_back() {
    stop_and_go_on(&["--without=fentry"]);
}

fn stop_and_go_on(args: &[&str]) {
    let folder = open_folder();
    let file = folder.path().join("stop");
    let daemon = Daemon::start(&[&["--stop-file", file.to_str().unwrap()], args].concat());
    is_exact(&daemon, "stop-before");
    std::fs::write(&file, "").unwrap();
    let stopped = await_level(&daemon, |level| level == 5.0);
    assert_eq!(stopped.sum("mmscope_probe_attached", &[]), 0.0, "{}", stopped.text);
    assert!(daemon.get("/-/ready", "").unwrap().contains("stop file"));
    let ticks = daemon.settled();
    Load::named("stop-load").run(&["mprotect", "--cycles", "100"]);
    let unseen = daemon.settled();
    assert!(!unseen.text.contains("stop-load"), "{}", unseen.text);
    assert_eq!(unseen.lost(), ticks.lost());
    std::fs::remove_file(&file).unwrap();
    await_level(&daemon, |level| level == 0.0);
    is_exact(&daemon, "stop-after");
}

/// One in 64 counts for 64: right but for chance. A hold that was sampled is counted with its acquisition.
#[test]
fn sampled_lock_events_add_up() {
    let load = Load::named("sampled-load");
    let daemon = Daemon::start(&["--shed=locks"]);
    await_level(&daemon, |level| level == 4.0);
    assert_eq!(daemon.scrape().sum("mmscope_mmap_lock_sampling", &[]), 64.0);
    let mut load = load.waiting(&["mprotect", "--cycles", "100000"]);
    let before = daemon.settled();
    load.go();
    let after = daemon.settled();
    let locks = write_locks(&after, "sampled-load") - write_locks(&before, "sampled-load");
    let holds = write_holds(&after, "sampled-load") - write_holds(&before, "sampled-load");
    assert_eq!(locks % 64.0, 0.0);
    assert_eq!(locks, holds);
    // Five times the standard deviation of 200,000 draws of one in 64 is 9 per cent.
    assert!((locks / 200_000.0 - 1.0).abs() < 0.09, "{locks} of 200000");
    assert!(!after.text.contains("mmscope_mmap_lock_wait_seconds"), "waits were given up");
    assert_eq!(after.lost(), before.lost(), "{}", after.text);
}
