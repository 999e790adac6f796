//! Values set by the daemon before the object is loaded. The names are those of `probe_common::params`.
//!
//! They are in read-only memory whose content the verifier knows: branches on them are resolved when the program is
//! loaded, and what this kernel lacks is dead code that is never checked.

use probe_common::params::SYSCALLS;

macro_rules! params {
    ($($name:ident: $type:ty = $default:expr, $get:ident;)*) => {$(
        #[unsafe(no_mangle)]
        static $name: $type = $default;

        /// The value that the daemon set.
        #[inline(always)]
        pub(crate) fn $get() -> $type {
            crate::maps::volatile(&$name)
        }
    )*};
}

params! {
    RECORD_WINDOW_NS: u64 = u64::MAX, record_window_ns;
    RECORD_HOLD_NS: u64 = u64::MAX, record_hold_ns;
    RECORD_WAIT_NS: u64 = u64::MAX, record_wait_ns;
    RECORD_FAULT_NS: u64 = u64::MAX, record_fault_ns;
    HAS_TASK_BTF: u32 = 0, has_task_btf;
    HAS_MM_OWNER: u32 = 0, has_mm_owner;
    HAS_CTX_ID: u32 = 0, has_ctx_id;
    HAS_CGROUP: u32 = 0, has_cgroup;
    HAS_STACK_REGS: u32 = 0, has_stack_regs;
    INLINE_CHANGES: u32 = 0, inline_changes;
    HAS_PENDING: u32 = 0, has_pending;
    HAS_TASK_TIMES: u32 = 0, has_task_times;
    HAS_BATCHED_COUNT: u32 = 0, has_batched_count;
    OWN_TGID: u32 = 0, own_tgid;
    PROCESSORS: u32 = 0, processors;
}

#[unsafe(no_mangle)]
static SYSCALL_OPERATIONS: [u8; SYSCALLS] = [0; SYSCALLS];

/// Operation of a system call by its number; none for a number beyond the table.
#[inline(always)]
pub(crate) fn syscall_operation(number: u64) -> Option<u8> {
    SYSCALL_OPERATIONS.get(number as usize).map(|operation| crate::maps::volatile(operation))
}
