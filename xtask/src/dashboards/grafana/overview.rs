//! From the fleet to the cluster to the host, down to the list of its processes.

use super::board::Board;
use super::links::{self, HAZARDS, ITSELF, OVERVIEW, PROCESS};
use super::panel::Panel;
use super::style::Kind;

/// Subjects that a table has room for: those that take the lock most often.
const BUSIEST: &str = "and on (instance, cgroup, comm) topk(50, sum by (instance, cgroup, comm) \
    (rate(mmscope_mmap_lock_acquisitions_total{@host}[@rate])))";

pub(super) fn board() -> Board {
    Board {
        uid: OVERVIEW,
        title: "Overview",
        description: "How page-table changes, mmap_lock and userfaultfd do: fleet, cluster, host, and the \
            processes of a host",
        subjects: false,
        docs: false,
        sections: vec![
            ("Fleet", fleet()),
            ("Clusters", vec![clusters()]),
            ("Hosts", vec![hosts()]),
            ("Processes of the chosen hosts", vec![processes()]),
            ("The chosen hosts over time", over_time()),
        ],
    }
}

fn fleet() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Stat, "Hosts", "Hosts whose mmscope was scraped.")
            .ask("count(mmscope_build_info{@host})", "hosts"),
        Panel::new(Kind::Stat, "Alerts", "Alerts that mmscope has raised, of whatever severity.")
            .ask("sum(mmscope_alerts_active{@host})", "alerts")
            .steps(&[(1.0, "orange")])
            .links(&[links::from_series("Hazards", HAZARDS, &[])]),
        Panel::new(Kind::Stat, "Critical alerts", "Writes that may be lost: look at once.")
            .ask("sum(mmscope_alerts_active{@host,severity=\"critical\"})", "critical")
            .steps(&[(1.0, "red")])
            .empty("no class of this severity is judged on these kernels")
            .links(&[links::from_series("Hazards", HAZARDS, &[])]),
        Panel::new(Kind::Stat, "Hosts that lose events", "Hosts on which something was lost in the last interval.")
            .ask("sum(sum by (job, instance) (rate(mmscope_lost_total{@host}[@rate])) > bool 0)", "hosts")
            .steps(&[(1.0, "orange")])
            .links(&[links::from_series("Can I trust this data?", ITSELF, &[])]),
        Panel::new(
            Kind::Stat,
            "Slow window",
            "99 of 100 page-table changes were flushed within this time; mms \
            that exit left out.",
        )
        .ask(
            "histogram_quantile(0.99, sum by (le) \
                    (rate(mmscope_flush_window_seconds_bucket{@host,kind=\"outer\",path!=\"exit\"}[@rate])))",
            "p99",
        )
        .unit("s"),
        Panel::new(
            Kind::Stat,
            "Threads waiting",
            "Threads that waited for mmap_lock at a time, on average, \
            over all hosts.",
        )
        .ask("sum(rate(mmscope_mmap_lock_wait_seconds_sum{@host}[@rate]))", "threads")
        .unit("short"),
    ]
}

fn clusters() -> Panel {
    let by = |inner: &str| format!("sum by (cluster) ({inner})");
    Panel::new(
        Kind::Table,
        "Clusters",
        "One row for each value of the label cluster; one row without it where nobody adds that label.",
    )
    .column("Hosts", "none", "count by (cluster) (mmscope_build_info{@host})")
    .column("Alerts", "none", &by("mmscope_alerts_active{@host}"))
    .column("Acquisitions", "ops", &by("rate(mmscope_mmap_lock_acquisitions_total{@host}[@rate])"))
    .column("Threads waiting", "short", &by("rate(mmscope_mmap_lock_wait_seconds_sum{@host}[@rate])"))
    .column("TLB flushes", "ops", &by("rate(mmscope_tlb_flushes_total{@host}[@rate])"))
    .column("Lost", "cps", &by("rate(mmscope_lost_total{@host}[@rate])"))
    .sort("Threads waiting")
    .coloured("Alerts", &[(1.0, "orange")])
    .coloured("Lost", &[(0.001, "orange")])
    .links_of("cluster", &[links::from_row("This cluster", OVERVIEW, &["cluster"])])
    .size(24, 6)
}

