//! Own counts against the kernel's, to the event: mixes of loads run on a few processors at once, while kprobe and trace
//! events with hist triggers count the same calls. No library counts here: what is compared is what a scrape says.
//!
//! khugepaged must not work on what is left out on both sides: the guest boots with transparent_hugepage=madvise.
//!
//! Each mix prints one line `exact: {..}` of JSON; `cargo xtask exact` makes a table of them. `EXACT_SCALE` multiplies the
//! work; `EXACT_WITHOUT` names a way of attaching that mmscope has to do without.

mod downgrade;
#[path = "../live/mod.rs"]
mod live;
mod mixes;
mod oracle;
mod overlap;
mod own;
mod tally;
mod trace;

use std::{collections::BTreeMap, fs, process::ExitCode};

use live::Daemon;
use oracle::Oracle;
use serde_json::json;

/// What is compared, in the order of the table.
const MEASURES: &[&str] = &[
    "windows",
    "flushes",
    "full flushes",
    "reads acquired",
    "writes acquired",
    "failed",
    "reads released",
    "writes ended",
    "userfaults",
    "ioctls",
];

/// How many times less an emulated processor does in a time slice than one of today, roughly.
const EMULATION: u64 = 32;
const TIME_SLICE: &str = "/sys/kernel/debug/sched/base_slice_ns";

/// Makes time slices as long as they are on a machine that is not emulated, in work done: where the kernel preempts itself,
/// it would else do so many times too often for each call that is counted.
fn stretch_time_slices() {
    if let Ok(text) = fs::read_to_string(TIME_SLICE) {
        let slice_ns: u64 = text.trim().parse().unwrap();
        fs::write(TIME_SLICE, (EMULATION * slice_ns).to_string()).unwrap();
    }
}

fn main() -> ExitCode {
    stretch_time_slices();
    let scale = std::env::var("EXACT_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let without = std::env::var("EXACT_WITHOUT").map(|way| format!("--without={way}")).ok();
    let daemon = Daemon::start(&without.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut passed, mut failed) = (0, 0);
    for (good, problems) in [overlap::run(&daemon), downgrade::run(&daemon)] {
        passed += good;
        failed += problems.len() as u32;
        problems.iter().for_each(|problem| println!("FAILED: {problem}"));
    }
    let oracle = Oracle::new();
    oracle.arm();
    for mix in mixes::all(scale) {
        match run(&daemon, &oracle, &mix) {
            Ok(()) => passed += 1,
            Err(problem) => {
                println!("{}: FAILED: {problem}", mix.name);
                failed += 1;
            }
        }
    }
    drop(daemon);
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(daemon: &Daemon, oracle: &Oracle, mix: &mixes::Mix) -> Result<(), String> {
    let mut runner = mixes::Runner::start(mix);
    let before = daemon.settled();
    let begin = oracle.begin();
    runner.go();
    let reading = oracle.counts(&begin);
    let after = daemon.settled();
    drop(runner);

    let (old, new) = (own::counts(&before), own::counts(&after));
    let counted = reading.counts;
    let measures: Vec<&str> = MEASURES.iter().copied().filter(|&name| counted.contains_key(name)).collect();
    let told: BTreeMap<&str, i64> = measures.iter().map(|&name| (name, new[name] - old[name])).collect();
    let mut lost = own::gained(&before, &after, "mmscope_lost_total", "reason");
    lost.retain(|reason, _| !live::FORGOTTEN.contains(&reason.as_str()));
    let missed = own::gained(&before, &after, "mmscope_probe_misses_total", "probe");
    let mismatches = own::mismatches(&after) - own::mismatches(&before);
    println!(
        "exact: {}",
        json!({
            "mix": mix.name,
            "cpus": std::thread::available_parallelism().map_or(0, usize::from),
            "measures": measures,
            "own": measures.iter().map(|&name| told[name]).collect::<Vec<_>>(),
            "oracle": measures.iter().map(|&name| counted[name]).collect::<Vec<_>>(),
            "pending_mismatches": mismatches,
            "lost": lost,
            "missed": missed,
        })
    );
    // A kernel that preempts a program skips the same program on that processor until it goes on, and counts that. What
    // was skipped is missing here and is known to be; nothing else may be missing.
    let skipped: i64 = missed.values().sum();
    let mut problems: Vec<String> = measures
        .iter()
        .filter(|&&name| !(0..=skipped).contains(&(counted[name] - told[name])))
        .map(|&name| format!("{name}: own {} oracle {}", told[name], counted[name]))
        .collect();
    if !problems.is_empty() {
        for metric in
            ["mmscope_flush_window_seconds_count", "mmscope_tlb_flushes_total", "mmscope_mmap_lock_acquisitions_total"]
        {
            own::growth(&before, &after, metric).iter().for_each(|line| println!("{}: {line}", mix.name));
        }
    }
    if mismatches > skipped {
        problems.push(format!("{mismatches} mismatches of the pending count"));
    }
    if skipped == 0 {
        problems.extend(lost.iter().map(|(reason, count)| format!("{count} lost as {reason}")));
    }
    problems.extend(reading.problems);
    problems.extend(
        mix.required.iter().filter(|&&name| counted.get(name) == Some(&0)).map(|name| format!("no {name} at all")),
    );
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}
