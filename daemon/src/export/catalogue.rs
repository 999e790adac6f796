//! Every metric family, declared once as data: name, type, help, labels, the largest number of its series, and the
//! hooks without which it cannot be measured and is absent.

use std::fmt::Write as _;

use probe_common::lost::{MEANINGS, REASONS};

use super::families::{self, Collect};
use crate::plan::{self, HookState};

/// Type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric family.
pub struct Family {
    /// Full name, with unit and `_total`.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
    /// Label names in order.
    pub labels: &'static [&'static str],
    /// Largest number of series; S stands for the bound on subjects plus one for "other".
    pub series: &'static str,
    /// Sets of hooks: with all of any one set it can be measured. Empty: always.
    pub needs: &'static [&'static [&'static str]],
    pub(super) collect: Collect,
}

/// Units in which something is told: by convention the last word of a name, before `_total`.
const UNITS: [&str; 6] = ["seconds", "bytes", "ratio", "pages", "cpus", "vmas"];

impl Family {
    /// Name without `_total`.
    #[must_use]
    pub fn base_name(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }

    /// Unit; none for what is just counted.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        let last = self.base_name().rsplit('_').next()?;
        UNITS.into_iter().find(|unit| *unit == last)
    }

    /// Whether it can be measured with these hooks.
    #[must_use]
    pub fn is_measured(&self, hooks: &[HookState]) -> bool {
        self.needs.is_empty() || self.needs.iter().any(|set| set.iter().all(|hook| plan::has(hooks, hook)))
    }
}

// The functions of rw_semaphore are attached all together or not at all.
const LOCK: &[&[&str]] = &[&["mmap_lock_acquire_returned", "mmap_lock_released"], &["down_read", "up_read"]];
const WAIT: &[&[&str]] = &[
    &["contention_begin", "contention_end"],
    &[
        "rwsem_down_read_slowpath",
        "rwsem_down_read_slowpath:exit",
        "rwsem_down_write_slowpath",
        "rwsem_down_write_slowpath:exit",
    ],
];
const LOCK_OR_WAIT: &[&[&str]] = &[LOCK[0], LOCK[1], WAIT[0], WAIT[1]];
const WINDOWS: &[&[&str]] = &[&["tlb_gather_mmu", "tlb_finish_mmu"]];
const FLUSHES: &[&[&str]] = &[&["flush_tlb_mm_range"], &["tlb_flush"]];
const FAULTS: &[&[&str]] = &[&["handle_userfault", "handle_userfault:exit"]];
const FORCED: &[&[&str]] = &[
    &["do_wp_page", "do_wp_page:exit", "flush_tlb_mm_range", "tlb_gather_mmu", "tlb_finish_mmu"],
    &["do_wp_page", "do_wp_page:exit", "change_protection:exit", "tlb_gather_mmu", "tlb_finish_mmu"],
];
const ESCALATIONS: &[&[&str]] = &[
    &["flush_tlb_mm_range", "tlb_gather_mmu", "tlb_finish_mmu"],
    &["change_protection:exit", "tlb_gather_mmu", "tlb_finish_mmu"],
];
const CHANGES: &[&[&str]] = &[
    &["change_protection", "flush_tlb_mm_range", "tlb_finish_mmu"],
    &["change_protection", "change_protection:exit", "tlb_finish_mmu"],
    &["mprotect_fixup", "mwriteprotect_range", "change_prot_numa", "flush_tlb_mm_range"],
];
const GENERATIONS: &[&[&str]] = &[
    &["do_wp_page", "do_wp_page:exit", "change_protection"],
    &["do_wp_page", "do_wp_page:exit", "mprotect_fixup", "mwriteprotect_range"],
];
const SHOOTDOWNS: &[&[&str]] = &[
    &["native_flush_tlb_multi", "native_flush_tlb_multi:exit"],
    &["native_flush_tlb_others", "native_flush_tlb_others:exit"],
];
/// The lock and what an mprotect changes.
const MPROTECTS: &[&[&str]] = &[
    &["change_protection", "mmap_lock_acquire_returned", "mmap_lock_released"],
    &["change_protection", "down_read", "up_read"],
    &["mprotect_fixup", "down_read", "up_read"],
];
const SAVINGS: &[&[&str]] = &[
    &["change_protection", "mmap_lock_acquire_returned", "mmap_lock_released", "contention_begin", "contention_end"],
    &["change_protection", "down_read", "up_read", "contention_begin", "contention_end"],
    &["mprotect_fixup", "down_read", "up_read", "rwsem_down_read_slowpath", "rwsem_down_read_slowpath:exit"],
];
const BLAME: &[&[&str]] = &[
    &["mmap_lock_acquire_returned", "mmap_lock_released", "contention_begin", "contention_end"],
    &["down_read", "up_read", "contention_begin", "contention_end"],
    &["down_read", "up_read", "rwsem_down_read_slowpath:exit", "rwsem_down_write_slowpath:exit"],
];
const IOCTLS: &[&[&str]] = &[&["userfaultfd_ioctl", "userfaultfd_ioctl:exit"]];

