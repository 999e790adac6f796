//! From a kernel's facts to a plan: which form of each hook fits, at which positions its arguments stand, at which
//! offsets its members lie, and what is missing and why. Pure: no kernel is touched here.

mod hooks;
mod kprobes;
mod members;
mod notes;
mod questions;
mod syscalls;

use std::path::Path;

use probe_common::relocation::{COUNT, field};

pub use hooks::{Flushing, HOOKS, Hook, HookKind, LockWay};
pub use notes::notes;
pub use questions::{Answer, Extent, answers};
pub use syscalls::operations as syscall_operations;

use crate::kernel::{KernelFacts, Wanted};

/// How a hook is reached, as design and metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Tier {
    /// fentry or fexit.
    F,
    /// kprobe or kretprobe.
    K,
    /// A tracepoint: tp_btf or raw_tracepoint.
    T,
}

impl Tier {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::F, Self::K, Self::T];

    /// The letter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F => "F",
            Self::K => "K",
            Self::T => "T",
        }
    }
}

/// What the plan says of one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Attach it.
    Attach,
    /// Leave it; the reason is for the user.
    Absent(String),
}

/// What became of one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookState {
    /// It counts.
    Attached(Tier),
    /// It does not, and why.
    Absent(String),
}

/// How the reason begins where a better hook is attached: nothing is missing.
pub const NOT_NEEDED: &str = "not needed: ";

/// Between the name of an absent end and its reason, in the reason of its beginning.
pub const END_ABSENT: &str = " is absent: ";

/// Reason of a hook that only other architectures have a use for: it is no part of what is said of a host.
pub const OF_ELSEWHERE: &str = "not needed: this kernel's flushes are no inline ones";

/// All hooks that there is something to say of on a host, with their states.
pub fn of_host(states: &[HookState]) -> impl Iterator<Item = (&'static Hook, &HookState)> {
    let all = HOOKS.iter().zip(states);
    all.filter(|(_, state)| !matches!(state, HookState::Absent(reason) if reason == OF_ELSEWHERE))
}

/// Whether a hook counts.
#[must_use]
pub fn has(hooks: &[HookState], name: &str) -> bool {
    HOOKS.iter().zip(hooks).any(|(hook, state)| hook.name == name && matches!(state, HookState::Attached(_)))
}

/// The hooks attached in place of one that is not.
#[must_use]
pub fn stand_ins(hooks: &[HookState], name: &str) -> Vec<&'static str> {
    // What stands in for a beginning stands in for its end.
    let of = |hook: &Hook| {
        hook.stands_in_for.is_some_and(|better| {
            better == name || HOOKS.iter().any(|known| known.name == better && known.needs == Some(name))
        })
    };
    let attached = HOOKS.iter().zip(hooks).filter(|(_, state)| matches!(state, HookState::Attached(_)));
    attached.filter(|(hook, _)| of(hook) && !hook.name.ends_with(":exit")).map(|(hook, _)| hook.name).collect()
}

/// What to do on one kernel.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One decision for each entry of [`HOOKS`], in its order.
    pub decisions: Vec<Decision>,
    /// What belongs at each relocation; none where this kernel has no such thing.
    pub relocations: [Option<i32>; COUNT],
    /// bpf_get_current_task_btf and bpf_task_pt_regs exist.
    pub has_task_btf: bool,
    /// mm_struct names its owner.
    pub has_mm_owner: bool,
    /// mm_struct has an id that is never reused.
    pub has_ctx_id: bool,
    /// A task's cgroup id can be walked to.
    pub has_cgroup: bool,
    /// The v1 controller whose cgroup is a task's, instead of that of v2.
    pub controller: Option<String>,
    /// A task's saved registers can be found from its stack, for kernels without those helpers.
    pub has_stack_regs: bool,
    /// change_protection counts its pending flush itself.
    pub inline_changes: bool,
    /// The kernel's count of pending flushes can be read.
    pub has_pending: bool,
    /// The kernel counts the pages of an mm that reclaim has left to be flushed.
    pub has_batched_count: bool,
    /// mmap_lock is made of a mutex of PREEMPT_RT and a count of readers.
    pub has_rt_locks: bool,
    /// A task's switches and its time on CPU can be read.
    pub has_task_times: bool,
    /// How many programs each hook of a function gets, one after the other: where a program may be preempted it is skipped
    /// meanwhile, and another one steps in.
    pub function_programs: usize,
    /// The same for hooks of tracepoints.
    pub tracepoint_programs: usize,
    /// The same for hooks of functions that are called with a spinlock held.
    pub spinlock_programs: usize,
    /// Why the kernel takes no programs by types; none where it does.
    pub against_types: Option<&'static str>,
    /// Functions by kprobes, for hosts where none is reached by fentry; or why that cannot be.
    pub kprobes: Result<Kprobes, String>,
    /// How this kernel flushes.
    pub flushing: Flushing,
    /// The number of a task's system call is `pt_regs.syscallno`.
    pub has_syscallno: bool,
    /// In which ways the events of mmap_lock may be told, the best first.
    pub lock_ways: [LockWay; 2],
}

