//! Numbering of the duration series that one mm can have, and the label values behind the numbers.

/// Paths of a pending-flush window, in the order of their numbers: the `path` label.
pub const PATHS: [&str; 9] =
    ["mprotect", "uffd_wp", "uffd_unwp", "numa", "soft_dirty", "zap", "exit", "reclaim", "other"];
/// mprotect(2), pkey_mprotect(2).
pub const PATH_MPROTECT: u32 = 0;
/// UFFDIO_WRITEPROTECT that protects.
pub const PATH_UFFD_WP: u32 = 1;
/// UFFDIO_WRITEPROTECT that un-protects.
pub const PATH_UFFD_UNWP: u32 = 2;
/// NUMA balancing's hinting protection.
pub const PATH_NUMA: u32 = 3;
/// A write of "4" to /proc/PID/clear_refs.
pub const PATH_SOFT_DIRTY: u32 = 4;
/// munmap, MADV_DONTNEED and the like.
pub const PATH_ZAP: u32 = 5;
/// Tear-down of a whole mm.
pub const PATH_EXIT: u32 = 6;
/// Reclaim's batched flushes.
pub const PATH_RECLAIM: u32 = 7;
/// None of these.
pub const PATH_OTHER: u32 = 8;

/// What a task was doing, in the order of the numbers: the `operation` label.
pub const OPERATIONS: [&str; 14] = [
    "mprotect",
    "munmap",
    "mmap",
    "madvise",
    "mremap",
    "brk",
    "clone",
    "exec",
    "exit",
    "uffd_ioctl",
    "fault",
    "proc_reader",
    "kthread",
    "other",
];
/// Number of operations.
pub const OPERATION_COUNT: usize = OPERATIONS.len();
/// mprotect, pkey_mprotect.
pub const OP_MPROTECT: u32 = 0;
/// munmap.
pub const OP_MUNMAP: u32 = 1;
/// mmap.
pub const OP_MMAP: u32 = 2;
/// madvise, process_madvise.
pub const OP_MADVISE: u32 = 3;
/// mremap.
pub const OP_MREMAP: u32 = 4;
/// brk.
pub const OP_BRK: u32 = 5;
/// clone, clone3, fork, vfork.
pub const OP_CLONE: u32 = 6;
/// execve, execveat.
pub const OP_EXEC: u32 = 7;
/// A task on its way out.
pub const OP_EXIT: u32 = 8;
/// Inside userfaultfd_ioctl.
pub const OP_UFFD_IOCTL: u32 = 9;
/// A page fault, from user mode or in the kernel on behalf of a system call.
pub const OP_FAULT: u32 = 10;
/// A reader of another process's /proc files.
pub const OP_PROC_READER: u32 = 11;
/// A kernel thread.
pub const OP_KTHREAD: u32 = 12;
/// Any other system call.
pub const OP_OTHER: u32 = 13;
/// In [`crate::params::SYSCALL_OPERATIONS`] only: a system call that does not manage memory itself. A read lock on
/// its own mm is then a fault (or a page pin), one on another's mm a reader of /proc.
pub const OP_NOT_MM: u8 = 14;
/// In [`crate::params::SYSCALL_OPERATIONS`] only: ioctl, a userfaultfd one or not.
pub const OP_IOCTL: u8 = 15;

/// Why a thread faulted into userfaultfd: the `reason` label.
pub const FAULT_REASONS: [&str; 3] = ["missing", "wp", "minor"];

/// Requests of userfaultfd(2), in the order of the numbers: the `ioctl` label.
pub const IOCTLS: [&str; 12] = [
    "api",
    "register",
    "unregister",
    "wake",
    "copy",
    "zeropage",
    "move",
    "writeprotect",
    "continue",
    "poison",
    "rwprotect",
    "other",
];
/// `_IOC_NR` of each request but the last, in the order of [`IOCTLS`] (include/uapi/linux/userfaultfd.h).
pub const IOCTL_NRS: [u8; 11] = [0x3f, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
/// A request that none of [`IOCTL_NRS`] numbers.
pub const IOCTL_OTHER: u32 = 11;

/// Why a range was flushed as the whole mm, in the order of the numbers: `cause` and `warranted` labels.
pub const ESCALATIONS: [(&str, &str); 4] =
    [("nested", "false"), ("nested", "true"), ("nested", "unknown"), ("reclaim", "unknown")];
/// tlb_finish_mmu found another flush pending, and no other window's range met its own; plus one if one did; plus two if its
/// own range had not been announced.
pub const ESCALATED_NESTED: u32 = 0;
/// flush_tlb_batched_pending: reclaim has flushes of this mm outstanding, nobody knows of which addresses.
pub const ESCALATED_RECLAIM: u32 = 3;

/// How a write fault inside another task's open window ended, in the order of the numbers: the `outcome` label.
pub const OUTCOMES: [&str; 3] = ["mitigated", "exposed", "reused"];
/// do_wp_page flushed the page first.
pub const MITIGATED: u32 = 0;
/// It copied the page without that flush: what others still wrote through stale translations is lost.
pub const EXPOSED: u32 = 1;
/// It made the page writable again without a copy: nothing is lost.
pub const REUSED: u32 = 2;

/// In the table of blocked time only: a holder that was not seen.
pub const HOLDER_UNKNOWN: u32 = OPERATION_COUNT as u32;
/// Holders in the table of blocked time.
pub const HOLDERS: usize = OPERATION_COUNT + 1;
/// Entries of the table of blocked time: waiter's operation times [`HOLDERS`], plus holder's operation.
pub const BLOCKED: u32 = (OPERATION_COUNT * HOLDERS) as u32;

/// First outer window series; one for each path.
pub const OUTER: u32 = 0;
/// First inner window series; one for each path.
pub const INNER: u32 = OUTER + PATHS.len() as u32;
/// First wait series: read, then write.
pub const WAIT: u32 = INNER + PATHS.len() as u32;
/// First hold series: read, then write.
pub const HOLD: u32 = WAIT + 2;
/// First userfault series; one for each reason.
pub const FAULT: u32 = HOLD + 2;
/// First ioctl series; one for each request.
pub const IOCTL: u32 = FAULT + FAULT_REASONS.len() as u32;
/// VMAs whose protection one mprotect changed; no duration: each VMA counts as 2 to the power of [`VMA_UNIT_LOG2`].
pub const VMAS: u32 = IOCTL + IOCTLS.len() as u32;
/// Flushes that waited for other CPUs.
pub const SHOOTDOWN: u32 = VMAS + 1;
/// Number of series.
pub const COUNT: usize = SHOOTDOWN as usize + 1;

/// Binary logarithm of what one VMA counts in its histogram, so that bucket bounds are powers of two from one on.
pub const VMA_UNIT_LOG2: u32 = crate::histogram::FIRST_BOUND_LOG2;

const _: () = assert!(COUNT == 39);

/// Kinds of a TLB flush, in the order of the numbers: the `kind` label.
pub const FLUSH_KINDS: [&str; 3] = ["range", "page", "full"];
/// A flush of a range, or by an mmu_gather of any length.
pub const FLUSH_RANGE: usize = 0;
/// A flush of one page outside any mmu_gather: flush_tlb_page.
pub const FLUSH_PAGE: usize = 1;
/// A flush of the whole mm.
pub const FLUSH_FULL: usize = 2;