macro_rules! families {
    ($($name:literal $kind:ident $labels:tt $series:literal $needs:expr, $collect:ident, $help:literal;)*) => {
        /// All families, in the order of a scrape.
        pub const CATALOGUE: &[Family] = &[$(Family {
            name: $name,
            kind: Kind::$kind,
            help: $help,
            labels: &$labels,
            series: $series,
            needs: $needs,
            collect: families::$collect,
        }),*];
    };
}

families! {
    "mmscope_flush_window_seconds" Histogram ["comm", "cgroup", "path", "kind"] "18 S" WINDOWS, flush_windows,
        "How long page-table changes waited for their TLB flush: kind outer from tlb_gather_mmu to tlb_finish_mmu, kind inner from change_protection to the flush; of path reclaim, kind outer only, from the first page that reclaim unmapped to the flush of its batch";
    "mmscope_flush_windows_open" Gauge ["comm", "cgroup"] "S" WINDOWS, windows_open,
        "Outer pending-flush windows open at the last tick";
    "mmscope_tlb_flushes_total" Counter ["comm", "cgroup", "kind"] "3 S" FLUSHES, tlb_flushes,
        "TLB flushes of address spaces: range by an mmu_gather or of more than one page, page by flush_tlb_page, full of the whole mm";
    "mmscope_tlb_flush_pages_total" Counter ["comm", "cgroup"] "S" FLUSHES, tlb_flush_pages,
        "Pages (or huge pages) that range and page flushes invalidated one by one; a range of more than 33 is flushed as a whole and not in here";
    "mmscope_forced_flushes_total" Counter ["comm", "cgroup", "warranted"] "2 S" FORCED, forced_flushes,
        "One-page flushes that write faults (do_wp_page) were forced to because some flush was pending in the mm; warranted if another task's open window covered the address";
    "mmscope_tlb_escalations_total" Counter ["comm", "cgroup", "cause", "warranted"] "4 S" ESCALATIONS, escalations,
        "Ranges that were flushed as the whole mm: cause nested because another flush was pending at tlb_finish_mmu (warranted if its range met another open window's), cause reclaim because of batched flushes outstanding";
    "mmscope_tlb_shootdown_seconds" Histogram ["comm", "cgroup"] "S" SHOOTDOWNS, shootdowns,
        "How long flushes that asked other CPUs waited for the last of them";
    "mmscope_tlb_shootdown_cpus_total" Counter ["comm", "cgroup"] "S" SHOOTDOWNS, shootdown_cpus,
        "CPUs that an mm was in use on, besides the one that asked, when a flush asked others; the kernel spares those of them that are lazy at the moment";
    "mmscope_pte_cycles_total" Counter ["comm", "cgroup", "flushed"] "2 S" CHANGES, pte_cycles,
        "Cycles not-writable, writable, not-writable of a 2 MiB range; flushed tells whether a flush that covers it was complete in between";
    "mmscope_pte_generation_changes_total" Counter ["comm", "cgroup", "needed"] "2 S" GENERATIONS, generation_changes,
        "Write faults during which a generation kept for each page-table page would have changed; needed if the faulting page itself was changed";
    "mmscope_mmap_lock_wait_seconds" Histogram ["comm", "cgroup", "mode"] "2 S" WAIT, lock_waits,
        "How long contended acquisitions of mmap_lock blocked; uncontended ones are no waits";
    "mmscope_mmap_lock_hold_seconds" Histogram ["comm", "cgroup", "mode"] "2 S" LOCK, lock_holds,
        "How long mmap_lock was held; a downgrade ends a write hold and begins a read hold";
    "mmscope_mmap_lock_acquisitions_total" Counter ["comm", "cgroup", "mode", "result"] "4 S" LOCK, acquisitions,
        "Acquisitions of mmap_lock; result failed is a trylock that did not get it or a killed waiter";
    "mmscope_mmap_lock_operation_seconds_total" Counter ["comm", "cgroup", "operation", "phase"] "28 S" LOCK_OR_WAIT, operations,
        "Time spent holding mmap_lock, and waiting for it, by what the task was doing";
    "mmscope_mmap_lock_blocked_seconds_total" Counter ["waiter", "holder"] "210" BLAME, blocked,
        "Time waited for mmap_lock by the waiter's operation and that of who held it meanwhile; holder unknown is what no hold accounts for";
    "mmscope_mmap_lock_downgrade_saving_seconds_total" Counter ["comm", "cgroup"] "S" SAVINGS, downgrade_savings,
        "Reader waits that would have been spared if mprotect held mmap_lock only for read from its last VMA on";
    "mmscope_mprotect_vmas" Histogram ["comm", "cgroup"] "S" MPROTECTS, mprotect_vmas,
        "VMAs whose protection one mprotect changed; those that changed none are not in here";
    "mmscope_userfault_seconds" Histogram ["comm", "cgroup", "reason"] "3 S" FAULTS, userfaults,
        "How long threads waited in handle_userfault for their handler";
    "mmscope_userfaults_in_flight" Gauge ["comm", "cgroup"] "S" FAULTS, userfaults_in_flight,
        "Threads waiting in handle_userfault at the last tick";
    "mmscope_uffd_ioctl_seconds" Histogram ["comm", "cgroup", "ioctl"] "12 S" IOCTLS, ioctls,
        "How long ioctls of userfaultfd took, told about the process that asked";
    "mmscope_uffd_ioctl_errors_total" Counter ["comm", "cgroup", "ioctl", "errno"] "bounded by 4096 in the kernel" IOCTLS, ioctl_errors,
        "Failed ioctls of userfaultfd";
    "mmscope_userfault_repeats_total" Counter ["comm", "cgroup"] "S" FAULTS, userfault_repeats,
        "Userfaults at a page that had faulted last among those that share its place (eight places an mm)";
    "mmscope_hazards_total" Counter ["comm", "cgroup", "class", "outcome"] "classes and outcomes times S" &[], hazards,
        "Hazards seen, by class and outcome; docs/anomalies.md has the classes, mmscope_alerts_active those that are judged here";
    "mmscope_alerts_active" Gauge ["class", "severity"] "one for each class and severity" &[], alerts,
        "Alerts that are raised; a class that cannot be judged here is absent";
    "mmscope_alerts_dropped_total" Counter [] "1" &[], alerts_over,
        "Findings that found no room among the alerts";
    "mmscope_baselines_dropped_total" Counter [] "1" &[], baselines_over,
        "Figures of subjects that found no room among the baselines, at each tick; absent where baselines are switched off";
    "mmscope_notifications_sent_total" Counter ["sink"] "one for each sink" &[], notifications_sent,
        "Messages that a receiver of alerts took; one may tell of many alerts";
    "mmscope_notification_failures_total" Counter ["sink", "reason"] "7 for each sink" &[], notification_failures,
        "Attempts to tell alerts that failed; all but those refused are made again";
    "mmscope_notifications_dropped_total" Counter ["sink"] "one for each sink" &[], notifications_dropped,
        "Raised or cleared alerts that were given up: refused, or too many waited";
    "mmscope_notifications_suppressed_total" Counter ["sink"] "one for each sink" &[], notifications_suppressed,
        "Raised or cleared alerts that were not told on their own: a later state took their place, during a cool-down or while the receiver was down";
    "mmscope_notification_queue_length" Gauge ["sink"] "one for each sink" &[], notification_queue,
        "Alerts that wait to be told";
    "mmscope_cgroup_info" Gauge ["cgroup", "slice", "unit", "user_unit", "runtime", "container", "container_name", "pod_uid", "pod", "namespace", "qos"] "S" &[], cgroup_info,
        "Always one; what the path of a cgroup says: systemd's slice and unit, the container, the pod; docs/subjects.md has how to join it, and where names come from";
    "mmscope_subjects" Gauge ["state"] "2" &[], subjects,
        "Subjects told apart, and those that gave their place up and are shown for the last time";
    "mmscope_subjects_folded_total" Counter ["reason"] "2" &[], subjects_folded,
        "Subjects whose sums went to \"other\": they lost their place, or there were too many series";
    "mmscope_series_folded_total" Counter [] "1" &[], series_folded,
        "Series that went to those of \"other\" because of the cap on series";
    "mmscope_names_forgotten_total" Counter ["memory"] "4" &[], names_forgotten,
        "What names are made of and was forgotten for want of room: it is looked up again when it is met again";
    "mmscope_http_connections" Gauge [] "1" &[], http_connections,
        "Connections to mmscope that were open at the last tick";
    "mmscope_http_answers_total" Counter ["code"] "8" &[], http_answers,
        "Requests to mmscope that were answered, by the code of the answer";
    "mmscope_http_refused_total" Counter ["reason"] "11" &[], http_refused,
        "Connections and requests that were not served; docs/web.md has the reasons";
    "mmscope_web_config_reloads_total" Counter ["result"] "2" &[], web_config_reloads,
        "Changes of the web configuration, or of a file that it names, that were taken or refused; absent without such a file";
    "mmscope_probe_attached" Gauge ["probe", "tier", "reason"] "one for each hook" &[], probes_attached,
        "Whether a hook is attached, at which tier, and if not, why";
    "mmscope_probe_runs_total" Counter ["probe"] "one for each hook" &[], probe_runs,
        "Runs of a hook's program while the kernel's BPF statistics were on: with a budget mmscope switches them on for 50 ms every few seconds, so that this is a sample";
    "mmscope_probe_run_seconds_total" Counter ["probe"] "one for each hook" &[], probe_run_seconds,
        "Time spent in a hook's program while the kernel's BPF statistics were on: a sample, see mmscope_probe_runs_total";
    "mmscope_probe_misses_total" Counter ["probe"] "one for each hook" &[], probe_misses,
        "Events that a hook's program could not see because it was running on that CPU already";
    "mmscope_lost_total" Counter ["reason"] "one for each reason" &[], lost,
        "What the probes lost, by reason";
    "mmscope_kernel_pending_mismatch_total" Counter [] "1" WINDOWS, pending_mismatches,
        "Looks at which mm->tlb_flush_pending differed from the windows that mmscope has open on that mm: something was not seen";
    "mmscope_records_total" Counter [] "1" &[], records,
        "Single events over their record threshold";
    "mmscope_map_entries" Gauge ["map"] "one for each map" &[], map_entries,
        "Entries in use in a table of the kernel side at the last look at it: at each tick, of task_states at each sixteenth";
    "mmscope_map_capacity" Gauge ["map"] "one for each map" &[], map_capacity,
        "Entries that a table of the kernel side has room for (bytes for the ring)";
    "mmscope_map_bytes" Gauge ["map"] "one for each map" &[], map_bytes,
        "Memory of a table of the kernel side";
    "mmscope_ticks_total" Counter [] "1" &[], ticks,
        "Looks at the kernel side; a snapshot is as old as the last of them";
    "mmscope_overhead_ratio" Gauge [] "1" &[], overhead,
        "Share of the host's CPU time that the probes took at the last look at their cost, by the kernel's BPF run-time statistics, which are on for 50 ms then; absent where the kernel does not tell, or there is no budget";
    "mmscope_overhead_budget_ratio" Gauge [] "1" &[], overhead_budget,
        "Share of the host's CPU time that the probes may take; absent if there is no bound";
    "mmscope_governor_level" Gauge [] "1" &[], governor_level,
        "What is given up to keep the budget: 0 nothing, 1 stacks, 2 hazards, 3 waits, 4 most lock events, 5 everything";
    "mmscope_governor_shed_seconds_total" Counter ["up_to"] "5" &[], governor_shed,
        "Time during which things were not measured, by the last of stacks, hazards, waits, locks and all that was given up then: what happened meanwhile is in no total";
    "mmscope_mmap_lock_sampling" Gauge [] "1" LOCK, lock_sampling,
        "One acquisition or hold of mmap_lock in this many is counted, for as many; 1 if each is";
    "mmscope_config_last_reload_successful" Gauge [] "1" &[], reload_is_good,
        "Whether the configuration file was good when it was read last, at the start or on SIGHUP; a bad one changes nothing. Absent where there is no file";
    "mmscope_config_last_reload_success_timestamp_seconds" Gauge [] "1" &[], reload_time,
        "When the configuration file was good last, since the epoch; absent where there is no file";
    "mmscope_build_info" Gauge ["version"] "1" &[], build_info,
        "Always one; the label tells the version";
    "process_cpu_seconds_total" Counter [] "1" &[], process_cpu,
        "Total user and system CPU time spent in seconds";
    "process_resident_memory_bytes" Gauge [] "1" &[], process_resident,
        "Resident memory size in bytes";
    "process_virtual_memory_bytes" Gauge [] "1" &[], process_virtual,
        "Virtual memory size in bytes";
    "process_open_fds" Gauge [] "1" &[], process_open_fds,
        "Number of open file descriptors";
    "process_max_fds" Gauge [] "1" &[], process_max_fds,
        "Maximum number of open file descriptors";
    "process_start_time_seconds" Gauge [] "1" &[], process_start,
        "Start time of the process since unix epoch in seconds";
}

