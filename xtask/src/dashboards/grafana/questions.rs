//! What three proposals for the kernel would bring here: flushes told apart by range, a generation for each page table, and
//! mmap_lock held for read in the last part of an mprotect. And who pays for mmap_lock held for write.

use super::board::Board;
use super::links::{self, PROCESS, QUESTIONS};
use super::panel::Panel;
use super::style::Kind;

pub(super) fn board() -> Board {
    Board {
        uid: QUESTIONS,
        title: "What the kernel could spare",
        description: "What three proposals for the kernel would bring on these hosts, and who pays for mmap_lock",
        subjects: true,
        docs: false,
        sections: vec![
            ("Flushes told apart by range", flushes()),
            ("A generation for each page table", generations()),
            ("mmap_lock held for read in the last part of an mprotect", downgrade()),
            ("Who pays for mmap_lock", blame()),
        ],
    }
}

/// The part of a family's events that `matcher` says. Where the family is there, its missing part is zero.
fn share(family: &str, matcher: &str) -> String {
    let all = format!("sum(rate({family}{{@subject}}[@rate]))");
    format!("(sum(rate({family}{{@subject,{matcher}}}[@rate])) or 0 * {all}) / {all}")
}

/// What groups by subject.
const BY_SUBJECT: &str = "sum by (instance, cgroup, comm)";

/// The same part, by subject and each second.
fn part(family: &str, matcher: &str) -> String {
    let all = format!("{BY_SUBJECT} (rate({family}{{@subject}}[@rate]))");
    format!("{BY_SUBJECT} (rate({family}{{@subject,{matcher}}}[@rate])) or 0 * {all}")
}

/// The rate of a metric by subject.
fn rate(metric: &str, matcher: &str) -> String {
    format!("{BY_SUBJECT} (rate({metric}{{@subject{matcher}}}[@rate]))")
}

fn share_panel(title: &'static str, note: &'static str, query: &str) -> Panel {
    Panel::new(Kind::Stat, title, note).ask(query, "share").unit("percentunit").size(6, 8)
}

fn top_panel(title: &'static str, note: &'static str, query: &str) -> Panel {
    Panel::new(Kind::Lines, title, note)
        .ask(&format!("topk(10, {query})"), "{{comm}} {{cgroup}} {{instance}}")
        .unit("ops")
        .size(9, 8)
        .links(&[links::from_series("This process", PROCESS, &["instance", "cgroup", "comm"])])
}

fn flushes() -> Vec<Panel> {
    vec![
        Panel::text(
            "Question",
            "What the panels below answer.",
            "A write fault flushes a page first whenever *some* flush is pending *somewhere* in the mm. How many of these \
             flushes had nothing pending at their address, and would be spared if the kernel told ranges apart?",
        ),
        share_panel(
            "Unwarranted, of forced flushes",
            "The part of forced flushes that telling ranges apart would spare.",
            &share("mmscope_forced_flushes_total", "warranted=\"false\""),
        ),
        Panel::new(Kind::Areas, "Forced flushes", "Each is a one-page flush that a write fault had to do first.")
            .ask("sum by (warranted) (rate(mmscope_forced_flushes_total{@subject}[@rate]))", "warranted {{warranted}}")
            .unit("ops")
            .size(9, 8),
        top_panel(
            "Unwarranted forced flushes, by process",
            "The ten processes with most of them.",
            &part("mmscope_forced_flushes_total", "warranted=\"false\""),
        ),
        share_panel(
            "Unwarranted, of nested escalations",
            "The part of flushes of the whole mm for a nested window whose ranges did not meet.",
            &share("mmscope_tlb_escalations_total", "cause=\"nested\",warranted=\"false\""),
        ),
        Panel::new(Kind::Areas, "Escalations to the whole mm", "The same question for flushes of ranges.")
            .ask(
                "sum by (cause, warranted) (rate(mmscope_tlb_escalations_total{@subject}[@rate]))",
                "{{cause}}, warranted {{warranted}}",
            )
            .unit("ops")
            .size(9, 8),
        top_panel(
            "Escalations, by process",
            "The ten processes with most of them.",
            &rate("mmscope_tlb_escalations_total", ""),
        ),
    ]
}

