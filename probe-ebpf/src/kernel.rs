//! The one reader of kernel memory and of program contexts.
//!
//! Offsets and argument positions are unknown here: every load carries the id of a relocation (see
//! `probe_common::relocation`) that the daemon replaces by this kernel's number. Two readers exist: [`Typed`] for
//! programs whose arguments the verifier knows as pointers to kernel structs, where a load is one instruction, and
//! [`Raw`] for those where pointers are mere numbers, read through a helper. [`Probed`] says which of them goes with a
//! program of a function.

use core::{arch::asm, ffi::c_void};

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{
        bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_task, bpf_get_current_task_btf,
        bpf_get_prandom_u32, bpf_get_smp_processor_id, bpf_get_stack, bpf_ktime_get_ns, bpf_probe_read_kernel,
        bpf_probe_read_kernel_str, bpf_task_pt_regs,
    },
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use probe_common::relocation::{DISPLACEMENT, IMMEDIATE, field};

use crate::params;

/// How fields of kernel structs are read.
pub(crate) trait Reader {
    /// Whether an mm is identified by its context id each time it is met. Where that costs a helper and the end of
    /// every mm is seen, its address is enough while its slot lives.
    const IDENTIFIES: bool;
    /// Eight bytes: a pointer or a long.
    fn u64<const FIELD: u16>(pointer: u64) -> u64;
    /// Four bytes.
    fn u32<const FIELD: u16>(pointer: u64) -> u32;
}

/// Arguments are typed pointers: tp_btf, fentry, fexit.
pub(crate) struct Typed;
/// Arguments are numbers: raw_tracepoint, kprobe.
pub(crate) struct Raw;
/// As [`Raw`], in programs that are attached only where the end of an mm is seen too.
pub(crate) struct Remembering;

impl Reader for Typed {
    const IDENTIFIES: bool = true;

    #[inline(always)]
    fn u64<const FIELD: u16>(pointer: u64) -> u64 {
        let value;
        // SAFETY: the verifier accepts the load only where `pointer` is a typed pointer and the offset that of a
        // member; a fault in it reads as zero.
        unsafe {
            asm!("{value} = *(u64 *)({pointer} + {offset})",
                value = out(reg) value, pointer = in(reg) pointer,
                offset = const DISPLACEMENT + FIELD as i16, options(nostack, readonly));
        }
        value
    }

    #[inline(always)]
    fn u32<const FIELD: u16>(pointer: u64) -> u32 {
        let value: u64;
        // SAFETY: as above.
        unsafe {
            asm!("{value} = *(u32 *)({pointer} + {offset})",
                value = out(reg) value, pointer = in(reg) pointer,
                offset = const DISPLACEMENT + FIELD as i16, options(nostack, readonly));
        }
        value as u32
    }
}

impl Reader for Raw {
    const IDENTIFIES: bool = true;

    #[inline(always)]
    fn u64<const FIELD: u16>(pointer: u64) -> u64 {
        let mut value = 0_u64;
        let address = pointer.wrapping_add(offset::<FIELD>());
        // SAFETY: the helper writes the eight bytes of `value`, zero if the address cannot be read.
        unsafe { bpf_probe_read_kernel((&raw mut value).cast(), 8, address as *const c_void) };
        value
    }

    #[inline(always)]
    fn u32<const FIELD: u16>(pointer: u64) -> u32 {
        let mut value = 0_u32;
        let address = pointer.wrapping_add(offset::<FIELD>());
        // SAFETY: the helper writes the four bytes of `value`, zero if the address cannot be read.
        unsafe { bpf_probe_read_kernel((&raw mut value).cast(), 4, address as *const c_void) };
        value
    }
}

impl Reader for Remembering {
    const IDENTIFIES: bool = false;

    #[inline(always)]
    fn u64<const FIELD: u16>(pointer: u64) -> u64 {
        Raw::u64::<FIELD>(pointer)
    }