/// Whether the family of this name can be measured with these hooks.
#[must_use]
pub fn is_measured(family: &str, hooks: &[HookState]) -> bool {
    CATALOGUE.iter().any(|known| known.name == family && known.is_measured(hooks))
}

/// Sets of hooks: with all of any one set the family of this name can be measured; empty for what always can.
#[must_use]
pub fn needs(family: &str) -> &'static [&'static [&'static str]] {
    CATALOGUE.iter().find(|known| known.name == family).map_or(&[], |known| known.needs)
}

/// What the page says of formats.
const FORMATS: &str = "
## Formats

The Accept header of a scrape chooses, its weights are respected: OpenMetrics text 1.0.0, Prometheus protobuf
(`application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited`), and for all others Prometheus
text 0.0.4. A unit is told in OpenMetrics and protobuf where the name ends in it.

### Native histograms

Over protobuf each histogram has both forms in one message: the classic buckets, and native ones of schema 3 (eight an octave).
`histogram_count` and `histogram_sum` are exact: those of the classic form. Classic bounds are powers of two of nanoseconds
and native ones are not, so each classic bound is told as the native bound next to it, 1.6 % above, with the exact count of what
lies below. The eight native buckets in between get parts of the classic bucket's count, as if its events were spread evenly:
that is what `histogram_quantile` takes for granted when it reads classic buckets. Their counts are therefore fractions;
Prometheus has float histograms for this. A quantile of the native form is that of the classic one within

