//! All about one subject: a command in a cgroup.

use super::board::Board;
use super::links::PROCESS;
use super::panel::Panel;
use super::style::Kind;

pub(super) fn board() -> Board {
    Board {
        uid: PROCESS,
        title: "Process",
        description: "All about one subject: choose a cgroup and a command. The subject \"other\" is what found \
            no place of its own",
        subjects: true,
        docs: false,
        sections: vec![
            ("mmap_lock", lock()),
            ("TLB flushes", flushes()),
            ("Changes of page tables", page_tables()),
            ("userfaultfd", userfaults()),
            ("Hazards", hazards()),
        ],
    }
}

/// A quantile of a histogram by one of its labels.
fn quantile(q: &str, family: &str, label: &str) -> String {
    format!("histogram_quantile({q}, sum by ({label}, le) (rate({family}_bucket{{@subject}}[@rate])))")
}

fn lock() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Lines, "Acquisitions", "How often mmap_lock is taken, and tried in vain.")
            .ask(
                "sum by (mode, result) (rate(mmscope_mmap_lock_acquisitions_total{@subject}[@rate]))",
                "{{mode}} {{result}}",
            )
            .unit("ops"),
        Panel::new(
            Kind::Areas,
            "Threads holding, by operation",
            "What the lock is held for: threads at a time, on average.",
        )
        .ask(
            "sum by (operation) (rate(mmscope_mmap_lock_operation_seconds_total{@subject,phase=\"hold\"}[@rate]))",
            "{{operation}}",
        )
        .unit("short"),
        Panel::new(Kind::Areas, "Threads waiting, by operation", "What threads wanted the lock for while they waited.")
            .ask(
                "sum by (operation) (rate(mmscope_mmap_lock_operation_seconds_total{@subject,phase=\"wait\"}[@rate]))",
                "{{operation}}",
            )
            .unit("short"),
        Panel::heatmap(
            "Held for write",
            "Long ones stop every fault, map and unmap of the process.",
            "mmscope_mmap_lock_hold_seconds",
            "@subject,mode=\"write\"",
        ),
        Panel::heatmap(
            "Held for read",
            "Long ones stop whoever wants to write, and readers behind that one.",
            "mmscope_mmap_lock_hold_seconds",
            "@subject,mode=\"read\"",
        ),
        Panel::heatmap("Waits", "Only acquisitions that had to wait.", "mmscope_mmap_lock_wait_seconds", "@subject"),
        Panel::new(Kind::Lines, "Slow holds and waits", "99 of 100 were shorter.")
            .ask(&quantile("0.99", "mmscope_mmap_lock_hold_seconds", "mode"), "held for {{mode}}")
            .ask(&quantile("0.99", "mmscope_mmap_lock_wait_seconds", "mode"), "waited to {{mode}}")
            .unit("s")
            .size(12, 8),
        Panel::heatmap(
            "VMAs of an mprotect",
            "One call that changes many areas holds the lock for write all along.",
            "mmscope_mprotect_vmas",
            "@subject",
        )
        .unit("none")
        .size(12, 8),
    ]
}

