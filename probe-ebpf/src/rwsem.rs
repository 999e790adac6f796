//! Which rw_semaphores are an mm's mmap_lock, where no tracepoint says so. Knows what an mm_struct looks like from
//! its lock, and nothing of what the lock's events mean.

use core::ffi::c_void;

use probe_common::task::TaskState;

use crate::{
    control,
    kernel::Remembering,
    lock,
    maps::{get, set},
    slots, tasks,
    turn::Turn,
};

/// The address of a typed pointer as a number: the verifier forbids calculating with the pointer itself. A map's entry
/// keeps the bits and forgets the type.
#[inline(always)]
fn number(task: *mut TaskState, pointer: u64) -> u64 {
    set!(task, scratch = pointer);
    get!(task, scratch)
}

/// Whether this may be an mm: the one that the task met last, or one that is.
#[inline(always)]
fn may_be_mm(task: *mut TaskState, mm: u64) -> bool {
    get!(task, mm) == mm || is_mm(mm)
}

/// What lies around most other semaphores is seen at once to be none.
#[inline(always)]
fn is_mm(mm: u64) -> bool {
    lock::is_at_mm(mm) && slots::is_mm(mm)
}

/// A semaphore was acquired, or was not.
#[inline(always)]
pub(crate) fn acquired(ctx: *mut c_void, sem: u64, write: bool, success: bool, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    let mm = lock::mm_around(number(task, sem));
    if may_be_mm(task, mm) {
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
    if !lock::released_by(ctx, task, mm, write) && turn == Turn::First && !control::is_sampling() && is_mm(mm) {
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
    if may_be_mm(task, mm)
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
