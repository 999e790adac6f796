//! The one table of hooks: every form in which a kernel offers one, and what is lost without it.

use probe_common::relocation::{arg, field};

use crate::kernel::KernelFacts;

/// Where a hook sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// Entry of a function, by fentry, or by kprobe where no function is reached by fentry.
    Entry,
    /// Return of a function, by fexit, or by kretprobe.
    Exit,
    /// A tracepoint, by tp_btf, or by raw_tracepoint where that is refused.
    Tracepoint,
}

/// How a kernel flushes the TLB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushing {
    /// By functions that tell every flush (x86).
    Called,
    /// By instructions in the midst of other functions (arm64).
    Inline,
}

impl Flushing {
    /// Arm64 is known by what it keeps of a system call.
    pub(super) fn of(facts: &KernelFacts) -> Self {
        if facts.members.contains_key("pt_regs.syscallno") && !facts.functions.contains_key("flush_tlb_mm_range") {
            Self::Inline
        } else {
            Self::Called
        }
    }
}

/// A way to tell the events of mmap_lock. It takes all hooks of a way, or it is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockWay {
    /// The tracepoints of 5.11 and later.
    Tracepoints,
    /// The functions of rw_semaphore, which every kernel has.
    Rwsem,
}

impl LockWay {
    /// As doctor calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tracepoints => "the mmap_lock tracepoints",
            Self::Rwsem => "the rw_semaphore functions",
        }
    }
}

/// One form of a hook: an argument list as BTF has it, and where in it the probes' arguments stand.
pub(super) struct Form {
    pub(super) arguments: &'static str,
    /// Relocation and position. A fexit program finds the return value behind the last argument.
    pub(super) positions: &'static [(u16, u8)],
    /// Why this form cannot be hooked although it is known.
    pub(super) refused: Option<&'static str>,
}

/// A hook.
pub struct Hook {
    /// Its name in metrics and in `mmscope doctor`.
    pub name: &'static str,
    /// Where it sits.
    pub kind: HookKind,
    /// Function or tracepoint.
    pub target: &'static str,
    /// Program in the kernel object.
    pub program: &'static str,
    /// Its raw_tracepoint form.
    pub raw_program: Option<&'static str>,
    /// Attached only when the hook of this name is not.
    pub stands_in_for: Option<&'static str>,
    /// A beginning is of no use without its end: attached only when the hook of this name is.
    pub needs: Option<&'static str>,
    /// Called with a spinlock held: where that keeps tasks from being preempted, so are its programs.
    pub under_spinlock: bool,
    /// The way of telling mmap_lock's events that it is part of.
    pub way: Option<LockWay>,
    /// It is of use only where the kernel flushes so.
    pub flushing: Option<Flushing>,
    /// What cannot be told without it.
    pub tells: &'static str,
    pub(super) forms: &'static [Form],
    /// Members that its program cannot do without.
    pub(super) members: &'static [u16],
}

const fn form(arguments: &'static str, positions: &'static [(u16, u8)]) -> Form {
    Form { arguments, positions, refused: None }
}

impl Hook {
    const fn standing_in_for(mut self, better: &'static str) -> Self {
        self.stands_in_for = Some(better);
        self
    }

    const fn in_way(mut self, way: LockWay) -> Self {
        self.way = Some(way);
        self
    }

    const fn where_flushes_are(mut self, flushing: Flushing) -> Self {
        self.flushing = Some(flushing);
        self
    }

    const fn under_spinlock(mut self) -> Self {
        self.under_spinlock = true;
        self
    }

    const fn needing(mut self, end: &'static str) -> Self {
        self.needs = Some(end);
        self
    }
}

const TASK: &[u16] = &[field::TASK_MM, field::TASK_FLAGS];

const fn tracepoint(
    name: &'static str,
    raw_program: &'static str,
    tells: &'static str,
    forms: &'static [Form],
    members: &'static [u16],
) -> Hook {
    Hook {
        name,
        kind: HookKind::Tracepoint,
        target: name,
        program: name,
        raw_program: Some(raw_program),
        stands_in_for: None,
        needs: None,
        under_spinlock: false,
        way: None,
        flushing: None,
        tells,
        forms,
        members,
    }
}

