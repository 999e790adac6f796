//! Rules over windows and flushes: how long, how many, how far.

use std::{collections::BTreeMap, time::Duration};

use probe_common::{
    event::Record,
    series::{
        ESCALATED_NESTED, ESCALATIONS, OUTER, PATH_EXIT, PATH_OTHER, PATH_RECLAIM, PATH_SOFT_DIRTY, PATH_ZAP, PATHS,
        SHOOTDOWN,
    },
};

use super::{
    kinds::{Class, Finding, Found, Severity::Warning},
    look::{Context, longer},
    memory::Memory,
    text,
};
use crate::{
    anomaly::{kinds::EVIDENCE, look::MmLook},
    config,
};

/// Why a window was long.
pub(super) const REASONS: [&str; 5] = ["preempted", "blocked", "shootdown", "on_cpu", "unknown"];
/// Why a range was flushed as a whole mm, without what nested_window counts.
pub(super) const CAUSES: [&str; 2] = ["nested", "reclaim"];

pub(super) fn unwarranted_flush_storm(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    let bound = context.bounds.unwarranted_flush_storm_per_second;
    for mm in context.look.mms {
        let [unwarranted, warranted] = mm.counts.forced;
        let rate = context.per_second(unwarranted);
        if rate > bound as f64 {
            let text = format!(
                "{rate:.0} unwarranted flushes per second of {} (bound {bound}): write faults flushed a page because a \
                 flush was pending elsewhere in the address space; {warranted} more were warranted. Change protections in \
                 fewer, shorter calls, or not while other threads write",
                text::process(mm)
            );
            let weight = rate as u64;
            found.findings.push(Finding::new(
                Class::UnwarrantedFlushStorm,
                Warning,
                Some(mm.subject.clone()),
                weight,
                text,
            ));
        }
    }
}

/// The bound of a path's windows; none for those in which nobody can be hurt or that another class judges.
fn window_bound(bounds: &config::Anomaly, path: u32) -> Option<Duration> {
    match path {
        PATH_EXIT | PATH_RECLAIM => None,
        PATH_ZAP | PATH_OTHER => Some(bounds.long_window_zap),
        _ => Some(bounds.long_window_duration),
    }
}

/// Whether the record of a window of this path tells how often its task was switched. One that the kernel counts inline,
/// without a gather, has no room for it: its zeroes mean nothing.
fn tells_switches(context: &Context<'_>, path: u32) -> bool {
    let is_inline = match path {
        PATH_SOFT_DIRTY => true,
        PATH_ZAP | PATH_OTHER => false,
        _ => context.host.has_inline_changes,
    };
    context.host.has_task_times && !is_inline
}

pub(super) fn long_window(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    for (subject, record) in context.look.records {
        let path = record.series.wrapping_sub(OUTER);
        if path as usize >= PATHS.len() {
            continue;
        }
        let Some(bound) = window_bound(context.bounds, path) else { continue };
        if Duration::from_nanos(record.duration_ns) <= bound {
            continue;
        }
        let [yields, preemptions, start, end, shootdown_ns, _] = record.detail;
        let (reason, advice) = if shootdown_ns.saturating_mul(2) >= record.duration_ns {
            (
                "shootdown",
                "other CPUs were slow to answer: look for virtual CPUs that are not scheduled, or for long sections with interrupts off",
            )
        } else if !tells_switches(context, path) {
            ("unknown", "this kernel does not tell whether the task was on a CPU")
        } else if preemptions > yields {
            ("preempted", "the CPU was given to others: look at the quota of its cgroup and at the load")
        } else if yields > 0 {
            ("blocked", "it slept inside: its stack tells for what, often memory or a page-table lock")
        } else {
            ("on_cpu", "it worked all the time: change smaller ranges at once")
        };
        found.hazards(Some(subject), Class::LongWindow, reason, 1);
        let range = if end > start { format!(" over {start:#x}-{end:#x}") } else { String::new() };
        let text = format!(
            "a flush of {} ({}) was pending for {} (bound {}), path {}{range}, operation {}: {reason}; preempted \
             {preemptions} times, gave its CPU up {yields} times, {} of it in shootdowns. {advice}",
            text::of(subject),
            text::thread(record),
            text::ns(record.duration_ns),
            text::time(bound),
            PATHS[path as usize],
            text::operation(record),
            text::ns(shootdown_ns),
        );
        let mut finding = Finding::new(Class::LongWindow, Warning, Some(subject.clone()), record.duration_ns, text);
        finding.evidence.push(*record);
        found.findings.push(finding);
    }
}

