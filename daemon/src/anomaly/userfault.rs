//! Rules over userfaultfd: handlers that are slow, stuck, asked again and again, or failing.

use std::collections::BTreeMap;

use probe_common::series::{FAULT, FAULT_REASONS, IOCTLS};

use super::{
    kinds::{
        Class, Finding, Found,
        Severity::{Critical, Warning},
    },
    look::{Context, longer},
    memory::Memory,
    text,
};
use crate::intake::Histogram;

pub(super) fn uffd_slow(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    let bounds = context.bounds;
    for mm in context.look.mms {
        let mut faults = Histogram::default();
        for series in FAULT..FAULT + FAULT_REASONS.len() as u32 {
            faults += &mm.counts.histogram(series);
        }
        let all = faults.count();
        let (slow, latency) = longer(&faults, bounds.uffd_slow_latency);
        found.hazards(Some(&mm.subject), Class::UffdSlow, "", slow);
        if all < bounds.uffd_slow_faults || slow * 100 <= bounds.uffd_slow_percent * all {
            continue;
        }
        let text = format!(
            "{slow} of {all} userfaults of {} waited longer than {} for their handler (bound {} %), {} on average. Look at \
             the handler: its CPU, its storage, its network",
            text::process(mm),
            text::time(latency),
            bounds.uffd_slow_percent,
            text::ns(faults.sum_ns / all.max(1)),
        );
        found.findings.push(Finding::new(Class::UffdSlow, Warning, Some(mm.subject.clone()), slow, text));
    }
}

pub(super) fn uffd_stuck(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    let bound = context.bounds.uffd_stuck_age;
    for mm in context.look.mms {
        let Some(age) = mm.fault_age.filter(|&age| age > bound) else { continue };
        let asked = match mm.since_ioctl {
            Some(since) if since <= bound => continue,
            Some(since) => format!("its userfaultfd was last asked for something {} ago", text::time(since)),
            None => "its userfaultfd was never asked for anything since mmscope saw it".to_owned(),
        };
        let text = format!(
            "a thread of {} has waited for its userfault handler for {} (bound {}), and {asked}. The handler is dead, stopped \
             or blocked: look at its threads; closing the userfaultfd wakes those who wait",
            text::process(mm),
            text::time(age),
            text::time(bound),
        );
        let weight = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        found.findings.push(Finding::new(Class::UffdStuck, Critical, Some(mm.subject.clone()), weight, text));
    }
}

pub(super) fn uffd_refault(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    let bound = context.bounds.uffd_refault_per_second;
    for mm in context.look.mms {
        found.hazards(Some(&mm.subject), Class::UffdRefault, "", mm.counts.refaults);
        let rate = context.per_second(mm.counts.refaults);
        if rate > bound as f64 {
            let text = format!(
                "{rate:.0} userfaults per second of {} at the page of one just before (bound {bound}): the handler wakes \
                 threads without having resolved their fault, or several threads fault on one page",
                text::process(mm)
            );
            let weight = rate as u64;
            found.findings.push(Finding::new(Class::UffdRefault, Warning, Some(mm.subject.clone()), weight, text));
        }
    }
}

/// Names of the errors that userfaultfd's ioctls are known to give.
fn errno(number: u16) -> String {
    let name = match i32::from(number) {
        libc::EAGAIN => "EAGAIN",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::EFAULT => "EFAULT",
        libc::EINVAL => "EINVAL",
        libc::ENOENT => "ENOENT",
        libc::ENOMEM => "ENOMEM",
        libc::ENOSPC => "ENOSPC",
        libc::EPERM => "EPERM",
        libc::ESRCH => "ESRCH",
        _ => return format!("errno {number}"),
    };
    name.to_owned()
}

