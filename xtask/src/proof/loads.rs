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

/// Alerts that wait for ten minutes or more, by what happens seldom under emulation: few at once.
pub(super) const THIRD: &[Load] = &[
    load("nested", "MmscopeNestedWindow", "uffd-overlap --case two-ranges --rounds 100 --pages 4096"),
    load("cycles", "MmscopePteCycleUnflushed", "uffd-overlap --case cycle --rounds 100 --pages 4096"),
];

/// The others of these.
pub(super) const FOURTH: &[Load] = &[
    load("unwarranted", "MmscopeUnwarrantedFlushStorm", "uffd-overlap --case disjoint --rounds 100 --pages 16384"),
    load("escalation", "MmscopeFlushEscalation", "dontneed --threads 3 --cycles 10 --pages 512"),
    load("flip", "MmscopeProtectionFlipFlop", "flip --threads 2 --cycles 1000"),
];

/// On a kernel that loses stores.
pub(super) const UNFIXED: &[Load] = &[load("race", "MmscopeStaleWriteExposed", "uffd-race --rounds 300")];

/// Whom the daemon tells by itself. The webhook hears of each change at once: nothing is gathered for long or held back.
pub(super) const OWN_SINKS: &str = r#"[notify]
instance = "guest"
runbook_url = "@RUNBOOKS@{alert}.md"
[[notify.alertmanager]]
name = "own"
urls = ["http://10.0.2.2:@ALERTMANAGER@"]
resend = "10s"
[[notify.webhook]]
name = "webhook"
url = "http://10.0.2.2:@WEBHOOK@/webhook"
group_wait = "1s"
cool_down = "0s"
"#;

/// Of a daemon that sees all. Two more sinks remember for the step in which Alertmanagers are down: one like `own`, and one with
/// room for two alerts that were cleared.
pub(super) const CONFIG: &str = r#"tick = "500ms"
series_cap = 1000000
series_idle = 1000000
# There are looks at what it costs, and nothing is given up for it.
overhead_budget = "100%"
[record]
window = "1ms"
hold = "1ms"
wait = "10ms"
[anomaly]
raise_looks = 1
clear_after = "10s"
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
# There are baselines, and nothing is that far above its own.
baseline_factor = 1000000
@OWN_SINKS@[[notify.alertmanager]]
name = "named"
urls = ["http://10.0.2.2:@REMEMBERING@/named"]
resend = "10s"
[[notify.alertmanager]]
name = "narrow"
urls = ["http://10.0.2.2:@REMEMBERING@/narrow"]
resend = "10s"
queue = 2
"#;

/// Of one that records single events from a microsecond on and looks too seldom to fetch them all.
pub(super) const LOSING_CONFIG: &str = r#"tick = "2s"
series_cap = 1000000
series_idle = 1000000
overhead_budget = "off"
[record]
window = "1us"
hold = "1us"
wait = "1us"
[anomaly]
raise_looks = 1
clear_after = "5s"
@OWN_SINKS@"#;

/// Of one that has room for a single alert, and a receiver that does not take it.
pub(super) const FEW_ALERTS_CONFIG: &str = r#"tick = "500ms"
series_cap = 1000000
series_idle = 1000000
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
[[notify.webhook]]
name = "deaf"
url = "http://10.0.2.2:@STAGE@/takes-no-post"
group_wait = "1s"
"#;

/// A kernel that is older than known fixes, as /proc/version of the guest says while it is to be so.
pub(super) const OLD_VERSION: &str = "Linux version 6.12.0-1-cloud-amd64 (gcc) #1 SMP Debian 6.12.20-1 (2025-03-23)\n";
