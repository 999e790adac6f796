//! Rules over protection changes: cycles that no flush divides, and toggles that many CPUs pay for.

use probe_common::series::{OUTER, PATH_MPROTECT};

use super::{
    kinds::{
        Class, Finding, Found,
        Severity::{Info, Warning},
    },
    look::Context,
    memory::Memory,
    text,
};

pub(super) fn pte_cycle_unflushed(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    let bound = context.bounds.pte_cycle_unflushed_per_second;
    for mm in context.look.mms {
        let [unflushed, flushed] = mm.counts.cycles;
        found.hazards(Some(&mm.subject), Class::PteCycleUnflushed, "", unflushed);
        let rate = context.per_second(unflushed);
        if rate > bound as f64 {
            let text = format!(
                "{rate:.1} times per second a range of {} became not-writable, writable and not-writable again with no \
                 flush between (bound {bound}; {flushed} more with one): pte_same() cannot see such a cycle. Nothing to \
                 do on a kernel that has the fixes; worth telling those who work on it",
                text::process(mm)
            );
            let weight = rate as u64;
            found.findings.push(Finding::new(Class::PteCycleUnflushed, Info, Some(mm.subject.clone()), weight, text));
        }
    }
}

pub(super) fn protection_flip_flop(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    let bound = context.bounds.protection_flip_flop_per_second;
    for mm in context.look.mms {
        let counts = &mm.counts;
        let toggles = context.per_second(counts.histogram(OUTER + PATH_MPROTECT).count());
        // The CPU that changes, and those that it asks, on average.
        let cpus = 1.0 + counts.shootdown_cpus as f64 / counts.shootdowns.max(1) as f64;
        let cost = toggles * cpus;
        if cost > bound as f64 {
            let text = format!(
                "{} changes protections {toggles:.0} times per second, on {cpus:.1} CPUs each: {cost:.0} flushes (bound \
                 {bound}). Toggle larger ranges less often; memory protection keys (pkeys) change what may be written with \
                 no flush at all",
                text::process(mm)
            );
            let weight = cost as u64;
            found.findings.push(Finding::new(
                Class::ProtectionFlipFlop,
                Warning,
                Some(mm.subject.clone()),
                weight,
                text,
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        anomaly::fixture::{Bench, histogram, mm},
        intake::Counts,
    };

    #[test]
    fn cycles_without_a_flush_are_counted_and_told_above_the_bound() {
        let cycles = |unflushed| [mm("a", Counts { cycles: [unflushed, 1_000_000], ..Counts::default() })];
        let mut bench = Bench::new(Class::PteCycleUnflushed);
        assert!(bench.looks(5, &cycles(10), &[]).is_empty());
        assert_eq!(bench.looks(5, &cycles(11), &[]).len(), 1);
        assert_eq!(bench.hazards(), [("", 105)]);
    }

    #[test]
    fn toggles_are_weighed_by_the_cpus_that_pay() {
        let toggles = |n, shootdowns, cpus| {
            let windows = histogram(OUTER + PATH_MPROTECT, Duration::from_micros(5), n);
            [mm("a", Counts { shootdowns, shootdown_cpus: cpus, ..windows })]
        };
        let mut bench = Bench::new(Class::ProtectionFlipFlop);
        assert!(bench.looks(5, &toggles(10_000, 0, 0), &[]).is_empty(), "one CPU, at the bound");
        assert!(bench.looks(5, &toggles(2_500, 2_500, 7_500), &[]).is_empty(), "four CPUs, at the bound");
        let raised = bench.looks(5, &toggles(2_501, 2_501, 7_503), &[]);
        assert_eq!(raised.len(), 1);
        assert!(raised[0].text.contains("2501 times per second, on 4.0 CPUs each"), "{}", raised[0].text);
        assert_eq!(bench.hazards(), [("", 1)]);
    }

    #[test]
    fn windows_of_other_paths_are_no_toggles() {
        let zaps = histogram(OUTER + probe_common::series::PATH_ZAP, Duration::from_micros(5), 1_000_000);
        assert!(Bench::new(Class::ProtectionFlipFlop).looks(5, &[mm("a", zaps)], &[]).is_empty());
    }
}
