//! mmap_lock: acquisitions, holds, waits. Knows nothing of how the events are hooked.

use core::ffi::c_void;

use probe_common::{
    lost,
    relocation::field,
    series::{HOLD, OP_MPROTECT, OPERATION_COUNT, VMA_UNIT_LOG2, VMAS, WAIT},
    slot::MmSlot,
    task::{BUSY_HOLD, BUSY_WAIT, TaskState},
};

use crate::{
    blame, control,
    emit::{self, Event},
    kernel::{Reader, current_mm, current_runtime_ns, now_ns, offset, opaque},
    maps::{add_u32, add_u64, at, count_lost, get, increment, set, slot},
    operation, params, slots, tasks,
    turn::Turn,
    window,
};

/// Whether others wait for an mm's lock, by our books. The lock's own flag says less: before 5.11 a reader that spins for it
/// does not set it.
#[inline(always)]
fn is_contended(entry: *mut MmSlot) -> bool {
    get!(entry, waits_begun) != get!(entry, waits_ended)
}

/// mmap_lock was acquired, or a trylock failed.
#[inline(always)]
pub(crate) fn acquired<R: Reader>(ctx: *mut c_void, mm: u64, write: bool, success: bool, turn: Turn) {
    let Some(task) = tasks::current() else { return };
    acquired_by::<R>(ctx, task, mm, write, success, turn);
}

/// As [`acquired`], by a task whose entry is at hand.
#[inline(always)]
pub(crate) fn acquired_by<R: Reader>(
    ctx: *mut c_void,
    task: *mut TaskState,
    mm: u64,
    write: bool,
    success: bool,
    turn: Turn,
) {
    // Where only some events are counted nobody steps in: an event that is left out looks like one that was skipped.
    if turn != Turn::First && (control::is_sampling() || has_seen(task, mm, write, success, turn)) {
        return;
    }
    let weight = control::weight_of_new();
    let (first, second) = (get!(task, holds[0].mm), get!(task, holds[1].mm));
    let is_counted = weight != 0 || first == mm || second == mm;
    if !is_counted && get!(task, context_path) == 0 {
        return;
    }
    let Some((slot_index, entry)) = slots::of::<R>(task, mm) else { return };
    if !success {
        set!(task, failure_turn = turn.number());
        count_acquisition(entry, write, false, weight);
        return;
    }
    let now = now_ns();
    if !is_counted {
        // Only the window that it begins.
    } else if first == mm {
        again::<R, 0>(ctx, task, mm, (slot_index, entry), write, now);
    } else if first != 0 && second == mm {
        again::<R, 1>(ctx, task, mm, (slot_index, entry), write, now);
    } else {
        count_acquisition(entry, write, true, weight);
        if first == 0 {
            open::<0>(task, mm, slot_index, write, now);
            // The second hold may be the same lock's: taken while another one was in the first place.
            if second == mm {
                count_lost(lost::HOLD_OVERWRITTEN);
                set!(task, holds[1].mm = 0);
                tasks::end(task, BUSY_HOLD << 1);
            }
        } else if second == 0 {
            open::<1>(task, mm, slot_index, write, now);
        } else {
            return count_lost(lost::HOLD_OVERFLOW);
        }
    }
    if get!(task, context_path) != 0 {
        window::locked(task, slot_index, write, now);
    }
}

