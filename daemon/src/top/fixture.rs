//! Answers for tests: as a daemon tells them.

use serde_json::json;

use super::told::{About, Overview};

/// Four subjects, one of which is part of "other" since the start; an alert, hazards, a hook that is absent, a loss.
pub(super) fn overview() -> Overview {
    let sums = |windows: u64, hold: u64, wait: u64, forced: u64, userfaults: u64| json!({"windows_ns": windows, "hold_ns": hold, "wait_ns": wait, "forced_flushes": forced, "userfaults_ns": userfaults});
    let row = |comm: &str, cgroup: &str, recent: serde_json::Value, total: serde_json::Value, hazards: u64| json!({"comm": comm, "cgroup": cgroup, "recent": recent, "total": total, "hazards": hazards});
    let mut buckets = vec![0; 27];
    (buckets[2], buckets[6], buckets[12]) = (120_000, 900, 3);
    let told = json!({
        "host": {"version": "0.1.0", "host": "db1", "kernel": "6.18.15-amd64", "run": 1.5, "uptime_ms": 7_980_000, "ticks": 9},
        "wrong": {
            "alerts": [{"class": "stale_write_overlap", "severity": "critical", "comm": "java", "cgroup": "/system.slice/java.service",
                "since_ms": 7_900_000, "text": "2 write faults inside another thread's open window went on without a flush"},
                {"class": "blind", "severity": "info", "since_ms": 1_000, "text": "2 hooks are missing"}],
            "raised": {"critical": 1, "info": 1},
            "hazards": [{"class": "stale_write_overlap", "recent": 2, "total": 7, "outcomes": {"exposed": 2, "mitigated": 5}}],
            "told": [{"class": "lock_convoy", "severity": "warning", "comm": "java", "cgroup": "", "is_active": false,
                "at": "12:00:01", "text": "held no longer"}],
            "unjudged": {"uffd_slow": "needs handle_userfault, which is absent: refused by the kernel"}},
        "subjects": {"count": 3, "not_measured": {"userfaults": "the hook handle_userfault is absent: refused by the kernel"}, "rows": [
            row("postgres", "/system.slice/postgresql@17-main.service", sums(4_000_000_000, 9_000_000_000, 1_000_000_000, 3, 0),
                sums(44_000_000_000, 99_000_000_000, 11_000_000_000, 33, 0), 0),
            row("java", "/system.slice/java.service", sums(2_000_000_000, 1_000_000_000, 5_000_000_000, 12_345, 0),
                sums(22_000_000_000, 11_000_000_000, 55_000_000_000, 123_456, 0), 7),
            row("cc1", "/user.slice/user-1000.slice/session-3.scope", sums(16_400, 300_000, 20, 0, 0), serde_json::Value::Null, 0),
            row("other", "", sums(512, 600, 0, 0, 0), sums(1_000_000, 2_000_000, 0, 0, 0), 0)]},
        "durations": [{"name": "windows", "buckets": buckets, "missing": null}, {"name": "holds", "buckets": vec![0; 27], "missing": null},
            {"name": "waits", "buckets": null, "missing": null},
            {"name": "userfaults", "buckets": null, "missing": "the hook handle_userfault is absent: refused by the kernel"}],
        "blame": {"recent": {"waiters": ["fault", "mmap"], "holders": ["mprotect", "unknown"],
                "blocked_ns": [[900_000_000, 1_000_000], [0, 5_000]]},
            "total": {"waiters": [], "holders": [], "blocked_ns": []}, "missing": null},
        "hooks": [{"hook": "tlb_finish_mmu", "tier": "F", "reason": null, "tells": "windows"},
            {"hook": "handle_userfault", "tier": null, "reason": "refused by the kernel", "tells": "userfaults"},
            {"hook": "mwriteprotect_range", "tier": null, "reason": "not needed: change_protection tells the same", "tells": "windows of userfaultfd"}],
        "cost": {"ratio": 0.0025, "budget": 0.01, "level": 0, "line": "", "shed_ms": {"waits": 61_000}, "resident_bytes": 41_943_040,
            "cpu_seconds": 12.5, "table_bytes": 37_748_736, "fullest": []},
        "losses": {"lost": {"ring_full": 12}, "missed": null, "pending_mismatches": 0, "alerts_over": 0, "records": 5},
    });
    serde_json::from_value(told).unwrap()
}

/// A subject's page.
pub(super) fn about(comm: &str) -> About {
    let mut buckets = vec![0; 27];
    (buckets[1], buckets[13]) = (5_000, 2);
    let sums = json!({"windows_ns": 2_000_000_000_u64, "hold_ns": 1_000_000_000, "wait_ns": 5_000_000_000_u64, "forced_flushes": 12_345,
        "userfaults_ns": 0});
    let minutes: Vec<_> =
        (0..15_u64).map(|n| json!({"windows_ns": n * n, "hold_ns": 0, "wait_ns": 7, "forced_flushes": n})).collect();
    let told = json!({
        "host": {"host": "db1", "kernel": "6.18.15-amd64", "run": 1.5, "uptime_ms": 7_980_000, "ticks": 9},
        "comm": comm, "cgroup": format!("/system.slice/{comm}.service"),
        "wrong": {"alerts": [{"class": "lock_convoy", "severity": "warning", "comm": comm, "cgroup": "", "since_ms": 7_000_000,
            "text": "mmap_lock held for 2.1 s by mprotect, 14 waited"}],
            "hazards": [{"class": "lock_convoy", "recent": 1, "total": 3, "outcomes": {}}]},
        "recent": sums, "total": sums, "not_measured": {"userfaults": "the hook handle_userfault is absent: refused by the kernel"},
        "minutes": minutes, "minute_ms": 7_980_000,
        "tables": [{"title": "Pending-flush windows, by path", "missing": null,
                "rows": [{"name": "mprotect", "count": 5_002, "sum_ns": 2_000_000_000_u64, "buckets": buckets}]},
            {"title": "Userfaults, by reason", "rows": [], "missing": "the hook handle_userfault is absent: refused by the kernel"},
            {"title": "Shootdowns", "rows": [], "missing": null}],
        "operations": [{"operation": "mprotect", "hold_ns": 1_000_000_000, "wait_ns": 0}],
        "flushes": {"full": 1, "page": 12_345, "range": 9}, "forced": {"unwarranted": 12_000, "warranted": 345},
        "windows_open": 1, "userfaults_in_flight": 0, "errors": [["copy EEXIST", 3]],
        "events": [{"what": "hold write", "duration_ns": 2_100_000_000_u64, "operation": "mprotect", "tgid": 70, "tid": 71, "at": "12:00:01.500",
            "record": "0123"}],
    });
    serde_json::from_value(told).unwrap()
}
