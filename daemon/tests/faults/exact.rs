//! A load whose events are known is counted to the event.

use crate::live::{Daemon, Load, Scrape};

const WINDOWS: &str = "mmscope_flush_window_seconds_count";
const ACQUISITIONS: &str = "mmscope_mmap_lock_acquisitions_total";
const HOLDS: &str = "mmscope_mmap_lock_hold_seconds_count";

/// Outer windows of a path.
pub(crate) fn windows(scrape: &Scrape, comm: &str, path: &str) -> f64 {
    scrape.sum(WINDOWS, &[("comm", comm), ("path", path), ("kind", "outer")])
}

/// Those of everybody.
pub(crate) fn all_windows(scrape: &Scrape, path: &str) -> f64 {
    scrape.sum(WINDOWS, &[("path", path), ("kind", "outer")])
}

/// What was lost for a reason.
pub(crate) fn lost(scrape: &Scrape, reason: &str) -> f64 {
    scrape.sum("mmscope_lost_total", &[("reason", reason)])
}

/// The reasons that have grown, for people.
pub(crate) fn lost_between(before: &Scrape, after: &Scrape) -> String {
    let grown = probe_common::lost::REASONS.iter().map(|reason| (reason, lost(after, reason) - lost(before, reason)));
    let grown: Vec<String> = grown.filter(|(_, by)| *by > 0.0).map(|(reason, by)| format!("{reason} {by}")).collect();
    if grown.is_empty() { "nothing".to_owned() } else { grown.join(", ") }
}

/// Windows, acquisitions, holds; nothing stays open and nothing is lost. Events that the kernel skipped while it had preempted a
/// program may be missing, as it says itself, and nothing else.
pub(crate) fn is_exact(daemon: &Daemon, name: &str) {
    are_exact(&[daemon], name);
}

/// The same for each of several at once.
pub(crate) fn are_exact(daemons: &[&Daemon], name: &str) {
    const CALLS: f64 = 600.0;
    let load = Load::named(name);
    let mut load = load.waiting(&["mprotect", "--cycles", "300"]);
    let before: Vec<Scrape> = daemons.iter().map(|daemon| daemon.settled()).collect();
    assert_eq!(load.go()["mprotect_calls"], 600);
    for (daemon, before) in daemons.iter().zip(before) {
        let after = daemon.settled();
        let write =
            |scrape: &Scrape| scrape.sum(ACQUISITIONS, &[("comm", name), ("mode", "write"), ("result", "acquired")]);
        let holds = |scrape: &Scrape| scrape.sum(HOLDS, &[("comm", name), ("mode", "write")]);
        let added = [
            windows(&after, name, "mprotect") - windows(&before, name, "mprotect"),
            write(&after) - write(&before),
            holds(&after) - holds(&before),
        ];
        let missed = after.missed() - before.missed();
        assert!(
            added.iter().all(|added| (CALLS - missed..=CALLS).contains(added)),
            "{name}: {added:?}, {missed} missed"
        );
        if missed == 0.0 {
            assert_eq!(after.sum("mmscope_flush_windows_open", &[("comm", name)]), 0.0, "{name}");
            assert_eq!(after.lost(), before.lost(), "{name}: {}", lost_between(&before, &after));
        }
    }
}

/// The sum of all subjects is right, where not everybody is told apart.
pub(crate) fn sum_is_exact(daemon: &Daemon, name: &str) {
    let load = Load::named(name);
    let mut load = load.waiting(&["mprotect", "--cycles", "300"]);
    let before = daemon.settled();
    load.go();
    let after = daemon.settled();
    let missed = after.missed() - before.missed();
    let added = all_windows(&after, "mprotect") - all_windows(&before, "mprotect");
    assert!((600.0 - missed..=600.0).contains(&added), "{added} windows, {missed} missed");
}