const fn function(
    kind: HookKind,
    name: &'static str,
    target: &'static str,
    program: &'static str,
    tells: &'static str,
    forms: &'static [Form],
    members: &'static [u16],
) -> Hook {
    Hook {
        name,
        kind,
        target,
        program,
        raw_program: None,
        stands_in_for: None,
        needs: None,
        under_spinlock: false,
        way: None,
        flushing: None,
        tells,
        forms,
        members,
    }
}

/// Every hook, in the order in which they are attached: an end before its beginning, so that what is begun while
/// attaching can be ended, names before anything is counted, and what stands in for another one after it. Functions are
/// few: giving up each costs a grace period of RCU tasks, a tenth of a second, when mmscope leaves.
pub const HOOKS: &[Hook] = &[
    tracepoint(
        "task_rename",
        "task_rename_raw",
        "names that processes take after they started",
        &[form("struct task_struct *, char *", &[(arg::TASK_RENAME_TASK, 0), (arg::TASK_RENAME_COMM, 1)])],
        &[field::TASK_MM, field::TASK_PID, field::TASK_TGID],
    ),
    tracepoint(
        "contention_end",
        "contention_end_raw",
        "waits for mmap_lock",
        &[form("void *, int", &[(arg::CONTENTION_END_LOCK, 0)])],
        &[field::MM_MMAP_LOCK, field::TASK_MM, field::TASK_FLAGS],
    ),
    tracepoint(
        "contention_begin",
        "contention_begin_raw",
        "waits for mmap_lock",
        &[form("void *, unsigned int", &[(arg::CONTENTION_BEGIN_LOCK, 0), (arg::CONTENTION_BEGIN_FLAGS, 1)])],
        &[field::MM_MMAP_LOCK],
    )
    .needing("contention_end"),
    function(
        HookKind::Exit,
        "tlb_finish_mmu",
        "tlb_finish_mmu",
        "tlb_finish_mmu_exit",
        "pending-flush windows",
        &[
            form("struct mmu_gather *tlb", &[(arg::FINISH_TLB, 0)]),
            form("struct mmu_gather *tlb, long unsigned int start, long unsigned int end", &[(arg::FINISH_TLB, 0)]),
        ],
        TASK,
    ),
    function(
        HookKind::Exit,
        "flush_tlb_mm_range",
        "flush_tlb_mm_range",
        "flush_tlb_mm_range_exit",
        "every TLB flush with its mm and range, and inner windows",
        &[form(
            "struct mm_struct *mm, long unsigned int start, long unsigned int end, unsigned int stride_shift, \
             bool freed_tables",
            &[(arg::FLUSH_MM, 0), (arg::FLUSH_START, 1), (arg::FLUSH_END, 2), (arg::FLUSH_STRIDE_SHIFT, 3)],
        )],
        TASK,
    ),
    function(
        HookKind::Exit,
        "change_protection:exit",
        "change_protection",
        "change_protection_exit",
        "inner windows, where flushes are inline: what it changed is flushed in it",
        CHANGE_PROTECTION,
        &[field::MMU_GATHER_END, field::MMU_GATHER_BITS, field::MMU_GATHER_FULLMM],
    )
    .where_flushes_are(Flushing::Inline)
    .needing("tlb_finish_mmu"),
    function(
        HookKind::Entry,
        "change_protection",
        "change_protection",
        "change_protection_enter",
        "inner windows, the path and the range of a window, cycles of page tables, VMAs of an mprotect",
        CHANGE_PROTECTION,
        &[field::VMA_FLAGS],
    )
    .needing("tlb_finish_mmu"),
    function(
        HookKind::Exit,
        "tlb_gather_mmu",
        "tlb_gather_mmu",
        "tlb_gather_mmu_exit",
        "pending-flush windows",
        &[
            // 5.12 and later.
            form("struct mmu_gather *tlb, struct mm_struct *mm", &[(arg::GATHER_TLB, 0), (arg::GATHER_MM, 1)]),
            form(
                "struct mmu_gather *tlb, struct mm_struct *mm, long unsigned int start, long unsigned int end",
                &[(arg::GATHER_TLB, 0), (arg::GATHER_MM, 1), (arg::GATHER_END, 3)],
            ),
        ],
        TASK,
    )
    .needing("tlb_finish_mmu"),
    function(
        HookKind::Exit,
        "tlb_gather_mmu_fullmm",
        "tlb_gather_mmu_fullmm",
        "tlb_gather_mmu_fullmm_exit",
        "windows of address spaces that are torn down",
        &[form(
            "struct mmu_gather *tlb, struct mm_struct *mm",
            &[(arg::GATHER_FULLMM_TLB, 0), (arg::GATHER_FULLMM_MM, 1)],
        )],
        TASK,
    )
    .needing("tlb_finish_mmu"),
    function(
        HookKind::Entry,
        "__mmdrop",
        "__mmdrop",
        "mmdrop_enter",
        "the end of an mm at once; without it, found by looking for its process",
        &[form("struct mm_struct *mm", &[(arg::MMDROP_MM, 0)])],
        &[],
    ),
    function(
        HookKind::Exit,
        "tlb_gather_mmu_vma",
        "tlb_gather_mmu_vma",
        "tlb_gather_mmu_vma_exit",
        "windows of unshared huge page tables",
        &[
            form(
                "struct mmu_gather *tlb, struct vm_area_struct *vma",
                &[(arg::GATHER_VMA_TLB, 0), (arg::GATHER_VMA_VMA, 1)],
            ),
            // Stable kernels before 5.12.
            form(
                "struct mmu_gather *tlb, struct vm_area_struct *vma, long unsigned int start, long unsigned int end",
                &[(arg::GATHER_VMA_TLB, 0), (arg::GATHER_VMA_VMA, 1)],
            ),
        ],
        &[field::TASK_MM, field::TASK_FLAGS, field::VMA_MM],
    )
    .needing("tlb_finish_mmu"),
    function(
        HookKind::Exit,
        "mprotect_fixup:exit",
        "mprotect_fixup",
        "mprotect_fixup_exit",
        "windows of mprotect(2), where change_protection is absent",
        MPROTECT_FIXUP,
        &[],
    )
    .standing_in_for("change_protection")
    .where_flushes_are(Flushing::Called),
    function(
        HookKind::Entry,
        "mprotect_fixup",
        "mprotect_fixup",
        "mprotect_fixup_enter",
        "windows of mprotect(2), where change_protection is absent",
        MPROTECT_FIXUP,
        &[field::VMA_MM, field::VMA_FLAGS],
    )
    .standing_in_for("change_protection")
    .where_flushes_are(Flushing::Called)
    .needing("mprotect_fixup:exit"),
    function(
        HookKind::Exit,
        "change_prot_numa:exit",
        "change_prot_numa",
        "change_prot_numa_exit",
        "windows of NUMA hinting, where change_protection is absent",
        CHANGE_PROT_NUMA,
        &[],
    )
    .standing_in_for("change_protection")
    .where_flushes_are(Flushing::Called),
    function(
        HookKind::Entry,
        "change_prot_numa",
        "change_prot_numa",
        "change_prot_numa_enter",
        "windows of NUMA hinting, where change_protection is absent",
        CHANGE_PROT_NUMA,
        &[field::VMA_MM],
    )
    .standing_in_for("change_protection")
    .where_flushes_are(Flushing::Called)
    .needing("change_prot_numa:exit"),
    tracepoint(
        "mmap_lock_released",
        "mmap_lock_released_raw",
        "holds of mmap_lock",
        &[
            // 6.13 and later.
            form("struct mm_struct *, bool", &[(arg::RELEASED_MM, 0), (arg::RELEASED_WRITE, 1)]),
            // 5.11 to 6.12: the cgroup's path stands between.
            form("struct mm_struct *, char *, bool", &[(arg::RELEASED_MM, 0), (arg::RELEASED_WRITE, 2)]),
        ],
        TASK,
    )
    .in_way(LockWay::Tracepoints),
    tracepoint(
        "mmap_lock_acquire_returned",
        "mmap_lock_acquire_returned_raw",
        "acquisitions and holds of mmap_lock",
        &[
            form(
                "struct mm_struct *, bool, bool",
                &[(arg::ACQUIRED_MM, 0), (arg::ACQUIRED_WRITE, 1), (arg::ACQUIRED_SUCCESS, 2)],
            ),
            form(
                "struct mm_struct *, char *, bool, bool",
                &[(arg::ACQUIRED_MM, 0), (arg::ACQUIRED_WRITE, 2), (arg::ACQUIRED_SUCCESS, 3)],
            ),
        ],
        TASK,
    )
    .in_way(LockWay::Tracepoints),
    rwsem(HookKind::Entry, "up_read", "up_read_enter", RWSEM),
    rwsem(HookKind::Entry, "up_write", "up_write_enter", RWSEM),
    rwsem(HookKind::Entry, "downgrade_write", "downgrade_write_enter", RWSEM),
    rwsem(HookKind::Exit, "down_read", "down_read_exit", RWSEM),
    rwsem(HookKind::Exit, "down_write", "down_write_exit", RWSEM),
    rwsem(HookKind::Exit, "down_read_killable", "down_read_killable_exit", RWSEM_RETURNING),
    rwsem(HookKind::Exit, "down_write_killable", "down_write_killable_exit", RWSEM_RETURNING),
    rwsem(HookKind::Exit, "down_read_trylock", "down_read_trylock_exit", RWSEM_RETURNING),
    rwsem(HookKind::Exit, "down_write_trylock", "down_write_trylock_exit", RWSEM_RETURNING),
    function(
        HookKind::Entry,
        "uprobe_dup_mmap",
        "uprobe_dup_mmap",
        "uprobe_dup_mmap_enter",
        "a fork's hold of its child's mmap_lock",
        &[form("struct mm_struct *oldmm, struct mm_struct *newmm", &[(arg::DUP_MMAP_MM, 1)])],
        TASK,
    )
    .in_way(LockWay::Rwsem),
    slowpath(
        HookKind::Exit,
        "rwsem_down_read_slowpath:exit",
        "rwsem_down_read_slowpath",
        "read_slowpath_exit",
        READ_SLOWPATH,
    ),
    slowpath(
        HookKind::Entry,
        "rwsem_down_read_slowpath",
        "rwsem_down_read_slowpath",
        "read_slowpath_enter",
        READ_SLOWPATH,
    )
    .needing("rwsem_down_read_slowpath:exit"),
    slowpath(
        HookKind::Exit,
        "rwsem_down_write_slowpath:exit",
        "rwsem_down_write_slowpath",
        "write_slowpath_exit",
        WRITE_SLOWPATH,
    ),
    slowpath(
        HookKind::Entry,
        "rwsem_down_write_slowpath",
        "rwsem_down_write_slowpath",
        "write_slowpath_enter",
        WRITE_SLOWPATH,
    )
    .needing("rwsem_down_write_slowpath:exit"),
    function(
        HookKind::Exit,
        "mwriteprotect_range:exit",
        "mwriteprotect_range",
        "mwriteprotect_range_exit",
        "paths uffd_wp and uffd_unwp of windows, where change_protection is absent",
        MWRITEPROTECT_RANGE,
        &[],
    )
    .standing_in_for("change_protection")
    .where_flushes_are(Flushing::Called),
    function(
        HookKind::Entry,
        "mwriteprotect_range",
        "mwriteprotect_range",
        "mwriteprotect_range_enter",
        "paths uffd_wp and uffd_unwp of windows, where change_protection is absent",
        MWRITEPROTECT_RANGE,
        &[],
    )
    .standing_in_for("change_protection")
    .where_flushes_are(Flushing::Called)
    .needing("mwriteprotect_range:exit"),
    function(
        HookKind::Exit,
        "clear_refs_write:exit",
        "clear_refs_write",
        "clear_refs_write_exit",
        "windows of path soft_dirty",
        CLEAR_REFS_WRITE,
        &[],
    )
    .where_flushes_are(Flushing::Called),
    function(
        HookKind::Entry,
        "clear_refs_write",
        "clear_refs_write",
        "clear_refs_write_enter",
        "windows of path soft_dirty",
        CLEAR_REFS_WRITE,
        &[],
    )
    .where_flushes_are(Flushing::Called)
    .needing("clear_refs_write:exit"),
    function(
        HookKind::Exit,
        "handle_userfault:exit",
        "handle_userfault",
        "handle_userfault_exit",
        "userfaults: how long, how many, why",
        HANDLE_USERFAULT,
        &[],
    ),
    function(
        HookKind::Entry,
        "handle_userfault",
        "handle_userfault",
        "handle_userfault_enter",
        "userfaults: how long, how many, why",
        HANDLE_USERFAULT,
        &[field::VM_FAULT_VMA, field::VMA_MM],
    )
    .needing("handle_userfault:exit"),
    function(
        HookKind::Exit,
        "userfaultfd_ioctl:exit",
        "userfaultfd_ioctl",
        "userfaultfd_ioctl_exit",
        "ioctls of userfaultfd: which, how long, how they fail",
        USERFAULTFD_IOCTL,
        &[field::TASK_MM],
    ),
    function(
        HookKind::Entry,
        "userfaultfd_ioctl",
        "userfaultfd_ioctl",
        "userfaultfd_ioctl_enter",
        "ioctls of userfaultfd: which, how long, how they fail; the operation uffd_ioctl",
        USERFAULTFD_IOCTL,
        &[field::FILE_PRIVATE_DATA, field::UFFD_CTX_MM],
    )
    .needing("userfaultfd_ioctl:exit"),
    function(
        HookKind::Exit,
        "do_wp_page:exit",
        "do_wp_page",
        "do_wp_page_exit",
        "write faults: forced flushes, the overlap that loses writes, changed generations",
        DO_WP_PAGE,
        &[],
    ),
    function(
        HookKind::Entry,
        "do_wp_page",
        "do_wp_page",
        "do_wp_page_enter",
        "write faults: forced flushes, the overlap that loses writes, changed generations",
        DO_WP_PAGE,
        &[
            field::VM_FAULT_VMA,
            field::VM_FAULT_ADDRESS,
            field::VM_FAULT_PTE,
            field::VMA_MM,
            field::VMA_FLAGS,
            field::MM_TLB_FLUSH_PENDING,
            field::MMU_GATHER_START,
            field::MMU_GATHER_END,
        ],
    )
    .needing("do_wp_page:exit")
    .under_spinlock(),
    function(
        HookKind::Exit,
        "native_flush_tlb_multi:exit",
        "native_flush_tlb_multi",
        "flush_tlb_multi_exit",
        "flushes that ask other CPUs, and how long these take to answer",
        FLUSH_TLB_MULTI,
        &[],
    ),
    function(
        HookKind::Entry,
        "native_flush_tlb_multi",
        "native_flush_tlb_multi",
        "flush_tlb_multi_enter",
        "flushes that ask other CPUs, and how long these take to answer",
        FLUSH_TLB_MULTI,
        &[field::FLUSH_INFO_MM],
    )
    .needing("native_flush_tlb_multi:exit"),
    function(
        HookKind::Exit,
        "native_flush_tlb_others:exit",
        "native_flush_tlb_others",
        "flush_tlb_others_exit",
        "flushes that ask other CPUs, where native_flush_tlb_multi is absent (before 5.12)",
        FLUSH_TLB_MULTI,
        &[],
    )
    .standing_in_for("native_flush_tlb_multi"),
    function(
        HookKind::Entry,
        "native_flush_tlb_others",
        "native_flush_tlb_others",
        "flush_tlb_others_enter",
        "flushes that ask other CPUs, where native_flush_tlb_multi is absent (before 5.12)",
        FLUSH_TLB_MULTI,
        &[field::FLUSH_INFO_MM],
    )
    .standing_in_for("native_flush_tlb_multi")
    .needing("native_flush_tlb_others:exit"),
    function(
        HookKind::Entry,
        "flush_tlb_func",
        "flush_tlb_func",
        "flush_tlb_func_enter",
        "which CPU answered last when others were asked to flush",
        &[form("void *info", &[(arg::FLUSH_FUNC_INFO, 0)])],
        &[field::FLUSH_INFO_CPU],
    ),
    function(
        HookKind::Exit,
        "arch_tlbbatch_flush",
        "arch_tlbbatch_flush",
        "arch_tlbbatch_flush_exit",
        "windows of path reclaim",
        &[form("struct arch_tlbflush_unmap_batch *batch", &[])],
        &[],
    ),
    function(
        HookKind::Exit,
        "try_to_unmap_flush",
        "try_to_unmap_flush",
        "try_to_unmap_flush_exit",
        "windows of path reclaim, where flushes are inline",
        &[form("", &[])],
        &[],
    )
    .standing_in_for("arch_tlbbatch_flush")
    .where_flushes_are(Flushing::Inline),
    function(
        HookKind::Entry,
        "flush_tlb_batched_pending",
        "flush_tlb_batched_pending",
        "flush_tlb_batched_pending_enter",
        "ends of windows of path reclaim by others, where flushes are inline",
        &[form("struct mm_struct *mm", &[(arg::BATCHED_PENDING_MM, 0)])],
        &[field::MM_TLB_FLUSH_BATCHED, field::TASK_MM, field::TASK_FLAGS],
    )
    .where_flushes_are(Flushing::Inline),
    function(
        HookKind::Exit,
        "try_to_unmap_one",
        "try_to_unmap_one",
        "try_to_unmap_one_exit",
        "windows of path reclaim",
        TRY_TO_UNMAP_ONE,
        RECLAIM_MEMBERS,
    )
    .needing("arch_tlbbatch_flush"),
    function(
        HookKind::Exit,
        "try_to_migrate_one",
        "try_to_migrate_one",
        "try_to_migrate_one_exit",
        "windows of path reclaim of pages that are moved, where the kernel batches these too",
        TRY_TO_UNMAP_ONE,
        RECLAIM_MEMBERS,
    )
    .needing("arch_tlbbatch_flush"),
    Hook {
        name: "tlb_flush",
        kind: HookKind::Tracepoint,
        target: "tlb_flush",
        program: "tlb_flush",
        raw_program: Some("tlb_flush_raw"),
        stands_in_for: Some("flush_tlb_mm_range"),
        needs: None,
        under_spinlock: false,
        way: None,
        flushing: Some(Flushing::Called),
        tells: "TLB flushes executed on the CPU that asked, where flush_tlb_mm_range is absent",
        forms: &[form("int, long unsigned int", &[(arg::TLB_FLUSH_REASON, 0), (arg::TLB_FLUSH_PAGES, 1)])],
        members: &[field::TASK_MM],
    },
];

