//! A processor that comes and goes.

use std::{fs, thread, time::Instant};

use crate::{Stage, Told, exact, is_full, live::*};

/// The guest's third, which is off at boot.
const SWITCH: &str = "/sys/devices/system/cpu/cpu2/online";

fn switch(state: &str) {
    fs::write(SWITCH, state).unwrap_or_else(|error| panic!("write {state} to {SWITCH}: {error}"));
}

/// On for good or for bad, it is off at the end.
struct Off;

impl Drop for Off {
    fn drop(&mut self) {
        let _ = fs::write(SWITCH, "0");
    }
}

pub(crate) fn off_and_on(stage: &mut Stage) -> Told {
    let cycles: u32 = if is_full() { 40_000 } else { 3_000 };
    let daemon = stage.daemon();
    let load = Load::named("cpu-load");
    let _off = Off;
    switch("1");
    let mut load = load.waiting(&["flip", "--threads", "3", "--cycles", &cycles.to_string()]);
    let before = daemon.settled();
    let mut times = 0;
    thread::scope(|scope| {
        let work = scope.spawn(|| load.go());
        // At least once while it works.
        loop {
            switch("0");
            switch("1");
            times += 1;
            if work.is_finished() {
                break;
            }
        }
        assert_eq!(work.join().unwrap()["mprotect_calls"], 6 * cycles);
    });
    switch("0");
    let ended = Instant::now();
    let calls = f64::from(6 * cycles);
    let counted = |scrape: &Scrape| {
        exact::windows(scrape, "cpu-load", "mprotect") - exact::windows(&before, "cpu-load", "mprotect")
    };
    let missed = |scrape: &Scrape| scrape.missed() - before.missed();
    let is_there = |scrape: &Scrape| (calls - missed(scrape)..=calls).contains(&counted(scrape));
    daemon.await_scrape("all events", is_there);
    let recovered = ended.elapsed();
    let after = daemon.settled();
    assert!(is_there(&after), "counted twice");
    if missed(&after) == 0.0 {
        assert_eq!(after.lost(), before.lost(), "{}", exact::lost_between(&before, &after));
    }
    exact::is_exact(daemon, "cpu-after");
    Told {
        happened: format!(
            "a processor off and on {times} times while three threads made {calls} protection changes: all counted"
        ),
        lost: exact::lost_between(&before, &after),
        recovered,
    }
}