| where the quantile lies | Prometheus 2 | Prometheus 3, which interpolates native buckets by their logarithm |
|---|---|---|
| up to 7 % below a classic bound, or 11 % above it | 0 to 1.6 % more | 0.1 % less to 1.6 % more |
| elsewhere | 0.02 % | 0.11 % |
| above the last bound, 8.6 s, where classic quantiles stay | 8.7 to 9.5 s | 8.7 to 9.5 s |

Two things are Prometheus's own: where a rank falls exactly between two buckets with empty ones between them, Prometheus 3 takes
the upper end for native and the lower end for classic quantiles; and `rate` extrapolates each classic bucket for itself, a
native histogram as a whole, so that with a handful of events in its window the quantiles may lie octaves apart.
Classic buckets hold a quantile only to within a factor of two; neither form knows more than the other. Who wants
the classic bounds themselves in native form lets Prometheus 3 scrape text (`scrape_protocols: [OpenMetricsText1.0.0]`) and convert it
(`convert_classic_histograms_to_nhcb`).

### Exemplars

The buckets of windows, waits, holds, userfaults and shootdowns carry the latest event over its record threshold that fell into
them (in OpenMetrics and protobuf; at most ten a histogram, none older than five minutes), with the labels `pid`, `tid`,
`operation` and `record`. The log line of the same event has the same `record`.
";

