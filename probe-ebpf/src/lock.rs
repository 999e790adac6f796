//! mmap_lock: acquisitions, holds, waits. Knows nothing of how the events are hooked.

use probe_common::{
    lost,
    relocation::field,
    series::{HOLD, OPERATION_COUNT, WAIT},
    task::{BUSY_HOLD, BUSY_WAIT, TaskState},
};

use crate::{
    emit,
    kernel::{Reader, now_ns, offset},
    maps::{MM_INDEX, add_u64, at, count_lost, get, increment, set, slot, volatile},
    operation, params, slots, tasks, window,
};

/// mmap_lock was acquired, or a trylock failed.
#[inline(always)]
pub(crate) fn acquired<R: Reader>(mm: u64, write: bool, success: bool) {
    let Some(task) = tasks::current() else { return };
    let slot_index = slots::of::<R>(task, mm);
    if !success {
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
    if write && get!(task, context_path) != 0 {
        window::soft_dirty_opened(task, slot_index, now);
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
pub(crate) fn released(mm: u64, write: bool) {
    let Some(task) = tasks::find() else {
        return count_lost(lost::RELEASE_WITHOUT_HOLD);
    };
    let now = now_ns();
    if get!(task, holds[0].mm) == mm && get!(task, holds[0].write) == u32::from(write) {
        close::<0>(task, mm, now);
    } else if get!(task, holds[1].mm) == mm && get!(task, holds[1].write) == u32::from(write) {
        close::<1>(task, mm, now);
    } else {
        count_lost(lost::RELEASE_WITHOUT_HOLD);
    }
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

/// LCB_F_READ of lock:contention_begin (include/trace/events/lock.h).
const LCB_F_READ: u64 = 1 << 1;
/// LCB_F_WRITE.
const LCB_F_WRITE: u64 = 1 << 2;

/// A task begins to block on some lock.
#[inline(always)]
pub(crate) fn contention_begin(lock: u64, flags: u64) {
    // An rwsem says just this; an rwlock adds that it spins, a percpu_rwsem that it is one.
    if flags as u32 != LCB_F_READ as u32 && flags as u32 != LCB_F_WRITE as u32 {
        return;
    }
    // Is it some mm's lock? Whoever holds it now took it from somebody's books, so the mm has a slot.
    let mm = lock.wrapping_sub(offset::<{ field::MM_MMAP_LOCK }>());
    let Some(found) = MM_INDEX.get_ptr(&mm) else { return };
    let slot_index = volatile(found);
    let Some(task) = tasks::current() else { return };
    if get!(task, wait_lock) != 0 {
        count_lost(lost::WAIT_OVERWRITTEN);
    }
    set!(task, wait_lock = lock);
    set!(task, wait_since_ns = now_ns());
    set!(task, wait_slot = slot_index);
    set!(task, wait_write = u32::from(flags as u32 == LCB_F_WRITE as u32));
    tasks::begin(task, BUSY_WAIT);
}

/// A task no longer blocks on a lock.
#[inline(always)]
pub(crate) fn contention_end(lock: u64) {
    let Some(task) = tasks::find() else { return };
    if get!(task, wait_lock) != lock {
        return;
    }
    let since = get!(task, wait_since_ns);
    let slot_index = get!(task, wait_slot);
    let write = get!(task, wait_write);
    set!(task, wait_lock = 0);
    tasks::end(task, BUSY_WAIT);
    let Some(waited) = emit::elapsed(since, now_ns()) else { return };
    emit::duration(slot_index, WAIT + (write & 1), waited);
    let mm = lock.wrapping_sub(offset::<{ field::MM_MMAP_LOCK }>());
    let operation = operation::current(task, mm, write != 0);
    if let Some(entry) = slot(slot_index)
        && (operation as usize) < OPERATION_COUNT
    {
        add_u64(at!(entry, wait_ns[operation as usize]), waited);
    }
    if waited >= params::record_wait_ns() {
        emit::record(slot_index, WAIT + (write & 1), operation, since, waited);
    }
}