fn generations() -> Vec<Panel> {
    vec![
        Panel::text(
            "Question",
            "What the panels below answer.",
            "pte_same() cannot see that an entry went not-writable, writable and not-writable again meanwhile. A generation kept for \
             each page table would. How often does that happen without a flush in between, and how often would a generation \
             send a write fault round again for nothing, because it was another page that changed?",
        ),
        share_panel(
            "Unflushed, of cycles",
            "Cycles that only a generation would catch.",
            &share("mmscope_pte_cycles_total", "flushed=\"false\""),
        ),
        Panel::new(Kind::Areas, "Cycles of page-table entries", "Of ranges of 2 MiB.")
            .ask("sum by (flushed) (rate(mmscope_pte_cycles_total{@subject}[@rate]))", "flushed {{flushed}}")
            .unit("ops")
            .size(9, 8),
        top_panel(
            "Unflushed cycles, by process",
            "The ten processes with most of them.",
            &part("mmscope_pte_cycles_total", "flushed=\"false\""),
        ),
        share_panel(
            "Not needed, of changed generations",
            "Write faults that would be sent round again for nothing.",
            &share("mmscope_pte_generation_changes_total", "needed=\"false\""),
        ),
        Panel::new(
            Kind::Areas,
            "Changes of generation during write faults",
            "What a generation would cost, and what for.",
        )
        .ask("sum by (needed) (rate(mmscope_pte_generation_changes_total{@subject}[@rate]))", "needed {{needed}}")
        .unit("ops")
        .size(9, 8),
        top_panel(
            "Changes not needed, by process",
            "The ten processes with most of them.",
            &part("mmscope_pte_generation_changes_total", "needed=\"false\""),
        ),
    ]
}

fn downgrade() -> Vec<Panel> {
    let saved = "sum(rate(mmscope_mmap_lock_downgrade_saving_seconds_total{@subject}[@rate]))";
    let waited = "sum(rate(mmscope_mmap_lock_wait_seconds_sum{@subject,mode=\"read\"}[@rate]))";
    // Exposition formats differ in how they write one.
    let one = "sum(rate(mmscope_mprotect_vmas_bucket{@subject,le=~\"1|1.0\"}[@rate])) / \
        sum(rate(mmscope_mprotect_vmas_count{@subject}[@rate]))";
    vec![
        Panel::text(
            "Question",
            "What the panels below answer.",
            "mprotect holds mmap_lock for write to its end. If it held it only for read from its last VMA on, how much waiting of readers \
             would vanish? And how many calls change more than one VMA, and would have to look for it again?",
        ),
        share_panel(
            "Spared, of readers' waits",
            "The part of the time that readers wait for mmap_lock.",
            &format!("{saved} / {waited}"),
        ),
        Panel::new(
            Kind::Lines,
            "Waiting spared",
            "Readers that would not wait, at a time, on average; and all that wait.",
        )
        .ask(saved, "spared")
        .ask(waited, "readers waiting")
        .unit("short")
        .size(9, 8),
        top_panel(
            "Waiting spared, by process",
            "The ten processes that would gain most.",
            &rate("mmscope_mmap_lock_downgrade_saving_seconds_total", ""),
        )
        .unit("short"),
        share_panel(
            "More than one VMA, of mprotects",
            "These would have to find the last VMA anew.",
            &format!("1 - {one}"),
        ),
        Panel::heatmap("VMAs of an mprotect", "How many areas one call changes.", "mmscope_mprotect_vmas", "@subject")
            .unit("none")
            .size(18, 8),
    ]
}

fn blame() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Matrix,
            "Who waits because of whom",
            "Seconds waited for mmap_lock in the time range: a row for what the waiter was doing, a column for \
                what the holder was doing.",
        )
        .ask("sum by (waiter, holder) (increase(mmscope_mmap_lock_blocked_seconds_total{@host}[$__range])) > 0", "")
        .matrix("waiter", "holder")
        .uncoloured("waiter\\holder")
        .unit("s")
        .empty("nobody waited, or waits cannot be charged on this kernel")
        .size(24, 11),
        Panel::new(Kind::Areas, "Threads waiting, by the holder's operation", "Who makes others wait.")
            .ask("sum by (holder) (rate(mmscope_mmap_lock_blocked_seconds_total{@host}[@rate]))", "{{holder}}")
            .unit("short")
            .size(12, 8),
        Panel::new(Kind::Areas, "Threads waiting, by the waiter's operation", "Who pays.")
            .ask("sum by (waiter) (rate(mmscope_mmap_lock_blocked_seconds_total{@host}[@rate]))", "{{waiter}}")
            .unit("short")
            .size(12, 8),
        top_panel(
            "Held for write, by process",
            "Threads that hold mmap_lock for write at a time, on average.",
            &rate("mmscope_mmap_lock_hold_seconds_sum", ",mode=\"write\""),
        )
        .unit("short")
        .size(12, 8),
        top_panel(
            "Waiting, by process",
            "Threads that wait for mmap_lock at a time, on average.",
            &rate("mmscope_mmap_lock_wait_seconds_sum", ""),
        )
        .unit("short")
        .size(12, 8),
    ]
}