const CHANGE_PROTECTION: &[Form] = &[
    // 6.3 and later.
    form(
        "struct mmu_gather *tlb, struct vm_area_struct *vma, long unsigned int start, \
         long unsigned int end, long unsigned int cp_flags",
        &[
            (arg::CHANGE_PROTECTION_TLB, 0),
            (arg::CHANGE_PROTECTION_VMA, 1),
            (arg::CHANGE_PROTECTION_START, 2),
            (arg::CHANGE_PROTECTION_END, 3),
            (arg::CHANGE_PROTECTION_FLAGS, 4),
            (arg::CHANGE_PROTECTION_RET, 5),
        ],
    ),
    // 5.17 to 6.2.
    form(
        "struct mmu_gather *tlb, struct vm_area_struct *vma, long unsigned int start, \
         long unsigned int end, pgprot_t newprot, long unsigned int cp_flags",
        &[
            (arg::CHANGE_PROTECTION_TLB, 0),
            (arg::CHANGE_PROTECTION_VMA, 1),
            (arg::CHANGE_PROTECTION_START, 2),
            (arg::CHANGE_PROTECTION_END, 3),
            (arg::CHANGE_PROTECTION_FLAGS, 5),
            (arg::CHANGE_PROTECTION_RET, 6),
        ],
    ),
    Form {
        arguments: INLINE_CHANGE_PROTECTION,
        positions: &[],
        refused: Some("before 5.17 it takes a struct by value, which no program can be attached to"),
    },
];