    #[inline(always)]
    fn u32<const FIELD: u16>(pointer: u64) -> u32 {
        Raw::u32::<FIELD>(pointer)
    }
}

/// The context of a program of a function: what its arguments point to is read by one reader. Where in it an argument or the
/// return value lies is relocated, by another number in the sections of kprobes.
pub(crate) trait Probed: EbpfContext {
    /// Of what its arguments point to.
    type Fields: Reader;
}

impl Probed for FEntryContext {
    type Fields = Typed;
}

impl Probed for FExitContext {
    type Fields = Typed;
}

/// The registers at the entry of a function.
impl Probed for ProbeContext {
    type Fields = Raw;
}

/// The registers at its return: of its arguments nothing is left in them, see [`crate::calls`].
impl Probed for RetProbeContext {
    type Fields = Raw;
}

/// Eight bytes at an address; zero if it cannot be read.
#[inline(always)]
pub(crate) fn read_u64(address: u64) -> u64 {
    let mut value = 0_u64;
    // SAFETY: the helper writes the eight bytes of `value`, zero if the address cannot be read.
    unsafe { bpf_probe_read_kernel((&raw mut value).cast(), 8, address as *const c_void) };
    value
}

/// Kernel stack of the running task, innermost first; how many bytes of it there are.
#[inline(always)]
pub(crate) fn stack<const N: usize>(ctx: *mut c_void, to: *mut [u64; N]) -> u32 {
    // SAFETY: `ctx` is the program's own context, and the helper writes at most what `to` has room for.
    let bytes = unsafe { bpf_get_stack(ctx, to.cast(), (N * 8) as u32, 0) };
    if bytes < 0 { 0 } else { bytes as u32 }
}

/// A member's offset as a number.
#[inline(always)]
pub(crate) fn offset<const FIELD: u16>() -> u64 {
    let value;
    // SAFETY: moves a constant into a register.
    unsafe {
        asm!("{value} = {number}", value = out(reg) value,
            number = const IMMEDIATE + FIELD as i32, options(nostack, pure, nomem));
    }
    value
}

/// Eight bytes of a program's context: an argument, or a fexit program's return value.
#[inline(always)]
pub(crate) fn argument<const ARG: u16>(ctx: &impl EbpfContext) -> u64 {
    let value;
    // SAFETY: the verifier accepts the load only inside the context.
    unsafe {
        asm!("{value} = *(u64 *)({ctx} + {offset})",
            value = out(reg) value, ctx = in(reg) ctx.as_ptr(),
            offset = const DISPLACEMENT + ARG as i16, options(nostack, readonly));
    }
    value
}

/// CLOCK_MONOTONIC, nanoseconds.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_ktime_get_ns() }
}

/// Any number.
#[inline(always)]
pub(crate) fn random() -> u32 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_get_prandom_u32() }
}

/// tgid in the upper half, pid in the lower: of the thread that runs.
#[inline(always)]
pub(crate) fn current_id() -> u64 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_get_current_pid_tgid() }
}

/// A value of the current task, by whichever of the two readers this kernel allows.
macro_rules! current {
    ($read:ident, $field:expr) => {
        if params::has_task_btf() != 0 {
            // SAFETY: the helper takes nothing; it exists where the parameter says so.
            Typed::$read::<{ $field }>(unsafe { bpf_get_current_task_btf() } as u64)
        } else {
            // SAFETY: the helper takes nothing.
            Raw::$read::<{ $field }>(unsafe { bpf_get_current_task() })
        }
    };
}

/// `current->mm`; zero in a kernel thread that borrowed none.
#[inline(always)]
pub(crate) fn current_mm() -> u64 {
    current!(u64, field::TASK_MM)
}

/// `current->flags`.
#[inline(always)]
pub(crate) fn current_flags() -> u32 {
    current!(u32, field::TASK_FLAGS)
}