/// The plan for functions that are reached by kprobes. They are never preempted, so each hook has one program.
#[derive(Clone, Debug)]
pub struct Kprobes {
    /// As the plan's own.
    pub decisions: Vec<Decision>,
    /// What belongs at each relocation in programs of kprobes.
    pub relocations: [Option<i32>; COUNT],
}

impl Kprobes {
    fn new(facts: &KernelFacts, decisions: &[Decision], relocations: &[Option<i32>; COUNT]) -> Result<Self, String> {
        let relocations = kprobes::relocations(facts, relocations)?;
        let decide = |(hook, decision): (&Hook, &Decision)| match decision {
            Decision::Attach if hook.kind != HookKind::Tracepoint => {
                kprobes::refused(hook, facts, &relocations).map_or(Decision::Attach, Decision::Absent)
            }
            decision => decision.clone(),
        };
        Ok(Self { decisions: HOOKS.iter().zip(decisions).map(decide).collect(), relocations })
    }
}

/// Programs that a hook has in the kernel object. Debian's 7.3 preempts often enough that of half a million events under a
/// storm two programs miss some hundreds, three none; 6.18 preempts functions only, and there two miss none.
const PROGRAMS: usize = 3;

/// What a spinlock is where it is none (CONFIG_PREEMPT_RT): who holds one may be preempted.
const SLEEPING_SPINLOCK: &str = "rt_spin_lock";

/// Where saved registers lie in a task's stack follows from the size of both.
const PT_REGS: &str = "pt_regs";

/// Why programs by types cannot be had without them.
const NO_TYPES: &str = "this kernel has no BTF itself";

const HELPERS: &[&str] = &["get_current_task_btf", "task_pt_regs"];

/// Reads what a plan needs to know of the kernel below `root`, its types from a file if there is one.
///
/// # Errors
///
/// When that kernel has no readable BTF, or the file's is not its.
pub fn read_facts(root: &Path, types: Option<&Path>) -> Result<KernelFacts, crate::kernel::FactsError> {
    with_wanted(|wanted| KernelFacts::read(root, types, wanted))
}

/// Takes what a plan needs to know out of a kernel's BTF.
///
/// # Errors
///
/// When the bytes are no BTF.
pub fn facts_from_btf(release: &str, bytes: &[u8]) -> Result<KernelFacts, crate::kernel::BtfError> {
    with_wanted(|wanted| KernelFacts::from_btf(release, bytes, wanted))
}

