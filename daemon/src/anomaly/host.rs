//! Rules over the host: what the kernel's version hints at, and what mmscope does not see.

use std::fmt::Write as _;

use probe_common::lost::{self, REASONS};

use super::{
    kinds::{
        Class, Finding, Found, Raise,
        Severity::{Info, Warning},
    },
    look::Context,
    memory::Memory,
    releases,
};
use crate::plan::{self, HOOKS, HookState, NOT_NEEDED};

/// Why mmscope is blind to something.
pub(super) const CAUSES: [&str; 4] = ["hooks", "lost", "misses", "mismatch"];

pub(super) fn version_exposed(context: &Context<'_>, memory: &mut Memory, found: &mut Found) {
    let text = memory.host.version.get_or_insert_with(|| {
        let ((major, minor, patch), fixes) = releases::lacking(&context.host.release, &context.host.version)?;
        let whats: Vec<&str> = fixes.iter().map(|fix| fix.what).collect();
        (!whats.is_empty()).then(|| {
            format!(
                "kernel {} is {major}.{minor}.{patch} by its number, which is older than {} of the known fixes for TLB \
                 flushing: {}. A hint only: distributions carry fixes back. Look into its changelog, or update",
                context.host.release,
                whats.len(),
                whats.join("; ")
            )
        })
    });
    if let Some(text) = text {
        found.findings.push(Finding::new(Class::VersionExposed, Info, None, 1, text.clone()));
    }
}

/// Losses that say nothing about what is there now: what began before the probes did, a kernel function that releases a lock
/// for another task, and what only makes a what-if figure smaller.
const NO_BLINDNESS: &[u32] = &[
    lost::HOLD_OLDER_THAN_ATTACH,
    lost::WAIT_OLDER_THAN_ATTACH,
    lost::WINDOW_OLDER_THAN_ATTACH,
    lost::FAULT_OLDER_THAN_ATTACH,
    lost::IOCTL_OLDER_THAN_ATTACH,
    lost::RELEASE_BY_OTHER_TASK,
    lost::RANGE_EVICTED,
    lost::RANGE_BEYOND,
];

pub(super) fn blind(context: &Context<'_>, memory: &mut Memory, found: &mut Found) {
    let mut find = |about, severity, raise, count: u64, text| {
        let finding = Finding::new(Class::Blind, severity, None, count, text);
        found.findings.push(Finding { about, raise: Some(raise), ..finding });
    };
    let look = context.look;

    let missing = missing(&context.host.hooks);
    let is_first = memory.host.hooks.is_none();
    let text = memory.host.hooks.get_or_insert_with(|| hooks_text(context, &missing));
    if let Some(text) = text {
        find("hooks", Info, Raise::AtOnce, missing.len() as u64, text.clone());
    }

    let bound = context.bounds.blind_lost_per_second;
    let losses: Vec<(&str, u64)> = REASONS
        .iter()
        .zip(look.lost)
        .enumerate()
        .filter(|(reason, (_, count))| **count > 0 && !NO_BLINDNESS.contains(&(*reason as u32)))
        .map(|(_, (name, count))| (*name, *count))
        .collect();
    let lost: u64 = losses.iter().map(|(_, count)| count).sum();
    if context.per_second(lost) > bound as f64 {
        let by_reason: Vec<String> = losses.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let text = format!(
            "{lost} events lost in the last look ({}; bound {bound} per second). docs/metrics.md tells what each reason \
             means; for ring_full raise the bounds in [record], for full tables there is nothing to set",
            by_reason.join(", ")
        );
        find("lost", Warning, Raise::Again, lost, text);
    }
    let misses = look.probe_misses;
    if context.per_second(misses) > bound as f64 {
        let text = format!(
            "{misses} events in the last look that programs could not see, because they were at work on that CPU (bound \
             {bound} per second): other tracers of the same functions, or a kernel that preempts programs"
        );
        find("misses", Warning, Raise::Again, misses, text);
    }
    let mismatches = look.pending_mismatches.unwrap_or(0);
    if mismatches > 0 {
        let text = format!(
            "{mismatches} times in the last look the kernel's count of pending flushes differed from the windows that mmscope \
             has open (bound: none): windows are not seen, or never end. Compare the lost events; if there are none, it is \
             worth a report"
        );
        find("mismatch", Warning, Raise::AtOnce, mismatches, text);
    }
    // Missing hooks are told once, as they do not come and go.
    let hooks = if is_first { missing.len() as u64 } else { 0 };
    for (cause, count) in CAUSES.into_iter().zip([hooks, lost, misses, mismatches]) {
        found.hazards(None, Class::Blind, cause, count);
    }
}

/// Hooks that are absent, with nothing in their place.
fn missing(hooks: &[HookState]) -> Vec<(&'static str, &str)> {
    let absent = HOOKS.iter().zip(hooks).filter_map(|(hook, state)| match state {
        HookState::Absent(reason) if !reason.starts_with(NOT_NEEDED) => Some((hook.name, reason.as_str())),
        HookState::Absent(_) | HookState::Attached(_) => None,
    });
    absent.filter(|(name, _)| plan::stand_ins(hooks, name).is_empty()).collect()
}

