//! The questions that mmscope is there to answer, and how far the attached hooks answer them.

use serde::Serialize;

use super::{HookState, Plan, has};

/// A question, and the parts of its answer.
struct Question {
    asks: &'static str,
    parts: &'static [Part],
}

struct Part {
    tells: &'static str,
    needs: Need,
}

enum Need {
    /// All hooks of any one of these sets.
    Hooks(&'static [&'static [&'static str]]),
    /// The number of the system call that a task is in.
    Syscalls,
}

const fn part(tells: &'static str, sets: &'static [&'static [&'static str]]) -> Part {
    Part { tells, needs: Need::Hooks(sets) }
}

const QUESTIONS: &[Question] = &[
    Question {
        asks: "How long do page-table changes stay visible before their flush is complete, by process and by path?",
        parts: &[
            part("outer windows", &[&["tlb_gather_mmu", "tlb_finish_mmu"]]),
            part(
                "inner windows, and the path of a window",
                &[
                    &["change_protection", "flush_tlb_mm_range"],
                    &["change_protection", "change_protection:exit"],
                    &["mprotect_fixup", "mwriteprotect_range", "change_prot_numa", "flush_tlb_mm_range"],
                ],
            ),
            part("windows of path soft_dirty", &[&["clear_refs_write", "flush_tlb_mm_range"]]),
            part(
                "windows of path reclaim",
                &[
                    &["try_to_unmap_one", "arch_tlbbatch_flush", "flush_tlb_mm_range"],
                    &["try_to_unmap_one", "try_to_unmap_flush", "flush_tlb_batched_pending"],
                ],
            ),
            part("every TLB flush with its mm and range", &[&["flush_tlb_mm_range"]]),
        ],
    },
    Question {
        asks: "Who holds mmap_lock, for how long, in which mode, for which operation, and who waited because of it?",
        parts: &[
            part(
                "acquisitions and holds",
                &[&["mmap_lock_acquire_returned", "mmap_lock_released"], &["down_read", "up_read"]],
            ),
            part(
                "waits",
                &[
                    &["contention_begin", "contention_end"],
                    &["rwsem_down_read_slowpath:exit", "rwsem_down_write_slowpath:exit"],
                ],
            ),
            part(
                "whose hold a waiter waited for",
                &[
                    &["mmap_lock_released", "contention_begin", "contention_end"],
                    &["up_read", "contention_begin", "contention_end"],
                    &["up_read", "rwsem_down_read_slowpath:exit", "rwsem_down_write_slowpath:exit"],
                ],
            ),
            Part { tells: "operations", needs: Need::Syscalls },
        ],
    },
    Question {
        asks: "How many TLB flushes were forced by a pending flush elsewhere in the mm, and how many of them unwarranted?",
        parts: &[
            part(
                "forced flushes, and whether another task's window covered them",
                &[
                    &["do_wp_page", "do_wp_page:exit", "flush_tlb_mm_range", "tlb_gather_mmu", "tlb_finish_mmu"],
                    &["do_wp_page", "do_wp_page:exit", "change_protection:exit", "tlb_gather_mmu", "tlb_finish_mmu"],
                ],
            ),
            part(
                "ranges flushed as the whole mm because of it",
                &[
                    &["flush_tlb_mm_range", "tlb_gather_mmu", "tlb_finish_mmu"],
                    &["change_protection:exit", "tlb_gather_mmu", "tlb_finish_mmu"],
                ],
            ),
        ],
    },
    Question {
        asks: "How often is a range made not-writable, writable, not-writable without a flush between?",
        parts: &[
            part(
                "cycles of 2 MiB ranges",
                &[
                    &["change_protection", "flush_tlb_mm_range", "tlb_finish_mmu"],
                    &["change_protection", "change_protection:exit", "tlb_finish_mmu"],
                    &["mprotect_fixup", "mwriteprotect_range", "change_prot_numa", "flush_tlb_mm_range"],
                ],
            ),
            part("generations that a write fault would find changed", &[&["do_wp_page", "do_wp_page:exit"]]),
        ],
    },
    Question {
        asks: "How much waiting would vanish if mprotect downgraded mmap_lock to read for its last VMA?",
        parts: &[
            part(
                "VMAs of each mprotect",
                &[
                    &["change_protection", "mmap_lock_acquire_returned", "mmap_lock_released"],
                    &["change_protection", "down_read", "up_read"],
                    &["mprotect_fixup", "down_read", "up_read"],
                ],
            ),
            part(
                "reader waits that a downgrade would spare",
                &[
                    &["contention_begin", "contention_end"],
                    &["rwsem_down_read_slowpath:exit", "rwsem_down_write_slowpath:exit"],
                ],
            ),
        ],
    },
    Question {
        asks: "Is any process near, or in, the overlap that corrupts memory?",
        parts: &[part(
            "write faults inside another task's open window",
            &[
                &["do_wp_page", "handle_userfault", "change_protection", "flush_tlb_mm_range"],
                &["do_wp_page", "handle_userfault", "change_protection", "change_protection:exit"],
                &["do_wp_page", "handle_userfault", "mwriteprotect_range", "flush_tlb_mm_range"],
            ],
        )],
    },
    Question {
        asks: "How slow is each userfaultfd handler, is one stuck, which ioctls fail and how?",
        parts: &[
            part("userfaults", &[&["handle_userfault", "handle_userfault:exit"]]),
            part("ioctls", &[&["userfaultfd_ioctl", "userfaultfd_ioctl:exit"]]),
        ],
    },
    Question {
        asks: "What do the probes cost, and what did they miss?",
        parts: &[part("what was lost, and why", &[&[]]), part("their share of the host's CPU time", &[&[]])],
    },
];

/// How far a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// In all its parts.
    Answered,
    /// In some.
    Partly,
    /// Not here.
    No,
}