fn with_wanted<T>(read: impl FnOnce(&Wanted<'_>) -> T) -> T {
    let targets = |tracepoints: bool| -> Vec<&str> {
        let mut names: Vec<&str> = HOOKS
            .iter()
            .filter(|hook| (hook.kind == HookKind::Tracepoint) == tracepoints)
            .map(|hook| hook.target)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let members: Vec<(&str, &str)> = members::MEMBERS
        .iter()
        .map(|member| (member.structure, member.path))
        .chain(kprobes::registers().map(|register| (PT_REGS, register)))
        .collect();
    let mut functions = targets(false);
    functions.push(SLEEPING_SPINLOCK);
    read(&Wanted {
        functions: &functions,
        tracepoints: &targets(true),
        members: &members,
        bits: &[members::FULLMM],
        structs: &[PT_REGS],
        helpers: HELPERS,
    })
}

impl Plan {
    /// Decides.
    #[must_use]
    pub fn new(facts: &KernelFacts) -> Self {
        let mut relocations = [None; COUNT];
        for member in members::MEMBERS {
            relocations[usize::from(member.id)] = facts.members.get(&member.name()).map(|&offset| offset as i32);
        }
        relocations[usize::from(field::TASK_COMM_HIGH)] =
            relocations[usize::from(field::TASK_COMM)].map(|offset| offset + 8);

        relocations[usize::from(field::CSS_SET_STATE)] = facts.controller.as_ref().and_then(|controller| {
            i32::try_from(*facts.members.get(&KernelFacts::place_of_controller(controller))?).ok()
        });
        relocations[usize::from(field::STACK_ORIG_AX)] = stack_orig_ax(facts, &relocations);
        set_fullmm(facts, &mut relocations);

        let mut decisions = Vec::with_capacity(HOOKS.len());
        for hook in HOOKS {
            decisions.push(decide(hook, facts, &mut relocations));
        }
        let has = |ids: &[u16]| ids.iter().all(|&id| relocations[usize::from(id)].is_some());
        let has_syscallno = has(&[field::PT_REGS_SYSCALLNO]);
        // Both helpers return typed pointers.
        let has_task_btf = !facts.lacks_types
            && HELPERS.iter().all(|name| facts.helpers.iter().any(|have| have == name))
            && (has(&[field::PT_REGS_ORIG_AX]) || has_syscallno);
        // Where the kernel does not tell, it may.
        let preempts = facts.preempts.unwrap_or(true);
        let preempts_tracepoints = preempts && facts.has_tracepoint_srcu.unwrap_or(true);
        let function_programs = if preempts_tracepoints { PROGRAMS } else { 1 + usize::from(preempts) };
        let kprobes = Kprobes::new(facts, &decisions, &relocations);
        Self {
            decisions,
            kprobes,
            has_task_btf,
            has_mm_owner: has(&[field::MM_OWNER, field::TASK_COMM, field::TASK_TGID, field::TASK_PID]),
            has_ctx_id: has(&[field::MM_CTX_ID]),
            has_stack_regs: has(&[field::TASK_STACK, field::STACK_ORIG_AX]),
            inline_changes: hooks::has_inline_changes(facts),
            has_task_times: has_task_btf && has(&[field::TASK_NVCSW, field::TASK_NIVCSW, field::TASK_EXEC_RUNTIME]),
            has_rt_locks: has(&[field::MM_MMAP_LOCK_RTMUTEX]),
            has_batched_count: has(&[field::MM_TLB_FLUSH_BATCHED]),
            has_pending: has(&[field::MM_TLB_FLUSH_PENDING, field::MM_USERS, field::MMU_GATHER_MM]),
            against_types: facts.lacks_types.then_some(NO_TYPES),
            function_programs,
            spinlock_programs: if facts.functions.contains_key(SLEEPING_SPINLOCK) { function_programs } else { 1 },
            tracepoint_programs: if preempts_tracepoints { PROGRAMS } else { 1 },
            flushing: Flushing::of(facts),
            has_syscallno,
            lock_ways: hooks::lock_ways(facts),
            controller: facts.controller.clone().filter(|_| has(&[field::CSS_SET_STATE, field::STATE_CGROUP])),
            has_cgroup: has(&[field::TASK_CGROUPS, field::CSS_SET_DFL_CGRP, field::CGROUP_KN, field::KERNFS_NODE_ID]),
            relocations,
        }
    }
}

/// At the top of the stack lie the registers that a system call saved (task_pt_regs in arch/x86/include/asm/processor.h;
/// nothing is left free above them before 6.9, and long before that the helper is there).
fn stack_orig_ax(facts: &KernelFacts, relocations: &[Option<i32>; COUNT]) -> Option<i32> {
    let regs = i32::try_from(*facts.sizes.get(PT_REGS)?).ok()?;
    Some(i32::try_from(facts.stack_bytes?).ok()? - regs + relocations[usize::from(field::PT_REGS_ORIG_AX)]?)
}

/// The word in which a gather has the bit that says it is of the whole mm, and that bit's mask in it.
fn set_fullmm(facts: &KernelFacts, relocations: &mut [Option<i32>; COUNT]) {
    let (structure, name) = members::FULLMM;
    let Some(bit) = facts.bits.get(&format!("{structure}.{name}")) else { return };
    let (word, mask) = (bit / u32::BITS * (u32::BITS / 8), 1_u32 << (bit % u32::BITS));
    relocations[usize::from(field::MMU_GATHER_BITS)] = i32::try_from(word).ok();
    relocations[usize::from(field::MMU_GATHER_FULLMM)] = i32::try_from(mask).ok();
}

fn decide(hook: &Hook, facts: &KernelFacts, relocations: &mut [Option<i32>; COUNT]) -> Decision {
    let (prototypes, what) = match hook.kind {
        HookKind::Tracepoint => (&facts.tracepoints, "tracepoint"),
        HookKind::Entry | HookKind::Exit => (&facts.functions, "function"),
    };
    let flushing = Flushing::of(facts);
    match hook.flushing {
        Some(wanted) if wanted == flushing => {}
        Some(Flushing::Inline) => {
            return Decision::Absent(OF_ELSEWHERE.to_owned());
        }
        Some(Flushing::Called) => {
            return Decision::Absent("this kernel flushes inline, which nothing tells".to_owned());
        }
        None => {}
    }
    let Some(prototype) = prototypes.get(hook.target) else {
        if hooks::is_fullmm_told(hook, facts) {
            return Decision::Absent(format!("{NOT_NEEDED}before 5.12 such gathers are tlb_gather_mmu's own"));
        }
        return Decision::Absent(format!("this kernel has no {what} {}", hook.target));
    };
    let arguments = hooks::arguments(prototype);
    let Some(form) = hook.forms.iter().find(|form| form.arguments == arguments) else {
        return Decision::Absent(format!("unknown prototype ({arguments})"));
    };
    if let Some(reason) = form.refused {
        return Decision::Absent(reason.to_owned());
    }
    for &id in hook.members {
        if relocations[usize::from(id)].is_none() {
            return Decision::Absent(format!("this kernel has no {}", members::name(id)));
        }
    }
    for &(id, position) in form.positions {
        relocations[usize::from(id)] = Some(i32::from(position) * 8);
    }
    Decision::Attach
}

#[cfg(test)]
mod tests;