pub(super) fn nested_window(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    let bound = context.bounds.nested_window_per_second;
    for mm in context.look.mms {
        let count = mm.counts.escalated[ESCALATED_NESTED as usize];
        found.hazards(Some(&mm.subject), Class::NestedWindow, "", count);
        let rate = context.per_second(count);
        if rate > bound as f64 {
            let text = format!(
                "{rate:.0} whole flushes per second of {} (bound {bound}) because another thread's flush was pending, at \
                 addresses that had nothing to do with it. Unmap and change protections from fewer threads at once",
                text::process(mm)
            );
            found.findings.push(Finding::new(
                Class::NestedWindow,
                Warning,
                Some(mm.subject.clone()),
                rate as u64,
                text,
            ));
        }
    }
}

pub(super) fn flush_escalation(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    let bound = context.bounds.flush_escalation_per_second;
    for mm in context.look.mms {
        let of_cause = |cause: &str| -> u64 {
            let kinds = ESCALATIONS.iter().zip(mm.counts.escalated).enumerate();
            kinds
                .filter(|(kind, ((name, _), _))| *kind != ESCALATED_NESTED as usize && *name == cause)
                .map(|(_, (_, count))| count)
                .sum()
        };
        let by_cause = CAUSES.map(of_cause);
        for (cause, count) in CAUSES.into_iter().zip(by_cause) {
            found.hazards(Some(&mm.subject), Class::FlushEscalation, cause, count);
        }
        let rate = context.per_second(by_cause.iter().sum());
        if rate > bound as f64 {
            let [nested, reclaim] = by_cause;
            let text = format!(
                "{rate:.0} ranges per second of {} were flushed as the whole address space (bound {bound}): in the last look \
                 {nested} because of another window that met theirs or may have, {reclaim} because reclaim had flushes \
                 outstanding. Relieve memory pressure, or unmap and change protections from fewer threads",
                text::process(mm)
            );
            found.findings.push(Finding::new(
                Class::FlushEscalation,
                Warning,
                Some(mm.subject.clone()),
                rate as u64,
                text,
            ));
        }
    }
}

pub(super) fn shootdown_straggler(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    for mm in context.look.mms {
        let (count, bound) = longer(&mm.counts.histogram(SHOOTDOWN), context.bounds.shootdown_straggler_duration);
        if count == 0 {
            continue;
        }
        found.hazards(Some(&mm.subject), Class::ShootdownStraggler, "", count);
        let records = records_of(context, mm, SHOOTDOWN);
        let text = format!(
            "{count} of {} flushes of {} waited longer than {} for other CPUs{}. Look for virtual CPUs that are not scheduled \
             (steal time), and for long sections with interrupts off",
            mm.counts.shootdowns.max(count),
            text::process(mm),
            text::time(bound),
            stragglers(&records),
        );
        let mut finding = Finding::new(Class::ShootdownStraggler, Warning, Some(mm.subject.clone()), count, text);
        finding.evidence.extend(records.into_iter().take(EVIDENCE));
        found.findings.push(finding);
    }
}

/// Records of one series about an mm's subject.
fn records_of(context: &Context<'_>, mm: &MmLook, series: u32) -> Vec<Record> {
    let of_it =
        context.look.records.iter().filter(|(subject, record)| record.series == series && *subject == mm.subject);
    of_it.map(|(_, record)| *record).collect()
}

/// Which CPU answered last most often.
fn stragglers(records: &[Record]) -> String {
    let mut times = BTreeMap::<u64, usize>::new();
    for cpu in records.iter().filter_map(|record| record.detail[0].checked_sub(1)) {
        *times.entry(cpu).or_default() += 1;
    }
    let most = times.iter().max_by_key(|(_, times)| **times);
    most.map_or_else(String::new, |(cpu, times)| {
        format!(", and CPU {cpu} answered last in {times} of {} that were recorded", records.len())
    })
}

