//! The series of each family: which labels and values a snapshot has for it.

use std::{collections::BTreeSet, time::SystemTime};

use nix::errno::Errno;
use probe_common::{
    control::LOCK_SAMPLING,
    lost::REASONS,
    series::{
        ESCALATIONS, FAULT, FAULT_REASONS, FLUSH_KINDS, HOLD, HOLDERS, INNER, IOCTL, IOCTLS, OPERATIONS, OUTER, PATHS,
        SHOOTDOWN, VMAS, WAIT,
    },
};

use crate::{
    governor::Level,
    identity::{MEMORIES, Parts, Subject},
    intake::Counts,
    model::{
        Exemplar, Snapshot,
        sinks::{Reason, SinkFigures},
        web::{CODES, Refusal},
    },
    plan::{self, HookState},
};

use super::buckets::Buckets;

/// A value of one series.
pub(super) enum Value<'a> {
    /// A whole number.
    Whole(u64),
    /// Seconds.
    Seconds(f64),
    /// A part of a whole.
    Ratio(f64),
    /// A histogram.
    Buckets(Buckets<'a>),
}

/// Nanoseconds inside, seconds only here.
fn seconds(ns: u64) -> Value<'static> {
    Value::Seconds(ns as f64 / 1e9)
}

/// Label values in the order of the family's labels, and the value.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[&str], Value<'_>);
/// Gives all series of a family to a sink.
pub(super) type Collect = fn(&Snapshot, Sink<'_>);

const MODES: [&str; 2] = ["read", "write"];

fn each_subject(snapshot: &Snapshot, mut tell: impl FnMut(&Subject, &Counts)) {
    for (subject, counts) in &snapshot.subjects {
        tell(subject, counts);
    }
}

fn exemplars<'a>(snapshot: &'a Snapshot, subject: &Subject, series: u32) -> &'a [Exemplar] {
    snapshot.exemplars.get(subject).map_or(&[], |kept| kept.of(series))
}

/// A histogram for each of `names`, from `first` on; those without an event are left out.
fn histograms(snapshot: &Snapshot, first: u32, names: &[&str], extra: &[&str], sink: Sink<'_>) {
    each_subject(snapshot, |subject, counts| {
        for (n, name) in names.iter().enumerate() {
            let series = first + n as u32;
            if let Some(histogram) = counts.known_histogram(series) {
                let mut labels = vec![subject.comm.as_str(), subject.cgroup.as_str(), name];
                labels.extend(extra);
                let exemplars = exemplars(snapshot, subject, series);
                sink(&labels, Value::Buckets(Buckets { histogram, exemplars, is_number: false }));
            }
        }
    });
}

/// A counter for each of `names`; those at zero are left out.
fn counters<const N: usize>(
    snapshot: &Snapshot,
    names: &[&str; N],
    of: impl Fn(&Counts) -> [u64; N],
    value: impl Fn(u64) -> Value<'static>,
    sink: Sink<'_>,
) {
    each_subject(snapshot, |subject, counts| {
        for (name, count) in names.iter().zip(of(counts)) {
            if count != 0 {
                sink(&[&subject.comm, &subject.cgroup, name], value(count));
            }
        }
    });
}

/// A counter without labels of its own; one at zero is left out.
fn one_counter(
    snapshot: &Snapshot,
    of: impl Fn(&Counts) -> u64,
    value: impl Fn(u64) -> Value<'static>,
    sink: Sink<'_>,
) {
    counters(snapshot, &[""], |counts| [of(counts)], value, &mut |labels, value| sink(&labels[..2], value));
}

/// A histogram without labels of its own; one without an event is left out.
fn one_histogram(snapshot: &Snapshot, series: u32, is_number: bool, sink: Sink<'_>) {
    each_subject(snapshot, |subject, counts| {
        if let Some(histogram) = counts.known_histogram(series) {
            let exemplars = exemplars(snapshot, subject, series);
            sink(&[&subject.comm, &subject.cgroup], Value::Buckets(Buckets { histogram, exemplars, is_number }));
        }
    });
}

pub(super) fn flush_windows(snapshot: &Snapshot, sink: Sink<'_>) {
    histograms(snapshot, OUTER, &PATHS, &["outer"], sink);
    histograms(snapshot, INNER, &PATHS, &["inner"], sink);
}