fn hooks_text(context: &Context<'_>, missing: &[(&str, &str)]) -> Option<String> {
    let hooks: Vec<String> = missing.iter().map(|(name, reason)| format!("{name} ({reason})")).collect();
    (!hooks.is_empty()).then(|| {
        let mut text = format!("{} hooks are absent: {}", hooks.len(), hooks.join("; "));
        let unjudged: Vec<&str> = context.unjudged.iter().map(|(class, _)| class.name()).collect();
        if !unjudged.is_empty() {
            let _ = write!(text, ". Not judged here: {}", unjudged.join(", "));
        }
        text + ". mmscope doctor tells what that costs"
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{anomaly::fixture::Bench, plan::Tier};

    #[test]
    fn a_version_below_a_fix_is_told_once_and_stays() {
        let mut bench = Bench::new(Class::VersionExposed);
        bench.host.release = "6.12.34".to_owned();
        let raised = bench.looks(200, &[], &[]);
        assert_eq!((raised.len(), raised[0].severity, &raised[0].subject), (1, Info, &None));
        for part in ["6.12.34 by its number", "older than 2 of", "stale translations that linger", "carry fixes back"] {
            assert!(raised[0].text.contains(part), "{part}: {}", raised[0].text);
        }
        assert_eq!(bench.hazards(), [("", 1)]);
        let mut fixed = Bench::new(Class::VersionExposed);
        fixed.host.release = "6.12.101".to_owned();
        assert!(fixed.looks(3, &[], &[]).is_empty());
        let mut untold = Bench::new(Class::VersionExposed);
        untold.host.release = "6.12.0-3-amd64".to_owned();
        assert!(untold.looks(3, &[], &[]).is_empty());
    }

    #[test]
    fn hooks_with_nothing_in_their_place_are_missing() {
        let absent = |names: &[&str], reason: &str| -> Vec<HookState> {
            let state = |name| {
                if names.contains(&name) { HookState::Absent(reason.to_owned()) } else { HookState::Attached(Tier::F) }
            };
            HOOKS.iter().map(|hook| state(hook.name)).collect()
        };
        let told = |hooks| {
            let mut bench = Bench::new(Class::Blind);
            bench.host.hooks = hooks;
            let told = bench.looks(9, &[], &[]);
            (told.first().map(|t| t.text.clone()), told.len(), bench.hazards())
        };
        assert_eq!(told(absent(&[], "")).1, 0);
        assert_eq!(told(absent(&["up_read"], &format!("{NOT_NEEDED}better"))).1, 0);
        assert_eq!(told(absent(&["change_protection"], "refused")).1, 0, "mprotect_fixup stands in");
        let (text, count, hazards) = told(absent(&["handle_userfault", "clear_refs_write"], "refused"));
        assert_eq!((count, hazards), (1, vec![("hooks", 2)]));
        let text = text.unwrap();
        assert!(
            text.contains("2 hooks are absent: clear_refs_write (refused)")
                || text.contains("handle_userfault (refused)"),
            "{text}"
        );
        assert!(text.contains("uffd_stuck"), "classes that are not judged: {text}");
    }

    #[test]
    fn losses_that_come_again_are_blindness_and_those_of_the_beginning_are_none() {
        let mut bench = Bench::new(Class::Blind);
        for reason in NO_BLINDNESS {
            bench.lost[*reason as usize] = 1_000;
        }
        assert!(bench.looks(5, &[], &[]).is_empty());
        bench.lost[lost::RING_FULL as usize] = 1;
        let raised = bench.looks(3, &[], &[]);
        assert_eq!((raised.len(), raised[0].about, raised[0].severity), (1, "lost", Warning));
        assert!(raised[0].text.contains("1 events lost in the last look (1 ring_full;"), "{}", raised[0].text);
        assert_eq!(bench.hazards(), [("lost", 3)]);
    }

    #[test]
    fn the_bound_on_losses_is_a_rate() {
        let mut bench = Bench::new(Class::Blind);
        bench.bounds.blind_lost_per_second = 10;
        bench.lost[lost::RING_FULL as usize] = 10;
        bench.probe_misses = 10;
        assert!(bench.looks(5, &[], &[]).is_empty());
        bench.probe_misses = 11;
        let raised = bench.looks(5, &[], &[]);
        assert_eq!(raised.iter().map(|t| t.about).collect::<Vec<_>>(), ["misses"]);
        assert_eq!(bench.hazards(), [("lost", 100), ("misses", 105)], "counted below the bound too");
    }

    #[test]
    fn a_mismatch_is_told_at_once() {
        let mut bench = Bench::new(Class::Blind);
        bench.pending_mismatches = Some(0);
        assert!(bench.looks(5, &[], &[]).is_empty());
        bench.pending_mismatches = Some(1);
        let raised = bench.looks(1, &[], &[]);
        assert_eq!((raised.len(), raised[0].about), (1, "mismatch"));
    }
}