pub(super) fn reclaim_stale(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    let in_flight = |mm: &MmLook| mm.reclaim_age.filter(|&age| age > context.bounds.reclaim_stale_duration);
    for mm in context.look.mms {
        let (count, bound) = longer(&mm.counts.histogram(OUTER + PATH_RECLAIM), context.bounds.reclaim_stale_duration);
        // What is in flight is counted when it closes.
        found.hazards(Some(&mm.subject), Class::ReclaimStale, "", count);
        let seen = match in_flight(mm) {
            Some(age) => format!("a batched reclaim flush has been outstanding for {}", text::time(age)),
            None if count > 0 => {
                format!("{count} batched reclaim flushes were outstanding for longer than {}", text::time(bound))
            }
            None => continue,
        };
        let text = format!(
            "{seen} (bound {}) on {}: pages taken from it may still be written through old translations meanwhile. Look \
             for a reclaimer that does not get its CPU",
            text::time(context.bounds.reclaim_stale_duration),
            text::process(mm),
        );
        let weight = in_flight(mm).map_or(count, |age| age.as_nanos() as u64);
        let mut finding = Finding::new(Class::ReclaimStale, Warning, Some(mm.subject.clone()), weight, text);
        finding.evidence.extend(records_of(context, mm, OUTER + PATH_RECLAIM).into_iter().take(EVIDENCE));
        found.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        anomaly::fixture::{Bench, histogram, mm, record, window},
        intake::Counts,
    };

    fn forced(unwarranted: u64) -> MmLook {
        mm("a", Counts { forced: [unwarranted, 1_000_000], ..Counts::default() })
    }

    #[test]
    fn unwarranted_flushes_above_the_bound_are_a_storm_and_warranted_ones_are_none() {
        let mut bench = Bench::new(Class::UnwarrantedFlushStorm);
        assert!(bench.looks(5, &[forced(1_000)], &[]).is_empty(), "at the bound");
        let raised = bench.looks(5, &[forced(1_001)], &[]);
        assert_eq!(raised.len(), 1);
        assert!(
            raised[0].text.contains("1001 unwarranted flushes per second of a in /, process 7 (bound 1000)"),
            "{}",
            raised[0].text
        );
        assert_eq!(bench.hazards(), [("", 1)], "one storm");
    }

    #[test]
    fn rates_are_of_one_mm_and_over_the_interval() {
        let mut bench = Bench::new(Class::UnwarrantedFlushStorm);
        assert!(bench.looks(5, &[forced(900), forced(900)], &[]).is_empty(), "each below");
        bench.interval = Duration::from_secs(10);
        assert!(bench.looks(5, &[forced(9_000)], &[]).is_empty());
        assert_eq!(bench.looks(5, &[forced(11_000)], &[]).len(), 1);
    }

    #[test]
    fn long_windows_are_told_with_their_reason() {
        let ms = 1_000_000;
        let reason = |detail: [u64; 6]| {
            let mut bench = Bench::new(Class::LongWindow);
            bench.looks(1, &[], &[window(0, 101 * ms, detail)]);
            bench.hazards()
        };
        assert_eq!(reason([0, 3, 0, 0, 0, 0]), [("preempted", 1)]);
        assert_eq!(reason([2, 2, 0, 0, 0, 0]), [("blocked", 1)]);
        assert_eq!(reason([2, 0, 0, 0, 60 * ms, 0]), [("shootdown", 1)]);
        assert_eq!(reason([0, 0, 0x1000, 0x2000, ms, 0]), [("on_cpu", 1)]);
        let untold = |path, has_task_times, has_inline_changes| {
            let mut bench = Bench::new(Class::LongWindow);
            (bench.host.has_task_times, bench.host.has_inline_changes) = (has_task_times, has_inline_changes);
            bench.looks(1, &[], &[window(path, 2_000 * ms, [0; 6])]);
            bench.hazards() == [("unknown", 1)]
        };
        assert!(untold(0, false, false) && untold(PATH_SOFT_DIRTY, true, false) && untold(0, true, true));
        assert!(!untold(PATH_ZAP, true, true), "it has a gather");
    }

    #[test]
    fn windows_are_long_by_the_bound_of_their_path() {
        let ms = 1_000_000;
        let mut bench = Bench::new(Class::LongWindow);
        let short = [
            window(0, 100 * ms, [0; 6]),
            window(PATH_ZAP, 1_000 * ms, [0; 6]),
            window(PATH_EXIT, 100_000 * ms, [0; 6]),
            window(PATH_RECLAIM, 100_000 * ms, [0; 6]),
            record(probe_common::series::HOLD),
        ];
        assert!(bench.looks(5, &[], &short).is_empty());
        assert_eq!(bench.hazards(), []);
        let raised = bench.looks(3, &[], &[window(PATH_ZAP, 1_001 * ms, [0, 0, 0x1000, 0x3000, 0, 0])]);
        assert_eq!(raised.len(), 1, "at the third look with one");
        assert!(raised[0].text.contains("path zap over 0x1000-0x3000"), "{}", raised[0].text);
        assert_eq!(raised[0].evidence.len(), 1);
        assert_eq!(bench.hazards(), [("on_cpu", 3)]);
    }

    #[test]
    fn disjoint_nested_windows_and_other_escalations_are_told_apart() {
        let escalated = |disjoint, nested, reclaim| {
            let mut counts = Counts::default();
            for (kind, cause) in ESCALATIONS.iter().enumerate() {
                counts.escalated[kind] = match *cause {
                    ("nested", "false") => disjoint,
                    ("nested", "true") => nested,
                    ("reclaim", _) => reclaim,
                    _ => 0,
                };
            }
            [mm("a", counts)]
        };
        let mut nested = Bench::new(Class::NestedWindow);
        assert!(nested.looks(5, &escalated(100, 9_000, 9_000), &[]).is_empty());
        assert_eq!(nested.looks(5, &escalated(101, 0, 0), &[]).len(), 1);
        assert_eq!(nested.hazards(), [("", 5 * 201)], "each once");

        let mut other = Bench::new(Class::FlushEscalation);
        assert!(other.looks(5, &escalated(9_000, 300, 700), &[]).is_empty());
        let raised = other.looks(5, &escalated(0, 300, 701), &[]);
        assert_eq!(raised.len(), 1);
        assert!(raised[0].text.contains("1001 ranges per second"), "{}", raised[0].text);
        assert_eq!(other.hazards(), [("nested", 3_000), ("reclaim", 7_005)]);
    }

    #[test]
    fn shootdowns_in_buckets_above_the_bound_are_stragglers() {
        let shootdowns = |ms| [mm("a", histogram(SHOOTDOWN, Duration::from_millis(ms), 2))];
        let mut bench = Bench::new(Class::ShootdownStraggler);
        assert!(bench.looks(5, &shootdowns(10), &[]).is_empty(), "its bucket begins below the bound of 10 ms");
        assert_eq!(bench.hazards(), []);
        let raised = bench.looks(3, &shootdowns(20), &[record(SHOOTDOWN), record(0)]);
        assert_eq!(raised.len(), 1);
        assert!(raised[0].text.contains("2 of 2 flushes") && raised[0].text.contains("16.8ms"), "{}", raised[0].text);
        assert_eq!(raised[0].evidence.len(), 1);
        assert!(!raised[0].text.contains("answered last"), "not known: {}", raised[0].text);
        assert_eq!(bench.hazards(), [("", 6)]);
    }

    #[test]
    fn the_cpu_that_answered_last_most_often_is_named() {
        let answered = |cpu: u64| Record { detail: [cpu + 1, 0, 0, 0, 0, 0], ..record(SHOOTDOWN) };
        let mut bench = Bench::new(Class::ShootdownStraggler);
        let mm = [mm("a", histogram(SHOOTDOWN, Duration::from_millis(20), 4))];
        let raised = bench.looks(3, &mm, &[answered(1), answered(0), answered(1), record(SHOOTDOWN)]);
        assert!(
            raised[0].text.contains("for other CPUs, and CPU 1 answered last in 2 of 4 that were recorded."),
            "{}",
            raised[0].text
        );
    }

    #[test]
    fn reclaim_flushes_are_stale_in_flight_and_when_they_close() {
        let reclaim = |ms| [mm("a", histogram(OUTER + PATH_RECLAIM, Duration::from_millis(ms), 1))];
        let in_flight = |ms| [MmLook { reclaim_age: Some(Duration::from_millis(ms)), ..mm("a", Counts::default()) }];
        let mut bench = Bench::new(Class::ReclaimStale);
        assert!(bench.looks(5, &reclaim(100), &[]).is_empty() && bench.looks(5, &in_flight(100), &[]).is_empty());
        assert_eq!(bench.looks(5, &in_flight(101), &[]).len(), 1);
        assert_eq!(bench.hazards(), [], "not closed yet");
        assert!(bench.looks(5, &reclaim(200), &[]).is_empty(), "the same alert");
        assert_eq!(bench.hazards(), [("", 5)]);
        let mut bench = Bench::new(Class::ReclaimStale);
        let raised = bench.looks(3, &reclaim(200), &[record(OUTER + PATH_RECLAIM), record(SHOOTDOWN)]);
        assert_eq!(raised[0].evidence.len(), 1, "whose reclaim it was");
    }
}