pub(super) fn windows_open(snapshot: &Snapshot, sink: Sink<'_>) {
    each_subject(snapshot, |subject, counts| {
        if counts.windows_opened != 0 {
            let open = counts.windows_opened.saturating_sub(counts.windows_closed);
            sink(&[&subject.comm, &subject.cgroup], Value::Whole(open));
        }
    });
}

pub(super) fn tlb_flushes(snapshot: &Snapshot, sink: Sink<'_>) {
    counters(snapshot, &FLUSH_KINDS, |counts| counts.flushes, Value::Whole, sink);
}

pub(super) fn tlb_flush_pages(snapshot: &Snapshot, sink: Sink<'_>) {
    one_counter(snapshot, |counts| counts.flush_pages, Value::Whole, sink);
}

const NO_YES: [&str; 2] = ["false", "true"];

pub(super) fn forced_flushes(snapshot: &Snapshot, sink: Sink<'_>) {
    counters(snapshot, &NO_YES, |counts| counts.forced, Value::Whole, sink);
}

pub(super) fn escalations(snapshot: &Snapshot, sink: Sink<'_>) {
    each_subject(snapshot, |subject, counts| {
        for ((cause, warranted), &count) in ESCALATIONS.iter().zip(&counts.escalated) {
            if count != 0 {
                sink(&[&subject.comm, &subject.cgroup, cause, warranted], Value::Whole(count));
            }
        }
    });
}

pub(super) fn shootdowns(snapshot: &Snapshot, sink: Sink<'_>) {
    one_histogram(snapshot, SHOOTDOWN, false, sink);
}

pub(super) fn shootdown_cpus(snapshot: &Snapshot, sink: Sink<'_>) {
    one_counter(snapshot, |counts| counts.shootdown_cpus, Value::Whole, sink);
}

pub(super) fn pte_cycles(snapshot: &Snapshot, sink: Sink<'_>) {
    counters(snapshot, &NO_YES, |counts| counts.cycles, Value::Whole, sink);
}

pub(super) fn generation_changes(snapshot: &Snapshot, sink: Sink<'_>) {
    counters(snapshot, &NO_YES, |counts| counts.generations, Value::Whole, sink);
}

pub(super) fn blocked(snapshot: &Snapshot, sink: Sink<'_>) {
    for (n, &ns) in snapshot.blocked_ns.iter().enumerate().filter(|(_, ns)| **ns != 0) {
        let holder = OPERATIONS.get(n % HOLDERS).copied().unwrap_or("unknown");
        let waiter = OPERATIONS.get(n / HOLDERS).copied().unwrap_or("other");
        sink(&[waiter, holder], seconds(ns));
    }
}

pub(super) fn downgrade_savings(snapshot: &Snapshot, sink: Sink<'_>) {
    one_counter(snapshot, |counts| counts.downgrade_ns, seconds, sink);
}

pub(super) fn mprotect_vmas(snapshot: &Snapshot, sink: Sink<'_>) {
    one_histogram(snapshot, VMAS, true, sink);
}

pub(super) fn userfault_repeats(snapshot: &Snapshot, sink: Sink<'_>) {
    one_counter(snapshot, |counts| counts.refaults, Value::Whole, sink);
}

/// Those of the host have no subject.
pub(super) fn hazards(snapshot: &Snapshot, sink: Sink<'_>) {
    for hazard in &snapshot.hazards {
        let (comm, cgroup) =
            hazard.subject.as_ref().map_or(("", ""), |subject| (subject.comm.as_str(), subject.cgroup.as_str()));
        sink(&[comm, cgroup, hazard.class.name(), hazard.outcome], Value::Whole(hazard.count));
    }
}

pub(super) fn alerts(snapshot: &Snapshot, sink: Sink<'_>) {
    for ((class, severity), &count) in &snapshot.alerts {
        sink(&[class.name(), severity.name()], Value::Whole(count));
    }
}

pub(super) fn alerts_over(snapshot: &Snapshot, sink: Sink<'_>) {
    sink(&[], Value::Whole(snapshot.alerts_over));
}

pub(super) fn baselines_over(snapshot: &Snapshot, sink: Sink<'_>) {
    if let Some(over) = snapshot.baselines_over {
        sink(&[], Value::Whole(over));
    }
}

