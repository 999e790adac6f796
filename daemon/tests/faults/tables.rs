//! More than the tables of the kernel side have room for, while nobody empties them.

use std::time::Instant;

use nix::sys::signal::Signal;

use crate::{Stage, Told, exact, live::*};

/// Records that have no room are counted, and the events that they tell of all the same.
pub(crate) fn ring(stage: &mut Stage) -> Told {
    stage.empty();
    // Holds and waits stay unrecorded at their usual bounds, but for those of a crowded host.
    let daemon = Daemon::configured("[record]\nwindow = \"1us\"\n", &[]);
    let load = Load::named("ring-load");
    let mut load = load.waiting(&["mprotect", "--cycles", "2000"]);
    let before = daemon.settled();
    daemon.signal(Signal::SIGSTOP);
    load.go();
    daemon.signal(Signal::SIGCONT);
    let went_on = Instant::now();
    let windows = |scrape: &Scrape| {
        exact::windows(scrape, "ring-load", "mprotect") - exact::windows(&before, "ring-load", "mprotect")
    };
    daemon.await_scrape("all windows", |scrape| windows(scrape) == 4000.0);
    let recovered = went_on.elapsed();
    let after = daemon.settled();
    assert_eq!(windows(&after), 4000.0);
    let gained = |metric: &str| after.sum(metric, &[]) - before.sum(metric, &[]);
    let dropped = exact::lost(&after, "ring_full") - exact::lost(&before, "ring_full");
    assert!(dropped > 0.0, "the ring was not full");
    // No window is as short as the bound on an emulated processor, and a shootdown's is the same.
    let over = after.sum("mmscope_flush_window_seconds_count", &[("kind", "outer")])
        - before.sum("mmscope_flush_window_seconds_count", &[("kind", "outer")])
        + gained("mmscope_tlb_shootdown_seconds_count");
    let told = gained("mmscope_records_total");
    let others = daemon.said(&["record="]).len()
        - daemon.said(&["record=", "pending-flush window"]).len()
        - daemon.said(&["record=", "shootdown"]).len();
    // Those of other kinds may be among the told ones, or were told before.
    assert!(
        (over..=over + others as f64).contains(&(told + dropped)),
        "{told} told and {dropped} dropped of {over}, {others}"
    );
    assert_eq!(after.lost() - before.lost(), dropped, "{}", exact::lost_between(&before, &after));
    exact::is_exact(&daemon, "ring-after");
    Told {
        happened: format!(
            "{over} records of windows while mmscope was stopped, more than the ring holds: {told} told; histograms have all {over}"
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