/// change_protection before 5.17: it knows no mmu_gather, and counts its pending flush itself.
const INLINE_CHANGE_PROTECTION: &str = "struct vm_area_struct *vma, long unsigned int start, long unsigned int end, \
     pgprot_t newprot, long unsigned int cp_flags";

pub(super) fn has_inline_changes(facts: &KernelFacts) -> bool {
    facts.functions.get("change_protection").is_some_and(|prototype| arguments(prototype) == INLINE_CHANGE_PROTECTION)
}

/// Whether this is the hook of gathers of a whole mm on a kernel where these are calls of tlb_gather_mmu, up to the last address.
pub(super) fn is_fullmm_told(hook: &Hook, facts: &KernelFacts) -> bool {
    let gather = facts.functions.get("tlb_gather_mmu");
    hook.target == "tlb_gather_mmu_fullmm" && gather.is_some_and(|prototype| arguments(prototype).ends_with(" end"))
}

/// The form in which this kernel has a function, and how many arguments that has.
pub(super) fn form_of(hook: &Hook, facts: &KernelFacts) -> Option<(&'static Form, usize)> {
    let arguments = arguments(facts.functions.get(hook.target)?);
    let form = hook.forms.iter().find(|form| form.arguments == arguments)?;
    Some((form, arguments.split(", ").count()))
}

