//! The series that are recorded: rates, ratios and quantiles of hosts, clusters and fleets. Names follow Prometheus'
//! convention, level:metric:operations; `cluster` is kept where targets have it. Subjects (comm, cgroup) are summed over:
//! whoever asks for one asks the metrics themselves.

use super::time::{Scale, minutes};
use super::{JOB, Rule};

/// Over what rates are taken. It is in the names too.
const WINDOW: (&str, std::time::Duration) = ("5m", minutes(5));

/// A level, and the labels that tell its members apart.
struct Level {
    name: &'static str,
    labels: &'static [&'static str],
}

/// From one host to all that one job scrapes: each is summed from the one before.
const LEVELS: &[Level] = &[
    Level { name: "instance", labels: &["cluster", "job", "instance"] },
    Level { name: "cluster", labels: &["cluster", "job"] },
    Level { name: "job", labels: &["job"] },
];

/// A counter, without its `_total`, and the labels by which its rate is kept.
struct Rate {
    metric: &'static str,
    end: &'static str,
    by: &'static [&'static str],
}

const fn rate(metric: &'static str, end: &'static str, by: &'static [&'static str]) -> Rate {
    Rate { metric, end, by }
}

const RATES: &[Rate] = &[
    rate("mmscope_forced_flushes", "_total", &["warranted"]),
    rate("mmscope_tlb_escalations", "_total", &["cause", "warranted"]),
    rate("mmscope_tlb_flushes", "_total", &["kind"]),
    rate("mmscope_pte_cycles", "_total", &["flushed"]),
    rate("mmscope_pte_generation_changes", "_total", &["needed"]),
    rate("mmscope_mmap_lock_acquisitions", "_total", &["mode", "result"]),
    rate("mmscope_mmap_lock_operation_seconds", "_total", &["operation", "phase"]),
    rate("mmscope_mmap_lock_downgrade_saving_seconds", "_total", &[]),
    rate("mmscope_mmap_lock_wait_seconds_count", "", &["mode"]),
    rate("mmscope_mmap_lock_wait_seconds_sum", "", &["mode"]),
    rate("mmscope_uffd_ioctl_seconds_count", "", &["ioctl"]),
    rate("mmscope_uffd_ioctl_errors", "_total", &["ioctl"]),
    rate("mmscope_userfault_repeats", "_total", &[]),
    rate("mmscope_hazards", "_total", &["class", "outcome"]),
    rate("mmscope_lost", "_total", &["reason"]),
];

/// What part of one rate another one is. Where nothing happened at all there is no ratio.
struct Ratio {
    name: &'static str,
    part: &'static str,
    whole: &'static str,
    by: &'static [&'static str],
}

const RATIOS: &[Ratio] = &[
    // Of the flushes that write faults were forced to, those that nothing pending at their address called for.
    Ratio {
        name: "mmscope_forced_flushes_unwarranted",
        part: "mmscope_forced_flushes:rate5m{warranted=\"false\"}",
        whole: "mmscope_forced_flushes:rate5m",
        by: &[],
    },
    // Of the ranges that were flushed as the whole mm, those that met no other window.
    Ratio {
        name: "mmscope_tlb_escalations_unwarranted",
        part: "mmscope_tlb_escalations:rate5m{warranted=\"false\"}",
        whole: "mmscope_tlb_escalations:rate5m",
        by: &[],
    },
    Ratio {
        name: "mmscope_tlb_flushes_full",
        part: "mmscope_tlb_flushes:rate5m{kind=\"full\"}",
        whole: "mmscope_tlb_flushes:rate5m",
        by: &[],
    },
    // Of the cycles not-writable, writable, not-writable, those without a flush between.
    Ratio {
        name: "mmscope_pte_cycles_unflushed",
        part: "mmscope_pte_cycles:rate5m{flushed=\"false\"}",
        whole: "mmscope_pte_cycles:rate5m",
        by: &[],
    },
    // Of the faults that a generation count would have sent back, those that it would have sent back needlessly.
    Ratio {
        name: "mmscope_pte_generation_changes_needless",
        part: "mmscope_pte_generation_changes:rate5m{needed=\"false\"}",
        whole: "mmscope_pte_generation_changes:rate5m",
        by: &[],
    },
    // Of the acquisitions of mmap_lock, those that had to wait.
    Ratio {
        name: "mmscope_mmap_lock_contended",
        part: "mmscope_mmap_lock_wait_seconds_count:rate5m",
        whole: "mmscope_mmap_lock_acquisitions:rate5m{result=\"acquired\"}",
        by: &["mode"],
    },
    // Of the time that was waited for mmap_lock, what a downgrade in mprotect would spare.
    Ratio {
        name: "mmscope_mmap_lock_downgrade_saving",
        part: "mmscope_mmap_lock_downgrade_saving_seconds:rate5m",
        whole: "mmscope_mmap_lock_wait_seconds_sum:rate5m",
        by: &[],
    },
    Ratio {
        name: "mmscope_uffd_ioctl_failed",
        part: "mmscope_uffd_ioctl_errors:rate5m",
        whole: "mmscope_uffd_ioctl_seconds_count:rate5m",
        by: &["ioctl"],
    },
];

