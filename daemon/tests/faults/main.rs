//! Faults, each provoked while mmscope measures: what happened, what was lost by whose word, and after what time everything is
//! counted to the event again.
//!
//! Each prints one line `fault: {..}` of JSON; `cargo xtask faults` makes a table of them. Words on the command line are the
//! faults to run; without any, all. `FAULTS_FULL=1` makes them as large as docs/faults.md has them, and `FAULTS_CGROUPS`,
//! `FAULTS_PROCESSES` and `FAULTS_FORKS` as large as one likes.

#[path = "../live/bursts.rs"]
mod bursts;
mod churn;
mod clock;
mod cpus;
mod exact;
mod kernel;
mod kill;
#[path = "../live/mod.rs"]
mod live;
mod memory;
mod pause;
mod recording;
mod second;
mod tables;
mod types;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::{Duration, Instant},
};

use live::Daemon;
use serde_json::json;

/// What came of a fault.
struct Told {
    happened: String,
    /// With the counter that says so.
    lost: String,
    /// From the fault's end, or from the fault where it has none, until everything was counted again.
    recovered: Duration,
}

/// What faults share.
struct Stage {
    daemon: Option<Daemon>,
    /// What the kernel had of others before the first one.
    nothing: kernel::Kept,
}

impl Stage {
    fn new() -> Self {
        Self { daemon: None, nothing: kernel::Kept::now() }
    }

    /// Running with everything at its default but that everybody is told.
    fn daemon(&mut self) -> &Daemon {
        self.daemon.get_or_insert_with(|| Daemon::start(&[]))
    }

    /// None runs, and nothing is left of it.
    fn empty(&mut self) -> kernel::Kept {
        self.daemon = None;
        self.nothing.awaited()
    }
}

type Provoke = fn(&mut Stage) -> Told;

/// In an order in which few daemons have to be started.
const FAULTS: &[(&str, Provoke)] = &[
    ("killed", kill::killed),
    ("stopped", pause::stopped),
    ("cpus", cpus::off_and_on),
    ("clock", clock::jumps),
    ("forks", churn::forks),
    ("cgroups", churn::cgroups),
    ("two", second::two),
    ("btf", types::missing),
    ("disk", recording::full),
    ("ring", tables::ring),
    ("memory", memory::limit),
    ("tables", tables::mms),
    ("churn", churn::churn),
];

/// Those that the short form leaves out unless they are asked for: they take more than ten seconds, or minutes.
const LONG: &[&str] = &["disk", "memory", "tables", "churn"];

/// Whether everything is as large as the page has it.
fn is_full() -> bool {
    env::var_os("FAULTS_FULL").is_some()
}

fn main() -> ExitCode {
    let wanted: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let unknown = wanted.iter().find(|word| FAULTS.iter().all(|(name, _)| name != word));
    if let Some(word) = unknown {
        eprintln!("no fault {word:?}: {:?}", FAULTS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        return ExitCode::FAILURE;
    }
    let is_wanted = |name: &str| match wanted.as_slice() {
        [] => is_full() || !LONG.contains(&name),
        words => words.iter().any(|word| word == name),
    };
    let mut stage = Stage::new();
    let (mut passed, mut failed) = (0, 0);
    for (name, provoke) in FAULTS.iter().filter(|(name, _)| is_wanted(name)) {
        println!("fault {name} ...");
        let begin = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| provoke(&mut stage))) {
            Ok(Told { happened, lost, recovered }) => {
                passed += 1;
                let (recovered, seconds) = (recovered.as_secs_f64(), begin.elapsed().as_secs_f64());
                let line = json!({ "fault": name, "happened": happened, "lost": lost,
                    "recovered_s": recovered, "seconds": seconds });
                println!("fault: {line}");
            }
            Err(panic) => {
                failed += 1;
                let said = panic.downcast_ref::<String>().map(String::as_str);
                let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
                println!("fault {name}: FAILED: {}", said.replace('\n', " "));
                // Whatever state it is in.
                stage.daemon = None;
            }
        }
    }
    drop(stage);
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