/// What a question's answer is worth with these hooks.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// From one.
    pub number: usize,
    /// The question.
    pub question: &'static str,
    /// How far.
    pub answer: Extent,
    /// Parts that this kernel does not let be measured.
    pub missing_here: Vec<&'static str>,
}

/// Each question with its answer's extent.
#[must_use]
pub fn answers(plan: &Plan, hooks: &[HookState]) -> Vec<Answer> {
    let is_there = |need: &Need| match need {
        Need::Hooks(sets) => sets.iter().any(|set| set.iter().all(|name| has(hooks, name))),
        Need::Syscalls => plan.has_task_btf || plan.has_stack_regs,
    };
    let answer = |(n, question): (usize, &Question)| {
        let missing: Vec<&str> =
            question.parts.iter().filter(|part| !is_there(&part.needs)).map(|part| part.tells).collect();
        Answer {
            number: n + 1,
            question: question.asks,
            answer: match missing.len() {
                n if n == question.parts.len() => Extent::No,
                0 => Extent::Answered,
                _ => Extent::Partly,
            },
            missing_here: missing,
        }
    };
    QUESTIONS.iter().enumerate().map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{HOOKS, Tier};

    #[test]
    fn hooks_of_the_questions_exist() {
        for part in QUESTIONS.iter().flat_map(|question| question.parts) {
            if let Need::Hooks(sets) = part.needs {
                for name in sets.iter().flat_map(|set| set.iter()) {
                    assert!(HOOKS.iter().any(|hook| hook.name == *name), "{name}");
                }
            }
        }
    }

    #[test]
    fn a_question_is_answered_as_far_as_its_hooks_go() {
        let plan = Plan::new(&crate::kernel::KernelFacts::default());
        let mut states = vec![HookState::Attached(Tier::F); HOOKS.len()];
        let extents = |states: &[HookState]| answers(&plan, states).iter().map(|a| a.answer).collect::<Vec<_>>();
        // No system call numbers: operations are missing.
        use Extent::{Answered, Partly};
        assert_eq!(extents(&states), [Answered, Partly, Answered, Answered, Answered, Answered, Answered, Answered]);
        let index = HOOKS.iter().position(|hook| hook.name == "handle_userfault").unwrap();
        states[index] = HookState::Absent(String::new());
        assert_eq!(extents(&states)[6], Partly);
        assert_eq!(answers(&plan, &states)[6].missing_here, ["userfaults"]);
    }
}
