//! Which rw_semaphores are an mm's mmap_lock, where no tracepoint says so. Knows what an mm_struct looks like from
//! its lock, and nothing of what the lock's events mean.

use core::ffi::c_void;

use probe_common::{relocation::field, task::TaskState};

use crate::{
    control,
    kernel::{Raw, Reader, Remembering, current_mm, current_task},
    lock,
    maps::{get, set},
    params, slots, tasks,
    turn::Turn,
};

/// The top byte of every address of the kernel. What lies around another semaphore may be any number: on a processor with addresses of
/// 57 bits that uses 48, kernels up to 5.10 at least take some that are none for addresses, and warn when they have read there
/// (copy_from_kernel_nofault_allowed in arch/x86/mm/maccess.c goes by the processor).
const KERNEL_HALF: u64 = 0xff;

/// The address of a typed pointer as a number: the verifier forbids calculating with the pointer itself. A map's entry
/// keeps the bits and forgets the type.
#[inline(always)]
fn number(task: *mut TaskState, pointer: u64) -> u64 {
    set!(task, scratch = pointer);
    get!(task, scratch)
}

/// Whether this is an mm: one met before, the task's own, or one whose owner says so. A wrong guess would need a
/// semaphore in whose surroundings a pointer leads to a task that points back.
#[inline(always)]
fn is_mm(task: *mut TaskState, mm: u64) -> bool {
    if get!(task, mm) == mm {
        return true;
    }
    if !lock::is_at_mm(mm) {
        return false;
    }
    if slots::known(mm).is_some() || current_mm() == mm {
        return true;
    }
    if params::has_mm_owner() == 0 {
        return false;
    }
    let owner = Raw::u64::<{ field::MM_OWNER }>(mm);
    // An exec works on an mm that nobody's task points to yet.
    owner >> 56 == KERNEL_HALF && (owner == current_task() || Raw::u64::<{ field::TASK_MM }>(owner) == mm)
}

/// A semaphore was acquired, or was not.
#[inline(always)]
pub(crate) fn acquired(ctx: *mut c_void, sem: u64, write: bool, success: bool, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    let mm = lock::mm_around(number(task, sem));
    if is_mm(task, mm) {
        lock::acquired_by::<Remembering>(ctx, task, mm, write, success, turn);
    }
}

/// A semaphore is about to be released.
#[inline(always)]
pub(crate) fn released(ctx: *mut c_void, sem: u64, write: bool, turn: Turn) {
    let found = tasks::find();
    let known = found.is_some();
    let Some(task) = found.or_else(tasks::current) else { return };
    let mm = lock::mm_around(number(task, sem));
    if !lock::released_by(ctx, task, mm, write) && turn == Turn::First && !control::is_sampling() && is_mm(task, mm) {
        lock::count_orphan(mm, known);
    }
}

/// A semaphore held for write is about to be held for read.
#[inline(always)]
pub(crate) fn downgraded(ctx: *mut c_void, sem: u64) {
    let Some(task) = tasks::find() else { return };
    lock::downgraded_by(ctx, task, lock::mm_around(number(task, sem)));
}

/// An acquisition left the fast path: it spins, or blocks.
#[inline(always)]
pub(crate) fn wait_begin(sem: u64, write: bool, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    let sem = number(task, sem);
    let mm = lock::mm_around(sem);
    if is_mm(task, mm)
        && let Some((slot_index, _)) = slots::of::<Remembering>(task, mm)
    {
        lock::wait_begin(task, sem, slot_index, write, turn);
    }
}

/// The slow path was left.
#[inline(always)]
pub(crate) fn wait_end(ctx: *mut c_void, sem: u64, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    lock::wait_end(ctx, number(task, sem), turn);
}
