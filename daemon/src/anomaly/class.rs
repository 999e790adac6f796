//! The table of classes: name, severities, when an alert is raised, the hooks without which a class is not judged, the words
//! of its hazards, and its rule. docs/anomalies.md is held to it.

use super::{
    flush, host,
    kinds::{Class, Counted, Found, Raise, Severity},
    lock,
    look::Context,
    memory::Memory,
    pages, stale, userfault,
};
use crate::plan::{self, HookState};

/// All that is fixed about a class.
pub(super) struct Entry {
    pub(super) class: Class,
    pub(super) name: &'static str,
    pub(super) severities: &'static [Severity],
    pub(super) raise: Raise,
    pub(super) counted: Counted,
    /// Sets of hooks: with all of any one set it can be judged. Empty: always.
    pub(super) needs: &'static [&'static [&'static str]],
    /// Words of its hazards' `outcome` label.
    pub(super) outcomes: &'static [&'static str],
    pub(super) rule: fn(&Context<'_>, &mut Memory, &mut Found),
}

const WINDOWS: &[&[&str]] = &[&["tlb_gather_mmu", "tlb_finish_mmu"]];
const ESCALATIONS: &[&[&str]] = &[
    &["tlb_gather_mmu", "tlb_finish_mmu", "flush_tlb_mm_range"],
    &["tlb_gather_mmu", "tlb_finish_mmu", "change_protection:exit"],
];
// Protection changes by change_protection, or before 5.17 by what stands in for it.
const WRITE_FAULTS: &[&[&str]] = &[
    &["do_wp_page", "do_wp_page:exit", "flush_tlb_mm_range", "tlb_gather_mmu", "tlb_finish_mmu", "change_protection"],
    &[
        "do_wp_page",
        "do_wp_page:exit",
        "change_protection:exit",
        "tlb_gather_mmu",
        "tlb_finish_mmu",
        "change_protection",
    ],
    &[
        "do_wp_page",
        "do_wp_page:exit",
        "flush_tlb_mm_range",
        "tlb_gather_mmu",
        "tlb_finish_mmu",
        "mwriteprotect_range",
        "mwriteprotect_range:exit",
    ],
];
const MPROTECTS: &[&[&str]] = &[
    &["tlb_gather_mmu", "tlb_finish_mmu", "change_protection"],
    &["mprotect_fixup", "mprotect_fixup:exit", "tlb_finish_mmu"],
];
const CYCLES: &[&[&str]] = &[
    &["change_protection", "flush_tlb_mm_range"],
    &["change_protection", "change_protection:exit"],
    &["mprotect_fixup", "mprotect_fixup:exit", "flush_tlb_mm_range"],
];
// The functions of rw_semaphore are attached all together or not at all.
const LOCK: &[&[&str]] = &[&["mmap_lock_acquire_returned", "mmap_lock_released"], &["down_read", "up_read"]];
const FAULTS: &[&[&str]] = &[&["handle_userfault", "handle_userfault:exit"]];
const IOCTLS: &[&[&str]] = &[&["userfaultfd_ioctl", "userfaultfd_ioctl:exit"]];
const FAULTS_AND_IOCTLS: &[&[&str]] =
    &[&["handle_userfault", "handle_userfault:exit", "userfaultfd_ioctl", "userfaultfd_ioctl:exit"]];
const SHOOTDOWNS: &[&[&str]] = &[
    &["native_flush_tlb_multi", "native_flush_tlb_multi:exit"],
    &["native_flush_tlb_others", "native_flush_tlb_others:exit"],
];
const RECLAIM: &[&[&str]] = &[
    &["try_to_unmap_one", "arch_tlbbatch_flush", "flush_tlb_mm_range"],
    &["try_to_unmap_one", "try_to_unmap_flush", "flush_tlb_batched_pending"],
];

macro_rules! classes {
    ($($class:ident $name:literal $severities:tt $raise:ident $counted:ident $needs:expr, $outcomes:expr, $rule:path;)*) => {
        /// All classes, in their order.
        pub(super) const CLASSES: &[Entry] = &[$(Entry {
            class: Class::$class,
            name: $name,
            severities: { use Severity::*; &$severities },
            raise: Raise::$raise,
            counted: Counted::$counted,
            needs: $needs,
            outcomes: $outcomes,
            rule: $rule,
        }),*];
    };
}

const PLAIN: &[&str] = &[""];

classes! {
    StaleWriteOverlap "stale_write_overlap" [Warning, Critical] AtOnce Event WRITE_FAULTS,
        &probe_common::series::OUTCOMES, stale::stale_write_overlap;
    UnwarrantedFlushStorm "unwarranted_flush_storm" [Warning] InARow Episode WRITE_FAULTS, PLAIN, flush::unwarranted_flush_storm;
    LongWindow "long_window" [Warning] Again Event WINDOWS, &flush::REASONS, flush::long_window;
    NestedWindow "nested_window" [Warning] InARow Event ESCALATIONS, PLAIN, flush::nested_window;
    FlushEscalation "flush_escalation" [Warning] InARow Event ESCALATIONS, &flush::CAUSES, flush::flush_escalation;
    PteCycleUnflushed "pte_cycle_unflushed" [Info] InARow Event CYCLES, PLAIN, pages::pte_cycle_unflushed;
    LockConvoy "lock_convoy" [Warning] Again Event LOCK, &lock::MODES, lock::lock_convoy;
    ProtectionFlipFlop "protection_flip_flop" [Warning] InARow Episode MPROTECTS, PLAIN, pages::protection_flip_flop;
    UffdSlow "uffd_slow" [Warning] InARow Event FAULTS, PLAIN, userfault::uffd_slow;
    UffdStuck "uffd_stuck" [Critical] AtOnce Episode FAULTS_AND_IOCTLS, PLAIN, userfault::uffd_stuck;
    UffdRefault "uffd_refault" [Warning] InARow Event FAULTS, PLAIN, userfault::uffd_refault;
    UffdErrorStorm "uffd_error_storm" [Warning] InARow Episode IOCTLS,
        &probe_common::series::IOCTLS, userfault::uffd_error_storm;
    ShootdownStraggler "shootdown_straggler" [Warning] Again Event SHOOTDOWNS, PLAIN, flush::shootdown_straggler;
    ReclaimStale "reclaim_stale" [Warning] Again Event RECLAIM, PLAIN, flush::reclaim_stale;
    VersionExposed "version_exposed" [Info] AtOnce Episode &[], PLAIN, host::version_exposed;
    Blind "blind" [Info, Warning] Again Event &[], &host::CAUSES, host::blind;
}

impl Class {
    /// How many there are.
    pub const COUNT: usize = CLASSES.len();

