//! Readers behind an mprotect, against a trace of the same run: how much of their waits lies between the last VMA's change and
//! the release, how many VMAs there were, and that no second of waiting is charged to nobody or twice.

use std::{collections::BTreeMap, process::Command};

use serde_json::{Value, json};

use crate::{
    live::{Daemon, Scrape},
    overlap::again,
    trace::{Event, Trace},
};

/// VMAs of the range that is protected.
const CASES: &[u64] = &[1, 4, 8];
/// Pages of each: long enough that the two clocks, read one after the other at each event, hardly differ by comparison.
const PAGES: u64 = 8192;
const WRITES: u64 = 60;
/// How far own savings may be from the trace's.
const TOLERANCE: f64 = 0.05;
/// Runs of a case, until one is within it.
const RUNS: u32 = 4;

/// Runs all cases; how many passed, and what was wrong with the others.
pub(crate) fn run(daemon: &Daemon) -> (u32, Vec<String>) {
    let output = crate::live::mmscope().args(["doctor", "--facts"]).output().unwrap();
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    if facts["members"]["mm_struct.mmap_lock.rwbase.rtmutex"].is_u64() {
        // With PREEMPT_RT a reader's slow path is no function.
        println!("downgrade: left out, no function has a reader's wait");
        return (0, Vec::new());
    }
    let trace = Trace::new("mono", &events(&facts));
    let lock = facts["members"]["mm_struct.mmap_lock"].as_u64().unwrap();
    let mut passed = 0;
    let mut problems = Vec::new();
    for &vmas in CASES {
        // An emulated processor may stand still between the trace's reading of the clock and the program's: what a run has
        // of that is noise, and the next one has it elsewhere.
        match again(RUNS, || one(daemon, &trace, lock, vmas)) {
            Ok(()) => passed += 1,
            Err(problem) => problems.push(format!("mprotect of {vmas} VMAs: {problem}")),
        }
    }
    (passed, problems)
}

fn one(daemon: &Daemon, trace: &Trace, lock: u64, vmas: u64) -> Result<(), String> {
    let before = daemon.settled();
    trace.start();
    let output = Command::new("mmload")
        .args(["--name", "downgrade", "lock-hold", "--writers", "1", "--readers", "3"])
        .args(["--ops", &WRITES.to_string(), "--read-ops", &(10 * WRITES).to_string()])
        .args(["--pages", &(vmas * PAGES).to_string(), "--vmas", &vmas.to_string()])
        .output()
        .unwrap();
    let seen = savings(&trace.stop()?, lock);
    let after = daemon.settled();
    if !output.status.success() {
        return Err(format!("the load failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let gained = |metric: &str| {
        let of = |scrape: &Scrape| scrape.sum(metric, &[("comm", "downgrade")]);
        of(&after) - of(&before)
    };
    let own = gained("mmscope_mmap_lock_downgrade_saving_seconds_total");
    let all = |metric: &str| after.sum(metric, &[]) - before.sum(metric, &[]);
    let waited = all("mmscope_mmap_lock_wait_seconds_sum");
    let blocked = all("mmscope_mmap_lock_blocked_seconds_total");
    println!("downgrade: {}", json!({"vmas": vmas, "saving": [own, seen], "waited": waited, "blocked": blocked}));
    let mprotects = (gained("mmscope_mprotect_vmas_count"), gained("mmscope_mprotect_vmas_sum"));
    // The process's own start has a few, of one VMA each.
    let others = mprotects.0 - WRITES as f64;
    if others < 0.0 || mprotects.1 - others != (WRITES * vmas) as f64 {
        return Err(format!("{mprotects:?} mprotects and VMAs"));
    }
    if (blocked - waited).abs() > 1e-6 * waited.max(1.0) {
        return Err(format!("{waited} s waited, {blocked} s charged to somebody"));
    }
    if seen <= 0.0 || (own - seen).abs() > TOLERANCE * seen {
        return Err(format!("own saving {own} s, by the trace {seen} s"));
    }
    Ok(())
}

/// Seconds of readers' waits between the last change of an mprotect and its release.
fn savings(events: &[Event], lock: u64) -> f64 {
    let mut changes: BTreeMap<u32, (u64, f64)> = BTreeMap::new();
    let mut waits: BTreeMap<u32, (u64, f64)> = BTreeMap::new();
    let mut parts: Vec<(u64, f64, f64)> = Vec::new();
    let mut all_waits: Vec<(u64, f64, f64)> = Vec::new();
    for event in events {
        match event.name.as_str() {
            "change" => {
                changes.insert(event.task, (event.get("mm") + lock, event.time));
            }
            "up" => {
                if let Some((of, since)) = changes.remove(&event.task) {
                    if of == event.get("lock") {
                        parts.push((of, since, event.time));
                    } else {
                        changes.insert(event.task, (of, since));
                    }
                }
            }
            "wait" => {
                waits.insert(event.task, (event.get("lock"), event.time));
            }
            "waited" => {
                if let Some((of, since)) = waits.remove(&event.task) {
                    all_waits.push((of, since, event.time));
                }
            }
            _ => {}
        }
    }
    let overlap = |(lock, from, to): &(u64, f64, f64)| -> f64 {
        let same = parts.iter().filter(|(of, ..)| of == lock);
        same.map(|(_, since, until)| (to.min(*until) - from.max(*since)).max(0.0)).sum()
    };
    all_waits.iter().map(overlap).sum()
}

fn events(facts: &Value) -> Vec<String> {
    let vm_mm = facts["members"]["vm_area_struct.vm_mm"].as_u64().unwrap();
    let change = facts["functions"]["change_protection"].as_str().unwrap_or_default();
    let vma = if change.contains("mmu_gather") { "$arg2" } else { "$arg1" };
    vec![
        format!("p:one/change change_protection mm=+{vm_mm}({vma}):u64"),
        "p:one/up up_write lock=$arg1:u64".to_owned(),
        "p:one/wait rwsem_down_read_slowpath lock=$arg1:u64".to_owned(),
        "r64:one/waited rwsem_down_read_slowpath".to_owned(),
    ]
}