/// Whether the books have what an earlier program of the hook would have written.
#[inline(always)]
fn has_seen(task: *mut TaskState, mm: u64, write: bool, success: bool, turn: Turn) -> bool {
    if !success {
        let last = get!(task, failure_turn);
        set!(task, failure_turn = turn.number());
        return turn.follows(last);
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
fn again<R: Reader, const I: usize>(
    ctx: *mut c_void,
    task: *mut TaskState,
    mm: u64,
    (slot_index, entry): (u32, *mut MmSlot),
    write: bool,
    now: u64,
) {
    // The functions of rw_semaphore have one for the downgrade.
    if R::IDENTIFIES && get!(task, holds[I].write) != 0 && !write {
        // mmap_write_downgrade: the write hold ends here and a read hold begins. Nobody acquired anything.
        close::<I, false>(ctx, task, mm, now);
    } else {
        count_lost(lost::HOLD_OVERWRITTEN);
        count_acquisition(entry, write, true, 1);
    }
    open::<I>(task, mm, slot_index, write, now);
}

#[inline(always)]
fn open<const I: usize>(task: *mut TaskState, mm: u64, slot_index: u32, write: bool, now: u64) {
    set!(task, holds[I].mm = mm);
    set!(task, holds[I].since_ns = now);
    set!(task, holds[I].slot = slot_index);
    set!(task, holds[I].write = u32::from(write));
    set!(task, holds[I].runtime_ns = current_runtime_ns());
    tasks::begin(task, BUSY_HOLD << I);
}

#[inline(always)]
fn count_acquisition(entry: *mut MmSlot, write: bool, success: bool, weight: u64) {
    let counter = usize::from(write) * 2 + usize::from(!success);
    add_u32(at!(entry, acquisitions[counter & 3]), weight);
}

/// mmap_lock is about to be released.
#[inline(always)]
pub(crate) fn released(ctx: *mut c_void, mm: u64, write: bool, turn: Turn) {
    let found = tasks::find();
    let known = found.is_some();
    if let Some(task) = found
        && released_by(ctx, task, mm, write)
    {
        return;
    }
    if turn == Turn::First {
        count_orphan(mm, known);
    }
}

/// As [`released`], by a task whose entry is at hand; false if it has no such hold.
#[inline(always)]
pub(crate) fn released_by(ctx: *mut c_void, task: *mut TaskState, mm: u64, write: bool) -> bool {
    if get!(task, holds[0].mm) == mm && get!(task, holds[0].write) == u32::from(write) {
        close::<0, true>(ctx, task, mm, now_ns());
    } else if get!(task, holds[1].mm) == mm && get!(task, holds[1].write) == u32::from(write) {
        close::<1, true>(ctx, task, mm, now_ns());
    } else {
        return false;
    }
    true
}

/// Counts a release without a hold; `known` tells whether the task had books.
#[inline(always)]
pub(crate) fn count_orphan(mm: u64, known: bool) {
    // Most have no beginning in the books where only some are counted.
    if control::is_sampling() {
        return;
    }
    let unseen = if current_mm() == mm { lost::RELEASE_WITHOUT_HOLD } else { lost::RELEASE_BY_OTHER_TASK };
    tasks::count_orphan(known, lost::HOLD_OLDER_THAN_ATTACH, unseen);
}

/// A lock held for write is now held for read. Nobody acquired anything.
#[inline(always)]
pub(crate) fn downgraded_by(ctx: *mut c_void, task: *mut TaskState, mm: u64) {
    if get!(task, holds[0].mm) == mm && get!(task, holds[0].write) != 0 {
        downgrade::<0>(ctx, task, mm);
    } else if get!(task, holds[1].mm) == mm && get!(task, holds[1].write) != 0 {
        downgrade::<1>(ctx, task, mm);
    }
}

#[inline(always)]
fn downgrade<const I: usize>(ctx: *mut c_void, task: *mut TaskState, mm: u64) {
    let slot_index = get!(task, holds[I].slot);
    let now = now_ns();
    close::<I, false>(ctx, task, mm, now);
    open::<I>(task, mm, slot_index, false, now);
}

/// Ends a hold: the duration goes to the lock's mm, the operation is the task's. One that is only downgraded is no mprotect's,
/// and sends no record.
#[inline(always)]
fn close<const I: usize, const RELEASED: bool>(ctx: *mut c_void, task: *mut TaskState, mm: u64, now: u64) {
    let since = get!(task, holds[I].since_ns);
    let slot_index = get!(task, holds[I].slot);
    let write = get!(task, holds[I].write);
    set!(task, holds[I].mm = 0);
    tasks::end(task, BUSY_HOLD << I);
    let changes_since = get!(task, change_since_ns);
    let Some(held) = emit::elapsed(since, now) else { return };
    let operation = operation::current(task, mm, write != 0);
    let mut vmas = 0;
    if RELEASED && write != 0 && changes_since != 0 {
        set!(task, change_since_ns = 0);
        if operation == OP_MPROTECT {
            vmas = get!(task, change_vmas);
        }
    }
    let held_by = u64::from(operation) << 1 | u64::from(write & 1);
    let weight = control::weight_since(since);
    let contended = mmscope_hold_ended(u64::from(slot_index), held_by, held, u64::from(vmas), weight) != 0;
    let is_told = RELEASED && held >= params::record_hold_ns();
    if !contended && !is_told {
        return;
    }
    let Some(entry) = slot(slot_index) else { return };
    if contended {
        if vmas != 0 {
            blame::could_have_read(entry, changes_since, now);
        }
        blame::held(entry, operation, since, now);
    }
    if is_told {
        tell::<I>(ctx, task, entry, slot_index, write, operation, since, now);
    }
}

/// A function of its own, see ARCHITECTURE.md: what a hold leaves when it has ended; whether others waited for it. `held_by` is
/// the operation, and in the lowest bit whether it was for write; `vmas` are those that an mprotect has changed; `weight` is for how
/// many such holds this one counts.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn mmscope_hold_ended(slot_index: u64, held_by: u64, held_ns: u64, vmas: u64, weight: u64) -> u64 {
    let Some(entry) = slot(slot_index as u32) else { return 0 };
    emit::add_weighted(entry, slot_index as u32, HOLD + (held_by & 1) as u32, held_ns, weight);
    let operation = opaque(held_by >> 1) as usize;
    if operation < OPERATION_COUNT {
        add_u64(at!(entry, hold_ns[operation]), held_ns * weight);
    }
    if vmas == 1 {
        add_u32(at!(entry, mprotects_of_one_vma), weight);
    } else if vmas != 0 {
        emit::add_weighted(entry, slot_index as u32, VMAS, vmas << VMA_UNIT_LOG2, weight);
    }
    u64::from(is_contended(entry))
}

/// Sends a record of a long hold: how much of it the task was on a CPU, who waits behind it and for how long already.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "inlined: all of them are at hand")]
fn tell<const I: usize>(
    ctx: *mut c_void,
    task: *mut TaskState,
    entry: *mut MmSlot,
    slot_index: u32,
    write: u32,
    operation: u32,
    since: u64,
    now: u64,
) {
    let runtime = get!(task, holds[I].runtime_ns);
    let on_cpu = if runtime == 0 { 0 } else { current_runtime_ns().wrapping_sub(runtime) + 1 };
    let waiters = u64::from(get!(entry, waits_begun).wrapping_sub(get!(entry, waits_ended)));
    let waited = waiters.wrapping_mul(now).wrapping_sub(get!(entry, waits_since_ns));
    emit::record(
        ctx,
        &Event {
            slot: slot_index,
            series: HOLD + (write & 1),
            operation,
            begin_ns: since,
            duration_ns: now - since,
            detail: [on_cpu, waiters, waited, 0, 0, 0],
        },
    );
}

/// The mm whose mmap_lock this would be. It need not be one.
#[inline(always)]
pub(crate) fn mm_around(lock: u64) -> u64 {
    lock.wrapping_sub(offset::<{ field::MM_MMAP_LOCK }>())
}

/// The same of a mutex that would be in it (PREEMPT_RT).
#[inline(always)]
pub(crate) fn mm_around_mutex(mutex: u64) -> u64 {
    mutex.wrapping_sub(offset::<{ field::MM_MMAP_LOCK_RTMUTEX }>())
}

/// mm_structs are aligned to a cache line (SLAB_HWCACHE_ALIGN, kernel/fork.c); what lies around most other locks is not.
const MM_ALIGNMENT: u64 = 64;

/// Whether an mm_struct may lie there.
#[inline(always)]
pub(crate) fn is_at_mm(mm: u64) -> bool {
    mm & (MM_ALIGNMENT - 1) == 0
}

/// The mm around a lock that a task has waited for: its own, or the mutex in it.
#[inline(always)]
fn mm_waited_for(lock: u64) -> u64 {
    let mm = mm_around(lock);
    if params::has_rt_locks() != 0 && !is_at_mm(mm) { mm_around_mutex(lock) } else { mm }
}

/// Whether a task waits for an mm's lock already.
#[inline(always)]
pub(crate) fn waits_for(task: *mut TaskState, mm: u64) -> bool {
    mm_around(get!(task, wait_lock)) == mm
}

/// The running task begins to block on the lock of an mm that has a slot: whoever holds it took it by our books.
#[inline(always)]
pub(crate) fn wait_begin(task: *mut TaskState, lock: u64, slot_index: u32, write: bool, turn: Turn) {
    if turn != Turn::First && get!(task, wait_lock) == lock {
        return;
    }
    if get!(task, wait_lock) != 0 {
        count_lost(lost::WAIT_OVERWRITTEN);
        no_longer_waits(get!(task, wait_slot), get!(task, wait_since_ns));
    }
    set!(task, wait_lock = lock);
    set!(task, wait_slot = slot_index);
    set!(task, wait_write = u32::from(write));
    tasks::begin(task, BUSY_WAIT);
    let now = now_ns();
    set!(task, wait_since_ns = now);
    if let Some(entry) = slot(slot_index) {
        increment(at!(entry, waits_begun));
        add_u64(at!(entry, waits_since_ns), now);
        if !write {
            blame::reader_waits(task, entry);
        }
    }
}

/// Takes a wait out of those that have not ended.
#[inline(always)]
fn no_longer_waits(slot_index: u32, since: u64) {
    if let Some(entry) = slot(slot_index) {
        increment(at!(entry, waits_ended));
        add_u64(at!(entry, waits_since_ns), since.wrapping_neg());
    }
}

/// A task no longer blocks on a lock, of whatever kind.
#[inline(always)]
pub(crate) fn wait_end(ctx: *mut c_void, lock: u64, turn: Turn) {
    let found = tasks::find();
    let known = found.is_some();
    if let Some(task) = found
        && get!(task, wait_lock) == lock
    {
        return waited(ctx, task, lock);
    }
    if turn == Turn::First && slots::known(mm_around(lock)).is_some() {
        tasks::count_orphan(known, lost::WAIT_OLDER_THAN_ATTACH, lost::WAIT_END_WITHOUT_BEGIN);
    }
}

#[inline(always)]
fn waited(ctx: *mut c_void, task: *mut TaskState, lock: u64) {
    let now = now_ns();
    let since = get!(task, wait_since_ns);
    let slot_index = get!(task, wait_slot);
    let write = get!(task, wait_write);
    set!(task, wait_lock = 0);
    tasks::end(task, BUSY_WAIT);
    no_longer_waits(slot_index, since);
    let Some(waited) = emit::elapsed(since, now) else { return };
    emit::duration(slot_index, WAIT + (write & 1), waited);
    let operation = operation::current(task, mm_waited_for(lock), write != 0);
    let Some(entry) = slot(slot_index) else { return };
    if (operation as usize) < OPERATION_COUNT {
        add_u64(at!(entry, wait_ns[operation as usize]), waited);
    }
    if write == 0 {
        blame::spared(task, entry, since);
    }
    let holder = blame::waited(slot_index, operation, since, now);
    if waited >= params::record_wait_ns() {
        emit::record(
            ctx,
            &Event {
                slot: slot_index,
                series: WAIT + (write & 1),
                operation,
                begin_ns: since,
                duration_ns: waited,
                detail: [u64::from(holder), 0, 0, 0, 0, 0],
            },
        );
    }
}
