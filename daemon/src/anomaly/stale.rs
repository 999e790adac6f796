//! The overlap that corrupts memory: a write fault of one task inside another task's open window.
//!
//! Totals come from counts, which are exact. Severity and stacks come from records: that of the write, and that of the window,
//! which may come a look earlier or later. So what is exposed is told when both are there, at the latest one look after it
//! was counted.

use std::collections::BTreeMap;

use probe_common::{
    event::{Record, STALE_WINDOW, STALE_WRITE},
    series::{EXPOSED, OUTCOMES, PATH_SOFT_DIRTY, PATHS},
};

use super::{
    kinds::{
        Class, Finding, Found,
        Severity::{Critical, Warning},
    },
    look::Context,
    memory::{Memory, Unpaired},
    text,
};
use crate::identity::Subject;

/// VM_UFFD_WP (include/linux/mm.h, 5.7 and later): a window of userfaultfd covers only areas that have it.
const VM_UFFD_WP: u64 = 0x1000;

/// Records of either kind that wait for the other.
const WAITING: usize = 64;

pub(super) fn stale_write_overlap(context: &Context<'_>, memory: &mut Memory, found: &mut Found) {
    let memory = &mut memory.stale;
    let look = context.look;
    let mut exposed: BTreeMap<Subject, Unpaired> = BTreeMap::new();
    for mm in look.mms {
        for (outcome, &count) in OUTCOMES.iter().zip(&mm.counts.stale_writes) {
            found.hazards(Some(&mm.subject), Class::StaleWriteOverlap, outcome, count);
        }
        let count = mm.counts.stale_writes[EXPOSED as usize];
        if count > 0 {
            exposed.entry(mm.subject.clone()).or_default().counted += count;
        }
    }

    let windows: Vec<Record> = records(context, STALE_WINDOW).map(|(_, record)| *record).collect();
    let is_exposed = |record: &Record| record.detail[3] == u64::from(EXPOSED);
    let writes: Vec<_> = records(context, STALE_WRITE).filter(|(_, record)| is_exposed(record)).cloned().collect();
    for (subject, _) in &writes {
        exposed.entry(subject.clone()).or_default().recorded += 1;
    }

    let window_of =
        |write: &Record| windows.iter().chain(&memory.windows).find(|window| is_window_of(window, write)).copied();
    let mut waiting = Vec::new();
    for (subject, write) in std::mem::take(&mut memory.writes) {
        found.findings.push(overlap(context, &subject, &write, window_of(&write)));
    }
    for (subject, write) in writes {
        let window = window_of(&write);
        if window.is_none() && waiting.len() < WAITING {
            waiting.push((subject, write));
        } else {
            found.findings.push(overlap(context, &subject, &write, window));
        }
    }
    memory.writes = waiting;
    memory.windows = windows;
    memory.windows.truncate(WAITING);

    let before = std::mem::take(&mut memory.unpaired);
    for subject in before.keys() {
        exposed.entry(subject.clone()).or_default();
    }
    for (subject, mut now) in exposed {
        let mut last = before.get(&subject).copied().unwrap_or_default();
        pair(&mut last.counted, &mut now.recorded);
        pair(&mut now.counted, &mut last.recorded);
        pair(&mut now.counted, &mut now.recorded);
        if last.counted > 0 {
            found.findings.push(unrecorded(&subject, last.counted));
        }
        if now.counted > 0 || now.recorded > 0 {
            memory.unpaired.insert(subject, now);
        }
    }
}

/// Takes from both what both have.
fn pair(a: &mut u64, b: &mut u64) {
    let both = (*a).min(*b);
    *a -= both;
    *b -= both;
}

fn records<'a>(context: &Context<'a>, series: u32) -> impl Iterator<Item = &'a (Subject, Record)> + use<'a> {
    context.look.records.iter().filter(move |(_, record)| record.series == series)
}

/// Whether this is the window that the write fault met.
pub(crate) fn is_window_of(window: &Record, write: &Record) -> bool {
    let [_, since_ns, task, ..] = write.detail;
    (window.slot, window.slot_born_ns) == (write.slot, write.slot_born_ns)
        && window.begin_ns == since_ns
        && (u64::from(window.tgid) << 32 | u64::from(window.tid)) == task
}