/// The catalogue as a page of documentation: docs/metrics.md is this text.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Made from `daemon/src/export/catalogue.rs`; a test holds this page to it.\n\n\
         Histograms have a bucket for each power of two from 256 ns to 8.6 s, and an exact `_sum`. Over protobuf they are \
         native too (see below). S is the bound on \
         subjects (`subjects` in the configuration, 200 by default) plus one for \"other\", which takes what finds no \
         place. A family whose hooks are absent on this kernel is absent: `mmscope_probe_attached` says why. Series \
         that never counted anything are absent too.\n\n\
         | family | type | unit | labels | series at most | needs the hooks | meaning |\n|---|---|---|---|---|---|---|\n",
    );
    for family in CATALOGUE {
        let labels = family.labels.join(", ");
        let needs: Vec<String> = family.needs.iter().map(|set| set.join(" + ")).collect();
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} |",
            family.name,
            family.kind.name(),
            family.unit().unwrap_or("count"),
            labels,
            family.series,
            needs.join(" or "),
            family.help
        );
    }
    page.push_str(FORMATS);
    page.push_str("\n## Reasons of mmscope_lost_total\n\n| reason | meaning |\n|---|---|\n");
    for (reason, meaning) in REASONS.iter().zip(MEANINGS) {
        let _ = writeln!(page, "| {reason} | {} |", meaning.trim().trim_end_matches('.'));
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plan::HOOKS;

    #[test]
    fn the_page_is_the_catalogue() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, markdown()).unwrap();
        }
        let page = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(page == markdown(), "docs/metrics.md is out of date: run the tests once with UPDATE_DOCS=1");
    }

    #[test]
    fn names_follow_the_conventions_and_are_unique() {
        let mut names = BTreeSet::new();
        for family in CATALOGUE {
            assert!(names.insert(family.name), "{} twice", family.name);
            assert_eq!(family.kind == Kind::Counter, family.name.ends_with("_total"), "{}", family.name);
            if family.kind == Kind::Histogram {
                let counts = family.name == "mmscope_mprotect_vmas";
                assert!(counts || family.name.ends_with("_seconds"), "{}", family.name);
            }
            assert!(!family.help.ends_with('.') && !family.help.contains('\n'), "{}", family.name);
        }
    }

    #[test]
    fn needed_hooks_exist() {
        for hook in CATALOGUE.iter().flat_map(|family| family.needs.iter().flat_map(|set| set.iter())) {
            assert!(HOOKS.iter().any(|known| known.name == *hook), "{hook}");
        }
    }
}