fn flushes() -> Vec<Panel> {
    vec![
        Panel::heatmap(
            "Windows, outer",
            "The time in which the kernel itself counts a flush as pending.",
            "mmscope_flush_window_seconds",
            "@subject,kind=\"outer\"",
        ),
        Panel::heatmap(
            "Windows, inner",
            "From the first change of a protection to the flush: how long others \
            could use what was there before.",
            "mmscope_flush_window_seconds",
            "@subject,kind=\"inner\"",
        ),
        Panel::new(Kind::Lines, "Slow windows, by path", "99 of 100 outer windows were shorter.")
            .ask(
                "histogram_quantile(0.99, sum by (path, le) \
                    (rate(mmscope_flush_window_seconds_bucket{@subject,kind=\"outer\"}[@rate])))",
                "{{path}}",
            )
            .unit("s"),
        Panel::new(
            Kind::Areas,
            "Flushes, by kind",
            "A full flush takes all translations from everybody who \
            runs in the mm.",
        )
        .ask("sum by (kind) (rate(mmscope_tlb_flushes_total{@subject}[@rate]))", "{{kind}}")
        .unit("ops"),
        Panel::new(Kind::Areas, "Escalations", "Ranges that became flushes of the whole mm, and why.")
            .ask(
                "sum by (cause, warranted) (rate(mmscope_tlb_escalations_total{@subject}[@rate]))",
                "{{cause}}, warranted {{warranted}}",
            )
            .unit("ops"),
        Panel::new(Kind::Areas, "Forced flushes", "Write faults that had to flush first.")
            .ask("sum by (warranted) (rate(mmscope_forced_flushes_total{@subject}[@rate]))", "warranted {{warranted}}")
            .unit("ops"),
        Panel::heatmap(
            "Shootdowns",
            "A CPU that does not answer, as one of a virtual machine that does not \
            run, makes all wait.",
            "mmscope_tlb_shootdown_seconds",
            "@subject",
        ),
        Panel::new(Kind::Lines, "CPUs in a shootdown", "CPUs that a flush had to ask, on average.").ask(
            "sum(rate(mmscope_tlb_shootdown_cpus_total{@subject}[@rate])) / \
                    sum(rate(mmscope_tlb_shootdown_seconds_count{@subject}[@rate]))",
            "CPUs",
        ),
        Panel::new(
            Kind::Lines,
            "Pages and open windows",
            "Pages flushed one by one, and windows open at the \
            last look.",
        )
        .ask("sum(rate(mmscope_tlb_flush_pages_total{@subject}[@rate]))", "pages per second")
        .ask("sum(mmscope_flush_windows_open{@subject})", "windows open")
        .unit("short"),
    ]
}

fn page_tables() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Areas,
            "Cycles of page-table entries",
            "Unflushed ones are what a generation of a page table would catch.",
        )
        .ask("sum by (flushed) (rate(mmscope_pte_cycles_total{@subject}[@rate]))", "flushed {{flushed}}")
        .unit("ops")
        .size(12, 8),
        Panel::new(
            Kind::Areas,
            "Changes of generation",
            "Write faults that a generation of a page table would have sent round again.",
        )
        .ask("sum by (needed) (rate(mmscope_pte_generation_changes_total{@subject}[@rate]))", "needed {{needed}}")
        .unit("ops")
        .size(12, 8),
    ]
}

fn userfaults() -> Vec<Panel> {
    vec![
        Panel::heatmap(
            "Userfaults",
            "How long threads waited for their handler.",
            "mmscope_userfault_seconds",
            "@subject",
        ),
        Panel::new(Kind::Lines, "Slow userfaults, by reason", "99 of 100 were shorter.")
            .ask(&quantile("0.99", "mmscope_userfault_seconds", "reason"), "{{reason}}")
            .unit("s"),
        Panel::new(
            Kind::Lines,
            "Threads in userfaults",
            "At the last look. A level that stays is a handler that is stuck.",
        )
        .ask("sum(mmscope_userfaults_in_flight{@subject})", "in flight")
        .ask("sum(rate(mmscope_userfault_repeats_total{@subject}[@rate]))", "repeats per second")
        .unit("short"),
        Panel::new(Kind::Areas, "ioctls", "What handlers do.")
            .ask("sum by (ioctl) (rate(mmscope_uffd_ioctl_seconds_count{@subject}[@rate]))", "{{ioctl}}")
            .unit("ops"),
        Panel::new(Kind::Lines, "Slow ioctls", "99 of 100 were shorter.")
            .ask(&quantile("0.99", "mmscope_uffd_ioctl_seconds", "ioctl"), "{{ioctl}}")
            .unit("s"),
        Panel::new(Kind::Bars, "Failed ioctls", "By ioctl and error.")
            .ask(
                "sum by (ioctl, errno) (rate(mmscope_uffd_ioctl_errors_total{@subject}[@rate]))",
                "{{ioctl}} {{errno}}",
            )
            .unit("ops")
            .empty("no ioctl of userfaultfd failed, or none is seen on this kernel"),
    ]
}

fn hazards() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Bars, "Hazards", "In each interval, by class and outcome.")
            .ask(super::hazards::EVENTS_OF_SUBJECT, "{{class}} {{outcome}}")
            .empty("no hazard of this process")
            .size(24, 8),
    ]
}