fn each_sink(snapshot: &Snapshot, of: impl Fn(&SinkFigures) -> u64, sink: Sink<'_>) {
    for figures in &snapshot.sinks {
        sink(&[&figures.name], Value::Whole(of(figures)));
    }
}

pub(super) fn notifications_sent(snapshot: &Snapshot, sink: Sink<'_>) {
    each_sink(snapshot, |figures| figures.sent, sink);
}

pub(super) fn notifications_dropped(snapshot: &Snapshot, sink: Sink<'_>) {
    each_sink(snapshot, |figures| figures.dropped, sink);
}

pub(super) fn notifications_suppressed(snapshot: &Snapshot, sink: Sink<'_>) {
    each_sink(snapshot, |figures| figures.suppressed, sink);
}

pub(super) fn notification_queue(snapshot: &Snapshot, sink: Sink<'_>) {
    each_sink(snapshot, |figures| figures.waiting, sink);
}

pub(super) fn notification_failures(snapshot: &Snapshot, sink: Sink<'_>) {
    for figures in &snapshot.sinks {
        for (reason, count) in Reason::ALL.iter().zip(figures.failures) {
            sink(&[&figures.name, reason.name()], Value::Whole(count));
        }
    }
}

/// Once for each cgroup in which something is recognised, however many commands it has.
pub(super) fn cgroup_info(snapshot: &Snapshot, sink: Sink<'_>) {
    let cgroups: BTreeSet<&str> = snapshot.subjects.keys().map(|subject| &*subject.cgroup).collect();
    for cgroup in cgroups {
        let parts = Parts::of(cgroup);
        if parts.is_empty() {
            continue;
        }
        let name = snapshot.names.containers.get(parts.container);
        let (name, pod, namespace) = name.map_or(("", "", ""), |name| (&*name.name, &*name.pod, &*name.namespace));
        let pod_uid = parts.pod_uid();
        let Parts { slice, unit, user_unit, runtime, container, qos, .. } = parts;
        let labels = [cgroup, slice, unit, user_unit, runtime, container, name, &pod_uid, pod, namespace, qos];
        sink(&labels, Value::Whole(1));
    }
}

pub(super) fn subjects(snapshot: &Snapshot, sink: Sink<'_>) {
    let figures = snapshot.subject_figures;
    for (state, count) in [("told", figures.told), ("leaving", figures.leaving)] {
        sink(&[state], Value::Whole(count));
    }
}

pub(super) fn subjects_folded(snapshot: &Snapshot, sink: Sink<'_>) {
    let figures = snapshot.subject_figures;
    for (reason, count) in [("place", figures.moved), ("series_cap", figures.capped)] {
        sink(&[reason], Value::Whole(count));
    }
}

pub(super) fn series_folded(snapshot: &Snapshot, sink: Sink<'_>) {
    sink(&[], Value::Whole(snapshot.subject_figures.series_folded));
}

pub(super) fn names_forgotten(snapshot: &Snapshot, sink: Sink<'_>) {
    for (memory, &count) in MEMORIES.iter().zip(&snapshot.names.forgotten) {
        sink(&[memory], Value::Whole(count));
    }
}

pub(super) fn http_connections(snapshot: &Snapshot, sink: Sink<'_>) {
    if let Some(web) = &snapshot.web {
        sink(&[], Value::Whole(web.open));
    }
}

pub(super) fn http_answers(snapshot: &Snapshot, sink: Sink<'_>) {
    let Some(web) = &snapshot.web else { return };
    for (code, &count) in CODES.iter().zip(&web.answers).filter(|(_, count)| **count != 0) {
        sink(&[code], Value::Whole(count));
    }
}

pub(super) fn http_refused(snapshot: &Snapshot, sink: Sink<'_>) {
    let Some(web) = &snapshot.web else { return };
    for (refusal, &count) in Refusal::ALL.iter().zip(&web.refused) {
        sink(&[refusal.name()], Value::Whole(count));
    }
}

pub(super) fn web_config_reloads(snapshot: &Snapshot, sink: Sink<'_>) {
    let Some(reloads) = snapshot.web.and_then(|web| web.reloads) else { return };
    for (result, count) in ["taken", "refused"].into_iter().zip(reloads) {
        sink(&[result], Value::Whole(count));
    }
}

