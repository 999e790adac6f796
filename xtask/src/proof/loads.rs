//! What provokes each class in the guest, and the bounds of the daemon that are low enough for an emulated machine. Commands of
//! mmload only.

/// A program that runs again and again in a step.
pub(super) struct Load {
    /// Its name, at most 15 bytes.
    pub(super) name: &'static str,
    /// Arguments of mmload.
    pub(super) args: &'static str,
    /// The alert that it is to raise.
    pub(super) alert: &'static str,
}

const fn load(name: &'static str, alert: &'static str, args: &'static str) -> Load {
    Load { name, args, alert }
}

/// Alerts that wait for five minutes.
pub(super) const FIRST: &[Load] = &[
    load("convoy", "MmscopeLockConvoy", "lock-hold --writers 2 --readers 2 --seconds 2 --pages 4096 --write-op munmap"),
    load("slow", "MmscopeUffdSlow", "uffd-missing --faults 50 --delay-us 20000"),
    load("errors", "MmscopeUffdErrorStorm", "uffd-errors --eexist 500"),
    load("stuck", "MmscopeUffdStuck", "uffd-missing --faults 1 --delay-us 8000000"),
];

/// The others of these.
pub(super) const SECOND: &[Load] = &[
    load("window", "MmscopeLongWindow", "mprotect --cycles 2 --pages 65536"),
    load("refault", "MmscopeUffdRefault", "uffd-overlap --case handler --rounds 10 --pages 4096"),
    load("straggler", "MmscopeShootdownStraggler", "dontneed --bystander --cycles 300"),
    load("reclaim", "MmscopeReclaimStale", "pageout --cycles 5 --pages 2048 --read"),
];

/// Alerts that wait for ten minutes or more.
pub(super) const THIRD: &[Load] = &[
    load("unwarranted", "MmscopeUnwarrantedFlushStorm", "uffd-overlap --case disjoint --rounds 100 --pages 4096"),
    load("nested", "MmscopeNestedWindow", "uffd-overlap --case two-ranges --rounds 100 --pages 4096"),
    load("escalation", "MmscopeFlushEscalation", "dontneed --threads 3 --cycles 10 --pages 512"),
    load("flip", "MmscopeProtectionFlipFlop", "flip --threads 2 --cycles 1000"),
    load("cycles", "MmscopePteCycleUnflushed", "uffd-overlap --case cycle --rounds 100 --pages 4096"),
];

/// Of a daemon that sees all.
pub(super) const CONFIG: &str = r#"tick = "500ms"
overhead_budget = "off"
[record]
window = "1ms"
hold = "1ms"
wait = "10ms"
[anomaly]
raise_looks = 1
clear_after = "5s"
unwarranted_flush_storm_per_second = 1
long_window_duration = "50ms"
nested_window_per_second = 1
flush_escalation_per_second = 1
pte_cycle_unflushed_per_second = 0
lock_convoy_hold = "5ms"
lock_convoy_lost = "5ms"
protection_flip_flop_per_second = 100
uffd_slow_latency = "1ms"
uffd_slow_percent = 0
uffd_slow_faults = 1
uffd_stuck_age = "1s"
uffd_refault_per_second = 1
uffd_error_storm_per_second = 1
shootdown_straggler_duration = "1ms"
reclaim_stale_duration = "1ms"
"#;

/// Of one that records single events from a microsecond on and looks too seldom to fetch them all.
pub(super) const LOSING_CONFIG: &str = r#"tick = "2s"
overhead_budget = "off"
[record]
window = "1us"
hold = "1us"
wait = "1us"
[anomaly]
raise_looks = 1
clear_after = "5s"
"#;

/// Of one that has room for a single alert.
pub(super) const FEW_ALERTS_CONFIG: &str = r#"tick = "500ms"
overhead_budget = "off"
[record]
hold = "1ms"
[anomaly]
alerts = 1
raise_looks = 1
clear_after = "5s"
lock_convoy_hold = "1ms"
lock_convoy_lost = "1ms"
protection_flip_flop_per_second = 1
"#;

/// A kernel that is older than known fixes, as /proc/version of the guest says while it is to be so.
pub(super) const OLD_VERSION: &str = "Linux version 6.12.0-1-cloud-amd64 (gcc) #1 SMP Debian 6.12.20-1 (2025-03-23)\n";
