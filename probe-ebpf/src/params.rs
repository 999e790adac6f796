//! Values set by the daemon before the object is loaded. The names are those of `probe_common::params`.
//!
//! They are in read-only memory whose content the verifier knows: branches on them are resolved when the program is
//! loaded, and what this kernel lacks is dead code that is never checked.

use probe_common::params::{CHOSEN, SYSCALLS};

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
    HAS_V1_CGROUP: u32 = 0, has_v1_cgroup;
    HAS_STACK_REGS: u32 = 0, has_stack_regs;
    INLINE_CHANGES: u32 = 0, inline_changes;
    HAS_PENDING: u32 = 0, has_pending;
    HAS_TASK_TIMES: u32 = 0, has_task_times;
    HAS_BATCHED_COUNT: u32 = 0, has_batched_count;
    HAS_SYSCALLNO: u32 = 0, has_syscallno;
    INLINE_FLUSHES: u32 = 0, inline_flushes;
    HAS_RT_LOCKS: u32 = 0, has_rt_locks;
    TIMELINE: u32 = 0, timeline;
    OWN_TGID: u32 = 0, own_tgid;
    PROCESSORS: u32 = 0, processors;
}

#[unsafe(no_mangle)]
static SYSCALL_OPERATIONS: [u8; SYSCALLS] = [0; SYSCALLS];

#[unsafe(no_mangle)]
static TIMELINE_TGIDS: [u32; CHOSEN] = [0; CHOSEN];
#[unsafe(no_mangle)]
static TIMELINE_COMMS: [[u64; 2]; CHOSEN] = [[0; 2]; CHOSEN];

/// Bytes of eight before the first zero; the others are zero. Kernels before 5.17 leave what a longer name was behind a shorter one.
#[inline(always)]
fn before_zero(bytes: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The lowest bit that is set is the highest of the first byte that is zero (Bit Twiddling Hacks: "Determine if a word has a
    // zero byte"); bytes above it may be told wrongly.
    let zeros = bytes.wrapping_sub(ONES) & !bytes & (ONES << 7);
    if zeros == 0 { bytes } else { bytes & ((zeros & zeros.wrapping_neg()) >> 7).wrapping_sub(1) }
}

/// Whether a process is one of those whose every event is sent.
#[inline(always)]
pub(crate) fn is_named(tgid: u32, comm_halves: [u64; 2]) -> bool {
    let low = before_zero(comm_halves[0]);
    // A name that ends in its first half has no second.
    let high = if low >> 56 == 0 { 0 } else { before_zero(comm_halves[1]) };
    let comm_halves = [low, high];
    let mut n = 0;
    while n < CHOSEN {
        let comm = [crate::maps::volatile(&TIMELINE_COMMS[n][0]), crate::maps::volatile(&TIMELINE_COMMS[n][1])];
        // Who has no name yet is nobody's choice.
        let by_id = tgid != 0 && crate::maps::volatile(&TIMELINE_TGIDS[n]) == tgid;
        if by_id || (comm[0] != 0 && comm == comm_halves) {
            return true;
        }
        n += 1;
    }
    false
}

/// Operation of a system call by its number; none for a number beyond the table.
#[inline(always)]
pub(crate) fn syscall_operation(number: u64) -> Option<u8> {
    SYSCALL_OPERATIONS.get(number as usize).map(|operation| crate::maps::volatile(operation))
}