    /// Every class.
    pub fn all() -> impl Iterator<Item = Self> {
        CLASSES.iter().map(|entry| entry.class)
    }

    pub(super) fn entry(self) -> &'static Entry {
        &CLASSES[self as usize]
    }

    /// The `class` label.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The severities that its alerts can have.
    #[must_use]
    pub fn severities(self) -> &'static [Severity] {
        self.entry().severities
    }

    /// The words of its hazards' `outcome` label.
    #[must_use]
    pub fn outcomes(self) -> &'static [&'static str] {
        self.entry().outcomes
    }

    /// Whether it can be judged with these hooks.
    #[must_use]
    pub fn is_measured(self, hooks: &[HookState]) -> bool {
        let needs = self.entry().needs;
        needs.is_empty() || needs.iter().any(|set| set.iter().all(|hook| plan::has(hooks, hook)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{HOOKS, Tier};

    #[test]
    fn the_table_is_in_the_order_of_the_classes_and_names_are_those_of_the_configuration() {
        for (n, entry) in CLASSES.iter().enumerate() {
            assert_eq!(entry.class as usize, n, "{}", entry.name);
            assert_eq!(serde_json::from_str::<Class>(&format!("{:?}", entry.name)).unwrap(), entry.class);
            assert!(!entry.severities.is_empty() && !entry.outcomes.is_empty(), "{}", entry.name);
        }
        assert_eq!(CLASSES.len(), Class::COUNT);
    }

    #[test]
    fn needed_hooks_exist() {
        for hook in CLASSES.iter().flat_map(|entry| entry.needs.iter().flat_map(|set| set.iter())) {
            assert!(HOOKS.iter().any(|known| known.name == *hook), "{hook}");
        }
    }

    #[test]
    fn a_class_without_its_hooks_is_not_judged() {
        let mut hooks = vec![HookState::Attached(Tier::F); HOOKS.len()];
        assert!(Class::UffdStuck.is_measured(&hooks) && Class::LongWindow.is_measured(&hooks));
        let index = HOOKS.iter().position(|hook| hook.name == "userfaultfd_ioctl").unwrap();
        hooks[index] = HookState::Absent("refused".to_owned());
        assert!(!Class::UffdStuck.is_measured(&hooks) && Class::UffdSlow.is_measured(&hooks));
        assert!(Class::Blind.is_measured(&[]) && Class::VersionExposed.is_measured(&[]));
    }
}
