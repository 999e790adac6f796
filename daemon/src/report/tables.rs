//! The tables of a report, as words and figures: the text and the page tell the same. Pure.

use probe_common::{
    lost::{MEANINGS, REASONS},
    series::{
        FAULT, FAULT_REASONS, FLUSH_KINDS, HOLD, HOLDERS, INNER, IOCTL, IOCTLS, OPERATIONS, OUTER, PATHS, SHOOTDOWN,
        VMAS, WAIT,
    },
};

use super::{digest::Digest, names::subject};
use crate::{
    export::{self, errno_name},
    identity::Subject,
    intake::{Counts, Histogram},
    terminal::{quantile, time},
};

/// Subjects in a ranking.
const ROWS: usize = 10;

/// A table.
pub struct Table {
    /// Its heading.
    pub title: &'static str,
    /// What is to be known before it is read; empty where nothing is.
    pub note: String,
    /// Headings of the columns; the first ones are words, the others figures.
    pub columns: Vec<String>,
    /// How many of the columns are words.
    pub words: usize,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    fn new(title: &'static str, note: &str, words: &[&str], figures: &[&str], rows: Vec<Vec<String>>) -> Self {
        let columns = words.iter().chain(figures).map(|&column| column.to_owned()).collect();
        Self { title, note: note.to_owned(), columns, words: words.len(), rows }
    }
}