/// The argument list of a prototype.
pub(super) fn arguments(prototype: &str) -> &str {
    prototype.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'))
}

/// The ways of telling mmap_lock's events, the cheaper first.
///
/// Up to 6.12 an enabled tracepoint looks up the path of the mm's cgroup at every event, before any program runs.
/// Instructions of the guest for one operation on Debian's kernels, all probes attached, the process in a container's
/// cgroup (`system.slice/docker-ID.scope`):
///
/// | operation | 6.1 bare | tracepoints | rwsem | 6.12 bare | tracepoints | rwsem |
/// |---|---|---|---|---|---|---|
/// | mprotect twice, one write | 5,515 | 17,755 | 10,347 | 6,720 | 19,664 | 12,733 |
/// | mincore of one page (read lock) | 6,989 | 11,496 | 7,786 | 7,804 | 12,632 | 8,687 |
/// | mprotect once (write lock) | 3,007 | 9,129 | 5,425 | 3,208 | 9,595 | 6,164 |
/// | write of one byte (a semaphore that is no mm's) | 2,550 | 2,550 | 3,050 | 2,450 | 2,450 | 2,950 |
///
/// From 6.4 to 6.14 a page fault takes its VMA's own lock, which is a semaphore too: there MADV_DONTNEED and 16 faults (158,500
/// instructions) cost 10,900 more by rwsem and 8,300 more by tracepoints; a run of gcc, with its faults and its mmaps, 1.3 % more
/// and 1.9 % more (6.12, in that cgroup).
///
/// From 6.13 on the tracepoints take no path and cost no other semaphore anything.
pub(super) fn lock_ways(facts: &KernelFacts) -> [LockWay; 2] {
    let resolves_path =
        facts.tracepoints.get("mmap_lock_acquire_returned").is_some_and(|prototype| prototype.contains("char *"));
    if resolves_path { [LockWay::Rwsem, LockWay::Tracepoints] } else { [LockWay::Tracepoints, LockWay::Rwsem] }
}

