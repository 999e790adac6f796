//! More than the tables of the kernel side have room for, while nobody empties them.

use std::time::Instant;

use nix::sys::signal::Signal;

use crate::{Stage, Told, exact, live::*};

/// Windows are recorded, and whatever else is only if it takes an hour: a crowded host makes holds and waits long.
const WINDOWS_ALONE: &str =
    "[record]\nwindow = \"1us\"\nhold = \"1h\"\nwait = \"1h\"\nfault = \"1h\"\n[anomaly]\nlock_convoy_hold = \"1h\"\n";

/// Records that have no room are counted, and the events that they tell of all the same.
pub(crate) fn ring(stage: &mut Stage) -> Told {
    const CYCLES: u32 = 2000;
    const NAME: &str = "ring-load";
    stage.empty();
    let daemon = Daemon::configured(WINDOWS_ALONE, &[]);
    let load = Load::named(NAME);
    let mut load = load.waiting(&["mprotect", "--cycles", &CYCLES.to_string()]);
    let before = daemon.settled();
    let lines = || daemon.said(&["record=", "pending-flush window", NAME]).len() as f64;
    let lines_before = lines();
    daemon.signal(Signal::SIGSTOP);
    load.go();
    daemon.signal(Signal::SIGCONT);
    let went_on = Instant::now();
    let all = f64::from(2 * CYCLES);
    let windows =
        |scrape: &Scrape| exact::windows(scrape, NAME, "mprotect") - exact::windows(&before, NAME, "mprotect");
    daemon.await_scrape("all windows", |scrape| windows(scrape) == all);
    let recovered = went_on.elapsed();
    let after = daemon.settled();
    assert_eq!(windows(&after), all);
    let dropped = exact::lost(&after, "ring_full") - exact::lost(&before, "ring_full");
    assert!(dropped > 0.0, "the ring was not full");
    // No window is as short as the bound on an emulated processor, and a shootdown's is the same.
    let gained = |metric: &str, labels: &[(&str, &str)]| after.sum(metric, labels) - before.sum(metric, labels);
    let strangers = gained("mmscope_flush_window_seconds_count", &[("kind", "outer")]) - all
        + gained("mmscope_tlb_shootdown_seconds_count", &[]);
    let told = lines() - lines_before;
    // A stranger's record may have been dropped as well.
    assert!(
        (all..=all + strangers).contains(&(told + dropped)),
        "{told} told and {dropped} dropped of {all}, {strangers} of others"
    );
    assert_eq!(after.lost() - before.lost(), dropped, "{}", exact::lost_between(&before, &after));
    exact::is_exact(&daemon, "ring-after");
    Told {
        happened: format!(
            "{all} windows recorded while mmscope was stopped, more than the ring holds: {told} told; histograms have all {all}"
        ),
        lost: exact::lost_between(&before, &after),
        recovered,
    }
}

/// New address spaces beyond those that are handed out between two looks go to "other"; nothing is missing in the sum.
pub(crate) fn mms(stage: &mut Stage) -> Told {
    const CHILDREN: u32 = 5000;
    let daemon = stage.daemon();
    let load = Load::named("table-load");
    let before = daemon.settled();
    daemon.signal(Signal::SIGSTOP);
    load.run(&["forkexec", "--exec-every", "1000000", "--count", &CHILDREN.to_string()]);
    daemon.signal(Signal::SIGCONT);
    let went_on = Instant::now();
    let ends = |scrape: &Scrape| exact::all_windows(scrape, "exit") - exact::all_windows(&before, "exit");
    let all = f64::from(CHILDREN + 2);
    daemon.await_scrape("all ends", |scrape| ends(scrape) == all);
    let slots = |scrape: &Scrape| scrape.sum("mmscope_map_entries", &[("map", "mm_slots")]);
    daemon.await_scrape("free slots", |scrape| slots(scrape) <= slots(&before) + 1.0);
    let recovered = went_on.elapsed();
    let after = daemon.settled();
    assert_eq!(ends(&after), all);
    let named = exact::windows(&after, "table-load", "exit");
    let full = exact::lost(&after, "mm_table_full") - exact::lost(&before, "mm_table_full");
    assert!(full > 0.0 && named < all, "the table was not full: {named} of {all} named");
    exact::is_exact(daemon, "table-after");
    Told {
        happened: format!(
            "{CHILDREN} address spaces while mmscope was stopped, more than the 4,096 that are handed out: all {all} ends counted, \
             {named} by name and the rest as \"other\""
        ),
        lost: exact::lost_between(&before, &after),
        recovered,
    }
}
