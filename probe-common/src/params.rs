//! Values that the daemon sets in the kernel object before it is loaded: names of globals and their meaning.

/// System call numbers that have an entry in `SYSCALL_OPERATIONS`.
pub const SYSCALLS: usize = 512;

/// `[u8; SYSCALLS]`: the operation of each system call number.
pub const SYSCALL_OPERATIONS: &str = "SYSCALL_OPERATIONS";
/// `u64`: durations of windows from this many nanoseconds on are sent as records.
pub const RECORD_WINDOW_NS: &str = "RECORD_WINDOW_NS";
/// `u64`: the same for holds.
pub const RECORD_HOLD_NS: &str = "RECORD_HOLD_NS";
/// `u64`: the same for waits.
pub const RECORD_WAIT_NS: &str = "RECORD_WAIT_NS";
/// `u64`: the same for userfaults.
pub const RECORD_FAULT_NS: &str = "RECORD_FAULT_NS";
/// `u32`: 1 if bpf_get_current_task_btf and bpf_task_pt_regs exist (5.15).
pub const HAS_TASK_BTF: &str = "HAS_TASK_BTF";
/// `u32`: 1 if mm_struct has an owner (CONFIG_MEMCG).
pub const HAS_MM_OWNER: &str = "HAS_MM_OWNER";
/// `u32`: 1 if mm_struct has context.ctx_id (x86).
pub const HAS_CTX_ID: &str = "HAS_CTX_ID";
/// `u32`: 1 if a task's cgroup id can be walked to.
pub const HAS_CGROUP: &str = "HAS_CGROUP";
/// `u32`: 1 if that is to be the cgroup of a v1 controller instead of that of v2.
pub const HAS_V1_CGROUP: &str = "HAS_V1_CGROUP";
/// `u32`: 1 if a task's saved registers can be found from its stack, where the helper is missing.
pub const HAS_STACK_REGS: &str = "HAS_STACK_REGS";
/// `u32`: 1 if change_protection counts its pending flush itself and knows no mmu_gather (before 5.17).
pub const INLINE_CHANGES: &str = "INLINE_CHANGES";
/// `u32`: 1 if the kernel's own count of pending flushes can be read.
pub const HAS_PENDING: &str = "HAS_PENDING";
/// `u32`: 1 if the task's counts of switches and its time on CPU can be read for the price of a load each.
pub const HAS_TASK_TIMES: &str = "HAS_TASK_TIMES";
/// `u32`: 1 if the kernel counts the pages that reclaim has left to be flushed (6.1 does); else it only marks the mm (5.10).
pub const HAS_BATCHED_COUNT: &str = "HAS_BATCHED_COUNT";
/// `u32`: 1 if the number of a task's system call is `pt_regs.syscallno`, four bytes (arm64); else it is `pt_regs.orig_ax`.
pub const HAS_SYSCALLNO: &str = "HAS_SYSCALLNO";
/// `u32`: 1 if flushes are instructions in the midst of other functions (arm64).
pub const INLINE_FLUSHES: &str = "INLINE_FLUSHES";
/// `u32`: 1 if mmap_lock is made of a mutex of PREEMPT_RT and a count of readers.
pub const HAS_RT_LOCKS: &str = "HAS_RT_LOCKS";
/// `u32`: process id of the daemon, whose own waits are in no total.
pub const OWN_TGID: &str = "OWN_TGID";
/// `u32`: [`TIMELINE_ALL`] or [`TIMELINE_CHOSEN`] if every event is sent, whatever its length.
pub const TIMELINE: &str = "TIMELINE";
/// Value of [`TIMELINE`]: of all processes.
pub const TIMELINE_ALL: u32 = 1;
/// Value of [`TIMELINE`]: of those that [`TIMELINE_TGIDS`] or [`TIMELINE_COMMS`] name.
pub const TIMELINE_CHOSEN: u32 = 2;
/// Processes that can be chosen by their id, and as many by their name.
pub const CHOSEN: usize = 8;
/// `[u32; CHOSEN]`: process ids; zero where there is none.
pub const TIMELINE_TGIDS: &str = "TIMELINE_TGIDS";
/// `[[u64; 2]; CHOSEN]`: names, sixteen bytes in memory order each; zero where there is none.
pub const TIMELINE_COMMS: &str = "TIMELINE_COMMS";
/// `u32`: processors that this kernel could have.
pub const PROCESSORS: &str = "PROCESSORS";
