//! mmap_lock: acquisitions, holds, waits. Knows nothing of how the events are hooked.

use probe_common::{
    lost,
    relocation::field,
    series::{HOLD, OPERATION_COUNT, WAIT},
    task::{BUSY_HOLD, BUSY_WAIT, TaskState},
};

use crate::{
    emit,
    kernel::{Reader, current_mm, now_ns, offset},
    maps::{add_u64, at, count_lost, get, increment, set, slot},
    operation, params, slots, tasks,
    turn::Turn,
    window,
};

/// mmap_lock was acquired, or a trylock failed.
#[inline(always)]
pub(crate) fn acquired<R: Reader>(mm: u64, write: bool, success: bool, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    acquired_by::<R>(task, mm, write, success, turn);
}

/// As [`acquired`], by a task whose entry is at hand.
#[inline(always)]
pub(crate) fn acquired_by<R: Reader>(task: *mut TaskState, mm: u64, write: bool, success: bool, turn: Turn) {
    if turn != Turn::First && has_seen(task, mm, write, success, turn) {
        return;
    }
    let slot_index = slots::of::<R>(task, mm);
    if !success {
        set!(task, failure_seen = turn.mark());
        count_acquisition(slot_index, write, false);
        return;
    }
    let now = now_ns();
    let free = if get!(task, holds[0].mm) == 0 {
        0
    } else if get!(task, holds[0].mm) == mm {
        return again::<0>(task, mm, slot_index, write, now);
    } else if get!(task, holds[1].mm) == 0 {
        1
    } else if get!(task, holds[1].mm) == mm {
        return again::<1>(task, mm, slot_index, write, now);
    } else {
        count_acquisition(slot_index, write, true);
        return count_lost(lost::HOLD_OVERFLOW);
    };
    count_acquisition(slot_index, write, true);
    if free == 0 {
        open::<0>(task, mm, slot_index, write, now);
        // The second hold may be the same lock's: taken while another one was in the first place.
        if get!(task, holds[1].mm) == mm {
            count_lost(lost::HOLD_OVERWRITTEN);
            set!(task, holds[1].mm = 0);
            tasks::end(task, BUSY_HOLD << 1);
        }
    } else {
        open::<1>(task, mm, slot_index, write, now);
    }
}

/// Whether the books have what an earlier program of the hook would have written.
#[inline(always)]
fn has_seen(task: *mut TaskState, mm: u64, write: bool, success: bool, turn: Turn) -> bool {
    if !success {
        let seen = get!(task, failure_seen) != 0;
        set!(task, failure_seen = u32::from(seen) & turn.mark());
        return seen;
    }
    let (first, second) = (get!(task, holds[0].mm), get!(task, holds[1].mm));
    if first == mm {
        return get!(task, holds[0].write) == u32::from(write);
    }
    if second == mm {
        return get!(task, holds[1].write) == u32::from(write);
    }
    first != 0 && second != 0
}

/// The lock is held already by our books: a downgrade, or a release that was not seen.
#[inline(always)]
fn again<const I: usize>(task: *mut TaskState, mm: u64, slot_index: u32, write: bool, now: u64) {
    if get!(task, holds[I].write) != 0 && !write {
        // mmap_write_downgrade: the write hold ends here and a read hold begins. Nobody acquired anything.
        close::<I>(task, mm, now);
    } else {
        count_lost(lost::HOLD_OVERWRITTEN);
        count_acquisition(slot_index, write, true);
    }
    open::<I>(task, mm, slot_index, write, now);
}

#[inline(always)]
fn open<const I: usize>(task: *mut TaskState, mm: u64, slot_index: u32, write: bool, now: u64) {
    set!(task, holds[I].mm = mm);
    set!(task, holds[I].since_ns = now);
    set!(task, holds[I].slot = slot_index);
    set!(task, holds[I].write = u32::from(write));
    tasks::begin(task, BUSY_HOLD << I);
    if get!(task, context_path) != 0 {
        window::locked(task, slot_index, write, now);
    }
}

#[inline(always)]
fn count_acquisition(slot_index: u32, write: bool, success: bool) {
    if let Some(entry) = slot(slot_index) {
        let counter = usize::from(write) * 2 + usize::from(!success);
        increment(at!(entry, acquisitions[counter & 3]));
    }
}

/// mmap_lock is about to be released.
#[inline(always)]
pub(crate) fn released(mm: u64, write: bool, turn: Turn) {
    let found = tasks::find();
    let known = found.is_some();
    if let Some(task) = found
        && released_by(task, mm, write)
    {
        return;
    }
    if turn == Turn::First {
        count_orphan(mm, known);
    }
}

