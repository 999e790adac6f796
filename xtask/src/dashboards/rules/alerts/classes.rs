//! Alerts on anomaly classes: one for each class, two for stale_write_overlap, which is critical or not. The class `blind` is
//! about mmscope itself and is in `itself`.

use super::{Alert, NOW, Severity, When, bounds, minutes, raised};

/// All of them, in the order of docs/anomalies.md.
pub(crate) const CLASSES: &[Alert] = &[
    Alert {
        name: "MmscopeStaleWriteExposed",
        severity: Severity::Critical,
        when: When::Raised { class: "stale_write_overlap", stays: bounds::EXPOSED_STAYS, has_subject: true },
        pending: NOW,
        summary: "a page was copied inside another task's pending flush; stores may be lost",
        description: "A write fault copied a page before a pending flush of it was done. What other threads stored by their \
                      old translation meanwhile is gone: distrust the data of this process.",
    },
    Alert {
        name: "MmscopeStaleWriteSoftDirty",
        severity: Severity::Warning,
        when: When::Raised { class: "stale_write_overlap", stays: bounds::EXPOSED_STAYS, has_subject: true },
        pending: NOW,
        summary: "a page was copied inside a pending flush of soft-dirty tracking",
        description: "A write fault copied a page before clear_refs had flushed it, on a kernel that copies only pages that \
                      are mapped nowhere writable: probably nothing is lost.",
    },
    Alert {
        name: "MmscopeUnwarrantedFlushStorm",
        severity: Severity::Warning,
        when: raised("unwarranted_flush_storm"),
        pending: minutes(10),
        summary: "write faults flush pages for flushes that are pending elsewhere",
        description: "Many write faults were forced to flush their page although nothing pending covered it.",
    },
    Alert {
        name: "MmscopeLongWindow",
        severity: Severity::Warning,
        when: raised("long_window"),
        pending: minutes(5),
        summary: "page-table changes wait long for their TLB flush",
        description: "Windows between a change of page tables and the end of its flush are longer than the daemon's bound, \
                      again and again.",
    },
    Alert {
        name: "MmscopeNestedWindow",
        severity: Severity::Warning,
        when: raised("nested_window"),
        pending: minutes(10),
        summary: "whole address spaces are flushed because threads change page tables at once",
        description: "Small ranges are flushed as the whole address space, because another thread's flush was pending \
                      elsewhere in it.",
    },
    Alert {
        name: "MmscopeFlushEscalation",
        severity: Severity::Warning,
        when: raised("flush_escalation"),
        pending: minutes(10),
        summary: "small ranges are flushed as whole address spaces",
        description: "Ranges are flushed as the whole address space: another flush was pending over them, or reclaim had \
                      some outstanding.",
    },
    Alert {
        name: "MmscopePteCycleUnflushed",
        severity: Severity::Info,
        when: raised("pte_cycle_unflushed"),
        pending: minutes(15),
        summary: "pages become not-writable, writable and not-writable again without a flush",
        description: "What a generation count in pte_same() would catch. Harmless on kernels that have the fixes.",
    },
    Alert {
        name: "MmscopeLockConvoy",
        severity: Severity::Warning,
        when: raised("lock_convoy"),
        pending: minutes(5),
        summary: "threads queue behind long holds of mmap_lock",
        description: "One holder keeps mmap_lock for longer than the daemon's bound while others wait for it, again and again.",
    },
    Alert {
        name: "MmscopeProtectionFlipFlop",
        severity: Severity::Warning,
        when: raised("protection_flip_flop"),
        pending: minutes(10),
        summary: "a process toggles memory protections at a rate that costs CPUs",
        description: "mprotect calls of one process, times the CPUs that each of them interrupts, are above the daemon's bound.",
    },
    Alert {
        name: "MmscopeUffdSlow",
        severity: Severity::Warning,
        when: raised("uffd_slow"),
        pending: minutes(5),
        summary: "a userfaultfd handler is slow",
        description: "Too large a share of userfaults waits for longer than the daemon's bound.",
    },
    Alert {
        name: "MmscopeUffdStuck",
        severity: Severity::Critical,
        when: raised("uffd_stuck"),
        pending: minutes(1),
        summary: "a thread waits for a userfaultfd handler that does nothing",
        description: "A userfault is in flight for long, and nobody has asked its userfaultfd for anything meanwhile: the \
                      handler is dead, stopped or blocked.",
    },
    Alert {
        name: "MmscopeUffdRefault",
        severity: Severity::Warning,
        when: raised("uffd_refault"),
        pending: minutes(5),
        summary: "the same pages fault to a userfaultfd again and again",
        description: "Threads fault on a page that has just faulted: a handler may wake them without having resolved it.",
    },
    Alert {
        name: "MmscopeUffdErrorStorm",
        severity: Severity::Warning,
        when: raised("uffd_error_storm"),
        pending: minutes(5),
        summary: "ioctls of a userfaultfd fail in numbers",
        description: "One ioctl of userfaultfd fails more often per second than the daemon's bound.",
    },
    Alert {
        name: "MmscopeShootdownStraggler",
        severity: Severity::Warning,
        when: raised("shootdown_straggler"),
        pending: minutes(5),
        summary: "CPUs are slow to answer TLB shootdowns",
        description: "Flushes wait for other CPUs for longer than the daemon's bound. The daemon's log names the CPU that \
                      answered last.",
    },
    Alert {
        name: "MmscopeReclaimStale",
        severity: Severity::Warning,
        when: raised("reclaim_stale"),
        pending: minutes(5),
        summary: "reclaim leaves flushes of a process outstanding for long",
        description: "Pages were unmapped by reclaim, and their flush came later than the daemon's bound.",
    },
    Alert {
        name: "MmscopeVersionExposed",
        severity: Severity::Info,
        when: When::Raised { class: "version_exposed", stays: NOW, has_subject: false },
        pending: minutes(5),
        summary: "the kernel is older, by its number, than known fixes for TLB flushing",
        description: "A hint, as distributions carry fixes back. The daemon's log names the fixes.",
    },
];