fn hosts() -> Panel {
    let by = |inner: &str| format!("sum by (cluster, job, instance) ({inner})");
    let p99 = |family: &str, matchers: &str| {
        format!(
            "histogram_quantile(0.99, sum by (cluster, job, instance, le) \
                (rate({family}_bucket{{@host{matchers}}}[@rate])))"
        )
    };
    Panel::new(Kind::Table, "Hosts", "One row for each host. A click on its name shows its processes below.")
        .column("Up", "none", "sum by (cluster, job, instance, version) (mmscope_build_info{@host})")
        .column("Alerts", "none", &by("mmscope_alerts_active{@host}"))
        .column("Threads waiting", "short", &by("rate(mmscope_mmap_lock_wait_seconds_sum{@host}[@rate])"))
        .column("p99 hold", "s", &p99("mmscope_mmap_lock_hold_seconds", ""))
        .column("p99 window", "s", &p99("mmscope_flush_window_seconds", ",kind=\"outer\",path!=\"exit\""))
        .column("TLB flushes", "ops", &by("rate(mmscope_tlb_flushes_total{@host}[@rate])"))
        .column("Lost", "cps", &by("rate(mmscope_lost_total{@host}[@rate])"))
        .column("Missed", "cps", &by("rate(mmscope_probe_misses_total{@host}[@rate])"))
        .hide("Up")
        .sort("Threads waiting")
        .coloured("Alerts", &[(1.0, "orange")])
        .coloured("Lost", &[(0.001, "orange")])
        .coloured("Missed", &[(0.001, "orange")])
        .links_of("instance", &[links::from_row("This host", OVERVIEW, &["instance"])])
        .links_of("Alerts", &[links::from_row("Its hazards", HAZARDS, &["instance"])])
        .links_of("Lost", &[links::from_row("Can I trust its data?", ITSELF, &["instance"])])
        .links_of("Missed", &[links::from_row("Can I trust its data?", ITSELF, &["instance"])])
}

fn processes() -> Panel {
    let by = |inner: &str| format!("sum by (instance, cgroup, comm) ({inner}) {BUSIEST}");
    let row = ["instance", "cgroup", "comm"];
    Panel::new(
        Kind::Table,
        "Processes",
        "The 50 subjects (command and cgroup) that take mmap_lock most often. A click on a command shows all about it.",
    )
    .column("Acquisitions", "ops", &by("rate(mmscope_mmap_lock_acquisitions_total{@host}[@rate])"))
    .column("Threads holding", "short", &by("rate(mmscope_mmap_lock_hold_seconds_sum{@host}[@rate])"))
    .column("Threads waiting", "short", &by("rate(mmscope_mmap_lock_wait_seconds_sum{@host}[@rate])"))
    .column("TLB flushes", "ops", &by("rate(mmscope_tlb_flushes_total{@host}[@rate])"))
    .column("Windows", "ops", &by("rate(mmscope_flush_window_seconds_count{@host,kind=\"outer\"}[@rate])"))
    .column("Userfaults", "ops", &by("rate(mmscope_userfault_seconds_count{@host}[@rate])"))
    .sort("Threads holding")
    .links_of("comm", &[links::from_row("This process", PROCESS, &row)])
    .size(24, 10)
}

fn over_time() -> Vec<Panel> {
    vec![
        Panel::heatmap(
            "TLB flush windows",
            "How long changes of page tables waited for their flush.",
            "mmscope_flush_window_seconds",
            "@host,kind=\"outer\",path!=\"exit\"",
        ),
        Panel::heatmap(
            "mmap_lock held for write",
            "Meanwhile nobody else in the process can map, unmap, or have a fault that needs mmap_lock.",
            "mmscope_mmap_lock_hold_seconds",
            "@host,mode=\"write\"",
        ),
        Panel::heatmap(
            "Waits for mmap_lock",
            "Only acquisitions that had to wait.",
            "mmscope_mmap_lock_wait_seconds",
            "@host",
        ),
        Panel::new(Kind::Lines, "Threads waiting, by host", "The ten hosts where most threads wait for mmap_lock.")
            .ask("topk(10, sum by (instance) (rate(mmscope_mmap_lock_wait_seconds_sum{@host}[@rate])))", "{{instance}}")
            .unit("short")
            .links(&[links::from_series("This host", OVERVIEW, &["instance"])]),
        Panel::new(Kind::Areas, "Threads holding, by operation", "What mmap_lock is held for.")
            .ask(
                "sum by (operation) (rate(mmscope_mmap_lock_operation_seconds_total{@host,phase=\"hold\"}[@rate]))",
                "{{operation}}",
            )
            .unit("short"),
        Panel::new(
            Kind::Areas,
            "TLB flushes, by kind",
            "A full flush takes all translations from everybody who runs in the mm.",
        )
        .ask("sum by (kind) (rate(mmscope_tlb_flushes_total{@host}[@rate]))", "{{kind}}")
        .unit("ops"),
        Panel::new(Kind::Areas, "Alerts, by class", "Alerts that are raised.")
            .ask("sum by (class) (mmscope_alerts_active{@host})", "{{class}}")
            .size(12, 8)
            .links(&[links::from_series("Hazards", HAZARDS, &[])]),
        Panel::new(
            Kind::Lines,
            "Threads in userfaults",
            "Threads that wait for a userfaultfd handler at the last look.",
        )
        .ask("sum by (instance) (mmscope_userfaults_in_flight{@host})", "{{instance}}")
        .size(12, 8),
    ]
}