/// Histograms, with the labels by which they are kept.
const HISTOGRAMS: &[(&str, &[&str])] = &[
    ("mmscope_flush_window_seconds", &["path", "kind"]),
    ("mmscope_tlb_shootdown_seconds", &[]),
    ("mmscope_mmap_lock_wait_seconds", &["mode"]),
    ("mmscope_mmap_lock_hold_seconds", &["mode"]),
    ("mmscope_mprotect_vmas", &[]),
    ("mmscope_userfault_seconds", &["reason"]),
    ("mmscope_uffd_ioctl_seconds", &["ioctl"]),
];

const QUANTILES: &[(&str, &str)] = &[("p50", "0.5"), ("p99", "0.99")];

/// Groups by name. Within one, rules are evaluated in their order, and see what those before have recorded.
pub(super) fn groups(scale: Scale) -> Vec<(&'static str, Vec<Rule>)> {
    vec![
        ("mmscope-rates", RATES.iter().flat_map(|rate| rates(rate, scale)).chain(ratios()).collect()),
        ("mmscope-quantiles", HISTOGRAMS.iter().flat_map(|&(name, by)| quantiles(name, by, scale)).collect()),
        ("mmscope-fleet", fleet()),
    ]
}

fn rule(record: String, expr: String) -> Rule {
    Rule::Recording { record, expr }
}

/// A list of labels, as of `by`.
fn list(level: &Level, by: &[&str]) -> String {
    [level.labels, by].concat().join(", ")
}

/// The sum of a series: at the first level over the metric itself, then over the level before.
fn sums(record: &str, first: &str, by: &[&str]) -> Vec<Rule> {
    let mut from = first.to_owned();
    let mut rules = Vec::new();
    for level in LEVELS {
        let name = format!("{}:{record}", level.name);
        rules.push(rule(name.clone(), format!("sum by ({}) ({from})", list(level, by))));
        from = name;
    }
    rules
}

fn rates(rate: &Rate, scale: Scale) -> Vec<Rule> {
    let Rate { metric, end, by } = rate;
    let first = format!("rate({metric}{end}[{}])", scale.spelt(WINDOW.1));
    sums(&format!("{metric}:rate{}", WINDOW.0), &first, by)
}

fn ratios() -> impl Iterator<Item = Rule> {
    RATIOS.iter().flat_map(|ratio| {
        LEVELS.iter().map(move |level| {
            let sum = |series: &str| format!("sum by ({}) ({}:{series})", list(level, ratio.by), level.name);
            let (part, whole) = (sum(ratio.part), sum(ratio.whole));
            // A part that was never counted has no series, and is zero of what was.
            rule(
                format!("{}:{}:ratio_rate{}", level.name, ratio.name, WINDOW.0),
                format!("({part} or 0 * {whole}) / ({whole} > 0)"),
            )
        })
    })
}

fn quantiles(name: &str, by: &[&str], scale: Scale) -> Vec<Rule> {
    let buckets = format!("{name}_bucket:rate{}", WINDOW.0);
    let first = format!("rate({name}_bucket[{}])", scale.spelt(WINDOW.1));
    let mut rules = sums(&buckets, &first, &[by, &["le"]].concat());
    for level in LEVELS {
        for (short, quantile) in QUANTILES {
            rules.push(rule(
                format!("{}:{name}:{short}_{}", level.name, WINDOW.0),
                format!("histogram_quantile({quantile}, {}:{buckets})", level.name),
            ));
        }
    }
    rules
}

/// How much of a fleet mmscope sees, what is raised there, and how full its tables are.
fn fleet() -> Vec<Rule> {
    let mut rules = Vec::new();
    for level in &LEVELS[1..] {
        let name = level.name;
        rules.push(rule(
            format!("{name}:mmscope_up:ratio"),
            format!("avg by ({}) (up{{job=\"{JOB}\"}})", list(level, &[])),
        ));
        rules.push(rule(
            format!("{name}:mmscope_alerts_active:sum"),
            format!("sum by ({}) (mmscope_alerts_active)", list(level, &["class", "severity"])),
        ));
        rules.push(rule(
            format!("{name}:mmscope_map_entries:max_ratio"),
            format!("max by ({}) (mmscope_map_entries / (mmscope_map_capacity > 0))", list(level, &["map"])),
        ));
    }
    rules
}