/// All tables that have something to tell.
#[must_use]
pub fn tables(digest: &Digest) -> Vec<Table> {
    let total = digest.total();
    let all = [
        hazards(digest),
        windows(digest),
        holds(digest),
        waits(digest),
        forced(digest),
        userfaults(digest),
        durations(&total),
        blame(&digest.snapshot.blocked_ns),
        ioctl_errors(digest),
        counted(digest, &total),
        longest(digest),
    ];
    all.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

/// Whether this recording's hooks could measure a family of metrics.
pub(super) fn is_measured(digest: &Digest, family: &str) -> bool {
    export::is_measured(family, &digest.header.host.hooks)
}

fn sum(counts: &Counts, first: u32, series: usize) -> Histogram {
    let mut sum = Histogram::default();
    (first..first + series as u32).for_each(|n| sum += &counts.histogram(n));
    sum
}

fn mean(histogram: &Histogram) -> String {
    histogram.sum_ns.checked_div(histogram.count()).map_or_else(|| "-".to_owned(), time)
}

/// Events, their time together, their mean, and the buckets of two quantiles.
fn told(histogram: &Histogram) -> [String; 5] {
    [
        histogram.count().to_string(),
        time(histogram.sum_ns),
        mean(histogram),
        quantile(histogram, 0.5),
        quantile(histogram, 0.99),
    ]
}

const TOLD: [&str; 5] = ["events", "together", "mean", "p50", "p99"];

fn ranked(digest: &Digest, title: &'static str, note: &str, first: u32, series: usize) -> Table {
    let top = digest.top(|counts| sum(counts, first, series).sum_ns, ROWS);
    let row = |(of, counts): &(&Subject, &Counts)| {
        let mut row = vec![subject(of)];
        row.extend(told(&sum(counts, first, series)));
        row
    };
    Table::new(title, note, &["subject"], &TOLD, top.iter().map(row).collect())
}

fn windows(digest: &Digest) -> Table {
    let note = "How long page-table changes waited for their TLB flush (outer windows, all paths).";
    ranked(digest, "Pending-flush windows by subject", note, OUTER, PATHS.len())
}

fn holds(digest: &Digest) -> Table {
    ranked(digest, "Holds of mmap_lock by subject", "Read and write together.", HOLD, 2)
}

fn waits(digest: &Digest) -> Table {
    let note = "Contended acquisitions only: what did not block is no wait.";
    ranked(digest, "Waits for mmap_lock by subject", note, WAIT, 2)
}

fn forced(digest: &Digest) -> Table {
    let top = digest.top(|counts| counts.forced.iter().sum(), ROWS);
    let rows = top.into_iter().map(|(of, counts)| {
        let [unwarranted, warranted] = counts.forced;
        vec![subject(of), unwarranted.to_string(), warranted.to_string()]
    });
    let note = "One-page flushes in write faults because some flush was pending in the mm; warranted if another task's window \
                covered the page.";
    Table::new("Forced flushes by subject", note, &["subject"], &["unwarranted", "warranted"], rows.collect())
}

fn userfaults(digest: &Digest) -> Table {
    let mut rows = Vec::new();
    for (of, counts) in digest.top(|counts| sum(counts, FAULT, FAULT_REASONS.len()).count(), ROWS) {
        for (reason, series) in FAULT_REASONS.iter().zip(FAULT..) {
            if let Some(histogram) = counts.known_histogram(series) {
                let mut row = vec![subject(of), (*reason).to_owned()];
                row.extend(told(histogram));
                rows.push(row);
            }
        }
    }
    let note = "From the fault to the end of its wait for the handler.";
    Table::new("Userfaults by subject", note, &["subject", "reason"], &TOLD, rows)
}

/// Every series of durations with its name, in their order.
pub(crate) fn series_names() -> Vec<(u32, String)> {
    let modes = ["read", "write"];
    let mut names = Vec::new();
    let mut add = |first: u32, words: &[&str], name: &dyn Fn(&str) -> String| {
        names.extend(words.iter().zip(first..).map(|(word, series)| (series, name(word))));
    };
    add(OUTER, &PATHS, &|path| format!("window {path}, outer"));
    add(INNER, &PATHS, &|path| format!("window {path}, inner"));
    add(WAIT, &modes, &|mode| format!("mmap_lock wait, {mode}"));
    add(HOLD, &modes, &|mode| format!("mmap_lock hold, {mode}"));
    add(FAULT, &FAULT_REASONS, &|reason| format!("userfault {reason}"));
    add(IOCTL, &IOCTLS, &|ioctl| format!("userfaultfd ioctl {ioctl}"));
    add(SHOOTDOWN, &[""], &|_| "shootdown".to_owned());
    names
}

fn durations(total: &Counts) -> Table {
    let rows = series_names().into_iter().filter_map(|(series, name)| {
        let histogram = total.known_histogram(series)?;
        let mut row = vec![name];
        row.extend(told(histogram));
        row.insert(5, quantile(histogram, 0.9));
        row.push(quantile(histogram, 1.0));
        Some(row)
    });
    let figures = ["events", "together", "mean", "p50", "p90", "p99", "longest"];
    let note = "Quantiles are the upper bounds of the buckets in which they lie: each is twice the one before.";
    Table::new("Durations, all subjects", note, &["what"], &figures, rows.collect())
}

/// Who waited, in rows, because of whom, in columns; without those at zero.
fn blame(blocked_ns: &[u64]) -> Table {
    let holder_name = |holder: usize| OPERATIONS.get(holder).copied().unwrap_or("unknown");
    let at = |waiter: usize, holder: usize| blocked_ns.get(waiter * HOLDERS + holder).copied().unwrap_or_default();
    let holders: Vec<usize> =
        (0..HOLDERS).filter(|&holder| (0..OPERATIONS.len()).any(|waiter| at(waiter, holder) > 0)).collect();
    let rows =
        OPERATIONS.iter().enumerate().filter(|(waiter, _)| holders.iter().any(|&holder| at(*waiter, holder) > 0));
    let rows = rows.map(|(waiter, name)| {
        let mut row = vec![(*name).to_owned()];
        row.extend(holders.iter().map(|&holder| match at(waiter, holder) {
            0 => String::new(),
            ns => time(ns),
        }));
        row
    });
    let rows = rows.collect();
    let note = "Time that operations in rows waited for mmap_lock because operations in columns held it; unknown is a holder that \
                was not seen.";
    let figures: Vec<&str> = holders.iter().map(|&holder| holder_name(holder)).collect();
    Table::new("Who waited because of whom", note, &["waiter"], &figures, rows)
}

fn hazards(digest: &Digest) -> Table {
    let rows = digest.snapshot.hazards.iter().map(|hazard| {
        let whom = hazard.subject.as_ref().map_or_else(|| "this host".to_owned(), subject);
        vec![hazard.class.name().to_owned(), hazard.outcome.to_owned(), whom, hazard.count.to_string()]
    });
    let note = "Each is a single event or a time for which a rule held; docs/anomalies.md has the classes.";
    Table::new("Hazards counted", note, &["class", "outcome", "subject"], &["count"], rows.collect())
}

fn ioctl_errors(digest: &Digest) -> Table {
    let mut rows = Vec::new();
    for (of, counts) in digest.top(|counts| counts.errors.values().sum(), ROWS) {
        for (&(request, errno), count) in &counts.errors {
            let request = IOCTLS.get(usize::from(request)).copied().unwrap_or("other");
            rows.push(vec![subject(of), request.to_owned(), errno_name(errno), count.to_string()]);
        }
    }
    Table::new("Failed userfaultfd ioctls", "", &["subject", "ioctl", "errno"], &["count"], rows)
}

/// What is counted and has no duration; what this kernel did not let be measured is left out.
fn counted(digest: &Digest, total: &Counts) -> Table {
    let seconds = digest.length.as_secs_f64().max(1e-3);
    let mut rows = Vec::new();
    let mut add = |family: &str, what: &str, count: u64| {
        if is_measured(digest, family) {
            rows.push(vec![what.to_owned(), count.to_string(), format!("{:.1}", count as f64 / seconds)]);
        }
    };
    for (kind, &count) in FLUSH_KINDS.iter().zip(&total.flushes) {
        add("mmscope_tlb_flushes_total", &format!("TLB flushes, {kind}"), count);
    }
    for (what, count) in ["unwarranted", "warranted"].iter().zip(total.forced) {
        add("mmscope_forced_flushes_total", &format!("forced flushes, {what}"), count);
    }
    add("mmscope_tlb_escalations_total", "ranges flushed as the whole mm", total.escalated.iter().sum());
    let names = ["read acquired", "read failed", "write acquired", "write failed"];
    for (name, count) in names.iter().zip(total.acquisitions) {
        add("mmscope_mmap_lock_acquisitions_total", &format!("mmap_lock, {name}"), count);
    }
    add("mmscope_mprotect_vmas", "mprotect calls", total.histogram(VMAS).count());
    add("mmscope_pte_cycles_total", "not-writable, writable, not-writable without a flush", total.cycles[0]);
    add("mmscope_pte_cycles_total", "the same with a flush between", total.cycles[1]);
    add("mmscope_pte_generation_changes_total", "generation changes, not needed", total.generations[0]);
    add("mmscope_pte_generation_changes_total", "generation changes, needed", total.generations[1]);
    if is_measured(digest, "mmscope_mmap_lock_downgrade_saving_seconds_total") {
        let saved = format!("{:.3}", total.downgrade_ns as f64 / 1e9 / seconds);
        let what = "seconds of waits that downgrades would spare".to_owned();
        rows.push(vec![what, format!("{:.3}", total.downgrade_ns as f64 / 1e9), saved]);
    }
    Table::new("Counted, all subjects", "", &["what"], &["count", "per second"], rows)
}

fn longest(digest: &Digest) -> Table {
    let rows = digest.longest.iter().map(|(of, record)| {
        let function = digest.stack(record).into_iter().next().unwrap_or_default();
        vec![subject(of), crate::terminal::record(record), function]
    });
    let note = "Of those over the bounds of [record], with whose mm they happened in and the function that ended them.";
    Table::new("Longest single events", note, &["mm of", "event", "in"], &[], rows.collect())
}

/// What the probes lost: reason, count, meaning.
pub(super) fn losses(digest: &Digest) -> Vec<(&'static str, u64, &'static str)> {
    let lost = digest.snapshot.lost.iter().zip(REASONS.iter().zip(MEANINGS));
    lost.filter(|(count, _)| **count > 0).map(|(&count, (&reason, meaning))| (reason, count, meaning.trim())).collect()
}