const fn rwsem(kind: HookKind, name: &'static str, program: &'static str, forms: &'static [Form]) -> Hook {
    function(kind, name, name, program, "acquisitions and holds of mmap_lock", forms, RWSEM_MEMBERS)
        .in_way(LockWay::Rwsem)
}

const RWSEM_MEMBERS: &[u16] = &[field::MM_MMAP_LOCK, field::TASK_MM, field::TASK_FLAGS];

const RWSEM: &[Form] = &[form("struct rw_semaphore *sem", &[(arg::RWSEM, 0)])];
const RWSEM_RETURNING: &[Form] = &[form("struct rw_semaphore *sem", &[(arg::RWSEM, 0), (arg::RWSEM_RET, 1)])];

const fn slowpath(
    kind: HookKind,
    name: &'static str,
    target: &'static str,
    program: &'static str,
    forms: &'static [Form],
) -> Hook {
    function(kind, name, target, program, "waits for mmap_lock, where contention_begin is absent", forms, RWSEM_MEMBERS)
        .standing_in_for("contention_begin")
}

const WRITE_SLOWPATH: &[Form] = &[form("struct rw_semaphore *sem, int state", &[(arg::RWSEM, 0)])];
const READ_SLOWPATH: &[Form] = &[
    form("struct rw_semaphore *sem, int state", &[(arg::RWSEM, 0)]),
    // 5.11 and later.
    form("struct rw_semaphore *sem, long int count, unsigned int state", &[(arg::RWSEM, 0)]),
    form("struct rw_semaphore *sem, long int count, int state", &[(arg::RWSEM, 0)]),
];