pub(super) fn lock_waits(snapshot: &Snapshot, sink: Sink<'_>) {
    histograms(snapshot, WAIT, &MODES, &[], sink);
}

pub(super) fn lock_holds(snapshot: &Snapshot, sink: Sink<'_>) {
    histograms(snapshot, HOLD, &MODES, &[], sink);
}

pub(super) fn acquisitions(snapshot: &Snapshot, sink: Sink<'_>) {
    each_subject(snapshot, |subject, counts| {
        for (n, &count) in counts.acquisitions.iter().enumerate() {
            if count != 0 {
                let result = if n % 2 == 0 { "acquired" } else { "failed" };
                sink(&[&subject.comm, &subject.cgroup, MODES[n / 2], result], Value::Whole(count));
            }
        }
    });
}

pub(super) fn operations(snapshot: &Snapshot, sink: Sink<'_>) {
    each_subject(snapshot, |subject, counts| {
        for (n, operation) in OPERATIONS.iter().enumerate() {
            for (phase, ns) in [("wait", counts.wait_ns[n]), ("hold", counts.hold_ns[n])] {
                if ns != 0 {
                    sink(&[&subject.comm, &subject.cgroup, operation, phase], seconds(ns));
                }
            }
        }
    });
}

pub(super) fn userfaults(snapshot: &Snapshot, sink: Sink<'_>) {
    histograms(snapshot, FAULT, &FAULT_REASONS, &[], sink);
}

pub(super) fn userfaults_in_flight(snapshot: &Snapshot, sink: Sink<'_>) {
    each_subject(snapshot, |subject, counts| {
        if counts.faults_begun != 0 {
            let waiting = counts.faults_begun.saturating_sub(counts.faults_ended);
            sink(&[&subject.comm, &subject.cgroup], Value::Whole(waiting));
        }
    });
}

pub(super) fn ioctls(snapshot: &Snapshot, sink: Sink<'_>) {
    histograms(snapshot, IOCTL, &IOCTLS, &[], sink);
}

pub(super) fn ioctl_errors(snapshot: &Snapshot, sink: Sink<'_>) {
    each_subject(snapshot, |subject, counts| {
        for (&(ioctl, errno), &count) in &counts.errors {
            let ioctl = IOCTLS.get(usize::from(ioctl)).copied().unwrap_or("other");
            let errno = errno_name(errno);
            sink(&[&subject.comm, &subject.cgroup, ioctl, &errno], Value::Whole(count));
        }
    });
}

/// `EEXIST`; the number where it has no name.
pub(crate) fn errno_name(errno: u16) -> String {
    match Errno::from_raw(i32::from(errno)) {
        Errno::UnknownErrno => errno.to_string(),
        known => format!("{known:?}"),
    }
}

pub(super) fn reload_is_good(snapshot: &Snapshot, sink: Sink<'_>) {
    if let Some(reload) = snapshot.reload {
        sink(&[], Value::Whole(u64::from(reload.is_good)));
    }
}

pub(super) fn reload_time(snapshot: &Snapshot, sink: Sink<'_>) {
    let since_epoch = snapshot.reload.and_then(|reload| reload.good_at.duration_since(SystemTime::UNIX_EPOCH).ok());
    if let Some(since_epoch) = since_epoch {
        sink(&[], Value::Seconds(since_epoch.as_secs_f64()));
    }
}

pub(super) fn probes_attached(snapshot: &Snapshot, sink: Sink<'_>) {
    for (hook, state) in plan::of_host(&snapshot.hooks) {
        match state {
            HookState::Attached(tier) => sink(&[hook.name, tier.name(), ""], Value::Whole(1)),
            HookState::Absent(reason) => sink(&[hook.name, "", reason], Value::Whole(0)),
        }
    }
}

pub(super) fn probe_runs(snapshot: &Snapshot, sink: Sink<'_>) {
    for (name, figures) in &snapshot.programs {
        if let Some((runs, _)) = figures.runs {
            sink(&[name], Value::Whole(runs));
        }
    }
}

pub(super) fn probe_run_seconds(snapshot: &Snapshot, sink: Sink<'_>) {
    for (name, figures) in &snapshot.programs {
        if let Some((_, ns)) = figures.runs {
            sink(&[name], seconds(ns));
        }
    }
}

