//! The rule over mmap_lock: one holds it for long, and others wait.

use std::time::Duration;

use probe_common::series::HOLD;

use super::{
    kinds::{Class, Finding, Found, Severity::Warning},
    look::Context,
    memory::Memory,
    text,
};

/// How the lock was held.
pub(super) const MODES: [&str; 2] = ["read", "write"];

pub(super) fn lock_convoy(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    let bounds = context.bounds;
    for (subject, record) in context.look.records {
        let Some(mode) = MODES.get(record.series.wrapping_sub(HOLD) as usize) else { continue };
        let [cpu_ns_plus_one, waiters, lost_ns, ..] = record.detail;
        if Duration::from_nanos(record.duration_ns) <= bounds.lock_convoy_hold
            || waiters < bounds.lock_convoy_waiters
            || Duration::from_nanos(lost_ns) < bounds.lock_convoy_lost
        {
            continue;
        }
        found.hazards(Some(subject), Class::LockConvoy, mode, 1);
        let (on_cpu, advice) = match cpu_ns_plus_one.checked_sub(1) {
            None => ("for an unknown part of it on a CPU".to_owned(), "Its stack tells where it let go"),
            Some(ns) => {
                // The scheduler tells a task's time by its ticks: a little more than passed, sometimes.
                let share = (ns as f64 / record.duration_ns.max(1) as f64).min(1.0);
                let advice = if share < 0.5 {
                    "It was mostly off the CPU: look for what it slept on, and at the quota of its cgroup"
                } else {
                    "It worked: split the operation, or do it from fewer threads"
                };
                (format!("{:.0} % of it on a CPU", 100.0 * share), advice)
            }
        };
        let text = format!(
            "{} held mmap_lock of {} for {mode} for {} (bound {}), operation {}, {on_cpu}, while {waiters} waited and lost {} \
             together. {advice}",
            text::thread(record),
            text::of(subject),
            text::ns(record.duration_ns),
            text::time(bounds.lock_convoy_hold),
            text::operation(record),
            text::ns(lost_ns),
        );
        let mut finding = Finding::new(Class::LockConvoy, Warning, Some(subject.clone()), lost_ns, text);
        finding.evidence.push(*record);
        found.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use probe_common::{event::Record, series::WAIT};

    use super::*;
    use crate::anomaly::fixture::{Bench, record};

    fn hold(series: u32, ms: u64, waiters: u64, lost_ms: u64) -> Record {
        let ns = 1_000_000;
        let detail = [ms * ns / 4 + 1, waiters, lost_ms * ns, 0, 0, 0];
        Record { duration_ns: ms * ns, detail, ..record(series) }
    }

    #[test]
    fn a_long_hold_with_waiters_is_a_convoy() {
        let mut bench = Bench::new(Class::LockConvoy);
        let fine =
            [hold(HOLD + 1, 100, 5, 500), hold(HOLD + 1, 900, 0, 0), hold(HOLD, 900, 5, 99), hold(WAIT, 900, 5, 900)];
        assert!(bench.looks(5, &[], &fine).is_empty());
        assert_eq!(bench.hazards(), []);
        let raised = bench.looks(3, &[], &[hold(HOLD + 1, 200, 3, 500), hold(HOLD, 101, 1, 100)]);
        assert_eq!(raised.len(), 1);
        for part in
            ["for write for 200ms (bound 100ms)", "25 % of it on a CPU", "3 waited and lost 500ms", "mostly off"]
        {
            assert!(raised[0].text.contains(part), "{part}: {}", raised[0].text);
        }
        assert_eq!(raised[0].evidence.len(), 2);
        assert_eq!(bench.hazards(), [("read", 3), ("write", 3)]);
    }

    #[test]
    fn a_share_that_was_not_read_is_not_zero() {
        let mut bench = Bench::new(Class::LockConvoy);
        let mut unread = hold(HOLD, 200, 1, 200);
        unread.detail[0] = 0;
        let raised = bench.looks(3, &[], &[unread]);
        assert!(raised[0].text.contains("unknown part"), "{}", raised[0].text);
    }
}