/// How often the current task gave its CPU up of its own accord, and how often it was preempted; wraps. Zeros where that would
/// cost more than a load.
#[inline(always)]
pub(crate) fn current_switches() -> (u32, u32) {
    if params::has_task_times() == 0 {
        return (0, 0);
    }
    // SAFETY: the helper takes nothing; it exists where the parameter says so.
    let task = unsafe { bpf_get_current_task_btf() } as u64;
    (Typed::u32::<{ field::TASK_NVCSW }>(task), Typed::u32::<{ field::TASK_NIVCSW }>(task))
}

/// For how long the current task has run, nanoseconds, as of the last tick or switch; zero where that would cost more than a
/// load.
#[inline(always)]
pub(crate) fn current_runtime_ns() -> u64 {
    if params::has_task_times() == 0 {
        return 0;
    }
    // SAFETY: as above.
    Typed::u64::<{ field::TASK_EXEC_RUNTIME }>(unsafe { bpf_get_current_task_btf() } as u64)
}

/// When the current task was made, CLOCK_MONOTONIC nanoseconds.
#[inline(always)]
pub(crate) fn current_start_ns() -> u64 {
    current!(u64, field::TASK_START_TIME)
}

/// Address of the current task, as a number.
#[inline(always)]
pub(crate) fn current_task() -> u64 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_get_current_task() }
}

/// Number of the system call that the current task is in; all ones in a fault from user mode. None where the
/// kernel does not tell.
#[inline(always)]
pub(crate) fn current_syscall() -> Option<u64> {
    if params::has_task_btf() == 0 {
        if params::has_stack_regs() == 0 {
            return None;
        }
        let stack = Raw::u64::<{ field::TASK_STACK }>(current_task());
        return Some(Raw::u64::<{ field::STACK_ORIG_AX }>(stack));
    }
    // SAFETY: both helpers exist where the parameter says so; the second takes the first's typed pointer.
    let regs = unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as u64;
    if params::has_syscallno() != 0 {
        // An int, minus one outside of system calls.
        return Some(Typed::u32::<{ field::PT_REGS_SYSCALLNO }>(regs) as i32 as u64);
    }
    Some(Typed::u64::<{ field::PT_REGS_ORIG_AX }>(regs))
}

/// Number of the CPU that the program runs on.
#[inline(always)]
pub(crate) fn current_cpu() -> u32 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_get_smp_processor_id() }
}

/// Copies a name of at most fifteen characters and its end.
#[inline(always)]
pub(crate) fn copy_name(to: *mut [u8; 16], from: u64) {
    // SAFETY: the helper writes at most sixteen bytes, which the entry behind `to` has.
    unsafe { bpf_probe_read_kernel_str(to.cast(), 16, from as *const c_void) };
}

/// Copies the current thread's name.
#[inline(always)]
pub(crate) fn current_comm(to: *mut [u8; 16]) {
    // SAFETY: the helper writes at most sixteen bytes, which the entry behind `to` has.
    unsafe { bpf_get_current_comm(to.cast(), 16) };
}

/// The same number, of which the compiler knows nothing more: bounds checked on it are bounds that the verifier sees.
#[inline(always)]
pub(crate) fn opaque(value: u64) -> u64 {
    let mut value = value;
    // An instruction there must be: the verifier refuses line information for none.
    // SAFETY: moves a register onto itself.
    unsafe { asm!("{value} = {value}", value = inout(reg) value, options(nostack, pure, nomem)) };
    value
}

/// The later of two times. Without a branch, which would make the verifier walk everything that follows once more; times are
/// far below 2^63.
#[inline(always)]
pub(crate) fn later(a: u64, b: u64) -> u64 {
    b.wrapping_add(beyond(a, b))
}

/// By how much a time is later than another one; zero if it is not. As [`later`].
#[inline(always)]
pub(crate) fn beyond(a: u64, b: u64) -> u64 {
    let difference = opaque(a.wrapping_sub(b)) as i64;
    (difference & !(difference >> 63)) as u64
}