pub(super) fn uffd_error_storm(context: &Context<'_>, _: &mut Memory, found: &mut Found) {
    let bound = context.bounds.uffd_error_storm_per_second;
    for mm in context.look.mms {
        let mut by_ioctl: BTreeMap<&'static str, Vec<(u64, u16)>> = BTreeMap::new();
        for (&(ioctl, errno), &count) in &mm.counts.errors {
            let ioctl = IOCTLS.get(usize::from(ioctl)).copied().unwrap_or("other");
            by_ioctl.entry(ioctl).or_default().push((count, errno));
        }
        for (ioctl, mut errors) in by_ioctl {
            let rate = context.per_second(errors.iter().map(|(count, _)| count).sum());
            if rate <= bound as f64 {
                continue;
            }
            errors.sort_unstable_by(|a, b| b.cmp(a));
            let errors: Vec<String> =
                errors.iter().map(|(count, number)| format!("{count} {}", errno(*number))).collect();
            let text = format!(
                "{rate:.0} failures per second of the userfaultfd ioctl {ioctl} by {} (bound {bound}), in the last look {}. \
                 EEXIST: the page was there already. EAGAIN: the address space was changing, ask again. ENOENT: no such \
                 range is registered. ESRCH: the process is gone",
                text::process(mm),
                errors.join(", "),
            );
            let mut finding = Finding::new(Class::UffdErrorStorm, Warning, Some(mm.subject.clone()), rate as u64, text);
            finding.about = ioctl;
            found.findings.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        anomaly::{
            MmLook,
            fixture::{Bench, histogram, mm},
        },
        intake::Counts,
    };

    #[test]
    fn a_handler_is_slow_by_the_share_of_its_faults() {
        let faults = |slow, fast| {
            let mut counts = histogram(FAULT + 1, Duration::from_millis(200), slow);
            counts += &histogram(FAULT, Duration::from_millis(100), fast);
            [mm("a", counts)]
        };
        let mut bench = Bench::new(Class::UffdSlow);
        assert!(bench.looks(5, &faults(10, 90), &[]).is_empty(), "ten of a hundred is the bound");
        assert!(bench.looks(5, &faults(9, 0), &[]).is_empty(), "too few for a share");
        assert_eq!(bench.hazards(), [("", 95)]);
        let raised = bench.looks(5, &faults(11, 89), &[]);
        assert_eq!(raised.len(), 1);
        for part in ["11 of 100", "longer than 134.2ms", "111ms on average"] {
            assert!(raised[0].text.contains(part), "{part}: {}", raised[0].text);
        }
    }

    #[test]
    fn a_fault_is_stuck_when_nobody_asks_for_anything() {
        let second = Duration::from_secs(1);
        let look = |age: Option<u32>, ioctl: Option<u32>| {
            let (fault_age, since_ioctl) = (age.map(|s| s * second), ioctl.map(|s| s * second));
            [MmLook { fault_age, since_ioctl, ..mm("a", Counts::default()) }]
        };
        let mut bench = Bench::new(Class::UffdStuck);
        for fine in [look(Some(30), None), look(Some(90), Some(30)), look(None, Some(900)), look(None, None)] {
            assert!(bench.looks(3, &fine, &[]).is_empty());
        }
        let raised = bench.looks(1, &look(Some(31), Some(31)), &[]);
        assert_eq!((raised.len(), raised[0].severity), (1, Critical), "at once");
        assert!(raised[0].text.contains("for 31s (bound 30s)"), "{}", raised[0].text);
        assert!(bench.looks(9, &look(Some(40), None), &[]).is_empty(), "once");
        assert_eq!(bench.hazards(), [("", 1)]);
    }

    #[test]
    fn refaults_are_counted_and_told_above_the_bound() {
        let refaults = |refaults| [mm("a", Counts { refaults, ..Counts::default() })];
        let mut bench = Bench::new(Class::UffdRefault);
        assert!(bench.looks(5, &refaults(1_000), &[]).is_empty());
        assert_eq!(bench.looks(5, &refaults(1_001), &[]).len(), 1);
        assert_eq!(bench.hazards(), [("", 10_005)]);
    }

    #[test]
    fn errors_are_a_storm_by_ioctl() {
        let (copy, wake) = (4, 3);
        let errors = |errors: &[((u16, u16), u64)]| {
            [mm("a", Counts { errors: errors.iter().copied().collect(), ..Counts::default() })]
        };
        let (eagain, eexist) = (libc::EAGAIN as u16, libc::EEXIST as u16);
        let mut bench = Bench::new(Class::UffdErrorStorm);
        let fine = errors(&[((copy, eagain), 50), ((copy, eexist), 50), ((wake, eagain), 100)]);
        assert!(bench.looks(5, &fine, &[]).is_empty());
        let raised = bench.looks(5, &errors(&[((copy, eagain), 50), ((copy, eexist), 51), ((wake, 200), 101)]), &[]);
        assert_eq!(raised.iter().map(|t| t.about).collect::<Vec<_>>(), ["wake", "copy"]);
        assert!(raised[1].text.contains("ioctl copy by") && raised[1].text.contains("51 EEXIST, 50 EAGAIN"));
        assert!(raised[0].text.contains("101 errno 200"), "{}", raised[0].text);
        assert_eq!(bench.hazards(), [("copy", 1), ("wake", 1)]);
    }
}
