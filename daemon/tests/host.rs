//! Live on the host that runs the tests: whatever tier it allows, tracepoints at least.

#[path = "live/budget.rs"]
mod budget;
#[path = "live/everywhere.rs"]
mod everywhere;
#[path = "live/flights.rs"]
mod flights;
mod live;
#[path = "live/recordings.rs"]
mod recordings;

use std::process::Command;

use live::{Daemon, Load, fed};

/// Commands by name with their holds and waits, and the host's flushes.
#[test]
fn a_host_that_only_has_tracepoints_still_tells_locks_and_flushes() {
    let load = Load::named("host-load");
    let daemon = Daemon::start(&["--without=fentry", "--without=kprobe"]);
    let mut load = load.waiting(&["flip", "--threads", "2", "--cycles", "2000"]);
    load.go();
    let scrape = daemon.settled();
    let comm = ("comm", "host-load");
    assert!(scrape.sum("mmscope_mmap_lock_hold_seconds_count", &[comm, ("mode", "write")]) >= 8000.0);
    assert!(scrape.sum("mmscope_tlb_flushes_total", &[comm, ("kind", "range")]) > 0.0, "{}", scrape.text);
    for family in ["mmscope_flush_window_seconds", "mmscope_userfault_seconds", "mmscope_uffd_ioctl_seconds"] {
        assert!(!scrape.text.contains(family), "{family} cannot be measured by tracepoints");
    }
    assert_eq!(scrape.sum("mmscope_probe_attached", &[("probe", "tlb_gather_mmu")]), 0.0);
    assert!(scrape.text.contains("probe=\"tlb_gather_mmu\",tier=\"\",reason=\""));
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let promtool = std::env::var_os("PROMTOOL").expect("PROMTOOL: use cargo xtask test");
    let daemon = Daemon::start(&[]);
    Load::named("promtool-load").run(&["mprotect", "--cycles", "10"]);
    let scrape = daemon.settled();
    let (status, said) = fed(Command::new(promtool).args(["check", "metrics"]), &scrape.text);
    assert!(status.success() && said.trim().is_empty(), "{said}");
}

/// A kernel that refuses fentry to everybody: what doctor says there, word for word.
#[test]
fn doctor_says_what_it_said_before_where_fentry_is_refused() {
    let refused = "fexit refused at load: Operation not permitted; \
                   no kprobe: this kernel has no kprobe events (CONFIG_KPROBE_EVENTS)";
    let report = live::doctor(&[]);
    let is_such_a_host = report["hooks"].as_array().unwrap().iter().any(|hook| hook["reason"] == refused);
    if is_such_a_host && report["kernel"].as_str().unwrap().starts_with("6.18") {
        live::doctor_says(include_str!("doctor/6.18-refusing-fentry.txt"));
    }
}