const MPROTECT_FIXUP: &[Form] = &[
    form(
        "struct vm_area_struct *vma, struct vm_area_struct **pprev, long unsigned int start, long unsigned int end, \
         long unsigned int newflags",
        &[
            (arg::MPROTECT_FIXUP_VMA, 0),
            (arg::MPROTECT_FIXUP_START, 2),
            (arg::MPROTECT_FIXUP_END, 3),
            (arg::MPROTECT_FIXUP_FLAGS, 4),
            (arg::MPROTECT_FIXUP_RET, 5),
        ],
    ),
    needless(
        "struct mmu_gather *tlb, struct vm_area_struct *vma, struct vm_area_struct **pprev, long unsigned int start, \
         long unsigned int end, long unsigned int newflags",
    ),
    needless(
        "struct vma_iterator *vmi, struct mmu_gather *tlb, struct vm_area_struct *vma, struct vm_area_struct **pprev, \
         long unsigned int start, long unsigned int end, long unsigned int newflags",
    ),
    needless(
        "struct vma_iterator *vmi, struct mmu_gather *tlb, struct vm_area_struct *vma, struct vm_area_struct **pprev, \
         long unsigned int start, long unsigned int end, vm_flags_t newflags",
    ),
];

/// mprotect_fixup of 5.17 and later: what happens in it is told by the gather that it is given.
const fn needless(arguments: &'static str) -> Form {
    Form { arguments, positions: &[], refused: Some("from 5.17 on its windows are those of tlb_gather_mmu") }
}