/// As [`released`], by a task whose entry is at hand; false if it has no such hold.
#[inline(always)]
pub(crate) fn released_by(task: *mut TaskState, mm: u64, write: bool) -> bool {
    if get!(task, holds[0].mm) == mm && get!(task, holds[0].write) == u32::from(write) {
        close::<0>(task, mm, now_ns());
    } else if get!(task, holds[1].mm) == mm && get!(task, holds[1].write) == u32::from(write) {
        close::<1>(task, mm, now_ns());
    } else {
        return false;
    }
    true
}

/// Counts a release without a hold; `known` tells whether the task had books.
#[inline(always)]
pub(crate) fn count_orphan(mm: u64, known: bool) {
    let unseen = if current_mm() == mm { lost::RELEASE_WITHOUT_HOLD } else { lost::RELEASE_BY_OTHER_TASK };
    tasks::count_orphan(known, lost::HOLD_OLDER_THAN_ATTACH, unseen);
}

/// A lock held for write is now held for read. Nobody acquired anything.
#[inline(always)]
pub(crate) fn downgraded_by(task: *mut TaskState, mm: u64) {
    if get!(task, holds[0].mm) == mm && get!(task, holds[0].write) != 0 {
        downgrade::<0>(task, mm);
    } else if get!(task, holds[1].mm) == mm && get!(task, holds[1].write) != 0 {
        downgrade::<1>(task, mm);
    }
}

#[inline(always)]
fn downgrade<const I: usize>(task: *mut TaskState, mm: u64) {
    let slot_index = get!(task, holds[I].slot);
    let now = now_ns();
    close::<I>(task, mm, now);
    open::<I>(task, mm, slot_index, false, now);
}

/// Ends a hold: the duration goes to the lock's mm, the operation is the task's.
#[inline(always)]
fn close<const I: usize>(task: *mut TaskState, mm: u64, now: u64) {
    let since = get!(task, holds[I].since_ns);
    let slot_index = get!(task, holds[I].slot);
    let write = get!(task, holds[I].write);
    set!(task, holds[I].mm = 0);
    tasks::end(task, BUSY_HOLD << I);
    let Some(held) = emit::elapsed(since, now) else { return };
    emit::duration(slot_index, HOLD + (write & 1), held);
    let operation = operation::current(task, mm, write != 0);
    if let Some(entry) = slot(slot_index)
        && (operation as usize) < OPERATION_COUNT
    {
        add_u64(at!(entry, hold_ns[operation as usize]), held);
    }
    if held >= params::record_hold_ns() {
        emit::record(slot_index, HOLD + (write & 1), operation, since, held);
    }
}

/// The mm whose mmap_lock this would be. It need not be one.
#[inline(always)]
pub(crate) fn mm_around(lock: u64) -> u64 {
    lock.wrapping_sub(offset::<{ field::MM_MMAP_LOCK }>())
}

/// The running task begins to block on the lock of an mm that has a slot: whoever holds it took it by our books.
#[inline(always)]
pub(crate) fn wait_begin(task: *mut TaskState, lock: u64, slot_index: u32, write: bool, turn: Turn) {
    if turn != Turn::First && get!(task, wait_lock) == lock {
        return;
    }
    if get!(task, wait_lock) != 0 {
        count_lost(lost::WAIT_OVERWRITTEN);
    }
    set!(task, wait_lock = lock);
    set!(task, wait_slot = slot_index);
    set!(task, wait_write = u32::from(write));
    tasks::begin(task, BUSY_WAIT);
    set!(task, wait_since_ns = now_ns());
}

/// A task no longer blocks on a lock, of whatever kind.
#[inline(always)]
pub(crate) fn wait_end(lock: u64, turn: Turn) {
    let found = tasks::find();
    let known = found.is_some();
    if let Some(task) = found
        && get!(task, wait_lock) == lock
    {
        return waited(task, lock);
    }
    if turn == Turn::First && slots::known(mm_around(lock)).is_some() {
        tasks::count_orphan(known, lost::WAIT_OLDER_THAN_ATTACH, lost::WAIT_END_WITHOUT_BEGIN);
    }
}

#[inline(always)]
fn waited(task: *mut TaskState, lock: u64) {
    let now = now_ns();
    let since = get!(task, wait_since_ns);
    let slot_index = get!(task, wait_slot);
    let write = get!(task, wait_write);
    set!(task, wait_lock = 0);
    tasks::end(task, BUSY_WAIT);
    let Some(waited) = emit::elapsed(since, now) else { return };
    emit::duration(slot_index, WAIT + (write & 1), waited);
    let operation = operation::current(task, mm_around(lock), write != 0);
    if let Some(entry) = slot(slot_index)
        && (operation as usize) < OPERATION_COUNT
    {
        add_u64(at!(entry, wait_ns[operation as usize]), waited);
    }
    if waited >= params::record_wait_ns() {
        emit::record(slot_index, WAIT + (write & 1), operation, since, waited);
    }
}
