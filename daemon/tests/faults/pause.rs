//! SIGSTOP, and everything goes on without the daemon.

use std::{
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{Stage, Told, exact, is_full, live::*};

/// The kernel side counts alone: 4,096 new address spaces and 512 KiB of records have room until somebody looks.
pub(crate) fn stopped(stage: &mut Stage) -> Told {
    const CYCLES: u32 = 2000;
    const CHILDREN: u32 = 50;
    let length = Duration::from_secs(if is_full() { 60 } else { 2 });
    let daemon = stage.daemon();
    let (load, forks) = (Load::named("stop-load"), Load::named("stop-forks"));
    let mut load = load.waiting(&["mprotect", "--cycles", &CYCLES.to_string()]);
    let before = daemon.settled();
    daemon.signal(Signal::SIGSTOP);
    let stopped = Instant::now();
    load.go();
    forks.run(&["forkexec", "--exec-every", "1000000", "--count", &CHILDREN.to_string()]);
    // Not to wait for anything: the fault itself lasts so long.
    thread::sleep(length.saturating_sub(stopped.elapsed()));
    daemon.signal(Signal::SIGCONT);
    let went_on = Instant::now();
    let is_there = |scrape: &Scrape| {
        let changes =
            exact::windows(scrape, "stop-load", "mprotect") - exact::windows(&before, "stop-load", "mprotect");
        // Each child, the first one's exec, and the parent.
        let ends = exact::windows(scrape, "stop-forks", "exit");
        changes == f64::from(2 * CYCLES) && ends == f64::from(CHILDREN + 2)
    };
    daemon.await_scrape("what happened meanwhile", is_there);
    let recovered = went_on.elapsed();
    let after = daemon.settled();
    assert!(is_there(&after), "counted twice");
    assert_eq!(after.lost(), before.lost(), "{}", exact::lost_between(&before, &after));
    exact::is_exact(daemon, "stop-after");
    Told {
        happened: format!(
            "SIGSTOP for {} s, {} protection changes and {CHILDREN} processes meanwhile: all in the first snapshots after SIGCONT",
            length.as_secs(),
            2 * CYCLES
        ),
        lost: exact::lost_between(&before, &after),
        recovered,
    }
}