const CHANGE_PROT_NUMA: &[Form] = &[form(
    "struct vm_area_struct *vma, long unsigned int addr, long unsigned int end",
    &[(arg::CHANGE_PROT_NUMA_VMA, 0), (arg::CHANGE_PROT_NUMA_START, 1), (arg::CHANGE_PROT_NUMA_END, 2)],
)];

const MWRITEPROTECT_RANGE: &[Form] = &[
    // 6.9 and later.
    form(
        "struct userfaultfd_ctx *ctx, long unsigned int start, long unsigned int len, bool enable_wp",
        &[
            (arg::MWRITEPROTECT_START, 1),
            (arg::MWRITEPROTECT_LEN, 2),
            (arg::MWRITEPROTECT_ENABLE, 3),
            (arg::MWRITEPROTECT_RET, 4),
        ],
    ),
    // 5.18 to 6.8.
    form(
        "struct mm_struct *dst_mm, long unsigned int start, long unsigned int len, bool enable_wp, \
         atomic_t *mmap_changing",
        &[
            (arg::MWRITEPROTECT_START, 1),
            (arg::MWRITEPROTECT_LEN, 2),
            (arg::MWRITEPROTECT_ENABLE, 3),
            (arg::MWRITEPROTECT_RET, 5),
        ],
    ),
    // 5.7 to 5.17.
    form(
        "struct mm_struct *dst_mm, long unsigned int start, long unsigned int len, bool enable_wp, \
         bool *mmap_changing",
        &[
            (arg::MWRITEPROTECT_START, 1),
            (arg::MWRITEPROTECT_LEN, 2),
            (arg::MWRITEPROTECT_ENABLE, 3),
            (arg::MWRITEPROTECT_RET, 5),
        ],
    ),
];

const CLEAR_REFS_WRITE: &[Form] = &[form("struct file *file, char *buf, size_t count, loff_t *ppos", &[])];

const HANDLE_USERFAULT: &[Form] =
    &[form("struct vm_fault *vmf, long unsigned int reason", &[(arg::USERFAULT_VMF, 0), (arg::USERFAULT_REASON, 1)])];

const DO_WP_PAGE: &[Form] = &[form("struct vm_fault *vmf", &[(arg::WP_PAGE_VMF, 0), (arg::WP_PAGE_RET, 1)])];

const FLUSH_TLB_MULTI: &[Form] = &[form(
    "struct cpumask *cpumask, struct flush_tlb_info *info",
    &[(arg::FLUSH_MULTI_MASK, 0), (arg::FLUSH_MULTI_INFO, 1)],
)];

const TRY_TO_UNMAP_ONE: &[Form] = &[
    // 6.1 has it.
    form(
        "struct folio *folio, struct vm_area_struct *vma, long unsigned int address, void *arg",
        &[(arg::UNMAP_VMA, 1)],
    ),
    // 5.10.
    form("struct page *page, struct vm_area_struct *vma, long unsigned int address, void *arg", &[(arg::UNMAP_VMA, 1)]),
];

const RECLAIM_MEMBERS: &[u16] = &[field::VMA_MM, field::TASK_FLUSH_REQUIRED, field::TASK_MM, field::TASK_FLAGS];

const USERFAULTFD_IOCTL: &[Form] = &[form(
    "struct file *file, unsigned int cmd, long unsigned int arg",
    &[(arg::UFFD_IOCTL_FILE, 0), (arg::UFFD_IOCTL_CMD, 1), (arg::UFFD_IOCTL_RET, 3)],
)];