pub(super) fn probe_misses(snapshot: &Snapshot, sink: Sink<'_>) {
    for (name, figures) in &snapshot.programs {
        if let Some(misses) = figures.misses {
            sink(&[name], Value::Whole(misses));
        }
    }
}

pub(super) fn lost(snapshot: &Snapshot, sink: Sink<'_>) {
    for (reason, &count) in REASONS.iter().zip(&snapshot.lost) {
        sink(&[reason], Value::Whole(count));
    }
}

pub(super) fn pending_mismatches(snapshot: &Snapshot, sink: Sink<'_>) {
    if let Some(mismatches) = snapshot.pending_mismatches {
        sink(&[], Value::Whole(mismatches));
    }
}

pub(super) fn records(snapshot: &Snapshot, sink: Sink<'_>) {
    sink(&[], Value::Whole(snapshot.records));
}

pub(super) fn map_entries(snapshot: &Snapshot, sink: Sink<'_>) {
    for table in &snapshot.tables {
        if let Some(entries) = table.entries {
            sink(&[table.size.name], Value::Whole(entries));
        }
    }
}

pub(super) fn map_capacity(snapshot: &Snapshot, sink: Sink<'_>) {
    for table in &snapshot.tables {
        sink(&[table.size.name], Value::Whole(table.size.capacity));
    }
}

pub(super) fn map_bytes(snapshot: &Snapshot, sink: Sink<'_>) {
    for table in &snapshot.tables {
        sink(&[table.size.name], Value::Whole(table.size.bytes));
    }
}

pub(super) fn ticks(snapshot: &Snapshot, sink: Sink<'_>) {
    sink(&[], Value::Whole(snapshot.ticks));
}

pub(super) fn overhead(snapshot: &Snapshot, sink: Sink<'_>) {
    if let Some(ratio) = snapshot.governed.ratio {
        sink(&[], Value::Ratio(ratio));
    }
}

pub(super) fn overhead_budget(snapshot: &Snapshot, sink: Sink<'_>) {
    if let Some(budget) = snapshot.governed.budget {
        sink(&[], Value::Ratio(budget));
    }
}

pub(super) fn governor_level(snapshot: &Snapshot, sink: Sink<'_>) {
    sink(&[], Value::Whole(snapshot.governed.level.number()));
}

pub(super) fn governor_shed(snapshot: &Snapshot, sink: Sink<'_>) {
    for (level, spent) in Level::ALL.iter().zip(snapshot.governed.spent).skip(1) {
        sink(&[level.name()], Value::Seconds(spent.as_secs_f64()));
    }
}

pub(super) fn lock_sampling(snapshot: &Snapshot, sink: Sink<'_>) {
    let is_sampled = snapshot.governed.level == Level::Locks;
    sink(&[], Value::Whole(if is_sampled { u64::from(LOCK_SAMPLING) } else { 1 }));
}

pub(super) fn build_info(_: &Snapshot, sink: Sink<'_>) {
    sink(&[env!("CARGO_PKG_VERSION")], Value::Whole(1));
}

pub(super) fn process_cpu(snapshot: &Snapshot, sink: Sink<'_>) {
    if let Some(process) = &snapshot.process {
        sink(&[], Value::Seconds(process.cpu_seconds));
    }
}

pub(super) fn process_resident(snapshot: &Snapshot, sink: Sink<'_>) {
    if let Some(process) = &snapshot.process {
        sink(&[], Value::Whole(process.resident_bytes));
    }
}

pub(super) fn process_virtual(snapshot: &Snapshot, sink: Sink<'_>) {
    if let Some(process) = &snapshot.process {
        sink(&[], Value::Whole(process.virtual_bytes));
    }
}

pub(super) fn process_open_fds(snapshot: &Snapshot, sink: Sink<'_>) {
    if let Some(process) = &snapshot.process {
        sink(&[], Value::Whole(process.open_fds));
    }
}

pub(super) fn process_max_fds(snapshot: &Snapshot, sink: Sink<'_>) {
    if let Some(process) = &snapshot.process {
        sink(&[], Value::Whole(process.max_fds));
    }
}

pub(super) fn process_start(snapshot: &Snapshot, sink: Sink<'_>) {
    if let Some(process) = &snapshot.process {
        sink(&[], Value::Seconds(process.start_seconds));
    }
}