fn overlap(context: &Context<'_>, subject: &Subject, write: &Record, window: Option<Record>) -> Finding {
    let [page, _, task, _, _, vma_flags] = write.detail;
    // Of a window that was not recorded the area still tells.
    let is_soft_dirty = match &window {
        Some(window) => window.detail[2] == u64::from(PATH_SOFT_DIRTY),
        None => vma_flags & VM_UFFD_WP == 0,
    };
    let of_window = match &window {
        Some(window) => {
            let [start, end, path, ..] = window.detail;
            let path = usize::try_from(path).ok().and_then(|path| PATHS.get(path)).copied().unwrap_or("other");
            let (by, open) = (text::thread(window), text::ns(window.duration_ns));
            format!("the window of {by}, path {path}, {start:#x}-{end:#x}, open for {open},")
        }
        None => format!("the window of thread {} (not recorded itself)", task as u32),
    };
    let seen = format!(
        "{} of {} wrote to page {page:#x} while {of_window} was waiting for its flush, and the page was copied without being \
         flushed first",
        text::thread(write),
        text::of(subject)
    );
    let (severity, text) = if is_soft_dirty && context.host.has_anon_exclusive {
        let advice = "On this kernel a page that is copied was not writable before, so nothing should be lost; a count that \
                      grows is worth a report";
        (Warning, format!("{seen}. {advice}"))
    } else {
        let advice = "What other threads stored to it through old translations after the copy is lost (bound: none). Restart \
                      the process, distrust its data, and update the kernel to one that flushes first";
        (Critical, format!("{seen}. {advice}"))
    };
    let mut finding = Finding::new(Class::StaleWriteOverlap, severity, Some(subject.clone()), 2, text);
    finding.evidence.push(*write);
    finding.evidence.extend(window);
    finding
}

/// Exposed writes that were counted, and whose records never came: the path is not known, so the worst is told.
fn unrecorded(subject: &Subject, count: u64) -> Finding {
    let text = format!(
        "{count} writes of {} fell into pages whose flush was pending, and the pages were copied without being flushed first \
         (bound: none); their records were lost, so that path and stacks are not known. What other threads stored through old \
         translations may be lost. Restart the process, distrust its data, and update the kernel to one that flushes first",
        text::of(subject)
    );
    Finding::new(Class::StaleWriteOverlap, Critical, Some(subject.clone()), 1, text)
}

#[cfg(test)]
mod tests {
    use probe_common::series::{MITIGATED, PATH_UFFD_UNWP, REUSED};

    use super::*;
    use crate::{
        anomaly::{
            MmLook, Severity,
            fixture::{Bench, mm, record},
        },
        intake::Counts,
    };

    const BEGIN: u64 = 1_000;
    const WINDOW_TASK: (u32, u32) = (7, 8);

    fn counted(stale_writes: [u64; 3]) -> [MmLook; 1] {
        [mm("a", Counts { stale_writes, ..Counts::default() })]
    }

    fn write(outcome: u32, vma_flags: u64) -> Record {
        let task = u64::from(WINDOW_TASK.0) << 32 | u64::from(WINDOW_TASK.1);
        Record { detail: [0x7000, BEGIN, task, outcome.into(), 0, vma_flags], ..record(STALE_WRITE) }
    }

    fn window(path: u32) -> Record {
        Record {
            begin_ns: BEGIN,
            tgid: WINDOW_TASK.0,
            tid: WINDOW_TASK.1,
            duration_ns: 2_000_000,
            detail: [0x6000, 0x9000, path.into(), 0, 0, 0],
            ..record(STALE_WINDOW)
        }
    }

    fn severities(transitions: &[crate::anomaly::Transition]) -> Vec<(Severity, usize)> {
        transitions.iter().map(|t| (t.severity, t.evidence.len())).collect()
    }

    #[test]
    fn mitigated_and_reused_are_counted_and_raise_nothing() {
        let mut bench = Bench::new(Class::StaleWriteOverlap);
        let records = [write(MITIGATED, VM_UFFD_WP), write(REUSED, VM_UFFD_WP), window(PATH_UFFD_UNWP)];
        assert!(bench.looks(5, &counted([3, 0, 2]), &records).is_empty());
        assert_eq!(bench.hazards(), [("mitigated", 15), ("reused", 10)]);
    }

    #[test]
    fn exposed_is_critical_at_once_with_both_stacks() {
        for has_anon_exclusive in [false, true] {
            let mut bench = Bench::new(Class::StaleWriteOverlap);
            bench.host.has_anon_exclusive = has_anon_exclusive;
            let records = [write(EXPOSED, VM_UFFD_WP), window(PATH_UFFD_UNWP)];
            let raised = bench.looks(1, &counted([0, 1, 0]), &records);
            assert_eq!(severities(&raised), [(Critical, 2)]);
            for part in ["page 0x7000", "path uffd_unwp, 0x6000-0x9000, open for 2ms", "update the kernel"] {
                assert!(raised[0].text.contains(part), "{part}: {}", raised[0].text);
            }
            assert_eq!(bench.hazards(), [("exposed", 1)]);
            assert!(bench.looks(9, &[], &[]).is_empty(), "once");
        }
    }

    #[test]
    fn soft_dirty_is_a_warning_where_a_copied_page_was_not_writable() {
        let mut bench = Bench::new(Class::StaleWriteOverlap);
        let records = [write(EXPOSED, VM_UFFD_WP), window(PATH_SOFT_DIRTY)];
        assert_eq!(severities(&bench.looks(1, &counted([0, 1, 0]), &records)), [(Critical, 2)], "before 5.19");
        bench.host.has_anon_exclusive = true;
        assert_eq!(severities(&bench.looks(1, &counted([0, 1, 0]), &records)), [(Warning, 2)]);
        assert!(bench.looks(9, &[], &[]).is_empty(), "nothing left over");
    }

    #[test]
    fn a_window_may_be_told_a_look_earlier_or_later() {
        for write_first in [false, true] {
            let mut bench = Bench::new(Class::StaleWriteOverlap);
            let (write, window) = (write(EXPOSED, VM_UFFD_WP), window(PATH_UFFD_UNWP));
            let (first, second) = if write_first { (write, window) } else { (window, write) };
            assert!(bench.looks(1, &counted([0, 1, 0]), &[first]).is_empty());
            assert_eq!(severities(&bench.looks(1, &[], &[second])), [(Critical, 2)], "{write_first}");
        }
    }

    #[test]
    fn a_write_without_its_window_is_told_after_one_look_by_what_its_area_tells() {
        for (flags, severity) in [(0, Warning), (VM_UFFD_WP, Critical)] {
            let mut bench = Bench::new(Class::StaleWriteOverlap);
            bench.host.has_anon_exclusive = true;
            let another = Record { tid: 99, ..window(PATH_UFFD_UNWP) };
            assert!(bench.looks(1, &counted([0, 1, 0]), &[write(EXPOSED, flags), another]).is_empty());
            let raised = bench.looks(1, &[], &[]);
            assert_eq!(severities(&raised), [(severity, 1)]);
            assert!(raised[0].text.contains("thread 8 (not recorded itself)"), "{}", raised[0].text);
        }
    }

    #[test]
    fn what_is_counted_and_never_recorded_is_critical_and_order_does_not_matter() {
        let mut bench = Bench::new(Class::StaleWriteOverlap);
        bench.host.has_anon_exclusive = true;
        let records = [write(EXPOSED, 0), window(PATH_SOFT_DIRTY)];
        // Recorded a look before it is counted, and the other way round: nothing is missing.
        assert_eq!(severities(&bench.looks(1, &[], &records)), [(Warning, 2)]);
        assert!(bench.looks(1, &counted([0, 1, 0]), &[]).is_empty());
        assert!(bench.looks(1, &counted([0, 1, 0]), &[]).is_empty());
        assert!(bench.looks(1, &[], &records).is_empty(), "raised already");
        assert!(bench.looks(3, &[], &[]).is_empty());
        // Two were counted and one was recorded.
        assert!(bench.looks(1, &counted([0, 2, 0]), &records).is_empty());
        let raised = bench.looks(1, &[], &[]);
        assert_eq!(severities(&raised), [(Critical, 0)]);
        assert!(raised[0].text.contains("1 writes of a"), "{}", raised[0].text);
        assert_eq!(bench.hazards(), [("exposed", 4)]);
    }
}
